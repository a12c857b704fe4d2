# SPDX-License-Identifier: MIT OR Apache-2.0
"""Each version of moq-lite publishing to each version watching, through one relay that has all.

Our client is at both ends. What a publisher writes has to come out at each of its viewers whole and
in order. Everything of one transport runs at once; the tests then look at what came.
"""

import asyncio
import json
from contextlib import AsyncExitStack

import pytest

from clients import run_async, within
from test_client import address, run
from test_client_media import DATA, feed, hashes, needs_ffmpeg

VERSIONS = [f"moq-lite-0{number}" for number in range(1, 7)] + ["moq-lite-07-wip"]
PAIRS = [(publisher, viewer) for publisher in VERSIONS for viewer in VERSIONS]
SOME_PAIRS = [(version, version) for version in VERSIONS] + [
    ("moq-lite-01", "moq-lite-06"),
    ("moq-lite-06", "moq-lite-01"),
    ("moq-lite-02", "moq-lite-05"),
    ("moq-lite-05", "moq-lite-02"),
    ("moq-lite-07-wip", "moq-lite-03"),
    ("moq-lite-04", "moq-lite-07-wip"),
]

GROUPS = 12
SIZES = (0, 1, 100, 1000, 20_000)  # of a group's frames
PACE_SECONDS = 0.05  # between groups, lest older versions' viewers call them late
BEGIN = b"begin"  # a frame that says: the rest is yet to come, you are there in time

pytestmark = pytest.mark.ours


