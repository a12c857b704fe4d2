# SPDX-License-Identifier: MIT OR Apache-2.0
"""Each limit at its edge: what a peer beyond it is told, that it is counted and logged, and that a
healthy publisher and viewer beside that peer lose nothing.

A row is a limit, a small value, more arguments, and an attack: a coroutine that goes beyond the limit
and checks the answer. A test sees to it that every limit of the relay has a row.
"""

import asyncio
import contextlib
import os
import re
import socket
import time
from typing import NamedTuple

import pytest

import hostile
import lite
import peer
from clients import KEPT, connect, read_all_groups, run_async, subscribe, within, write_group
from lite import open_session, varint
from relay import HOST, free_port, http_get

pytestmark = pytest.mark.ours

MALFORMED, CONTROL_TIMEOUT, GROUP_TOO_LARGE, FRAME_TOO_LARGE = 0x12, 0x31, 0x32, 0x38
UNROUTABLE = 0x36
OVER_LIMIT = 0x40 + 429
SESSION_INTERNAL = 1
H3_EXCESSIVE_LOAD = 0x107

# memory.max, limits.connection_bytes and limits.auth_requests (test_auth_server.py) have tests of their own; to fill one
# stream's queue takes minutes (tests/session/lite/limits.c).
ELSEWHERE = {"memory.max", "limits.connection_bytes", "limits.queue_bytes", "limits.auth_requests"}

HEALTHY = "ok"


class Pair:
    """A publisher and a viewer who want nothing but each other's frames."""

    def __init__(self):
        self.sent = {}
        self._going = True

    async def _write(self, track):
        while self._going:
            frames = [(f"group {len(self.sent)}".encode(), 1000 * len(self.sent))]
            self.sent[write_group(track, frames)] = frames
            await asyncio.sleep(0.03)
        track.finish()

    async def begin(self, stack, relay):
        publisher = await stack.enter_async_context(connect(relay.url("moql")))
        viewer = await stack.enter_async_context(connect(relay.url("moql")))
        self._broadcast = publisher.create_broadcast(HEALTHY)
        track = self._broadcast.publish_track("t", KEPT)
        self._broadcast.announce()
        reader = await subscribe(viewer, HEALTHY, "t")
        self._reading = asyncio.create_task(read_all_groups(reader, 60))
        self._writing = asyncio.create_task(self._write(track))

    async def end(self):
        self._going = False
        await within(self._writing)
        got = await self._reading
        assert dict(got) == self.sent, f"{len(got)} of {len(self.sent)} groups"
        assert len(got) == len(self.sent)


class Stage:
    """A relay with one small limit, and metrics."""

    def __init__(self, relay, port):
        self.relay = relay
        self.port = port

    async def metrics(self):
        answer = await asyncio.to_thread(http_get, f"http://{HOST}:{self.port}/metrics")
        assert answer.status == 200
        return answer.body.decode()

    async def hits(self, limit):
        found = re.search(rf'hits_total{{limit="{re.escape(limit)}"}} (\d+)', await self.metrics())
        return int(found.group(1))

    async def wait_hits(self, limit, least=1, seconds=20):
        async with asyncio.timeout(seconds):
            while await self.hits(limit) < least:
                await asyncio.sleep(0.05)


async def refused(stream, code):
    await stream.wait_refused(20)
    assert code in (stream.reset_code, stream.stop_code), (stream.reset_code, stream.stop_code)


async def refused_connection(relay):
    with pytest.raises(ConnectionError):
        async with asyncio.timeout(10), peer.open_raw(relay.port):
            pass


def blind(session):
    """Gives the relay no flow control credit from here on."""
    quic = session.transport.peer.quic
    quic._write_connection_limits = lambda *_, **__: None
    quic._write_stream_limits = lambda *_, **__: None


class Serving:
    """A publisher that gives every track it is asked for; `ids` are those of its subscriptions."""

    def __init__(self, session):
        self.session = session
        self.ids = asyncio.Queue()
        self._task = asyncio.create_task(self._serve())

    async def _serve(self):
        while True:
            kind, stream = await self.session.pending["bidi"].get()
            if kind == lite.BIDI_TRACK:
                await stream.read_sized()
                stream.write(lite.track_info(), fin=True)
            elif kind == lite.BIDI_SUBSCRIBE:
                number, _ = peer.split_varint(await stream.read_sized())
                self.ids.put_nowait(number)

    async def next(self):
        return await within(self.ids.get())

    def group(self, number, sequence, *frames, fin=True):
        data = lite.group(number, sequence) + b"".join(map(lite.frame, frames))
        return self.session.transport.open(data, bidi=False, fin=fin)


