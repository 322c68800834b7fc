#!/usr/bin/env python3
"""The six functions one by one, each a process of its own under a Runtime API of ours: the store is MiniStack's DynamoDB, everything
else is answered here, so that it can fail: a queue that refuses entries, a store that breaks for one device, topics that listen.
What the deployed template does with them is in the other tests.

usage: test_functions.py [PART-OF-A-NAME...]     RIG_PORT: MiniStack's"""
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILT, WANTED = os.path.join(ROOT, os.environ.get("HOURBELL_BUILT", "build/dev")), sys.argv[1:]
PORT = int(os.environ.get("RIG_PORT", "19000"))
sys.argv = [sys.argv[0], BUILT]
sys.path.insert(0, os.path.join(ROOT, "tests"))
import boto3  # noqa: E402
import e2e_lambda  # noqa: E402
from home import mapping  # noqa: E402
from runtime_api import Event  # noqa: E402

TESTS, SHARED = [], {}
ACCOUNT = "123456789012"
TOPIC = f"arn:aws:sns:eu-central-1:{ACCOUNT}:"


def test(function):
    TESTS.append(function)
    return function


def make_table(name):
    table = boto3.client("dynamodb", endpoint_url=f"http://127.0.0.1:{PORT}", region_name="eu-central-1",
                         aws_access_key_id=ACCOUNT, aws_secret_access_key="root")
    names = ("pk", "sk", "work_pk", "work_sk", "owner_pk", "owner_sk")

    def keys(first):
        return [{"AttributeName": f"{first}pk", "KeyType": "HASH"}, {"AttributeName": f"{first}sk", "KeyType": "RANGE"}]
    table.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=keys(""),
                       AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in names],
                       GlobalSecondaryIndexes=[{"IndexName": index, "KeySchema": keys(f"{index}_"),
                                                "Projection": {"ProjectionType": "KEYS_ONLY"}} for index in ("work", "owner")])
    return table


