"""What no rig can show, looked at in an account: the stack of an environment as it is out there, or the first of its pilot. It makes one
device, holds it before it updates it, and takes the update back, so nothing is sent to SAP. The last line: N passed, N failed."""
import base64
import http.client
import json
import re
import time
import urllib.parse

import stack
import stack_set
from environment import Refused, client, say


class Failed(Exception):
    pass


class Stack:
    """One stack, its clients, and how to call its API."""

    def __init__(self, environment, key, url):
        self.key = key
        if environment.stack:
            self.make, self.region, self.name = client, environment.region, environment.stack
        else:
            account, self.region = environment.pilot[0], environment.regions[0]
            self.make = environment.in_account(account)
            self.name = stack_set.stack_name(stack_set.instances(environment)[account, self.region])
        found = stack.described(self.client("cloudformation"), self.name)
        if not found:
            raise Refused(f"{self.name} is not there")
        self.out, self.parameters, self.since = stack.outputs(found), stack.parameters_now(found), found["CreationTime"].timestamp()
        if self.parameters.get("AuthType") == "Iam":
            raise Refused(f"{self.name} lets callers in by their signature: aws-smoke has none, it is for AuthType=Key")
        self.url = urllib.parse.urlsplit(url or self.out["Url"])

    def client(self, service):
        return self.make(service, self.region)

    def ask(self, method, target, body=None, key="", headers=None):
        """Status, headers by lower-case name, text. key: another than the operator's; None: nobody's."""
        kind = http.client.HTTPSConnection if self.url.scheme == "https" else http.client.HTTPConnection
        connection = kind(self.url.netloc, timeout=40)
        sent = dict(headers or {})
        if key is not None:
            sent["x-api-key"] = key or self.key
        if body is not None and "content-type" not in sent:
            sent["content-type"] = "application/json"
        try:
            connection.request(method, self.url.path + target, body if isinstance(body, (str, type(None))) else json.dumps(body), sent)
            answer = connection.getresponse()
            return answer.status, {n.lower(): v for n, v in answer.getheaders()}, answer.read().decode()
        finally:
            connection.close()

    def expect(self, status, method, target, body=None, code=None, **more):
        """The answer's headers and its object; Failed when it has another status or code, or is no problem document."""
        found, headers, text = self.ask(method, target, body, **more)
        if found != status:
            raise Failed(f"{method} {target}: {found}, not {status}: {text[:300]}")
        if code is not None:
            if headers.get("content-type") != "application/problem+json":
                raise Failed(f"{method} {target}: {headers.get('content-type')} {text[:300]}")
            problem = json.loads(text)
            if problem.get("code") != code or not problem.get("request_id"):
                raise Failed(f"{method} {target}: {text[:300]}")
        return headers, json.loads(text) if text else None


# --- the API ------------------------------------------------------------------------------------------------------------
def nobody_gets_in(s):
    for key in (None, "0123456789abcdef.wrong", "nonsense"):
        headers, _ = s.expect(401, "GET", "/devices", code="unauthorized", key=key)
        if "basic" not in headers.get("www-authenticate", "").lower():
            raise Failed(f"no WWW-Authenticate: {headers}")


def both_spellings_of_a_key(s):
    user, secret = s.key.split(".", 1)
    basic = "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()
    s.expect(200, "GET", "/devices?limit=1", key=None, headers={"authorization": basic})
    s.expect(200, "GET", "/devices?limit=1")


def what_the_gateway_does_not_know_comes_from_the_core(s):
    s.expect(404, "GET", "/no-such-route", code="not_found")
    s.expect(404, "GET", "/", code="not_found")
    s.expect(405, "GET", "/create-device", code="method_not_allowed")
    s.expect(405, "DELETE", "/devices", code="method_not_allowed")
    s.expect(415, "POST", "/create-device", "a=b", code="unsupported_media_type", headers={"content-type": "application/x-www-form-urlencoded"})


def models_and_caps_refuse(s):
    for body in ({}, {"device_name": "x", "more": 1}, {"device_name": 7}, "{"):
        status, headers, text = s.ask("POST", "/create-device", body)
        if status != 400 or headers.get("content-type") != "application/problem+json" or "code" not in json.loads(text):
            raise Failed(f"{body}: {status} {text[:300]}")
    s.expect(413, "POST", "/update-device", {"device_name": "x", "attributes": {"a": "b" * 70000}}, code="body_too_large")