@contextlib.asynccontextmanager
async def publisher_of(relay, path="bad/cam"):
    async with open_session(relay) as session:
        await session.announce(path)
        await session.wait_announced(path)
        serving = Serving(session)
        try:
            yield serving
        finally:
            serving._task.cancel()


# ---- connections ----


async def connections(stage):
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(open_session(stage.relay))
        await refused_connection(stage.relay)
    await asyncio.sleep(0.5)
    async with open_session(stage.relay) as session:
        await session.announcements()


async def handshakes(stage):
    await asyncio.to_thread(hostile.abandon_handshakes, stage.relay.port, 60)


async def handshakes_retry(stage):
    await asyncio.to_thread(hostile.abandon_handshakes, stage.relay.port, 30)
    async with open_session(stage.relay) as session:  # one round trip later, but served
        await session.announcements()


async def connection_sessions(stage):
    async with peer.open_peer(stage.relay.port, "h3") as client:
        http = peer.Http3(client)
        for _ in range(3):
            _, fields = await http.connect("/", ["no-such-version"])
            assert fields[":status"] == "400"
        with pytest.raises(peer.Ended):
            await http.connect("/", ["no-such-version"])
        assert (await client.wait_end()).error_code == H3_EXCESSIVE_LOAD


async def egress(stage):
    """At 200 kB/s: what was sent in less than a second cannot have come in less than two."""
    async with publisher_of(stage.relay) as serving, open_session(stage.relay) as viewer:
        await viewer.subscribe("bad/cam", "video", 1)
        number = await serving.next()
        data = os.urandom(500_000)
        begun = time.monotonic()
        serving.group(number, 0, data)
        stream, _, _ = await viewer.next_group()
        assert (await stream.read_to_end(60)).endswith(data)
        assert time.monotonic() - begun > 2
        await viewer.announcements()


# ---- what a session may ask for ----


async def announces(stage):
    async with open_session(stage.relay) as session:
        asked = await session.next("bidi", lite.BIDI_ANNOUNCE)
        asked.write(lite.announce_ok(7, 6))
        for i in range(6):
            asked.write(lite.announce_start(f"bad/{i}"))
        assert await session.transport.wait_end() == SESSION_INTERNAL


async def subscriptions(stage):
    async with open_session(stage.relay) as session:
        streams = [session.open(lite.announce_request("x")) for _ in range(10)]
        await refused(streams[8], OVER_LIMIT)
        await refused(streams[9], OVER_LIMIT)
        assert not any(s.read_ended for s in streams[:8])


async def session_tracks(stage):
    async with publisher_of(stage.relay) as serving, open_session(stage.relay) as viewer:
        for i in range(3):
            await viewer.subscribe("bad/cam", f"track{i}", i)
            await serving.next()
        await refused(await viewer.subscribe("bad/cam", "one more", 9), OVER_LIMIT)


async def fetches(stage):
    async with publisher_of(stage.relay), open_session(stage.relay) as viewer:
        streams = [viewer.open(lite.fetch("bad/cam", "t", i)) for i in range(3)]
        await refused(streams[2], OVER_LIMIT)
        assert not streams[0].read_ended


async def requests_per_second(stage):
    """They are slowed down: every one is answered."""
    async with open_session(stage.relay) as session:
        streams = [session.open(lite.announce_request("x")) for _ in range(25)]
        for stream in streams:
            await stream.read_sized(20)


async def announce_streams(stage):
    async with open_session(stage.relay) as session:
        streams = [session.open(lite.announce_request("x")) for _ in range(5)]
        await refused(streams[4], OVER_LIMIT)
        await streams[0].read_sized()


async def announce_entries(stage):
    async with open_session(stage.relay) as publisher, open_session(stage.relay) as viewer:
        asked = await publisher.next("bidi", lite.BIDI_ANNOUNCE)
        asked.write(lite.announce_ok(7, 9))
        for i in range(9):
            asked.write(lite.announce_start(f"bad/{i}"))
        await publisher.wait_announced("bad/8")
        await viewer.announcements("bad")
        await refused(viewer.open(lite.announce_request("")), OVER_LIMIT)


