"""The AWS home on the rig: a zip and deploy/hourbell.yaml, deployed on MiniStack as they are; and the ways to look at it."""
import http.client
import io
import json
import os
import re
import sys
import time
import zipfile

import boto3
import botocore.config
import botocore.exceptions

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
REGION, ACCOUNT = "eu-central-1", "123456789012"
SERVICES = {"cfn": "cloudformation", "s3": "s3", "ssm": "ssm", "sqs": "sqs", "sns": "sns", "ddb": "dynamodb", "logs": "logs",
            "lam": "lambda", "sfn": "stepfunctions", "gateway": "apigateway", "iam": "iam", "scheduler": "scheduler",
            "cloudwatch": "cloudwatch", "dns": "route53", "ec2": "ec2"}


class Wrong(Exception):
    pass


def expect(actual, wanted, what=""):
    if actual != wanted:
        raise Wrong(f"{what} is {actual!r}, expected {wanted!r}")


def wait_for(what, ask, seconds=30, step=0.1):
    """The first true answer of ask()."""
    end = time.monotonic() + seconds
    while True:
        found = ask()
        if found:
            return found
        if time.monotonic() > end:
            raise Wrong(f"waited {seconds} s for {what}")
        time.sleep(step)


def make_zip(bootstrap, downstream):
    """The zip as the functions get it. bootstrap: a path; downstream: a dict, the mapping."""
    def entry(name, mode):
        info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        info.external_attr, info.compress_type = (0o100000 | mode) << 16, zipfile.ZIP_DEFLATED
        return info
    out = io.BytesIO()
    with open(bootstrap, "rb") as file, zipfile.ZipFile(out, "w") as archive:
        archive.writestr(entry("bootstrap", 0o755), file.read(), compresslevel=1)
        archive.writestr(entry("downstream.json", 0o644), json.dumps(downstream))
    return out.getvalue()


def mapping(sap_url, **members):
    """downstream.json, pointed at a mock SAP."""
    with open(os.path.join(ROOT, "downstream.json"), encoding="utf-8") as file:
        found = json.load(file)
    found["base_url"] = re.sub(r"^http://127.0.0.1:\d+", sap_url, found["base_url"])
    return {**found, **members}


