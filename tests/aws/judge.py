#!/usr/bin/env python3
"""The signature judge: recomputes each AWS signature with botocore from the request that really arrived, and is stricter
than MiniStack: what is signed was sent, what must be signed is signed, in order, once.

    judge.py PORT '{"AKID": ["secret", "session token"]}' [UPSTREAM]

403 with the reason and the canonical request; else 200 {"ok": true}, or what UPSTREAM (http://127.0.0.1:PORT) answers."""
import calendar
import json
import re
import sys
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

FORM = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/,]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
                  r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$")


def verdict(keys, method, target, pairs, body, now):
    """None, or (reason, canonical request). pairs: the headers as they arrived, in order."""
    h = {}
    for name, value in pairs:
        if name.lower() in h:
            return f"header sent twice: {name}", ""
        h[name.lower()] = " ".join(value.split())
    found = FORM.match(h.get("authorization", ""))
    if not found:
        return "no Authorization in the form of SigV4", ""
    akid, day, region, service, signed, signature = found.groups()
    if akid not in keys:
        return f"unknown key {akid}", ""
    secret, token = keys[akid]
    names = signed.split(";")
    if names != sorted(names):
        return "SignedHeaders not sorted", ""
    missing = [n for n in names if n not in h]
    if missing:
        return f"signed but not sent: {missing}", ""
    must = {"host", "x-amz-date"} | {n for n in h if n.startswith("x-amz-")} | ({"content-type"} & set(h))
    if must - set(names):
        return f"must be signed: {sorted(must - set(names))}", ""
    if h.get("x-amz-security-token", "") != (token or ""):
        return "wrong session token", ""
    if h["x-amz-date"][:8] != day:
        return "the scope's day is not the date's", ""
    at = calendar.timegm(time.strptime(h["x-amz-date"], "%Y%m%dT%H%M%SZ"))
    if abs(now - at) > 300:
        return f"clock off by {at - now:.0f} s", ""
    request = AWSRequest(method, f"http://{h['host']}{target}", data=body, headers={n: h[n] for n in names})
    request.context["timestamp"] = h["x-amz-date"]
    auth = SigV4Auth(Credentials(akid, secret), service, region)
    canonical = auth.canonical_request(request)
    if auth.signature(auth.string_to_sign(request, canonical), request) != signature:
        return "signature differs", canonical
    return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        bad = verdict(self.server.keys, self.command, self.path, self.headers.items(), body, time.time())
        if bad:
            self.answer(403, {"content-type": "application/json"},
                        json.dumps({"__type": "JudgeRefused", "message": bad[0], "canonical": bad[1]}).encode())
        elif not self.server.upstream:
            self.answer(200, {"content-type": "application/json"}, b'{"ok": true}')
        else:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("connection", "expect")}
            request = urllib.request.Request(self.server.upstream + self.path, body or None, headers, method=self.command)
            try:
                with urllib.request.urlopen(request, timeout=60) as r:
                    self.answer(r.status, dict(r.headers), r.read())
            except urllib.error.HTTPError as e:
                self.answer(e.code, dict(e.headers), e.read())
    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve(port, keys, upstream=None):
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.keys, server.upstream = keys, upstream
    return server


if __name__ == "__main__":
    serve(int(sys.argv[1]), json.loads(sys.argv[2]), *sys.argv[3:4]).serve_forever()
