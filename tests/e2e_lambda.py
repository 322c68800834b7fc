#!/usr/bin/env python3
"""The AWS home's program against a Runtime API with faults (tests/aws/runtime_api.py), and what of it needs no store. What needs
AWS's services is in tests/aws, run by `make test-aws`.

usage: tests/e2e_lambda.py BUILT-FOLDER [PART-OF-A-NAME...]"""
import base64
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time

import runner

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "aws"))
from runtime_api import Event, RuntimeApi  # noqa: E402

BUILT, WANTED = os.path.abspath(sys.argv[1]), sys.argv[2:]
BOOTSTRAP = os.environ.get("LAMBDA_BOOTSTRAP", os.path.join(BUILT, "bootstrap"))  # e.g. one of make lambda
TESTS = []
LINE_KEYS = {"timestamp", "level", "message", "service", "location", "function_name", "function_memory_size", "cold_start",
             "function_request_id", "function_arn", "xray_trace_id"}
HOUR = {"scheduled_time": "2026-11-22T13:00:00Z"}


def test(function):
    TESTS.append(function)
    return function


class Service:
    """Something of AWS on loopback. Who inherits it says what it answers: status and bytes."""

    def __init__(self):
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = service.answer(self.headers.get("X-Amz-Target", ""), body, self.headers)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def handle(self):
                try:
                    super().handle()
                except OSError:
                    pass  # the program is gone

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Aws(Service):
    """Stands for Step Functions and SSM: keeps what came, answers what it was told to."""

    def __init__(self, answers=None):
        self.calls, self.answers = [], answers or {}
        super().__init__()

    def answer(self, target, body, headers):
        target = target.split(".")[-1]
        self.calls.append((target, dict(headers), json.loads(body)))
        status, answer = self.answers.get(target, (200, {}))
        return status, json.dumps(answer).encode()


