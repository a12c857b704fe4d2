#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs the test suites and counts what they ran.

    tools/run-tests.py [-v] [SUITE...]      (all but the long ones when none is named)

A suite is a row of SUITES. Each runs in a process group and a time bound of its own; its output
goes to build/test-logs/. Failures are printed in full at the end; the very last line is
"N passed, N failed" (", N skipped" when some were). Status 1 when something failed, when a suite
did not end well whatever it counted, or when a suite ran no test.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
ASAN = ROOT / "build-asan"
LOGS = BUILD / "test-logs"
VENV_BIN = BUILD / "tools" / "venv" / "bin"

GRACE_SECONDS = 10  # between SIGTERM and SIGKILL
# Of the suites that run long: of each fuzz target, of the churn; worlds of the simulation of links.
FUZZ_SECONDS = int(os.environ.get("FUZZ_SECONDS", "60"))
SOAK_SECONDS = int(os.environ.get("SOAK_SECONDS", "600"))
UDP_SEEDS = int(os.environ.get("UDP_SEEDS", "3000"))
TAIL_LINES = 200  # of a log, where nothing better explains a failure


@dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)  # title, text

    @property
    def total(self):
        return self.passed + self.failed + self.skipped

    def fail(self, title, text, count=1):
        self.failed += count
        self.failures.append((title, text))

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures

    def __str__(self):
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def tail(path, lines=TAIL_LINES):
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


# Counters: each turns what one run left behind into Counts.


def count_status(suite, status):
    """The run as a whole is one test."""
    counts = Counts()
    if status == 0:
        counts.passed = 1
    else:
        counts.fail(suite.name, tail(suite.log))
    return counts


def count_cmocka(text):
    """(passed, failed, skipped) from what cmocka prints for all groups of one executable."""

    def summed(word):  # newer ones put the group's name before the number
        return sum(map(int, re.findall(rf"\[ +{word} +\] (?:.*: )?(\d+) test\(s\)", text)))

    return len(re.findall(r"\[ +OK +\]", text)), summed("FAILED"), summed("SKIPPED")


def count_meson(suite, status):
    """Cases of cmocka where an executable uses it; else the executable is one test."""
    counts = Counts()
    if not suite.report.exists():
        return counts
    for line in suite.report.read_text(errors="replace").splitlines():
        test = json.loads(line)
        text = test.get("stdout", "") + test.get("stderr", "")
        passed, failed, skipped = count_cmocka(text)
        counts.passed += passed
        counts.skipped += skipped
        if test["result"] not in ("OK", "SKIP", "EXPECTEDFAIL"):
            title = f"{test['name']}: {test['result']}, status {test.get('returncode')}"
            counts.fail(title, text, max(failed, 1))
        elif test["result"] == "SKIP":
            counts.skipped += not skipped
        elif not passed + skipped:
            counts.passed += 1
    return counts


def count_lines(suite, status):
    """Lines "ok NAME ..." and "not ok NAME ..." in the log."""
    counts = Counts()
    log = suite.log.read_text(errors="replace")
    counts.passed = len(re.findall(r"^ok ", log, re.MULTILINE))
    for part in re.split(r"^(?=(?:not )?ok )", log, flags=re.MULTILINE):
        if part.startswith("not ok "):
            counts.fail(part.split()[2], part)
    return counts


def count_junit(suite, status):
    """The cases of pytest's report."""
    counts = Counts()
    if not suite.report.exists():
        return counts
    for case in ElementTree.parse(suite.report).iter("testcase"):
        problems = [child for child in case if child.tag in ("failure", "error")]
        if problems:
            texts = [child.text or child.get("message") or "" for child in problems]
            texts += [child.text or "" for child in case if child.tag.startswith("system-")]
            counts.fail(f"{case.get('classname', '')} {case.get('name')}", "\n".join(texts))
        elif case.find("skipped") is not None:
            counts.skipped += 1
        else:
            counts.passed += 1
    return counts


def count_last_line(suite, status):
    """The command counts by itself: its last line is "N passed, N failed"."""
    counts = Counts()
    found = re.search(r"^(\d+) passed, (\d+) failed$", tail(suite.log, 1))
    if found:
        counts.passed = int(found[1])
        if int(found[2]):
            counts.fail(suite.name, tail(suite.log), int(found[2]))
    return counts


