# SPDX-License-Identifier: MIT OR Apache-2.0
"""The relay's bytes, seen by a peer that is not a library: what moq-rs would hide."""

import asyncio

import pytest

import lite
from clients import (
    LOSSLESS,
    announce,
    connect,
    find,
    payload,
    read_group,
    run_async,
    subscribe,
    within,
    write_group,
)
from lite import open_session
from peer import Ended, open_peer

VERSIONS = [5, 6]


@pytest.fixture(params=VERSIONS, ids=lambda v: f"lite-{v:02}")
def version(request):
    return request.param


@run_async()
async def test_viewer(relay, name, scheme, version):
    """TRACK, SUBSCRIBE, the group's header and frames, the track's end: byte by byte."""
    async with (
        connect(relay.url(scheme)) as publisher,
        open_session(relay, scheme, version) as viewer,
    ):
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("video")
        broadcast.announce()
        await viewer.wait_announced(name)

        asked = viewer.open(lite.track(name, "video"))
        info = await asked.read_sized()
        assert len(info) >= 4
        await asked.read_to_end()

        request = await viewer.subscribe(name, "video", number=3)
        frames = [(payload(f"{name}{i}", 500 * i), i * 1000) for i in range(4)]
        write_group(track, frames)
        stream, number, sequence = await viewer.next_group()
        assert (number, sequence) == (3, 0)
        received = lite.parse_frames(await stream.read_to_end())
        assert stream.fin
        assert [data for _, data in received] == [data for data, _ in frames]
        assert [time for time, _ in received] == sorted(time for time, _ in received)

        track.finish()
        await request.read_to_end()
        assert request.fin, f"the track's end came as reset {request.reset_code}"


@run_async()
async def test_fin_unsubscribes(relay, name, scheme, version):
    """A viewer's FIN on Subscribe is answered by the end of the stream; no group follows."""
    async with (
        connect(relay.url(scheme)) as publisher,
        open_session(relay, scheme, version) as viewer,
    ):
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("video")
        broadcast.announce()
        await viewer.wait_announced(name)
        request = await viewer.subscribe(name, "video")
        write_group(track, [(b"x", 0)])
        await viewer.next_group()
        request.finish()
        await request.wait_refused()
        assert request.read_ended
        await within(track.demand().unused(), 30)


@run_async()
async def test_fetch(relay, name, scheme, version):
    async with (
        connect(relay.url(scheme)) as publisher,
        open_session(relay, scheme, version) as viewer,
    ):
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("video")
        broadcast.announce()
        await viewer.wait_announced(name)
        for number in range(3):
            write_group(track, [(b"%d.%d" % (number, i), number * 10 + i) for i in range(3)])
        answer = viewer.open(lite.fetch(name, "video", 1, version))
        received = lite.parse_frames(await answer.read_to_end())
        assert answer.fin
        assert [data for _, data in received] == [b"1.0", b"1.1", b"1.2"]


@run_async()
async def test_unknown_requests_end_their_stream_only(relay, name, scheme, version):
    async with open_session(relay, scheme, version) as viewer:
        for request in (
            lite.track(name, "video"),
            lite.subscribe(0, name, "video", version),
            lite.fetch(name, "video", 0, version),
        ):
            stream = viewer.open(request)
            await stream.wait_refused()
            assert stream.reset_code is not None
        assert not viewer.transport.ended


@run_async()
async def test_announcements_by_prefix(relay, name, scheme, version):
    """A prefix matches whole parts; suffixes come without it; an end names what began."""
    async with (
        connect(relay.url(scheme)) as publisher,
        open_session(relay, scheme, version) as viewer,
    ):
        paths = [f"{name}/in/a", f"{name}/in/b/c", f"{name}/in", f"{name}/inside"]
        broadcasts = {path: announce(publisher, path) for path in paths}
        for path in paths:
            await viewer.wait_announced(path)

        stream, count = await viewer.announcements(f"{name}/in")
        assert count == 3
        initial = [await viewer.read_announcement(stream) for _ in range(count)]
        assert all(active for active, _ in initial)
        suffixes = [suffix for _, suffix in initial]
        assert sorted(suffixes) == ["", "a", "b/c"]

        broadcasts[f"{name}/in/a"].close()
        ended = "a" if version < 6 else suffixes.index("a")
        assert await viewer.read_announcement(stream) == (False, ended)
        kept = [announce(publisher, f"{name}/outside"), announce(publisher, f"{name}/in/late")]
        assert await viewer.read_announcement(stream) == (True, "late")
        del kept

        nothing, count = await viewer.announcements(f"{name}/empty")
        assert count == 0
        assert not nothing.read_ended


