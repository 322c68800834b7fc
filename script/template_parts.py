"""The parts of deploy/hourbell.yaml that are rows of a table: methods, what the gateway answers itself, alarms, the dashboard, and the
deployment that follows from the first two. script/generate puts each between its two marks; the models come from docs/openapi.yaml, the words of the answers from the table of problems in src/core/model.h."""
import json
import re

INTEGRATION = ('!Sub "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${ApiAlias}/invocations"')


def lines_of(found, depth=2):
    """Nested dicts as YAML in block style; other values are YAML already, and a list has one dict."""
    out = []
    for name, value in found.items():
        if isinstance(value, dict):
            out += [" " * depth + f"{name}:"] + lines_of(value, depth + 2)
        elif isinstance(value, list):
            first, *rest = lines_of(value[0], depth + 4)
            out += [" " * depth + f"{name}:", " " * (depth + 2) + "- " + first.lstrip()] + rest
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


PREFLIGHT = {"Origin": "${ConsoleOrigin}", "Methods": "GET,POST,DELETE",
             "Headers": "authorization,content-type,idempotency-key,if-match,x-api-key"}


def preflight(resource):
    """What a browser asks before a page of the console may call; answered by the gateway itself, to everybody."""
    sent = {f"method.response.header.Access-Control-Allow-{name}": value for name, value in PREFLIGHT.items()}
    sent["method.response.header.Access-Control-Max-Age"] = "600"
    return {"Type": "AWS::ApiGateway::Method", "Condition": "HasConsole", "Properties": {
        "RestApiId": "!Ref RestApi", "ResourceId": RESOURCES[resource], "HttpMethod": "OPTIONS", "AuthorizationType": "NONE",
        "Integration": {
            "Type": "MOCK", "RequestTemplates": """{application/json: '{"statusCode": 204}'}""", "IntegrationResponses": [
                {"StatusCode": '"204"', "ResponseParameters": {name: quoted(value) for name, value in sent.items()}}]},
        "MethodResponses": [{"StatusCode": '"204"', "ResponseParameters": dict.fromkeys(sent, "true")}]}}


def quoted(value):
    """A constant of API Gateway's mapping."""
    return ("!Sub " if "${" in value else "") + f'"\'{value}\'"'


def methods():
    return {"CreatePost": method("Create", "POST", "CreateDeviceModel"), "UpdatePost": method("Update", "POST", "UpdateDeviceModel"),
            **{f"{name}Any": method(name, "ANY") for name in RESOURCES}, **{f"{name}Preflight": preflight(name) for name in RESOURCES}}


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
                **{f"gatewayresponse.header.{header}": quoted(value) for header, value in sent.items()},
                "gatewayresponse.header.x-request-id": "context.requestId",
                "gatewayresponse.header.Access-Control-Allow-Origin":
                    f"!If [HasConsole, {quoted('${ConsoleOrigin}')}, !Ref AWS::NoValue]"},
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
    own = '!Sub "hourbell/${AWS::StackName}"'
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


# --- the deployment: a snapshot of the API -------------------------------------------------------------------------------
def deployment(problems):
    """It comes after all that it is a picture of; DependsOn cannot name what exists on a condition, so its description does."""
    made = {**methods(), **answers(problems)}
    always = [name for name, one in made.items() if "Condition" not in one]
    preflights = " ".join(f"${{{name}}}" for name in made if name not in always)
    return {"Deployment00000000": {"Type": "AWS::ApiGateway::Deployment", "DependsOn": f"[{', '.join(always)}]", "Properties": {
        "RestApiId": "!Ref RestApi", "Description": f'!If [HasConsole, !Sub "preflights {preflights}", !Ref AWS::NoValue]'}}}


# --- dashboard -----------------------------------------------------------------------------------------------------------
def widget(title, metrics, statistic="Sum", seconds=300, width=8, **more):
    return {"type": "metric", "width": width, "height": 6, "properties": {
        "title": title, "region": "${AWS::Region}", "stat": statistic, "period": seconds, "metrics": metrics, **more}}


OWN = "hourbell/${AWS::StackName}"


def own_metrics(tallies, name):
    return [[OWN, name, label, value] for metric, label, value in tallies if metric == name]


def of_functions(metric):
    return [["AWS/Lambda", metric, "FunctionName", f"${{{name}Fn}}", {"label": name.lower()}] for name in FUNCTIONS]


def dashboard(tallies):
    api = ["ApiName", "${AWS::StackName}", "Stage", "v1"]
    queue, dead = ["QueueName", "${Queue.QueueName}"], ["QueueName", "${Dlq.QueueName}"]
    widgets = [
        widget("Devices by work", [[OWN, "hourbell_work", "state", state] for state in ("open", "flight", "uncertain", "dead")], "Maximum", 900),
        widget("Deliveries by end", own_metrics(tallies, "hourbell_deliveries_total"), seconds=3600),
        widget("Calls to SAP by outcome", own_metrics(tallies, "hourbell_attempts_total"), seconds=3600),
        widget("Requests", [["AWS/ApiGateway", "Count", *api], [".", "4XXError", *api], [".", "5XXError", *api]]),
        widget("Latency of the API, ms", [["AWS/ApiGateway", "Latency", *api, {"stat": stat}] for stat in ("p50", "p99")]),
        widget("Runs", [["AWS/States", f"Executions{end}", "StateMachineArn", "${Hourly}"] for end in ("Succeeded", "Failed", "TimedOut")],
               seconds=3600),
        widget("Functions: errors", of_functions("Errors")),
        widget("Functions: duration, ms", of_functions("Duration"), "p99"),
        widget("Queue", [["AWS/SQS", "ApproximateNumberOfMessagesVisible", *queue, {"label": "waiting"}],
                         [".", "ApproximateAgeOfOldestMessage", *queue, {"label": "oldest, s"}],
                         [".", "ApproximateNumberOfMessagesVisible", *dead, {"label": "dead"}]], "Maximum"),
        {"type": "alarm", "width": 24, "height": 4, "properties": {
            "title": "Alarms", "alarms": [f"${{{name}.Arn}}" for name in alarms()]}},
    ]
    lines = ",\n        ".join(json.dumps(one) for one in widgets)
    return {"Dashboard": {"Type": "AWS::CloudWatch::Dashboard", "Properties": {
        "DashboardName": "!Ref AWS::StackName", "DashboardBody": f"""!Sub |-
        {{"widgets": [
        {lines}]}}"""}}}


# --- all ---------------------------------------------------------------------------------------------------------------
def fill(template, models, problems, tallies):
    """The template with what stands between its marks made anew. problems: {code: (status, title)}; tallies: (metric, label, value)."""
    parts = {"models": models, "methods": "\n".join(lines_of(methods())), "answers": "\n".join(lines_of(answers(problems))),
             "deployment": "\n".join(lines_of(deployment(problems))), "alarms": "\n".join(lines_of(alarms())),
             "dashboard": "\n".join(lines_of(dashboard(tallies)))}
    for name, text in parts.items():
        mark = re.compile(rf"(  # generated: {name}\b[^\n]*\n).*?(  # end of {name}\n)", re.S)
        template, count = mark.subn(lambda found, text=text: f"{found[1]}{text}\n{found[2]}", template)
        if count != 1:
            raise ValueError(f"deploy/hourbell.yaml has no place for its {name}")
    return template
