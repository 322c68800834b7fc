#!/usr/bin/env python3
"""Play tests/scenarios on the real server, over a socket, then hold every answer against docs/openapi.yaml.

usage: tests/e2e_scenarios.py BUILT-FOLDER [PART-OF-A-NAME...]

Played are the stories that need nothing but requests and settings, and those with `home: server`. The grammar is that of
tests/scenarios/README.md; the real clock runs, so any moment fits where a story says one. Words of the server alone:
    raw "GET / ..."   bytes on a connection of its own, as a JSON string; `*20000x` is x 20,000 times; answers follow
    closed            the server has closed that connection
    signal TERM       to the server; requests go on over the connection that was open before
    exit 0            it ends with this status"""
import base64
import glob
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORDS = ("as", "set", "home:", "raw", "closed", "signal", "exit")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
CLASSES = {
    "$ANY": lambda value: True,
    "$TIME": lambda value: isinstance(value, str) and MOMENT.match(value) is not None,
    "$UUID": lambda value: re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
                                        str(value)) is not None,
    "$INT": lambda value: re.fullmatch(r"-?[0-9]+", str(value)) is not None,
}


class Wrong(Exception):
    pass


def make_credential(word):
    """A credential as hourbell makes them, known beforehand."""
    digits = "abcdefghijklmnopqrstuvwxyz234567"

    def base32(data, count):
        number = int.from_bytes(data, "big") >> (len(data) * 8 - count * 5)
        return "".join(digits[number >> 5 * (count - 1 - i) & 31] for i in range(count))
    secret = "hb_live_" + base32(hashlib.sha256(word.encode()).digest()[:20], 32)
    secret += base32(hashlib.sha256(secret.encode()).digest()[:4], 6)
    return "k_" + base32(hashlib.sha256(b"id" + word.encode()).digest()[:7], 10) + "." + secret


class Number(str):
    """A number of JSON as it is written."""


def parse(text):
    return json.loads(text, parse_int=Number, parse_float=Number)


