#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Breaks the code on purpose, one place at a time, and shows that the simulation finds it.

    tests/sim/mutate.py [--seeds N] [NAME...]      (all of tests/sim/mutations when none is named)

A mutation is a patch against src/ whose first line says what it breaks. It is applied to a copy of the tree, the
simulation is built there and plays seeds until one fails. A mutation that is not found within the bound, that does not
apply any more or does not build is a failure. The last line is "N passed, N failed".
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MUTATIONS = ROOT / "tests/sim/mutations"
COPIED = ("meson.build", "meson_options.txt", "doc", "dev", "src", "tests")
PLAY_SECONDS = 900  # on a machine that does other things as well
BUILD_SECONDS = 600


def run(command, cwd, seconds):
    """(status, output); status None when it took too long."""
    try:
        done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=seconds)
    except subprocess.TimeoutExpired:
        return None, f"took longer than {seconds} s"
    return done.returncode, done.stdout


def copy_tree(to):
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        elif source.exists():
            shutil.copy2(source, to / name)


def build(tree):
    return run(["ninja", "-C", "build", "tests/sim/sim"], tree, BUILD_SECONDS)


def play(tree, seeds):
    return run(["build/tests/sim/sim", "--count", str(seeds)], tree, PLAY_SECONDS)


def verdict(output):
    """What the failing seed said, in a line."""
    seed = re.search(r"seed (\d+) failed", output)
    invariant = re.search(r"invariant: (.*)", output)
    crash = re.search(r"(Assertion.*failed|mem_transport: .*|ERROR: AddressSanitizer: \S+)", output)
    why = invariant or crash
    return f"seed {seed[1] if seed else '?'}: {why[1].strip() if why else 'it crashed'}"


def try_mutation(tree, patch, seeds):
    """(found, what to say). The tree is as before afterwards."""
    apply = ["patch", "-p1", "--fuzz=0", "--no-backup-if-mismatch", "-s", "-f", "-i", str(patch)]
    status, output = run([*apply, "--dry-run"], tree, 60)
    if status != 0:
        return False, f"does not apply any more\n{output}"
    run(apply, tree, 60)
    try:
        status, output = build(tree)
        if status != 0:
            return False, f"does not build\n{output[-3000:]}"
        status, output = play(tree, seeds)
        if status is None:
            return False, f"not found: {output}"
        return (False, f"not found in {seeds} seeds") if status == 0 else (True, f"found by {verdict(output)}")
    finally:
        run([*apply, "-R"], tree, 60)


def main():
    parser = argparse.ArgumentParser(description="Show that the simulation finds what is broken on purpose.")
    parser.add_argument("--seeds", type=int, default=2000, help="that one mutation may take (2000)")
    parser.add_argument("name", nargs="*")
    options = parser.parse_args()
    patches = sorted(MUTATIONS.glob("*.patch"))
    unknown = set(options.name) - {p.stem for p in patches}
    if unknown:
        sys.exit(f"mutate: there is no mutation {' '.join(sorted(unknown))}")
    patches = [p for p in patches if not options.name or p.stem in options.name]

    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="moq-mutate-") as name:
        tree = Path(name)
        copy_tree(tree)
        status, output = run(["meson", "setup", "build", "-Dtests=false", "-Dwerror=false"], tree, BUILD_SECONDS)
        if status == 0:
            status, output = build(tree)
        if status != 0:
            sys.exit(f"mutate: the copy does not build\n{output[-3000:]}")
        for patch in patches:
            found, text = try_mutation(tree, patch, options.seeds)
            passed, failed = passed + found, failed + (not found)
            says = patch.read_text().splitlines()[0]
            print(f"{'ok    ' if found else 'FAILED'} {patch.stem:22} {says}\n       {text}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
