#!/usr/bin/env python3
"""Measure hourbell beside two peers in the same run: nginx answering an empty 201 (what the wire alone costs) and Fastify
with better-sqlite3 (what one would write in an afternoon). Started by bench/load.sh; writes Markdown.

Only ratios inside one run mean something: each round measures all servers one after the other, and the median of the
rounds counts. Where it says pinned, the server has one core and the load generator another."""
import argparse
import base64
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONNECTIONS = (64, 250)
DRAIN_CONCURRENCY = 256
DRAIN_DELAY_MS = 20
TARGETS = {"create64": 0.20, "create250": 0.25, "fastify": 10, "drain": 0.65, "rss_mb": 10, "start_ms": 20}


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server process on loopback; a context manager that stops it."""

    def __init__(self, name, command, port, folder, cpu=None):
        self.name, self.port = name, port
        self.command = [str(part) for part in command]
        if cpu is not None:
            self.command = ["taskset", "-c", str(cpu), *self.command]
        self.log = folder / f"{name}.log"
        self.start_ms = None

    def __enter__(self):
        begun = time.perf_counter()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        request = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                    connection.sendall(request)
                    if connection.recv(16).startswith(b"HTTP/1.1 "):
                        self.start_ms = (time.perf_counter() - begun) * 1000
                        return self
            except OSError:
                pass
            if self.process.poll() is not None or time.perf_counter() - begun > 120:
                sys.exit(f"bench: {self.name} does not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.0005)

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def cpu_s(self):
        """Seconds of processor that it used so far, its threads included."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """MiB of VmRSS and of its part that belongs to this process alone (RssAnon)."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            kib = {line.split(":")[0]: line.split()[1] for line in status if line.startswith(("VmRSS", "RssAnon"))}
        return int(kib["VmRSS"]) / 1024, int(kib["RssAnon"]) / 1024


def credential():
    """A key as src/core/auth.h describes it."""
    def base32(data, letters):
        return base64.b32encode(data).decode().lower()[:letters]
    secret = "hb_live_" + base32(os.urandom(20), 32)
    secret += base32(hashlib.sha256(secret.encode()).digest(), 6)
    return f"k_{base32(os.urandom(10), 10)}.{secret}"


