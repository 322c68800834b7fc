"""The parts of deploy/hourbell.yaml that are rows of a table: methods, what the gateway answers itself, alarms. script/generate puts each
between its two marks; the models come from docs/openapi.yaml, the words of the answers from the table of problems in src/core/model.h."""
import re

INTEGRATION = ('!Sub "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${ApiAlias}/invocations"')


def lines_of(found, depth=2):
    """Nested dicts as YAML in block style; a value that is no dict is YAML already."""
    out = []
    for name, value in found.items():
        if isinstance(value, dict):
            out += [" " * depth + f"{name}:"] + lines_of(value, depth + 2)
        elif value is not None:
            out.append(" " * depth + f"{name}: {value}")
    return out


# --- methods ---------------------------------------------------------------------------------------------------------
RESOURCES = {"Create": "!Ref CreateResource", "Update": "!Ref UpdateResource", "Root": "!GetAtt RestApi.RootResourceId",
             "Proxy": "!Ref ProxyResource"}


def method(resource, verb, model=None):
    return {"Type": "AWS::ApiGateway::Method", "Properties": {
        "RestApiId": "!Ref RestApi", "ResourceId": RESOURCES[resource], "HttpMethod": verb,
        "AuthorizationType": "!If [IsKey, CUSTOM, AWS_IAM]", "AuthorizerId": "!If [IsKey, !Ref Authorizer, !Ref AWS::NoValue]",
        "ApiKeyRequired": "!If [HasMetering, true, false]",
        "RequestValidatorId": "!Ref Validator" if model else None,
        "RequestModels": f"{{application/json: !Ref {model}}}" if model else None,
        "Integration": {"Type": "AWS_PROXY", "IntegrationHttpMethod": "POST", "Uri": INTEGRATION}}}


def methods():
    return {"CreatePost": method("Create", "POST", "CreateDeviceModel"), "UpdatePost": method("Update", "POST", "UpdateDeviceModel"),
            **{f"{name}Any": method(name, "ANY") for name in RESOURCES}}


# --- what the gateway answers itself ----------------------------------------------------------------------------------
# name: response type, problem (with keys, with Iam, where they differ), detail, headers of its own. A status is fixed but where a type stands
# for many. MissingToken is said of a path that is none; with Iam of a request without a signature, and then every path is one.
MESSAGE = "$context.error.messageString"
BASIC = {"WWW-Authenticate": 'Basic realm=\\"hourbell\\", charset=\\"UTF-8\\"'}
ANSWERS = {
    "Unauthorized": ("UNAUTHORIZED", "unauthorized", MESSAGE, BASIC),
    "AccessDenied": ("ACCESS_DENIED", "unauthorized", MESSAGE, BASIC),
    "MissingToken": ("MISSING_AUTHENTICATION_TOKEN", "not_found unauthorized", MESSAGE, {}),
    "InvalidSignature": ("INVALID_SIGNATURE", "unauthorized", MESSAGE, {}),
    "ExpiredToken": ("EXPIRED_TOKEN", "unauthorized", MESSAGE, {}),
    "BadBody": ("BAD_REQUEST_BODY", "invalid_member", '"$context.error.validationErrorString"', {}),
    "BadParameters": ("BAD_REQUEST_PARAMETERS", "invalid_parameter", MESSAGE, {}),
    "TooLarge": ("REQUEST_TOO_LARGE", "body_too_large", MESSAGE, {}),
    "MediaType": ("UNSUPPORTED_MEDIA_TYPE", "unsupported_media_type", MESSAGE, {}),
    "Throttled": ("THROTTLED", "rate_limited", MESSAGE, {"Retry-After": "1"}),
    "Quota": ("QUOTA_EXCEEDED", "rate_limited", MESSAGE, {"Retry-After": "3600"}),
    "PlanKey": ("INVALID_API_KEY", "internal", None, {}),
    "Default4xx": ("DEFAULT_4XX", "forbidden", MESSAGE, {}),
    "Default5xx": ("DEFAULT_5XX", "internal", None, {}),
}


def problem_document(code, detail, problems, indent):
    status, title = problems[code]
    return f""">-
{indent}{{"type":"urn:hourbell:problem:{code}","title":"{title}","status":{status},"code":"{code}",
{indent}"detail":{detail or f'"{title}"'},"request_id":"$context.requestId"}}"""


def answers(problems):
    out = {}
    for name, (kind, codes, detail, headers) in ANSWERS.items():
        codes = codes.split()
        statuses = [f'"{problems[code][0]}"' for code in codes]
        documents = [problem_document(code, detail, problems, " " * (10 if len(codes) == 1 else 12)) for code in codes]
        choice = "!If\n          - IsKey\n          - " + "\n          - ".join(documents)
        sent = {**headers, "Content-Type": "application/problem+json", "Cache-Control": "no-store"}
        out[name] = {"Type": "AWS::ApiGateway::GatewayResponse", "Properties": {
            "RestApiId": "!Ref RestApi", "ResponseType": kind, "StatusCode":
                None if kind.startswith("DEFAULT") else statuses[0] if len(codes) == 1 else f"!If [IsKey, {', '.join(statuses)}]",
            "ResponseParameters": {
                **{f"gatewayresponse.header.{header}": f'"\'{value}\'"' for header, value in sent.items()},
                "gatewayresponse.header.x-request-id": "context.requestId"},
            "ResponseTemplates": {"application/json": documents[0] if len(codes) == 1 else choice}}}
    return out


