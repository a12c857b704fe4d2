# SPDX-License-Identifier: MIT OR Apache-2.0
"""memory.max: whatever peers do, the process stays within it, and a healthy pair loses no frame."""

import asyncio
import contextlib
import os

import pytest

import clients
import lite
import peer
from clients import check_healthy, run_async
from lite import open_session
from test_attacks import MIB, is_sanitized, resident

pytestmark = pytest.mark.ours

MAX = 24 * MIB
SLACK = MAX // 8  # what comes between two looks of the relay, and what the allocator keeps
CLOSE_MEMORY = 0x40 + 503
SESSIONS_MAX = 1000


class Healthy:
    """A publisher and a viewer of small groups, until it is told to end."""

    def __init__(self, relay):
        self.url = relay.url("moql")
        self.published = []
        self.over = asyncio.Event()
        self.running = asyncio.Event()

    async def run(self):
        async with clients.connect(self.url) as publisher, clients.connect(self.url) as viewer:
            broadcast = publisher.create_broadcast("healthy/cam")
            track = broadcast.publish_track("t")
            broadcast.announce()
            reader = await clients.subscribe(viewer, "healthy/cam", "t")
            reading = asyncio.create_task(clients.read_all_groups(reader, 200))
            while not self.over.is_set():
                n = len(self.published)
                frames = [(clients.payload(f"{n}/{i}", 1000), 1000 * n + i) for i in range(3)]
                self.published.append((clients.write_group(track, frames), frames))
                self.running.set()
                await asyncio.sleep(0.05)
            track.finish()
            got = await reading
            broadcast.close()
        assert got == self.published
        assert len(got) > 20


class Gauge:
    """The relay's resident memory, the most of it that was seen."""

    def __init__(self, relay):
        self.relay = relay
        self.most = 0

    async def run(self):
        while True:
            self.most = max(self.most, resident(self.relay))
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def background(coroutine):
    task = asyncio.create_task(coroutine)
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def all_sent(stream, seconds=20):
    sender = stream.peer.quic._streams[stream.id].sender
    async with asyncio.timeout(seconds):
        while not sender.buffer_is_empty:
            await asyncio.sleep(0.02)


def stop_acknowledging(quic):
    def no_ack(builder, space, now):
        space.ack_at = None

    quic._write_ack_frame = no_ack


async def fill_the_cache(relay, name):
    """More groups than there is memory, for a viewer that subscribes and never acknowledges one."""
    path = f"attack/{name}"
    async with open_session(relay) as publisher, open_session(relay) as viewer:
        await publisher.announce(path)
        await viewer.wait_announced(path)
        await viewer.subscribe(path, "t")
        _, number = await publisher.serve_track()
        connection = viewer.transport.peer
        stop_acknowledging(connection.quic)
        group = lite.frame(os.urandom(MIB))
        for i in range(2 * MAX // MIB):
            data = lite.group(number, i) + group
            await all_sent(publisher.transport.open(data, bidi=False, fin=True))
            connection.quic.send_ping(i)
            connection.transmit()


def open_with_a_hole(session, data):
    """A stream whose first byte never comes: the relay has to keep all others."""
    quic = session.transport.peer.quic
    stream_id = quic.get_next_available_stream_id(is_unidirectional=True)
    quic.send_stream_data(stream_id, data)
    quic._streams[stream_id].sender.get_frame(1)
    session.transport.peer.transmit()


async def hold_out_of_order(relay, found):
    """Holds as much as flow control allows, until one of those that do so is closed for it."""
    async with open_session(relay) as session:
        for _ in range(3):
            open_with_a_hole(session, bytes(MIB))
        ended = asyncio.create_task(session.transport.wait_end(30))
        waits = [ended, asyncio.create_task(found.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()
        if ended.done():
            assert peer.unmapped(ended.result()) == CLOSE_MEMORY
            found.set()


async def visit(relay, let_in, leave):
    try:
        async with open_session(relay):
            let_in.set_result(True)
            await leave.wait()
    except ConnectionError:
        let_in.set_result(False)


async def come_until_refused(relay):
    """How many sessions come, one after the other, before one is refused; None if none is."""
    leave, visits, refused = asyncio.Event(), [], None
    while len(visits) < SESSIONS_MAX and refused is None:
        let_in = asyncio.get_running_loop().create_future()
        visits.append(asyncio.create_task(visit(relay, let_in, leave)))
        if not await let_in:
            refused = len(visits) - 1
    leave.set()
    await asyncio.gather(*visits)
    return refused


async def let_in_again(relay):
    async with asyncio.timeout(20):
        while True:
            try:
                async with open_session(relay):
                    return
            except ConnectionError:
                await asyncio.sleep(0.2)


@pytest.mark.timeout(240)
@run_async(200)
async def test_everything_at_once(start_relay):
    options = ["--memory-max", str(MAX)]
    relay = await asyncio.to_thread(start_relay, extra=options)
    if is_sanitized(relay):
        pytest.skip("ASan keeps freed memory")
    gauge, pair = Gauge(relay), Healthy(relay)
    async with background(gauge.run()), background(pair.run()) as healthy:
        await asyncio.wait_for(pair.running.wait(), 30)
        await asyncio.gather(*(fill_the_cache(relay, name) for name in "ab"))
        found = asyncio.Event()
        await asyncio.gather(*(hold_out_of_order(relay, found) for _ in range(10)))
        came = await come_until_refused(relay)
        await let_in_again(relay)
        pair.over.set()
        await asyncio.wait_for(healthy, 60)
    assert found.is_set()
    assert came is not None
    assert gauge.most <= MAX + SLACK
    await check_healthy(relay)
    await asyncio.to_thread(relay.stop)
