#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Plays many seeds on all cores.

    tests/sim/many.py [--seed FIRST] [--count N] [--sim PROGRAM]

What a failing seed says is printed, and the seeds after it are played all the same. The last line is
"N passed, N failed".
"""

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BATCH = 250
SEED_SECONDS = 5  # a generous average


def play(sim, first, count):
    """(passed, texts of the failed)."""
    end, failures = first + count, []
    while first < end:
        command = [sim, "--seed", str(first), "--count", str(end - first)]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, errors="replace", timeout=60 + SEED_SECONDS * (end - first))
            status, text = done.returncode, done.stdout
        except subprocess.TimeoutExpired:
            status, text = None, "took too long"
        if status == 0:
            break
        failures.append(f"{' '.join(command)}\n{text[-4000:]}")
        failed = re.search(r"seed (\d+) failed", text)
        if not failed:
            return count - (end - first), failures
        first = int(failed[1]) + 1
    return count - len(failures), failures


def main():
    parser = argparse.ArgumentParser(description="Play many seeds.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--sim", default=str(ROOT / "build/tests/sim/sim"))
    options = parser.parse_args()
    end = options.seed + options.count
    batches = [(first, min(BATCH, end - first)) for first in range(options.seed, end, BATCH)]
    passed = failed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for good, failures in pool.map(lambda batch: play(options.sim, *batch), batches):
            passed, failed = passed + good, failed + len(failures)
            for text in failures:
                print(text, flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