# --- alarms ----------------------------------------------------------------------------------------------------------
FUNCTIONS = ("Api", "Authorizer", "Tick", "Plan", "Deliver", "Report")
RUN_FAILED = "run.failed, the hour's run has not ended well; redrive the execution"
NOT_STARTED = "the hourly start did not get through"


def alarm(description, metric, seconds, dimensions=(), statistic="Sum", rule=">= 1", periods=1, missing="notBreaching"):
    """metric: namespace and name; dimensions: of the metric, {name: value}; rule: of the statistic of each period."""
    compare, threshold = rule.split()
    namespace, _, name = metric.rpartition(" ")
    listed = ", ".join(f"{{Name: {n}, Value: {v}}}" for n, v in dict(dimensions).items())
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": {
        "AlarmDescription": description, "Namespace": namespace, "MetricName": name, "Dimensions": f"[{listed}]" if listed else None,
        "Statistic": statistic, "Period": seconds, "EvaluationPeriods": periods, "Threshold": threshold,
        "ComparisonOperator": {">=": "GreaterThanOrEqualToThreshold", ">": "GreaterThanThreshold", "<": "LessThanThreshold"}[compare],
        "TreatMissingData": missing, "AlarmActions": "[!Ref OperatorsTopic]", "OKActions": "[!Ref OperatorsTopic]"}}


def alarms():
    run, group = {"StateMachineArn": "!Ref Hourly"}, {"ScheduleGroup": "!Ref ScheduleGroup"}
    own = "hourbell"
    found = {}
    for name in FUNCTIONS:
        found[f"{name}Errors"] = alarm(f"{name.lower()} has raised a fault of our own", "AWS/Lambda Errors", 60,
                                       {"FunctionName": f"!Ref {name}Fn", "Resource": f'!Sub "${{{name}Fn}}:live"'})
    for name in FUNCTIONS:
        found[f"{name}Throttles"] = alarm(f"{name.lower()} was refused by Lambda", "AWS/Lambda Throttles", 300,
                                          {"FunctionName": f"!Ref {name}Fn"})
    return {
        **found,
        "RunFailed": alarm(RUN_FAILED, "AWS/States ExecutionsFailed", 60, run),
        "RunTimedOut": alarm(RUN_FAILED, "AWS/States ExecutionsTimedOut", 60, run),
        "RunAborted": alarm(RUN_FAILED, "AWS/States ExecutionsAborted", 60, run),
        "RunMissing": alarm("no run has succeeded for two hours", "AWS/States ExecutionsSucceeded", 3600, run, rule="< 1", periods=2,
                            missing="breaching"),
        "DeadLetters": alarm("a wake-up or a tick could not be worked off", "AWS/SQS ApproximateNumberOfMessagesVisible", 60,
                             {"QueueName": "!GetAtt Dlq.QueueName"}, "Maximum", "> 0"),
        "Backlog": alarm("wake-ups wait for two hours", "AWS/SQS ApproximateAgeOfOldestMessage", 300,
                         {"QueueName": "!GetAtt Queue.QueueName"}, "Maximum", "> 7200"),
        "ScheduleDropped": alarm(NOT_STARTED, "AWS/Scheduler InvocationDroppedCount", 300, group),
        "ScheduleFailed": alarm(NOT_STARTED, "AWS/Scheduler TargetErrorCount", 300, group),
        "ScheduleLost": alarm(NOT_STARTED, "AWS/Scheduler InvocationsFailedToBeSentToDeadLetterCount", 300, group),
        "Api5xx": alarm("a client got 5xx", "AWS/ApiGateway 5XXError", 300, {"ApiName": "!Ref AWS::StackName", "Stage": "v1"}),
        "Uncertain": alarm("devices whose work is uncertain; see GET /work?state=uncertain", f"{own} hourbell_work", 900,
                           {"state": "uncertain"}, "Maximum"),
        "Dead": alarm("devices whose work is dead; see GET /work?state=dead", f"{own} hourbell_work", 900, {"state": "dead"}, "Maximum"),
        "Stopped": alarm("the downstream refuses our logon", f"{own} hourbell_attempts_total", 300, {"class": "stop"}),
        "BatchFailures": alarm("wake-ups of a batch failed", f"{own} hourbell_batch_failures_total", 300),
        "WakesLost": alarm("the queue did not take wake-ups; the next pass sends them again", f"{own} hourbell_wakes_lost_total", 300),
        "NoticesFailed": alarm("a topic did not take an event; the next pass tells it again", f"{own} hourbell_notices_failed_total", 300),
    }


# --- all ---------------------------------------------------------------------------------------------------------------
def fill(template, models, problems):
    """The template with what stands between its marks made anew."""
    parts = {"models": models, "methods": "\n".join(lines_of(methods())), "answers": "\n".join(lines_of(answers(problems))),
             "alarms": "\n".join(lines_of(alarms()))}
    for name, text in parts.items():
        mark = re.compile(rf"(  # generated: {name}\b[^\n]*\n).*?(  # end of {name}\n)", re.S)
        template, count = mark.subn(lambda found, text=text: f"{found[1]}{text}\n{found[2]}", template)
        if count != 1:
            raise ValueError(f"deploy/hourbell.yaml has no place for its {name}")
    return template
