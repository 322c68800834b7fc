#!/usr/bin/env python3
"""Faults planted into the templates, each of which must turn its rule of deploy/lint/hourbell.guard red, and only that one. A rule that
nothing turns red, or that finds nothing to look at in any template, would prove nothing.

    lint_faults.py [WORD...]     CFN_GUARD: the program (script/lint-aws)"""
import glob
import os
import re
import subprocess
import sys
import tempfile

from home import ROOT, Wrong, run_tests

GUARD = os.environ.get("CFN_GUARD", "cfn-guard")
RULES = os.path.join(ROOT, "deploy/lint/hourbell.guard")
TEMPLATES = [path for path in sorted(glob.glob(os.path.join(ROOT, "deploy/*.yaml")))
             if open(path, encoding="utf-8").read().startswith("AWSTemplateFormatVersion")]


def judge(path):
    """{rule: PASS, FAIL or SKIP}"""
    done = subprocess.run([GUARD, "validate", "-r", RULES, "-d", path, "--show-summary", "all"], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 19):
        raise Wrong(done.stdout[-500:] + done.stderr[-500:])
    return dict(re.findall(r"^hourbell\.guard/(\w+)\s+(PASS|FAIL|SKIP)$", done.stdout, re.M))


def within(name, pattern, replacement=""):
    """Change the first match in the definition of one resource."""
    def change(text):
        found = re.search(rf"^  {name}:.*?(?=^  \w|\Z)", text, re.M | re.S)
        new, count = re.subn(pattern, replacement, found[0], count=1, flags=re.M | re.S)
        if not count:
            raise Wrong(f"{name} has no {pattern}")
        return text[:found.start()] + new + text[found.end():]
    return change


