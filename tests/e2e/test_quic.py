# SPDX-License-Identifier: MIT OR Apache-2.0
"""Below the protocol: addresses change, keys change, peers fall silent, limits hold."""

import asyncio
import contextlib
import socket

import pytest

import hostile
from clients import (
    announce,
    check_healthy,
    connect,
    payload,
    read_group,
    run_async,
    subscribe,
    within,
    write_group,
)
from lite import announce_request, open_session, parse_frames
from peer import open_peer

IDLE = ["--quic-idle-timeout", "2s", "--quic-keep-alive", "500ms"]


@pytest.fixture(scope="module")
def impatient(start_relay):
    """A relay that gives a silent peer two seconds."""
    return start_relay(extra=IDLE)


async def change_port(peer):
    """The peer's packets come from another port from now on, as after a NAT's timeout."""
    old = peer._transport
    await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: peer, local_addr=("::", 0), family=socket.AF_INET6
    )
    old.close()


async def change_connection_id(peer):
    peer.change_connection_id()


async def change_keys(peer):
    """Twice without an acknowledgement between is not allowed (RFC 9001, section 6.1), and aioquic does not look."""
    peer.request_key_update()
    await within(peer.ping())


@pytest.mark.parametrize(
    "change", [change_port, change_connection_id, change_keys], ids=lambda change: change.__name__
)
@run_async()
async def test_connection_survives(relay, name, scheme, change):
    """A viewer's address, connection ID or keys change, again and again; it misses nothing."""
    async with (
        connect(relay.url(scheme)) as publisher,
        open_session(relay, scheme) as viewer,
    ):
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("video")
        broadcast.announce()
        await viewer.wait_announced(name)
        await viewer.subscribe(name, "video")
        for number in range(6):
            data = payload(f"{name}{number}", 30_000)
            write_group(track, [(data, 0)])
            stream, _, sequence = await viewer.next_group()
            assert sequence == number
            assert [d for _, d in parse_frames(await stream.read_to_end())] == [data]
            await change(viewer.transport.peer)
            # The relay hears of it with the next packet from here.
            viewer.open(announce_request(f"{name}/{number}"))


@run_async()
async def test_idle_session_is_kept_alive(impatient, name, scheme):
    """Nobody says anything for twice the idle timeout; the relay's PINGs keep the session."""
    async with (
        connect(impatient.url(scheme)) as publisher,
        open_session(impatient, scheme) as viewer,
    ):
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("video")
        broadcast.announce()
        await viewer.wait_announced(name)
        await asyncio.sleep(4.5)
        assert not viewer.transport.ended
        await viewer.subscribe(name, "video")
        await within(track.demand().used())


@run_async()
async def test_silent_publisher_is_dropped(impatient, name, scheme, publish):
    """A killed publisher is unannounced after the idle timeout and what the relay adds to it."""
    source = await asyncio.to_thread(publish, impatient.url(scheme), name)
    async with connect(impatient.url(scheme)) as viewer:
        announced = viewer.announced(name)
        assert (await within(anext(announced))).active
        await asyncio.to_thread(source.kill)
        assert not (await within(anext(announced), 20)).active


@run_async()
async def test_ipv4_and_ipv6_on_one_listener(start_relay, name, scheme):
    relay = await asyncio.to_thread(start_relay, bind="[::]")
    four = f"{scheme}://127.0.0.1:{relay.port}/"
    six = f"{scheme}://[::1]:{relay.port}/"
    async with connect(four) as publisher, connect(six) as viewer:
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("video")
        broadcast.announce()
        reader = await subscribe(viewer, name, "video")
        write_group(track, [(b"x" * 3000, 0)])
        assert await read_group(reader) == (0, [(b"x" * 3000, 0)])
    await asyncio.to_thread(relay.stop)


@pytest.mark.ours
@run_async()
async def test_retry_when_many_handshakes_are_open(start_relay, name, scheme):
    """An address must prove itself then; those that can are served."""
    relay = await asyncio.to_thread(start_relay, extra=["--limits-handshakes-retry", "2"])
    hostile.abandon_handshakes(relay.port, 10)
    await asyncio.sleep(0.2)
    async with open_peer(relay.port, "moq-lite-06") as peer:
        assert peer.quic._retry_count == 1
    await check_healthy(relay, scheme, name)
    await asyncio.to_thread(relay.stop)


@pytest.mark.ours
@run_async()
async def test_limit_of_connections(start_relay):
    """One too many is refused, those inside go on, and a place that is free again is given."""
    relay = await asyncio.to_thread(start_relay, extra=["--limits-connections", "3"])
    async with contextlib.AsyncExitStack() as stack:
        inside = [
            await stack.enter_async_context(open_peer(relay.port, "moq-lite-06")) for _ in range(3)
        ]
        with pytest.raises((ConnectionError, TimeoutError)):
            async with asyncio.timeout(3), open_peer(relay.port, "moq-lite-06", idle_timeout=3):
                pass
        assert all(peer.ended is None for peer in inside)
        await asyncio.wait_for(inside[0].ping(), 5)
    for _ in range(50):
        with contextlib.suppress(ConnectionError):
            async with open_peer(relay.port, "moq-lite-06", idle_timeout=2):
                break
        await asyncio.sleep(0.1)
    else:
        pytest.fail("no place became free")
    await asyncio.to_thread(relay.stop)


@pytest.mark.ours
@run_async()
async def test_limit_of_announcements(start_relay, name, scheme):
    relay = await asyncio.to_thread(start_relay, extra=["--limits-announces", "10"])
    async with connect(relay.url(scheme)) as publisher, connect(relay.url(scheme)) as viewer:
        announced = viewer.announced(name)
        kept = [announce(publisher, f"{name}/{i}") for i in range(40)]
        active = set()
        with contextlib.suppress(TimeoutError):
            while True:
                update = await within(anext(announced), 1)
                (active.add if update.active else active.discard)(update.prefix)
                assert len(active) <= 10
        del kept
    await check_healthy(relay, scheme, name)
    await asyncio.to_thread(relay.stop)


@pytest.mark.ours
@run_async()
async def test_limit_of_requests(start_relay, name, scheme):
    relay = await asyncio.to_thread(start_relay, extra=["--limits-subscriptions", "10"])
    async with open_session(relay, scheme) as session:
        streams = [session.open(announce_request(f"{name}/{i}")) for i in range(30)]
        for stream in streams[10:]:
            await stream.wait_refused()
    await check_healthy(relay, scheme, name)
    await asyncio.to_thread(relay.stop)