def odd_paths_are_no_fault_of_ours(s):
    for target in ("/devices/%zz", "//devices", "/devices/%00", "/devices/a%2Fb"):
        status, _, text = s.ask("GET", target)
        if status >= 500:
            raise Failed(f"{target}: {status} {text[:300]}")


def the_life_of_a_device(s):
    name = time.strftime("smoke-%Y%m%dT%H%M%S", time.gmtime())
    path = f"/devices/{name}"
    s.expect(201, "POST", "/create-device", {"device_name": name, "owner": "smoke", "attributes": {"note": "by aws-smoke"}})
    s.expect(200, "POST", f"{path}/actions", {"action": "hold", "reason": "aws-smoke"})
    update, repeat = {"device_name": name, "attributes": {"note": "never sent"}}, {"idempotency-key": f"smoke-{time.time_ns()}"}
    first = s.ask("POST", "/update-device", update, headers=repeat)
    again = s.ask("POST", "/update-device", update, headers=repeat)
    if first[0] != 202 or (first[0], first[2]) != (again[0], again[2]):
        raise Failed(f"{first} and, repeated, {again}")
    seq = json.loads(first[2])["seq"]
    s.expect(200, "POST", f"{path}/actions", {"action": "cancel", "seq": seq, "reason": "aws-smoke"})
    _, found = s.expect(200, "GET", f"{path}/updates/{seq}")
    if found["state"] != "cancelled":
        raise Failed(f"{found}")
    s.expect(200, "GET", f"{path}/log")


def the_access_log_knows_a_request(s):
    headers, _ = s.expect(200, "GET", "/devices?limit=1")
    request, logs, end = headers["x-request-id"], s.client("logs"), time.time() + 120
    while time.time() < end:
        found = logs.filter_log_events(logGroupName=f"/aws/apigateway/{s.name}", filterPattern=f'"{request}"')["events"]
        if found:
            line = json.loads(found[0]["message"])
            if line.get("status") != "200":
                raise Failed(f"{line}")
            return
        time.sleep(5)
    raise Failed(f"no line of {request} within two minutes")


# --- what runs behind it -------------------------------------------------------------------------------------------------
def the_hour_is_named_by_the_schedule(s):
    runs = s.client("stepfunctions").list_executions(stateMachineArn=s.out["StateMachineArn"], maxResults=3)["executions"]
    if not runs:
        if time.time() - s.since > 2 * 3600:
            raise Failed("the stack is older than two hours, and nothing has run")
        return "no full hour has come yet: look again"
    for run in runs:
        started = run["startDate"].timestamp()
        if run["name"] not in [time.strftime("run-%Y-%m-%dT%H", time.gmtime(started - late)) for late in (0, 3600)]:
            raise Failed(f"{run['name']} was started {run['startDate']}: the schedule fills in another time")
        if run["status"] not in ("RUNNING", "SUCCEEDED"):
            raise Failed(f"{run['name']} is {run['status']}")
    hour = runs[0]["name"].removeprefix("run-")
    answer = s.client("lambda").invoke(FunctionName=f"{s.out['TickFunctionName']}:live", Payload=json.dumps({"scheduled_time": f"{hour}:00:00Z"}))
    if answer.get("FunctionError"):
        raise Failed(f"a doubled firing: {answer['Payload'].read()[:300]}")
    again = s.client("stepfunctions").list_executions(stateMachineArn=s.out["StateMachineArn"], maxResults=10)["executions"]
    if [run["name"] for run in again].count(runs[0]["name"]) != 1:
        raise Failed(f"{runs[0]['name']} ran twice")
    return f"the last is {runs[0]['name']}, {runs[0]['status']}"


def the_table_is_kept(s):
    ddb, name = s.client("dynamodb"), s.out["TableName"]
    backups = ddb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    ttl = ddb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    table = ddb.describe_table(TableName=name)["Table"]
    if backups["PointInTimeRecoveryStatus"] != "ENABLED" or ttl["TimeToLiveStatus"] != "ENABLED" or not table["DeletionProtectionEnabled"]:
        raise Failed(f"{backups} {ttl} deletion protection {table['DeletionProtectionEnabled']}")


def the_functions_are_what_was_built(s):
    lam = s.client("lambda")
    for role in ("Api", "Authorizer", "Tick", "Plan", "Deliver", "Report"):
        found = lam.get_function_configuration(FunctionName=s.out[f"{role}FunctionName"], Qualifier="live")
        if (found["Runtime"], found["Architectures"], found["State"]) != ("provided.al2023", [s.parameters["Architecture"]], "Active"):
            raise Failed(f"{role}: {found['Runtime']} {found['Architectures']} {found['State']}")


