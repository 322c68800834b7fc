#!/usr/bin/env python3
"""The real binary as a process: start, stop under load, a second server, a full disk, kill -9.

Usage: e2e_server.py BUILT_FOLDER [--long] [PART-OF-A-NAME...]. The last line is `N passed, N failed`.
The downstream is a small HTTP server in this file, which writes down each effect: P2 is judged by its log."""

import http.client
import http.server
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

BUILT = os.path.abspath(sys.argv[1])
LONG = "--long" in sys.argv or bool(os.environ.get("LONG"))
WANTED = [word for word in sys.argv[2:] if not word.startswith("--")]
BINARY = os.path.join(BUILT, "hourbell")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TESTS = []


def test(function):
    TESTS.append(function)
    return function


class Downstream:
    """Takes PATCH and PUT of one resource per device, as downstream_http sends them; remembers who did what when."""

    def __init__(self, delay_s=0.0):
        self.rows, self.effects, self.repeats, self.lock = {}, [], {}, threading.Lock()
        self.delay_s = delay_s
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status, body=b""):
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def write(self):
                arrived = time.time()
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                repeat = self.headers.get("idempotency-key")
                with outer.lock:
                    known = outer.repeats.get(repeat)
                    if known is None:
                        outer.rows[self.path] = json.loads(body)
                        outer.effects.append((self.path, arrived, repeat))
                        outer.repeats[repeat] = 204
                if outer.delay_s:
                    time.sleep(outer.delay_s)
                self.answer(204)

            do_PATCH = do_PUT = write

            def do_GET(self):
                with outer.lock:
                    row = outer.rows.get(self.path)
                self.answer(200 if row is not None else 404, json.dumps(row).encode() if row is not None else b"{}")

            def log_message(self, *unused):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *unused):
                pass  # a client that was killed resets its connections

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/devices"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Hourbell:
    """One data folder, and the process on it."""

    def __init__(self, folder, downstream=None, **settings):
        self.folder, self.process, self.operator, self.customer = folder, None, None, None
        url = downstream.url if downstream else "http://127.0.0.1:9/devices"
        self.config = os.path.join(folder, "downstream.json")
        with open(self.config, "w", encoding="utf-8") as file:
            json.dump({"downstream": "test", "base_url": url, "allow_http": True, "body": "full",
                       "on_missing": "create", "read_back": True}, file)
        self.settings = {"data_dir": os.path.join(folder, "data"), "bind": "127.0.0.1:0", "downstream": "http",
                         "downstream_file": self.config, "downstream_rps": "0", "downstream_concurrency": "8"}
        self.settings.update(settings)
        self.log = os.path.join(folder, "log")

    def command(self):
        words = [BINARY, "serve"]
        for name, value in self.settings.items():
            words += ["--set", f"{name}={value}"]
        return words

    def spawn(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HOURBELL")}
        environment["HOURBELL_CONF"] = os.path.join(self.folder, "none.conf")
        open(environment["HOURBELL_CONF"], "w", encoding="utf-8").close()
        self.log_from = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), stderr=log, stdout=log, stdin=subprocess.DEVNULL,
                                            env=environment, cwd=self.folder)

    def start(self):
        self.spawn()
        until = time.monotonic() + 30
        while time.monotonic() < until:
            lines = self.lines()
            listening = [line for line in lines if line.get("event") == "listening"]
            if listening:
                self.port = listening[0]["port"]
                break
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.text()}"
            time.sleep(0.01)
        else:
            raise AssertionError("it does not listen: " + self.text())
        if not self.operator:
            with open(os.path.join(self.settings["data_dir"], "operator.key"), encoding="utf-8") as file:
                self.operator = file.read().strip()
            status, _, body = self.ask("POST", "/keys", {"role": "customer", "owner": "acme", "label": "e2e"},
                                       key=self.operator)
            assert status == 201, (status, body)
            self.customer = json.loads(body)["credential"]
        return self

    def text(self):
        with open(self.log, "rb") as file:
            file.seek(self.log_from)
            return file.read().decode()

    def lines(self):
        return [json.loads(line) for line in self.text().splitlines() if line.startswith("{") and line.endswith("}")]

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(self, method, target, body=None, key=None, headers=None, connection=None):
        own = connection or self.connect()
        try:
            return exchange(own, method, target, body, self.customer if key is None else key, headers)
        finally:
            if not connection:
                own.close()

    def stop(self, how=signal.SIGTERM, patience_s=30):
        self.process.send_signal(how)
        return self.process.wait(patience_s)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()


