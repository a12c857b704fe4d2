# SPDX-License-Identifier: MIT OR Apache-2.0
"""An auth server that a test scripts: what it was told, and what it answers to whom."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EVERYTHING = {"publish": ["**"], "subscribe": ["**"]}


class AuthServer(ThreadingHTTPServer):
    """Answers each path with what `answers` has for it, else with everything.

    An answer is a grant, a status, raw bytes for a body, or a function of the request that gives
    one of those."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, context=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.scheme = "https" if context else "http"
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.answers = {}
        self.told = []
        self.changed = threading.Condition()

    @property
    def url(self):
        host = "localhost" if self.scheme == "https" else "127.0.0.1"
        return f"{self.scheme}://{host}:{self.server_port}/admit?key=of-the-relay"

    def handle_error(self, request, client_address):
        pass  # who asks may go at any time, and does not take every certificate

    def note(self, request):
        with self.changed:
            self.told.append(request)
            self.changed.notify_all()

    def events(self, path, event=None):
        with self.changed:
            return [r for r in self.told if r["path"] == path and event in (None, r["event"])]

    def wait(self, path, event, count=1, seconds=20):
        """The first `count` events of a path, once they have come."""
        deadline = time.monotonic() + seconds
        while True:
            with self.changed:
                found = [r for r in self.told if r["path"] == path and r["event"] == event]
                if len(found) >= count:
                    return found[:count]
                left = deadline - time.monotonic()
                assert left > 0, f"no {event} of {path}: {self.told}"
                self.changed.wait(left)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = json.loads(body)
        self.server.note(request)
        answer = self.server.answers.get(request["path"], EVERYTHING)
        if callable(answer):
            answer = answer(request)
        if request["event"] == "end":
            answer = 204
        status = answer if isinstance(answer, int) else 200
        text = b"" if isinstance(answer, int) else answer
        if isinstance(answer, dict):
            text = json.dumps(answer).encode()
        self.send_response(status)
        if status in (301, 302, 307):
            self.send_header("Location", f"{self.server.url}&elsewhere")
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        try:
            self.wfile.write(text)
        except OSError:
            pass  # too much for who asked

    def log_message(self, *_):
        pass


@contextmanager
def auth_server(context=None):
    """Runs one; over TLS when there is a context."""
    server = AuthServer(context)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
