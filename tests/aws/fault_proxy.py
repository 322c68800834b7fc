#!/usr/bin/env python3
"""A proxy before an AWS endpoint that does what networks and services do on bad days, on loopback.

    fault_proxy.py PORT UPSTREAM          UPSTREAM: http://127.0.0.1:19000

    POST /_fault/rules   [{"do": "throttle", "service": "dynamodb", "target": "TransactWriteItems", "times": 2, "rate": 0.05,
                           "after": 1, "body": "part of the request", "spare": "part of others"}]    takes the place of all rules; [] = none
    GET  /_fault/log     each request since the last DELETE: {"service", "target", "bytes", "status", "fault", "body",
                         of a batch "entries": how many, and "fates": what became of those that a rule `entries` met}
    DELETE /_fault/log   forgets it          POST /_fault/keep {"bodies": true}     bodies are kept, too
    GET  /_fault/used    the rights that functions have used since the proxy's start (rights.py)

A rule is meant for requests of its service, action and text, as far as it names them, not for those that hold `spare`; passes over the
first `after` of these, then acts `times` often (without it: always) with the chance `rate` (without it: 1). The first that acts decides:

    throttle        refused as too fast, nothing done            conflict      TransactionConflict, nothing done
    500 503         an error, nothing done                       500_after     done, then an error
    reset_before    the connection breaks, nothing done          reset_after   done, then the connection breaks
    half            done, then half an answer                    slow          done and answered after `seconds`
    skew            refused as AWS does where clocks differ      fail_entry    SQS: the first entry of a batch fails
    double          sent on twice                                drop          SQS: answered as sent, but it is not
    empty           DynamoDB: a query finds nothing, as an index that lags
    late            SQS: answered at once, sent on `seconds` later, so that others overtake it
    entries         SQS: each entry of a batch has its own fate, with the chances given as double, drop, late, fail"""
import hashlib
import http.client
import json
import random
import re
import socket
import struct
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import rights

SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")
TOO_FAST = {"dynamodb": "ProvisionedThroughputExceededException", "sqs": "RequestThrottled", "states": "ThrottlingException"}
HOP = ("connection", "keep-alive", "transfer-encoding", "expect")


class Proxy(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port, upstream, seed=1):
        super().__init__(("127.0.0.1", port), Handler)
        self.upstream = upstream.removeprefix("http://")
        self.rules, self.log, self.bodies, self.lock = [], [], False, threading.Lock()
        self.random = random.Random(seed)
        self.local = threading.local()
        self.used = rights.Used()

    def fates(self, rule, count):
        """What becomes of each entry of a batch; "" = it is sent on."""
        with self.lock:
            numbers = [self.random.random() for _ in range(count)]
        found = []
        for number in numbers:
            for fate in ("double", "drop", "late", "fail"):
                number -= rule.get(fate, 0)
                if number < 0:
                    break
            found.append(fate if number < 0 else "")
        return found

    def choose(self, service, target, body):
        """The rule that acts on this request, or None."""
        with self.lock:
            for rule in self.rules:
                if rule.get("service", service) != service or rule.get("target", target) != target or \
                        rule.get("body", "").encode() not in body or "spare" in rule and rule["spare"].encode() in body:
                    continue
                rule["seen"] = rule.get("seen", 0) + 1
                if rule["seen"] <= rule.get("after", 0) or rule.get("acted", 0) >= rule.get("times", 1 << 60) or \
                        self.random.random() >= rule.get("rate", 1):
                    continue
                rule["acted"] = rule.get("acted", 0) + 1
                return rule
        return None

    def send_on(self, method, path, headers, body):
        """Ask the upstream over this thread's connection: status, headers, body."""
        for fresh in (False, True):
            connection = getattr(self.local, "connection", None)
            if connection is None or fresh:
                connection = self.local.connection = http.client.HTTPConnection(self.upstream, timeout=70)
            try:
                connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
                for name, value in headers:
                    if name.lower() not in HOP:
                        connection.putheader(name, value)
                connection.endheaders(body or None)
                answer = connection.getresponse()
                return answer.status, answer.getheaders(), answer.read()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                connection.close()
                self.local.connection = None
                if fresh:
                    raise
        raise AssertionError

    def send_unsigned(self, url, entries):
        """Part of a batch: it cannot be signed anew, but MiniStack's own root may do everything."""
        if not entries:
            return
        body = json.dumps({"QueueUrl": url, "Entries": entries}).encode()
        status, _, answer = self.send_on("POST", "/", [
            ("host", self.upstream), ("x-amz-target", "AmazonSQS.SendMessageBatch"), ("content-type", "application/x-amz-json-1.0"),
            ("content-length", str(len(body))), ("authorization", "AWS4-HMAC-SHA256 Credential=123456789012/20261122/"
             "eu-central-1/sqs/aws4_request, SignedHeaders=host, Signature=0")], body)
        if status != 200 or json.loads(answer).get("Failed"):
            raise AssertionError(f"part of a batch was not taken: {status} {answer}")

    def send_late(self, seconds, *request):
        def later():
            time.sleep(seconds)
            self.send_on(*request)
        threading.Thread(target=later, daemon=True).start()


