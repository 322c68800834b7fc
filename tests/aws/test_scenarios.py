#!/usr/bin/env python3
"""Every story of tests/scenarios that this home can play, through the gateway; each answer is compared, byte for byte, with what
the other home has answered to the same story (transcript/<story>.ndjson, written by tests/run_scenarios.c).

    test_scenarios.py [PART-OF-A-NAME...]     HOURBELL_BUILT: the folder of bootstrap, hourbell and tests

The clock stands still but for `clock` lines, as there; it begins 364 days earlier, so that no signature and no deadline of Lambda,
which keep the real time, is in its past. Equal are: status, body, and every header that the core gives, after times are moved
by these days, and ids and secrets are numbered in the order in which they appear."""
import base64
import calendar
import glob
import json
import os
import re
import subprocess
import sys
import time

from stage import Stage, Wrong
from home import ROOT
from e2e_scenarios import MOMENT, Player, parse

PORT = int(os.environ.get("RIG_PORT", "19000"))
BUILT = os.environ.get("HOURBELL_BUILT", os.path.join(ROOT, "build/dev"))
DAYS_MS = 364 * 86400000
START_MS = 1795428300000  # 2026-11-23T10:05:00Z
SPAN = {"ms": 1, "s": 1000, "min": 60000, "h": 3600000, "d": 86400000}
# Stories that this home does not play, and why. One that is new and cannot be played turns this test red.
NOT_PLAYED = {
    "clock-that_is_set_back_sends_nothing_twice_in_a_window": "steps of the clock are the server's to find; Lambda's is AWS's",
    "service-routes_are_the_homes": "livez, readyz, metrics, openapi.json, backups: the server home's routes",
    # a store is busy here until the deadline, which keeps the real time, while a story's times are those of its own clock
    "delivery-that_never_succeeds_is_dead_until_somebody_opens_it": "its busy store: test_faults.py, redrive_that_the_store_breaks_off",
    "store-that_cannot_write_says_so_and_nothing_has_changed": "test_faults.py, throttling_until_the_deadline and error_that_stays",
}
# Requests that MiniStack's gateway changes before it hands them on: it decodes the path, takes a slash too many away,
# and joins doubled headers.
NOT_ASKED = re.compile(r"/devices/$|//|.*%zz")
ORDER_OF_IDS = re.compile(r"/keys(\?|$)")  # a list in the order of ids, which are random: only the story itself judges it
CURSOR_OF_THE_STORE = re.compile("/(work|redrives)")  # of lists in an order that the store keeps: opaque, and its own
# Stories whose wake-ups must not run two at once, as the mapping runs them: what comes first must be known to the second.
SERIAL = {"downstream-that_refuses_the_logon_is_left_alone"}
# The gateway answers these itself, before the core is asked: status, media type, code and request_id are equal.
GATEWAYS = {401}
# What libcurl says of a broken connection, and SAP's own clock; and what waits to be told, which this home
# tells right after the commit.
WIRE = re.compile(r'(?<="notice":){[^}]*}|(?<="detail":"lost: )[^"]*|(?<="connection":")[^"]*|(?<="timestamp":")[^"]*')
# Of ids, and hashes over ids and times.
ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b|\bk_[a-z2-7]{10}\b|"
                r"\bhb_(?:live|test)_[a-z2-7]{38}\b|\b[0-9a-f]{32}\b|(?:(?<=\"sha\":\")|(?<=\"seal_sha\":\"))[0-9a-f]{64}\b")
