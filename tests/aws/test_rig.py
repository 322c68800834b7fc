#!/usr/bin/env python3
"""What our tests rely on in each part of the rig: a self-test for the next pin (docs/aws.md, "The rig").

    test_rig.py [WORD...]     RIG_PORT names the rig that is up; RIG_FULL=1: with ElasticMQ"""
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request

import boto3
import botocore.config
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from home import ACCOUNT, REGION, Home, Wrong, run_tests, wait_for

PORT = int(os.environ.get("RIG_PORT", "19000"))
home = Home(PORT, "selftest")


def code_of(call, **arguments):
    """The error code that a call ends with; "" = none."""
    try:
        call(**arguments)
        return ""
    except ClientError as error:
        return error.response["Error"]["Code"]


def expect(actual, *wanted):
    if actual not in wanted:
        raise Wrong(f"{actual!r}, expected {' or '.join(map(repr, wanted))}")


# --- signature judge -------------------------------------------------------------------------------------------------
def judged(secret="secret+/=", token="tok/en+=", change=None, at=0):
    request = AWSRequest("POST", f"http://127.0.0.1:{PORT + 1}/", data=b"{}", headers={
        "content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.GetItem"})
    auth = SigV4Auth(Credentials("AKIDRIG", secret, token), "dynamodb", REGION)
    if at:
        import botocore.auth as module  # its clock
        import botocore.compat
        real = module.get_current_datetime
        module.get_current_datetime = lambda remove_tzinfo=True: real(remove_tzinfo) + botocore.compat.datetime.timedelta(seconds=at)
    try:
        auth.add_auth(request)
    finally:
        if at:
            module.get_current_datetime = real
    headers = dict(request.headers)
    if change:
        change(headers)
    try:
        with urllib.request.urlopen(urllib.request.Request(request.url, b"{}", headers)) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())["message"]


def test_judge_takes_what_botocore_signs():
    expect(judged()[0], 200)


def test_judge_refuses_a_wrong_secret_and_a_wrong_token():
    expect(judged(secret="other"), (403, "signature differs"))
    expect(judged(token="other"), (403, "wrong session token"))


def test_judge_refuses_what_is_not_signed_or_not_sent():
    expect(judged(change=lambda h: h.update({"x-amz-meta": "1"})), (403, "must be signed: ['x-amz-meta']"))
    expect(judged(change=lambda h: h.pop("X-Amz-Target", h.pop("x-amz-target", None))), (403, "signed but not sent: ['x-amz-target']"))
    expect(judged(change=lambda h: h.pop("Authorization"))[0], 403)


def test_judge_refuses_a_skewed_clock():
    status, why = judged(at=-400)
    expect((status, why.startswith("clock off")), (403, True))


# --- MiniStack: signatures and IAM -----------------------------------------------------------------------------------
def role(name, statements=({"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"},)):
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com", "AWS": "*"},
                                                    "Action": "sts:AssumeRole"}]}
    code_of(home.iam.create_role, RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    home.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": list(statements)}))
    sts = boto3.client("sts", endpoint_url=home.endpoint, region_name=REGION, aws_access_key_id=ACCOUNT, aws_secret_access_key="x")
    return sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{name}", RoleSessionName="selftest")["Credentials"]


def client(service, found, **changed):
    return boto3.client(service, endpoint_url=home.endpoint, region_name=REGION,
                        config=botocore.config.Config(retries={"total_max_attempts": 1}),
                        **{"aws_access_key_id": found["AccessKeyId"], "aws_secret_access_key": found["SecretAccessKey"],
                           "aws_session_token": found["SessionToken"], **changed})


def table(name="selftest"):
    code = code_of(home.ddb.create_table, TableName=name, BillingMode="PAY_PER_REQUEST",
                   AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")],
                   KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}])
    expect(code, "", "ResourceInUseException")
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"


def item(pk, **more):
    return {"pk": {"S": pk}, "sk": {"S": "x"}, **more}


def test_ministack_checks_role_token_and_signature():
    arn = table()
    found = role("r1", [{"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": arn}])
    put = {"TableName": "selftest", "Item": item("iam")}
    expect(code_of(client("dynamodb", found).put_item, **put), "")
    expect(code_of(client("dynamodb", found).get_item, TableName="selftest", Key=item("iam")), "AccessDeniedException")
    for wrong in ({"aws_secret_access_key": "x"}, {"aws_session_token": "x"}, {"aws_access_key_id": "ASIAWRONGWRONGWRONG1"}):
        if not code_of(client("dynamodb", found, **wrong).put_item, **put):
            raise Wrong(f"{list(wrong)} is not looked at")


def test_ministack_asks_a_transaction_for_the_rights_of_its_actions():
    arn = table()
    found = role("r2", [{"Effect": "Allow", "Action": ["dynamodb:TransactWriteItems", "dynamodb:UpdateItem"], "Resource": arn}])
    put = [{"Put": {"TableName": "selftest", "Item": item("tx")}}]
    expect(code_of(client("dynamodb", found).transact_write_items, TransactItems=put), "AccessDeniedException")