# Programs under test. Sanitizer reports go to the log of the program and end it.
WITH_ASAN = {
    "MOQ_RELAY_BIN": str(ASAN / "src/bin/moq-relay"),
    "MOQ_BIN": str(ASAN / "src/bin/moq"),
}
WITH_RELEASE = {
    "MOQ_RELAY_BIN": str(BUILD / "moq-relay"),
    "MOQ_BIN": str(BUILD / "moq"),
}
COMMON_ENV = {
    "PATH": f"{VENV_BIN}:{os.environ.get('PATH', '/usr/bin:/bin')}",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    # Python 3.11 can fail in a traceback's source positions when garbage is collected meanwhile.
    "PYTHONNODEBUGRANGES": "1",
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "MOQ_NODE_MODULES": str(BUILD / "tools/npm/node_modules"),
    "MOQ_WEB_DIR": str(BUILD / "web"),
}


# Modules of the end-to-end tests side by side: they wait for most of their time.
IN_TWO = ("-n", "2", "--dist", "loadfile")


def pytest(*paths):
    return [str(VENV_BIN / "python"), "-m", "pytest", "-p", "no:cacheprovider", "-ra",
            "-o", "junit_logging=all", "-o", "junit_log_passing_tests=false",
            "--junitxml={report}", *paths]


@dataclass
class Suite:
    name: str
    needs: str  # a glob below the root; without a match there is nothing to run
    command: list[str]  # {report} stands for the path of the suite's report
    count: Callable[["Suite", int], Counts]
    bound: int  # seconds
    env: dict[str, str] = field(default_factory=dict)
    report: Path | None = None  # what the counter reads
    long: bool = False  # runs only when it is named
    lane: str = "busy"  # suites of different lanes run side by side: one that computes, one that waits

    def __post_init__(self):
        self.log = LOGS / f"{self.name}.log"
        self.report = self.report or LOGS / f"{self.name}.xml"


SUITES = [
    Suite("layers", "src", [sys.executable, "tools/check-layers.py"], count_status, 60),
    Suite("tools", "tests/tools/test_*.py", pytest("tests/tools"), count_junit, 300),
    Suite("unit", "build-asan/build.ninja",
          ["meson", "test", "-C", "build-asan", "--no-rebuild", "--timeout-multiplier", "3"],
          count_meson, 900, report=ASAN / "meson-logs" / "testlog.json"),
    Suite("e2e", "tests/e2e/test_*.py", pytest(*IN_TWO, "tests/e2e"), count_junit, 1500, WITH_ASAN,
          lane="waiting"),
    Suite("e2e-release", "tests/e2e/test_forward.py",
          pytest(*IN_TWO, "tests/e2e/test_forward.py", "tests/e2e/test_attacks.py", "tests/e2e/test_memory.py"),
          count_junit, 450, WITH_RELEASE, lane="waiting"),
    Suite("attacks-release", "tests/e2e/test_attack_quic.py", pytest(*IN_TWO, "-m", "memory", "tests/e2e"),
          count_junit, 300, WITH_RELEASE, lane="waiting"),
    Suite("browser", "tests/browser/test_*.py", pytest("tests/browser"), count_junit, 900,
          WITH_ASAN, lane="waiting"),
    Suite("fuzz", "build-fuzz/tests/fuzz-*", ["tools/fuzz.sh", "in-all", "60"], count_lines, 600),
    Suite("demo", "tools/demo.py", [sys.executable, "tools/demo.py", "--port", "0", "--once", "10"],
          count_status, 120, lane="waiting"),
    # Those below run only when they are named: make test-long.
    Suite("sim-long", "tests/sim/many.py", [sys.executable, "tests/sim/many.py"], count_last_line, 3600, long=True),
    Suite("udp-sim", "tests/sim/udp_sim.c", ["build-asan/tests/udp-sim", "--seed", "1000", "--count", str(UDP_SEEDS)],
          count_status, 600 + 3 * UDP_SEEDS, long=True),
    Suite("sim-oom", "tests/sim/many.py", ["build/sim", "--count", "5", "--steps", "20", "--fail-alloc"], count_status,
          3600, long=True),
    Suite("corpus-oom", "build-asan/build.ninja",
          ["meson", "test", "-C", "build-asan", "--no-rebuild", "--benchmark", "--logbase", "benchmarklog"],
          count_meson, 3 * 3600, report=ASAN / "meson-logs" / "benchmarklog.json", long=True),
    Suite("mutations", "tests/sim/mutate.py", [sys.executable, "tests/sim/mutate.py"], count_last_line, 3600, long=True),
    Suite("fuzz-long", "build-fuzz/tests/fuzz-*", ["tools/fuzz.sh", "each", str(FUZZ_SECONDS)], count_lines,
          1800 + 50 * FUZZ_SECONDS, long=True),
    Suite("soak", "tests/soak/soak.py", [sys.executable, "tests/soak/soak.py", "--seconds", str(SOAK_SECONDS)],
          count_last_line, 600 + 2 * SOAK_SECONDS, long=True),
]


