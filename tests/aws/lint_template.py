#!/usr/bin/env python3
"""deploy/hourbell.yaml without deploying it: what looks across resources, or compares them with the program, so that no rule of Guard
(deploy/lint/hourbell.guard) can say it.

    lint_template.py [WORD...]     lint_template.py --machine     the definition of the hourly run, as JSON"""
import functools
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

import jsonschema
import yaml
from cfnlint.decode import cfn_yaml

from home import ROOT, Wrong, expect, run_tests

PATH = os.path.join(ROOT, "deploy/hourbell.yaml")
TEMPLATE = cfn_yaml.load(PATH)
RESOURCES = TEMPLATE["Resources"]
FUNCTIONS = ("Api", "Authorizer", "Tick", "Plan", "Deliver", "Report")
OWN = {"Fn::Sub": "hourbell/${AWS::StackName}"}


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def of_type(kind):
    return {name: found for name, found in RESOURCES.items() if found["Type"] == kind}


def properties(name):
    return RESOURCES[name]["Properties"]


def walk(node):
    yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(child)


def refs(node):
    """Logical ids and parameters that are named anywhere in it."""
    for one in walk(node):
        if isinstance(one, dict):
            found = one.get("Ref") or one.get("Fn::GetAtt")
            yield from [found] if isinstance(found, str) else found[:1] if found else []
            text = one.get("Fn::Sub", "")
            yield from re.findall(r"\$\{(\w+)[.}]", text if isinstance(text, str) else text[0])


# --- functions, rights -------------------------------------------------------------------------------------------------
def test_each_function_has_its_own_role_logs_version_and_alarms():
    roles = [json.dumps(f["Properties"]["Role"]) for f in of_type("AWS::Lambda::Function").values()]
    expect(len(set(roles)), len(FUNCTIONS), "roles")
    for short in FUNCTIONS:
        for other in ("Fn", "Logs", "Role", "Alias", "Errors", "Throttles", "Version00000000"):
            if short + other not in RESOURCES:
                raise Wrong(f"{short} has no {other}")
        expect(properties(f"{short}Fn")["Handler"], short.lower())
        expect(properties(f"{short}Fn")["LoggingConfig"]["LogGroup"], {"Ref": f"{short}Logs"})


def test_everything_goes_through_the_alias():
    for name, found in RESOURCES.items():
        if found["Type"] in ("AWS::Lambda::Version", "AWS::Lambda::Alias", "AWS::Lambda::EventInvokeConfig", "AWS::CloudWatch::Alarm",
                             "AWS::CloudWatch::Dashboard"):
            continue
        named = [r for r in refs(found.get("Properties", {})) if r.endswith("Fn") and r in RESOURCES]
        expect(named, [], f"{name} goes past the alias")


def statements(role):
    """Also those that stand under a condition."""
    for policy in properties(role).get("Policies", []):
        for one in policy["PolicyDocument"]["Statement"]:
            yield from one["Fn::If"][1:2] if "Fn::If" in one else [one]


def test_rights_on_everything_are_those_that_aws_knows_no_narrower():
    known = re.compile(r"xray:Put(TraceSegments|TelemetryRecords)|ec2:\w*(NetworkInterfaces?|PrivateIpAddresses|Subnets)|"
                       r"logs:(\w+LogDeliver(y|ies)|PutResourcePolicy|DescribeResourcePolicies|DescribeLogGroups)")
    for name in of_type("AWS::IAM::Role"):
        for one in statements(name):
            for action in [one["Action"]] if isinstance(one["Action"], str) else one["Action"]:
                if one["Resource"] == "*" and not known.fullmatch(action) or "*" in action and action != "sqs:SendMessage*":
                    raise Wrong(f"{name}: {action} on {one['Resource']}")


def test_the_environment_is_one_that_the_program_reads():
    names = set(re.findall(r'"(HOURBELL_AWS_\w+)"', read("src/home/lambda.h")))
    names |= {f"HOURBELL_{name.upper()}" for name in re.findall(r"^    (?:MS|INT|BYTES|BOOL|TEXT|SPANS)\((\w+),", read("src/core/settings.h"), re.M)}
    for short in FUNCTIONS:
        unknown = set(properties(f"{short}Fn")["Environment"]["Variables"]) - names
        expect(unknown, set(), short)