class World(e2e_lambda.Service):
    """DynamoDB is handed on to MiniStack, unless `breaks` is in the request; SQS, SNS, SSM are answered here."""

    def __init__(self):
        self.table_name = f"t{time.monotonic_ns()}"
        self.table = make_table(self.table_name)
        self.sent, self.told, self.refuse, self.breaks = [], [], lambda body, entry: None, None
        self.secrets, self.requests = {}, []
        self.silent = set()  # bodies that the queue's answer names nowhere
        self.topics_broken = False
        super().__init__()

    def answer(self, target, body, headers):
        self.requests.append(target or "Publish")
        if target.startswith("DynamoDB"):
            return self.hand_on(body, headers)
        if target == "AmazonSQS.SendMessageBatch":
            return self.queue(json.loads(body))
        if target == "AmazonSSM.GetParameter":
            name = json.loads(body)["Name"]
            if name not in self.secrets:
                return 400, b'{"__type":"ParameterNotFound"}'
            return 200, json.dumps({"Parameter": {"Name": name, "Value": self.secrets[name]}}).encode()
        if not target:  # SNS
            if self.topics_broken:
                return 500, b"<ErrorResponse><Error><Code>InternalError</Code></Error></ErrorResponse>"
            form = dict(urllib.parse.parse_qsl(body.decode(), strict_parsing=True))
            self.told.append((form["TopicArn"].rsplit(":", 1)[1], json.loads(form["Message"])))
            return 200, b"<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>"
        return 400, b'{"__type":"UnknownOperationException"}'

    def hand_on(self, body, headers):
        if self.breaks and self.breaks in body:
            return 400, b'{"__type":"AccessDeniedException","message":"broken by the test"}'  # nothing to try again
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
        try:
            connection.request("POST", "/", body, {n: v for n, v in headers.items() if n.lower() != "host"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def queue(self, request):
        taken, failed = [], []
        assert 1 <= len(request["Entries"]) <= 10 and len({e["Id"] for e in request["Entries"]}) == len(request["Entries"])
        for entry in request["Entries"]:
            assert 0 <= entry["DelaySeconds"] <= 900, entry
            code = self.refuse(request, entry)
            if code:
                failed.append({"Id": entry["Id"], "SenderFault": False, "Code": code, "Message": "refused by the test"})
            elif entry["MessageBody"] in self.silent:
                self.silent.discard(entry["MessageBody"])
            else:
                taken.append({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "x"})
                self.sent.append((entry["MessageBody"], entry["DelaySeconds"]))
        answer = {"Successful": taken}
        if failed:
            answer["Failed"] = failed
        return 200, json.dumps(answer).encode()  # 200, whatever failed


def quiet_window():
    """A window that does not end within the next minutes."""
    return next(f"{window}s" for window in (86400, 25200) if window - time.time() % window > 600)


class Live:
    """One function that runs."""

    def __init__(self, folder, world, handler, **environment):
        os.makedirs(f"{folder}/{handler}", exist_ok=True)
        variables = {"AWS_ENDPOINT_URL": world.url, "AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "root",
                     "HOURBELL_AWS_TABLE": world.table_name, "HOURBELL_AWS_OPERATORS_TOPIC": TOPIC + "operators",
                     "HOURBELL_AWS_CUSTOMERS_TOPIC": TOPIC + "customers",
                     # what is accepted is due within a second, and nobody comes near a boundary
                     "HOURBELL_WINDOW": "1s" if handler == "api" else quiet_window(), "LAMBDA_TASK_ROOT": SHARED["task_root"]}
        variables.update(environment)
        self.function = e2e_lambda.Function(f"{folder}/{handler}", handler, [], environment=variables)
        self.count = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.function.__exit__()

    def ask(self, event, deadline_s=120):
        """The answer; an error as {"error": type, "why"}."""
        self.count += 1
        self.function.api.add(Event(event, deadline_s=deadline_s))
        self.function.api.wait(self.count, 60)
        post = self.function.api.posts[-1]
        said = json.loads(post.body)
        return {"error": said["errorType"], "why": said["errorMessage"]} if post.path.endswith("/error") else said


OPERATOR = {"key": "k_operator", "owner": "", "role": "operator", "realm": "live", "last_used_day": 99999999}
ACME = {"key": "k_acme", "owner": "acme", "role": "customer", "realm": "live", "last_used_day": 99999999}


def request(method, path, body=None, who=ACME, **more):
    event = e2e_lambda.proxy(method, path, body=None if body is None else json.dumps(body))
    event["multiValueHeaders"] = {"Content-Type": ["application/json"]} if body is not None else {}
    event["requestContext"]["authorizer"] = who
    event.update(more)
    return event


def create(api, name, attributes=None):
    answer = api.ask(request("POST", "/create-device", {"device_name": name, "attributes": attributes or {}}))
    assert answer["statusCode"] == 201, answer


def update(api, name, attributes):
    answer = api.ask(request("POST", "/update-device", {"device_name": name, "attributes": attributes}))
    assert answer["statusCode"] == 202, answer


def look(api, name):
    return json.loads(api.ask(request("GET", f"/devices/{name}"))["body"])


def plan_all(plan, span_s=900, **more):
    return [plan.ask({"run": "r", "at": "2026-11-22T13:00:00Z", "span_s": span_s, "shard": shard, **more})
            for shard in range(16)]


def message(body, id="m-1", count=1):
    return {"messageId": id, "receiptHandle": "r", "body": body, "attributes": {"ApproximateReceiveCount": str(count)},
            "messageAttributes": {}, "md5OfBody": "x", "eventSource": "aws:sqs", "eventSourceARN": "arn", "awsRegion": "x"}


def next_window():
    time.sleep(1.1 - time.time() % 1)


# --- plan ------------------------------------------------------------------------------------------------------------


@test
def plan_sends_again_what_the_queue_refused_inside_a_200(folder, world):
    """A planted fault, Failed[] ignored, turns this red."""
    with Live(folder, world, "api") as api, Live(folder, world, "plan") as plan:
        names = [f"pump-{i}" for i in range(24)]
        for name in names:
            create(api, name)
            update(api, name, {"vendor": "a"})
        refused = set()

        def refuse(_request, entry):
            if entry["MessageBody"].endswith("7") and entry["MessageBody"] not in refused:
                refused.add(entry["MessageBody"])
                return "InternalError"
            return None
        world.refuse, world.silent = refuse, {"live/pump-3"}
        next_window()
        answers = plan_all(plan)
        assert sum(answer["woken"] for answer in answers) == 24 and not any(answer["more"] for answer in answers), answers
        assert sorted(body for body, _ in world.sent) == sorted(f"live/{name}" for name in names), world.sent
        assert {delay for _, delay in world.sent} == {0} and refused == {"live/pump-7", "live/pump-17"}, refused


@test
def plan_raises_if_the_queue_takes_nothing(folder, world):
    with Live(folder, world, "api") as api, Live(folder, world, "plan") as plan:
        create(api, "a")
        update(api, "a", {"vendor": "a"})
        world.refuse = lambda *_: "ServiceUnavailable"
        next_window()
        answers = plan_all(plan)
        assert [a for a in answers if "error" in a] and not world.sent, answers


@test
def plan_wakes_no_more_than_its_part_and_goes_on_at_its_cursor(folder, world):
    with Live(folder, world, "api") as api, Live(folder, world, "plan", HOURBELL_DOWNSTREAM_RPS="1") as plan:
        names = [f"device-{i:02d}" for i in range(12)]
        for name in names:
            create(api, name)
            update(api, name, {"vendor": "a"})
        next_window()
        cursor, rounds = "", 0
        while rounds < 20:
            answer = plan.ask({"run": "r", "span_s": 5, "shard": -1, "cursor": cursor})
            assert answer["woken"] <= 5, answer
            rounds += 1
            if not answer["more"]:
                break
            cursor = answer["cursor"]
        assert rounds == 3 and sorted(body for body, _ in world.sent) == [f"live/{name}" for name in names], (rounds, world.sent)
        one = plan.ask({"run": "r", "span_s": 5, "shard": 3})
        assert one["woken"] <= 1, one
        assert plan.ask({"run": "r", "span_s": 5, "shard": 3, "cursor": "9:"})["error"] == "Function.InvalidEvent"


@test
def plan_tells_what_was_left_untold_and_the_gauges(folder, world):
    world.topics_broken = True
    with Live(folder, world, "api") as api, Live(folder, world, "plan") as plan:
        create(api, "quiet")  # its answer stands, though nobody could be told
        assert not world.told
        world.topics_broken = False
        device = world.table.get_item(TableName=world.table_name, Key={"pk": {"S": "D#live/quiet"}, "sk": {"S": "L#0000000000"}})
        assert "notice_at_ms" in json.dumps(device["Item"]), device
        end = time.monotonic() + 15
        while not world.told and time.monotonic() < end:
            assert "error" not in plan.ask({"run": "r", "span_s": 900, "shard": 0})
            time.sleep(0.5)
        (topic, event), = world.told
        assert topic == "customers" and event["type"] == "device.created" and event["data"]["device_name"] == "quiet", world.told
        assert "hourbell_work" in json.dumps(plan.function.metrics()), plan.function.metrics()


# --- deliver -----------------------------------------------------------------------------------------------------------


@test
def a_doubled_message_delivers_once(folder, world):
    with Live(folder, world, "api") as api, Live(folder, world, "deliver") as deliver:
        create(api, "pump-7")
        for vendor in "abc":
            update(api, "pump-7", {"vendor": vendor})
        next_window()
        for _ in range(3):
            answer = deliver.ask({"Records": [message("live/pump-7")]})
            assert answer == {"batchItemFailures": []}, answer
        device = look(api, "pump-7")
        assert device["work"] == "none" and device["acknowledged"] == {"vendor": "c"}, device
        types = [event["type"] for _, event in world.told]
        assert types == ["device.created", "update.delivered"], types
        effects = [m for m in deliver.function.metrics() if m.get("class") == "effect"]
        assert sum(m["hourbell_attempts_total"] for m in effects) == 1, effects


@test
def what_is_not_due_unknown_or_no_key_is_acknowledged(folder, world):
    with Live(folder, world, "api") as api, Live(folder, world, "deliver") as deliver:
        create(api, "early")
        for body in ("live/early", "live/nobody", "", "x" * 5000, "live/!system"):
            answer = deliver.ask({"Records": [message(body)]})
            assert answer == {"batchItemFailures": []}, (body, answer)


@test
def one_that_failed_comes_back_and_all_failed_is_an_error(folder, world):
    with Live(folder, world, "api") as api, Live(folder, world, "deliver") as deliver:
        create(api, "good")
        update(api, "good", {"vendor": "a"})
        next_window()
        world.breaks = b"live/bad"
        batch = {"Records": [message("live/good", "m-good"), message("live/bad", "m-bad")]}
        assert deliver.ask(batch) == {"batchItemFailures": [{"itemIdentifier": "m-bad"}]}
        assert look(api, "good")["work"] == "none"
        answer = deliver.ask({"Records": [message("live/bad", "m-bad", 2)]})
        assert answer["error"] == "Function.BatchFailed" and "live/bad" in answer["why"], answer
        assert "hourbell_batch_failures_total" in json.dumps(deliver.function.metrics())


@test
def without_time_for_a_write_it_fails_aloud_instead_of_turning_round(folder, world):
    with Live(folder, world, "deliver") as deliver:
        answer = deliver.ask({"Records": [message("live/any")]}, 60)
        assert answer["error"] == "Function.BatchFailed" and "one write needs 75" in answer["why"], answer
        assert not world.sent and not world.requests, world.requests


@test
def a_call_without_effect_wakes_again_by_delay(folder, world):
    with Live(folder, world, "api") as api, \
            Live(folder, world, "deliver", LAMBDA_TASK_ROOT=SHARED["dead_root"]) as deliver:
        create(api, "lost")
        update(api, "lost", {"vendor": "a"})
        answer = api.ask(request("POST", "/devices/lost/actions", {"action": "deliver_now", "reason": "test"}, OPERATOR))
        assert answer["statusCode"] == 200, answer
        assert world.sent == [("live/lost", 0)], "an operator's action wakes the device at once"
        next_window()
        assert deliver.ask({"Records": [message("live/lost")]}) == {"batchItemFailures": []}
        (body, delay), = world.sent[1:]
        assert body == "live/lost" and 1 <= delay <= 900, world.sent
        assert look(api, "lost")["attempt_count"] == 1


@test
def accepting_sends_nothing_to_the_queue(folder, world):
    with Live(folder, world, "api") as api:
        create(api, "a")
        world.requests.clear()
        update(api, "a", {"vendor": "b"})
        assert not world.sent and not [r for r in world.requests if "SQS" in r or r == "Publish"], world.requests
        assert sum("TransactWriteItems" in r for r in world.requests) == 1, world.requests


# --- api -----------------------------------------------------------------------------------------------------------------


@test
def names_come_through_the_path_as_the_gateway_decodes_it(folder, world):
    with Live(folder, world, "api") as api:
        for name in ("Pump 7ä", "a+b&c=d", "100(#1)", "ÄÖÜ, ß"):
            create(api, name)
            for path in (name, name.upper()):
                answer = api.ask(request("GET", f"/devices/{path}"))
                assert answer["statusCode"] == 200 and json.loads(answer["body"])["device_name"] == name, (path, answer)
        for path, status in (("/livez", 404), ("/metrics", 404), ("/backups", 404), ("/nothing", 404), ("/", 404)):
            assert api.ask(request("GET", path, who=OPERATOR))["statusCode"] == (405 if path == "/backups" else status), path
        answer = api.ask(request("OPTIONS", "/devices"))
        assert answer["statusCode"] == 204 and answer["headers"]["allow"] == "GET, HEAD, OPTIONS", answer
        head = api.ask(request("HEAD", "/devices"))
        assert head["statusCode"] == 200 and head["body"] == "", head


@test
def a_fault_of_ours_is_raised_and_a_clients_is_answered(folder, world):
    with Live(folder, world, "api") as api:
        answer = api.ask(request("POST", "/create-device", {"device_name": "a", "colour": 1}))
        assert answer["statusCode"] == 400 and json.loads(answer["body"])["code"] == "unknown_member", answer
        big = request("POST", "/create-device")
        big["body"] = json.dumps({"device_name": "a", "attributes": {"note": "x" * 70000}})
        assert api.ask(big)["statusCode"] == 413
        world.breaks = b"live/a"
        answer = api.ask(request("POST", "/create-device", {"device_name": "a"}))
        assert answer.get("error") == "Function.Broken", answer
        world.breaks = None
        create(api, "a")


@test
def a_signed_request_is_judged_by_the_role_that_signed_it(folder, world):
    def arn(role):
        return f"arn:aws:iam::{ACCOUNT}:role/{role}"

    def signed(role, method="GET", path="/devices", body=None):
        event = request(method, path, body)
        event["requestContext"].pop("authorizer")
        event["requestContext"]["identity"]["userArn"] = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/session-1"
        return event
    with Live(folder, world, "api", HOURBELL_AWS_AUTH_TYPE="Iam", HOURBELL_AWS_OPERATOR_ROLE=arn("ops")) as api:
        assert api.ask(signed("acme-app"))["statusCode"] == 401
        assert api.ask(request("GET", "/devices", who=OPERATOR))["statusCode"] == 401, "no authorizer speaks where AWS judges signatures"
        wanted = {"role": "customer", "owner": "acme", "role_arn": arn("acme-app")}
        answer = api.ask(signed("ops", "POST", "/keys", wanted))
        made = json.loads(answer["body"])
        assert answer["statusCode"] == 201 and made["id"] == arn("acme-app") and "credential" not in made, answer
        assert api.ask(signed("acme-app"))["statusCode"] == 200
        assert api.ask(signed("other"))["statusCode"] == 401
        assert api.ask(signed("acme-app", "POST", "/keys", wanted))["statusCode"] == 403
        assert json.loads(api.ask(signed("acme-app", "POST", "/create-device", {"device_name": "a"}))["body"])["owner"] == "acme"
        # the first operator's role is one until a key says otherwise
        assert api.ask(signed("ops", "POST", "/keys", {"role": "operator", "role_arn": arn("boss")}))["statusCode"] == 201
        assert api.ask(signed("boss", "POST", "/keys", {"role": "customer", "owner": "x", "role_arn": arn("ops")}))["statusCode"] == 201
        assert api.ask(signed("ops", "GET", "/keys"))["statusCode"] == 403
        assert api.ask(signed("boss", "DELETE", "/keys/" + arn("acme-app")))["statusCode"] == 200
        assert api.ask(signed("acme-app"))["statusCode"] == 401
        assert api.ask(signed("boss", "DELETE", "/keys/" + arn("ops")))["statusCode"] == 200
        assert api.ask(signed("ops"))["statusCode"] == 401, "a key that was deleted was somebody's will"


@test
def a_device_is_created_and_changed_in_odata_v4(folder, world):
    root = f"{folder}/v4_root"
    os.mkdir(root)
    with open(f"{SHARED['task_root']}/downstream.json", encoding="utf-8") as file:
        mapping = json.load(file)
    mapping["protocol"] = "v4"
    mapping["base_url"] = mapping["base_url"].replace("/sap/opu/odata/sap/API_EQUIPMENT", "/sap/opu/odata4/sap/api_equipment/srvd_a2x/sap/equipment/0001")
    with open(f"{root}/downstream.json", "w", encoding="utf-8") as file:
        json.dump(mapping, file)
    with Live(folder, world, "api", LAMBDA_TASK_ROOT=root) as api, \
            Live(folder, world, "deliver", LAMBDA_TASK_ROOT=root, HOURBELL_WINDOW="1s", HOURBELL_BOUNDARY_GUARD="0s") as deliver:
        create(api, "valve-4")
        for attributes in ({"vendor": "a", "weight_kg": 12.5, "commissioned": "1965-03-01"}, {"vendor": "b"}):
            update(api, "valve-4", attributes)
            next_window()
            for _ in range(3):  # a window of a second may end before the write
                assert deliver.ask({"Records": [message("live/valve-4")]}) == {"batchItemFailures": []}
                if look(api, "valve-4")["work"] == "none":
                    break
                next_window()
        device = look(api, "valve-4")
        assert device["work"] == "none" and device["acknowledged"]["vendor"] == "b", device


# --- SAP's logon -------------------------------------------------------------------------------------------------------


class GuardedSap:
    """A mock SAP that wants a password and locks its user at the third failure; `restart` is another password on the same port."""

    def __init__(self, folder, password):
        self.port, self.process = 0, None
        self.root = f"{folder}/guarded_root"
        self.restart(password)
        os.mkdir(self.root)
        auth = {"type": "basic", "user": "secret:sap/user", "password": "secret:sap/password"}
        with open(f"{self.root}/downstream.json", "w", encoding="utf-8") as file:
            json.dump(mapping(f"http://127.0.0.1:{self.port}", auth=auth), file)

    def restart(self, password):
        self.close()
        environment = {**os.environ, "HOURBELL_MOCK_USER": "hourbell", "HOURBELL_MOCK_PASSWORD": password}
        self.process = subprocess.Popen([os.path.join(BUILT, "hourbell"), "mock-sap", "--control", "--bind", f"127.0.0.1:{self.port}"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        line = self.process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert found, line
        self.port = int(found[1])

    def statuses(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", "/_mock/log")
        lines = [json.loads(line) for line in connection.getresponse().read().splitlines()]
        connection.close()
        return [line["status"] for line in lines]

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


@test
def a_refused_logon_stops_two_workers_until_an_operators_probe(folder, world):
    """P2: SAP locks its user at the third failed logon. Row S7."""
    names = [f"pump-{i}" for i in range(6)]
    sap = GuardedSap(folder, "old")
    world.secrets = {"/hourbell/test/sap/user": "hourbell", "/hourbell/test/sap/password": "old"}
    with Live(folder, world, "api") as api, \
            Live(f"{folder}/1", world, "deliver", LAMBDA_TASK_ROOT=sap.root) as one, \
            Live(f"{folder}/2", world, "deliver", LAMBDA_TASK_ROOT=sap.root) as two:
        try:
            for name in names:
                create(api, name)
                update(api, name, {"vendor": "a"})
            next_window()
            assert one.ask({"Records": [message("live/!system")]}) == {"batchItemFailures": []}
            assert sap.statuses() == [200], "new credentials: one probe in the whole system, and nothing else"
            assert one.ask({"Records": [message("live/pump-0")]}) == {"batchItemFailures": []}
            assert look(api, "pump-0")["work"] == "none"
            sap.restart("new")  # somebody has changed the password; both workers are warm and do not know

            def deliver_all(worker, order):
                for name in order:
                    assert worker.ask({"Records": [message(f"live/{name}")]}) == {"batchItemFailures": []}
            for _ in range(2):
                threads = [threading.Thread(target=deliver_all, args=(one, names[1:])),
                           threading.Thread(target=deliver_all, args=(two, names[:0:-1]))]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                seen = sap.statuses()
                assert 1 <= len(seen) <= 2 and set(seen) == {401}, seen
            stopped = json.loads(api.ask(request("GET", "/downstream", who=OPERATOR))["body"])
            assert stopped["breaker"]["state"] == "stopped", stopped
            assert [event["type"] for _, event in world.told].count("downstream.stopped") == 1, world.told
            world.secrets["/hourbell/test/sap/password"] = "new"
            probe = api.ask(request("POST", "/downstream/actions", {"action": "probe", "reason": "password mended"}, OPERATOR))
            assert probe["statusCode"] == 200, probe
            with Live(f"{folder}/3", world, "deliver", LAMBDA_TASK_ROOT=sap.root) as three:
                assert three.ask({"Records": [message("live/!system")]}) == {"batchItemFailures": []}
                seen = sap.statuses()
                assert seen[-1] == 200 and seen.count(401) <= 2, "the user is not locked"
                for name in names[1:]:
                    assert three.ask({"Records": [message(f"live/{name}")]}) == {"batchItemFailures": []}
                    assert look(api, name)["work"] == "none", look(api, name)
        finally:
            sap.close()


# --- report ----------------------------------------------------------------------------------------------------------------


@test
def the_report_is_told_with_the_same_id_however_often_the_step_runs(folder, world):
    with Live(folder, world, "api") as api, Live(folder, world, "report") as report:
        create(api, "a")
        update(api, "a", {"vendor": "b"})
        world.told.clear()
        event = {"run": "2026-11-22T13", "planned": [[{"woken": 3, "more": False}, {"woken": 1, "more": True}]]}
        for _ in range(2):
            answer = report.ask(event)
            assert answer["woken"] == 4 and answer["shards_with_more"] == 1 and answer["open"] == 1, answer
        (topic, first), (_, second) = world.told
        assert topic == "operators" and first["type"] == "run.report" and first["id"] == second["id"], world.told
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", first["id"]), first
        log = json.loads(api.ask(request("GET", "/log", who=OPERATOR))["body"])
        assert "run_report" in json.dumps(log), log
        world.topics_broken = True
        assert report.ask(dict(event, run="2026-11-22T14"), 4)["error"] == "Function.ReportNotTold"


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="hourbell-functions-") as folder:
        sap = subprocess.Popen([os.path.join(BUILT, "hourbell"), "mock-sap", "--bind", "127.0.0.1:0"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = sap.stdout.readline()
        port = re.search(r"127\.0\.0\.1:(\d+)|\"port\":(\d+)", line)
        with open(os.path.join(ROOT, "downstream.json"), encoding="utf-8") as file:
            mapping = file.read()
        for name, base in (("task_root", port[1] or port[2]), ("dead_root", "9")):
            SHARED[name] = f"{folder}/{name}"
            os.mkdir(SHARED[name])
            with open(f"{SHARED[name]}/downstream.json", "w", encoding="utf-8") as file:
                file.write(mapping.replace("127.0.0.1:8181", f"127.0.0.1:{base}"))
        try:
            for function in TESTS:
                if WANTED and not any(word in function.__name__ for word in WANTED):
                    continue
                world, own = World(), f"{folder}/{function.__name__}"
                os.mkdir(own)
                try:
                    function(own, world)
                    passed += 1
                except Exception as wrong:  # each test says its own
                    failed += 1
                    at = traceback.extract_tb(wrong.__traceback__)[1].lineno
                    print(f"FAILED  {function.__name__}, line {at}: {type(wrong).__name__}: {str(wrong)[:1000]}", flush=True)
                    for part in sorted(os.listdir(own)):
                        if os.path.exists(f"{own}/{part}/err"):
                            with open(f"{own}/{part}/err", encoding="utf-8", errors="replace") as file:
                                print(f"    {part}: " + file.read()[-1200:].replace("\n", "\n    "), flush=True)
                finally:
                    world.close()
        finally:
            sap.kill()
            sap.wait()
    print(f"{passed} passed, {failed} failed")
    return failed > 0 or passed == 0


if __name__ == "__main__":
    sys.exit(main())