class Bench:
    def __init__(self, options):
        self.options = options
        self.built = ROOT / options.built
        self.peers = dict(pair.split("=", 1) for pair in options.peer)
        self.devices = 100_000 if options.quick else 1_000_000
        self.seconds = 3 if options.quick else 10
        self.rounds = options.rounds or (1 if options.quick else 3)
        self.folder = ROOT / "build" / "bench"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        cpus = sorted(os.sched_getaffinity(0))
        self.server_cpu, self.load_cpu = (cpus[0], cpus[1]) if len(cpus) > 1 else (None, None)
        self.created = {}  # per data set: how many devices it holds
        self.results = {}
        self.prepare_hourbell()

    # ---- the servers -----------------------------------------------------------------------------------------------

    def prepare_hourbell(self):
        self.operator, self.customer = credential(), credential()
        secrets = self.folder / "secrets"
        secrets.touch(0o600)
        secrets.write_text(f"operator_key={self.operator}\ncustomer_key={self.customer}\n")
        (self.folder / "key").write_text(self.customer + "\n")

    def hourbell(self, data="data", cpu=None, downstream_port=9, **settings):
        mapping = self.folder / f"downstream-{downstream_port}.json"
        mapping.write_text(json.dumps({"base_url": f"http://127.0.0.1:{downstream_port}/devices", "allow_http": True}))
        port = free_port()
        settings = {"data_dir": self.folder / data, "bind": f"127.0.0.1:{port}", "log_level": "warn",
                    "secrets_file": self.folder / "secrets", "downstream": "http", "downstream_file": mapping,
                    **settings}
        command = [self.built / "hourbell", "serve", "--file", "/dev/null"]
        for name, value in settings.items():
            command += ["--set", f"{name}={value}"]
        return Server("hourbell", command, port, self.folder, cpu)

    def nginx(self, cpu=None):
        folder, port = self.folder / "nginx", free_port()
        folder.mkdir(exist_ok=True)
        conf = (ROOT / "bench/peers/nginx.conf").read_text().replace("@FOLDER@", str(folder))
        (folder / "nginx.conf").write_text(conf.replace("@PORT@", str(port)))
        return Server("nginx", [self.peers["nginx"], "-p", folder, "-c", folder / "nginx.conf"], port, self.folder, cpu)

    def fastify(self, mode, cpu=None):
        port = free_port()
        database = self.folder / f"fastify-{mode}.db"
        command = [self.peers["node"], self.peers["fastify"], mode, database]
        if not database.exists():
            say(f"filling Fastify's database ({mode}) with {self.devices:,} devices")
            subprocess.run([str(part) for part in [*command, 0, self.devices]], check=True)
            self.created[f"fastify {mode}"] = self.devices
        return Server(f"fastify-{mode}", [*command, port], port, self.folder, cpu)

    # ---- load ------------------------------------------------------------------------------------------------------

    def load(self, server, kind, cpu=None, check=True, **more):
        command = [self.built / "bench_load", "--target", f"127.0.0.1:{server.port}", "--kind", kind]
        if server.name == "hourbell":
            command += ["--key-file", self.folder / "key"]
        for name, value in more.items():
            command += [f"--{name.replace('_', '-')}"] + ([] if value is True else [value])
        if cpu is not None:
            command = ["taskset", "-c", cpu, *command]
        used_s = server.cpu_s()
        done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0 and check:
            sys.exit(f"bench: {kind} on {server.name} failed: {done.stdout}\n{server.log.read_text()[-2000:]}")
        result = json.loads(done.stdout)
        result["cpu_us"] = (server.cpu_s() - used_s) * 1e6 / sum(result["statuses"].values())
        return result

    def create(self, server, data, cpu=None, **more):
        """Create devices that are not there yet."""
        first = self.created.get(data, 0)
        result = self.load(server, "create", cpu, first=first, **more)
        self.created[data] = first + sum(result["statuses"].values())
        return result

    def note(self, what, who, result):
        self.results.setdefault(what, {}).setdefault(who, []).append(result)
        say(f"{what:>12}  {who:<16} {result['rate']:>9,.0f}/s  p50 {result['p50_ms']:.2f} ms, p99 {result['p99_ms']:.2f} ms, "
            f"{result['cpu_us']:.1f} us of processor each")

    def middle(self, what, who, value="rate"):
        return statistics.median(result[value] for result in self.results[what][who])

    # ---- what is measured ------------------------------------------------------------------------------------------

    def measure_round(self):
        window = {"seconds": self.seconds, "warmup": 1}
        pinned = {"cpu": self.server_cpu}
        with self.nginx(**pinned) as server:
            for connections in CONNECTIONS:
                self.note(f"empty{connections}", "nginx",
                          self.load(server, "/create-device", self.load_cpu, connections=connections, **window))
        for who, data, start in (("hourbell", "data", lambda: self.hourbell(**pinned)),
                                 ("Fastify", "fastify each", lambda: self.fastify("each", **pinned)),
                                 ("Fastify, grouped", "fastify group", lambda: self.fastify("group", **pinned))):
            with start() as server:
                for connections in CONNECTIONS:
                    at = {"connections": connections, **window}
                    self.note(f"create{connections}", who, self.create(server, data, self.load_cpu, **at))
                    self.note(f"update{connections}", who,
                              self.load(server, "update", self.load_cpu, devices=self.devices, **at))
                    self.note(f"get{connections}", who,
                              self.load(server, "get", self.load_cpu, devices=self.devices, **at))

    def measure_open_loop(self):
        rate = {"rate": 10_000, "connections": 250, "seconds": 5 if self.options.quick else 20, "warmup": 2}
        with self.nginx(self.server_cpu) as server:
            self.note("open", "nginx", self.load(server, "/create-device", self.load_cpu, **rate))
        for who, data, start in (("hourbell", "data", lambda: self.hourbell(cpu=self.server_cpu)),
                                 ("Fastify, grouped", "fastify group", lambda: self.fastify("group", self.server_cpu))):
            with start() as server:
                self.note("open", who, self.create(server, data, self.load_cpu, **rate))

    def measure_start(self, data):
        """Start some times: milliseconds to the first answer, MiB."""
        starts, memory = [], (0, 0)
        for _ in range(5):
            with self.hourbell(data) as server:
                starts.append(server.start_ms)
                memory = server.memory()
        return {"start_ms": statistics.median(starts), "rss_mb": memory[0], "anon_mb": memory[1]}

    def fill(self):
        say(f"filling hourbell with {self.devices:,} devices")
        with self.hourbell() as server:
            result = self.create(server, "data", connections=250, count=self.devices)
            self.results["fill"] = {"rate": result["rate"], "memory": server.memory()}

    def operate(self, server, path, **body):
        request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", json.dumps(body).encode(),
                                         {"Content-Type": "application/json", "x-api-key": self.operator})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            sys.exit(f"bench: {path} was refused: {error.read().decode()}")

    def measure_drain(self):
        port = free_port()
        mock = subprocess.Popen([str(self.built / "bench_mock"), "--port", str(port), "--delay-ms", str(DRAIN_DELAY_MS)],
                                stdout=subprocess.PIPE, text=True)
        try:
            if not mock.stdout.readline().startswith("listening"):
                sys.exit("bench: bench_mock does not start")
            many = {"downstream_port": port, "downstream_concurrency": DRAIN_CONCURRENCY, "downstream_rps": 0}
            with self.hourbell("drain", window="1s", **many) as server:
                self.operate(server, "/downstream/actions", action="hold", reason="the bench collects")
                self.create(server, "drain", connections=250, count=self.devices)
                say(f"accepting one update for each of {self.devices:,} devices")
                self.load(server, "update", connections=250, count=self.devices, in_order=True)
            # the updates are due since; in a window of a day no boundary interrupts
            with self.hourbell("drain", window="24h", **many) as server:
                self.operate(server, "/downstream/actions", action="resume", reason="the bench measures")
                self.results["drain"] = self.watch_drain(port)
                self.results["drain"]["rss_mb"] = server.memory()[0]
        finally:
            mock.terminate()
            mock.wait()

    def watch_drain(self, port):
        def count():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/count", timeout=10) as answer:
                return json.load(answer)
        begun, first, last, moved_at = time.monotonic(), None, 0, time.monotonic()
        while last < self.devices:
            time.sleep(0.05)
            now, seen = time.monotonic(), count()["answered"]
            if first is None and seen > 0:
                first = (now, seen)
            if seen != last:
                last, moved_at = seen, now
            if now - moved_at > 60:
                sys.exit(f"bench: the drain stands still at {last:,} of {self.devices:,}")
        rate = (last - first[1]) / max(now - first[0], 0.001)
        most = count()["most"]
        say(f"drain: {last:,} deliveries in {now - begun:.1f} s, {rate:,.0f}/s, at most {most} at once")
        time.sleep(2)
        if count()["answered"] != self.devices:
            sys.exit("bench: a device was sent twice")
        return {"rate": rate, "seconds": now - begun, "bound": DRAIN_CONCURRENCY * 1000 / DRAIN_DELAY_MS, "most": most}

    def run(self):
        busy = os.getloadavg()[0]
        if busy > 0.7:
            say(f"something else runs here (load {busy:.1f}): the figures will be worse than they could be")
        self.results["load_before"] = busy
        self.results["empty"] = self.measure_start("empty")
        self.fill()
        self.results["full"] = self.measure_start("data")
        for number in range(self.rounds):
            say(f"round {number + 1} of {self.rounds}")
            self.measure_round()
        self.measure_open_loop()
        self.measure_drain()
        (self.folder / "raw.json").write_text(json.dumps(self.results, indent=1))
        target = self.folder / "results-quick.md" if self.options.quick else ROOT / "bench" / "results.md"
        target.write_text(self.report())
        say(f"written: {target.relative_to(ROOT)}")

    # ---- the page --------------------------------------------------------------------------------------------------

    def machine(self):
        def output(*command):
            return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=ROOT).stdout.strip()
        cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                    if line.startswith("model name")), os.uname().machine)
        memory = int(open("/proc/meminfo", encoding="ascii").readline().split()[1]) / 1024 / 1024
        disk = output("df", "--output=fstype,source", str(self.folder)).splitlines()[-1]
        dirty = " with changes" if output("git", "status", "--porcelain", "--", "src", "bench", "Makefile") else ""
        return (f"{len(os.sched_getaffinity(0))} × {cpu}, {memory:.0f} GiB, {disk.split()[0]} on {disk.split()[1]}, "
                f"Linux {os.uname().release}, {output('gcc', '-dumpfullversion')} (gcc), node {output(self.peers['node'], '-v')}, "
                f"load before {self.results['load_before']:.1f}. Commit {output('git', 'rev-parse', '--short=12', 'HEAD')}{dirty}, "
                f"{time.strftime('%Y-%m-%d', time.gmtime())}.")

    def rows(self, kind):
        for connections in CONNECTIONS:
            what, empty = f"{kind}{connections}", self.middle(f"empty{connections}", "nginx")
            mine = self.middle(what, "hourbell")
            for who in self.results[what]:
                rate = self.middle(what, who)
                yield (f"| {kind} | {connections} | {who} | {rate:,.0f} | {rate / empty:.3f} | {mine / rate:.1f} | "
                       f"{self.middle(what, who, 'cpu_us'):.1f} | "
                       f"{self.middle(what, who, 'p50_ms'):.2f} / {self.middle(what, who, 'p99_ms'):.2f} |")

    def verdicts(self):
        empty, full, drain = self.results["empty"], self.results["full"], self.results["drain"]
        reached = {
            "create, 64 connections, of nginx": (self.share("create64", "empty64"), TARGETS["create64"], "≥"),
            "create, 250 connections, of nginx": (self.share("create250", "empty250"), TARGETS["create250"], "≥"),
            "create, 64 connections, times Fastify": (self.times("create64"), TARGETS["fastify"], "≥"),
            "create, 250 connections, times Fastify": (self.times("create250"), TARGETS["fastify"], "≥"),
            "drain, of the bound": (drain["rate"] / drain["bound"], TARGETS["drain"], "≥"),
            "empty server, MiB resident": (empty["rss_mb"], TARGETS["rss_mb"], "≤"),
            "empty server, ms to the first answer": (empty["start_ms"], TARGETS["start_ms"], "≤"),
        }
        yield "| what | reached | target | |\n|---|---|---|---|"
        for what, (value, target, sign) in reached.items():
            held = value >= target if sign == "≥" else value <= target
            yield f"| {what} | {value:.2f} | {sign} {target:g} | {'held' if held else '**missed**'} |"
        yield ""
        yield f"With {self.devices:,} devices: {full['start_ms']:.0f} ms to the first answer, {full['rss_mb']:.0f} MiB resident."

    def share(self, what, empty):
        return self.middle(what, "hourbell") / self.middle(empty, "nginx")

    def times(self, what):
        return self.middle(what, "hourbell") / self.middle(what, "Fastify")

    def report(self):
        drain, lines = self.results["drain"], []
        lines.append("# What was measured\n")
        lines.append(f"Written by `make bench{'-quick' if self.options.quick else ''}`. {self.machine()}\n")
        lines.append(f"Everything is durable: an answer leaves after the commit is on the disk (`synchronous=FULL`). Bodies of about 300 "
                     f"bytes, {self.devices:,} devices before each measurement, chosen by chance for updates and reads; hourbell checks a "
                     f"key on each request and writes history with a hash chain. Medians of {self.rounds} round(s) of {self.seconds} s; "
                     f"the server on one core, the load generator on another. Compare figures inside this page only.\n")
        lines.append("## Targets\n")
        lines += self.verdicts()
        lines.append("\n## How much one core carries (closed loop)\n")
        lines.append("nginx answers every request with an empty 201 and does nothing: "
                     + ", ".join(f"{self.middle(f'empty{c}', 'nginx'):,.0f}/s at {c} connections" for c in CONNECTIONS) + ".\n")
        lines.append("| request | connections | server | per second | of nginx | hourbell is × | processor µs each | "
                     "p50 / p99 ms |\n|---|---|---|---|---|---|---|---|")
        for kind in ("create", "update", "get"):
            lines += self.rows(kind)
        lines.append("\n## Latency of 10,000 creates per second (open loop)\n")
        lines.append("From the moment at which a request was due, so waiting behind a stall counts.\n")
        lines.append("| server | per second | p50 | p90 | p99 | p99.9 | longest, ms |\n|---|---|---|---|---|---|---|")
        for who in self.results["open"]:
            figures = " | ".join(f"{self.middle('open', who, name):.2f}" for name in
                                 ("p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms"))
            lines.append(f"| {who} | {self.middle('open', who):,.0f} | {figures} |")
        lines.append("\n## Delivering\n")
        lines.append(f"{self.devices:,} devices with one pending update each, `downstream_http` with {DRAIN_CONCURRENCY} calls at once to a "
                     f"downstream that answers after {DRAIN_DELAY_MS} ms, all on the same cores: {drain['rate']:,.0f} deliveries/s, "
                     f"{drain['rate'] / drain['bound']:.2f} of the bound of {drain['bound']:,.0f}/s; {drain['seconds']:.0f} s for all, "
                     f"each exactly once, {drain['rss_mb']:.0f} MiB resident.\n")
        return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--built", required=True)
    parser.add_argument("--peer", action="append", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    Bench(parser.parse_args()).run()


main()