def error(service, status, kind, message="by the fault proxy", **more):
    """An error as the service says it."""
    if service == "sns":
        return status, [("content-type", "text/xml")], (
            f'<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>{kind}</Code>'
            f"<Message>{message}</Message></Error><RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>").encode()
    prefix = "com.amazonaws.dynamodb.v20120810#" if service == "dynamodb" else ""
    return status, [("content-type", "application/x-amz-json-1.0")], json.dumps(
        {"__type": prefix + kind, "message": message, **more}).encode()


def conflict(body):
    count = len(json.loads(body or b"{}").get("TransactItems", [0]))
    reasons = [{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}] + [{"Code": "None"}] * (count - 1)
    return error("dynamodb", 400, "TransactionCanceledException",
                 "Transaction cancelled, please refer cancellation reasons for specific reasons [TransactionConflict]",
                 CancellationReasons=reasons)


def sent(body, failed=()):
    """SQS's answer to a message or a batch that it has taken."""
    wanted = json.loads(body)
    def taken(text):
        return {"MessageId": str(uuid.uuid4()), "MD5OfMessageBody": hashlib.md5(text.encode()).hexdigest()}
    answer = taken(wanted["MessageBody"]) if "Entries" not in wanted else {
        "Successful": [{"Id": e["Id"], **taken(e["MessageBody"])} for e in wanted["Entries"] if e["Id"] not in failed],
        "Failed": [{"Id": i, "Code": "InternalError", "SenderFault": False, "Message": "by the fault proxy"} for i in failed]}
    return 200, [("content-type", "application/x-amz-json-1.0")], json.dumps(answer).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.startswith("/_fault/"):
            self.control(body)
            return
        scope = SCOPE.search(self.headers.get("authorization", ""))
        service = scope[1] if scope else ""
        target = self.headers.get("x-amz-target", "").rpartition(".")[2] or parse_qs(body.decode(errors="replace")).get("Action", [""])[0]
        rule = self.server.choose(service, target, body) or {"do": ""}
        note = {"service": service, "target": target, "bytes": len(body), "fault": rule["do"], "status": 0}
        if service == "sqs" and target == "SendMessageBatch":
            note["entries"] = len(json.loads(body)["Entries"])
        if self.server.bodies:
            note["body"] = body.decode(errors="replace")
        with self.server.lock:
            self.server.log.append(note)
        if scope:
            self.server.used.note(self.headers["authorization"], service, target, body)
        request = (self.command, self.path, self.headers.items(), body)
        self.act(rule, note, service, request)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = handle_any

    def act(self, rule, note, service, request):
        do, body = rule["do"], request[3]
        if do == "throttle":
            self.answer(note, *error(service, 400, TOO_FAST.get(service, "ThrottlingException") if service != "sns" else "Throttling"))
        elif do == "conflict":
            self.answer(note, *conflict(body))
        elif do in ("500", "503"):
            self.answer(note, *error(service, int(do), "InternalServerError" if do == "500" else "ServiceUnavailable"))
        elif do == "skew":
            self.answer(note, *error(service, 400 if service == "dynamodb" else 403, "InvalidSignatureException",
                                     "Signature expired: 20261122T130000Z is now earlier than 20261122T131000Z"))
        elif do == "reset_before":
            self.reset()
        elif do == "empty":
            self.answer(note, 200, [("content-type", "application/x-amz-json-1.0")], b'{"Count":0,"Items":[],"ScannedCount":0}')
        elif do == "drop":
            self.answer(note, *sent(body))
        elif do == "late":
            self.server.send_late(rule.get("seconds", 1), *request)
            self.answer(note, *sent(body))
        elif do == "fail_entry":
            wanted = json.loads(body)
            self.server.send_unsigned(wanted["QueueUrl"], wanted["Entries"][1:])
            self.answer(note, *sent(body, [wanted["Entries"][0]["Id"]]))
        elif do == "entries":
            self.answer(note, *self.send_each(rule, note, body))
        else:
            if do == "slow":
                time.sleep(rule.get("seconds", 1))
            if do == "double":
                self.server.send_on(*request)
            try:
                status, headers, data = self.server.send_on(*request)
            except OSError:
                self.reset()
                return
            if do == "500_after":
                status, headers, data = error(service, 500, "InternalServerError")
            if do == "reset_after":
                self.reset()
            else:
                self.answer(note, status, headers, data, half=do == "half")

    def send_each(self, rule, note, body):
        wanted = json.loads(body)
        url, entries = wanted["QueueUrl"], wanted["Entries"]
        note["fates"] = self.server.fates(rule, len(entries))
        def of(*fates):
            return [entry for entry, fate in zip(entries, note["fates"]) if fate in fates]
        self.server.send_unsigned(url, of("", "double"))
        self.server.send_unsigned(url, of("double"))
        if of("late"):
            threading.Timer(rule.get("seconds", 1), self.server.send_unsigned, (url, of("late"))).start()
        return sent(body, [entry["Id"] for entry in of("fail")])

    def answer(self, note, status, headers, data, half=False):
        note["status"] = status
        lines = [f"HTTP/1.1 {status} x"] + [f"{n}: {v}" for n, v in headers if n.lower() not in HOP + ("content-length",)]
        if self.command == "HEAD":
            lines.append(f"content-length: {dict((n.lower(), v) for n, v in headers).get('content-length', 0)}")
        else:
            lines.append(f"content-length: {len(data)}")
        out = "\r\n".join(lines).encode() + b"\r\n\r\n" + data
        self.wfile.write(out[:len(out) - (len(data) + 1) // 2] if half else out)
        if half:
            self.reset()

    def reset(self):
        """A broken connection: RST, not FIN."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def control(self, body):
        server, found = self.server, None
        with server.lock:
            if self.path == "/_fault/rules" and self.command == "POST":
                server.rules = json.loads(body)
            elif self.path == "/_fault/rules":
                found = server.rules
            elif self.path == "/_fault/keep":
                server.bodies = json.loads(body)["bodies"]
            elif self.path == "/_fault/used":
                found = server.used.all()
            elif self.path == "/_fault/log" and self.command == "DELETE":
                server.log = []
            elif self.path == "/_fault/log":
                found = list(server.log)
        data = json.dumps(found).encode()
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(data), data))

    def finish(self):
        try:
            super().finish()
        except (OSError, ValueError):
            pass # reset on purpose

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    Proxy(int(sys.argv[1]), sys.argv[2]).serve_forever()