DAY = re.compile(r'(?<="last_used_on":")\d{4}-\d\d-\d\d(?=")')
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def moved(text, by_ms):
    """The text with each moment moved."""
    def move(found):
        at = time.strptime(found[0][:19], "%Y-%m-%dT%H:%M:%S")
        ms = (int(calendar.timegm(at)) * 1000 + int(found[0][20:23])) + by_ms
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + f".{ms % 1000:03d}Z"
    return DAY.sub(lambda found: time.strftime("%Y-%m-%d", time.gmtime(
        calendar.timegm(time.strptime(found[0], "%Y-%m-%d")) + by_ms // 1000)), TIME.sub(move, text))


class Names:
    """Numbers ids in the order in which they appear."""

    def __init__(self):
        self.seen = {}

    def __call__(self, text):
        return ID.sub(lambda found: f"<id {self.seen.setdefault(found[0], len(self.seen))}>", WIRE.sub("<wire>", text))


class Story(Player):
    def __init__(self, path, stage):
        super().__init__(path, BUILT)
        self.transcript.close()
        self.stage, self.answered, self.leased, self.values = stage, [], None, {}

    def fits(self, pattern, value):
        if isinstance(pattern, str) and MOMENT.match(pattern):
            return pattern == value
        if pattern == "$UUID" and self.answers[-1][0] in GATEWAYS:
            return ID.fullmatch(value) is not None  # the gateway's ids are of another version
        return super().fits(pattern, value)

    def ask(self):
        method, target, headers, body, plain = self.request
        headers = list(headers)
        if self.who != "nobody":
            headers.append(("x-api-key", self.captures[f"{self.who}_credential"]))
        if body and not plain:
            headers.append(("content-type", "application/json"))
        names = [name for name, _ in headers]
        if NOT_ASKED.match(target) or len(set(names)) < len(names):
            other = self.others()[len(self.answered)]
            self.answered.append((self.line_no, method, target, other["status"], other["headers"], other["body"]))
            return [(other["status"], other["headers"], other["body"])]
        if target.startswith("/downstream"):
            self.stage.kill_functions("api")  # it keeps counts for a minute of the real time
        status, shown, text = self.stage.home.ask(method, target, body.encode() if body else None, headers)
        text = moved(text, DAYS_MS)
        self.answered.append((self.line_no, method, target, status, shown, text))
        return [(status, shown, text)]

    def play(self, lines):
        stage = self.stage
        stage.set_clock(START_MS - DAYS_MS)
        stage.settings({"downstream_rps": 0})
        stage.wipe()
        stage.serial(self.name in SERIAL)
        self.first_keys()
        self.answered = []
        try:
            for line in lines:
                self.line_no += 1
                self.play_line(line.strip())
            self.finish()
        finally:
            if self.leased:
                stage.crash(self.leased)

    def first_keys(self):
        """The first operator's credential lies in SSM and is no record, so a second operator plays the stories."""
        self.captures["root_credential"] = self.stage.operator
        for who in ("operator", "acme", "globex"):
            wanted = {"role": "operator"} if who == "operator" else {"role": "customer", "owner": who}
            self.who, self.request = "root", ["POST", "/keys", [], json.dumps({**wanted, "label": who}), False]
            status, _, text = self.ask()[0]
            if status != 201:
                raise Wrong(f"no key for {who}: {status} {text}")
            credential = json.loads(text)["credential"]
            key, secret = credential.split(".")
            self.captures[f"{who}_credential"], self.captures[f"{who}_key"], self.captures[f"{who}_secret"] = credential, key, secret
            self.captures[f"{who}_basic"] = base64.b64encode(f"{key}:{secret}".encode()).decode()
        self.who, self.request, self.answers = "acme", None, None

    def key_of(self, name):
        found = self.stage.home.ddb.scan(TableName=self.stage.home.out["TableName"])["Items"]
        return next(item["pk"]["S"][2:] for item in found
                    if item["sk"]["S"] == "DEVICE" and item.get("name", {}).get("S", "").casefold() == name.casefold())

    def word(self, word, rest):
        stage, rest = self.stage, self.fill(rest)
        if self.leased and word in ("clock", "run", "lease", "restart"):
            stage.crash(self.leased)  # a lease without settle: its sender has crashed
            self.leased = None
        if word == "as":
            self.who = rest
        elif word == "clock":
            number, unit = re.fullmatch(r"\+(\d+)(ms|s|min|h|d)", rest).groups()
            stage.set_clock(stage.clock_ms + int(number) * SPAN[unit])
        elif word == "set":
            name, value = rest.split(" ", 1)
            self.values[name] = value
            stage.settings({"downstream_rps": 0, **self.values})
            stage.kill_functions()
        elif word == "run":
            stage.run()
        elif word == "restart":
            stage.kill_functions()
        elif word == "lease":
            self.leased = stage.lease(self.key_of(rest))
        elif word == "settle":
            stage.settle(self.leased)
            self.leased = None
        elif word == "told":
            kind, count = rest.split(" ")
            heard = sum(event["type"] == kind for event in stage.hear())
            if count == "0" and kind in ("device.created", "update.cancelled"):
                return  # api tells right after its commit; the other home at the next `run`
            if heard != int(count):
                raise Wrong(f"{kind} was told {heard} times: {stage.heard}")
        elif word == "sap":
            self.sap_word(*rest.partition(" ")[::2])
        else:
            raise Wrong(f"no such line: {word} {rest}")

    def sap_word(self, word, rest):
        stage = self.stage
        if word in ("calls", "effects"):
            lines = stage.sap_lines("log")
            seen = sum(bool(line["write" if word == "calls" else "effect"]) for line in lines)
            if seen != int(rest):
                raise Wrong(f"SAP saw {seen} {word}")
        elif word == "rows":
            if len(stage.sap_lines("rows")) != int(rest):
                raise Wrong("SAP has other rows")
        elif word == "row":
            name, _, text = rest.partition(" {")
            self.match(parse("{" + text), self.row(name))
        elif word == "put":
            name, _, members = rest.partition(" ")
            stage.ask_sap("POST", "rows", json.dumps({"Equipment": self.row(name)["Equipment"], **json.loads(members)}))
        elif word in ("fault", "switch"):
            stage.ask_sap("POST", {"fault": "faults", "switch": "switches"}[word], rest)
        elif word == "expire":
            stage.ask_sap("POST", "expire", "{}")
        else:
            raise Wrong(f"no such line: sap {word}")

    def row(self, name):
        for row in self.stage.sap_lines("rows"):
            if row.get("YY1_DEVICE_NAME", "").casefold() == name.casefold():
                return parse(json.dumps(row))
        raise Wrong(f"SAP has no {name}")

    # --- the other home ---------------------------------------------------------------------------------------------
    def others(self):
        with open(os.path.join(BUILT, "transcript", f"{self.name}.ndjson"), encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def compare(self):
        others = self.others()
        if len(others) != len(self.answered):
            raise Wrong(f"{len(self.answered)} answers, the other home gave {len(others)}")
        ours_named, theirs_named = Names(), Names()
        for (line, method, target, status, headers, text), other in zip(self.answered, others):
            self.line_no = line
            if status != other["status"]:
                raise Wrong(f"{method} {target}: {status}, the other home: {other['status']}")
            if status in GATEWAYS:
                ours, theirs = parse(text), parse(other["body"])
                pairs = [(ours["code"], theirs["code"]), (headers["content-type"], other["headers"]["content-type"]),
                         (ours["request_id"], headers["x-request-id"])]
            else:
                if CURSOR_OF_THE_STORE.match(target):
                    text, other["body"] = (re.sub(r'"next_cursor":"[^"]*"', '"next_cursor":"..."', t) for t in (text, other["body"]))
                    other["headers"].pop("link", None)
                if method == "GET" and ORDER_OF_IDS.match(target):
                    text, other["body"] = "", ""
                    other["headers"].pop("link", None)
                pairs = [(ours_named(text), theirs_named(other["body"]))]
                pairs += [(ours_named(headers.get(name, "(none)")), theirs_named(value)) for name, value in other["headers"].items()]
            for ours, theirs in pairs:
                if ours != theirs:
                    raise Wrong(f"{method} {target}: {ours}\n    the other home: {theirs}")


def main():
    parts = sys.argv[1:]
    passed, failed = 0, 0
    made = subprocess.run([os.path.join(BUILT, "tests"), "--patience", "8",
                           *sorted({os.path.basename(p)[:-4].split("-")[0] + "-" for p in glob.glob(os.path.join(ROOT, "tests/scenarios/*.txt"))})],
                          stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode != 0:
        print(made.stdout[-2000:])
    stage = Stage(PORT, BUILT, "stories")
    try:
        for path in sorted(glob.glob(os.path.join(ROOT, "tests/scenarios/*.txt"))):
            name = os.path.basename(path)[:-4]
            with open(path, encoding="utf-8") as file:
                lines = file.read().split("\n")
            if "home: server" in map(str.strip, lines) or name in NOT_PLAYED or parts and not any(part in name for part in parts):
                continue
            began, story = time.monotonic(), Story(path, stage)
            try:
                story.play(lines)
                story.compare()
                passed += 1
                print(f"ok      {name} ({time.monotonic() - began:.1f} s)", flush=True)
            except Exception as error:  # pylint: disable=broad-except # a story may fail in any way
                failed += 1
                print(f"FAILED  tests/scenarios/{name}.txt:{story.line_no}: {type(error).__name__}: {str(error)[:2500]}", flush=True)
    finally:
        stage.close()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