@run_async()
async def test_publisher(relay, name, scheme):
    """A publisher of hand-made bytes is understood: its groups reach a moq-rs viewer."""
    async with open_session(relay, scheme) as publisher, connect(relay.url(scheme)) as viewer:
        await publisher.announce(name)
        consumer = await find(viewer, name)
        serving = asyncio.create_task(publisher.serve_track())
        reader = await within(consumer.subscribe_track("video", LOSSLESS))
        reading = asyncio.create_task(read_group(reader))
        request, number = await serving
        request.write(lite.subscribe_start(4))
        publisher.transport.open(
            lite.group(number, 4)
            + lite.frame(b"one", 7)
            + lite.frame(b"", 0)
            + lite.frame(b"three", 2),
            bidi=False,
            fin=True,
        )
        assert await reading == (4, [(b"one", 7000), (b"", 7000), (b"three", 9000)])
        request.write(lite.subscribe_end(5), fin=True)
        assert await read_group(reader) is None


@run_async()
async def test_cut_through(relay, name, scheme):
    """Half a frame is passed on before its other half exists."""
    async with open_session(relay, scheme) as publisher, open_session(relay, scheme) as viewer:
        await publisher.announce(name)
        await viewer.wait_announced(name)
        serving = asyncio.create_task(publisher.serve_track())
        await viewer.subscribe(name, "video")
        request, number = await serving
        request.write(lite.subscribe_start(0))
        whole = payload(name, 20_000)
        encoded = lite.frame(whole)
        stream = publisher.transport.open(lite.group(number, 0) + encoded[:10_000], bidi=False)
        received, _, _ = await viewer.next_group()
        first = await received.read(9_000)
        stream.write(encoded[10_000:], fin=True)
        rest = await received.read_to_end()
        assert lite.parse_frames(first + rest) == [(0, whole)]


@pytest.mark.ours
@run_async()
async def test_group_cut_by_the_publisher(relay, name, scheme):
    """A reset of a group resets it at the viewer; the next group arrives whole."""
    async with open_session(relay, scheme) as publisher, open_session(relay, scheme) as viewer:
        await publisher.announce(name)
        await viewer.wait_announced(name)
        serving = asyncio.create_task(publisher.serve_track())
        await viewer.subscribe(name, "video")
        request, number = await serving
        request.write(lite.subscribe_start(0))
        stream = publisher.transport.open(
            lite.group(number, 0) + lite.frame(b"a" * 3000), bidi=False
        )
        received, _, sequence = await viewer.next_group()
        assert sequence == 0
        await received.read(2000)
        stream.reset(5)
        with pytest.raises(Ended):
            await received.read(1 << 20)
        assert received.reset_code is not None

        publisher.transport.open(lite.group(number, 1) + lite.frame(b"next"), bidi=False, fin=True)
        received, _, sequence = await viewer.next_group()
        assert sequence == 1
        assert lite.parse_frames(await received.read_to_end()) == [(0, b"next")]


@run_async()
async def test_slow_viewer_costs_the_others_nothing(relay, name, scheme):
    """One viewer grants 64 KB and reads nothing; another one gets every one of 8 MB."""
    async with (
        connect(relay.url(scheme)) as publisher,
        connect(relay.url(scheme)) as healthy,
        open_session(relay, scheme, max_data=64 * 1024, max_stream_data=16 * 1024) as slow,
    ):
        # aioquic raises its limits as data is taken from the network; a viewer that stops must not.
        slow.transport.peer.quic._write_connection_limits = lambda *args, **kwargs: None
        slow.transport.peer.quic._write_stream_limits = lambda *args, **kwargs: None
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("video")
        broadcast.announce()
        await slow.wait_announced(name)
        await slow.subscribe(name, "video")
        reader = await subscribe(healthy, name, "video")
        for number in range(40):
            frames = [(payload(f"{name}{number}{i}", 50_000), number) for i in range(4)]
            sequence = write_group(track, frames)
            assert await read_group(reader) == (sequence, frames)


@pytest.mark.parametrize(
    "offer,expected",
    [
        (["moq-lite-05", "moq-lite-06"], {"moq-lite-05", "moq-lite-06"}),
        (["unknown", "moq-lite-05"], {"moq-lite-05"}),
        (["moq-lite-06"], {"moq-lite-06"}),
    ],
)
@run_async()
async def test_alpn_chooses_the_version(relay, offer, expected):
    async with open_peer(relay.port, offer) as peer:
        assert peer.alpn in expected


@run_async()
async def test_no_common_alpn_fails_the_handshake(relay):
    with pytest.raises(ConnectionError):
        async with open_peer(relay.port, "no-such-protocol"):
            pass
