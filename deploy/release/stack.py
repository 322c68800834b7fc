"""One stack: a change set that a person can look at, then that change set and no other is executed."""
import time

import botocore.exceptions

from environment import Refused, WAIT_S, say
from store import url

CAPABILITIES = ["CAPABILITY_NAMED_IAM"]
KEPT = ("AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::S3::Bucket", "AWS::SNS::Topic")  # what is lost or found by others, when replaced


def described(cfn, name):
    """The stack, or None."""
    try:
        return cfn.describe_stacks(StackName=name)["Stacks"][0]
    except botocore.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return None
        raise


def pairs(parameters):
    return [{"ParameterKey": k, "ParameterValue": v} for k, v in sorted(parameters.items())]


def parameters_now(stack):
    return {p["ParameterKey"]: p.get("ParameterValue", "") for p in (stack or {}).get("Parameters", [])}


def outputs(stack):
    return {o["OutputKey"]: o["OutputValue"] for o in (stack or {}).get("Outputs", [])}


def template_arguments(environment, release):
    """release without a template: the one that is out."""
    if not release.get("template"):
        return {"UsePreviousTemplate": True}
    _, partition = environment.account()
    return {"TemplateURL": url(environment.region, partition, environment.bucket(), release["template"])}


def role(environment):
    """Whose rights CloudFormation uses: its service role, else ours."""
    account, partition = environment.account()
    return {"RoleARN": f"arn:{partition}:iam::{account}:role/{environment.role}"} if environment.role else {}


def plan(environment, release):
    """A change set: its name, and its lines for people. None: there is nothing to change."""
    cfn = environment.client("cloudformation")
    stack = described(cfn, environment.stack)
    status = stack["StackStatus"] if stack else "REVIEW_IN_PROGRESS"
    if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"):
        raise Refused(f"the first deployment of {environment.stack} failed ({status}): delete that stack, its table is empty, and plan again")
    if status.endswith("IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
        raise Refused(f"{environment.stack} is being changed ({status})")
    name = time.strftime("release-%Y%m%dT%H%M%SZ", time.gmtime())
    cfn.create_change_set(
        StackName=environment.stack, ChangeSetName=name, ChangeSetType="CREATE" if status == "REVIEW_IN_PROGRESS" else "UPDATE",
        Parameters=pairs(release["parameters"]), Capabilities=CAPABILITIES, Description=release.get("commit", "-"),
        **template_arguments(environment, release), **role(environment))
    while True:
        found = cfn.describe_change_set(StackName=environment.stack, ChangeSetName=name)
        if not found["Status"].endswith(("PENDING", "IN_PROGRESS")):
            break
        time.sleep(min(WAIT_S, 3))
    if found["Status"] != "CREATE_COMPLETE":
        why = found.get("StatusReason", "")
        cfn.delete_change_set(StackName=environment.stack, ChangeSetName=name)
        if "didn't contain changes" in why or "No updates are to be performed" in why:
            return None, [f"{environment.stack}: nothing changes"]
        raise Refused(f"the change set of {environment.stack} failed: {why}")
    changes = list(found["Changes"])
    while found.get("NextToken"):
        found = cfn.describe_change_set(StackName=environment.stack, ChangeSetName=name, NextToken=found["NextToken"])
        changes += found["Changes"]
    return name, [f"{environment.stack}: change set {name}"] + [line(change["ResourceChange"]) for change in changes]


def line(change):
    replaced = {"True": " REPLACED", "Conditional": " replaced, perhaps"}.get(change.get("Replacement"), "")
    loud = "!! " if change["ResourceType"] in KEPT and (change["Action"] == "Remove" or replaced) else "   "
    return f"{loud}{change['Action']:7} {change['LogicalResourceId']:32} {change['ResourceType']}{replaced}"


def execute(environment, name):
    """The change set that was looked at."""
    cfn = environment.client("cloudformation")
    try:
        found = cfn.describe_change_set(StackName=environment.stack, ChangeSetName=name)
    except botocore.exceptions.ClientError as error:
        raise Refused(f"{environment.stack} has no change set {name} any more: plan again ({error})") from error
    if found.get("ExecutionStatus") not in (None, "AVAILABLE"):
        raise Refused(f"the change set {name} is {found['ExecutionStatus']}: the stack has changed since, plan again")
    say(f"{environment.stack}: executing {name}")
    began = time.time()
    cfn.execute_change_set(StackName=environment.stack, ChangeSetName=name)
    wait(environment, cfn, began)


def update(environment, parameters):
    """The template that is out, with these parameters."""
    cfn = environment.client("cloudformation")
    began = time.time()
    cfn.update_stack(StackName=environment.stack, UsePreviousTemplate=True, Parameters=pairs(parameters), Capabilities=CAPABILITIES,
                     **role(environment))
    wait(environment, cfn, began)


def wait(environment, cfn, began):
    """Until the stack is what it should be; what failed is said."""
    while True:
        time.sleep(min(WAIT_S, 3) if time.time() - began < 60 else WAIT_S)
        status = described(cfn, environment.stack)["StackStatus"]
        if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            say(f"{environment.stack}: {status}")
            return
        if not status.endswith("IN_PROGRESS"):
            for text in failures(cfn, environment.stack, began):
                say(f"  {text}")
            raise Refused(f"{environment.stack} is {status}: what failed stands above; the stack is as it was before")


def failures(cfn, name, since):
    events = cfn.describe_stack_events(StackName=name)["StackEvents"]
    return [f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason', '-')}" for e in reversed(events)
            if e.get("ResourceStatus", "").endswith("FAILED") and e["Timestamp"].timestamp() >= since - 5]
