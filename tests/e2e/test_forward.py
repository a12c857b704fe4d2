# SPDX-License-Identifier: MIT OR Apache-2.0
"""What a publisher writes arrives at every viewer: whole, in order, asked for once."""

import asyncio

import moq
import pytest

from clients import (
    KEPT,
    LOSSLESS,
    connect,
    find,
    payload,
    read_all_groups,
    read_group,
    run_async,
    subscribe,
    within,
    write_group,
)
from conftest import TRANSPORTS
from publisher import TRACK, frame_bytes

SIZES = [0, 1, 100, 64 * 1024, 1024 * 1024]
VIEWERS = 50

PAIRS = [
    pytest.param(a, b, id=f"{x}-to-{y}")
    for x, a in TRANSPORTS.items()
    for y, b in TRANSPORTS.items()
]


@pytest.mark.parametrize("publisher_scheme,viewer_scheme", PAIRS)
@run_async()
async def test_every_byte(relay, name, publisher_scheme, viewer_scheme):
    async with (
        connect(relay.url(publisher_scheme)) as publisher,
        connect(relay.url(viewer_scheme)) as viewer,
    ):
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("video")
        broadcast.announce()
        reader = await subscribe(viewer, name, "video")
        for number in range(3):
            frames = [
                (payload(f"{name}:{number}:{size}", size), number * 40_000 + i)
                for i, size in enumerate(SIZES)
            ]
            sequence = write_group(track, frames)
            assert await read_group(reader) == (sequence, frames)
        track.finish()
        assert await read_group(reader) is None


@run_async()
async def test_both_directions_on_one_connection(relay, name, scheme):
    async with connect(relay.url(scheme)) as left, connect(relay.url(scheme)) as right:
        for number, (sender, receiver) in enumerate([(left, right), (right, left)]):
            path = f"{name}/{number}"
            broadcast = sender.create_broadcast(path)
            track = broadcast.publish_track("t")
            broadcast.announce()
            reader = await subscribe(receiver, path, "t")
            frames = [(payload(path, 5000), 1)]
            sequence = write_group(track, frames)
            assert await read_group(reader) == (sequence, frames)


@run_async()
async def test_several_tracks_do_not_mix(relay, name, scheme):
    tracks = [f"track{i}" for i in range(8)]
    async with connect(relay.url(scheme)) as publisher, connect(relay.url(scheme)) as viewer:
        broadcast = publisher.create_broadcast(name)
        writers = {t: broadcast.publish_track(t) for t in tracks}
        broadcast.announce()
        readers = {t: await subscribe(viewer, name, t) for t in tracks}
        frames = {t: [(payload(f"{name}{t}{i}", 3000), i) for i in range(5)] for t in tracks}
        for t in tracks:
            write_group(writers[t], frames[t])
        for t in tracks:
            assert await read_group(readers[t]) == (0, frames[t])


# In a burst the Rust relay lets some viewers miss a group, whatever age they allow.
@pytest.mark.parametrize(
    "pace", [pytest.param(0, id="burst", marks=pytest.mark.ours), pytest.param(0.05, id="paced")]
)
@run_async()
async def test_fifty_viewers_one_upstream_subscription(relay, name, scheme, publish, pace):
    """All 50 subscribe before the first byte; each gets all groups, the publisher is asked once."""
    sizes = [0, 1, 100, 4096, 20_000]
    groups = 10
    source = await asyncio.to_thread(publish, relay.url(scheme), name, tag=name)
    schemes = list(TRANSPORTS.values())
    clients = [connect(relay.url(schemes[i % 2])) for i in range(VIEWERS)]
    try:
        viewers = await asyncio.gather(*(c.__aenter__() for c in clients))
        readers = await asyncio.gather(*(subscribe(v, name, TRACK) for v in viewers))
        # The library sends SUBSCRIBE when its reader first waits.
        watching = [asyncio.create_task(read_all_groups(reader, 30)) for reader in readers]
        await asyncio.to_thread(source.wait_log, rf"subscribed started.* broadcast={name} ")
        for _ in range(groups):
            await asyncio.to_thread(source.send, "group " + " ".join(map(str, sizes)))
            await asyncio.sleep(pace)
        await asyncio.to_thread(source.send, "finish")
        expected = [
            (g, [(frame_bytes(name, g, i, size), i) for i, size in enumerate(sizes)])
            for g in range(groups)
        ]
        for received in await asyncio.gather(*watching):
            assert [sequence for sequence, _ in received] == list(range(groups))
            assert received == expected
    finally:
        await asyncio.gather(*(c.__aexit__(None, None, None) for c in clients))
    assert source.subscriptions(name) == 1


@run_async()
async def test_late_viewer_gets_newest_group_from_its_start(relay, name, scheme):
    async with (
        connect(relay.url(scheme)) as publisher,
        connect(relay.url(scheme)) as early,
        connect(relay.url(scheme)) as late,
    ):
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("video")
        broadcast.announce()
        first = await subscribe(early, name, "video")
        for number in range(2):
            write_group(track, [(b"old", number)])
            await read_group(first)
        group = track.append_group()
        group.write_frame(b"key", 10)
        group.write_frame(b"delta 1", 11)
        begun = await within(first.next_group())
        assert (await within(begun.read_frame())).payload == b"key"
        assert (await within(begun.read_frame())).payload == b"delta 1"

        second = await subscribe(late, name, "video", moq.Subscription())
        joined = await within(second.next_group())
        assert joined.sequence == 2
        assert (await within(joined.read_frame())).payload == b"key"
        assert (await within(joined.read_frame())).payload == b"delta 1"
        # The rest comes live, frame by frame, while the group is still open.
        group.write_frame(b"delta 2", 12)
        assert (await within(joined.read_frame())).payload == b"delta 2"
        group.finish()
        assert await within(joined.read_frame()) is None