def exchange(connection, method, target, body, key, headers=None):
    head = {"x-api-key": key} if key else {}
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        head["content-type"] = "application/json"
    head.update(headers or {})
    connection.request(method, target, data, head)
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


# --- starting and stopping ----------------------------------------------------------------------------------------------

@test
def serves_stops_on_sigterm_and_leaves_no_wal(folder):
    """P1"""
    bell = Hourbell(folder, unix_socket=os.path.join(folder, "sock")).start()
    assert bell.ask("GET", "/readyz", key="")[0] == 200
    assert bell.ask("POST", "/create-device", {"device_name": "Pump-7"})[0] == 201
    assert os.stat(os.path.join(folder, "sock")).st_mode & 0o777 == 0o660
    with socket.socket(socket.AF_UNIX) as raw:  # a Unix socket is where a proxy comes in: nobody there is this machine itself
        raw.connect(os.path.join(folder, "sock"))
        raw.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert raw.recv(4096).startswith(b"HTTP/1.1 401 "), "metrics for everybody behind a proxy"
    assert os.stat(bell.settings["data_dir"]).st_mode & 0o777 == 0o700
    started = time.monotonic()
    assert bell.stop() == 0
    assert time.monotonic() - started < 5
    assert not os.path.exists(os.path.join(folder, "sock"))
    wal = os.path.join(bell.settings["data_dir"], "hourbell.db-wal")
    assert not os.path.exists(wal) or os.path.getsize(wal) == 0, "the WAL was not carried over"
    bell.start()
    assert bell.ask("GET", "/devices/pump-7")[0] == 200
    assert "hb_live_" not in bell.text()
    assert bell.stop(signal.SIGINT) == 0


@test
def every_line_of_the_log_is_json_and_shows_no_secret(folder):
    """P9"""
    bell = Hourbell(folder, log_level="debug").start()
    shown = bell.text()
    bell.ask("POST", "/create-device", {"device_name": "P\u001b[31m"})
    bell.ask("GET", "/devices/%00%0a%1b", headers={"x-evil": "a\tb"})
    with socket.create_connection(("127.0.0.1", bell.port)) as raw:
        raw.sendall(b"GET /\x1b[31m HTTP/1.1\r\nHost: a\r\n\r\n")
        raw.recv(4096)
    bell.process.send_signal(signal.SIGHUP)
    assert bell.stop() == 0
    rest = bell.text()[len(shown):]
    for line in rest.splitlines():
        json.loads(line)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", rest)
    assert "hb_live_" not in rest
    assert [line for line in bell.lines() if line.get("name") == "SIGHUP"]
    requests = [line for line in bell.lines() if line["event"] == "request"]
    assert {"operation", "status", "duration_us", "request_id", "by", "bytes"} <= set(requests[0])


@test
def a_second_server_on_the_same_data_is_refused_with_11(folder):
    """P2"""
    bell = Hourbell(folder).start()
    second = subprocess.run(bell.command(), capture_output=True, cwd=folder, timeout=30, check=False)
    assert second.returncode == 11, second
    assert bell.ask("GET", "/readyz", key="")[0] == 200
    other = Hourbell(folder, data_dir=os.path.join(folder, "other"), bind=f"127.0.0.1:{bell.port}")
    taken = subprocess.run(other.command(), capture_output=True, cwd=folder, timeout=30, check=False)
    assert taken.returncode == 11 and b"in use" in taken.stderr and b"secret" not in taken.stderr, taken
    assert bell.stop() == 0


@test
def what_is_wrong_at_the_start_ends_it_with_one_sentence_and_13(folder):
    """P11"""
    for name, value in (("bind", "0.0.0.0:0"), ("widnow", "1h"), ("window", "0s"), ("downstream_file", "none.json"),
                        ("secrets_file", "none"), ("data_dir", "/dev/null/x")):
        wrong = Hourbell(folder, **{name: value})
        ended = subprocess.run(wrong.command(), capture_output=True, cwd=folder, timeout=30, check=False)
        assert ended.returncode == 13, (name, ended)
        assert name in ended.stderr.decode(), (name, ended)
        # the same is found without a start
        looked = subprocess.run([BINARY, "config", "--check", *wrong.command()[2:]], capture_output=True, cwd=folder, timeout=30,
                                check=False)
        assert looked.returncode == 13 and not looked.stdout and name in looked.stderr.decode(), (name, looked)


