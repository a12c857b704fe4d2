# SPDX-License-Identifier: MIT OR Apache-2.0
"""Against the Rust relay, where it is installed: the only peer that speaks moq-lite-07-wip.

Our client at its listener, and our relay dialled by it.
"""

import subprocess

import pytest

import rust_programs
from clients import run_async
from relay import FLAVORS, Relay
from test_matrix import check, run_broadcast

VERSIONS = ["moq-lite-07-wip", "moq-lite-06"]  # the first that both sides name is taken


pytestmark = pytest.mark.ours


@pytest.fixture(scope="module")
def rust_binary():
    binary = rust_programs.rust_relay()
    said = subprocess.run([binary, "--help"], capture_output=True, timeout=20, check=False).stdout
    if VERSIONS[0].encode() not in said:
        pytest.skip(f"{binary} does not speak {VERSIONS[0]}")
    return binary


@pytest.fixture(scope="module")
def start_rust(rust_binary, tmp_path_factory):
    started = []

    def start(*extra):
        versions = [word for version in VERSIONS for word in ("--listen-version", version)]
        log = tmp_path_factory.mktemp("rust") / "relay.log"
        started.append(Relay(rust_binary, FLAVORS["rust"], log, extra=[*versions, *extra]))
        return started[-1].start()

    yield start
    for relay in started:
        relay.kill()


@pytest.mark.parametrize("version", VERSIONS)
@run_async(60)
async def test_our_client_at_the_rust_relay(start_rust, client_binary, scheme, version):
    rust = start_rust()
    results = await run_broadcast(client_binary, rust, scheme, version, VERSIONS)
    for viewer in VERSIONS:
        check(results, version, viewer)


@run_async(60)
async def test_the_rust_relay_dials_ours(start_relay, start_rust, client_binary, scheme):
    ours = start_relay(extra=["--listen-version", ",".join(VERSIONS)])
    rust = start_rust(
        "--cluster-connect",
        ours.url(scheme),
        "--connect-version",
        VERSIONS[0],
        "--connect-tls-insecure=true",
    )
    version = VERSIONS[1]
    for publisher_at, viewers_at in ((ours, rust), (rust, ours)):
        results = await run_broadcast(
            client_binary, publisher_at, "moql", version, [version], viewers_at
        )
        check(results, version, version)
    assert f"version={VERSIONS[0]}" in ours.log()
