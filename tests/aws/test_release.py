#!/usr/bin/env python3
"""script/release-aws as the pipeline calls it: one stack on MiniStack, with the pipeline's own rights; a stack set over two accounts and two
regions on moto (accounts.py). HOURBELL_BUILT: the programs' folder."""
import base64
import hashlib
import os
import subprocess
import sys
import tempfile

import yaml

from home import ACCOUNT, REGION, ROOT, Home, Wrong, make_zip, mapping, run_tests
sys.path.insert(0, os.path.join(ROOT, "tests"))
from e2e_scenarios import make_credential  # noqa: E402 # pylint: disable=wrong-import-position
from rollout import (ACCOUNTS, BOUNDARY, CODE, MINISTACK, OTHER, PILOT, PIPELINE_ROLE, PLACES, PORT, REGIONS, SUBJECT, client, in_account,
                     instances, make_buckets, make_roles, token)

BUILT = os.environ.get("HOURBELL_BUILT", os.path.join(ROOT, "build/dev"))
FOLDER = tempfile.TemporaryDirectory(prefix="hourbell-release-")


def write(name, text, mode="w"):
    path = os.path.join(FOLDER.name, name)
    with open(path, mode) as file:  # pylint: disable=unspecified-encoding # bytes, too
        file.write(text)
    return path


def environments(**found):
    return write("environments.yaml", yaml.safe_dump({
        "name": "hourbell", "code_prefix": CODE, "architecture": "x86_64", "environments": found}))


def release(*words, endpoint=MINISTACK, wrong=None, **environment):
    """script/release-aws: what it prints and says. wrong: words of the refusal that must come."""
    keys = {} if "AWS_ROLE_ARN" in environment else {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "root"}
    base = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run([os.path.join(ROOT, "script/release-aws"), *words], capture_output=True, text=True, check=False, env={
        **base, **keys, "AWS_ENDPOINT_URL": endpoint, "RELEASE_WAIT_S": "0.1", "ROTATE_WAIT_S": "0", "AWS_EC2_METADATA_DISABLED": "true",
        "RELEASE_ENVIRONMENTS": os.path.join(FOLDER.name, "environments.yaml"), **environment})
    text = done.stdout + done.stderr
    if wrong is None and done.returncode:
        raise Wrong(f"{words}: {done.returncode} {text}")
    if wrong is not None and (not done.returncode or wrong not in text or "Traceback" in text):
        raise Wrong(f"{words} should have been refused ({wrong}): {done.returncode} {text}")
    return text


def zip_file(name, **members):
    """A zip, each with a mapping of its own: its path."""
    return write(name, make_zip(os.path.join(BUILT, "bootstrap"), mapping("http://127.0.0.1:1", **members)), "wb")


STAGING = {"stack": "hourbell-staging", "region": REGION, "parameters": {
    "Canary": "no", "Metering": "no", "SecretsPrefix": "/hourbell/staging"}}


def start_staging(**parameters):
    """Nothing is out, the first zip is packaged: the zip's path."""
    make_buckets(MINISTACK)
    home = Home(PORT, "hourbell-staging")
    home.delete()
    environments(staging={**STAGING, "parameters": {**STAGING["parameters"], **parameters}})
    first = zip_file("first.zip")
    release("package", "staging", "--zip", first)
    return home, first


def live_code(home):
    """The sha256 of the code that `live` runs, as Lambda says it."""
    home.wait_for_stack(home.cfn.describe_stacks(StackName=home.name)["Stacks"][0]["StackStatus"])
    return home.lam.get_function(FunctionName=home.function("Api"), Qualifier="live")["Configuration"]["CodeSha256"]


def code_of(path):
    with open(path, "rb") as file:
        return base64.b64encode(hashlib.sha256(file.read()).digest()).decode()


