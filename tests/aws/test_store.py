#!/usr/bin/env python3
"""The adapters of AWS (C, build/*/tests) on the rig: the store's contract and its races on MiniStack's DynamoDB; with every
signature judged and every action held against an IAM policy; with a fault at every third request; on DynamoDB Local.

    test_store.py [WORD...]     RIG_PORT names the rig that is up; RIG_DYNAMODB=1: with DynamoDB Local"""
import json
import os
import subprocess
import sys
import tempfile
import threading
import urllib.request

import boto3

from fault_proxy import Proxy
from home import ACCOUNT, REGION, ROOT, Home, Wrong, run_tests
from judge import serve

PORT = int(os.environ.get("RIG_PORT", "19000"))
TESTS = os.path.join(ROOT, os.environ.get("HOURBELL_BUILT", "build/dev"), "tests")
JUDGE, FAULTS = PORT + 7, PORT + 8
home = Home(PORT, "store")
judge = serve(JUDGE, {}, home.endpoint)
faults = Proxy(FAULTS, home.endpoint)
for server in judge, faults:
    threading.Thread(target=server.serve_forever, daemon=True).start()


def run(port, *words, **environment):
    """The C tests whose names hold one of the words; Wrong with what they said."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    done = subprocess.run([TESTS, "--patience", "5", *words], capture_output=True, text=True, check=False,
                          env={**kept, "HOURBELL_TEST_DYNAMODB": f"http://127.0.0.1:{port}", **environment})
    last = done.stdout.strip().splitlines()[-1:]
    if done.returncode or not last or last[0].startswith("0 "):
        raise Wrong(done.stdout[-3000:] + done.stderr[-1000:])


def credentials(name, actions, resource):
    """Temporary credentials of a role that may do these actions, known to the judge too: an environment."""
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": resource}]}
    role = home.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    home.iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
    sts = boto3.client("sts", endpoint_url=home.endpoint, region_name=REGION, aws_access_key_id=ACCOUNT, aws_secret_access_key="root")
    found = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="test")["Credentials"]
    judge.keys[found["AccessKeyId"]] = [found["SecretAccessKey"], found["SessionToken"]]
    return {"AWS_ACCESS_KEY_ID": found["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
            "AWS_SESSION_TOKEN": found["SessionToken"]}


STORE = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem"]


def rules(*new):
    request = urllib.request.Request(f"http://127.0.0.1:{FAULTS}/_fault/rules", json.dumps(new).encode(), method="POST")
    with urllib.request.urlopen(request) as answer:
        answer.read()


def test_the_contract_and_the_races_on_ministack():
    run(PORT, "contract_store", "dynamo_races")


def test_every_signature_is_right_and_these_rights_are_enough():
    tables = [f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}" for name in ("test-*", "test-*/index/*")]
    run(JUDGE, "contract_store", "dynamo_races", **credentials("store-enough", STORE + ["dynamodb:CreateTable"], tables))


def test_each_right_of_the_store_is_needed():
    for i, missing in enumerate(STORE):
        left = [action for action in STORE if action != missing] + ["dynamodb:CreateTable"]
        try:
            run(PORT, "one_commit_writes", "devices_are_listed", **credentials(f"store-less-{i}", left, "*"))
        except Wrong as wrong:
            if "RC_BROKEN" not in str(wrong):  # our own fault: it is raised, and the alarm rings
                raise Wrong(f"without {missing}: {wrong}") from wrong
        else:
            raise Wrong(f"it goes without {missing}")


def test_faults_on_the_way_change_nothing():
    some = [{"do": do, "rate": 0.04} for do in ("throttle", "500", "503", "500_after", "reset_before", "reset_after", "half", "double")]
    some.append({"do": "conflict", "target": "TransactWriteItems", "rate": 0.1})
    rules(*({**rule, "spare": "attribute_not_exists(ttl_s)"} for rule in some))  # an end is given once, with luck: what gets none is kept
    try:
        run(FAULTS, "contract_store", "sixteen", "what_a_newer_version_wrote")
    finally:
        rules()


def test_the_engine_s_tests_have_the_same_trace_on_sqlite_and_dynamodb():
    run(PORT, "window/", "deliver/", "update/", "breaker/", "interleavings/")


def test_fifty_simulated_histories_have_the_same_trace_on_sqlite_and_dynamodb():
    run(PORT, "--long", "mirrored_seeds")


def test_an_update_costs_what_docs_aws_md_says():
    path = os.path.join(tempfile.mkdtemp(prefix="hourbell-cost-"), "cost.md")
    run(PORT, "accept_costs_at_most", HOURBELL_TEST_COST=path)
    with open(path, encoding="utf-8") as file:
        counted = file.read()
    with open(os.path.join(ROOT, "docs/aws.md"), encoding="utf-8") as file:
        if counted not in file.read():
            raise Wrong(f"docs/aws.md, \"Cost\", has another table; counted:\n{counted}")


def test_an_event_is_published_and_a_secret_is_read():
    topic = home.sns.create_topic(Name="store-customers")["TopicArn"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:store-events"
    queue = home.sqs.create_queue(QueueName="store-events", Attributes={"Policy": json.dumps({
        "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"},
                                                "Action": "sqs:SendMessage", "Resource": arn}]})})["QueueUrl"]
    home.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn,
                       Attributes={"FilterPolicy": '{"owner": ["acme"], "type": ["update.delivered"]}'})
    home.put_secrets({"sap/password": "päss {} \"word\""}, "/hourbell/store")
    run(JUDGE, "an_event_arrives_behind_its_topic", "a_secret_comes_out_of_the_parameter_store",
        HOURBELL_TEST_TOPIC=topic, HOURBELL_TEST_SECRETS="/hourbell/store",
        **credentials("store-tells", ["sns:Publish", "ssm:GetParameter", "kms:Decrypt"], "*"))
    messages = home.sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5).get("Messages", [])
    told = [json.loads(m["Body"]) for m in messages]
    if [t["Message"] for t in told] != ['{"id":"e-1","text":"1+2 & ä = 100%"}']:
        raise Wrong(f"the queue got {told}")
    if told[0]["MessageAttributes"]["owner"]["Value"] != "acme" or told[0]["Subject"] != "update.delivered":
        raise Wrong(f"the queue got {told}")


if os.environ.get("RIG_DYNAMODB", "0") != "0":
    def test_the_contract_and_the_races_on_dynamodb_local():
        run(PORT + 2, "contract_store", "dynamo_races", AWS_ACCESS_KEY_ID="AKLOCAL", AWS_SECRET_ACCESS_KEY="x")

if __name__ == "__main__":
    run_tests(globals(), sys.argv[1:])
