#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Measures this relay, and beside it another one, under the loads of the table below.

Relay and load tool get a core each where there are two. A relay is started anew for every run, and
the relays take turns, so that what else the machine does meets all of them. Of several runs the
median counts. Another relay is given as a whole command in MOQ_OTHER_RELAY, with PORT where the
port belongs, such as

    MOQ_OTHER_RELAY="moq-relay --listen 127.0.0.1:PORT --listen-tls-generate localhost --auth-public **"

Any number of our own builds can be compared: --relay NAME=PATH.
"""
import argparse
import json
import os
import shlex
import signal
import socket
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
START_WAIT_S = 1.0
STOP_WAIT_S = 5
RUN_WAIT_S = 120  # of a run, beside what it measures

# name: what it is, options of the load tool
LOADS = {
    "fanout": ("300 viewers, 60/s of 4 KB", "--viewers 300 --rate 60 --size 4096 --group 60"),
    "crowd": ("1000 viewers, 30/s of 8 KB",
              "--viewers 1000 --rate 30 --size 8192 --group 30 --ramp 300"),
    "fat1": ("1 viewer, 200 Mbit/s", "--viewers 1 --rate 60 --size 416667 --group 60"),
    "fat10": ("10 viewers, 200 Mbit/s", "--viewers 10 --rate 60 --size 416667 --group 60"),
    "small": ("300 viewers, 100/s of 200 B", "--viewers 300 --rate 100 --size 200 --group 100"),
    "messages": ("300 viewers, 30/s of 200 B, each a group",
                 "--viewers 300 --rate 30 --size 200 --group 1"),
    "idle": ("1000 idle sessions", "--viewers 1000 --idle --ramp 300"),
    "webtransport": ("300 viewers over WebTransport, 60/s of 4 KB",
                     "--viewers 300 --rate 60 --size 4096 --group 60"),
}

OURS = ("--listen 127.0.0.1:PORT --listen-tls-generate localhost --auth-public= "
        "--web-http-listen= --log-level warn")


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def pinned(core, command):
    if os.cpu_count() < 2:
        return command
    return ["taskset", "-c", str(core)] + command


def start_relay(command, port):
    argv = [a.replace("PORT", str(port)) for a in command]
    relay = subprocess.Popen(pinned(0, argv), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(START_WAIT_S)
    if relay.poll() is not None:
        sys.exit("the relay did not start: " + shlex.join(argv))
    return relay


def stop_relay(relay):
    relay.send_signal(signal.SIGTERM)
    try:
        relay.wait(STOP_WAIT_S)
    except subprocess.TimeoutExpired:
        relay.kill()
        relay.wait()


def measure(args, command, load):
    port = free_port()
    scheme = "https" if load == "webtransport" else "moql"
    relay = start_relay(command, port)
    argv = [args.fanout, "--url", "%s://127.0.0.1:%d/" % (scheme, port), "--pid", str(relay.pid),
            "--seconds", str(args.seconds), "--json"] + LOADS[load][1].split()
    try:
        done = subprocess.run(pinned(1, argv), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=args.seconds + RUN_WAIT_S)
    finally:
        stop_relay(relay)
    if not done.stdout:
        sys.exit("the load tool failed: " + done.stderr)
    return json.loads(done.stdout)


def median(runs, key):
    return statistics.median(r[key] for r in runs)


COLUMNS = [
    ("us/frame", "cpu_us_per_frame", "%.2f"),
    ("Mbit/s", "mbit", "%.1f"),
    ("core %", "relay_share", None),
    ("p50 ms", "p50_ms", "%.2f"),
    ("p99 ms", "p99_ms", "%.1f"),
    ("missing", "groups_missing", "%d"),
    ("RSS MB", "rss_max_kb", None),
    ("KB/viewer", "rss_per_viewer_kb", "%.0f"),
    ("left MB", "rss_after_kb", None),
    ("load %", "load_share", None),
]


def cell(runs, key, form):
    value = median(runs, key)
    if form:
        return form % value
    return "%.1f" % (value / 1024) if key.endswith("kb") else "%.1f" % (value * 100)


def table(args, results, names):
    print("%-13s %-10s" % ("load", "relay") + "".join("%10s" % c[0] for c in COLUMNS))
    for load in args.loads:
        for name in names:
            runs = results[load, name]
            print("%-13s %-10s" % (load, name) +
                  "".join("%10s" % cell(runs, key, form) for _, key, form in COLUMNS))
        if len(names) > 1 and load != "idle":
            base = median(results[load, names[0]], "cpu_us_per_frame")
            ratios = ["%s %.2f" % (n, median(results[load, n], "cpu_us_per_frame") / base)
                      for n in names[1:] if base > 0]
            print("%-13s CPU per frame against %s: %s" % ("", names[0], ", ".join(ratios)))


def take_precedence():
    """For a machine that has other things to do, and root. Niceness counts within a session; the
    session as a whole has one of its own."""
    os.nice(-10)
    try:
        if os.getpgid(0) != os.getpid():
            os.setsid()
        with open("/proc/self/autogroup", "w") as f:
            f.write("-15")
    except OSError:
        pass


def relays_of(args):
    relays = {}
    for text in args.relay or ["ours=" + os.path.join(ROOT, "build/src/bin/moq-relay")]:
        name, _, path = text.partition("=")
        relays[name] = [path] + shlex.split(OURS)
    other = os.environ.get("MOQ_OTHER_RELAY")
    if other:
        relays["other"] = shlex.split(other)
    return relays


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("loads", nargs="*", default=list(LOADS), help=", ".join(LOADS))
    p.add_argument("--fanout", default=os.path.join(ROOT, "build/tests/bench/fanout"))
    p.add_argument("--relay", action="append", metavar="NAME=PATH")
    p.add_argument("--seconds", type=int, default=8)
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--precedence", action="store_true", help="over other processes; needs root")
    args = p.parse_args()
    if args.precedence:
        take_precedence()
    relays = relays_of(args)
    results = {(load, name): [] for load in args.loads for name in relays}
    for _ in range(args.runs):
        for load in args.loads:
            for name, command in relays.items():
                results[load, name].append(measure(args, command, load))
    print("%d cores, %d runs of %d s each, medians; load average %.1f" %
          (os.cpu_count(), args.runs, args.seconds, os.getloadavg()[0]))
    for load in args.loads:
        print("  %-12s %s" % (load, LOADS[load][0]))
    table(args, results, list(relays))
    failed = ["%s %s: %d frames wrong, %d viewers never up, %d lost" %
              (load, name, r["bad"], r["failed"], r["lost"])
              for (load, name), runs in results.items() for r in runs
              if r["bad"] or r["failed"] or r["lost"]]
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