def test_the_zip_goes_to_every_region_once_by_its_hash():
    environments(everywhere={"stack_set": "hourbell", "region": REGION, "pilot": [PILOT], "regions": REGIONS})
    make_buckets(MINISTACK)
    path = zip_file("everywhere.zip", timeout_ms=12345)
    said = release("package", "everywhere", "--zip", path)
    with open(path, "rb") as file:
        key = f"{hashlib.sha256(file.read()).hexdigest()}.zip"
    for region in REGIONS:
        if f"{CODE}-{region}/{key} sent" not in said:
            raise Wrong(said)
        client("s3", region=region).head_object(Bucket=f"{CODE}-{region}", Key=key)
    if " sent" in release("package", "everywhere", "--zip", path):
        raise Wrong("it was sent twice")


def test_a_zip_whose_program_may_not_run_is_refused():
    path = zip_file("plain.zip")
    with open(path, "r+b") as file:
        data = file.read().replace((0o100755 << 16).to_bytes(4, "little"), (0o100644 << 16).to_bytes(4, "little"))
        file.seek(0)
        file.write(data)
    release("package", "everywhere", "--zip", path, wrong="is not what make lambda builds")


def test_a_stack_is_planned_looked_at_and_applied():
    home, first = start_staging()
    said = release("plan", "staging", "--zip", first)
    for line in ("Add     Table", "Add     ApiFn", "change set release-"):
        if line not in said:
            raise Wrong(f"{line}: {said}")
    if home.cfn.describe_stacks(StackName=home.name)["Stacks"][0]["StackStatus"] != "REVIEW_IN_PROGRESS":
        raise Wrong("a plan has made something")
    release("apply", "staging")
    home.wait_for_stack("CREATE_COMPLETE")
    status, _, _ = home.ask("GET", "/devices")
    if status != 401:
        raise Wrong(f"{status}")
    release("apply", "staging", wrong="plan again")
    if "nothing changes" not in release("plan", "staging", "--zip", first):
        raise Wrong("the same release is a change")


def test_another_zip_rolls_out_and_back():
    home, first = start_staging()
    release("plan", "staging", "--zip", first)
    release("apply", "staging")
    home.wait_for_stack("CREATE_COMPLETE")
    second = zip_file("second.zip", timeout_ms=23456)
    release("package", "staging", "--zip", second)
    said = release("plan", "staging", "--zip", second)
    if "ApiVersion" not in said:
        raise Wrong(f"no new version: {said}")
    release("apply", "staging")
    if live_code(home) != code_of(second):
        raise Wrong("the second zip is not live")
    release("roll-back", "staging")
    if live_code(home) != code_of(first):
        raise Wrong("the first zip is not live again")
    if len(release("releases", "staging").splitlines()) < 3:
        raise Wrong(release("releases", "staging"))


def test_what_is_replaced_is_loud():
    home, first = start_staging()
    release("plan", "staging", "--zip", first)
    release("apply", "staging")
    home.wait_for_stack("CREATE_COMPLETE")
    template = write("small.yaml", "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n")
    environments(staging={**STAGING, "template": template, "parameters": {}})
    said = release("plan", "staging")
    if "!! Remove  Table" not in said:
        raise Wrong(said)


def test_what_fails_says_why_and_leaves_the_stack_as_it_was():
    home, first = start_staging()
    release("plan", "staging", "--zip", first)
    release("apply", "staging")
    home.wait_for_stack("CREATE_COMPLETE")
    lost = zip_file("lost.zip", timeout_ms=34567)
    release("plan", "staging", "--zip", lost)  # it was never packaged
    release("apply", "staging", wrong="what failed stands above")
    if live_code(home) != code_of(first):
        raise Wrong("the stack is not as it was")


def key_values(home):
    """{output: value of the key}, and what SSM holds."""
    home.wait_for_stack(home.cfn.describe_stacks(StackName=home.name)["Stacks"][0]["StackStatus"])
    keys = {name: home.gateway.get_api_key(apiKey=key, includeValue=True)["value"]
            for name, key in home.out.items() if name.startswith("PlanKey")}
    held = {role: home.ssm.get_parameter(Name=f"/hourbell/staging/plan_key/{role}", WithDecryption=True)["Parameter"]["Value"]
            for role in ("customer", "operator")}
    return keys, held