# --- relations of numbers ----------------------------------------------------------------------------------------------
def settings():
    return {name: int(value) for name, value in re.findall(r"^    (?:MS|INT)\((\w+), (\d+),", read("src/core/settings.h"), re.M)}


def test_times_are_in_the_right_relation():
    queue, deliver = properties("Queue"), properties("DeliverFn")["Timeout"]
    receives, seconds = queue["RedrivePolicy"]["maxReceiveCount"], queue["VisibilityTimeout"]
    delay_s = int(re.search(r"WAKE_DELAY_MAX_S (\d+)", read("src/home/lambda.h"))[1])
    for what, holds in {
            "the lease outlives its sender": settings()["lease"] / 1000 > deliver,
            "SAP may take its time within one call": deliver > settings()["write_timeout"] / 1000 + settings()["read_timeout"] / 1000,
            "a message stays hidden for six times its function's time": seconds >= 6 * deliver,
            "it gets to the DLQ before it ends": queue["MessageRetentionPeriod"] > receives * seconds + delay_s,
            "the DLQ keeps it longer": properties("Dlq")["MessageRetentionPeriod"] > queue["MessageRetentionPeriod"],
            "an age that rings can be reached": properties("Backlog")["Threshold"] < queue["MessageRetentionPeriod"],
            "the gateway waits longer than api works": properties("ApiFn")["Timeout"] < 29,
            "a run ends before the next one": properties("Hourly")["Definition"]["TimeoutSeconds"] < 3600,
            "a late tick is no tick of the next hour": properties("TickInvoke")["MaximumEventAgeInSeconds"] < 3600
            and properties("Schedule")["Target"]["RetryPolicy"]["MaximumEventAgeInSeconds"] < 3600}.items():
        if not holds:
            raise Wrong(f"not so: {what}")
    expect(properties("Schedule")["ScheduleExpression"], "cron(0 * * * ? *)")


def test_only_deliver_may_wake_itself():
    expect({n for n, f in of_type("AWS::Lambda::Function").items() if "RecursiveLoop" in f["Properties"]}, {"DeliverFn"})


def test_the_run_is_what_tick_and_plan_expect():
    shards = int(re.search(r"#define \w*SHARD\w* (\d+)", "".join(read(p) for p in glob.glob(os.path.join(ROOT, "src/core/*.h"))))[1])
    passes = properties("Hourly")["Definition"]["States"]["Passes"]
    expect(passes["ItemSelector"]["shards.$"], f"States.ArrayRange(0, {shards - 1}, 1)")
    expect(set(passes["ItemProcessor"]["States"]["Shards"]["ItemSelector"]), {"run.$", "at.$", "span_s.$", "shard.$"})
    if "null" in json.dumps(machine()):
        raise Wrong("CloudFormation refuses null")


# --- alarms ------------------------------------------------------------------------------------------------------------
@functools.cache
def emitted():
    """{(metric, dimension's name or None): its values, None = any}, of the sources."""
    source = "".join(read(path) for path in glob.glob(os.path.join(ROOT, "src/home/*.c")))
    found = {}
    for metric, label in re.findall(r'lambda_metric\(lambda, "(\w+)", (?:NULL|"(\w+)")', source):
        found[metric, label or None] = None
    for metric, label, value in re.findall(r'\{"(\w+)",\s*(?:NULL|"[^"]*"),\s*(?:NULL|"(\w+)"),\s*(?:NULL|"(\w+)"),\s*TALLY_', source):
        found.setdefault((metric, label or None), set()).add(value)
    found["hourbell_work", "state"] = set(re.findall(r'\[WORK_\w+\] = "(\w+)"', source))
    return found


def is_emitted(metric, dimensions):
    (label, value), = dimensions.items() or {None: None}.items()
    known = emitted().get((metric, label), ())
    return known is None or value in known or not dimensions and ("" in known)


def own(alarm):
    return alarm["Namespace"] == OWN


def test_alarms_watch_metrics_that_are_emitted_with_their_very_dimensions():
    watched = [a["Properties"] for a in of_type("AWS::CloudWatch::Alarm").values() if own(a["Properties"])]
    expect(len(watched), 6, "alarms on our own metrics")
    for alarm in watched:
        dimensions = {d["Name"]: d["Value"] for d in alarm.get("Dimensions", [])}
        if not is_emitted(alarm["MetricName"], dimensions):
            raise Wrong(f"nothing emits {alarm['MetricName']} {dimensions}")
    for short in FUNCTIONS:
        expect(properties(f"{short}Fn")["Environment"]["Variables"]["HOURBELL_AWS_NAMESPACE"], OWN, short)


