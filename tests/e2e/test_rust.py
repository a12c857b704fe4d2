# SPDX-License-Identifier: MIT OR Apache-2.0
"""The Rust programs beside ours: each client at each relay, each relay with the same file.

What is not installed is skipped (rust_programs.py).
"""

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest

import rust_programs
from clients import check_healthy, run_async, within
from relay import FLAVORS, HOST, Relay, free_port
from test_client import address, run
from test_client_media import DATA, feed, hashes, line, needs_ffmpeg

pytestmark = pytest.mark.ours

VERSIONS = [f"moq-lite-0{number}" for number in range(1, 7)]


@pytest.fixture(scope="session")
def rust_relay_binary():
    return rust_programs.rust_relay()


@pytest.fixture(scope="session")
def rust_client():
    return rust_programs.rust_client()


@pytest.fixture(scope="module")
def start_rust_relay(rust_relay_binary, tmp_path_factory):
    started = []

    def start(**options):
        log = tmp_path_factory.mktemp("rust-relay") / "relay.log"
        relay = Relay(rust_relay_binary, FLAVORS["rust"], log, **options)
        started.append(relay)
        return relay.start()

    yield start
    for relay in started:
        relay.kill()


# ---- our client at the Rust relay ----


@pytest.fixture(scope="module", params=VERSIONS)
def rust_relay(request, start_rust_relay):
    """(relay, the one version that it offers)."""
    return start_rust_relay(extra=["--listen-version", request.param]), request.param


async def outcome(binary, *arguments):
    async with run(binary, *arguments) as process:
        out, said = await within(process.communicate())
        return process.returncode, out, said


@run_async()
async def test_our_client_at_the_rust_relay(rust_relay, name, scheme, client_binary):
    """Announced, subscribed, fetched by our own client, in the version that the relay has."""
    relay, version = rust_relay
    url, *tls = address(relay, scheme)
    raw = [url, name, "raw", "--track", "t", *tls]
    async with run(client_binary, "publish", *raw, "--group", "2", "--json") as publisher:
        connected = json.loads(await within(publisher.stderr.readline()))
        assert (connected["event"], connected["version"]) == ("connected", version)
        async with run(client_binary, "announced", *tls, url, name) as announced:
            assert await line(announced) == f"+ {name}"
        async with run(client_binary, "subscribe", *raw) as viewer:

            async def talk():
                for number in range(600):
                    publisher.stdin.write(b"%d a\n%d b\n" % (number, number))
                    await asyncio.sleep(0.05)

            talking = asyncio.create_task(talk())
            lines = [await line(viewer) for _ in range(10)]
            first = int(lines[0].split()[0])
            assert lines == [f"{first + i // 2} {'ab'[i % 2]}" for i in range(10)]
            code, out, said = await outcome(client_binary, "fetch", *tls, url, name, "t", "--lines")
            assert code == 0, said
            assert out.split()[0].isdigit()
            if version >= "moq-lite-05":
                group = ["fetch", *tls, url, name, "t", "--lines", "--group", str(first)]
                code, out, said = await outcome(client_binary, *group)
                assert (code, out) == (0, f"{first} a\n{first} b\n".encode()), said
            talking.cancel()
        publisher.terminate()
        assert await within(publisher.wait()) == 0


# ---- the Rust client at our relay ----


def connect_arguments(relay, scheme, version):
    return [
        *("--connect", relay.url(scheme), "--connect-tls-insecure", "--connect-version", version),
        *("--connect-websocket-enabled=false", "--connect-once"),
    ]


def packets(path):
    """Each stream's packets in order: size and hash."""
    return sorted([row[2:] for row in rows] for rows in hashes(path).values())


async def until_line(stream, word):
    while word not in (text := await within(stream.readline())):
        assert text, f"no {word} was said"


async def feed_slowly(process, data, viewer):
    """The Rust client publishes from the first byte on, whether connected or not, and viewers have to be there in time."""
    fragment = data.index(b"moof", data.index(b"moof") + 4) - 4
    process.stdin.write(data[:fragment])
    await process.stdin.drain()
    await until_line(viewer.stderr, b"mp4a")
    await asyncio.sleep(0.5)
    await feed(process, data[fragment:], 0.005)