# --- MiniStack: DynamoDB ---------------------------------------------------------------------------------------------
def test_transaction_races_have_one_winner():
    table()
    won = []

    def race(i, name):
        put = {"Put": {"TableName": "selftest", "Item": item(name), "ConditionExpression": "attribute_not_exists(pk)"}}
        if not code_of(home.ddb.transact_write_items, TransactItems=[put]):
            won.append((i, name))
    threads = [threading.Thread(target=race, args=(i, f"race-{n}")) for n in range(12) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(sorted(name for _, name in won), sorted(f"race-{n}" for n in range(12)))


def test_transaction_token_replays_and_refuses_another_body():
    table()
    def put(name):
        return [{"Put": {"TableName": "selftest", "Item": item(name), "ConditionExpression": "attribute_not_exists(pk)"}}]
    token = "t" * 31 + str(time.time_ns())[-5:]
    write = home.ddb.transact_write_items
    expect(code_of(write, TransactItems=put("token-" + token), ClientRequestToken=token), "")
    expect(code_of(write, TransactItems=put("token-" + token), ClientRequestToken=token), "")
    expect(code_of(write, TransactItems=put("other-" + token), ClientRequestToken=token), "IdempotentParameterMismatchException")
    expect(code_of(write, TransactItems=put("token-" + token)), "TransactionCanceledException")


def test_transaction_names_reasons_by_position_and_is_atomic():
    table()
    home.ddb.put_item(TableName="selftest", Item=item("there"))
    put = [{"Put": {"TableName": "selftest", "Item": item(n), "ConditionExpression": "attribute_not_exists(pk)"}} for n in ("not-there", "there")]
    try:
        home.ddb.transact_write_items(TransactItems=put)
        raise Wrong("it went through")
    except ClientError as error:
        expect([r["Code"] for r in error.response["CancellationReasons"]], ["None", "ConditionalCheckFailed"])
    expect("Item" in home.ddb.get_item(TableName="selftest", Key=item("not-there"), ConsistentRead=True), False)


# --- MiniStack and ElasticMQ: SQS ------------------------------------------------------------------------------------
def queues():
    yield home.sqs, home.sqs.create_queue(QueueName="selftest")["QueueUrl"]
    if os.environ.get("RIG_FULL"):
        other = boto3.client("sqs", endpoint_url=f"http://127.0.0.1:{PORT + 3}", region_name=REGION, aws_access_key_id="x",
                             aws_secret_access_key="x", config=botocore.config.Config(retries={"total_max_attempts": 1}))
        yield other, other.create_queue(QueueName="selftest")["QueueUrl"]


def test_batch_answers_200_with_failures_inside():
    for sqs, url in queues():
        found = sqs.send_message_batch(QueueUrl=url, Entries=[
            {"Id": "good", "MessageBody": "live/pump-7"}, {"Id": "bad", "MessageBody": "\x01"}])
        expect([f["Id"] for f in found["Failed"]], ["bad"])
        expect([f["Id"] for f in found["Successful"]], ["good"])


def test_batch_of_eleven_and_a_megabyte_too_much_are_refused():
    for sqs, url in queues():
        eleven = [{"Id": str(i), "MessageBody": "x"} for i in range(11)]
        if not code_of(sqs.send_message_batch, QueueUrl=url, Entries=eleven):
            raise Wrong("a batch of 11 was taken")
        expect(code_of(sqs.send_message, QueueUrl=url, MessageBody="x" * 1048576), "")
        if not code_of(sqs.send_message, QueueUrl=url, MessageBody="x" * 1048577):
            raise Wrong("1 MiB + 1 was taken")


def test_message_goes_to_the_dlq_after_its_receives():
    for sqs, _ in queues():
        name = f"dl{time.time_ns()}"
        dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "0", "RedrivePolicy": json.dumps(
            {"deadLetterTargetArn": arn, "maxReceiveCount": "2"})})["QueueUrl"]
        sent = sqs.send_message(QueueUrl=url, MessageBody="m")["MessageId"]

        def moved(sqs=sqs, url=url, dead=dead):
            sqs.receive_message(QueueUrl=url)
            return sqs.receive_message(QueueUrl=dead).get("Messages")
        expect(wait_for("the dead letter", moved)[0]["MessageId"], sent)


# --- MiniStack: Step Functions, SSM, SNS -----------------------------------------------------------------------------
def test_execution_name_is_taken_once():
    trust = role("r3") and f"arn:aws:iam::{ACCOUNT}:role/r3"
    arn = home.sfn.create_state_machine(name=f"m{time.time_ns()}", roleArn=trust, definition=json.dumps(
        {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}))["stateMachineArn"]
    first = home.sfn.start_execution(stateMachineArn=arn, name="run-2026-11-22T13", input="{}")["executionArn"]
    wait_for("its end", lambda: home.sfn.describe_execution(executionArn=first)["status"] == "SUCCEEDED")
    expect(code_of(home.sfn.start_execution, stateMachineArn=arn, name="run-2026-11-22T13", input="{}"), "ExecutionAlreadyExists")


def test_secure_string_needs_decryption_and_a_right():
    home.put_secrets({"sap/password": "geheim ä"}, "/selftest")
    found = home.ssm.get_parameter(Name="/selftest/sap/password", WithDecryption=True)["Parameter"]["Value"]
    expect(found, "geheim ä")
    poor = client("ssm", role("r4"))
    expect(code_of(poor.get_parameter, Name="/selftest/sap/password", WithDecryption=True), "AccessDeniedException")
    expect(code_of(home.ssm.get_parameter, Name="/selftest/none"), "ParameterNotFound")


def test_topic_reaches_a_queue_and_wants_the_right():
    arn = home.sns.create_topic(Name="selftest")["TopicArn"]
    home.out["SelftestTopicArn"] = arn
    url = home.listen("Selftest")
    home.sns.publish(TopicArn=arn, Message='{"n":1}')
    expect(wait_for("the message", lambda: home.told(url)), [{"n": 1}])
    expect(code_of(client("sns", role("r5")).publish, TopicArn=arn, Message="x"), "AuthorizationError", "AccessDenied", "AccessDeniedException")


if __name__ == "__main__":
    run_tests(globals(), sys.argv[1:])