class Home:
    """One stack on a MiniStack that runs."""

    def __init__(self, port, name="hourbell"):
        self.port, self.name, self.out, self.values = port, name, {}, {}
        self.endpoint = f"http://127.0.0.1:{port}"
        options = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=120, max_pool_connections=64)
        for short, service in SERVICES.items():
            setattr(self, short, boto3.client(
                service, endpoint_url=self.endpoint, region_name=REGION, aws_access_key_id=ACCOUNT,
                aws_secret_access_key="root", config=options))

    # --- deploying -------------------------------------------------------------------------------------------------
    def put_secrets(self, secrets, prefix="/hourbell"):
        for name, value in secrets.items():
            self.ssm.put_parameter(Name=f"{prefix}/{name}", Value=value, Type="SecureString", Overwrite=True)

    def deploy(self, archive, template=None, **parameters):
        """The template needs no test variables: what MiniStack cannot do is a value of a parameter (docs/aws.md)."""
        self.delete()
        self.values = {"CodeBucket": "code", "Architecture": "x86_64", "Canary": "no", "Metering": "no",
                       "ThrottleRate": "10000", "ThrottleBurst": "10000", **parameters}
        self.cfn.create_stack(**self.upload(archive, template))
        self.wait_for_stack("CREATE_COMPLETE")
        return self

    def update(self, archive, template=None, **parameters):
        """The same stack with other values."""
        self.values.update(parameters)
        self.cfn.update_stack(**self.upload(archive, template))
        self.wait_for_stack("UPDATE_COMPLETE")

    def upload(self, archive, template):
        """What a stack is made of, into its bucket."""
        try:
            self.s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": REGION})
        except botocore.exceptions.ClientError as error:
            if "BucketAlready" not in str(error):
                raise
        key = f"{time.monotonic_ns()}.zip"
        self.s3.put_object(Bucket="code", Key=key, Body=archive)
        if template is None:
            with open(os.path.join(ROOT, "deploy/hourbell.yaml"), encoding="utf-8") as file:
                template = file.read()
        self.s3.put_object(Bucket="code", Key=f"{key}.yaml", Body=template.encode())
        self.values["CodeKey"] = key
        return {"StackName": self.name, "TemplateURL": f"{self.endpoint}/code/{key}.yaml", "Capabilities": ["CAPABILITY_NAMED_IAM"],
                "Parameters": [{"ParameterKey": k, "ParameterValue": str(v)} for k, v in self.values.items()]}

    def delete(self):
        """The stack and its table of an earlier test, where there is one."""
        try:
            outputs = self.cfn.describe_stacks(StackName=self.name)["Stacks"][0].get("Outputs", [])
        except botocore.exceptions.ClientError:
            return
        self.cfn.delete_stack(StackName=self.name)
        def gone():
            try:
                return self.cfn.describe_stacks(StackName=self.name)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE"
            except botocore.exceptions.ClientError:
                return True
        wait_for(f"the end of the stack {self.name}", gone, 60)
        for output in outputs:
            if output["OutputKey"] == "TableName":
                self.ddb.update_table(TableName=output["OutputValue"], DeletionProtectionEnabled=False)
                self.ddb.delete_table(TableName=output["OutputValue"])

    def wait_for_stack(self, wanted, seconds=120):
        def ended():
            stack = self.cfn.describe_stacks(StackName=self.name)["Stacks"][0]
            return stack if not stack["StackStatus"].endswith("IN_PROGRESS") else None
        stack = wait_for(f"the stack {self.name}", ended, seconds)
        if stack["StackStatus"] != wanted:
            events = self.cfn.describe_stack_events(StackName=self.name)["StackEvents"]
            raise Wrong("\n".join(f"{e.get('LogicalResourceId')}: {e.get('ResourceStatusReason')}" for e in events
                                  if "FAILED" in e["ResourceStatus"]) or stack["StackStatus"])
        self.out = {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}
        if "RestApiId" in self.out:
            self.path = f"/restapis/{self.out['RestApiId']}/v1/_user_request_"
            self.url = self.endpoint + self.path
        return self.out

    # --- using -----------------------------------------------------------------------------------------------------
    def ask(self, method, target, body=None, headers=(), key=None, timeout=60):
        """One request through the gateway: status, headers by lower-case name, text. body: bytes, or an object for JSON."""
        headers = list(headers)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.append(("content-type", "application/json"))
        if key:
            headers.append(("x-api-key", key))
        if body or method in ("POST", "PUT", "PATCH"):
            headers.append(("content-length", str(len(body or b""))))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.putrequest(method, self.path + target, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value.encode())
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, {n.lower(): v for n, v in answer.getheaders()}, answer.read().decode()
        finally:
            connection.close()

    def function(self, short):
        return self.out[f"{short}FunctionName"]

    def invoke(self, short, event):
        """The function by its alias: its answer, or Wrong with its error."""
        answer = self.lam.invoke(FunctionName=f"{self.function(short)}:live", Payload=json.dumps(event).encode())
        payload = json.loads(answer["Payload"].read() or b"null")
        if answer.get("FunctionError"):
            raise Wrong(f"{short} failed: {payload}")
        return payload

    def run_hour(self, scheduled_time, wait=True):
        """What the schedule does at a full hour, and the execution that comes of it."""
        self.invoke("Tick", {"scheduled_time": scheduled_time})
        arn = self.execution(scheduled_time)
        if not wait:
            return arn
        def ended():
            run = self.sfn.describe_execution(executionArn=arn)
            return run if run["status"] != "RUNNING" else None
        return wait_for(f"the run of {scheduled_time}", ended, 180)

    def execution(self, scheduled_time):
        name = f"run-{scheduled_time.split(':')[0]}"
        return self.out["StateMachineArn"].replace(":stateMachine:", ":execution:") + ":" + name

    def plan_all(self, span_s=900):
        """One pass over all shards, without the state machine."""
        return [self.invoke("Plan", {"run": "test", "at": "2026-11-22T13:00:00Z", "span_s": span_s, "shard": shard})
                for shard in range(16)]

    def log_lines(self, short):
        """What a function has said so far, as objects; lines that are no JSON as {"text"}."""
        group = f"/aws/lambda/{self.name}-{short.lower()}"
        lines, token = [], {}
        while True:
            page = self.logs.filter_log_events(logGroupName=group, **token)
            for event in page["events"]:
                try:
                    lines.append(json.loads(event["message"]))
                except ValueError:
                    lines.append({"text": event["message"]})
            if not page.get("nextToken"):
                return lines
            token = {"nextToken": page["nextToken"]}

    def depth(self, url):
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return sum(int(found.get(n, 0)) for n in (
            "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"))

    def listen(self, topic):
        """A queue that gets what a topic tells: its URL."""
        url = self.sqs.create_queue(QueueName=f"listen-{topic.lower()}")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = {"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": self.out[f"{topic}TopicArn"]}}}]}
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
        self.sns.subscribe(TopicArn=self.out[f"{topic}TopicArn"], Protocol="sqs", Endpoint=arn,
                           Attributes={"RawMessageDelivery": "true"})
        return url

    def told(self, url):
        """All that came to a listening queue since the last look."""
        found = []
        while True:
            messages = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
            if not messages:
                return found
            for message in messages:
                found.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


# --- tests: plain functions named test_..., run in order, counted --------------------------------------------------
def run_tests(names, words=()):
    """Runs what is named test_* in a module's globals(); words pick by part of a name. The last line: N passed, N failed."""
    passed, failed = 0, 0
    for name, test in list(names.items()):
        if not name.startswith("test_") or words and not any(word in name for word in words):
            continue
        began = time.monotonic()
        try:
            test()
            passed += 1
            print(f"ok      {name} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception as error:  # pylint: disable=broad-except # a test may fail in any way
            failed += 1
            at = error.__traceback__
            while at.tb_next:
                at = at.tb_next
            print(f"FAILED  {name}: {type(error).__name__}: {str(error)[:3000]} "
                  f"(line {at.tb_lineno} of {os.path.basename(at.tb_frame.f_code.co_filename)})", flush=True)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)
