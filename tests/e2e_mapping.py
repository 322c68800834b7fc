#!/usr/bin/env python3
"""An SAP administrator's first day: `mapping init`, `check downstream`, the first device, against `hourbell mock-sap`, which wants a logon.

Usage: e2e_mapping.py BUILT_FOLDER [PART-OF-A-NAME...]. The last line is `N passed, N failed`."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request

import runner

BUILT = os.path.abspath(sys.argv[1])
WANTED = sys.argv[2:]
BINARY = os.path.join(BUILT, "hourbell")
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("HOURBELL")}
V2 = "/sap/opu/odata/sap/API_EQUIPMENT"
V4 = "/sap/opu/odata4/sap/api_equipment/srvd_a2x/sap/equipment/0001"
TESTS = []
RUNNING = []
DEVICES = [{"device_name": "Pump-7", "attributes": {"description": "Main pump", "serial": "ab-1", "weight_kg": 12.5,
                                                    "commissioned": "2020-01-02", "location": {"building": "H2", "room": "B1"},
                                                    "colour": "red"}},
           {"device_name": "Pump-8", "attributes": {"weight_kg": "7.25", "inventory": "4711"}}]


def test(function):
    TESTS.append(function)
    return function


def run(*words, code=0, env=None, stdin=None):
    """Run hourbell; the exit code must be the expected one. out: (stdout, stderr)"""
    done = subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=120, env={**CLEAN, **(env or {})},
                          input=stdin, check=False)
    assert done.returncode == code, f"{words}: {done.returncode}, expected {code}\n{done.stdout}{done.stderr}"
    return done.stdout, done.stderr


def start(words, env, pattern):
    """A program in the background, until it says where it listens."""
    process = subprocess.Popen([BINARY, *words], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env={**CLEAN, **env})
    RUNNING.append(process)
    for line in process.stderr:
        found = re.search(pattern, line)
        if found:
            return process, found.group(1)
    raise AssertionError(f"{words}: it does not start")


class Sap:
    """A mock SAP that wants a logon and opens its control paths."""

    def __init__(self, folder):
        self.folder = folder
        env = {"HOURBELL_MOCK_USER": "hourbell", "HOURBELL_MOCK_PASSWORD": "right"}
        self.process, self.address = start(["mock-sap", "--bind", "127.0.0.1:0", "--control"], env, r"(http://127\.0\.0\.1:\d+)/sap")
        self.secrets = os.path.join(folder, "secrets")
        self.set_password("right")

    def set_password(self, password):
        with open(os.path.join(self.folder, "secrets"), "w", encoding="utf-8") as file:
            file.write(f"sap/user=hourbell\nsap/password={password}\n")
        os.chmod(self.secrets, 0o600)

    def told(self, path):
        """What a control path lists, one JSON line each."""
        with urllib.request.urlopen(self.address + "/_mock/" + path, timeout=10) as answer:
            return [json.loads(line) for line in answer.read().splitlines()]

    def log(self):
        return self.told("log")

    def init(self, path=V2, code=0, sample=None, more=()):
        out = os.path.join(self.folder, "downstream.json")
        words = ["mapping", "init", self.address + path, "--query", "sap-client=100", "--sample", "-", "-o", out, "--secrets-file", self.secrets,
                 "--file", os.devnull, *more]
        lines = "".join(json.dumps(device) + "\n" for device in (DEVICES if sample is None else sample))
        return out, run(*words, code=code, stdin=lines)[1]

    def check(self, mapping, code=0, more=()):
        return run("check", "downstream", "--file", os.devnull, "--downstream-file", mapping, "--secrets-file", self.secrets, *more, code=code)


def edited(mapping, *changes):
    """The file with texts replaced, in place. out: its path"""
    with open(mapping, encoding="utf-8") as file:
        text = file.read()
    for before, after in changes:
        assert before in text, (before, text)
        text = text.replace(before, after, 1)
    with open(mapping, "w", encoding="utf-8") as file:
        file.write(text)
    return mapping


@test
def a_mapping_is_made_from_the_service_and_a_sample_and_fits_in_both_versions(folder):
    sap = Sap(folder)
    for path, version in ((V2, "v2"), (V4, "v4")):
        mapping, said = sap.init(path)
        with open(mapping, encoding="utf-8") as file:
            made = json.load(file)
        assert made["protocol"] == version and made["query"] == {"sap-client": "100"}, made
        assert made["auth"] == {"type": "basic", "user": "secret:sap/user", "password": "secret:sap/password"}, made
        fields = {field["field"]: field for field in made["fields"]}
        assert fields["GrossWeight"]["from"] == "attributes.weight_kg" and fields["GrossWeightUnit"]["const"] == "KG", fields
        assert fields["ManufacturerSerialNumber"]["upper"] and fields["InventoryNumber"]["from"] == "attributes.inventory", fields
        assert "/attributes/colour: no field of Equipment says the same" in said, said
        out, _ = sap.check(mapping)
        assert "fields and 2 parts of the key fit Equipment of " in out, out
        os.remove(mapping)
    assert not [line for line in sap.log() if line["write"]], sap.log()


@test
def the_first_device_arrives_in_sap(folder):
    sap = Sap(folder)
    mapping, _ = sap.init()
    words = ["serve", "--file", os.devnull]
    settings = {"window": "1s", "boundary_guard": "100ms", "bind": "127.0.0.1:0", "downstream": "odata", "downstream_file": mapping,
                "data_dir": os.path.join(folder, "data"), "secrets_file": sap.secrets, "downstream_rps": "0"}
    for name, value in settings.items():
        words += ["--set", f"{name}={value}"]
    _, port = start(words, {}, r'"event":"listening".*"port":(\d+)')
    with open(os.path.join(folder, "data", "operator.key"), encoding="utf-8") as file:
        env = {"HOURBELL_URL": f"http://127.0.0.1:{port}", "HOURBELL_KEY": file.read().strip()}
    attributes = dict(DEVICES[0]["attributes"])
    run("create", "Pump-7", json.dumps(attributes), "--owner", "acme", env=env)
    run("update", "Pump-7", '{"weight_kg": 13}', env=env)
    until = time.monotonic() + 30
    while True:
        shown = json.loads(run("show", "Pump-7", "--json", env=env)[0])
        if shown.get("acknowledged") and not shown["pending"]["count"]:
            break
        assert time.monotonic() < until, shown
        time.sleep(0.1)
    row = sap.told("rows")[0]
    assert row["GrossWeight"] in ("13.000", "13") and row["ManufacturerSerialNumber"] == "AB-1", row
    refused = run("update", "Pump-7", '{"weight_kg": "heavy", "location": {"room": "far too long"}}', "--json", env=env, code=13)[1]
    pointers = {error["pointer"] for error in json.loads(refused)["errors"]}
    assert pointers == {"/attributes/weight_kg", "/attributes/location/room"}, refused


@test
def each_finding_has_its_line_and_nothing_is_written(folder):
    sap = Sap(folder)
    mapping, _ = sap.init()
    edited(mapping, ('"AssetRoom"', '"AssetRom"'), ('"max": 40', '"max": 60'))
    with open(mapping, encoding="utf-8") as file:
        lines = file.read().split("\n")
    room = next(number for number, line in enumerate(lines, 1) if "AssetRom" in line)
    name = next(number for number, line in enumerate(lines, 1) if '"max": 60' in line)
    out, said = sap.check(mapping, code=13)
    assert re.search(rf"^{re.escape(mapping)}:{room}: /fields/\d+/field: AssetRom: the service has no such field \(it has AssetRoom\)$", out, re.M), out
    assert f"{mapping}:{name}: " in out and 'max is 60, the service holds 40: say "max": 40' in out, out
    assert said.endswith(f"2 found in {mapping}\n"), said
    found = json.loads(sap.check(mapping, code=13, more=["--json"])[0])
    assert {one["line"] for one in found["findings"]} == {room, name}, found
    assert {one["severity"] for one in found["findings"]} == {"error"}, found
    assert not [line for line in sap.log() if line["write"]], sap.log()


@test
def a_mapping_that_breaks_its_own_rules_is_told_whole_before_anybody_is_asked(folder):
    sap = Sap(folder)
    mapping, _ = sap.init()
    before = len(sap.log())
    edited(mapping, ('"on_missing"', '"on_mising"'), ('"type": "decimal"', '"type": "decmal"'))
    out, _ = sap.check(mapping, code=13)
    assert "/on_mising: is unknown" in out and "/type: must be one of: string, decimal" in out, out
    assert all(re.match(rf"{re.escape(mapping)}:\d+: /", line) for line in out.splitlines()), out
    with open(mapping, "w", encoding="utf-8") as file:
        file.write('{\n "entity": "Equipment",\n oops}')
    assert f"{mapping}:3: /: " in sap.check(mapping, code=13)[0]
    assert sap.check(os.path.join(folder, "nothing.json"), code=10)[1]
    assert len(sap.log()) == before


@test
def a_wrong_password_is_tried_once(folder):
    sap = Sap(folder)
    mapping, _ = sap.init()
    before = len(sap.log())
    sap.set_password("wrong")
    assert "the logon was refused" in sap.check(mapping, code=12)[1]
    assert len(sap.log()) == before + 1, sap.log()[before:]
    os.remove(mapping)
    sap.init(code=12)
    assert len(sap.log()) == before + 2, sap.log()[before:]


@test
def what_does_not_answer_or_is_no_service_is_told(folder):
    sap = Sap(folder)
    mapping, _ = sap.init()
    edited(mapping, ("API_EQUIPMENT", "API_EQUIPMNT"))
    sap.check(mapping, code=13)
    edited(mapping, (sap.address, "http://127.0.0.1:9"))
    sap.check(mapping, code=14)
    assert "File exists" in sap.init(code=11)[1]
    os.remove(mapping)
    assert "one of the service's sets\nEquipment" in sap.init(code=10, more=["--entity", "Pumps"])[1]
    assert "Say --name-field" in sap.init(code=10, more=["--name-field", "Nam"])[1]
    assert "line 2 of the sample" in sap.init(code=13, sample=[DEVICES[0], {"device_name": "x", "attributs": {}}])[1]
    assert "plain http:// shows secrets" in run("mapping", "init", "http://sap.example/x", "--file", os.devnull, code=13)[1]
    page = os.path.join(folder, "page")
    with open(page, "w", encoding="utf-8") as file:
        file.write("<html>\n<br></html>")
    said = run("mapping", "init", "https://h/s", "--metadata", page, "--file", os.devnull, code=13)[1]
    assert "no metadata: line 2: mismatched tag" in said, said
    assert not os.path.exists(mapping)


def stop_what_is_left():
    for process in RUNNING:
        process.kill()
        process.wait(30)
        process.stderr.close()
    RUNNING.clear()


def main():
    return runner.run_tests(TESTS, WANTED, "hourbell-mapping-", after=stop_what_is_left)


if __name__ == "__main__":
    sys.exit(main())
