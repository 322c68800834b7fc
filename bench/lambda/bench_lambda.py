#!/usr/bin/env python3
"""The Lambda function `api` beside two peers that do the same work (one POST /create-device: read the item, one transaction, answer
201): in Rust (lambda_runtime and the AWS SDK, tuned) and in Python (boto3). Under the same Runtime API and the same DynamoDB of a
few lines, on loopback, without TLS; cold starts of the three take turns. Only the ratios mean something.

usage: bench_lambda.py RUST-PROGRAM PYTHON [STARTS]     writes build/bench/lambda.md"""
import http.server
import io
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "aws"))
from runtime_api import Event, RuntimeApi  # noqa: E402

RUST, PYTHON, STARTS = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 15
WARM = 40
OURS = os.path.join(ROOT, "build/lambda/x86_64/bootstrap")


class DynamoDb(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    calls = 0

    def do_POST(self):
        DynamoDb.calls += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: 2\r\n\r\n{}")

    def log_message(self, *_):
        pass


def event(number):
    body = {"device_name": f"Pump-{number}", "attributes": {"vendor": "KSB", "note": "x" * 200}}
    who = {"principalId": "k_a", "key": "k_a", "owner": "acme", "role": "customer", "realm": "live",
           "last_used_day": str(int(time.time() // 86400))}
    return {"resource": "/create-device", "path": "/create-device", "httpMethod": "POST",
            "headers": {"content-type": "application/json"}, "multiValueHeaders": {"content-type": ["application/json"]},
            "queryStringParameters": None, "multiValueQueryStringParameters": None, "pathParameters": None,
            "stageVariables": None, "requestContext": {"requestId": "g", "stage": "v1", "authorizer": who,
                                                       "identity": {"sourceIp": "127.0.0.1"}},
            "body": json.dumps(body), "isBase64Encoded": False}


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmHWM:\s+(\d+)", file.read())[1])


def start(command, url, folder, warm):
    """One cold start: milliseconds and KiB by name."""
    api = RuntimeApi()
    environment = {"PATH": os.environ["PATH"], "AWS_LAMBDA_RUNTIME_API": api.address, "_HANDLER": "api",
                   "AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKID",
                   "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token", "AWS_ENDPOINT_URL": url,
                   "AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
                   "AWS_LAMBDA_LOG_GROUP_NAME": "g", "AWS_LAMBDA_LOG_STREAM_NAME": "s", "LAMBDA_TASK_ROOT": ROOT,
                   "HOURBELL_AWS_TABLE": "t", "HOURBELL_LOG_LEVEL": "error", "PYTHONDONTWRITEBYTECODE": "1"}
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        while not api.next_at:
            time.sleep(0.0002)
        found = {"init": (api.next_at[0] - began) * 1000}
        for number in range(1 + warm):
            api.add(Event(event(number)))
            api.wait(number + 1)
        answers = [json.loads(post.body).get("statusCode") for post in api.posts]
        assert answers == [201] * (1 + warm), (command, api.posts[:1])
        took = [(post - given) * 1000 for post, given in zip(api.post_at, api.given_at)]
        found["first"] = took[0]
        if warm:
            found["warm"] = statistics.median(took[1:])
        found["rss"] = rss_kib(process.pid)
    finally:
        process.kill()
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = -9
        api.events.put(None)
        api.close()
    found["cpu"] = (usage.ru_utime + usage.ru_stime) * 1000
    return found


def zip_bytes(path):
    out = io.BytesIO()
    with open(path, "rb") as file, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bootstrap", file.read(), compresslevel=9)
    return len(out.getvalue())


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), DynamoDb)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = "http://127.0.0.1:%d" % server.server_address[1]
    peers = {"hourbell": [OURS], "Rust": [RUST], "Python": [PYTHON, os.path.join(ROOT, "bench/lambda/function.py")]}
    sizes = {"hourbell": zip_bytes(OURS), "Rust": zip_bytes(RUST)}
    samples, calls = {name: [] for name in peers}, {}
    with tempfile.TemporaryDirectory() as folder:
        for round in range(STARTS + 1):
            for name, command in peers.items():
                before = DynamoDb.calls
                found = start(command, url, folder, 0)
                calls[name] = DynamoDb.calls - before
                if round:  # the first one of each fills the page cache
                    samples[name].append(found)
        warm = {name: start(command, url, folder, WARM)["warm"] for name, command in peers.items()}
    rows = [("exec to first `next`, ms", {n: statistics.median(s["init"] for s in samples[n]) for n in peers}),
            ("first invocation, ms", {n: statistics.median(s["first"] for s in samples[n]) for n in peers}),
            ("processor time of both, ms", {n: statistics.median(s["cpu"] for s in samples[n]) for n in peers}),
            ("warm invocation, ms", warm),
            ("peak memory, KiB", {n: statistics.median(s["rss"] for s in samples[n]) for n in peers}),
            ("zip, KiB", {n: size / 1024 for n, size in sizes.items()}),
            ("calls of DynamoDB", calls)]
    lines = ["# `api` beside Rust and Python", "", f"Medians of {STARTS} cold starts that took turns, {WARM} warm calls; load "
             f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} processors. No TLS. Only ratios mean something.", "",
             "| | hourbell | Rust | Python | Rust / hourbell | Python / hourbell |", "|---|---|---|---|---|---|"]
    for title, values in rows:
        ours = values["hourbell"]
        cells = [f"{values[n]:.1f}" if n in values else "-" for n in peers]
        ratios = [f"{values[n] / ours:.1f}" if n in values else "-" for n in ("Rust", "Python")]
        lines.append("| " + " | ".join([title, *cells, *ratios]) + " |")
    text = "\n".join(lines) + "\n"
    os.makedirs(os.path.join(ROOT, "build/bench"), exist_ok=True)
    with open(os.path.join(ROOT, "build/bench/lambda.md"), "w", encoding="utf-8") as file:
        file.write(text)
    print(text, end="")


if __name__ == "__main__":
    main()
