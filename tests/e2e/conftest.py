# SPDX-License-Identifier: MIT OR Apache-2.0
"""Fixtures of the end-to-end tests.

A module's tests share one relay, each under paths of its own (`name`). A relay that has died is
replaced, so that one crash fails one test.
"""

import itertools
import os
import sys
from pathlib import Path

import pytest

from attack import Arena
from clients import check_healthy, run_async
from publisher import Publisher
from relay import FLAVORS, Relay

ROOT = Path(__file__).resolve().parents[2]

TRANSPORTS = {"raw": "moql", "webtransport": "https"}

_counter = itertools.count()


def pytest_addoption(parser):
    parser.addoption(
        "--relay-flavor",
        choices=sorted(FLAVORS),
        default=os.environ.get("MOQ_RELAY_FLAVOR", "moq"),
        help="whose flags MOQ_RELAY_BIN understands: moq (ours) or rust",
    )


def pytest_collection_modifyitems(config, items):
    if config.getoption("--relay-flavor") == "moq":
        return
    skip = pytest.mark.skip(reason="about moq-relay only")
    for item in items:
        if item.get_closest_marker("ours"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def flavor(pytestconfig):
    return FLAVORS[pytestconfig.getoption("--relay-flavor")]


def _binary(variable, default):
    path = Path(os.environ.get(variable, ROOT / "build" / default)).resolve()
    if not path.exists():
        pytest.fail(f"{path} does not exist; build it or set {variable}", pytrace=False)
    return path


@pytest.fixture(scope="session")
def relay_binary():
    return _binary("MOQ_RELAY_BIN", "moq-relay")


@pytest.fixture(scope="session")
def client_binary(flavor):
    if flavor.name != "moq" and "MOQ_BIN" not in os.environ:
        pytest.skip("MOQ_BIN is not set")
    return _binary("MOQ_BIN", "moq")


@pytest.fixture(scope="module")
def start_relay(relay_binary, flavor, tmp_path_factory):
    """Starts more relays, with arguments of their own; each is stopped at the module's end."""
    started = []

    def start(**options):
        log = tmp_path_factory.mktemp("relay") / "relay.log"
        relay = Relay(relay_binary, flavor, log, **options)
        started.append(relay)
        return relay.start()

    yield start
    try:
        for relay in started:
            if relay.alive:
                relay.stop()
    finally:
        for relay in started:
            relay.kill()


@pytest.fixture(scope="module")
def _shared(start_relay):
    return {"relay": None, "start": start_relay}


@pytest.fixture
def relay(_shared, request):
    """A running relay that is open to everybody; it must still run after the test."""
    if _shared["relay"] is None or not _shared["relay"].alive:
        _shared["relay"] = _shared["start"]()
    current = _shared["relay"]
    request.node.relay = current
    yield current
    code = current.process.poll()
    assert code is None, f"the relay died during the test, code {code}\n{current.tail(200)}"


@pytest.fixture
def still_healthy(relay, name):
    """After the test a healthy pair of clients is served, over both transports."""
    yield
    assert relay.alive, f"the relay died\n{relay.tail(200)}"

    @run_async(30)
    async def check():
        for transport, scheme in TRANSPORTS.items():
            await check_healthy(relay, scheme, f"{name}/{transport}")

    check()


def pytest_generate_tests(metafunc):
    """A module with a table ATTACKS has a test for each row (see attack.py)."""
    if "attack" in metafunc.fixturenames:
        rows = [
            pytest.param(attack, id=attack.name, marks=[pytest.mark.memory] if attack.memory else [])
            for attack in metafunc.module.ATTACKS
        ]
        metafunc.parametrize("attack", rows)


@pytest.fixture(scope="module")
def arenas(start_relay, tmp_path_factory):
    """Relays with a healthy pair on each, by the relay's options."""
    by_options = {}

    def find(options):
        arena = by_options.get(options)
        if arena is None or not arena.relay.alive:
            log = tmp_path_factory.mktemp("bystanders") / "pair.log"
            arena = by_options[options] = Arena(start_relay(extra=list(options), level="info"), log)
        return arena

    yield find
    for arena in by_options.values():
        arena.close()


@pytest.fixture
def fight(arenas, request):
    """Runs an attack; what came of it is told at the end of the run."""

    def run(attack):
        arena = arenas(attack.options)
        request.node.relay = arena.relay
        request.node.user_properties.append(("attack", arena.run(attack)))

    return run


def pytest_terminal_summary(terminalreporter):
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    lines = [value for report in reports for name, value in report.user_properties if name == "attack"]
    if lines:
        terminalreporter.section("attacks")
        for line in lines:
            terminalreporter.line(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    relay = getattr(item, "relay", None)
    if report.failed and relay is not None:
        report.sections.append(("relay log (end)", relay.tail()))
    return report


@pytest.fixture(params=sorted(TRANSPORTS))
def scheme(request):
    """The URL scheme of raw QUIC, then of WebTransport."""
    return TRANSPORTS[request.param]


@pytest.fixture
def name():
    """A broadcast path that no other test uses."""
    return f"e2e/{next(_counter)}"


@pytest.fixture
def publish(tmp_path):
    """Starts publisher processes (see publisher.py); all are gone after the test."""
    started = []

    def start(url, path, **options):
        log = tmp_path / f"publisher-{len(started)}.log"
        publisher = Publisher(sys.executable, log, url, path, **options)
        started.append(publisher)
        return publisher

    yield start
    for publisher in started:
        publisher.kill()