@needs_ffmpeg
@pytest.mark.parametrize("version", VERSIONS)
@run_async()
async def test_rust_client_publishes(relay, name, scheme, version, rust_client, client_binary, tmp_path):
    """What it publishes comes out of our client and of another one of it, to the end."""
    url, *tls = address(relay, scheme)
    path = f"{name}.hang"
    source = DATA / "h264-aac.mp4"
    rust = [*connect_arguments(relay, scheme, version), "--broadcast", path]
    ours, theirs = tmp_path / "ours.mp4", tmp_path / "theirs.mp4"
    async with (
        run(client_binary, "subscribe", *tls, url, path, "fmp4") as viewer,
        run(rust_client, *rust, "export", "fmp4", "--max-age", "10s") as exporter,
        run(rust_client, *rust, "import", "fmp4") as importer,
    ):
        reading = [asyncio.create_task(process.stdout.read()) for process in (viewer, exporter)]
        await feed_slowly(importer, source.read_bytes(), viewer)
        assert await within(importer.wait()) == 0
        assert await within(viewer.wait()) == 0
        ours.write_bytes(await within(reading[0]))
        assert await within(exporter.wait()) == 0
        theirs.write_bytes(await within(reading[1]))
    assert packets(ours) == packets(source)
    assert packets(theirs) == packets(source)


@needs_ffmpeg
@run_async()
async def test_rust_client_watches_ours(relay, name, scheme, rust_client, client_binary, tmp_path):
    url, *tls = address(relay, scheme)
    path = f"{name}.hang"
    source, received = DATA / "h264-aac.mp4", tmp_path / "received.mp4"
    rust = [*connect_arguments(relay, scheme, "moq-lite-06"), "--broadcast", path]
    async with (
        run(rust_client, *rust, "export", "fmp4", "--max-age", "10s") as exporter,
        run(client_binary, "publish", *tls, url, path, "fmp4") as publisher,
    ):
        data = source.read_bytes()
        fragment = data.index(b"moof", data.index(b"moof") + 4) - 4
        publisher.stdin.write(data[:fragment])
        await publisher.stdin.drain()
        first = await within(exporter.stdout.read(1))  # it watches: nothing of what follows is missed
        reading = asyncio.create_task(exporter.stdout.read())
        await feed(publisher, data[fragment:], 0.01)
        assert await within(publisher.wait()) == 0
        assert await within(exporter.wait()) == 0
        received.write_bytes(first + await within(reading))
    assert packets(received) == packets(source)


# ---- one file for both ----

TODAY = """
[log]
level = "info"

[listen]
bind = "{host}:{port}"
version = ["moq-lite-06", "moq-lite-05", "moq-lite-04"]
tls.generate = ["localhost"]

[quic]
max_streams = 1000
idle_timeout = "10s"
congestion_control = "loss"

[auth]
public = "**"

[web]
http.listen = "{host}:{port}"

[cache]
capacity = "64MiB"
duration = "10s"

[stats]
enabled = false

[iroh]
enabled = false
"""


@pytest.mark.parametrize("whose", ["ours", "rust"])
@run_async()
async def test_one_file_for_both_relays(request, start_relay, name, tmp_path, client_binary, whose):
    """A file of today's generation, unchanged: both start with it and serve the same clients."""
    start = start_relay if whose == "ours" else request.getfixturevalue("start_rust_relay")
    port = free_port()
    path = tmp_path / "localhost.toml"
    path.write_text(TODAY.format(host=HOST, port=port))
    relay = await asyncio.to_thread(start, port=port, configuration=path)
    for scheme in ("moql", "https"):
        await check_healthy(relay, scheme, f"{name}/{scheme}")
    pinned = [relay.url("http"), "--connect-version"]
    raw = ["raw", "--track", "t"]
    publishing = run(client_binary, "publish", *pinned, "moq-lite-04", name, *raw)
    viewing = run(client_binary, "subscribe", *pinned, "moq-lite-06", name, *raw)
    async with publishing as publisher, viewing as viewer:
        publisher.stdin.write(b"hello\n")
        assert await line(viewer) == "hello"
        answer = await asyncio.to_thread(relay.get, f"/announced/{name.split('/')[0]}")
        assert name.partition("/")[2] in answer.body.decode().split("\n")
    code, _, _ = await outcome(client_binary, "announced", "--once", *pinned, "moq-lite-03")
    assert code == 6, "a version that the file does not name is not spoken"
