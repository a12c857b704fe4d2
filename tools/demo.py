#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""A relay, and a moving test pattern with sound that is published to it, until Ctrl-C.

    tools/demo.py [--port PORT] [--once SECONDS]

Everything that this starts ends with it: on Ctrl-C, on SIGTERM, and when one of the three programs
ends by itself, which is then an error. --once ends well after so many seconds of running. The
port comes from the environment (PORT) too; 0 picks a free one.
"""

import argparse
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFIG = "dev/relay.toml"
CONFIG_PORT = 4443
BROADCAST = "demo/pattern"

START_SECONDS = 15  # for the relay to answer, then for the broadcast to be announced
STOP_SECONDS = 5  # between SIGTERM and SIGKILL
POLL_SECONDS = 0.1
SETTLE_SECONDS = 0.5
LINES_KEPT = 50

FRAMES_PER_SECOND = 30
KEYFRAME_SECONDS = 2
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class DemoError(Exception):
    """The demo cannot start or go on; the text is for the user."""


def die_with_parent():
    """In a child: SIGTERM when the demo is gone, however it went."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Program:
    """A child in a session of its own, so that Ctrl-C reaches it through us, in order."""

    def __init__(self, name, command, **options):
        self.name = name
        self.lines = deque(maxlen=LINES_KEPT)
        try:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True,
                preexec_fn=die_with_parent, **options)
        except OSError as error:
            raise DemoError(f"{command[0]} cannot be started: {error}") from error
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stderr:
            text = line.decode(errors="replace").rstrip()
            self.lines.append(text)
            print(f"{self.name:6} | {text}", flush=True)

    @property
    def ended(self):
        return self.process.poll() is not None

    def epitaph(self):
        self.reader.join(1)
        status = self.process.returncode
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        said = "\n".join(f"  {line}" for line in self.lines) or "  (nothing)"
        return f"{self.name} {how}. The last it said:\n{said}"

    def stop(self):
        if not self.ended:
            self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join(1)


def start_relay(port):
    command = ["build/moq-relay", CONFIG]
    if port != CONFIG_PORT:
        command += ["--listen", f"[::]:{port}", "--web-http-listen", f"[::]:{port}"]
    return Program("relay", command, stdin=subprocess.DEVNULL)


def pattern_command():
    """A fragment for each frame, so that what is shown is as live as it can be."""
    keyframe = str(FRAMES_PER_SECOND * KEYFRAME_SECONDS)
    return [
        "ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "warning",
        "-re", "-f", "lavfi", "-i", f"testsrc2=size=1280x720:rate={FRAMES_PER_SECOND}",
        "-re", "-f", "lavfi", "-i", "sine=frequency=440:beep_factor=4:sample_rate=48000",
        "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p",
        "-g", keyframe, "-keyint_min", keyframe, "-sc_threshold", "0", "-b:v", "2500k",
        "-maxrate", "2500k", "-bufsize", "2500k", "-c:a", "aac", "-b:a", "96k",
        "-f", "mp4", "-frag_duration", str(1_000_000 // FRAMES_PER_SECOND),
        "-movflags", "empty_moov+default_base_moof", "-flush_packets", "1", "pipe:1",
    ]


def start_publisher(url):
    """ffmpeg | moq publish; returns both."""
    ffmpeg = Program("ffmpeg", pattern_command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    moq = Program("moq", ["build/moq", "publish", url, BROADCAST, "fmp4"],
                  stdin=ffmpeg.process.stdout)
    ffmpeg.process.stdout.close()
    return [ffmpeg, moq]


def get(url):
    """The body of a GET, or None while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return response.read().decode(errors="replace")
    except (urllib.error.URLError, OSError):
        return None


def check(programs):
    """Raises when one has ended, and tells of all that have: one that ends takes others along."""
    if any(program.ended for program in programs):
        time.sleep(SETTLE_SECONDS)
        raise DemoError("\n".join(program.epitaph() for program in programs if program.ended))


def wait_until(condition, programs, what):
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        check(programs)
        if time.monotonic() > deadline:
            raise DemoError(f"{what} within {START_SECONDS} s")
        time.sleep(POLL_SECONDS)


def watch_over(programs, seconds):
    """Returns after so many seconds (never, if None); raises as soon as a program ends."""
    end = None if seconds is None else time.monotonic() + seconds
    while end is None or time.monotonic() < end:
        check(programs)
        time.sleep(POLL_SECONDS)


def port_is_free(port):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET6, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("::", port))
            except OSError:
                return False
    return True


def choose_port(wanted):
    if wanted:
        if not port_is_free(wanted):
            raise DemoError(f"port {wanted} is in use; choose another: make demo PORT=5443")
        return wanted
    for _ in range(100):
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
            port = probe.getsockname()[1]
        if port_is_free(port):
            return port
    raise DemoError("no port is free for both TCP and UDP")


def check_tools():
    for program in ("build/moq-relay", "build/moq"):
        if not (ROOT / program).exists():
            raise DemoError(f"{program} is not there; run 'make' first")
    if not shutil.which("ffmpeg"):
        raise DemoError("ffmpeg is not there; run 'make deps' first")


def welcome(url):
    return f"""
  Watch it:     {url}?watch={BROADCAST}
  Try next, in another terminal:
    build/moq announced {url}
    build/moq subscribe {url} {BROADCAST} fmp4 --max-age 1s | ffplay -
    curl {url}announced
    curl {url}certificate.sha256
  Ctrl-C ends all of it.
"""


def run(port, seconds, programs):
    """Starts the programs, each added to the list as soon as it runs, and watches over them."""
    url = f"http://localhost:{port}/"
    programs.append(start_relay(port))
    wait_until(lambda: get(url + "certificate.sha256"), programs,
               f"the relay did not answer {url}certificate.sha256")
    programs.extend(start_publisher(url))
    wait_until(lambda: BROADCAST in (get(url + "announced") or ""), programs,
               f"{BROADCAST} was not announced")
    print(welcome(url), flush=True)
    watch_over(programs, seconds)


def interrupt(number, frame):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description="Run a relay with a live test pattern.")
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT") or CONFIG_PORT))
    parser.add_argument("--once", type=float, metavar="SECONDS")
    options = parser.parse_args()
    # Also where a shell starts us in the background and has SIGINT ignored.
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    programs = []
    status = 0
    try:
        check_tools()
        run(choose_port(options.port), options.once, programs)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        print()
    finally:
        # A second Ctrl-C must not leave anything behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        # The source first: the publisher then ends its broadcast, and the relay has no one left.
        for program in sorted(programs, key=lambda p: ["ffmpeg", "moq", "relay"].index(p.name)):
            program.stop()
    return status


if __name__ == "__main__":
    sys.exit(main())