async def path_parts(stage):
    async with open_session(stage.relay) as session:
        await refused(session.open(lite.announce_request("a/b/c/d")), OVER_LIMIT)
        await refused(session.open(lite.track("a/b/c/d", "t")), UNROUTABLE)
        asked = await session.next("bidi", lite.BIDI_ANNOUNCE)
        asked.write(lite.announce_ok(7, 2) + lite.announce_start("bad/b/c/d"))
        asked.write(lite.announce_start("bad/b"))
        await session.wait_announced("bad/b")


async def path_bytes(stage):
    async with open_session(stage.relay) as session:
        await refused(session.open(lite.announce_request("x" * 21)), OVER_LIMIT)
        asked = await session.next("bidi", lite.BIDI_ANNOUNCE)
        asked.write(lite.announce_ok(7, 2) + lite.announce_start("bad/" + "y" * 20))
        asked.write(lite.announce_start("bad/b"))
        await session.wait_announced("bad/b")


# ---- messages ----


async def message_bytes(stage):
    async with open_session(stage.relay) as session:
        await refused(session.open(lite.announce_request("x" * 3000)), MALFORMED)


async def message_timeout(stage):
    """Half a message, a request that does not come, and half a type."""
    async with open_session(stage.relay) as session:
        begun = [b"\1\2", b"\2", b"\x40"]
        for stream in [session.open(data) for data in begun]:
            await refused(stream, CONTROL_TIMEOUT)


async def partial_bytes(stage):
    part = varint(lite.BIDI_SUBSCRIBE) + varint(10_000) + bytes(5000)
    async with open_session(stage.relay) as session:
        streams = [session.open(part) for _ in range(4)]
        await stage.wait_hits("limits.partial_bytes")
        await session.announcements()  # answered after the reset was sent
        assert any(stream.reset_code == OVER_LIMIT for stream in streams)
        async with open_session(stage.relay) as other:  # has its own share
            half = other.open(lite.announce_request("")[:-1])
            await asyncio.sleep(0.2)
            half.write(lite.announce_request("")[-1:])
            await half.read_sized()


async def groups(stage):
    async with publisher_of(stage.relay) as serving:
        async with open_session(stage.relay, max_stream_data=1) as viewer:
            blind(viewer)
            viewer.open(lite.subscribe(1, "bad/cam", "video", max_age=60_000))
            number = await serving.next()
            for i in range(100):
                serving.group(number, i, b"tiny")
            await stage.wait_hits("limits.groups", 20)
            assert not viewer.transport.ended


async def session_queue_bytes(stage):
    async with open_session(stage.relay, max_stream_data=10) as viewer:
        blind(viewer)
        streams = [viewer.open(lite.announce_request("bad")) for _ in range(8)]
        async with open_session(stage.relay) as publisher:
            asked = await publisher.next("bidi", lite.BIDI_ANNOUNCE)
            asked.write(lite.announce_ok(7, 100))
            for i in range(100):
                asked.write(lite.announce_start(f"bad/{i}/" + "x" * 200))
            await stage.wait_hits("limits.session_queue_bytes")
            assert any(stream.reset_code == OVER_LIMIT for stream in streams)


# ---- the model ----


async def broadcasts(stage):
    async with open_session(stage.relay) as session:
        asked = await session.next("bidi", lite.BIDI_ANNOUNCE)
        asked.write(lite.announce_ok(7, 5))
        for i in range(5):
            asked.write(lite.announce_start(f"bad/{i}"))
        await stage.wait_hits("limits.broadcasts", 3)
        async with open_session(stage.relay) as viewer:
            _, count = await viewer.announcements("bad")
            assert count == 2


async def tracks(stage):
    async with publisher_of(stage.relay) as serving, open_session(stage.relay) as viewer:
        for i in range(2):
            await viewer.subscribe("bad/cam", f"track{i}", i)
            await serving.next()
        for i in range(2, 6):
            last = await viewer.subscribe("bad/cam", f"track{i}", i)
        await refused(last, OVER_LIMIT)


async def subscribers(stage):
    async with publisher_of(stage.relay), open_session(stage.relay) as viewer:
        for i in range(5):
            last = await viewer.subscribe("bad/cam", "video", i)
        await refused(last, OVER_LIMIT)


