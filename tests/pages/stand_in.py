"""A server in front of the real one. It answers what the scene says, and passes everything else on as it came: signing in, refreshing and who may
do what are always the real server's. So states can be looked at which a real server in a test is not brought into."""

import http.client
import json
import os
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import recorded


class StandIn:
    """`scene`: a name of `recorded.SCENES`, a function of the second, or None for the real stream; `items`: how many of what is listed; `prefix`: what it takes off paths. With `HAAT_PAGES_TEST_WEB` the files of a page are those of that
    directory, and not those in the binary: so a page can be worked on without a build."""

    def __init__(self, upstream, scene="rush", prefix=""):
        self.upstream, self.scene, self.items, self.speed, self.prefix = upstream, scene, 3, 1.0, prefix
        self.before, self.done = 0, []
        # Histories that were asked for; so many are refused; whether the actor is quarantined.
        self.lives, self.busy, self.quarantined = [], 0, False
        # What an order's own view is instead; what a way out is answered with instead.
        self.actor, self.refusal = None, None
        self.web = os.environ.get("HAAT_PAGES_TEST_WEB")
        self.stopped = threading.Event()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                stand_in.answer(self)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                # A browser that has gone is no error.
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()

    # ---- The real server ---------------------------------------------------------------------------------------------

    def real(self, method, path, headers, body=None):
        connection = http.client.HTTPConnection(self.upstream, timeout=30)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def may(self, asked):
        """The real server's opinion of whoever asks."""
        return self.real("GET", "/v1/admin/actors", {"Host": asked.headers["Host"], "Authorization": asked.headers.get("Authorization", "")})

    # ---- Answers -----------------------------------------------------------------------------------------------------

    def answer(self, asked):
        if not asked.path.startswith(self.prefix):
            return self.give(asked, 404, [], b"")
        asked.path = asked.path.removeprefix(self.prefix)
        url = urlparse(asked.path)
        body = asked.rfile.read(int(asked.headers.get("Content-Length") or 0)) or None
        try:
            if self.web and re.match("/(ops$|assets/)", url.path):
                return self.file(asked, url.path)
            is_stream = url.path == "/v1/admin/overview/events"
            if is_stream and self.scene is None:
                return self.real_stream(asked)
            if is_stream or self.is_own(url, asked.command):
                status, headers, text = self.may(asked)
                if status != 200:
                    return self.give(asked, status, headers, text)
                if is_stream:
                    return self.stream(asked)
                if asked.command == "POST":
                    self.done.append((url.path, json.loads(body)))
                said = self.own(url, asked.command, body)
                status, more, said = said if isinstance(said, tuple) else (200, [], said)
                return self.give(asked, status, [("Content-Type", "application/json"), *more], json.dumps(said).encode())
            self.give(asked, *self.real(asked.command, asked.path, dict(asked.headers), body))
        except OSError:
            asked.close_connection = True

    def is_own(self, url, method):
        """Whether the scene says something at this path."""
        if self.scene is None:
            return False
        if method == "POST":
            return re.search(r"^/v1/admin/(orders|jobs)/.*/(resolve|retry)$", url.path) is not None
        return method == "GET" and re.match(r"^/v1/admin/(orders/stuck|jobs|actors/order/order_01h2xc\w+(/versions)?)$", url.path) is not None

    def own(self, url, method, body):
        """What the scene says at this path: a body, or a status, headers and a body."""
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        many = self.items
        if method == "POST" and re.search(r"^/v1/admin/(orders|jobs)/.*/(resolve|retry)$", url.path):
            return self.refusal or {"id": "x"}
        if url.path == "/v1/admin/orders/stuck":
            return recorded.stuck(many)
        if url.path == "/v1/admin/jobs":
            return recorded.jobs(many if query.get("state") == "gave_up" else 0)
        order = re.match(r"^/v1/admin/actors/order/order_01h2xc\w+(/versions)?$", url.path)
        if order and order[1]:
            self.lives.append(url.query)
            if self.busy > 0:
                self.busy -= 1
                return 503, [("Retry-After", "5")], {"type": "about:blank", "title": "busy", "status": 503, "code": "overloaded", "detail": "one life is read at a time"}
            last = int(query.get("to", many))
            return {**recorded.history(int(query.get("from", max(1, last - 49))), last, many), **({"unreadable": many + 1} if self.quarantined else {})}
        if order and self.quarantined:
            return {**recorded.actor(0), "quarantined": True, "live": False}
        if order and self.actor:
            return self.actor
        return recorded.actor(many)

    def file(self, asked, path):
        if path == "/ops":
            text = open(f"{self.web}/ops.html").read().replace("{{here}}", "assets/0").replace("{{ahead}}", "").encode()
        else:
            text = open(f"{self.web}/{path.removeprefix('/assets/0/')}", "rb").read()
        kind = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}.get(path.rsplit(".")[-1], "text/html; charset=utf-8")
        policy = self.real("GET", "/ops", {"Host": "x"})[1]
        policy = next(value for name, value in policy if name.lower() == "content-security-policy")
        self.give(asked, 200, [("Content-Type", kind), ("Content-Security-Policy", policy), ("Referrer-Policy", "no-referrer")], text)

    def give(self, asked, status, headers, body):
        asked.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "keep-alive"):
                asked.send_header(name, value)
        if status != 204:
            asked.send_header("Content-Length", str(len(body)))
        asked.end_headers()
        asked.wfile.write(body)

    def real_stream(self, asked):
        """What the real server says, as it says it."""
        connection = http.client.HTTPConnection(self.upstream, timeout=30)
        try:
            connection.request("GET", asked.path, headers=dict(asked.headers))
            answer = connection.getresponse()
            if answer.status != 200:
                return self.give(asked, answer.status, answer.getheaders(), answer.read())
            asked.send_response_only(200)
            asked.send_header("Content-Type", "text/event-stream")
            asked.send_header("Connection", "close")
            asked.end_headers()
            asked.close_connection = True
            while not self.stopped.is_set() and (part := answer.read1(65_536)):
                asked.wfile.write(part)
                asked.wfile.flush()
        finally:
            connection.close()

    def looks(self, scene):
        """A scene by its name, or a function of the second."""
        return scene if callable(scene) else {**recorded.SCENES, **recorded.BROKEN}[scene]

    def stream(self, asked):
        asked.send_response_only(200)
        asked.send_header("Content-Type", "text/event-stream")
        asked.send_header("Connection", "close")
        asked.end_headers()
        asked.close_connection = True

        def say(event, data):
            asked.wfile.write(f"event: {event}\nid: 1\ndata: {json.dumps(data)}\n\n".encode())
            asked.wfile.flush()

        asked.wfile.write(b"retry: 2000\n\n")
        begun = time.monotonic()
        # A past, so that charts are not empty: looks of the seconds before come at once.
        for t in range(self.before):
            say("overview", self.looks(self.scene)(t))
        while not self.stopped.is_set():
            say("overview", self.looks(self.scene)(self.before + (time.monotonic() - begun) * self.speed))
            time.sleep(1)
            if self.may(asked)[0] == 401:
                return say("end", {"reason": "session_over"})
