#!/usr/bin/env python3
"""The fault proxy does what it says, before MiniStack."""
import json
import os
import sys
import threading
import time
import urllib.request

import boto3
import botocore.config
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError, IncompleteReadError, ResponseStreamingError

from fault_proxy import Proxy
from home import REGION, Home, Wrong, run_tests, wait_for
from test_rig import expect, item, table

PORT = int(os.environ.get("RIG_PORT", "19000"))
home = Home(PORT, "faults")
BROKEN = (ConnectionClosedError, HTTPClientError, IncompleteReadError, ResponseStreamingError, ConnectionError)
proxy = Proxy(PORT + 6, home.endpoint)
threading.Thread(target=proxy.serve_forever, daemon=True).start()


def through(service):
    return boto3.client(service, endpoint_url=f"http://127.0.0.1:{PORT + 6}", region_name=REGION, aws_access_key_id="123456789012",
                        aws_secret_access_key="x", config=botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=10))


ddb, sqs = through("dynamodb"), through("sqs")


def rules(*new):
    request = urllib.request.Request(f"http://127.0.0.1:{PORT + 6}/_fault/rules", json.dumps(new).encode(), method="POST")
    with urllib.request.urlopen(request) as answer:
        answer.read()


def put(name):
    """What a put ends with: "" done, an error's code, "broken"."""
    try:
        ddb.transact_write_items(TransactItems=[{"Put": {"TableName": "selftest", "Item": item(name)}}])
        return ""
    except ClientError as error:
        return error.response["Error"]["Code"]
    except BROKEN:
        return "broken"


def is_there(name):
    return "Item" in home.ddb.get_item(TableName="selftest", Key=item(name), ConsistentRead=True)


def test_each_fault_is_said_and_done_as_promised():
    table()
    cases = (("", "", True), ("throttle", "ProvisionedThroughputExceededException", False), ("conflict", "TransactionCanceledException", False),
             ("500", "InternalServerError", False), ("503", "ServiceUnavailable", False), ("500_after", "InternalServerError", True),
             ("skew", "InvalidSignatureException", False), ("reset_before", "broken", False), ("reset_after", "broken", True),
             ("half", "broken", True), ("double", "", True))
    for do, answer, done in cases:
        name = f"fault-{do}-{time.time_ns()}"
        rules({"do": do, "service": "dynamodb", "target": "TransactWriteItems", "times": 1})
        found = put(name), is_there(name)
        if found != (answer, done):
            raise Wrong(f"{do}: {found}, expected {(answer, done)}")
        expect(put(name), "")


def test_a_rule_acts_after_and_so_many_times():
    table()
    rules({"do": "500", "body": "counted", "after": 1, "times": 2})
    expect([put(n) for n in ("counted-1", "other", "counted-2", "counted-3", "counted-4")],
           ["", "", "InternalServerError", "InternalServerError", ""])
    rules({"do": "500", "body": "counted", "spare": "counted-2"})
    expect([put(n) for n in ("counted-1", "counted-2")], ["InternalServerError", ""])


def test_wake_ups_are_dropped_doubled_late_and_refused_in_part():
    url = home.sqs.create_queue(QueueName=f"wake{time.time_ns()}")["QueueUrl"]
    def send(do, bodies, **more):
        rules({"do": do, "service": "sqs", "target": "SendMessageBatch", **more})
        return sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": b} for i, b in enumerate(bodies)])
    def received():
        found = [m["Body"] for m in home.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])]
        return sorted(found)
    expect(len(send("drop", ["a"])["Successful"]), 1)
    expect(received(), [])
    send("double", ["b"])
    expect(received(), ["b", "b"])
    send("late", ["c"], seconds=0.5)
    expect(received(), [])
    expect(wait_for("the late one", received), ["c"])
    found = send("fail_entry", ["d", "e"])
    expect(([f["Id"] for f in found["Failed"]], [s["Id"] for s in found["Successful"]]), (["0"], ["1"]))
    expect(received(), ["e"])


def test_each_entry_of_a_batch_has_its_own_fate():
    url = home.sqs.create_queue(QueueName=f"fates{time.time_ns()}")["QueueUrl"]
    count = {"": 0, "double": 0, "drop": 0, "late": 0, "fail": 0}
    rules({"do": "entries", "service": "sqs", "double": 0.2, "drop": 0.2, "late": 0.2, "fail": 0.2, "seconds": 0.5})
    proxy.log, failed = [], 0
    for batch in range(10):
        found = sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": f"{batch} {i}"} for i in range(10)])
        expect(len(found.get("Successful", [])) + len(found.get("Failed", [])), 10)
        failed += len(found.get("Failed", []))
    for note in proxy.log:
        expect(note["entries"], 10)
        for fate in note["fates"]:
            count[fate] += 1
    expect(all(8 <= n <= 34 for n in count.values()), True, count)
    expect(failed, count["fail"])
    bodies = []
    def all_there():
        found = home.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        bodies.extend(m["Body"] for m in found)
        return not found and len(bodies) == count[""] + 2 * count["double"] + count["late"]
    wait_for("all that was sent", all_there, 10)
    expect(len(bodies) - len(set(bodies)), count["double"])


def test_what_went_through_is_counted():
    table()
    rules()
    proxy.log = []
    put("counted")
    expect([(n["service"], n["target"], n["status"]) for n in proxy.log], [("dynamodb", "TransactWriteItems", 200)])


if __name__ == "__main__":
    run_tests(globals(), sys.argv[1:])