async def group_of(stage, frames, code):
    async with publisher_of(stage.relay) as serving, open_session(stage.relay) as viewer:
        await viewer.subscribe("bad/cam", "video", 1)
        number = await serving.next()
        await refused(serving.group(number, 0, *frames, fin=False), code)


async def group_bytes(stage):
    await group_of(stage, [bytes(1500)] * 3, GROUP_TOO_LARGE)


async def frame_bytes(stage):
    await group_of(stage, [bytes(3000)], FRAME_TOO_LARGE)


async def group_frames(stage):
    await group_of(stage, [b"x"] * 6, GROUP_TOO_LARGE)


async def behind_bytes(stage):
    """The viewer reads nothing: groups are dropped for it, the subscription lives on."""
    async with publisher_of(stage.relay) as serving:
        async with open_session(stage.relay, max_stream_data=1000) as viewer:
            blind(viewer)
            asked = viewer.open(lite.subscribe(1, "bad/cam", "video", max_age=60_000))
            number = await serving.next()
            for i in range(10):
                serving.group(number, i, bytes(50_000))
                await asyncio.sleep(0.01)
            await stage.wait_hits("limits.behind_bytes")
            assert not asked.read_ended


# ---- HTTP ----


async def http_clients(stage):
    waiting = [socket.create_connection((HOST, stage.relay.port), 10) for _ in range(4)]
    await stage.wait_hits("limits.http_clients")
    for sock in waiting:
        sock.close()
    answer = await asyncio.to_thread(stage.relay.get, "/health")
    assert answer.status == 200


async def http_request_bytes(stage):
    def ask(head):
        with socket.create_connection((HOST, stage.relay.port), 10) as sock:
            sock.sendall(head.encode() + b"\r\nHost: a\r\n\r\n")
            return sock.recv(100).decode()

    for head, status in [
        ("GET /health HTTP/1.1", 200),
        (f"GET /fetch/{'x' * 600} HTTP/1.1", 414),
        (f"GET /fetch/{'x' * 40000} HTTP/1.1", 414),
        (f"GET /health HTTP/1.1\r\nx: {'x' * 600}", 431),
        (f"GET /health HTTP/1.1\r\nx: {'x' * 40000}", 431),
    ]:
        answer = await asyncio.to_thread(ask, head)
        assert answer.startswith(f"HTTP/1.1 {status} "), answer
    await stage.wait_hits("limits.http_request_bytes", 4)


class Row(NamedTuple):
    limit: str
    value: str
    attack: object
    extra: tuple = ()


# Values leave room for the healthy pair.
ROWS = [
    Row("limits.connections", "6", connections),
    Row("limits.connections_per_address", "6", connections),
    Row("limits.handshakes", "20", handshakes),
    Row("limits.handshakes_retry", "10", handshakes_retry),
    Row("limits.connection_sessions", "3", connection_sessions),
    Row("limits.egress", "200000", egress),
    Row("limits.announces", "5", announces),
    Row("limits.subscriptions", "8", subscriptions),
    Row("limits.session_tracks", "3", session_tracks),
    Row("limits.session_fetches", "2", fetches),
    Row("limits.fetches_total", "2", fetches),
    Row("limits.requests_per_second", "5", requests_per_second),
    Row("limits.announce_streams", "4", announce_streams),
    Row("limits.announce_entries", "5", announce_entries),
    Row("limits.path_parts", "3", path_parts),
    Row("limits.path_bytes", "20", path_bytes),
    Row("limits.message_bytes", "2048", message_bytes),
    Row("limits.message_timeout", "3s", message_timeout),
    Row("limits.partial_bytes", "16KB", partial_bytes),
    Row("limits.groups", "40", groups),
    Row("limits.session_queue_bytes", "8KiB", session_queue_bytes),
    Row("limits.broadcasts", "3", broadcasts),
    Row("limits.tracks", "3", tracks),
    Row("limits.tracks_total", "4", tracks),
    Row("limits.subscribers", "3", subscribers),
    Row("limits.subscriptions_total", "4", subscribers),
    Row("limits.group_bytes", "4000", group_bytes, ("--limits-frame-bytes", "2000")),
    Row("limits.frame_bytes", "2000", frame_bytes),
    Row("limits.group_frames", "5", group_frames),
    Row("limits.behind_bytes", "150KB", behind_bytes),
    Row("limits.http_clients", "3", http_clients),
    Row("limits.http_request_bytes", "512", http_request_bytes),
]