def test_each_failure_has_its_alarm():
    """What operators have to know of: metric, statistic, rule, what silence means."""
    wanted = {
        **{(f"{short}{kind}"): (f"AWS/Lambda {kind}", ">= 1", "notBreaching") for short in FUNCTIONS for kind in ("Errors", "Throttles")},
        **{name: (f"AWS/States {metric}", ">= 1", "notBreaching") for name, metric in (
            ("RunFailed", "ExecutionsFailed"), ("RunTimedOut", "ExecutionsTimedOut"), ("RunAborted", "ExecutionsAborted"))},
        "RunMissing": ("AWS/States ExecutionsSucceeded", "< 1", "breaching"),
        "DeadLetters": ("AWS/SQS ApproximateNumberOfMessagesVisible", "> 0", "notBreaching"),
        "Backlog": ("AWS/SQS ApproximateAgeOfOldestMessage", "> 7200", "notBreaching"),
        "ScheduleDropped": ("AWS/Scheduler InvocationDroppedCount", ">= 1", "notBreaching"),
        "ScheduleFailed": ("AWS/Scheduler TargetErrorCount", ">= 1", "notBreaching"),
        "ScheduleLost": ("AWS/Scheduler InvocationsFailedToBeSentToDeadLetterCount", ">= 1", "notBreaching"),
        "Api5xx": ("AWS/ApiGateway 5XXError", ">= 1", "notBreaching"),
        **{name: (f"own {metric}", ">= 1", "notBreaching") for name, metric in (
            ("Uncertain", "hourbell_work"), ("Dead", "hourbell_work"), ("Stopped", "hourbell_attempts_total"),
            ("BatchFailures", "hourbell_batch_failures_total"), ("WakesLost", "hourbell_wakes_lost_total"),
            ("NoticesFailed", "hourbell_notices_failed_total"))}}
    sign = {"GreaterThanOrEqualToThreshold": ">=", "GreaterThanThreshold": ">", "LessThanThreshold": "<"}
    found = {}
    for name, alarm in of_type("AWS::CloudWatch::Alarm").items():
        a = alarm["Properties"]
        found[name] = (f"{'own' if own(a) else a['Namespace']} {a['MetricName']}", f"{sign[a['ComparisonOperator']]} {a['Threshold']}",
                       a["TreatMissingData"])
        expect((a["AlarmActions"], a["OKActions"]), ([{"Ref": "OperatorsTopic"}],) * 2, name)
    expect(found, wanted)
    expect(properties("RunMissing")["Period"] * properties("RunMissing")["EvaluationPeriods"], 7200)
    publishers = [s["Principal"].get("Service") for s in properties("OperatorsPolicy")["PolicyDocument"]["Statement"]]
    expect("cloudwatch.amazonaws.com" in publishers, True, "may alarms publish")


def test_the_dashboard_shows_metrics_that_exist_and_every_alarm():
    text = properties("Dashboard")["DashboardBody"]["Fn::Sub"]
    unknown = {name for name in refs({"Fn::Sub": text})} - set(RESOURCES)
    expect(unknown, set(), "resources")
    widgets = json.loads(text)["widgets"]
    for widget in widgets:
        for metric in widget["properties"].get("metrics", []):
            if metric[0] == OWN["Fn::Sub"] and not is_emitted(metric[1], dict([metric[2:4]])):
                raise Wrong(f"nothing emits {metric}")
    shown, = [w["properties"]["alarms"] for w in widgets if w["type"] == "alarm"]
    expect({a[2:-5] for a in shown}, set(of_type("AWS::CloudWatch::Alarm")))


# --- the API -----------------------------------------------------------------------------------------------------------
def test_the_deployment_is_a_picture_of_the_whole_api():
    deployment, = of_type("AWS::ApiGateway::Deployment").values()
    seen = set(deployment["DependsOn"]) | set(refs(deployment["Properties"]))
    expect({*of_type("AWS::ApiGateway::Method"), *of_type("AWS::ApiGateway::GatewayResponse")} - seen, set(), "it does not wait for")