def frame(number, size):
    return (b"%03d-%d-" % (number, size) * (size // 6 + 1))[:size]


CONTENT = [frame(number, size) for number in range(GROUPS) for size in SIZES]


def version_of(said):
    """The version of the session, from the client's JSON lines."""
    events = [json.loads(line) for line in said.decode().splitlines()]
    return next(event["version"] for event in events if event["event"] == "connected")


class Viewer:
    """A viewer's process, and the lines that come from it."""

    def __init__(self, process):
        self.process = process
        self.lines = []
        self.started = asyncio.Event()
        self.reading = asyncio.create_task(self._read())

    async def _read(self):
        # Frames are longer than the lines that StreamReader.readline takes.
        rest = b""
        while data := await self.process.stdout.read(1 << 16):
            *whole, rest = (rest + data).split(b"\n")
            self.lines += whole
            self.started.set()
        assert rest == b"", "the last line is not whole"

    def content(self):
        return [line for line in self.lines if line != BEGIN]


async def publish(process, viewers):
    """Groups of BEGIN until all watch, then the content."""
    waiting = asyncio.gather(*(viewer.started.wait() for viewer in viewers))
    while not waiting.done():
        process.stdin.write((BEGIN + b"\n") * len(SIZES))
        await process.stdin.drain()
        await asyncio.wait([waiting], timeout=0.1)
    for at in range(0, len(CONTENT), len(SIZES)):
        process.stdin.write(b"".join(line + b"\n" for line in CONTENT[at : at + len(SIZES)]))
        await process.stdin.drain()
        await asyncio.sleep(PACE_SECONDS)
    process.stdin.close()


async def run_broadcast(client_binary, relay, scheme, version, viewer_versions, viewers_at=None):
    """One publisher and its viewers to the end: {(publisher, viewer): result}."""
    broadcast = [f"matrix/{scheme}/{version}", "raw", "--track", "t", "--json"]

    def client(command, version, *more):
        where = relay if command == "publish" else viewers_at or relay
        pinned = [*address(where, scheme), "--connect-version", version]
        return run(client_binary, command, pinned[0], *broadcast, *pinned[1:], *more)

    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(
            client("publish", version, "--group", str(len(SIZES)))
        )
        viewers = {
            other: Viewer(await stack.enter_async_context(client("subscribe", other)))
            for other in viewer_versions
        }
        await publish(publisher, viewers.values())
        results = {}
        assert await within(publisher.wait()) == 0
        published = version_of(await publisher.stderr.read())
        for other, viewer in viewers.items():
            code = await within(viewer.process.wait())
            await within(viewer.reading)
            watched = version_of(await viewer.process.stderr.read())
            results[version, other] = (code, published, watched, viewer.content())
        return results


def run_matrix(client_binary, relay, scheme, pairs):
    results = {}

    @run_async(90)
    async def everything():
        runs = []
        for version in VERSIONS:
            others = [viewer for publisher, viewer in pairs if publisher == version]
            runs.append(run_broadcast(client_binary, relay, scheme, version, others))
        for outcome in await asyncio.gather(*runs):
            results.update(outcome)

    everything()
    return results


@pytest.fixture(scope="module")
def shared_relay(start_relay):
    return start_relay(extra=["--listen-version", ",".join(VERSIONS)])


@pytest.fixture(scope="module")
def on_quic(client_binary, shared_relay):
    return run_matrix(client_binary, shared_relay, "moql", PAIRS)


@pytest.fixture(scope="module")
def on_webtransport(client_binary, shared_relay):
    return run_matrix(client_binary, shared_relay, "https", SOME_PAIRS)


def check(results, publisher, viewer):
    code, published, watched, content = results[publisher, viewer]
    assert (published, watched) == (publisher, viewer)
    assert code == 0
    assert len(content) == len(CONTENT)
    assert content == CONTENT


@pytest.mark.parametrize(("publisher", "viewer"), PAIRS)
def test_raw_quic(on_quic, publisher, viewer):
    check(on_quic, publisher, viewer)


@pytest.mark.parametrize(("publisher", "viewer"), SOME_PAIRS)
def test_webtransport(on_webtransport, publisher, viewer):
    check(on_webtransport, publisher, viewer)


# Only pictures where the viewer may miss the first packets of sound, each of which is a group.
MOVIES = [
    ("moq-lite-01", "moq-lite-06", "hevc"),
    ("moq-lite-06", "moq-lite-01", "hevc"),
    ("moq-lite-03", "moq-lite-05", "hevc"),
    ("moq-lite-05", "moq-lite-03", "hevc"),
    ("moq-lite-06", "moq-lite-05", "h264-aac"),
    ("moq-lite-06", "moq-lite-06", "vp9-opus"),
    ("moq-lite-07-wip", "moq-lite-07-wip", "h264-aac"),
]


async def record(client_binary, relay, publisher, viewer, clip, output):
    url, *tls = address(relay, "moql")
    common = [url, f"matrix/{publisher}/{viewer}", "fmp4", *tls, "--connect-version"]
    data = (DATA / f"{clip}.mp4").read_bytes()
    head = data.index(b"moof", data.index(b"moof") + 4) - 4  # the first fragment with it
    async with run(client_binary, "subscribe", *common, viewer) as watching:
        reading = asyncio.create_task(watching.stdout.read())
        async with run(client_binary, "publish", *common, publisher) as publishing:
            # Before 06 the relay asks a publisher for the newest group: the viewer has to be
            # there while that is the first one.
            publishing.stdin.write(data[:head])
            while b"video0: " not in await within(watching.stderr.readline()):
                pass
            await asyncio.sleep(0.3)
            await feed(publishing, data[head:], 0.005)
            assert await within(publishing.wait()) == 0
        assert await within(watching.wait()) == 0
        output.write_bytes(await within(reading))


@needs_ffmpeg
@run_async()
async def test_movies(client_binary, shared_relay, tmp_path):
    outputs = [tmp_path / f"{number}.mp4" for number in range(len(MOVIES))]
    await asyncio.gather(
        *(
            record(client_binary, shared_relay, *movie, output)
            for movie, output in zip(MOVIES, outputs, strict=True)
        )
    )
    for (*_, clip), output in zip(MOVIES, outputs, strict=True):
        assert hashes(output) == hashes(DATA / f"{clip}.mp4"), (output.name, clip)