def flag(limit):
    return "--" + limit.replace(".", "-").replace("_", "-")


def staged(start_relay, *arguments):
    port = free_port()
    relay = start_relay(extra=["--internal-listen", f"{HOST}:{port}", *arguments])
    return Stage(relay, port)


@pytest.mark.parametrize("row", ROWS, ids=[row.limit for row in ROWS])
@run_async(80)
async def test_limit(start_relay, row):
    stage = await asyncio.to_thread(staged, start_relay, flag(row.limit), row.value, *row.extra)
    async with contextlib.AsyncExitStack() as stack:
        pair = Pair()
        await pair.begin(stack, stage.relay)
        assert await stage.hits(row.limit) == 0
        await row.attack(stage)
        await stage.wait_hits(row.limit)
        assert re.search(rf"limit reached limit={re.escape(row.limit)} hits=1 ", stage.relay.log())
        await pair.end()
    await asyncio.to_thread(stage.relay.stop)


@run_async()
async def test_every_limit_is_here(start_relay):
    stage = await asyncio.to_thread(staged, start_relay)
    shown = re.findall(r'limit_hits_total{limit="([^"]+)"}', await stage.metrics())
    assert sorted({row.limit for row in ROWS} | ELSEWHERE) == sorted(shown)
    await asyncio.to_thread(stage.relay.stop)


@run_async()
async def test_log_of_a_limit_is_bounded(start_relay):
    stage = await asyncio.to_thread(staged, start_relay, "--limits-subscriptions", "8")
    async with open_session(stage.relay) as session:
        for _ in range(100):
            session.open(lite.announce_request("x"))
        await stage.wait_hits("limits.subscriptions", 92)
    assert 1 <= stage.relay.log().count("limit reached limit=limits.subscriptions") <= 3
    await asyncio.to_thread(stage.relay.stop)


# ---- the internal listener ----


@run_async()
async def test_gauges(start_relay):
    """They show what is there, and nothing when all have left."""
    stage = await asyncio.to_thread(staged, start_relay)

    async def wait_gauges(**wanted):
        async with asyncio.timeout(20):
            while True:
                text = await stage.metrics()
                lines = {f"moq_relay_{name} {value}" for name, value in wanted.items()}
                if lines <= set(text.splitlines()):
                    return text
                await asyncio.sleep(0.05)

    async with publisher_of(stage.relay) as serving, open_session(stage.relay) as viewer:
        await viewer.subscribe("bad/cam", "video", 1)
        serving.group(await serving.next(), 0, bytes(5000))
        stream, _, _ = await viewer.next_group()
        await stream.read_to_end()
        text = await wait_gauges(connections=2, sessions=2, broadcasts=1, tracks=1, subscriptions=1)
        assert int(re.search(r"^moq_relay_cache_bytes (\d+)$", text, re.M).group(1)) > 5000
    await wait_gauges(
        connections=0, sessions=0, broadcasts=0, tracks=0, subscriptions=0, cache_bytes=0
    )
    await asyncio.to_thread(stage.relay.stop)


def test_metrics_format(start_relay):
    """Prometheus' text format: HELP and TYPE once a family, before its samples."""
    stage = staged(start_relay)
    answer = http_get(f"http://{HOST}:{stage.port}/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4"
    assert "Access-Control-Allow-Origin" not in answer.headers
    family = None
    seen = set()
    for line in answer.body.decode().splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
            assert family not in seen
            seen.add(family)
        elif line.startswith("# TYPE "):
            kind = "counter" if family.endswith("_total") else "gauge"
            assert line == f"# TYPE {family} {kind}"
        else:
            assert re.fullmatch(rf'{family}({{[a-z]+="[a-z0-9._]+"}})? \d+', line), line
    assert {"moq_relay_limit_hits_total", "moq_relay_sessions"} <= seen
    stage.relay.stop()


def test_internal_listener_has_nothing_else(start_relay):
    stage = staged(start_relay)
    for path, status in [("health", 200), ("", 404), ("announced", 404), ("certificate.sha256", 404)]:
        assert http_get(f"http://{HOST}:{stage.port}/{path}").status == status
    assert http_get(f"http://{HOST}:{stage.port}/metrics", "POST").status == 405
    assert http_get(f"http://{HOST}:{stage.port}/metrics", "HEAD").body == b""
    assert stage.relay.get("/metrics").status == 404
    stage.relay.stop()
