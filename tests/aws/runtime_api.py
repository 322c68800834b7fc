"""The Lambda Runtime API with faults, on loopback: what `bootstrap` must survive, and what must end it.

    api = RuntimeApi([Event({"scheduled_time": "..."}), Event({...}, post="413")])
    ... start bootstrap with AWS_LAMBDA_RUNTIME_API=api.address ...
    api.wait(2)             two events are ended
    api.posts               [Post(path, headers, body), ...] in order of arrival; also of init/error

Framing of `next`: length (default), chunked, http10 (closed at the end), slow (a byte at a time), cut (half of the body), reset.
Answers to a post: a status; "lost" (closed before an answer), "after" (202, then closed), "slow" (late)."""
import json
import queue
import socketserver
import struct
import socket
import threading
import time
from collections import namedtuple

Post = namedtuple("Post", "path headers body")
PREFIX = "/2018-06-01/runtime/"


class Event:
    def __init__(self, body, id=None, framing="length", status=200, headers=None, without=(), post="202", deadline_s=30):
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.id, self.framing, self.status, self.post = id, framing, status, post
        self.extra, self.without, self.deadline_s = headers or {}, without, deadline_s

    def headers(self, number):
        headers = {"Lambda-Runtime-Aws-Request-Id": self.id or f"8476a536-e9f4-11e8-9739-{number:012d}",
                   "Lambda-Runtime-Deadline-Ms": str(int((time.time() + self.deadline_s) * 1000)),
                   "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:123456789012:function:f:live",
                   "Lambda-Runtime-Trace-Id": f"Root=1-5bef4de7-{number:024x};Sampled=1",
                   "Content-Type": "application/json"}
        headers.update(self.extra)
        return {name: value for name, value in headers.items() if name not in self.without}


class RuntimeApi:
    def __init__(self, events=()):
        self.posts, self.nexts, self.ended = [], 0, 0
        self.connections, self.next_at, self.given_at, self.post_at = 0, [], [], []  # moments, time.monotonic
        self.events, self.running, self.changed = queue.Queue(), None, threading.Condition()
        for event in events:
            self.events.put(event)
        api = self

        class Handler(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self):
                api.connections += 1
                try:
                    while api.one(self):
                        pass
                except OSError:
                    pass  # the program is gone
        socketserver.ThreadingTCPServer.daemon_threads = True
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def add(self, event):
        self.events.put(event)

    def wait(self, count, seconds=20):
        """Until so many events have been ended by a post, and the program asks again."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.ended >= count, seconds):
                raise AssertionError(f"{self.ended} of {count} events were ended in {seconds} s: {self.posts}")

    # --- one request of the program ----------------------------------------------------------------------------
    def one(self, handler):
        """False: the connection is over."""
        line = handler.rfile.readline(65536)
        if not line:
            return False
        method, path, _ = line.decode().split()
        headers = {}
        while (line := handler.rfile.readline(65536)) not in (b"\r\n", b""):
            name, value = line.decode().split(":", 1)
            headers[name.strip().lower()] = value.strip()
        body = handler.rfile.read(int(headers.get("content-length", 0)))
        if method == "GET" and path == PREFIX + "invocation/next":
            return self.next(handler)
        return self.post(handler, Post(path[len(PREFIX):], headers, body))

    def next(self, handler):
        self.nexts += 1
        self.next_at.append(time.monotonic())
        event = self.events.get()
        if event is None:
            return False
        number = self.nexts
        self.given_at.append(time.monotonic())
        self.running = event
        if event.framing == "reset":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        write, headers, body = handler.wfile.write, event.headers(number), event.body
        if event.framing == "http10":
            head = f"HTTP/1.0 {event.status} OK\r\n"
        else:
            head = f"HTTP/1.1 {event.status} OK\r\n"
            if event.framing == "chunked":
                headers["Transfer-Encoding"] = "chunked"
            else:
                headers["Content-Length"] = str(len(body))
        data = (head + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n").encode()
        try:
            if event.framing == "slow":
                for at in range(len(data + body)):
                    write((data + body)[at:at + 1])
                    time.sleep(0.0005)
            elif event.framing == "chunked":
                write(data)
                for at in range(0, len(body), 7):
                    piece = body[at:at + 7]
                    write(b"%x\r\n%s\r\n" % (len(piece), piece))
                write(b"0\r\n\r\n")
            elif event.framing == "cut":
                write(data + body[:len(body) // 2])
            else:
                write(data + body)
        except OSError:
            return False
        return event.framing not in ("http10", "cut")

    def post(self, handler, post):
        event = self.running
        self.post_at.append(time.monotonic())
        self.posts.append(post)
        say = event.post if event else "202"
        with self.changed:
            self.ended += 1
            self.changed.notify_all()
        if say == "lost":
            return False
        if say == "slow":
            time.sleep(1)
        status = 202 if say in ("after", "slow") else int(say)
        answer = b'{"status":"OK"}\n' if status == 202 else b'{"errorMessage":"no","errorType":"InvalidStateTransition"}'
        handler.wfile.write(b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                            % (status, len(answer), answer))
        return say != "after"
