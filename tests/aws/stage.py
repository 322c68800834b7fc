"""A stage for stories: the AWS home with a mock SAP, both under one clock that the test sets (clock_shim.c), and settings that
change. The zip's `bootstrap` is a script that reads them and becomes the real one, so the template stays as it is."""
import atexit
import concurrent.futures
import http.client
import json
import os
import signal
import struct
import subprocess
import sys
import threading

from home import ROOT, Home, Wrong, make_zip, mapping, wait_for

sys.path.insert(0, os.path.join(ROOT, "tests"))
from e2e_scenarios import make_credential  # noqa: E402 # pylint: disable=wrong-import-position

RIG = os.path.realpath(os.path.join(ROOT, "build/rig"))
WRAPPER = """#!/bin/sh
# of tests/aws/stage.py: settings and clock of a story, then the program itself
. "{state}/settings"
exec "{program}"
"""
PRELOAD = {"LD_PRELOAD": f"{RIG}/clock_shim.so", "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"}


def is_dead(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            state = file.read().rpartition(")")[2].split()[0]
        return state in "ZX" and len(os.listdir(f"/proc/{pid}/task")) < 2  # no thread of it is left
    except OSError:
        return True


class Stage:
    has_killed = False
    def __init__(self, port, built, name="stage", zip_path=None, sap_options=(), members=None, **parameters):
        self.home = Home(port, name)
        self.port, self.built = port, os.path.abspath(built)
        self.state = os.path.join(RIG, "run", str(port), name)
        os.makedirs(self.state, exist_ok=True)
        self.clock_ms, self.sap, self.sap_options, self.members = 0, None, list(sap_options), members or {}
        self.sap_port = port + 7
        self.operator = make_credential("operator")
        self.ministack = int(open(os.path.join(RIG, "run", str(port), "ministack.pid"), encoding="ascii").read())
        self.set_clock(0)
        self.settings({})
        self.heard, self.by_hand = [], False
        self.start_sap()
        atexit.register(self.close)
        self.home.put_secrets({"operator_key": self.operator})
        self.home.deploy(self.archive(zip_path), **parameters)
        self.ears = {topic: self.home.listen(topic) for topic in ("Operators", "Customers")}

    def archive(self, zip_path):
        if zip_path:
            return open(zip_path, "rb").read()
        wrapper = os.path.join(self.state, "bootstrap")
        with open(wrapper, "w", encoding="utf-8") as file:
            file.write(WRAPPER.format(state=self.state, program=os.path.join(self.built, "bootstrap")))
        return make_zip(wrapper, mapping(f"http://127.0.0.1:{self.sap_port}", **self.members))

    # --- clock, settings, processes ------------------------------------------------------------------------------
    def set_clock(self, ms):
        self.clock_ms = ms
        path = os.path.join(self.state, "clock")
        with open(path, "r+b" if os.path.exists(path) else "wb") as file:
            file.write(struct.pack("q", ms))

    def settings(self, values):
        """Of the functions from their next start on."""
        lines = [f"export {name}='{value}'" for name, value in {**PRELOAD, "RIG_CLOCK": f"{self.state}/clock"}.items()]
        lines += [f"export HOURBELL_{name.upper()}='{value}'" for name, value in values.items()]
        with open(os.path.join(self.state, "settings"), "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    def functions(self, handler=None):
        """Processes of functions that run now: those that MiniStack has started."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
                with open(f"/proc/{pid}/environ", encoding="utf-8", errors="replace") as file:
                    environment = file.read()
            except (OSError, ValueError, IndexError):
                continue
            if parent == self.ministack and f"_HANDLER={handler or ''}" in environment and f"={self.home.name}-" in environment:
                found.append(int(pid))
        return found

    def kill_functions(self, handler=None):
        pids = self.functions(handler)
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_for("their end", lambda: all(map(is_dead, pids)), 10, 0.02)
        self.has_killed = True

    # --- SAP -----------------------------------------------------------------------------------------------------
    def start_sap(self):
        environment = {**os.environ, **PRELOAD, "RIG_CLOCK": f"{self.state}/clock"}
        self.sap = subprocess.Popen(
            [os.path.join(self.built, "hourbell"), "mock-sap", "--bind", f"127.0.0.1:{self.sap_port}", "--control", *self.sap_options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(os.path.join(self.state, "mock-sap.log"), "w", encoding="utf-8"), env=environment)
        wait_for("mock-sap", self.sap_answers)

    def sap_answers(self):
        if self.sap.poll() is not None:
            raise Wrong("mock-sap has ended: " + open(os.path.join(self.state, "mock-sap.log"), encoding="utf-8").read()[-500:])
        try:
            return self.ask_sap("GET", "switches") is not None
        except OSError:
            return False

    def ask_sap(self, method, name, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.sap_port, timeout=20)
        try:
            connection.request(method, f"/_mock/{name}", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= 300:
            raise Wrong(f"mock-sap: {answer.status} {text}")
        return text

    def sap_lines(self, name):
        """The whole log, or all rows."""
        lines, after = [], 0
        while True:
            page = [json.loads(line) for line in self.ask_sap("GET", f"{name}?after={after}").splitlines()]
            if not page:
                return lines
            lines += page
            after = page[-1]["no"] if name == "log" else len(lines)

    # --- faults ----------------------------------------------------------------------------------------------------
    def faults(self, *rules):
        """Rules of the fault proxy between the functions and MiniStack (RIG_FAULTS=1); none: fair weather."""
        self.proxy("POST", "rules", json.dumps(rules))

    def proxy(self, method, name, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port + 5, timeout=20)
        try:
            connection.request(method, f"/_fault/{name}", body)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    # --- work ----------------------------------------------------------------------------------------------------
    def wipe(self):
        """Everything as after a deploy."""
        home = self.home
        for page in home.ddb.get_paginator("scan").paginate(TableName=home.out["TableName"], ProjectionExpression="pk, sk"):
            for item in page["Items"]:
                home.ddb.delete_item(TableName=home.out["TableName"], Key=item)
        for url in (home.out["QueueUrl"], home.out["DlqUrl"]):
            home.sqs.purge_queue(QueueUrl=url)
        self.ask_sap("POST", "reset")
        self.heard = []
        for url in self.ears.values():
            home.sqs.purge_queue(QueueUrl=url)
        self.kill_functions()

    def queue_is_empty(self):
        found = self.home.sqs.get_queue_attributes(QueueUrl=self.home.out["QueueUrl"], AttributeNames=["All"])["Attributes"]
        return int(found["ApproximateNumberOfMessages"]) + int(found["ApproximateNumberOfMessagesNotVisible"]) == 0

    def plan(self, span_s=900, shards=range(16)):
        """One pass: how many were woken. Only just after a kill may MiniStack hand a call to a process that is gone."""
        has_killed, self.has_killed = self.has_killed, False
        def one(shard):
            event = {"run": "story", "at": "2026-11-22T13:00:00Z", "span_s": span_s, "shard": shard}
            try:
                return self.home.invoke("Plan", event)["woken"]
            except Wrong as error:
                if not has_killed or "Runtime.ExitError" not in str(error):
                    raise
                return self.home.invoke("Plan", event)["woken"]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            return sum(pool.map(one, shards))

    def serial(self, yes):
        """Wake-ups are worked off one by one by run(), instead of by the event source mapping."""
        if yes != self.by_hand:
            self.by_hand = yes
            found = self.home.lam.list_event_source_mappings(FunctionName=f"{self.home.function('Deliver')}:live")["EventSourceMappings"]
            self.home.lam.update_event_source_mapping(UUID=found[0]["UUID"], Enabled=not yes)

    def drain(self):
        url = self.home.out["QueueUrl"]
        while True:
            found = self.home.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1).get("Messages")
            if not found:
                return
            self.deliver(found[0]["Body"])
            self.home.sqs.delete_message(QueueUrl=url, ReceiptHandle=found[0]["ReceiptHandle"])

    def run(self, rounds=12, seconds=60):
        """What is due is delivered, until nothing moves; then everybody is told."""
        for _ in range(rounds):
            woken = self.plan()
            if self.by_hand:
                self.drain()
            wait_for("the queue to be empty", self.queue_is_empty, seconds)
            if not woken:
                return
        raise Wrong(f"still {woken} to wake after {rounds} passes")

    def deliver(self, key):
        """One wake-up, by hand: the batch's answer."""
        return self.home.invoke("Deliver", {"Records": [{
            "messageId": "m", "receiptHandle": "r", "body": key, "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {}, "eventSource": "aws:sqs", "awsRegion": "eu-central-1"}]})

    def work_of(self, key):
        return self.item(key).get("work")

    def item(self, key, sort="DEVICE"):
        found = self.home.ddb.get_item(TableName=self.home.out["TableName"], Key={"pk": {"S": f"D#{key}"}, "sk": {"S": sort}},
                                       ConsistentRead=True).get("Item", {})
        return {name: next(iter(value.values())) for name, value in found.items()}

    def lease(self, key):
        """A delivery that has been sealed and gets no answer: SAP stands still until settle(), or until its sender is dead."""
        self.sap.send_signal(signal.SIGSTOP)
        thread = threading.Thread(target=self.deliver_quietly, args=(key,))
        thread.start()
        wait_for(f"the seal of {key}", lambda: self.item(key).get("work_pk", "").startswith("FLIGHT"), 20)
        return thread

    def deliver_quietly(self, key):
        try:
            self.deliver(key)
        except Wrong:
            pass # its sender was killed

    def sap_goes_on(self):
        self.sap.send_signal(signal.SIGCONT)

    def settle(self, thread):
        self.sap_goes_on()
        thread.join(60)

    def crash(self, thread):
        self.kill_functions("deliver")
        thread.join(60)
        self.sap_goes_on()

    def hear(self):
        for url in self.ears.values():
            self.heard += self.home.told(url)
        return self.heard

    def close(self):
        if self.sap and self.sap.poll() is None:
            self.sap.send_signal(signal.SIGCONT)
            self.sap.kill()
            self.sap.wait()
        self.kill_functions()
