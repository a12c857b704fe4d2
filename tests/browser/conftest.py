# SPDX-License-Identifier: MIT OR Apache-2.0
"""Fixtures of the browser tests: a relay that serves the page, and the scripts that open it.

The relay and the moq-rs publisher are handled by the code of the end-to-end tests.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "e2e"))

from publisher import Publisher  # noqa: E402
from relay import FLAVORS, Relay  # noqa: E402

SCRIPT_SECONDS = 150
WAIT_SECONDS = 60  # of one expectation in a script


def path_from(variable, default):
    path = Path(os.environ.get(variable, ROOT / default)).resolve()
    if not path.exists():
        pytest.fail(f"{path} does not exist; build it or set {variable}", pytrace=False)
    return path


@pytest.fixture(scope="session")
def flavor():
    """Whose relay it is: with the Rust relay the tests check themselves."""
    return FLAVORS[os.environ.get("MOQ_RELAY_FLAVOR", "moq")]


@pytest.fixture(scope="session")
def page_dir():
    return path_from("MOQ_WEB_DIR", "build/web")


@pytest.fixture
def relay(flavor, page_dir, tmp_path):
    """A relay that is open to everybody; it must end well, without a sanitizer report."""
    extra = ["--web-root", str(page_dir)] if flavor.name == "moq" else []
    binary = path_from("MOQ_RELAY_BIN", "build/moq-relay")
    running = Relay(binary, flavor, tmp_path / "relay.log", extra=extra)
    try:
        yield running.start()
        running.stop()
    finally:
        running.kill()


@pytest.fixture
def publish(relay, tmp_path):
    """Starts a moq-rs publisher of one track (see publisher.py)."""
    started = []

    def start(path):
        publisher = Publisher(sys.executable, tmp_path / "publisher.log", relay.url("https"), path)
        started.append(publisher)
        return publisher

    yield start
    for publisher in started:
        publisher.kill()


@pytest.fixture
def script(relay):
    """Runs a script of this directory on the relay; returns what it printed."""

    def run(name, *arguments):
        command = ["node", str(HERE / name), relay.url("http"), *arguments,
                   f"--timeout={WAIT_SECONDS}"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=SCRIPT_SECONDS)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\nrelay:\n{relay.tail()}"
        return done.stdout

    return run


@pytest.fixture
def page_options(flavor, page_dir):
    """How a script gets the page: from the relay, or from a server of its own."""
    return [] if flavor.name == "moq" else [f"--page={page_dir}"]