def deliver_may_wake_itself(s):
    if s.client("lambda").get_function_recursion_config(FunctionName=s.out["DeliverFunctionName"])["RecursiveLoop"] != "Allow":
        raise Failed("Lambda would stop it")


def the_mapping_keeps_the_downstream_safe(s):
    found = s.client("lambda").list_event_source_mappings(FunctionName=f"{s.out['DeliverFunctionName']}:live")["EventSourceMappings"]
    wanted = int(s.parameters["DownstreamConcurrency"])
    if len(found) != 1 or found[0]["State"] != "Enabled" or found[0]["ScalingConfig"]["MaximumConcurrency"] != wanted:
        raise Failed(f"{found}")


def cold_starts(s):
    """Measured, not judged."""
    found = []
    for role in ("api", "authorizer"):
        events = s.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{s.name}-{role}", filterPattern="initDurationMs",
                                                    startTime=int((time.time() - 86400) * 1000))["events"]
        found += [float(at) for event in events for at in re.findall(r'"initDurationMs": ?([\d.]+)', event["message"])]
    return f"{len(found)} in a day, median {sorted(found)[len(found) // 2]:.1f} ms" if found else "none in a day"


def nothing_rings_and_somebody_would_hear(s):
    pages = s.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=s.name)
    alarms = [alarm for page in pages for alarm in page["MetricAlarms"]]
    young = time.time() - s.since < 3 * 3600
    ringing = [a["AlarmName"] for a in alarms if a["StateValue"] == "ALARM" and not (young and "RunMissing" in a["AlarmName"])]
    if ringing or not alarms or not all(a["ActionsEnabled"] and a["AlarmActions"] for a in alarms):
        raise Failed(f"{len(alarms)} alarms, ringing: {ringing}")
    heard = s.client("sns").list_subscriptions_by_topic(TopicArn=s.out["OperatorsTopicArn"])["Subscriptions"]
    if not [one for one in heard if one["SubscriptionArn"].startswith("arn:")]:
        raise Failed("nobody has subscribed to the operators' topic")


def no_dead_letters(s):
    found = s.client("sqs").get_queue_attributes(QueueUrl=s.out["DlqUrl"], AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    if found["ApproximateNumberOfMessages"] != "0":
        raise Failed(f"{found['ApproximateNumberOfMessages']} dead letters")


def the_canary_has_flown(s):
    if s.parameters.get("Canary") != "yes":
        return "Canary=no"
    pages = s.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=s.name)
    found = {r["LogicalResourceId"]: r.get("PhysicalResourceId") for page in pages for r in page["StackResourceSummaries"]}
    deploy = s.client("codedeploy")
    for group in ("ApiDeployGroup", "AuthorizerDeployGroup"):
        last = deploy.get_deployment_group(applicationName=found["DeployApp"], deploymentGroupName=found[group])["deploymentGroupInfo"]
        status = last.get("lastAttemptedDeployment", {}).get("status", "none yet")
        if status not in ("Succeeded", "none yet"):
            raise Failed(f"{group}: {status}")
    return None


CHECKS = (nobody_gets_in, both_spellings_of_a_key, what_the_gateway_does_not_know_comes_from_the_core, models_and_caps_refuse,
          odd_paths_are_no_fault_of_ours, the_life_of_a_device, the_access_log_knows_a_request, the_hour_is_named_by_the_schedule,
          the_table_is_kept, the_functions_are_what_was_built, deliver_may_wake_itself, the_mapping_keeps_the_downstream_safe, cold_starts,
          nothing_rings_and_somebody_would_hear, no_dead_letters, the_canary_has_flown)


def smoke(environment, key, url=None, without=()):
    """Every check; True if none failed."""
    strange = set(without) - {check.__name__ for check in CHECKS}
    if strange:
        raise Refused(f"there is no check {', '.join(sorted(strange))}")
    found = Stack(environment, key, url)
    say(f"{found.name} in {found.region}, {found.url.geturl()}")
    passed, failed = 0, 0
    for check in CHECKS:
        name = check.__name__.replace("_", " ")
        if check.__name__ in without:
            print(f"left out {name}")
            continue
        try:
            words = check(found)
            passed += 1
            print(f"ok       {name}{f': {words}' if words else ''}", flush=True)
        except Exception as error:  # pylint: disable=broad-except # a check may fail in any way, the others go on
            failed += 1
            print(f"FAILED   {name}: {type(error).__name__ if not isinstance(error, Failed) else ''} {error}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return not failed and passed > 0
