#!/usr/bin/env python3
"""What README and docs tell people to type works: `make run` and what it prints, the blocks of the README, `make demo`; and
every command, option, file and target that they name exists.

Usage: e2e_readme.py BUILT_FOLDER [PART-OF-A-NAME...]. The last line is `N passed, N failed`."""

import glob
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

BUILT = os.path.abspath(sys.argv[1])
WANTED = sys.argv[2:]
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("HOURBELL", "MAKE", "MFLAGS"))}
CLEAN["BUILT"] = BUILT
PAGES = ["README.md", "CONTRIBUTING.md", "docs/operations.md", "docs/architecture.md", "docs/decisions.md"]
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def page(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def blocks(name):
    return re.findall(r"^```sh\n(.*?)^```", page(name), re.M | re.S)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Run:
    """script/run with data and ports of its own, until close."""

    def __init__(self, folder, window="5s", **more):
        self.data, self.port, self.sap_port = os.path.join(folder, "data"), free_port(), free_port()
        self.env = {**CLEAN, "DATA": self.data, "PORT": str(self.port), "SAP_PORT": str(self.sap_port),
                    "WINDOW": window, **more}
        self.out = os.path.join(folder, "out")
        self.folder = folder

    def start(self):
        with open(self.out, "wb") as out:
            self.process = subprocess.Popen(  # a shell cannot trap what it was started to ignore, as background jobs are
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), args=[os.path.join(ROOT, "script/run")], env=self.env, stdout=out, stderr=out,
                                            stdin=subprocess.DEVNULL, start_new_session=True)
        until = time.monotonic() + 400
        while "Ctrl-C stops both" not in self.said():
            assert self.process.poll() is None and time.monotonic() < until, self.said()
            time.sleep(0.05)
        return self

    def said(self):
        return open(self.out, encoding="utf-8").read()

    def shell(self, text):
        """Type it into a shell, in the folder that holds data/."""
        env = {**CLEAN, "PATH": BUILT + ":" + CLEAN["PATH"], "HOURBELL_URL": f"http://127.0.0.1:{self.port}"}
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], env=env, cwd=self.folder, capture_output=True,
                              text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout

    def close(self, how=signal.SIGINT):
        """As Ctrl-C does: everybody in the process group."""
        os.killpg(self.process.pid, how)
        assert self.process.wait(60) == 0, self.said()
        for port in (self.port, self.sap_port):
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", port)) != 0, "something is left running"


@test
def what_the_readme_says_to_type_works(folder):
    """P7"""
    run = Run(folder).start()
    said = run.said()
    assert "Keys, shown this once" in said and "Three commands to try" in said, said
    run.shell("echo '{\"device_name\": \"From-a-file\"}' > devices.ndjson")
    typed = 0
    for block in blocks("README.md"):
        if block.startswith("git clone"):
            continue  # the clone is this one; make run and make demo have tests of their own
        if "hourbell " in block or "curl " in block:
            run.shell(block.replace("127.0.0.1:8080", f"127.0.0.1:{run.port}"))
            typed += 1
    assert typed >= 2, "the README has lost its commands"
    until = time.monotonic() + 30
    while "\tdelivered\t" not in run.shell("HOURBELL_KEY_FILE=data/customer.key hourbell log Pump-7"):
        assert time.monotonic() < until, run.shell("HOURBELL_KEY_FILE=data/customer.key hourbell log Pump-7")
        time.sleep(0.2)
    run.close()


@test
def what_make_run_prints_can_be_typed_and_a_second_start_has_everything(folder):
    """P1"""
    run = Run(folder).start()
    lines = [line.strip() for line in run.said().splitlines() if line.startswith(("  hourbell", "  . "))]
    assert len(lines) == 3, lines
    assert "Pump-7" in run.shell("\n".join(lines))
    assert "WINDOW OF ONE MINUTE" not in run.said()
    log = open(os.path.join(run.data, "server.log"), encoding="utf-8").read()
    assert "hb_live_" not in log
    for name in ("operator.key", "customer.key"):
        assert os.stat(os.path.join(run.data, name)).st_mode & 0o777 == 0o600
    run.close()
    again = Run(folder)
    again.start()
    assert "Keys, shown" not in again.said() and "hb_live_" not in again.said()
    assert "Pump-7" in again.shell("HOURBELL_KEY_FILE=data/customer.key hourbell show")
    again.close()