# rule: template, changes that break it
HOME, CONSOLE = "hourbell", "console"
FAULTS = {
    "table_is_kept": (HOME, [
        within("Table", r"^    DeletionPolicy: Retain\n"), within("Table", r"^    UpdateReplacePolicy: Retain\n"),
        within("Table", "DeletionPolicy: Retain", "DeletionPolicy: Delete"),
        within("Table", r"^      DeletionProtectionEnabled: true\n"), within("Table", "PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false"),
        within("Table", r"^      PointInTimeRecoverySpecification[^\n]*\n"), within("Table", r"^      SSESpecification[^\n]*\n"),
        within("Table", "AttributeName: ttl_s", "AttributeName: ttl")]),
    "queue_is_encrypted": (HOME, [
        within("Queue", r"^      SqsManagedSseEnabled: true\n"), within("Dlq", ", SqsManagedSseEnabled: true"),
        within("Queue", r"^    DeletionPolicy[^\n]*\n"), within("Dlq", r"^    UpdateReplacePolicy[^\n]*\n")]),
    "queue_has_a_dlq": (HOME, [
        within("Queue", r"^      RedrivePolicy[^\n]*\n"), within("Queue", "maxReceiveCount: 5", "maxReceiveCount: 2"),
        within("Dlq", "MessageRetentionPeriod: 1209600", "MessageRetentionPeriod: 345600")]),
    "mapping_fails_one_by_one": (HOME, [
        within("DeliverSource", r"^      FunctionResponseTypes[^\n]*\n"), within("DeliverSource", "BatchSize: 1", "BatchSize: 10"),
        within("DeliverSource", r"^      ScalingConfig[^\n]*\n"), within("DeliverSource", "DeliverAlias", "DeliverFn")]),
    "log_group_has_retention": (HOME, [
        within("ApiLogs", ", RetentionInDays: !Ref LogDays"), within("HourlyLogs", r"^    DeletionPolicy[^\n]*\n"),
        within("AccessLogs", ", RetentionInDays: !Ref LogDays")]),
    "function_logs_json_into_its_group": (HOME, [
        within("PlanFn", "LogFormat: JSON", "LogFormat: Text"), within("PlanFn", ", LogGroup: !Ref PlanLogs"),
        within("PlanFn", r"^      TracingConfig[^\n]*\n"), within("PlanFn", "provided.al2023", "provided.al2"),
        within("PlanFn", r"^      Description[^\n]*\n")]),
    "function_has_no_inline_secret": (HOME, [
        within("DeliverFn", "        Variables:\n", "        Variables:\n          HOURBELL_SECRET_SAP_PASSWORD: geheim\n"),
        within("ApiFn", "        Variables:\n", "        Variables:\n          API_TOKEN: x\n")]),
    "version_is_kept": (HOME, [within("ApiVersion0+", r"^    DeletionPolicy[^\n]*\n"), within("TickVersion0+", r"^    UpdateReplacePolicy[^\n]*\n")]),
    "permission_names_who_calls": (HOME, [
        within("ApiPermission", r"^      SourceArn[^\n]*\n"), within("AuthorizerPermission", "AuthorizerAlias", "AuthorizerFn")]),
    "invoke_config_comes_after_its_alias": (HOME, [
        within("TickInvoke", r"^    DependsOn[^\n]*\n"), within("TickInvoke", r"^      DestinationConfig[^\n]*\n")]),
    "role_has_no_star": (HOME, [
        within("ApiRole", r"dynamodb:UpdateItem\], Resource: !GetAtt Table.Arn", 'dynamodb:UpdateItem], Resource: "*"'),
        within("TickRole", "states:StartExecution, Resource: !Ref Hourly", 'states:StartExecution, Resource: "*"'),
        within("PlanRole", "Action: sns:Publish", 'Action: "sns:*"'), within("ReportRole", "Action: sns:Publish", 'Action: "*"'),
        within("ReportRole", "Action: sns:Publish", "NotAction: sns:Publish")]),
    "role_stays_inside_a_boundary": (HOME, [within("DeliverRole", r"^      PermissionsBoundary[^\n]*\n")]),
    "service_is_trusted_for_this_account_alone": (HOME, [
        within("ScheduleRole", r"^            Condition[^\n]*\n"), within("HourlyRole", "aws:SourceAccount", "aws:SourceArn")]),
    "schedule_retries_and_has_a_dlq": (HOME, [
        within("Schedule", r"^        RetryPolicy[^\n]*\n"), within("Schedule", r"^        DeadLetterConfig[^\n]*\n"),
        within("Schedule", r"^      ScheduleExpressionTimezone: UTC\n"), within("Schedule", r"^      GroupName[^\n]*\n"),
        within("Schedule", "TickAlias", "TickFn"), within("Schedule", "scheduled-time>", "execution-id>"),
        within("Schedule", r"cron\([^\n]*", "rate(1 hour)")]),
    "name_has_no_colon": (HOME, [
        within("Schedule", "      GroupName", '      Name: "hourly:run"\n      GroupName'),
        within("Schedule", '"scheduled_time":', '"Name":"run-<aws.scheduler.scheduled-time>","scheduled_time":')]),
    "machine_remembers_names_and_logs_no_data": (HOME, [
        within("Hourly", "STANDARD", "EXPRESS"), within("Hourly", "IncludeExecutionData: false", "IncludeExecutionData: true"),
        within("Hourly", "TimeoutSeconds: 3540", "TimeoutSeconds: 7200")]),
    "method_asks_who_calls": (HOME, [
        within("ProxyAny", r"^      AuthorizerId[^\n]*\n"), within("CreatePost", r"AuthorizationType: [^\n]*", "AuthorizationType: NONE"),
        within("UpdatePost", r"^      ApiKeyRequired[^\n]*\n"), within("RootAny", "AWS_IAM", "NONE")]),
    "post_has_a_model": (HOME, [within("CreatePost", r"^      RequestModels[^\n]*\n"), within("UpdatePost", r"^      RequestValidatorId[^\n]*\n")]),
    "preflight_exists_for_the_console_alone": (HOME, [
        within("ProxyPreflight", r"^    Condition[^\n]*\n"), within("CreatePreflight", "Type: MOCK", "Type: HTTP")]),
    "gateway_answers_as_the_core_does": (HOME, [
        within("Throttled", r"^        gatewayresponse.header.Content-Type[^\n]*\n"), within("BadBody", '"code":"invalid_member",', ""),
        within("Default5xx", ',"request_id":"[$]context.requestId"', "")]),
    "stage_logs_and_throttles": (HOME, [
        within("Stage", r"^      AccessLogSetting:.*?\n(?=      Method)"), within("Stage", "TracingEnabled: true", "TracingEnabled: false"),
        within("Stage", "DataTraceEnabled: false", "DataTraceEnabled: true"), within("Stage", r"^          ThrottlingRateLimit[^\n]*\n"),
        within("Stage", "LoggingLevel: ERROR", "LoggingLevel: INFO"), within("Stage", r"\$context.requestId", "-")]),
    "alarm_tells_somebody": (HOME, [
        within("RunFailed", r"^      AlarmActions[^\n]*\n"), within("DeadLetters", r"AlarmActions: [^\n]*", "AlarmActions: []"),
        within("Backlog", r"^      OKActions[^\n]*\n"), within("Dead", r"^      TreatMissingData[^\n]*\n")]),
    "silence_of_the_run_is_an_alarm": (HOME, [within("RunMissing", "TreatMissingData: breaching", "TreatMissingData: notBreaching")]),
    "bucket_is_closed": (CONSOLE, [
        within("Files", "RestrictPublicBuckets: true", "RestrictPublicBuckets: false"), within("Files", r"^      BucketEncryption[^\n]*\n"),
        within("Files", "Status: Enabled}", "Status: Suspended}"), within("Files", r"^    DeletionPolicy[^\n]*\n")]),
    "bucket_refuses_plain_http": (CONSOLE, [within("FilesPolicy", r"^            Condition: {Bool[^\n]*\n")]),
    "distribution_speaks_tls_alone": (CONSOLE, [
        within("Distribution", "redirect-to-https", "allow-all"), within("Distribution", r"^          ResponseHeadersPolicyId[^\n]*\n"),
        within("Distribution", r"^            OriginAccessControlId[^\n]*\n")]),
}


def make(rule, template, changes):
    def test():
        path = os.path.join(ROOT, f"deploy/{template}.yaml")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for i, change in enumerate(changes):
            with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
                file.write(change(text))
                file.flush()
                red = {name for name, found in judge(file.name).items() if found == "FAIL"}
            if red != {rule}:
                raise Wrong(f"change {i} turned red: {sorted(red) or 'nothing'}")
    return test


for one, (where, made) in FAULTS.items():
    globals()[f"test_{one}"] = make(one, where, made)


def test_each_rule_has_its_faults_and_something_to_look_at():
    with open(RULES, encoding="utf-8") as file:
        rules = set(re.findall(r"^rule (\w+)", file.read(), re.M))
    if rules != set(FAULTS):
        raise Wrong(f"not the same: {sorted(rules ^ set(FAULTS))}")
    looked = {}
    for path in TEMPLATES:
        for rule, found in judge(path).items():
            looked.setdefault(rule, set()).add(found)
    wrong = {rule: found for rule, found in looked.items() if "PASS" not in found or "FAIL" in found}
    if wrong or set(looked) != rules:
        raise Wrong(f"{wrong}, {rules - set(looked)}")


if __name__ == "__main__":
    run_tests(dict(globals()), sys.argv[1:])