@test
def what_a_start_would_need_is_looked_at_without_one(folder):
    """P11"""
    good = Hourbell(folder)

    def look(code, *more):
        done = subprocess.run([BINARY, "config", "--check", *good.command()[2:], *more], capture_output=True, cwd=folder, timeout=30,
                              check=False)
        assert done.returncode == code and not done.stdout, done
        return done.stderr.decode()

    before = sorted(os.listdir(folder))
    assert look(0) == ""
    assert sorted(os.listdir(folder)) == before  # the data folder was not left behind
    said = look(13, "--set", "data_dir=/proc/nope", "--set", "secrets_file=/nonexist")
    assert said.count("\n") == 2 and "data_dir: /proc/nope: " in said and "secrets_file: /nonexist: No such file" in said, said
    assert "webhook_operator is set" in look(13, "--set", "webhook_operator=https://receiver.example/x")
    said = look(13, "--set", "downstream_file=/nonexist", "--json")
    assert json.loads(said)["detail"].startswith("downstream_file: /nonexist: No such file"), said
    os.mkdir(good.settings["data_dir"])
    assert look(0) == "" and os.path.isdir(good.settings["data_dir"])
    open(os.path.join(good.settings["data_dir"], "hourbell.db.restore"), "w", encoding="utf-8").close()
    assert "a restore was cut short" in look(13)


