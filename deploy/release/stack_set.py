"""A stack set over accounts and regions. The pilot first; the rest only after it, when no alarm of the pilot rings. Each step can be run
again: it does what is left to do."""
import difflib
import time

import botocore.exceptions

from environment import Refused, WAIT_S, asks, say
from stack import CAPABILITIES, pairs, parameters_now, template_arguments
from store import text


def described(environment):
    """The stack set, or None."""
    try:
        return environment.client("cloudformation").describe_stack_set(StackSetName=environment.stack_set)["StackSet"]
    except botocore.exceptions.ClientError as error:
        if asks(error, "StackSetNotFoundException"):
            return None
        raise


def instances(environment):
    """{(account, region): instance}, all that exist."""
    pages = environment.client("cloudformation").get_paginator("list_stack_instances").paginate(StackSetName=environment.stack_set)
    return {(found["Account"], found["Region"]): found for page in pages for found in page["Summaries"]}


def stack_name(instance):
    return instance["StackId"].split(":stack/")[1].split("/")[0]


def is_out(environment, found, release):
    """Does the stack set have this template and these parameters?"""
    return found["TemplateBody"].strip() == text(environment, release["template"]).strip() and all(
        parameters_now(found).get(k) == v for k, v in release["parameters"].items())


def plan(environment, release):
    """Stack sets know no change sets: what a person can look at is the difference of templates and parameters, and where it goes."""
    found = described(environment)
    there = instances(environment) if found else {}
    lines = [f"{environment.stack_set}: {'changes' if found else 'is new'}"]
    before, now = parameters_now(found), release["parameters"]
    for key in sorted(set(before) | set(now)):
        if before.get(key) != now.get(key):
            lines.append(f"   parameter {key}: {before.get(key, '-')} -> {now.get(key, 'its default')}")
    if found:
        lines += difflib.unified_diff(found["TemplateBody"].splitlines(), text(environment, release["template"]).splitlines(),
                                      "template that is out", "template of this release", n=1, lineterm="")
    for role, accounts in (("pilot", environment.pilot), ("rest", environment.accounts)):
        for account in accounts:
            for region in environment.regions:
                lines.append(f"   {role} {account} {region}: {there[account, region]['Status'] if (account, region) in there else 'is made'}")
    wanted = {(a, r) for a in environment.pilot + environment.accounts for r in environment.regions}
    lines += [f"!! {account} {region} is in the stack set but not in {environment.name}: nothing deletes it"
              for account, region in sorted(set(there) - wanted)]
    return lines


def preferences(environment):
    """One account after the other, one region after the other; the first failure stops it."""
    return {"RegionConcurrencyType": "SEQUENTIAL", "RegionOrder": environment.regions, "FailureToleranceCount": 0, "MaxConcurrentCount": 1}


def wait(environment, operation):
    """Until an operation has ended; what failed is said."""
    cfn = environment.client("cloudformation")
    while True:
        found = cfn.describe_stack_set_operation(StackSetName=environment.stack_set, OperationId=operation)["StackSetOperation"]
        if found["Status"] == "SUCCEEDED":
            return
        if found["Status"] in ("FAILED", "STOPPED"):
            for result in cfn.list_stack_set_operation_results(StackSetName=environment.stack_set, OperationId=operation)["Summaries"]:
                say(f"  {result['Account']} {result['Region']}: {result['Status']} {result.get('StatusReason', '')}")
            raise Refused(f"{environment.stack_set}: {found['Action']} {found['Status']}; the stacks above are as they were before")
        time.sleep(WAIT_S)


def make(environment, accounts, there):
    """The instances that are missing, region by region; the code lies in a bucket of each region, so that much is overridden."""
    cfn = environment.client("cloudformation")
    has_code = "CodeBucket" in parameters_now(described(environment))
    for region in environment.regions:
        for account in accounts:
            if (account, region) in there:
                continue
            overrides = environment.overrides_of(account, region)
            if has_code:
                overrides["CodeBucket"] = environment.bucket(region)
            say(f"{environment.stack_set}: making {account} {region}")
            wait(environment, cfn.create_stack_instances(
                StackSetName=environment.stack_set, Accounts=[account], Regions=[region], ParameterOverrides=pairs(overrides),
                OperationPreferences={"FailureToleranceCount": 0, "MaxConcurrentCount": 1})["OperationId"])


def update(environment, release, targets):
    """The template and the parameters of the stack set, and the instances of targets with them; all others become OUTDATED."""
    accounts = sorted({account for account, _ in targets})
    say(f"{environment.stack_set}: updating {', '.join(accounts)}")
    wait(environment, environment.client("cloudformation").update_stack_set(
        StackSetName=environment.stack_set, Parameters=pairs(release["parameters"]), Capabilities=CAPABILITIES,
        Accounts=accounts, Regions=[r for r in environment.regions if any(r == region for _, region in targets)],
        OperationPreferences=preferences(environment), **roles(environment), **template_arguments(environment, release))["OperationId"])


def roles(environment):
    account, partition = environment.account()
    return {"AdministrationRoleARN": f"arn:{partition}:iam::{account}:role/{environment.prefix}-stackset-administration",
            "ExecutionRoleName": f"{environment.prefix}-stackset-execution", "ManagedExecution": {"Active": True}}


def roll_out(environment, release, accounts):
    """This release in these accounts."""
    found = described(environment)
    if not found:
        say(f"{environment.stack_set}: making the stack set")
        environment.client("cloudformation").create_stack_set(
            StackSetName=environment.stack_set, Parameters=pairs(release["parameters"]), Capabilities=CAPABILITIES,
            **roles(environment), **template_arguments(environment, release))
        found = described(environment)
    there = instances(environment)
    here = [place for place in there if place[0] in accounts and place[1] in environment.regions]
    if not is_out(environment, found, release):
        if not here:  # an update needs somebody to go to: they begin with what is out
            make(environment, accounts, there)
            here = [place for place in instances(environment) if place[0] in accounts]
        update(environment, release, here)
    else:
        behind = [place for place in here if there[place]["Status"] != "CURRENT"]
        if behind:
            update(environment, release, behind)
    make(environment, accounts, instances(environment))


def check_pilot(environment, release):
    """May the rest follow? Only when the pilot has this release in every region, and none of its alarms rings."""
    found = described(environment)
    if not found or not is_out(environment, found, release):
        raise Refused(f"{environment.stack_set}: the pilot does not have this release yet")
    there = instances(environment)
    for account in environment.pilot:
        clients = environment.in_account(account)
        for region in environment.regions:
            instance = there.get((account, region))
            if not instance or instance["Status"] != "CURRENT":
                raise Refused(f"the pilot {account} {region} is {instance['Status'] if instance else 'missing'}")
            pages = clients("cloudwatch", region).get_paginator("describe_alarms").paginate(AlarmNamePrefix=stack_name(instance))
            ringing = [alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"] if alarm["StateValue"] == "ALARM"]
            if ringing:
                raise Refused(f"the pilot {account} {region} rings: {', '.join(ringing)}")
    say(f"{environment.stack_set}: the pilot has this release, and none of its alarms rings")
