#!/usr/bin/env python3
"""The rights in deploy/hourbell.yaml. Each is needed: take it away, and what needs it fails loudly: the client gets 5xx, the function
raises, or its log names what was denied. And they are those that the functions were seen to use, action by action and resource by
resource: nothing more, nothing less.

    test_iam.py [WORD...]     HOURBELL_BUILT: the folder of bootstrap and hourbell"""
import fnmatch
import json
import os
import re
import sys

import rights
from home import ROOT, Wrong, run_tests, wait_for
from stage import Stage

PORT = int(os.environ.get("RIG_PORT", "19000"))
BUILT = os.environ.get("HOURBELL_BUILT", os.path.join(ROOT, "build/dev"))
START_MS, HOUR_MS = 1763978700000, 3600000
stage = Stage(PORT, BUILT, "rights", members={"auth": {"type": "basic", "user": "secret:sap/user", "password": "secret:sap/password"}})
stage.home.put_secrets({"sap/user": "hourbell", "sap/password": "geheim"})
DENIED = re.compile(r"not authorized|AccessDenied|AuthorizationError", re.I)
# What MiniStack does not check (docs/aws.md, blind spots), or what no function of ours asks for by itself.
NOT_CHECKED = {
    "logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords", "kms:Decrypt",
    "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"}


def begin():
    """A device that waits for its hour, and one that has been delivered."""
    stage.set_clock(START_MS)
    stage.settings({"downstream_rps": 0})
    stage.wipe()
    stage.deliver("live/!system")  # proves the credentials towards SAP
    ask("POST", "/create-device", {"device_name": "Pump-7", "owner": "acme"})
    ask("POST", "/update-device", {"device_name": "Pump-7", "attributes": {"note": "1"}})


def ask(method, target, body=None):
    status, _, text = stage.home.ask(method, target, body, key=stage.operator)
    if status >= 500:
        raise Wrong(f"{method} {target}: {status} {text[:200]}")
    return text


def create():
    ask("POST", "/create-device", {"device_name": "Pump-8", "owner": "acme"})


def read():
    ask("GET", "/devices/Pump-7")


def read_log():
    ask("GET", "/devices/Pump-7/updates/1")


def read_work():
    ask("GET", "/work?state=dead")
    ask("GET", "/downstream")


def read_as_customer():
    key = json.loads(ask("POST", "/keys", {"owner": "acme", "role": "customer"}))
    status, _, text = stage.home.ask("GET", "/devices", key=key["credential"])
    if status != 200:
        raise Wrong(f"{status} {text}")


def deny_after_the_last_try():
    """An operator says that SAP has not got it, and no try is left, since fewer are allowed now: dead, and api tells operators."""
    for fault in ({"status": 423, "code": "CM_EQ/001", "message": "locked"}, {"drop": "before"}):
        stage.ask_sap("POST", "faults", json.dumps({"method": "WRITE", "times": 1, **fault}))
        deliver()
        stage.set_clock(stage.clock_ms + HOUR_MS)
    stage.settings({"downstream_rps": 0, "max_attempts": 1})
    stage.kill_functions()
    ask("POST", "/devices/Pump-7/actions", {"action": "deny", "reason": "not in IE03"})
    if stage.work_of("live/pump-7") != "dead":
        raise Wrong(f"it is not dead: {stage.item('live/pump-7')}")


def read_all():
    ask("GET", "/devices")


def deliver_now():
    ask("POST", "/devices/Pump-7/actions", {"action": "deliver_now", "reason": "test"})
    stage.set_clock(START_MS + HOUR_MS)
    ask("POST", "/devices/Pump-7/actions", {"action": "deliver_now", "reason": "test"})


def plan():
    stage.set_clock(START_MS + HOUR_MS)
    stage.plan()


def plan_untold():
    """Notices that api and deliver could not tell are due: one for a customer, one for operators."""
    for short, play in (("Api", create), ("Deliver", deliver_refused)):
        policy = take_away(short, "sns:Publish")
        play()
        give_back(short, policy)
    stage.set_clock(START_MS + 3 * HOUR_MS)
    stage.plan()


def deliver():
    stage.set_clock(max(stage.clock_ms, START_MS + HOUR_MS))
    answer = stage.deliver("live/pump-7")
    if answer["batchItemFailures"]:
        raise Wrong(f"{answer}")


def deliver_locked():
    """SAP says: later; the device is woken again by a message with a delay."""
    stage.ask_sap("POST", "faults", json.dumps({"method": "WRITE", "status": 423, "code": "CM_EQ/001", "message": "locked", "times": 1}))
    deliver()


def deliver_refused():
    """SAP refuses the logon: operators are told."""
    stage.ask_sap("POST", "faults", json.dumps({"method": "WRITE", "status": 401, "code": "", "message": "logon", "times": 1}))
    deliver()


def report():
    stage.home.invoke("Report", {"run": "2026-11-22T13", "planned": [], "passes": []})


def tick():
    stage.home.invoke("Tick", {"scheduled_time": f"2026-11-22T{len(CHECKED) % 24:02d}:00:00Z"})


