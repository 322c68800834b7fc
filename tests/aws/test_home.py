#!/usr/bin/env python3
"""The deployed stack as a whole: the hour by itself, races through the gateway, usage plans, models, what is logged.

    test_home.py [WORD...]     HOURBELL_BUILT: the folder of bootstrap and hourbell"""
import base64
import json
import os
import re
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from home import ROOT, Home, Wrong, expect, make_zip, mapping, run_tests, wait_for
from stage import Stage

PORT = int(os.environ.get("RIG_PORT", "19000"))
BUILT = os.environ.get("HOURBELL_BUILT", os.path.join(ROOT, "build/dev"))
START_MS, HOUR_MS = 1763978700000, 3600000  # 2025-11-24T10:05:00Z
stage = Stage(PORT, BUILT, "whole")


def begin():
    stage.set_clock(START_MS)
    stage.settings({"downstream_rps": 0})
    stage.wipe()


def ask(method, target, body=None):
    status, _, text = stage.home.ask(method, target, body, key=stage.operator)
    if status >= 300:
        raise Wrong(f"{method} {target}: {status} {text}")
    return json.loads(text)


def test_the_hour_by_itself_and_a_doubled_firing():
    begin()
    for i in range(5):
        ask("POST", "/create-device", {"device_name": f"Pump-{i}", "owner": "acme"})
        ask("POST", "/update-device", {"device_name": f"Pump-{i}", "attributes": {"note": "1"}})
    stage.set_clock(START_MS + HOUR_MS)
    # an hour of the past, so that no pass waits, and another one each minute: its name is taken for ever
    hour = time.strftime("%Y-%m-%dT%H:00:00Z", time.gmtime(631152000 + int(time.time()) // 60 % 250000 * 3600))
    run = stage.home.run_hour(hour)
    expect(run["status"], "SUCCEEDED", str(run)[:1000])
    wait_for("the queue", stage.queue_is_empty)
    expect(sum(line["effect"] for line in stage.sap_lines("log")), 5, "effects")
    stage.home.invoke("Tick", {"scheduled_time": hour})  # again: success, and no second run
    runs = stage.home.sfn.list_executions(stateMachineArn=stage.home.out["StateMachineArn"])["executions"]
    expect([r["name"] for r in runs].count(f"run-{hour[:13]}"), 1, "runs of this hour")
    expect(Counter(e["type"] for e in stage.hear()), {"device.created": 5, "update.delivered": 5, "run.report": 1})
    planned = [line for line in stage.home.log_lines("plan") if line.get("message") == "planned" and line.get("run") == hour[:13]]
    expect((len(planned), len({line["shard"] for line in planned})), (80, 16), "plan calls and their shards")


def test_races_for_a_name_have_one_winner():
    begin()
    def one(n):
        return n % 10, stage.home.ask("POST", "/create-device", {"device_name": f"Race-{n % 10}", "owner": "acme", "attributes": {"n": n}},
                                      key=stage.operator)[0]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(one, range(80)))
    expect(Counter(found), Counter({**{(n, 201): 1 for n in range(10)}, **{(n, 409): 7 for n in range(10)}}))


def test_what_is_logged():
    begin()
    ask("POST", "/create-device", {"device_name": "Pump-7", "owner": "acme", "attributes": {"note": "not for the log"}})
    lines = wait_for("the lines", lambda: stage.home.log_lines("api"))
    text = json.dumps(lines)
    for never in ("not for the log", stage.operator, stage.operator.split(".")[1]):
        if never in text:
            raise Wrong(f"the log holds {never}")
    if not any("hourbell_devices_created_total" in line and "_aws" in line for line in lines):
        raise Wrong("no metric")
    if not any("hourbell_cold_starts_total" in line for line in lines):
        raise Wrong("no cold start")
    bare = [line for line in lines if "text" in line and not re.match(r"START|END|REPORT|INIT", line["text"])]
    expect(bare, [], "lines that are no JSON")


def other(name, **parameters):
    home = Home(PORT, name)
    home.put_secrets({"operator_key": stage.operator}, f"/{name}")
    return home.deploy(make_zip(os.path.join(BUILT, "bootstrap"), mapping("http://127.0.0.1:9")), SecretsPrefix=f"/{name}", **parameters)


def test_metering_wants_the_plan_key_of_the_role():
    home = other("metered", Metering="yes")
    keys = home.gateway.get_api_keys(includeValues=True)["items"]
    plans = home.gateway.get_usage_plans()["items"]
    expect(len([p for p in plans if p["name"].startswith("metered-")]), 2, "plans")
    basic = [("authorization", "Basic " + base64.b64encode(stage.operator.replace(".", ":").encode()).decode())]
    status, _, text = home.ask("GET", "/devices", headers=basic)
    expect((status, json.loads(text)["code"]), (500, "internal"), "without a plan key, which is ours to give")
    # with a key of the plan it is the authorizer's turn, who finds two credentials: on AWS no client sends this key
    found = [home.ask("GET", "/devices", headers=basic + [("x-api-key", key["value"])]) for key in keys]
    expect({(status, json.loads(text)["code"]) for status, _, text in found}, {(401, "unauthorized")})


def test_iam_instead_of_keys_refuses_who_does_not_sign():
    home = other("signed", AuthType="Iam")
    status, _, text = home.ask("GET", "/devices")
    expect(status in (401, 403, 404) and "code" in json.loads(text), True, f"{status} {text}")


def test_models_refuse_what_the_core_would_refuse():
    """MiniStack's template has a stub for the validator: it is put there by hand."""
    home = other("modelled")
    api, gateway = home.out["RestApiId"], home.gateway
    validator = gateway.create_request_validator(restApiId=api, name="hand", validateRequestBody=True)["id"]
    for resource in gateway.get_resources(restApiId=api, limit=100)["items"]:
        if resource.get("pathPart", "") in ("create-device", "update-device"):
            gateway.update_method(restApiId=api, resourceId=resource["id"], httpMethod="POST", patchOperations=[
                {"op": "replace", "path": "/requestValidatorId", "value": validator}])
    gateway.update_stage(restApiId=api, stageName="v1", patchOperations=[
        {"op": "replace", "path": "/deploymentId", "value": gateway.create_deployment(restApiId=api)["id"]}])
    def answer(target, body):
        status, headers, text = home.ask("POST", target, body, key=stage.operator)
        found = json.loads(text)
        expect(headers["content-type"], "application/problem+json" if status >= 400 else "application/json")
        return status, found.get("code")
    for body in ({}, {"device_name": 7}, {"device_name": "Pump-7", "owner": "acme", "colour": "red"}, {"device_name": "Pump-7", "attributes": []}):
        expect(answer("/create-device", body), (400, "invalid_member"), str(body))
    expect(answer("/update-device", {"device_name": "Pump-7"}), (400, "invalid_member"))
    expect(answer("/create-device", {"device_name": "Pump-7", "owner": "acme"}), (201, None))


if __name__ == "__main__":
    run_tests(globals(), sys.argv[1:])