class Server:
    def __init__(self, program, folder, settings):
        self.operator = make_credential("operator")
        mapping = os.path.join(ROOT, "downstream.json")
        command = [program, "serve", "--set", f"data_dir={folder}/data", "--set", "bind=127.0.0.1:0",
                   "--set", f"downstream_file={mapping}", "--set", f"window={quiet_window_s()}"]
        for setting in settings:
            command += ["--set", setting]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HOURBELL_")}
        environment["HOURBELL_SECRET_OPERATOR_KEY"] = self.operator
        self.log = open(f"{folder}/log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        env=environment, cwd=folder)
        self.port = self.wait_for_port(folder)

    def wait_for_port(self, folder):
        end = time.monotonic() + 30
        while time.monotonic() < end and self.process.poll() is None:
            with open(f"{folder}/log", encoding="utf-8", errors="replace") as log:
                found = re.search(r'"event":"listening".*?"port":(\d+)', log.read())
            if found:
                return int(found[1])
            time.sleep(0.02)
        with open(f"{folder}/log", encoding="utf-8", errors="replace") as log:
            raise Wrong("the server did not start:\n" + log.read()[-2000:])

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()


def quiet_window_s():
    """A window that does not end within the next minutes: nothing is delivered meanwhile."""
    return next(window for window in (86400, 25200) if window - time.time() % window > 600)


class Player:
    def __init__(self, path, built):
        self.path, self.line_no = path, 0
        self.name = os.path.basename(path)[:-4]
        self.built = built
        self.captures = {}
        self.who, self.request, self.answers, self.expected = "acme", None, None, ""
        self.raw, self.kept = None, None
        transcripts = os.path.join(built, "transcript")
        os.makedirs(transcripts, exist_ok=True)
        self.transcript = open(os.path.join(transcripts, f"server,{self.name}.ndjson"), "w", encoding="utf-8")

    # --- captures and comparison -------------------------------------------------------------------------------
    def fill(self, text):
        def put(match):
            if match[1] not in self.captures:
                raise Wrong(f"${match[1]} was never captured")
            return self.captures[match[1]]
        return re.sub(r"\$\{(\w+)\}", put, text)

    def fits(self, pattern, value):
        if not isinstance(pattern, str) or not pattern.startswith("$") or len(pattern) < 2:
            both_moments = isinstance(pattern, str) and MOMENT.match(pattern) and MOMENT.match(str(value))
            return pattern == value and type(pattern) is type(value) or bool(both_moments)
        if pattern in CLASSES:
            return CLASSES[pattern](value)
        name, takes, kind = pattern[1:].partition("=")
        if not takes:
            return self.captures.get(name) == value
        self.captures[name] = str(value)
        return not kind or CLASSES[kind](value)

    def match(self, expected, actual, pointer=""):
        if isinstance(expected, dict) and isinstance(actual, dict):
            for name, value in expected.items():
                if name == "...":
                    continue
                if name not in actual:
                    raise Wrong(f"{pointer}/{name} is missing in {json.dumps(actual)[:1000]}")
                self.match(value, actual[name], f"{pointer}/{name}")
            extra = set(actual) - set(expected)
            if extra and "..." not in expected:
                raise Wrong(f"{pointer}/{sorted(extra)[0]} was not expected in {json.dumps(actual)[:1000]}")
        elif isinstance(expected, list) and isinstance(actual, list):
            if len(expected) != len(actual):
                raise Wrong(f"{pointer} has {len(actual)} items, expected {len(expected)}: {json.dumps(actual)[:1000]}")
            for index, value in enumerate(expected):
                self.match(value, actual[index], f"{pointer}/{index}")
        elif not self.fits(expected, actual):
            raise Wrong(f"{pointer} is {json.dumps(actual)[:500]}, expected {json.dumps(expected)[:500]}")

    # --- requests ---------------------------------------------------------------------------------------------------
    def ask(self):
        method, target, headers, body, plain = self.request
        headers = list(headers)
        if self.who != "nobody":
            headers.append(("x-api-key", self.captures[f"{self.who}_credential"]))
        if body and not plain:
            headers.append(("content-type", "application/json"))
        connection = self.kept or http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        connection.putrequest(method, target, skip_accept_encoding=True)
        data = body.encode()
        if data or method in ("POST", "PUT", "PATCH"):
            headers.append(("content-length", str(len(data))))
        for name, value in headers:
            connection.putheader(name, value.encode())
        connection.endheaders(data)
        answer = connection.getresponse()
        text = answer.read().decode()
        self.kept = connection if answer.headers.get("connection", "").lower() != "close" else None
        return [self.note(method, target, answer.status, answer.getheaders(), text)]

    def note(self, method, target, status, headers, text):
        named = {name.lower(): value for name, value in headers}
        if len(named) != len(headers):
            raise Wrong(f"a header stands twice: {headers}")
        shown = {name: value for name, value in named.items()
                 if name not in ("date", "content-length", "connection", "keep-alive")}
        self.transcript.write(json.dumps({"line": self.line_no, "method": method, "target": target, "status": status,
                                          "headers": shown, "body": text}) + "\n")
        return status, named, text

    def send_raw(self, text):
        data = re.sub(r"\*(\d+)(\w)", lambda match: match[2] * int(match[1]), self.fill(json.loads(text))).encode()
        self.raw = socket.create_connection(("127.0.0.1", self.server.port), timeout=20)
        self.raw.sendall(data)
        first = data.decode().split(" ")
        self.raw_request = (first[0], first[1])
        self.raw_bytes = b""

    def next_raw_answer(self):
        while b"\r\n\r\n" not in self.raw_bytes:
            self.take_raw()
        head, _, rest = self.raw_bytes.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = [tuple(line.split(": ", 1)) for line in lines[1:]]
        length = int(next(value for name, value in headers if name.lower() == "content-length"))
        while len(rest) < length:
            self.take_raw()
            rest = self.raw_bytes.partition(b"\r\n\r\n")[2]
        self.raw_bytes = rest[length:]
        status = int(lines[0].split(" ")[1])
        return self.note(*self.raw_request, status, headers, rest[:length].decode())

    def take_raw(self):
        chunk = self.raw.recv(65536)
        if not chunk:
            raise Wrong(f"the server closed without the answer; so far {self.raw_bytes[:200]}")
        self.raw_bytes += chunk

    # --- lines ----------------------------------------------------------------------------------------------------------
    def request_line(self, line):
        if line.startswith(">*"):
            count, text = line[2:].strip().split(" ", 1)
            self.request[3] += text * int(count)
        elif line.startswith(">|"):
            self.request[3] += self.fill(line[3:] if line.startswith(">| ") else line[2:])
        elif self.request is None or self.answers is not None:
            method, target = line[1:].strip().split(" ", 1)
            self.request, self.answers, self.raw = [method, self.fill(target), [], "", False], None, None
        else:
            text = line[1:].strip()
            header = re.match(r"([a-z-]+): (.+)$", text)
            if header and not self.request[3]:
                self.request[4] |= header[1] == "content-type"
                if header[2] != "-":
                    self.request[2].append((header[1], self.fill(header[2])))
            else:
                self.request[3] += self.fill(text)

    def answer_line(self, line):
        text = line[1:].strip()
        status = re.match(r"(\d{3})(?: (\w+))?$", text)
        if status:
            self.finish()
            self.answers = [self.next_raw_answer()] if self.raw else self.ask()
            actual, headers, body = self.answers[-1]
            if actual != int(status[1]):
                raise Wrong(f"status is {actual}, expected {status[1]}: {body[:1000]}")
            if status[2]:
                if headers.get("content-type") != "application/problem+json":
                    raise Wrong(f"the answer is {headers.get('content-type')}")
                self.match({"code": status[2], "status": Number(status[1]), "request_id": headers["x-request-id"],
                            "...": 0}, parse(body))
        elif text.startswith("bytes "):
            if not self.fits(text[6:], self.answers[-1][2]):
                raise Wrong(f"the bytes are {self.answers[-1][2][:1000]}")
        elif not self.expected and re.match(r"[a-z-]+: ", text):
            name, value = text.split(": ", 1)
            actual = self.answers[-1][1].get(name, "-")
            if not self.fits(value, actual) or actual == "-" and value != "-":
                raise Wrong(f"{name} is {actual}, expected {value}")
        else:
            self.expected += text

    def finish(self):
        if self.expected:
            self.match(parse(self.expected), parse(self.answers[-1][2]))
        self.expected = ""

    def word(self, word, rest):
        if word == "as":
            self.who = rest
        elif word == "raw":
            self.send_raw(rest)
        elif word == "closed":
            if self.raw.recv(1):
                raise Wrong("the connection is still open")
        elif word == "signal":
            self.server.process.send_signal(getattr(signal, f"SIG{rest}"))
            self.wait_until_stopping()
        elif word == "exit":
            status = self.server.process.wait(timeout=30)
            if status != int(rest):
                raise Wrong(f"the server ended with {status}")

    def wait_until_stopping(self):
        """The signal arrives a little later: the log tells when."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with open(self.server.log.name, encoding="utf-8", errors="replace") as log:
                if '"event":"stopping"' in log.read():
                    return
            time.sleep(0.01)
        raise Wrong("the server does not say that it is stopping")

    def first_keys(self):
        def keep(who, credential):
            key, secret = credential.split(".")
            self.captures[f"{who}_credential"], self.captures[f"{who}_key"] = credential, key
            self.captures[f"{who}_secret"] = secret
            self.captures[f"{who}_basic"] = base64.b64encode(f"{key}:{secret}".encode()).decode()
        keep("operator", self.server.operator)
        for who in ("acme", "globex"):
            self.who, self.request = "operator", ["POST", "/keys", [], json.dumps({"role": "customer", "owner": who}), False]
            status, _, text = self.ask()[0]
            if status != 201:
                raise Wrong(f"no key for {who}: {text}")
            keep(who, json.loads(text)["credential"])
        self.who, self.request = "acme", None

    def play(self, lines):
        settings = [line[4:].replace(" ", "=", 1) for line in lines if line.startswith("set ")]
        with tempfile.TemporaryDirectory(prefix="hourbell-scenario-") as folder:
            self.server = Server(os.path.join(self.built, "hourbell"), folder, settings)
            try:
                self.first_keys()
                for line in lines:
                    self.line_no += 1
                    self.play_line(line.strip())
                self.finish()
            finally:
                self.server.stop()
                self.transcript.close()

    def play_line(self, line):
        if line.startswith("<"):
            self.answer_line(line)
            return
        self.finish()
        if line.startswith(">"):
            self.request_line(line)
        elif line and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            self.word(word, rest)


def is_playable(lines):
    return all(line[0] in "#<>" or line.split(" ")[0] in WORDS for line in map(str.strip, lines) if line)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    built, parts = os.path.abspath(sys.argv[1]), sys.argv[2:]
    passed, failed = 0, 0
    for path in sorted(glob.glob(os.path.join(ROOT, "tests/scenarios/*.txt"))):
        with open(path, encoding="utf-8") as file:
            lines = file.read().split("\n")
        if not is_playable(lines) or parts and not any(part in path for part in parts):
            continue
        player = Player(path, built)
        try:
            player.play(lines)
            passed += 1
        except (Wrong, OSError, ValueError, KeyError, http.client.HTTPException, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"FAILED  tests/scenarios/{player.name}.txt:{player.line_no}: {type(error).__name__}: {error}")
    if not parts:
        result = subprocess.run([sys.executable, os.path.join(ROOT, "tests/validate_openapi.py"), built],
                                stdout=subprocess.PIPE, text=True, check=False)
        *complaints, last = result.stdout.strip().split("\n")
        print("\n".join(complaints), end="\n" if complaints else "")
        counts = re.fullmatch(r"(\d+) passed, (\d+) failed", last)
        passed, failed = (passed + int(counts[1]), failed + int(counts[2])) if counts else (passed, failed + 1)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