CASES = [
    ("Api", "dynamodb:GetItem", read), ("Api", "dynamodb:BatchGetItem", read_all), ("Api", "dynamodb:Query", read_log),
    ("Api", "dynamodb:PutItem", create), ("Api", "dynamodb:UpdateItem", create), ("Api", "sns:Publish", create),
    ("Api", "sqs:SendMessage*", deliver_now),
    ("Authorizer", "dynamodb:GetItem", read), ("Authorizer", "ssm:GetParameter", read),
    ("Tick", "states:StartExecution", tick),
    ("Plan", "dynamodb:GetItem", plan), ("Plan", "dynamodb:Query", plan), ("Plan", "dynamodb:UpdateItem", plan_untold),
    ("Plan", "sqs:SendMessage*", plan), ("Plan", "sns:Publish", plan_untold),
    ("Deliver", "dynamodb:GetItem", deliver), ("Deliver", "dynamodb:Query", deliver), ("Deliver", "dynamodb:PutItem", deliver),
    ("Deliver", "dynamodb:UpdateItem", deliver), ("Deliver", "ssm:GetParameter", deliver), ("Deliver", "sqs:SendMessage*", deliver_locked), ("Deliver", "sns:Publish", deliver),
    ("Report", "dynamodb:GetItem", report), ("Report", "dynamodb:Query", report), ("Report", "dynamodb:PutItem", report),
    ("Report", "dynamodb:UpdateItem", report), ("Report", "sns:Publish", report),
]
CHECKED = []


def role_of(short):
    arn = stage.home.lam.get_function_configuration(FunctionName=stage.home.function(short))["Role"]
    return arn.rpartition("/")[2]


def policy_of(short):
    name = stage.home.iam.list_role_policies(RoleName=role_of(short))["PolicyNames"][0]
    document = stage.home.iam.get_role_policy(RoleName=role_of(short), PolicyName=name)["PolicyDocument"]
    return name, document if isinstance(document, dict) else json.loads(document)


def actions(statement):
    return statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]


def take_away(short, action):
    """The policy as it was."""
    name, document = policy_of(short)
    left = []
    for statement in document["Statement"]:
        kept = [a for a in actions(statement) if a != action]
        if kept:
            left.append({**statement, "Action": kept})
    if left == document["Statement"] or sum(map(len, map(actions, left))) == sum(map(len, map(actions, document["Statement"]))):
        raise Wrong(f"{short} has no {action}")
    stage.home.iam.put_role_policy(RoleName=role_of(short), PolicyName=name, PolicyDocument=json.dumps({**document, "Statement": left}))
    return name, document


def give_back(short, policy):
    stage.home.iam.put_role_policy(RoleName=role_of(short), PolicyName=policy[0], PolicyDocument=json.dumps(policy[1]))


def denials(short):
    return sum(1 for line in stage.home.log_lines(short) if DENIED.search(json.dumps(line)) and line.get("level") in ("WARN", "ERROR"))


ALSO_USED = (read_work, read_as_customer, deny_after_the_last_try, deliver_refused)


def test_with_its_rights_each_of_it_goes():
    before = {short: denials(short) for short in ("Api", "Authorizer", "Tick", "Plan", "Deliver", "Report")}
    for play in dict.fromkeys([play for _, _, play in CASES if play is not plan_untold] + list(ALSO_USED)):
        begin()
        play()
        CHECKED.append(play)
    for short, count in before.items():
        if denials(short) != count:
            raise Wrong(f"{short} was denied something")


def make(short, action, play):
    def test():
        begin()
        before = denials(short)
        policy = take_away(short, action)
        CHECKED.append(action)
        stage.kill_functions(short.lower())  # it keeps secrets for some minutes
        try:
            play()
        except Wrong:
            return  # raised, or 5xx: loud
        finally:
            give_back(short, policy)
        wait_for("a line of its log", lambda: denials(short) > before, 5)
    return test


for one in CASES:
    globals()[f"test_{one[0].lower()}_without_{re.sub('[^a-zA-Z]', '_', one[1])}"] = make(*one)


def test_each_right_of_the_template_has_its_case():
    missing = []
    for short in ("Api", "Authorizer", "Tick", "Plan", "Deliver", "Report"):
        for statement in policy_of(short)[1]["Statement"]:
            missing += [f"{short} {a}" for a in actions(statement)
                        if a not in NOT_CHECKED and not any(short == s and a == c for s, c, _ in CASES)]
    known = {"Tick sqs:SendMessage"}  # the failure destination: Lambda itself asks for it
    if set(missing) - known:
        raise Wrong(f"rights that nothing tests: {sorted(set(missing) - known)}")


def test_the_rights_are_those_that_were_used():
    """By what went through the fault proxy since the rig is up: this file's plays, and whatever was tested before them."""
    used = {tuple(one) for one in stage.proxy("GET", "used")}
    for short in ("Api", "Authorizer", "Tick", "Plan", "Deliver", "Report"):
        seen = {(action, resource) for handler, action, resource in used if handler == short.lower()}
        given = {one for one in rights.of_role(short) if one[0] not in NOT_CHECKED}
        if short == "Tick":
            given -= {("sqs:SendMessage", "Dlq")}  # Lambda's own: the failure destination
        more = {one for one in given if not any(fnmatch.fnmatch(str(other), str(one).replace("[", "[[]")) for other in seen)}
        less = {one for one in seen if not any(fnmatch.fnmatch(str(one), str(other).replace("[", "[[]")) for other in given)}
        if more or less:
            raise Wrong(f"{short} used and may not: {sorted(less)}; may and did not: {sorted(more)}")


if __name__ == "__main__":
    run_tests(dict(globals()), sys.argv[1:])