def check_keys(home, slot):
    keys, held = key_values(home)
    if sorted(keys) != [f"PlanKeyCustomer{slot}", f"PlanKeyOperator{slot}"]:
        raise Wrong(f"{sorted(keys)}")
    if held != {"customer": keys[f"PlanKeyCustomer{slot}"], "operator": keys[f"PlanKeyOperator{slot}"]}:
        raise Wrong(f"SSM does not hold the keys of slot {slot}")


def test_plan_keys_rotate_and_a_rotation_that_broke_off_goes_on():
    home, first = start_staging(Metering="yes")
    release("plan", "staging", "--zip", first)
    release("apply", "staging")
    check_keys(home, "A")
    code = live_code(home)
    release("rotate", "staging")
    check_keys(home, "B")
    if "nothing changes" not in release("plan", "staging", "--zip", first):
        raise Wrong("a release after a rotation undoes it")
    release("rotate", "staging")
    check_keys(home, "A")
    broken = subprocess.run([os.path.join(ROOT, "build/release/py/bin/python"), "-c", """
import sys
sys.path.insert(0, sys.argv[1])
import environment, plan_keys
plan_keys.set_slots(environment.environments(sys.argv[2])["staging"], "AB")
""", os.path.join(ROOT, "deploy/release"), os.path.join(FOLDER.name, "environments.yaml")], check=False, capture_output=True, text=True, env={
        **os.environ, "AWS_ENDPOINT_URL": MINISTACK, "AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "root", "RELEASE_WAIT_S": "0.1"})
    if broken.returncode:
        raise Wrong(broken.stderr)
    if "goes on with slot B" not in release("rotate", "staging"):
        raise Wrong("it began anew")
    check_keys(home, "B")
    if live_code(home) != code:
        raise Wrong("a rotation has rolled out code")


def test_without_usage_plans_there_is_nothing_to_rotate():
    _, first = start_staging()
    release("plan", "staging", "--zip", first)
    release("apply", "staging")
    release("rotate", "staging", wrong="nothing to rotate")


def test_the_pipeline_can_roll_out_with_its_own_rights_and_only_from_its_ref():
    home, first = start_staging()
    make_roles("/hourbell/staging")
    environments(staging={**STAGING, "role": "hourbell-cloudformation", "parameters": {
        **STAGING["parameters"], "Metering": "yes", "PermissionsBoundary": BOUNDARY}})
    who = {"AWS_ROLE_ARN": PIPELINE_ROLE, "AWS_ROLE_SESSION_NAME": "job-1"}
    other = write("token", token(SUBJECT.replace("main", "a-branch")))
    release("package", "staging", "--zip", first, wrong="AccessDenied", AWS_WEB_IDENTITY_TOKEN_FILE=other, **who)
    who["AWS_WEB_IDENTITY_TOKEN_FILE"] = write("token", token(SUBJECT))
    second = zip_file("pipeline.zip", timeout_ms=45678)
    release("package", "staging", "--zip", second, **who)
    release("plan", "staging", "--zip", second, **who)
    release("apply", "staging", **who)
    home.wait_for_stack("CREATE_COMPLETE")
    if live_code(home) != code_of(second):
        raise Wrong("the zip is not live")
    check_keys(home, "A")
    release("rotate", "staging", **who)
    check_keys(home, "B")


# --- aws-smoke, as far as MiniStack can stand in for an account ---------------------------------------------------------
WITHOUT = ("the_access_log_knows_a_request", "the_table_is_kept", "deliver_may_wake_itself")  # what MiniStack leaves out of a template


def smoke(home, key, wrong=None):
    return release("smoke", "staging", "--operator-key", key, "--url", home.url, "--without", *WITHOUT, wrong=wrong)


def test_the_smoke_of_an_account_is_green_and_turns_red():
    home, first = start_staging()
    credential = make_credential("smoke")
    home.put_secrets({"operator_key": credential}, "/hourbell/staging")
    key = write("operator.key", credential + "\n")
    release("plan", "staging", "--zip", first)
    release("apply", "staging")
    home.wait_for_stack("CREATE_COMPLETE")
    smoke(home, key, wrong="nobody has subscribed to the operators' topic")
    home.listen("Operators")
    said = smoke(home, key)
    if "ok       the life of a device" not in said or "0 failed" not in said:
        raise Wrong(said)
    home.sqs.send_message(QueueUrl=home.out["DlqUrl"], MessageBody="live/pump-7")
    smoke(home, key, wrong="FAILED   no dead letters:  1 dead letters")


# --- stack sets, on moto -----------------------------------------------------------------------------------------------
def everywhere(name, **more):
    make_buckets(ACCOUNTS)
    return {"stack_set": name, "region": REGION, "pilot": [PILOT], "accounts": [OTHER], "regions": REGIONS, **more}


def test_a_stack_set_goes_to_the_pilot_first():
    """deploy/baseline.yaml as it is."""
    environments(base=everywhere("hourbell-baseline", template="baseline.yaml"))
    said = release("plan", "base", endpoint=ACCOUNTS)
    if said.count("is made") != 4 or "is new" not in said:
        raise Wrong(said)
    release("apply", "base", endpoint=ACCOUNTS, wrong="--pilot")
    release("apply", "base", "--rest", endpoint=ACCOUNTS, wrong="the pilot does not have this release yet")
    release("apply", "base", "--pilot", endpoint=ACCOUNTS)
    if set(instances("hourbell-baseline")) != {(PILOT, region) for region in REGIONS}:
        raise Wrong(f"{instances('hourbell-baseline')}")
    release("apply", "base", "--rest", endpoint=ACCOUNTS)
    if set(instances("hourbell-baseline")) != PLACES:
        raise Wrong(f"{instances('hourbell-baseline')}")
    for account in (PILOT, OTHER):
        roles = [role["RoleName"] for role in in_account("iam", account, REGION).list_roles()["Roles"]]
        if sum("GatewayLogRole" in role for role in roles) != 2:
            raise Wrong(f"{account}: {roles}")


def test_hourbell_itself_in_two_accounts_and_two_regions_takes_its_zip_from_its_region():
    environments(production=everywhere("hourbell", parameters={"Canary": "no", "Metering": "no"}))
    path = zip_file("production.zip")
    release("package", "production", "--zip", path, endpoint=ACCOUNTS)
    release("plan", "production", "--zip", path, endpoint=ACCOUNTS)
    release("apply", "production", "--pilot", endpoint=ACCOUNTS)
    release("apply", "production", "--rest", endpoint=ACCOUNTS)
    if set(instances("hourbell")) != PLACES:
        raise Wrong(f"{instances('hourbell')}")
    for account, region in PLACES:
        tables = in_account("dynamodb", account, region).list_tables()["TableNames"]
        if len(tables) != 1 or not tables[0].startswith("StackSet-hourbell-"):
            raise Wrong(f"{account} {region}: {tables}")
        stack = in_account("cloudformation", account, region).describe_stacks(StackName=instances("hourbell")[account, region][1])["Stacks"][0]
        bucket = {p["ParameterKey"]: p["ParameterValue"] for p in stack["Parameters"]}["CodeBucket"]
        if bucket != f"{CODE}-{region}":
            raise Wrong(f"{account} {region}: {bucket}")


SMALL = """Parameters:
  FailIn: {Type: String, Default: ""}
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties: {DisplayName: "%s"}
"""


def topic_names():
    found = {}
    for account, region in PLACES:
        sns = in_account("sns", account, region)
        stack = instances("small")[account, region][1]
        arn = next(t["TopicArn"] for t in sns.list_topics()["Topics"] if stack in t["TopicArn"])
        found[account, region] = sns.get_topic_attributes(TopicArn=arn)["Attributes"]["DisplayName"]
    return found


def plan_small(text, **parameters):
    environments(small=everywhere("small", template=write("small.yaml", SMALL % text), parameters=parameters))
    return release("plan", "small", endpoint=ACCOUNTS)


def test_the_rest_follows_only_a_pilot_that_is_well_and_back_is_the_template_before():
    plan_small("one")
    release("apply", "small", "--pilot", endpoint=ACCOUNTS)
    release("apply", "small", "--rest", endpoint=ACCOUNTS)
    said = plan_small("two")
    if "+    Properties: {DisplayName: \"two\"}" not in said:
        raise Wrong(said)
    release("apply", "small", "--pilot", endpoint=ACCOUNTS)
    if topic_names() != {place: "two" if place[0] == PILOT else "one" for place in PLACES}:
        raise Wrong(f"{topic_names()}")
    watch = in_account("cloudwatch", PILOT, REGIONS[1])
    alarm = f"{instances('small')[PILOT, REGIONS[1]][1]}-ApiErrors-1"
    watch.put_metric_alarm(AlarmName=alarm, Namespace="x", MetricName="x", Period=60, EvaluationPeriods=1, Threshold=1, Statistic="Sum",
                           ComparisonOperator="GreaterThanThreshold")
    watch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a test")
    release("apply", "small", "--rest", endpoint=ACCOUNTS, wrong=f"rings: {alarm}")
    watch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="a test")
    release("apply", "small", "--rest", endpoint=ACCOUNTS)
    if set(topic_names().values()) != {"two"}:
        raise Wrong(f"{topic_names()}")
    plan_small("three")
    release("apply", "small", "--pilot", endpoint=ACCOUNTS)
    release("roll-back", "small", endpoint=ACCOUNTS)  # of a release that got no farther than the pilot
    if set(topic_names().values()) != {"two"}:
        raise Wrong(f"{topic_names()}")
    release("roll-back", "small", endpoint=ACCOUNTS)
    if set(topic_names().values()) != {"one"}:
        raise Wrong(f"{topic_names()}")


def test_a_region_that_fails_stops_the_roll_out_and_going_on_does_what_is_left():
    plan_small("three")
    release("apply", "small", "--pilot", endpoint=ACCOUNTS)
    release("apply", "small", "--rest", endpoint=ACCOUNTS)
    plan_small("four", FailIn=f"{PILOT}/{REGIONS[1]}")
    said = release("apply", "small", "--pilot", endpoint=ACCOUNTS, wrong="UPDATE FAILED")
    if f"{PILOT} {REGIONS[1]}" not in said:
        raise Wrong(said)
    release("apply", "small", "--rest", endpoint=ACCOUNTS, wrong=f"the pilot {PILOT} {REGIONS[1]} is OUTDATED")
    plan_small("four")
    release("apply", "small", "--pilot", endpoint=ACCOUNTS)
    release("apply", "small", "--rest", endpoint=ACCOUNTS)
    if set(topic_names().values()) != {"four"}:
        raise Wrong(f"{topic_names()}")


def test_an_account_that_comes_later_is_made_and_one_that_left_is_only_named():
    late = "444444444444"
    plan_small("five")
    release("apply", "small", "--pilot", endpoint=ACCOUNTS)
    release("apply", "small", "--rest", endpoint=ACCOUNTS)
    environments(small=everywhere("small", template=write("small.yaml", SMALL % "five"), accounts=[late]))
    said = release("plan", "small", endpoint=ACCOUNTS)
    if f"!! {OTHER} {REGION} is in the stack set" not in said or f"rest {late} {REGION}: is made" not in said:
        raise Wrong(said)
    release("apply", "small", "--rest", endpoint=ACCOUNTS)
    if set(instances("small")) != PLACES | {(late, region) for region in REGIONS}:
        raise Wrong(f"{instances('small')}")


if __name__ == "__main__":
    run_tests(globals(), sys.argv[1:])