def test_what_the_gateway_answers_itself_is_a_problem_document():
    for name, found in of_type("AWS::ApiGateway::GatewayResponse").items():
        texts, status = found["Properties"]["ResponseTemplates"]["application/json"], found["Properties"].get("StatusCode")
        both = isinstance(texts, dict)  # with keys, with Iam
        for text, wanted in zip(texts["Fn::If"][1:], status["Fn::If"][1:]) if both else [(texts, status)]:
            text = re.sub(r'"\$context[\w.]+"', '"text"', text)  # within quotes
            problem = json.loads(text.replace("$context.error.messageString", '"text"'))  # which brings its own
            expect(set(problem), {"type", "title", "status", "code", "detail", "request_id"}, name)
            expect(wanted or str(problem["status"]), str(problem["status"]), name)


CONTEXT = {"requestId", "extendedRequestId", "identity.sourceIp", "identity.apiKeyId", "authorizer.principalId", "requestTime", "httpMethod",
           "resourcePath", "status", "protocol", "responseLength", "responseLatency", "integrationLatency", "integrationErrorMessage",
           "authorizer.error", "error.responseType"}


def test_the_access_log_is_one_json_line_of_variables_that_exist():
    line = properties("Stage")["AccessLogSetting"]["Format"]
    expect({value.removeprefix("$context.") for value in json.loads(line).values()}, CONTEXT)


def model(name):
    schema = properties(f"{name}Model")["Schema"]
    jsonschema.Draft4Validator.check_schema(schema)
    return jsonschema.Draft4Validator(schema)


def bodies():
    """(model, body, status, where): every request of the stories to the two POSTs, and every example of the interface."""
    for path in sorted(glob.glob(os.path.join(ROOT, "tests/scenarios/*.txt"))):
        for found in re.finditer(r"^> POST /(create|update)-device\n((?:>.*\n)*)< (\d+)", read(path), re.M):
            text = " ".join(line[1:].strip() for line in found[2].splitlines() if not re.match(r"> [\w-]+: |>[|*]", line))
            if re.search(r"^>[|*]|^> content-type: (?!application/json)", found[2], re.M) or "${" in text or not text:
                continue  # bodies to the byte, other media types: the core's
            yield found[1].title() + "Device", text, int(found[3]), os.path.basename(path)
    api = yaml.safe_load(read("docs/openapi.yaml"))
    for short in ("create", "update"):
        content = api["paths"][f"/{short}-device"]["post"]["requestBody"]["content"]["application/json"]
        for name, example in content.get("examples", {"example": {"value": content.get("example")}}).items():
            yield short.title() + "Device", json.dumps(example["value"]), 200, f"openapi.yaml, {name}"


def test_models_refuse_nothing_that_the_core_takes_and_the_core_refuses_what_they_do():
    counts = {True: 0, False: 0}
    for name, text, status, where in bodies():
        try:
            taken = model(name).is_valid(json.loads(text))
        except ValueError:
            taken = False
        counts[taken] += 1
        if not taken and status not in (400, 401, 403):
            raise Wrong(f"{where}: the model refuses {text}, the core answers {status}")
    if counts[True] < 40 or counts[False] < 3:
        raise Wrong(f"only {counts} were looked at")


# --- the file ----------------------------------------------------------------------------------------------------------
def test_what_is_generated_is_up_to_date():
    done = subprocess.run([os.path.join(ROOT, "script/generate"), "--check"], capture_output=True, text=True, check=False)
    expect(done.returncode, 0, done.stderr)