running = set()  # the suites' processes


def signal_group(process, number):
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def stop(process):
    """Ends a suite and what is left of its process group."""
    if process.poll() is None:
        signal_group(process, signal.SIGTERM)
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            pass
    signal_group(process, signal.SIGKILL)
    process.wait()


def run_command(suite):
    """Runs a suite's command; returns its status, or None when it took too long."""
    command = [word.replace("{report}", str(suite.report)) for word in suite.command]
    suite.report.unlink(missing_ok=True)
    with suite.log.open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **COMMON_ENV, **suite.env},
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        running.add(process)
        try:
            return process.wait(suite.bound)
        except subprocess.TimeoutExpired:
            return None
        finally:
            stop(process)
            running.discard(process)


def run_suite(suite):
    """Runs a suite and judges it: a run that ended badly never counts as passed."""
    started = time.monotonic()
    try:
        status = run_command(suite)
    except OSError as error:
        counts = Counts()
        counts.fail(suite.name, f"could not be started: {error}")
        return counts, time.monotonic() - started
    counts, problem = Counts(), None
    try:
        counts = suite.count(suite, status)
    except (ElementTree.ParseError, json.JSONDecodeError) as error:
        problem = f"has a report that is cut off ({error})"
    if status is None:
        problem = f"took longer than {suite.bound} s"
    elif status != 0 and not counts.failed:
        problem = f"ended with status {status}"
    elif counts.total == 0:
        problem = "ran no test"
    if problem:
        counts.fail(suite.name, f"{problem}; its log ends:\n{tail(suite.log)}")
    return counts, time.monotonic() - started


def print_failures(failures):
    for title, text in failures:
        print(f"\n==== FAILED {title.strip()}\n{text.strip()}")


def chosen_suites(names):
    by_name = {suite.name: suite for suite in SUITES}
    for name in names:
        if name not in by_name:
            sys.exit(f"run-tests: no suite named {name}; there are: {' '.join(by_name)}")
    return [suite for suite in SUITES if suite.name in names or not (names or suite.long)]


def run_or_fail(suite):
    """A fault of this script fails the suite; the others are run all the same."""
    try:
        return run_suite(suite)
    except Exception:
        counts = Counts()
        counts.fail(suite.name, traceback.format_exc())
        return counts, 0


def run_lane(suites, verbose, total):
    """One suite after the other; what came of them goes to `total`."""
    for suite in suites:
        counts, seconds = run_or_fail(suite)
        print(f"{suite.name:16}{counts} ({seconds:.1f} s)", flush=True)
        if verbose:
            print(suite.log.read_text(errors="replace"))
        counts.failures = [(f"{suite.name}: {title}", text) for title, text in counts.failures]
        total.add(counts)


def run_lanes(suites, verbose):
    """The lanes side by side; interrupted, it ends what runs."""
    lanes = {}
    for suite in suites:
        if any(ROOT.glob(suite.needs)):
            lanes.setdefault(suite.lane, []).append(suite)
        else:
            print(f"{suite.name:16}absent ({suite.needs})", flush=True)
    totals = {lane: Counts() for lane in lanes}
    threads = [
        threading.Thread(target=run_lane, args=(lanes[lane], verbose, totals[lane]), daemon=True) for lane in lanes
    ]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        for process in list(running):
            stop(process)
        raise
    total = Counts()
    for lane in lanes:
        total.add(totals[lane])
    return total


def interrupt(number, frame):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description="Run the test suites.")
    parser.add_argument("suite", nargs="*")
    parser.add_argument("-v", "--verbose", action="store_true", help="print whole logs")
    options = parser.parse_args()
    suites = chosen_suites(options.suite)
    LOGS.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, interrupt)

    total = run_lanes(suites, options.verbose)
    print_failures(total.failures)
    print(f"\nlogs: {LOGS.relative_to(ROOT)}/\n{total}", flush=True)
    return 1 if total.failed or not total.total else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nrun-tests: interrupted")