@run_async()
async def test_viewer_before_the_first_group(relay, name, scheme):
    async with connect(relay.url(scheme)) as publisher, connect(relay.url(scheme)) as viewer:
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("video")
        broadcast.announce()
        reader = await subscribe(viewer, name, "video")
        waiting = asyncio.create_task(read_group(reader))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        write_group(track, [(b"x", 0)])
        assert await waiting == (0, [(b"x", 0)])


@run_async()
async def test_unsubscribe_reaches_publisher_and_resubscribe_works(relay, name, scheme):
    async with connect(relay.url(scheme)) as publisher, connect(relay.url(scheme)) as viewer:
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("video")
        broadcast.announce()
        for round_number in range(3):
            reader = await subscribe(viewer, name, "video")
            write_group(track, [(b"round %d" % round_number, round_number)])
            # The newest group may be an older one that the relay still holds.
            while (await read_group(reader))[0] < round_number:
                pass
            assert track.demand().is_used()
            reader.cancel()
            if round_number == 1:
                await within(track.demand().unused(), 30)


@run_async()
async def test_one_viewer_leaving_leaves_the_others_alone(relay, name, scheme):
    async with (
        connect(relay.url(scheme)) as publisher,
        connect(relay.url(scheme)) as stays,
        connect(relay.url(scheme)) as leaves,
    ):
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("video")
        broadcast.announce()
        staying = await subscribe(stays, name, "video")
        leaving = await subscribe(leaves, name, "video")
        for number in range(10):
            write_group(track, [(payload(f"{number}", 2000), number)])
            assert (await read_group(staying))[0] == number
            if number == 2:
                leaving.cancel()
            if number == 5:
                leaves.session.shutdown()


@run_async()
async def test_unknown_names_are_refused_and_the_session_lives(relay, name, scheme):
    async with connect(relay.url(scheme)) as publisher, connect(relay.url(scheme)) as viewer:
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("video")
        broadcast.announce()
        consumer = await find(viewer, name)
        with pytest.raises(moq.Error):
            reader = await within(consumer.subscribe_track("no such track", LOSSLESS))
            await within(reader.next_group())
        # To moq-rs an announced path covers what is below it, so it asks the relay for this one.
        below = await within(viewer.request_broadcast(f"{name}/below"))
        with pytest.raises(moq.Error):
            reader = await within(below.subscribe_track("video", LOSSLESS))
            await within(reader.next_group())
        reader = await subscribe(viewer, name, "video")
        write_group(track, [(b"still here", 0)])
        assert await read_group(reader) == (0, [(b"still here", 0)])


@run_async()
async def test_fetch_gives_one_group(relay, name, scheme):
    async with connect(relay.url(scheme)) as publisher, connect(relay.url(scheme)) as viewer:
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("video")
        broadcast.announce()
        groups = [[(payload(f"{g}.{i}", 1000 * i), g * 10 + i) for i in range(4)] for g in range(3)]
        for frames in groups:
            write_group(track, frames)
        consumer = await find(viewer, name)
        for sequence in (2, 0, 1):
            group = await within(consumer.fetch_group("video", sequence))
            frames = [(frame.payload, frame.timestamp_us) async for frame in group]
            assert (group.sequence, frames) == (sequence, groups[sequence])


@run_async()
async def test_datagrams(relay, name, scheme):
    """Datagrams may be lost, so one of many must arrive, and arrive intact."""
    async with connect(relay.url(scheme)) as publisher, connect(relay.url(scheme)) as viewer:
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("d")
        broadcast.announce()
        reader = await subscribe(viewer, name, "d")

        async def send():
            for number in range(400):
                track.append_datagram(b"datagram %d" % number, number)
                await asyncio.sleep(0.02)

        sending = asyncio.create_task(send())
        try:
            datagram = await within(reader.recv_datagram())
        finally:
            sending.cancel()
        assert datagram.payload == b"datagram %d" % datagram.sequence
        assert datagram.timestamp_us == datagram.sequence


@run_async()
async def test_fat_track(relay, name, scheme):
    """50 MB at the pace of 200 Mbit/s: a group of five large frames every 50 ms, none is missed."""
    groups = [[(payload(f"{g}.{i}", 250_000), g * 5 + i) for i in range(5)] for g in range(40)]
    async with connect(relay.url(scheme)) as publisher, connect(relay.url(scheme)) as viewer:
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("video", KEPT)
        broadcast.announce()
        reader = await subscribe(viewer, name, "video")
        watching = asyncio.create_task(read_all_groups(reader, 40, len(groups)))
        await within(track.demand().used())
        for frames in groups:
            write_group(track, frames)
            await asyncio.sleep(0.05)
        assert await watching == list(enumerate(groups))
        track.finish()
        assert await within(reader.recv_group()) is None
