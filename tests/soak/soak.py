#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""A relay under churn for a long time: does it grow?

Crews of the load tool (tests/bench) come and go, each with a publisher, some viewers, some of them
stalled, and a path of its own; some are killed without a word. In the second half groups are half as
long: twice as many a second, at the same bitrate.

The load has tides, all alike: everybody comes, and leaves, and the relay gives free memory back. The
most that it holds in each tide is a point, and a line is fitted to those of the second part of each
half. Its slope is what leaks. (Under a load that is always there memory grows in steps whenever the
load is higher than ever, and at ebb it is a matter of when the relay looked; both say little.)

Each half is a test, the whole is another, and so are the frames that viewers got and the relay's end.

    tests/soak/soak.py [--seconds N] [--seed N] [--relay PATH] [--fanout PATH]

The last line is "N passed, N failed".
"""

import argparse
import os
import random
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RELAY = (
    "--listen 127.0.0.1:{port} --tls-generate localhost --auth-public= --web-http-listen= "
    "--log-level warn --cache-capacity 64MiB --quic-idle-timeout 5s --quic-keep-alive 1s"
)

TIDE = 15  # seconds from one flood to the next
FLOOD = 3  # crews begin in the first FLOOD of them
TURN = 8  # and end here together, so that the relay sees many sessions leave and tidies up
CREWS = 8  # at a time
RATE = 30  # frames per second
FRAME = 2048  # bytes
GROUP = (10, 5)  # frames, in the first half and in the second
VIEWERS = 17
STALLED = 1
KILLED = 8  # every eighth crew is
CREW_WAIT = 60  # beyond its time, then it is a failure
START_WAIT = 20
STOP_WAIT = 30

SAMPLE = 0.25  # seconds between two
WARM_UP = 1 / 3  # of each half, that the fit leaves out
BOUND = 256  # KB per minute, in which 500 sessions come and go and 20,000 groups are delivered
CERTAINTY = 2  # standard errors by which a slope has to be above the bound


class Failure(Exception):
    pass


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def rss_kb(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


class Relay:
    def __init__(self, binary, log):
        self.port = free_port()
        self.log = log
        arguments = shlex.split(RELAY.format(port=self.port))
        with open(log, "wb") as out:
            self.process = subprocess.Popen([binary, *arguments], stdout=out, stderr=out)
        deadline = time.monotonic() + START_WAIT
        while not self._listens():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"the relay did not start\n{self.said()}")
            time.sleep(0.1)

    def _listens(self):
        wanted = f":{self.port:04X} "
        with open("/proc/net/udp") as table:
            return any(wanted in line for line in table)

    def said(self):
        return Path(self.log).read_text(errors="replace")[-3000:]

    def alive(self):
        return self.process.poll() is None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if code != 0:
            raise Failure(f"the relay ended with code {code}\n{self.said()}")


class Crew:
    """One run of the load tool, in a process group of its own. Its number says what it is like."""

    def __init__(self, fanout, relay, rng, number, group, seconds):
        now = time.monotonic()
        self.kill_at = now + rng.uniform(1, TURN) if number % KILLED == 0 else None
        self.deadline = now + seconds + CREW_WAIT
        scheme = ["moql", "https"][number % 2]
        command = [
            fanout, "--url", f"{scheme}://127.0.0.1:{relay.port}/", "--broadcast", f"soak/{number}",
            "--viewers", VIEWERS, "--stalled", STALLED,
            "--rate", RATE, "--size", FRAME, "--group", group, "--seconds", seconds,
            "--max-age", [0, 500, 5000][number % 3], "--json",
        ]  # fmt: skip
        self.command = [str(word) for word in command]
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stdout.close()

    def ended(self):
        """False while it runs; raises when it did not end well."""
        now = time.monotonic()
        if self.kill_at is not None and now >= self.kill_at:
            self.kill()
            return True
        if self.process.poll() is None:
            if now > self.deadline:
                self.kill()
                raise Failure(f"did not end: {shlex.join(self.command)}")
            return False
        said = self.process.stdout.read().decode(errors="replace")
        self.process.stdout.close()
        if self.process.returncode != 0:
            raise Failure(f"{shlex.join(self.command)}\n{said}")
        return True


class Soak:
    def __init__(self, options, relay):
        self.options = options
        self.relay = relay
        self.rng = random.Random(options.seed)
        self.crews = []
        self.started = 0
        self.failures = []
        self.samples = []  # (seconds, KB)

    def _turn(self, group, at):
        for crew in list(self.crews):
            try:
                if crew.ended():
                    self.crews.remove(crew)
            except Failure as failure:
                self.failures.append(str(failure))
                self.crews.remove(crew)
        if at < FLOOD and len(self.crews) < CREWS:
            self.started += 1
            seconds = round(TURN - at)
            crew = Crew(self.options.fanout, self.relay, self.rng, self.started, group, seconds)
            self.crews.append(crew)

    def run(self):
        begin = time.monotonic()
        seconds = self.options.seconds
        while (at := time.monotonic() - begin) < seconds:
            if not self.relay.alive():
                raise Failure(f"the relay has died\n{self.relay.said()}")
            self._turn(GROUP[at >= seconds / 2], at % TIDE)
            self.samples.append((at, rss_kb(self.relay.process.pid)))
            time.sleep(SAMPLE)

    def end(self):
        for crew in self.crews:
            crew.kill()


def floods(samples):
    """(seconds, KB) of each whole tide: the most that there was."""
    tides = {}
    for at, kb in samples:
        tides.setdefault(int(at / TIDE), []).append((kb, at))
    return [(at, kb) for kb, at in map(max, list(tides.values())[1:-1])]


def fit(points):
    """Least squares: (KB per minute, its standard error)."""
    n = len(points)
    if n < 3:
        raise Failure(f"{n} points are too few for a slope: run {10 * TIDE} s or longer")
    mean_t = sum(t for t, _ in points) / n
    mean_kb = sum(kb for _, kb in points) / n
    spread = sum((t - mean_t) ** 2 for t, _ in points)
    slope = sum((t - mean_t) * (kb - mean_kb) for t, kb in points) / spread
    rest = sum((kb - mean_kb - slope * (t - mean_t)) ** 2 for t, kb in points)
    return slope * 60, (rest / (n - 2) / spread) ** 0.5 * 60


def judge(name, samples):
    """Prints the verdict over what follows the warm-up; True when it is good."""
    first, last = samples[0][0], samples[-1][0]
    settled = [s for s in samples if s[0] >= first + WARM_UP * (last - first)]
    points = floods(settled)
    slope, error = fit(points)
    good = slope - CERTAINTY * error <= BOUND
    print(
        f"{name}: {slope:+.0f} KB/min (standard error {error:.0f}), "
        f"at flood {sum(kb for _, kb in points) / len(points) / 1024:.1f} MB, "
        f"at ebb {min(kb for _, kb in settled) / 1024:.1f} MB, "
        f"bound {BOUND} KB/min: {'good' if good else 'IT GROWS'}"
    )
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--relay", default=ROOT / "build/src/bin/moq-relay")
    parser.add_argument("--fanout", default=ROOT / "build/tests/bench/fanout")
    parser.add_argument("--log", default=ROOT / "build/soak.log", help="of the relay")
    parser.add_argument("--samples", help="file for the samples, a line each")
    options = parser.parse_args()
    results = []

    def test(name, function):
        try:
            good = function()
        except Failure as failure:
            print(failure)
            good = False
        if not good:
            print(f"FAILED: {name}")
        results.append(good)

    relay = Relay(options.relay, options.log)
    soak = Soak(options, relay)
    try:
        test("the relay lives", lambda: soak.run() is None)
    finally:
        soak.end()
    print(f"{options.seconds} s, {soak.started} crews, seed {options.seed}")
    if options.samples:
        with open(options.samples, "w") as out:
            out.writelines(f"{at:.2f} {kb}\n" for at, kb in soak.samples)
    middle = options.seconds / 2
    for half, group in enumerate(GROUP):
        samples = [s for s in soak.samples if (s[0] >= middle) == half]
        name = f"groups of {group} frames"
        test(name, lambda name=name, samples=samples: judge(name, samples))
    test("the whole run", lambda: judge("the whole run", soak.samples))
    for failure in soak.failures:
        print(failure)
    test("every viewer got its frames", lambda: not soak.failures)
    test("the relay ends well", lambda: relay.stop() is None)
    failed = results.count(False)
    print(f"{len(results) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