class Function:
    """A bootstrap under a Runtime API of ours."""

    def __init__(self, folder, handler, events, answers=None, environment=None, program=None):
        self.aws, self.api = Aws(answers), RuntimeApi(events)
        self.out, self.err = open(f"{folder}/out", "w+b"), open(f"{folder}/err", "w+b")
        variables = {"PATH": os.environ["PATH"], "AWS_LAMBDA_RUNTIME_API": self.api.address, "_HANDLER": handler,
                     "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKIDTEST", "AWS_SECRET_ACCESS_KEY": "secret",
                     "AWS_SESSION_TOKEN": "", "AWS_ENDPOINT_URL": self.aws.url, "LAMBDA_TASK_ROOT": ROOT,
                     "AWS_LAMBDA_FUNCTION_NAME": "hourbell-" + handler, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
                     "HOURBELL_AWS_TABLE": "t", "HOURBELL_AWS_QUEUE_URL": self.aws.url + "/123456789012/q",
                     "HOURBELL_AWS_SECRETS_PREFIX": "/hourbell/test",
                     "HOURBELL_AWS_STATE_MACHINE": "arn:aws:states:eu-central-1:123456789012:stateMachine:hourly"}
        variables.update(environment or {})
        variables = {name: value for name, value in variables.items() if value is not None}
        self.process = subprocess.Popen([program or BOOTSTRAP], stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err,
                                        env=variables, cwd=folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.api.events.put(None)
        self.api.close()
        self.aws.close()

    def ends(self, seconds=20):
        return self.process.wait(seconds)

    def lines(self):
        self.err.seek(0)
        return [json.loads(line) for line in self.err.read().splitlines()]

    def metrics(self):
        self.out.seek(0)
        return [json.loads(line) for line in self.out.read().splitlines()]


STARTED = {"StartExecution": (200, {"executionArn": "arn", "startDate": 1.0})}


def tick(folder, events, answers=None, **more):
    return Function(folder, "tick", events, STARTED if answers is None else answers, **more)


def proxy(method="GET", path="/devices", **more):
    event = {"resource": "/{proxy+}", "path": path, "httpMethod": method, "headers": {}, "multiValueHeaders": {},
             "queryStringParameters": None, "multiValueQueryStringParameters": None, "pathParameters": {"proxy": path[1:]},
             "stageVariables": None, "requestContext": {"requestId": "gw-1", "stage": "v1", "identity": {"sourceIp": "::1"}},
             "body": None, "isBase64Encoded": False}
    event.update(more)
    return event


def asked(method, path, body=None):
    """The same of a customer whom the authorizer has let in."""
    event = proxy(method, path, body=None if body is None else json.dumps(body))
    event["multiValueHeaders"] = {"Content-Type": ["application/json"], "Idempotency-Key": ["x-1"]} if body else {}
    event["requestContext"]["authorizer"] = {"key": "k_acme", "owner": "acme", "role": "customer", "realm": "live", "last_used_day": 99999999}
    return event


# --- the loop --------------------------------------------------------------------------------------------------------


@test
def every_framing_of_an_event_is_read(folder):
    framings = ("length", "chunked", "http10", "slow", "length")
    with tick(folder, [Event(HOUR, framing=framing) for framing in framings]) as f:
        f.api.wait(len(framings))
        for post in f.api.posts:
            assert post.path.endswith("/response"), post
            assert json.loads(post.body) == {"run": "run-2026-11-22T13", "started": True}, post


@test
def headers_are_found_in_any_case_and_only_the_id_is_needed(folder):
    odd = {"lambda-runtime-aws-REQUEST-id": "abc", "LAMBDA-RUNTIME-DEADLINE-MS": "9999999999999"}
    bare = Event(HOUR, headers=odd, without=("Lambda-Runtime-Aws-Request-Id", "Lambda-Runtime-Trace-Id",
                                             "Lambda-Runtime-Deadline-Ms", "Lambda-Runtime-Invoked-Function-Arn"))
    with tick(folder, [bare, Event(HOUR)]) as f:
        f.api.wait(2)
        assert f.api.posts[0].path == "invocation/abc/response", f.api.posts
        lines = [line for line in f.lines() if line["message"] == "run_started"]
        assert "xray_trace_id" not in lines[0] and "function_arn" not in lines[0], lines
        assert lines[1]["xray_trace_id"].startswith("Root=1-"), lines


@test
def a_post_that_is_refused_or_lost_is_survived(folder):
    says = ("400", "403", "413", "lost", "after", "slow", "202")
    with tick(folder, [Event(HOUR, post=say) for say in says]) as f:
        seen = len(says) + 1  # libcurl sends a lost one again on a fresh connection
        f.api.wait(len(says))
        deadline = time.monotonic() + 10
        while f.api.nexts < len(says) + 1 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert f.process.poll() is None and f.api.nexts == len(says) + 1, f.api.nexts
        assert len(f.api.posts) <= seen, len(f.api.posts)
        refused = [line["status"] for line in f.lines() if line["message"] == "post_failed"]
        assert refused[:3] == [400, 403, 413], refused


@test
def a_server_error_of_the_api_ends_the_process(folder):
    with tick(folder, [Event(HOUR, post="500")]) as f:
        assert f.ends() == 1


@test
def a_next_that_fails_ends_the_process_without_asking_again(folder):
    for event in (Event(HOUR, status=500), Event(HOUR, status=403), Event(HOUR, framing="cut"),
                  Event(HOUR, without=("Lambda-Runtime-Aws-Request-Id",))):
        with tick(folder, [event, Event(HOUR)]) as f:
            assert f.ends() == 1, event
            assert f.api.nexts == 1 and not f.api.posts, f.api.posts


@test
def an_own_fault_is_posted_with_a_type_that_the_api_takes(folder):
    with tick(folder, [Event({"scheduled_time": "<aws.scheduler.scheduled-time>"}), Event(b"{]"), Event(b"[1]"), Event(HOUR)],
              {"StartExecution": (400, {"__type": "AccessDeniedException", "message": "no"})}) as f:
        f.api.wait(4)
        for post in f.api.posts:
            assert post.path.endswith("/error"), post
            kind = post.headers["lambda-runtime-function-error-type"]
            assert re.fullmatch(r"(Runtime|Function)\.[A-Z][a-zA-Z]+", kind), kind
            said = json.loads(post.body)
            assert said["errorType"] == kind and said["errorMessage"] and said["stackTrace"] == [], said
        kinds = [json.loads(post.body)["errorType"] for post in f.api.posts]
        assert kinds == ["Function.InvalidEvent"] * 3 + ["Function.RunNotStarted"], kinds
        assert "AccessDeniedException" in json.loads(f.api.posts[3].body)["errorMessage"]


@test
def what_cannot_start_says_so_and_ends(folder):
    for environment, kind in (({"_HANDLER": "nobody"}, "Runtime.UnknownHandler"),
                              ({"HOURBELL_WINDOW": "1 fortnight"}, "Runtime.InvalidConfiguration"),
                              ({"HOURBELL_WIDNOW": "1h"}, "Runtime.InvalidConfiguration"),
                              ({"AWS_ACCESS_KEY_ID": None}, "Runtime.InvalidConfiguration")):
        with tick(folder, [Event(HOUR)], environment=environment) as f:
            assert f.ends() == 1, environment
            post, = f.api.posts
            assert post.path == "init/error" and post.headers["lambda-runtime-function-error-type"] == kind, post
            assert json.loads(post.body)["errorMessage"], post
    with tick(folder, [], environment={"AWS_LAMBDA_RUNTIME_API": None}) as f:
        assert f.ends() == 1


@test
def an_event_of_six_mebibytes_is_read(folder):
    big = dict(HOUR, filler="x" * (6 * 1024 * 1024 - 100))
    with tick(folder, [Event(big), Event(HOUR)]) as f:
        f.api.wait(2)
        assert all(post.path.endswith("/response") for post in f.api.posts)


@test
def one_connection_serves_all_invocations(folder):
    with tick(folder, [Event(HOUR) for _ in range(20)]) as f:
        f.api.wait(20)
        assert f.api.connections == 1, f.api.connections


@test
def sigterm_ends_it_at_once(folder):
    with tick(folder, [Event(HOUR)]) as f:
        f.api.wait(1)
        f.process.terminate()
        assert f.ends(5) == -15


# --- lines and metrics -------------------------------------------------------------------------------------------------


@test
def a_line_has_powertools_keys_and_the_cold_start_is_marked_once(folder):
    with tick(folder, [Event(HOUR), Event(HOUR)]) as f:
        f.api.wait(2)
        lines = [line for line in f.lines() if line["message"] == "run_started"]
        assert len(lines) == 2 and all(LINE_KEYS <= set(line) for line in lines), lines
        assert [line["cold_start"] for line in lines] == [True, False], lines
        assert lines[0]["level"] == "INFO" and lines[0]["function_memory_size"] == 128
        cold, = [metric for metric in f.metrics() if "hourbell_cold_starts_total" in metric]
        directive, = cold["_aws"]["CloudWatchMetrics"]
        assert directive == {"Namespace": "hourbell", "Dimensions": [["function"]],
                             "Metrics": [{"Name": "hourbell_cold_starts_total", "Unit": "Count"}]}, directive
        assert cold["function"] == "tick" and cold["hourbell_cold_starts_total"] == 1
    with tick(folder, [Event(HOUR)], environment={"HOURBELL_AWS_NAMESPACE": "hourbell/prod"}) as f:
        f.api.wait(1)
        assert {m["_aws"]["CloudWatchMetrics"][0]["Namespace"] for m in f.metrics()} == {"hourbell/prod"}, f.metrics()


@test
def neither_an_event_nor_a_secret_is_ever_logged(folder):
    secret = "hb_live_" + "a" * 38
    event = proxy(headers={"x-api-key": "k_aaaaaaaaaa." + secret}, body="zq-body-zq")
    event["multiValueHeaders"] = None
    with Function(folder, "api", [Event(event)], environment={"HOURBELL_LOG_LEVEL": "debug"}) as f:
        f.api.wait(1)
        said = json.dumps(f.lines()) + json.dumps(f.metrics())
        assert secret not in said and "zq-body-zq" not in said and "AKIDTEST" not in said, said


# --- tick ----------------------------------------------------------------------------------------------------------------


@test
def tick_starts_the_run_of_the_hour_with_an_input_that_the_hour_alone_decides(folder):
    with tick(folder, [Event({"scheduled_time": "2026-11-22T13:00:59Z"})]) as f:
        f.api.wait(1)
        (target, headers, call), = f.aws.calls
        assert target == "StartExecution" and headers["Authorization"].startswith("AWS4-HMAC-SHA256 "), headers
        assert "X-Amz-Security-Token" not in headers, "an empty session token is no header"
        assert call["name"] == "run-2026-11-22T13" and re.fullmatch("[0-9A-Za-z_-]{1,80}", call["name"])
        assert json.loads(call["input"]) == {
            "run": "2026-11-22T13", "report_at": "2026-11-22T13:57:00Z",
            "passes": [{"at": f"2026-11-22T13:{minute:02d}:00Z", "span_s": span}
                       for minute, span in ((0, 120), (2, 780), (15, 900), (30, 900), (45, 900))]}, call


@test
def tick_takes_a_doubled_firing_as_success(folder):
    answers = {"StartExecution": (400, {"__type": "com.amazonaws.states#ExecutionAlreadyExists", "message": "is there"})}
    with tick(folder, [Event(HOUR)], answers) as f:
        f.api.wait(1)
        assert json.loads(f.api.posts[0].body) == {"run": "run-2026-11-22T13", "started": False}


# --- what the gateway asks, as far as no store is needed --------------------------------------------------------------------


@test
def api_answers_401_as_an_answer_and_correlates(folder):
    with Function(folder, "api", [Event(proxy())]) as f:
        f.api.wait(1)
        answer = json.loads(f.api.posts[0].body)
        assert f.api.posts[0].path.endswith("/response") and answer["statusCode"] == 401, answer
        problem = json.loads(answer["body"])
        assert problem["code"] == "unauthorized" and problem["request_id"] == answer["headers"]["x-request-id"], answer
        assert answer["headers"]["content-type"] == "application/problem+json" and answer["isBase64Encoded"] is False
        line, = [line for line in f.lines() if line["message"] == "request"]
        assert line["correlation_id"] == "gw-1" and line["status"] == 401, line
        assert f.aws.calls == [], "init and a request without a credential touch no service"


@test
def api_takes_the_role_that_signed_where_aws_judges_signatures(folder):
    role = "arn:aws:iam::123456789012:role/"

    def signed(arn):
        event = proxy(path="/keys")
        event["requestContext"]["identity"] = {"userArn": arn}
        return Event(event)
    user = "arn:aws:sts::123456789012:assumed-role/%s/session"
    environment = {"HOURBELL_AWS_AUTH_TYPE": "Iam", "HOURBELL_AWS_OPERATOR_ROLE": role + "ops"}
    events = [signed(None), signed(user % "ops"), signed(user % "opsx"), signed("arn:aws:iam::123456789012:user/ops")]
    with Function(folder, "api", events, {"GetItem": (200, {}), "Query": (200, {"Items": []})}, environment) as f:
        f.api.wait(4)
        assert [json.loads(post.body)["statusCode"] for post in f.api.posts] == [401, 200, 401, 401], f.lines()
        asked = [call["Key"]["sk"]["S"] for target, _, call in f.aws.calls if target == "GetItem" and call["Key"]["pk"]["S"] == "KEY"]
        assert asked[0] == role + "ops" and role + "opsx" in asked, asked
    with Function(folder, "api", events[1:2], environment={"HOURBELL_AWS_OPERATOR_ROLE": role + "ops"}) as f:
        f.api.wait(1)
        assert json.loads(f.api.posts[0].body)["statusCode"] == 401, "with Key a signature says nothing"


@test
def authorizer_denies_who_shows_nothing_and_allows_the_first_operator(folder):
    # the checksum is base32 of SHA-256, as core/auth.c makes it
    import hashlib
    digits = "abcdefghijklmnopqrstuvwxyz234567"

    def base32(data, count):
        number = int.from_bytes(data, "big") >> (len(data) * 8 - count * 5)
        return "".join(digits[number >> 5 * (count - 1 - i) & 31] for i in range(count))
    secret = "hb_live_" + "b" * 32
    secret += base32(hashlib.sha256(secret.encode()).digest()[:4], 6)
    credential = "k_cccccccccc." + secret
    arn = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/v1/GET/devices"

    def ask(headers):
        return Event({"type": "REQUEST", "methodArn": arn, "headers": headers, "multiValueHeaders": None,
                      "requestContext": {"requestId": "gw-2"}})
    basic = "Basic " + base64.b64encode(credential.replace(".", ":").encode()).decode()
    answers = {"GetParameter": (200, {"Parameter": {"Name": "/hourbell/test/operator_key", "Value": credential}}),
               "GetItem": (200, {})}
    with Function(folder, "authorizer", [ask({}), ask({"X-Api-Key": credential}), ask({"authorization": basic}),
                                         ask({"x-api-key": credential[:-1] + "a"})], answers) as f:
        f.api.wait(4)
        said = [json.loads(post.body) for post in f.api.posts]
        effects = [answer["policyDocument"]["Statement"][0]["Effect"] for answer in said]
        assert effects == ["Deny", "Allow", "Allow", "Deny"], (said, f.lines())
        statement, = said[1]["policyDocument"]["Statement"]
        assert statement["Resource"] == "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/v1/*", statement
        assert said[1]["context"] == {"key": "k_cccccccccc", "owner": "", "role": "operator", "realm": "live",
                                      "last_used_day": 0}, said[1]
        assert said[1]["usageIdentifierKey"], said[1]


# --- uninitialised memory, and what is never given back: PLAIN_BOOTSTRAP names a bootstrap without sanitizers ---------------------------


def record(body):
    return {"messageId": "m-1", "receiptHandle": "r", "body": body, "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {}, "eventSource": "aws:sqs"}


def whole_life_of_each_function():
    """Handler, events, and what each is posted as; the store is empty, forgets what it takes, and fails once."""
    shard = {"run": "2026-11-22T13", "at": "2026-11-22T13:00:00Z", "span_s": 120, "shard": 3}
    return {
        "tick": [(HOUR, "response"), (b"{]", "error"), (HOUR, "response")],
        "api": [(proxy(), "response"), (asked("POST", "/create-device", {"device_name": "Pump-7", "attributes": {"note": "\u00e4"}}), "response"),
                (asked("POST", "/update-device", {"device_name": "Pump-8", "attributes": {"note": 1}}), "response"),
                (asked("GET", "/devices?limit=2"), "response"), (asked("GET", "/nothing"), "response"), ({}, "error")],
        "authorizer": [({"type": "REQUEST", "methodArn": "arn:aws:execute-api:x:1:a/v1/GET/devices", "headers": {"x-api-key": value},
                         "requestContext": {"requestId": "gw"}}, "response") for value in ("", "k_aaaaaaaaaa.hb_live_" + "a" * 38)],
        "plan": [(shard, "response"), ({**shard, "shard": 0}, "response"), ({**shard, "shard": 16}, "error")],
        "deliver": [({"Records": [record("live/pump-7"), record("")]}, "response"), ({"Records": []}, "error"), ({"Records": [record("!system")]}, "response")],
        "report": [({"run": "2026-11-22T13", "planned": [[{"woken": 3, "more": False}]]}, "response"), ({"run": 1}, "error")],
    }


def no_function_reads_what_nobody_wrote(folder):
    answers = {"GetItem": (200, {}), "Query": (200, {"Items": [], "Count": 0}), "GetParameter": (400, {"__type": "ParameterNotFound"}),
               **STARTED}
    program = f"{folder}/bootstrap"
    with open(program, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\nexec valgrind --quiet --error-exitcode=9 --track-origins=yes --leak-check=full "
                   "--show-leak-kinds=definite --errors-for-leak-kinds=definite \"--log-file=$VALGRIND_LOG\" "
                   f"'{os.path.abspath(os.environ['PLAIN_BOOTSTRAP'])}'\n")
    os.chmod(program, 0o755)
    secrets = {"GetParameter": (200, {"Parameter": {"Name": "x", "Value": "user:secret"}})}
    for handler, wanted in whole_life_of_each_function().items():
        log = f"{folder}/valgrind.{handler}"
        events = [Event(event, deadline_s=300) for event, _ in wanted] + [Event(HOUR, status=500)]  # the last one ends it
        more = secrets if handler == "deliver" else {}
        with Function(folder, handler, events, {**answers, **more}, {"VALGRIND_LOG": log}, program) as f:
            code = f.ends(300)
            with open(log, encoding="utf-8") as file:
                said = file.read()
            assert code == 1 and not said, (handler, code, said[-3000:])
            posted = [post.path.rsplit("/", 1)[1] for post in f.api.posts]
            assert posted == [kind for _, kind in wanted], (handler, posted, f.lines()[-3:])


if os.environ.get("PLAIN_BOOTSTRAP"):
    test(no_function_reads_what_nobody_wrote)


# --- the program -------------------------------------------------------------------------------------------------------------


def symbols(program):
    out = subprocess.run(["nm", "-a", program], capture_output=True, text=True, check=True).stdout
    out += subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return out


@test
def hourbell_carries_no_aws_code_and_bootstrap_no_sqlite(_folder):
    ours, theirs = symbols(os.path.join(BUILT, "hourbell")), symbols(os.path.join(BUILT, "bootstrap"))
    for word in ("aws_call", "store_dynamodb", "notifier_sns", "secrets_ssm", "lambda_runtime"):
        assert word not in ours and word in theirs, word
    for word in ("sqlite", "libuv", "uv_run", "llhttp"):
        assert word in ours and word not in theirs, word


def main():
    if not os.path.exists(BOOTSTRAP):
        print(f"FAILED  {BOOTSTRAP} is not built\n0 passed, 1 failed")
        return True
    return runner.run_tests(TESTS, WANTED, "hourbell-lambda-", ("out", "err"))


if __name__ == "__main__":
    sys.exit(main())
