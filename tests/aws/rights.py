"""Which rights a request of a function needs, and which ones deploy/hourbell.yaml gives: both as (action, resource), a resource by its logical
id in the template, with what stands behind it: Table, Table/index/work, parameter/operator_key."""
import functools
import json
import os
import re
import threading
from urllib.parse import parse_qs

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WRITES = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}


def logical(physical):
    """MiniStack calls a resource STACK-LOGICALID-DIGITS; some names are ARNs or URLs."""
    found = re.search(r"-([A-Z]\w*)-[0-9A-F]{12,}$", re.split("[:/]", physical)[-1])
    return found[1] if found else physical


def needed(service, target, body):
    """[(action, resource)] of one request, as IAM judges it."""
    if service == "sns":
        return [("sns:Publish", logical(parse_qs(body.decode())["TopicArn"][0]))]
    wanted = json.loads(body)
    if service == "sqs":
        return [("sqs:SendMessage", logical(wanted["QueueUrl"]))]  # IAM knows no SendMessageBatch
    if service == "ssm":
        return [("ssm:GetParameter", "parameter/" + "/".join(wanted["Name"].split("/")[2:]))]
    if service == "states":
        return [("states:StartExecution", logical(wanted["stateMachineArn"]))]
    if target == "TransactWriteItems":  # IAM knows no action for it either
        return [(f"dynamodb:{WRITES[kind]}", logical(one["TableName"])) for item in wanted["TransactItems"] for kind, one in item.items()]
    if target == "BatchGetItem":
        return [("dynamodb:BatchGetItem", logical(table)) for table in wanted["RequestItems"]]
    index = wanted.get("IndexName")
    return [(f"dynamodb:{target}", logical(wanted["TableName"]) + (f"/index/{index}" if index else ""))]


def handler_of(key):
    """Which function signs with this key: the process that does is waiting for its answer right now."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", encoding="utf-8", errors="replace") as file:
                variables = dict(one.partition("=")[::2] for one in file.read().split("\0"))
        except OSError:
            continue
        if variables.get("AWS_ACCESS_KEY_ID") == key and "_HANDLER" in variables:
            return variables["_HANDLER"]
    return None


class Used:
    """What functions have used: {(handler, action, resource)}."""

    def __init__(self):
        self.handlers, self.found, self.lock = {}, set(), threading.Lock()

    def note(self, authorization, service, target, body):
        key = re.search(r"Credential=([^/]+)/", authorization)[1]
        if key.startswith("ASIA"):  # a role's; tests themselves are root
            if not self.handlers.get(key):
                self.handlers[key] = handler_of(key)
            handler = self.handlers[key]
            used = {(handler, *one) for one in needed(service, target, body)}
            with self.lock:
                self.found |= used

    def all(self):
        with self.lock:
            return sorted(self.found, key=str)


# --- the template ------------------------------------------------------------------------------------------------------
def resource_of(node):
    """A resource of a statement: !GetAtt Table.Arn, !Ref Hourly, !Sub "${Table.Arn}/index/work", !Sub arn...parameter${SecretsPrefix}/sap/*"""
    if isinstance(node, str):
        return node
    if "Ref" in node or "Fn::GetAtt" in node:
        found = node.get("Ref") or node["Fn::GetAtt"]
        return (found if isinstance(found, str) else found[0]).split(".")[0]
    return re.sub(r"^.*\}(?=/)", lambda at: "parameter" if "Prefix" in at[0] else re.findall(r"\$\{(\w+)\.Arn\}", at[0])[-1], node["Fn::Sub"])


@functools.cache
def template():
    from cfnlint.decode import cfn_yaml  # slow to load, and the proxy does not need it
    return cfn_yaml.load(os.path.join(ROOT, "deploy/hourbell.yaml"))


def of_role(short):
    """{(action, resource)} of the role of a function; sqs:SendMessage* is SendMessage: MiniStack asks for the batch's own name."""
    found = set()
    for one in template()["Resources"][f"{short}Role"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]:
        if "Fn::If" not in one:
            actions, places = (x if isinstance(x, list) else [x] for x in (one["Action"], one["Resource"]))
            found |= {(action.rstrip("*"), resource_of(place)) for action in actions for place in places}
    return found