def test_each_parameter_is_used_and_told_with_its_default():
    named = set(refs(TEMPLATE["Conditions"])) | set(refs(RESOURCES)) | set(refs(TEMPLATE["Outputs"]))
    docs = read("docs/aws.md")
    for name, parameter in TEMPLATE["Parameters"].items():
        if name not in named:
            raise Wrong(f"nothing uses {name}")
        row = re.search(rf"^\|[^|\n]*`{name}`[^|\n]*\| ([^|\n]*)\|", docs, re.M)
        if not row or str(parameter.get("Default", "")) not in row[1]:
            raise Wrong(f"docs/aws.md does not tell {name} with its default {parameter.get('Default')}")
    grouped = [n for g in TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"] for n in g["Parameters"]]
    expect(sorted(grouped), sorted(TEMPLATE["Parameters"]), "parameters in groups")


def test_sizes_are_within_the_limits():
    """CloudFormation quotas: 1 MB from S3 (51,200 B otherwise, which it exceeds: script and docs upload it), 500 resources, 200 each."""
    for what, size, limit in (("bytes", len(read("deploy/hourbell.yaml").encode()), 1 << 20), ("resources", len(RESOURCES), 500),
                              ("parameters", len(TEMPLATE["Parameters"]), 200), ("outputs", len(TEMPLATE["Outputs"]), 200)):
        if size > limit:
            raise Wrong(f"{size} {what}, {limit} are allowed")


# --- script/stamp --------------------------------------------------------------------------------------------------------
def stamped(archive=b"zip", template=None, **values):
    """{logical id without digits: digits} of a release."""
    with tempfile.TemporaryDirectory() as folder:
        root = os.path.join(folder, "script")
        os.makedirs(root), os.makedirs(os.path.join(folder, "deploy"))
        os.symlink(os.path.join(ROOT, "script/stamp"), os.path.join(root, "stamp"))
        for path, content in (("deploy/hourbell.yaml", (template or read("deploy/hourbell.yaml")).encode()), ("zip", archive),
                              ("values", json.dumps(values).encode())):
            with open(os.path.join(folder, path), "wb") as file:
                file.write(content)
        program = [sys.executable, "-B", os.path.join(root, "stamp")]
        def run(*words):
            return subprocess.run([*program, *words], capture_output=True, text=True, check=False)
        done = run(f"{folder}/zip", f"{folder}/values")
        expect(done.returncode, 0, done.stderr)
        with open(f"{folder}/out", "w", encoding="utf-8") as file:
            file.write(done.stdout)
        expect(run("--check", f"{folder}/out", f"{folder}/zip", f"{folder}/values").returncode, 0)
        with open(f"{folder}/out", "a", encoding="utf-8") as file:
            file.write("# changed\n")
        expect(run("--check", f"{folder}/out", f"{folder}/zip", f"{folder}/values").returncode, 1)
    found = dict(re.findall(r"^  (\w+Version|Deployment)([0-9a-f]{8}):", done.stdout, re.M))
    expect(len(found), 7, "stamps")
    for name, digits in found.items():
        if name != "Deployment":
            function = re.search(rf"^  {name.removesuffix('Version')}Fn:.*?release (\w+)", done.stdout, re.M | re.S)
            expect(function[1], digits, name)  # else Lambda would say that there is nothing new to publish
    return found


@functools.cache
def unchanged():
    return stamped()


def changed(**more):
    before, after = unchanged(), stamped(**more)
    return {name for name in before if before[name] != after[name]}


def test_stamps_change_with_what_they_are_a_picture_of_and_with_nothing_else():
    versions = {f"{short}Version" for short in FUNCTIONS}
    text = read("deploy/hourbell.yaml")
    expect(changed(), set(), "the same release")
    expect(changed(archive=b"other"), versions, "another zip")
    expect(changed(template=text.replace("Timeout: 25", "Timeout: 24")), {"ApiVersion"}, "one function")
    expect(changed(template=text.replace('"minLength": 1', '"minLength": 2')), {"Deployment"}, "a model")
    expect(changed(DownstreamRps="7"), {"ApiVersion", "PlanVersion", "DeliverVersion", "ReportVersion"}, "a setting")
    expect(changed(ThrottleRate="7", LogDays="7"), set(), "what no snapshot holds")
    expect(changed(ConsoleOrigin="https://a.example.com"), {"ApiVersion", "Deployment"}, "the console")
    expect(changed(VpcEndpointIds="vpce-0123456789abcdef0"), {"Deployment"}, "a policy")
    expect(changed(AuthType="Iam"), {"ApiVersion", "Deployment"}, "who checks")


def machine():
    found = properties("Hourly")
    names = {"${" + name + "}": f"arn:aws:lambda:eu-central-1:123456789012:function:{name}:live" for name in found["DefinitionSubstitutions"]}
    text = json.dumps(found["Definition"])
    for name, value in names.items():
        text = text.replace(name, value)
    return json.loads(text)


if __name__ == "__main__":
    if sys.argv[1:] == ["--machine"]:
        print(json.dumps(machine(), indent=1))
        sys.exit()
    run_tests(globals(), sys.argv[1:])