@test
def keys_given_by_a_file_of_secrets_are_taken(folder):
    """P9"""
    first = Run(folder).start()
    keys = {who: open(os.path.join(first.data, who + ".key"), encoding="utf-8").read().strip()
            for who in ("operator", "customer")}
    first.close()
    secrets = os.path.join(folder, "secrets")
    with open(os.open(secrets, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(f"operator_key={keys['operator']}\ncustomer_key={keys['customer']}\n")
    second = os.path.join(folder, "second")
    os.mkdir(second)
    run = Run(second, SECRETS=secrets).start()
    assert "hb_live_" not in run.said()
    assert "k_" in run.shell("HOURBELL_KEY_FILE=data/operator.key hourbell keys list")
    run.close()


@test
def a_busy_port_is_said_with_the_way_out(folder):
    """P11"""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        run = Run(folder)
        for name, env in (("PORT", {"PORT": str(port)}), ("SAP_PORT", {"SAP_PORT": str(port)})):
            done = subprocess.run([os.path.join(ROOT, "script/run")], env={**run.env, **env}, capture_output=True,
                                  text=True, timeout=400, check=False)
            assert done.returncode == 1 and f"make run {name}=" in done.stderr, done


@test
def the_demonstration_is_true(folder):
    """P2 P4 P7"""
    done = subprocess.run([os.path.join(ROOT, "script/demo")], env={**CLEAN, "WINDOW": "6s"}, capture_output=True,
                          text=True, timeout=120, check=False)
    assert done.returncode == 0 and done.stdout.rstrip().endswith("All of it is true."), done.stdout + done.stderr
    assert done.stdout.count("✓") >= 14, done.stdout


@test
def every_command_and_option_that_is_named_exists(folder):
    program, helps = os.path.join(BUILT, "hourbell"), {}
    lines = []
    for name in PAGES + ["docs/sap.md", "SECURITY.md"]:
        if os.path.exists(os.path.join(ROOT, name)):
            text = page(name)
            for block in blocks(name):
                lines += re.findall(r"^(hourbell [^\n#|>]*)", block, re.M)
            lines += re.findall(r"`(hourbell [a-z][^`]*)`", text)
    assert len(lines) > 20, lines
    for line in lines:
        words = shlex.split(line.replace("...", ""))
        command = words[1:3] if words[1] == "keys" else words[1:2]
        if command[0] == "help" or " | " in line or command == ["keys"]:
            continue
        key = " ".join(command)
        if key not in helps:
            done = subprocess.run([program, "help", *command], capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}: there is no such command"
            helps[key] = done.stdout
        for word in words:
            option = re.match(r"--[a-z-]+", word)
            assert not option or re.search(re.escape(option.group()) + r"\b", helps[key]), f"{line}: no {word}"


@test
def every_file_and_target_that_is_named_exists(folder):
    targets = set(re.findall(r"^([a-z-]+):", page("Makefile"), re.M))
    for name in PAGES:
        text = page(name)
        for link in re.findall(r"\]\(([^)#]+)\)", text):
            if not link.startswith("http"):
                path = os.path.normpath(os.path.join(ROOT, os.path.dirname(name), link))
                assert os.path.exists(path), f"{name}: {link}"
        for path in re.findall(r"`((?:src|tests|docs|deploy|bench|script)/[\w./*-]+)`", text):
            assert glob.glob(os.path.join(ROOT, path)), f"{name}: {path}"
        for target in re.findall(r"(?:^|`|\s)make ([a-z][a-z-]+)", text, re.M):
            if f"make {target}" in text and (f"`make {target}" in text or re.search(rf"^make {target}", text, re.M)):
                assert target in targets, f"{name}: make {target}"
    assert len(page("README.md").splitlines()) <= 120


def main():
    passed = failed = 0
    for function in TESTS:
        if WANTED and not any(word in function.__name__ for word in WANTED):
            continue
        folder = tempfile.mkdtemp(prefix="hourbell-readme-")
        try:
            function(folder)
            passed += 1
        except Exception as wrong:  # each test says its own
            failed += 1
            line = traceback.extract_tb(wrong.__traceback__)[1].lineno
            print(f"FAILED  {function.__name__}, line {line}: {type(wrong).__name__}: {wrong}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return failed > 0 or passed == 0


if __name__ == "__main__":
    sys.exit(main())
