# SPDX-License-Identifier: MIT OR Apache-2.0
"""What a peer must not be able to do to others: take their memory, their announcements, their path."""

import asyncio
import contextlib
import os

import pytest
from aioquic.quic.connection import QuicConnection

import lite
import peer
from clients import check_healthy, run_async
from lite import message, open_session, text, varint

pytestmark = pytest.mark.ours

MIB = 1 << 20


def resident(relay):
    """The relay's memory in bytes."""
    with open(f"/proc/{relay.process.pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def is_sanitized(relay):
    with open(f"/proc/{relay.process.pid}/maps") as maps:
        return "libasan" in maps.read()


@run_async(80)
async def test_viewer_that_never_acknowledges(start_relay):
    """It holds its flow control window's worth, not every group that it was sent."""
    relay = await asyncio.to_thread(start_relay, extra=["--cache-capacity", "8MiB"])
    if is_sanitized(relay):
        pytest.skip("ASan keeps freed memory")
    async with open_session(relay) as publisher, peer.open_raw(relay.port, "moq-lite-06") as viewer:
        await publisher.announce("attack/cam")
        viewer.open(lite.setup(), bidi=False, fin=True)
        viewer.open(lite.subscribe(0, "attack/cam", "t"))
        _, number = await publisher.serve_track()
        await asyncio.sleep(0.3)
        quic = viewer.peer.quic

        def no_ack(builder, space, now):
            space.ack_at = None

        quic._write_ack_frame = no_ack
        before = resident(relay)
        group = lite.frame(os.urandom(MIB))
        for i in range(80):
            publisher.transport.open(lite.group(number, i) + group, bidi=False, fin=True)
            if i % 5 == 0:
                quic.send_ping(i)
                viewer.peer.transmit()
            await asyncio.sleep(0.05)
        assert resident(relay) - before < 40 * MIB
    await check_healthy(relay)
    await asyncio.to_thread(relay.stop)


@run_async(80)
async def test_publisher_that_ends_no_group(start_relay):
    """Whole frames, never a FIN, then silence on that stream: the cache takes the group all the same."""
    relay = await asyncio.to_thread(start_relay, extra=["--cache-capacity", "8MiB"])
    if is_sanitized(relay):
        pytest.skip("ASan keeps freed memory")
    async with open_session(relay) as publisher, open_session(relay) as viewer:
        await publisher.announce("attack/cam")
        await viewer.wait_announced("attack/cam")
        await viewer.subscribe("attack/cam", "t")
        _, number = await publisher.serve_track()
        before = resident(relay)
        for i in range(30):
            publisher.transport.open(lite.group(number, i) + lite.frame(os.urandom(2 * MIB)), bidi=False)
            await asyncio.sleep(0.15)
        assert resident(relay) - before < 30 * MIB
    await check_healthy(relay)
    await asyncio.to_thread(relay.stop)


@run_async(80)
async def test_viewer_that_never_ends_its_fetches(start_relay, monkeypatch):
    """It reads whole answers, ignores STOP_SENDING and leaves its halves open: the cache takes the groups."""

    def ignore_stop(self, context, frame_type, buf):
        buf.pull_uint_var(), buf.pull_uint_var()

    monkeypatch.setattr(QuicConnection, "_handle_stop_sending_frame", ignore_stop)
    relay = await asyncio.to_thread(start_relay, extra=["--cache-capacity", "8MiB"])
    if is_sanitized(relay):
        pytest.skip("ASan keeps freed memory")
    async with open_session(relay) as publisher, open_session(relay) as viewer:
        await publisher.announce("attack/cam")
        await viewer.wait_announced("attack/cam")
        await viewer.subscribe("attack/cam", "t")
        _, number = await publisher.serve_track()
        before = resident(relay)
        for i in range(30):
            group = lite.group(number, i) + lite.frame(os.urandom(2 * MIB))
            publisher.transport.open(group, bidi=False, fin=True)
            stream, _, _ = await viewer.next_group(10)
            await stream.read_to_end(10)
            answer = await viewer.open(lite.fetch("attack/cam", "t", i)).read_to_end(10)
            assert len(answer) > 2 * MIB
        assert resident(relay) - before < 30 * MIB
    await asyncio.to_thread(relay.stop)


async def keep_edges_fresh(publisher, ids):
    """A large open group in each track, written to again and again; what is refused begins anew."""
    edges, sequence = {}, 0
    while True:
        for number in ids:
            stream = edges.get(number)
            if stream is None or stream.stop_code is not None:
                data = lite.group(number, sequence) + lite.frame(os.urandom(MIB))
                edges[number] = publisher.transport.open(data, bidi=False)
                sequence += 1
            else:
                stream.write(lite.frame(b"x"))
        await asyncio.sleep(0.03)


@run_async(80)
async def test_publisher_that_fills_the_cache_with_live_edges(start_relay):
    """Its own go, however busy they are; a neighbour who says little, and seldom, loses nothing."""
    relay = await asyncio.to_thread(start_relay, extra=["--cache-capacity", "8MiB"])
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        good, bad = await enter(open_session(relay)), await enter(open_session(relay))
        viewer, accomplice = await enter(open_session(relay)), await enter(open_session(relay))
        await good.announce("good/cam")
        await bad.announce("bad/cam")
        await viewer.wait_announced("good/cam")
        await viewer.subscribe("good/cam", "t")
        _, good_id = await good.serve_track()
        ids = []
        for i in range(16):
            await accomplice.subscribe("bad/cam", f"t{i}", i)
            ids.append((await bad.serve_track())[1])
        frames = [os.urandom(50_000) for _ in range(6)]
        slow = good.transport.open(lite.group(good_id, 0) + lite.frame(frames[0]), bidi=False)
        attack = asyncio.create_task(keep_edges_fresh(bad, ids))
        for frame in frames[1:]:
            await asyncio.sleep(1.5)
            slow.write(lite.frame(frame))
        slow.finish()
        stream, _, _ = await viewer.next_group()
        got = lite.parse_frames(await stream.read_to_end(20))
        assert [data for _, data in got] == frames
        attack.cancel()
        assert "evicted" in relay.log()
    await asyncio.to_thread(relay.stop)


@run_async()
async def test_announcements_of_any_size_reach_everybody(start_relay):
    """Megabytes of paths that strangers announce end nobody's announcements."""
    relay = await asyncio.to_thread(start_relay)
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        viewer, good = await enter(open_session(relay)), await enter(open_session(relay))
        await good.announce("good/one")
        stream, count = await viewer.announcements()
        assert count == 1
        for k in range(5):
            stranger = await enter(open_session(relay))
            asked = await stranger.next("bidi", lite.BIDI_ANNOUNCE)
            await asked.read_sized()
            padding = "/".join("x" * 250 for _ in range(3))
            asked.write(lite.announce_ok(7, 999))
            for i in range(999):
                asked.write(lite.announce_start(f"z{k}/{i}/{padding}"))
        late = await enter(open_session(relay))
        async with asyncio.timeout(10):
            while True:
                asked, count = await late.announcements()
                if count == 5 * 999 + 1:
                    break
                asked.reset(1)
                asked.stop(1)
                await asyncio.sleep(0.2)
        assert not stream.read_ended
    await check_healthy(relay)
    await asyncio.to_thread(relay.stop)


@run_async()
async def test_session_that_ends_while_streams_wait_for_it(relay):
    """Requests that came before SETUP, of a session that a second GOAWAY ends: nothing is left behind."""
    async with peer.open_webtransport(relay.port, ["moq-lite-06"], "/") as transport:
        for _ in range(2):
            transport.open(varint(lite.BIDI_GOAWAY) + message(text("")))
        for i in range(60):
            transport.open(lite.subscribe(i, "a/b", "t"))
        await asyncio.sleep(0.2)
        transport.open(lite.setup(), bidi=False, fin=True)
        await asyncio.sleep(0.5)
    await check_healthy(relay)


@run_async()
async def test_setup_exchange_happens_once(relay):
    """Two CLIENT_SETUPs on streams of their own, finished together."""
    body = varint(1) + varint(0xFF0DAD02) + varint(0)
    rest = len(body).to_bytes(2, "big") + body
    async with peer.open_raw(relay.port, "moql") as transport:
        first, second = transport.open(b"\x20"), transport.open(b"\x20")
        await asyncio.sleep(0.2)
        for stream in (first, second):
            with contextlib.suppress(peer.Ended):
                stream.write(rest)
        await asyncio.sleep(0.3)
    await check_healthy(relay)
