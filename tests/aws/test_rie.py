#!/usr/bin/env python3
"""`bootstrap` under AWS's own runtime interface emulator (RIE): what the Runtime API takes and refuses is judged by AWS's code.
What docs/aws.md relies on, as cases; faults that the RIE does not have are in tests/e2e_lambda.py. No service is needed:
tick asks a Step Functions of a few lines. One call at a time: a second one kills the RIE.

usage: test_rie.py [PART-OF-A-NAME...]     LAMBDA_BOOTSTRAP=... another program than build/dev's"""
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILT, WANTED = os.path.join(ROOT, os.environ.get("HOURBELL_BUILT", "build/dev")), sys.argv[1:]
sys.argv = [sys.argv[0], BUILT]
sys.path.insert(0, os.path.join(ROOT, "tests"))
import e2e_lambda  # noqa: E402
import runner  # noqa: E402

RIE = os.path.join(ROOT, "build/rig/aws-lambda-rie")
PATH = "/2015-03-31/functions/function/invocations"
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Rie:
    def __init__(self, folder, handler="tick", answers=None, environment=None, program=None):
        self.aws = e2e_lambda.Aws(e2e_lambda.STARTED if answers is None else answers)
        self.port, self.folder = free_port(), folder
        self.log = open(f"{folder}/log", "w+b")
        variables = {"PATH": os.environ["PATH"], "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKIDTEST",
                     "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token", "AWS_ENDPOINT_URL": self.aws.url,
                     "LAMBDA_TASK_ROOT": ROOT, "HOURBELL_AWS_TABLE": "t", "HOURBELL_AWS_SECRETS_PREFIX": "/h",
                     "HOURBELL_AWS_STATE_MACHINE": "arn:aws:states:eu-central-1:123456789012:stateMachine:hourly"}
        variables.update(environment or {})
        # without both addresses it listens on every interface; unknown options become the program
        self.process = subprocess.Popen(
            [RIE, "--log-level", "error", "--runtime-interface-emulator-address", f"127.0.0.1:{self.port}",
             "--runtime-api-address", f"127.0.0.1:{free_port()}", program or e2e_lambda.BOOTSTRAP, handler],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=variables, cwd=folder, start_new_session=True)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("the RIE did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.aws.close()
        self.log.close()

    def ask(self, event, seconds=30):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request("POST", PATH, event if isinstance(event, (bytes, str)) else json.dumps(event))
            answer = connection.getresponse()
            body = answer.read()
            try:
                return answer.status, json.loads(body)
            except ValueError:
                return answer.status, body.decode(errors="replace")
        finally:
            connection.close()

    def said(self):
        with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as log:
            return log.read()


@test
def warm_calls_are_answered_one_after_the_other(folder):
    with Rie(folder) as rie:
        for hour in range(200):
            status, answer = rie.ask({"scheduled_time": f"2026-11-22T{hour % 24:02d}:00:00Z"})
            assert (status, answer) == (200, {"run": f"run-2026-11-22T{hour % 24:02d}", "started": True}), (status, answer)
        assert len(rie.aws.calls) == 200 and rie.said().count('"cold_start":true') == 1
        assert all(headers["X-Amz-Security-Token"] == "token" for _, headers, _ in rie.aws.calls)


@test
def an_error_is_taken_with_its_type_and_the_process_goes_on(folder):
    with Rie(folder) as rie:
        for _ in range(3):
            status, answer = rie.ask({"scheduled_time": "never"})
            assert status == 200 and answer["errorType"] == "Function.InvalidEvent" and answer["stackTrace"] == [], answer
            assert rie.ask(e2e_lambda.HOUR)[1]["started"] is True
        assert rie.said().count('"cold_start":true') > 0 and rie.said().count("hourbell_cold_starts_total\":1") == 1


@test
def bytes_that_are_no_event_are_an_error_and_no_crash(folder):
    with Rie(folder) as rie:
        for event in ("", "{", "[]", "null", "\x00", '{"a":1,"a":2}', "[" * 5000, '{"scheduled_time":"\\ud800"}'):
            status, answer = rie.ask(event)
            assert status == 200 and answer["errorType"] == "Function.InvalidEvent", (event, status, answer)
        assert rie.ask(e2e_lambda.HOUR)[1]["started"] is True


@test
def an_event_of_six_mebibytes_is_read_and_what_the_rie_cuts_off_is_an_error(folder):
    with Rie(folder) as rie:
        for size, member in (((6 << 20) - 100, "started"), (7 << 20, "errorType"), (100, "started")):
            status, answer = rie.ask(dict(e2e_lambda.HOUR, filler="x" * size))
            assert status == 200 and member in answer, (size, status, answer)


@test
def a_run_past_the_functions_time_is_killed_and_the_next_call_starts_anew(folder):
    with Rie(folder, environment={"AWS_LAMBDA_FUNCTION_TIMEOUT": "2", "AWS_ENDPOINT_URL": "http://10.255.255.1:9"}) as rie:
        status, answer = rie.ask(e2e_lambda.HOUR)
        said = json.dumps(answer)
        # it gives up a second before its end and says so; where that is too late, the RIE kills it
        assert status == 200 and ("Function." in said or "timed out" in said), (status, answer)
        status, answer = rie.ask({"scheduled_time": "never"})
        assert status == 200 and answer["errorType"] == "Function.InvalidEvent", answer


@test
def an_init_that_fails_is_reported_each_time(folder):
    with Rie(folder, environment={"HOURBELL_WINDOW": "a fortnight"}) as rie:
        for _ in range(2):
            status, answer = rie.ask(e2e_lambda.HOUR)
            assert status == 502 and answer["errorType"] == "Runtime.InvalidConfiguration", (status, answer)
            assert "window" in answer["errorMessage"], answer


@test
def a_handler_that_is_none_of_ours_is_an_init_error(folder):
    with Rie(folder, handler="index.handler") as rie:
        status, answer = rie.ask(e2e_lambda.HOUR)
        assert status == 502 and answer["errorType"] == "Runtime.UnknownHandler", (status, answer)


@test
def a_killed_process_is_replaced_by_the_next_call(folder):
    with Rie(folder) as rie:
        assert rie.ask(e2e_lambda.HOUR)[0] == 200
        found = subprocess.run(["pgrep", "-g", str(rie.process.pid), "-f", "bootstrap tick$"], capture_output=True, text=True)
        own = [int(pid) for pid in found.stdout.split() if int(pid) != rie.process.pid]
        own = own or [int(pid) for pid in subprocess.run(["pgrep", "-P", str(rie.process.pid)], capture_output=True,
                                                         text=True).stdout.split()]
        assert own, "no bootstrap is running"
        os.kill(own[0], signal.SIGKILL)
        time.sleep(0.3)
        ends = [rie.ask(e2e_lambda.HOUR) for _ in range(2)]
        assert ends[-1][0] == 200 and ends[-1][1]["started"] is True, ends


@test
def api_401_is_an_answer(folder):
    with Rie(folder, handler="api") as rie:
        status, answer = rie.ask(e2e_lambda.proxy())
        assert status == 200 and answer["statusCode"] == 401, (status, answer)
        assert rie.aws.calls == []


def main():
    if not os.path.exists(RIE):
        print(f"FAILED  {RIE} is not installed: tests/aws/rig install\n0 passed, 1 failed")
        return True
    return runner.run_tests(TESTS, WANTED, "hourbell-rie-", ("log",))


if __name__ == "__main__":
    sys.exit(main())