@test
def keys_given_beforehand_are_adopted_and_none_is_shown(folder):
    """P9"""
    first = Hourbell(os.path.join(folder)).start()
    operator, customer = first.operator, first.customer
    assert first.stop() == 0
    secrets = os.path.join(folder, "secrets")
    with open(os.open(secrets, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(f"operator_key={operator}\ncustomer_key={customer}\ncustomer_owner=globex\n")
    second = Hourbell(folder, data_dir=os.path.join(folder, "second"), secrets_file=secrets)
    second.operator, second.customer = operator, customer
    second.start()
    assert "first operator key" not in second.text()
    status, _, body = second.ask("POST", "/create-device", {"device_name": "Pump-7"})
    assert status == 201 and json.loads(body)["owner"] == "globex", body
    assert second.ask("GET", "/work?state=open", key=operator)[0] == 200
    assert second.stop() == 0
    second.start()
    assert second.stop() == 0


@test
def metrics_please_promtool(folder):
    """P11"""
    bell = Hourbell(folder).start()
    bell.ask("POST", "/create-device", {"device_name": "Pump-7"})
    bell.ask("GET", "/nowhere")
    status, headers, body = bell.ask("GET", "/metrics", key="")
    assert status == 200 and headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b'hourbell_requests_total{operation="createDevice",status="201"} 1\n' in body
    assert b"hourbell_devices_created_total 1\n" in body
    assert bell.stop() == 0
    checked = subprocess.run([os.path.join(ROOT, "script", "promtool"), "check", "metrics"], input=body,
                             capture_output=True, check=False, timeout=300)
    assert checked.returncode == 0 and not checked.stdout.strip(), checked


# --- load ----------------------------------------------------------------------------------------------------------------

class Customer(threading.Thread):
    """Creates and updates its own devices on a kept-alive connection, each request with an Idempotency-Key, and
    remembers what it asked and what it heard. A lost answer is no answer."""

    def __init__(self, bell, number, devices=20, seed=0):
        super().__init__(daemon=True)
        self.bell, self.number, self.devices = bell, number, devices
        self.random = random.Random(f"{seed}-{number}")
        self.heard, self.unheard, self.over, self.refused = [], [], False, []
        self.count = 0

    def next_request(self):
        self.count += 1
        name = f"load-{self.number}-{self.random.randrange(self.devices)}"
        if self.random.random() < 0.3:
            return "/create-device", {"device_name": name, "attributes": {"n": 0}}, f"{self.number}-{self.count}"
        patch = {self.random.choice("abc"): self.random.choice([None, self.count, {"d": self.count}])}
        return "/update-device", {"device_name": name, "attributes": patch}, f"{self.number}-{self.count}"

    def run(self):
        connection = None
        while not self.over:
            target, body, key = self.next_request()
            try:
                connection = connection or self.bell.connect()
                status, headers, text = exchange(connection, "POST", target, body, self.bell.customer,
                                                 {"Idempotency-Key": key})
                if status in (200, 201, 202):
                    self.heard.append((target, body, key, status, headers.get("etag"), headers.get("location"), text))
                elif status in (404, 409):
                    pass  # not created yet; created with other attributes
                else:
                    self.refused.append((status, text))
                if headers.get("connection") == "close":
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException):
                self.unheard.append((target, body, key))
                if connection:
                    connection.close()
                connection = None
                if self.bell.process.poll() is not None:
                    return


def check_heard(bell, customers):
    """P1, P6: what was answered is there, and a repeat gets the first answer's bytes."""
    connection, count = bell.connect(), 0
    for customer in customers:
        for target, body, key, status, etag, location, text in customer.heard:
            again, headers, bytes_again = exchange(connection, "POST", target, body, bell.customer,
                                                   {"Idempotency-Key": key})
            assert again == status and bytes_again == text, (key, status, text, again, bytes_again)
            assert headers.get("etag") == etag and headers.get("location") == location, (key, headers)
            assert headers.get("idempotency-replayed") == "true", (key, headers)
            count += 1
        for target, body, key in customer.unheard:
            status, _, text = exchange(connection, "POST", target, body, bell.customer, {"Idempotency-Key": key})
            assert status in (200, 201, 202, 404, 409), (key, status, text)
        customer.heard, customer.unheard = customer.heard[-50:], []
    connection.close()
    return count


def check_effects(downstream, window_s):
    """P2: by the downstream's own log, at most one effect per device and window."""
    seen = set()
    for path, arrived, _ in downstream.effects:
        slot = (path, int(arrived // window_s))
        assert slot not in seen, f"two effects of {path} in one window"
        seen.add(slot)


def check_quiescent(bell, downstream):
    """P4: once nothing waits any more, the downstream holds every device's document."""
    until = time.monotonic() + 60  # leases of the killed ones end, uncertain ones are looked at again
    while True:
        waits = [state for state in ("open", "flight", "uncertain")
                 if json.loads(bell.ask("GET", f"/work?state={state}", key=bell.operator)[2])["items"]]
        if not waits:
            break
        assert time.monotonic() < until, f"work is left: {waits}"
        time.sleep(0.05)
    page, count = "/devices?limit=100", 0
    connection = bell.connect()
    while page:
        status, _, body = exchange(connection, "GET", page, None, bell.customer)
        assert status == 200, body
        listed = json.loads(body)
        for device in listed["items"]:
            row = downstream.rows.get("/devices/" + device["device_name"])
            if device["revision"] > 1:
                assert row == device["desired"], (device, row)
                count += 1
        page = "/devices?limit=100&cursor=" + listed["next_cursor"] if listed["has_more"] else None
    connection.close()
    assert count > 0


def check_data(bell):
    """P3, P4: the replay of every log against the invariants."""
    checked = subprocess.run([BINARY, "check", bell.settings["data_dir"]], capture_output=True, check=False,
                             timeout=300, cwd=bell.folder)
    assert checked.returncode == 0, checked.stdout.decode()[-3000:] + checked.stderr.decode()[-3000:]


@test
def stops_under_load_and_everything_answered_is_there(folder):
    """P1"""
    downstream = Downstream(delay_s=0.05)
    bell = Hourbell(folder, downstream, window="1s", boundary_guard="100ms", max_pending="1000").start()
    customers = [Customer(bell, number) for number in range(8)]
    for customer in customers:
        customer.start()
    time.sleep(2.2)
    assert bell.stop() == 0
    for customer in customers:
        customer.over = True
        customer.join(30)
    refused = [one for customer in customers for one in customer.refused]
    assert all(status == 503 and b'"draining"' in text for status, text in refused), refused[:3]
    assert downstream.effects, "nothing was delivered under load"
    check_data(bell)
    bell.start()
    assert check_heard(bell, customers) > 100
    check_quiescent(bell, downstream)
    assert bell.stop() == 0
    check_effects(downstream, 1)
    downstream.close()


@test
def killed_under_load_it_keeps_what_it_answered(folder):
    """P1, P2, P6: kill -9 at any moment, many times on the same data."""
    seed = int(os.environ.get("SEED", "0")) or random.randrange(1 << 30)
    print(f"        SEED={seed}")
    chance = random.Random(seed)
    downstream = Downstream(delay_s=0.02)
    bell = Hourbell(folder, downstream, window="1s", boundary_guard="100ms", lease="21s", write_timeout="1s",
                    read_timeout="500ms", late_limit="1s").start()
    checked = 0
    for attempt in range(50 if LONG else 5):
        customers = [Customer(bell, f"{attempt}-{number}", seed=seed) for number in range(8)]
        for customer in customers:
            customer.start()
        time.sleep(chance.uniform(0.1, 1.5))
        bell.process.kill()
        bell.process.wait()
        for customer in customers:
            customer.over = True
            customer.join(30)
        refused = [one for customer in customers for one in customer.refused]
        assert not refused, refused[:3]
        bell.start()
        checked += check_heard(bell, customers)
    assert checked > 100, checked
    if LONG:
        check_quiescent(bell, downstream)
    assert bell.stop() == 0
    check_data(bell)
    check_effects(downstream, 1)
    downstream.close()


# --- disk -----------------------------------------------------------------------------------------------------------------

@test
def a_full_disk_gives_503_and_loses_nothing(folder):
    """P1, P11: on a small tmpfs."""
    if os.geteuid() != 0 and not os.environ.get("IN_OWN_NAMESPACE"):
        inner = subprocess.run(["unshare", "-rm", sys.executable, __file__, BUILT, "a_full_disk"], check=False,
                               env={**os.environ, "IN_OWN_NAMESPACE": "1"}, capture_output=True)
        if b"unshare" in inner.stderr and inner.returncode != 0 and b"passed" not in inner.stdout:
            print("        left out: this user may mount nothing")
            return
        assert inner.returncode == 0, inner.stdout.decode()
        return
    disk = os.path.join(folder, "disk")
    os.mkdir(disk)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", disk], check=False,
                      capture_output=True).returncode != 0:
        print("        left out: nothing can be mounted here")
        return
    ballast = os.path.join(disk, "ballast")  # taken away to make room: not every user may mount anew with another size
    try:
        with open(ballast, "wb") as file:
            file.write(bytes(6 << 20))
        bell = Hourbell(folder, data_dir=os.path.join(disk, "data")).start()
        kept, connection = [], bell.connect()
        filler = {"text": "x" * 8000}
        for number in range(3000):
            status, _, text = exchange(connection, "POST", "/create-device",
                                       {"device_name": f"disk-{number}", "attributes": filler}, bell.customer)
            if status == 503:
                assert b'"store_busy"' in text
                break
            assert status == 201, (status, text)
            kept.append(number)
        else:
            raise AssertionError("the disk did not become full")
        connection.close()
        assert len(kept) > 50
        assert bell.ask("GET", "/readyz", key="")[0] == 503
        assert bell.ask("GET", "/livez", key="")[0] == 200
        assert bell.ask("GET", f"/devices/disk-{kept[-1]}")[0] == 200
        assert bell.process.poll() is None
        os.remove(ballast)
        until = time.monotonic() + 10
        while bell.ask("GET", "/readyz", key="")[0] != 200:
            assert time.monotonic() < until, "it does not recover"
        failed = len(kept)
        assert bell.ask("GET", f"/devices/disk-{failed}")[0] == 404
        assert bell.ask("POST", "/create-device", {"device_name": f"disk-{failed}"})[0] == 201
        assert bell.stop() == 0
        check_data(bell)
        bell.start()
        for number in kept:
            assert bell.ask("GET", f"/devices/disk-{number}")[0] == 200
        assert bell.stop() == 0
    finally:
        bell.kill()
        subprocess.run(["umount", disk], check=False)


def main():
    passed = failed = 0
    for function in TESTS:
        if WANTED and not any(word in function.__name__ for word in WANTED):
            continue
        folder = tempfile.mkdtemp(prefix="hourbell-e2e-")
        started, bells = time.monotonic(), []
        make = Hourbell.__init__

        def remember(self, *args, **settings):
            make(self, *args, **settings)
            bells.append(self)

        Hourbell.__init__ = remember
        try:
            function(folder)
            passed += 1
            print(f"ok      {function.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
            for bell in bells:
                bell.kill()
            shutil.rmtree(folder, ignore_errors=True)
        except Exception as error:  # a test that breaks down has failed
            failed += 1
            for bell in bells:
                bell.kill()
            import traceback
            print(f"FAILED  {function.__name__} ({time.monotonic() - started:.1f} s): {error!r}", flush=True)
            traceback.print_exc(file=sys.stdout)
            print(f"        its folder: {folder}", flush=True)
        finally:
            Hourbell.__init__ = make
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
