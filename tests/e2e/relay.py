# SPDX-License-Identifier: MIT OR Apache-2.0
"""Starts, watches and stops a relay process on loopback.

The suite runs against moq-relay. It can also be pointed at the Rust relay, whose flags differ: that
shows which tests state what relays have in common and which are about ours (marker `ours`).
"""

import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
START_SECONDS = 20
STOP_SECONDS = 15

SANITIZER = re.compile(r"(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer|runtime error: ")


@dataclass
class Flavor:
    """The spelling of the few flags that the tests use."""

    name: str
    generate: str

    def public(self, prefix):
        """Arguments that open everything under `prefix` to everybody; "" is everything."""
        if self.name == "moq":
            return ["--auth-public", prefix]
        return ["--auth-public", f"{prefix}/**" if prefix else "**"]


FLAVORS = {
    "moq": Flavor("moq", "--tls-generate"),
    "rust": Flavor("rust", "--listen-tls-generate"),
}


def free_port():
    """A port number that is free for both UDP and TCP on loopback."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.bind((HOST, 0))
            port = tcp.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                try:
                    udp.bind((HOST, port))
                except OSError:
                    continue
                return port
    raise RuntimeError("no port is free for UDP and TCP")


@dataclass
class Answer:
    """An HTTP answer: status, headers, body."""

    status: int
    headers: dict
    body: bytes


def http_get(url, method="GET", timeout=10):
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return Answer(response.status, dict(response.headers), response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read())


@dataclass
class Relay:
    binary: Path
    flavor: Flavor
    log_path: Path
    public: str = ""
    extra: list = field(default_factory=list)
    configuration: Path = None
    spelling: tuple = None
    bind: str = HOST
    level: str = "trace"
    port: int = 0
    process: subprocess.Popen = None

    def arguments(self):
        if self.configuration is not None:
            return [str(self.configuration)]
        address = f"{self.bind}:{self.port}"
        listen, generate = self.spelling or ("--listen", self.flavor.generate)
        return [
            listen,
            address,
            generate,
            "localhost",
            "--web-http-listen",
            address,
            "--log-level",
            self.level,
            # No test waits for sessions that do not leave by themselves.
            "--drain-timeout",
            "1s",
            *([] if self.public is None else self.flavor.public(self.public)),
            *self.extra,
        ]

    def start(self):
        self.port = self.port or free_port()
        environment = dict(os.environ, NO_COLOR="1", RUST_BACKTRACE="1")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [str(self.binary), *self.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )
        self._wait_until_up()
        return self

    def _wait_until_up(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(
                    f"the relay ended at once: {self.process.returncode}\n{self.tail()}"
                )
            try:
                if self.get("/certificate.sha256", timeout=2).status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        self.process.kill()
        self.process.wait()
        raise AssertionError(f"the relay did not come up in {START_SECONDS} s\n{self.tail()}")

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, number=signal.SIGTERM):
        """Ends the relay and asserts that it ended well: in time, code 0, no sanitizer report."""
        self.process.send_signal(number)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(
                f"the relay did not stop in {STOP_SECONDS} s\n{self.tail()}"
            ) from None
        assert not SANITIZER.search(self.log()), self.log()[-20000:]
        assert code == 0, f"exit code {code}\n{self.tail()}"

    def kill(self):
        """Ends the relay without asking anything; for cleaning up."""
        if self.alive:
            self.process.kill()
            self.process.wait()

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def tail(self, lines=60):
        return "\n".join(self.log().splitlines()[-lines:])

    def url(self, scheme, path=""):
        return f"{scheme}://{HOST}:{self.port}/{path}"

    def get(self, path, method="GET", timeout=10):
        return http_get(self.url("http") + path.lstrip("/"), method, timeout)

    def fingerprint(self):
        return self.get("/certificate.sha256").body.decode()


def run_to_end(binary, arguments, timeout=15):
    """Runs the relay with arguments it must refuse; gives (exit code, what it wrote)."""
    environment = dict(os.environ, NO_COLOR="1")
    result = subprocess.run(
        [str(binary), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        timeout=timeout,
        check=False,
    )
    return result.returncode, result.stdout.decode(errors="replace")
