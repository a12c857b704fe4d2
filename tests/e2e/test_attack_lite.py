# SPDX-License-Identifier: MIT OR Apache-2.0
"""Attacks of a moq-lite session that watches, or seems to."""

import asyncio
import os
from contextlib import suppress

import pytest
from aioquic.quic.connection import QuicConnection

import lite
from attack import (
    MIB,
    OVER_LIMIT,
    SERVED,
    Attack,
    all_streams,
    closing,
    connection_end,
    resident,
    still_served,
    stream_end,
)
from bystander import PATH, TRACK
from hostile import HUGE, serve_one, truncations
from lite import message, open_session, text
from packets import FLOOD, flood, reset_frame, stream_frame
from peer import Ended, open_raw, varint

pytestmark = pytest.mark.ours

REPEAT = int(os.environ.get("MOQ_REPEAT", "400"))
STRICT = (
    "--limits-message-timeout",
    "1s",
    "--listen-timeout",
    "1s",
    "--limits-subscriptions",
    "200",
    "--cache-capacity",
    "8MiB",
)

MALFORMED = "reset: malformed"

REQUESTS = {
    "announce": lite.announce_request("some/prefix"),
    "subscribe": lite.subscribe(9, "a/b", "t"),
    "fetch": lite.fetch("a/b", "t", 3),
    "track": lite.track("a/b", "t"),
    "goaway": varint(lite.BIDI_GOAWAY) + message(text("")),
}


def subscribe_update(priority, max_age=0):
    return message(bytes([priority]) + varint(max_age) + bytes(4))


def on_session(attack, scheme="moql"):
    """A coroutine on a session: what it returns, or how the session ended under it."""

    async def run(relay):
        async with open_session(relay, scheme) as session:
            try:
                return await attack(session)
            except Ended:
                return await connection_end(session.transport.peer)

    return run


# Messages that are cut, or too large.


async def requests_ended(session):
    """FIN after every byte of every request but the last."""
    streams = [session.open(part, fin=True) for request in REQUESTS.values() for part in truncations(request)[1:]]
    return await all_streams(streams)


async def requests_reset(session):
    for request in REQUESTS.values():
        for part in truncations(request):
            stream = session.open(part)
            stream.reset(1)
            stream.stop(1)
    return await still_served(session)


async def requests_left_open(session):
    """Every beginning of every request, and nothing more: each is given up in time."""
    streams = [session.open(part) for request in REQUESTS.values() for part in truncations(request)[1:]]
    return await all_streams(streams)


async def lengths_of_2_62(session):
    kinds = (lite.BIDI_ANNOUNCE, lite.BIDI_SUBSCRIBE, lite.BIDI_FETCH, lite.BIDI_TRACK, lite.BIDI_GOAWAY)
    bodies = [varint(HUGE), varint(1 << 32) + b"x", message(varint(HUGE) + b"a"), message(b"\xff" * 8 + b"a")]
    return await all_streams([session.open(varint(kind) + body) for kind in kinds for body in bodies])


async def ids_of_2_62(session):
    """Numbers that are as large as they may be, of things that are not there."""
    streams = [
        session.open(lite.subscribe(HUGE, "no/such", "t", max_age=HUGE)),
        session.open(lite.fetch("no/such", "t", HUGE)),
    ]
    return await all_streams(streams)


async def groups_of_2_62(session):
    """A subscription of the healthy track from a group that will never be."""
    head = varint(HUGE) + text(PATH) + text(TRACK) + b"\1" + varint(HUGE)
    numbers = [varint(n) for n in (HUGE, HUGE - 1, 1 << 53)]
    streams = [session.open(varint(lite.BIDI_SUBSCRIBE) + message(head + n + n + b"\0\0")) for n in numbers]
    streams += [session.open(lite.fetch(PATH, TRACK, n)) for n in (HUGE, HUGE - 1, 1 << 53)]
    await asyncio.sleep(0.3)
    for stream in streams:
        stream.reset(1)
    return await still_served(session)


async def unknown_streams(session):
    streams = [session.transport.open(varint(kind) + b"xyz") for kind in (0x3F, 0x40, 1 << 40, HUGE)]
    return await all_streams(streams)


async def second_message(session):
    """A request that is followed by another one."""
    return await stream_end(session.open(REQUESTS["announce"] + REQUESTS["announce"][1:]))


# SETUP.


async def no_setup(relay):
    async with open_raw(relay.port) as raw:
        return await connection_end(raw.peer)


def setups(end):
    """SETUP whose stream ends like this after each byte."""

    async def run(relay):
        seen = set()
        for part in truncations(lite.setup([(lite.PARAMETER_PATH, b"/some/path")]))[2:]:
            async with open_raw(relay.port) as raw:
                end(raw.open(part, bidi=False))
                seen.add(await connection_end(raw.peer))
        return seen.pop() if len(seen) == 1 else seen

    return run


async def streams_before_setup(relay):
    """More than may wait are refused; the others are served once SETUP is there."""
    async with open_raw(relay.port) as raw:
        session = lite.Session(raw, 6)
        early = [raw.open(lite.track("no/such", f"t{i}")) for i in range(400)]
        seen = await all_streams(early[128:])
        raw.open(lite.setup(), bidi=False, fin=True)
        assert await all_streams(early[:128]) == "reset: unroutable"
        session.close()
        return seen


async def megabytes_before_setup(relay):
    """Each stream may hold a little; then it is refused."""
    async with open_raw(relay.port) as raw:
        streams = [raw.open(varint(lite.BIDI_ANNOUNCE) + varint(60_000) + bytes(40_000)) for _ in range(60)]
        return await all_streams(streams)


async def setup_twice(session):
    session.transport.open(lite.setup(), bidi=False, fin=True)
    return await connection_end(session.transport.peer)


# Much of what is allowed.


async def subscribe_and_cancel(session):
    """A viewer of the healthy track that comes and goes."""
    for number in range(REPEAT):
        stream = session.open(lite.subscribe(number, PATH, TRACK))
        stream.reset(1)
        stream.stop(1)
        if number % 20 == 0:
            await asyncio.sleep(0)
    return await still_served(session)


async def rapid_resets(session):
    """SUBSCRIBE of the healthy track and its reset in one packet, on stream after stream."""

    def one(number):
        request = lite.subscribe(1000 + number, PATH, TRACK)
        stream = 400 + 4 * number
        return stream_frame(stream, 0, request) + reset_frame(stream, 1, len(request))

    await flood(session.transport.peer, one, 5000)
    await asyncio.sleep(0.3)
    return await still_served(session)


async def subscription_updates(session):
    """One subscription that changes its mind as fast as it can, with hundreds of groups under way."""
    peer = session.transport.peer
    peer.quic._write_stream_limits = lambda *args, **kwargs: None  # no credit beyond the first
    number = await serve_one(session, "restless/cam")
    for sequence in range(800):
        session.transport.open(lite.group(number, sequence) + lite.frame(bytes(20)), bidi=False)
        if sequence % 50 == 0:
            await asyncio.sleep(0)
    await asyncio.sleep(0.2)
    request = lite.subscribe(77, "restless/cam", "video", max_age=1000)
    stream = session.open(request)
    await asyncio.sleep(0.2)
    offset = [len(request)]

    def update(i):
        one = subscribe_update(i % 250, 1000)
        offset[0] += len(one)
        return stream_frame(stream.id, offset[0] - len(one), one)

    await flood(peer, update, FLOOD // 3)
    await asyncio.sleep(0.3)
    return await still_served(session)


async def announce_streams(session):
    """Each is a copy of all announcements: few are allowed."""
    streams = [session.open(lite.announce_request(f"p/{i}")) for i in range(100)]
    return await all_streams(streams[32:])


async def too_many_requests(session):
    """As many as there may be, and more."""
    streams = [session.open(lite.subscribe(i, PATH, f"t{i % 3}")) for i in range(300)]
    return await stream_end(streams[-1])


async def unknown_tracks(session):
    """Hundreds of names that the healthy publisher does not have."""
    streams = []
    for number in range(REPEAT):
        streams.append(session.open(lite.track(PATH, f"no-such-{number}")))
        if number % 50 == 49:
            await streams[-1].wait_refused()
    seen = await all_streams(streams)
    return "refused" if all("reset" in one for one in ([seen] if isinstance(seen, str) else seen)) else seen


async def fetches(session):
    """Groups that are not there, again and again, without waiting."""
    streams = []
    for number in range(REPEAT):
        streams.append(session.open(lite.fetch(PATH, TRACK, (1 << 40) + number % 7)))
        if number % 50 == 49:
            await streams[-1].wait_refused()
    return await stream_end(streams[0])


async def goaways(session):
    for _ in range(20):
        session.open(REQUESTS["goaway"], fin=True)
    return await connection_end(session.transport.peer)


async def probes(session):
    streams = [session.open(varint(lite.BIDI_PROBE)) for _ in range(50)]
    return await all_streams(streams[1:])


async def datagrams(session):
    for number in range(3000):
        session.transport.peer.quic.send_datagram_frame(varint(number % 5) + varint(number) + b"\0" + bytes(900))
        if number % 50 == 49:
            session.transport.peer.transmit()
            await asyncio.sleep(0)
    return await still_served(session)


# Peers that take nothing.


async def reads_nothing(relay):
    """A viewer that subscribes to all there is, many times, and gives no flow-control credit."""
    async with open_session(relay, max_data=64 * 1024, max_stream_data=256) as session:
        quic = session.transport.peer.quic
        quic._write_connection_limits = lambda *args, **kwargs: None
        quic._write_stream_limits = lambda *args, **kwargs: None
        for number in range(100):
            session.open(lite.subscribe(number, PATH, TRACK, max_age=30_000))
            session.open(lite.announce_request(""))
        await asyncio.sleep(1.5)
        return closing(session.transport.peer.ended) if session.transport.ended else "nothing"


async def allows_no_streams(relay):
    """A viewer that lets the relay open nothing: groups wait for it, few of them and not for long."""
    real = QuicConnection._serialize_transport_parameters

    def none(self):
        self._local_max_streams_uni.value = self._local_max_streams_bidi.value = 0
        return real(self)

    QuicConnection._serialize_transport_parameters = none
    try:
        async with open_raw(relay.port) as raw:
            raw.open(lite.setup(), bidi=False, fin=True)
            for number in range(100):
                raw.open(lite.subscribe(number, PATH, TRACK, max_age=30_000))
            await asyncio.sleep(1.5)
            assert not raw.peer.accepted.qsize()
            return closing(raw.peer.ended) if raw.ended else "nothing"
    finally:
        QuicConnection._serialize_transport_parameters = real


async def acknowledges_nothing(relay):
    """What a viewer was sent and never acknowledges does not outlive the cache."""
    async with open_session(relay) as publisher, open_session(relay) as viewer:
        number, quic = None, viewer.transport.peer.quic
        await publisher.announce("deaf/cam")
        await viewer.wait_announced("deaf/cam")
        await viewer.subscribe("deaf/cam", "video")
        _, number = await publisher.serve_track()
        quic._write_ack_frame = lambda builder, space, now: setattr(space, "ack_at", None)
        before = resident(relay)
        for sequence in range(40):
            group = lite.group(number, sequence) + lite.frame(bytes(MIB))
            publisher.transport.open(group, bidi=False, fin=True)
            await asyncio.sleep(0.02)
        assert resident(relay) - before < 40 * MIB
        return await still_served(publisher)


async def ignores_stop(relay):
    """It goes on sending on streams that were refused, and never ends them."""
    ignored = QuicConnection._handle_stop_sending_frame

    def ignore(self, context, frame_type, buf):
        buf.pull_uint_var(), buf.pull_uint_var()

    QuicConnection._handle_stop_sending_frame = ignore
    try:
        async with open_session(relay) as session:
            streams = [session.transport.open(lite.group(99, i), bidi=False) for i in range(200)]
            await asyncio.sleep(0.1)
            for stream in streams:
                with suppress(Ended):
                    stream.write(bytes(20_000))
            await asyncio.sleep(0.3)
            return await still_served(session)
    finally:
        QuicConnection._handle_stop_sending_frame = ignored


# fmt: off
ATTACKS = [
    # name, what is done, what the attacker must see
    Attack("requests_ended", on_session(requests_ended), MALFORMED),
    Attack("requests_ended_webtransport", on_session(requests_ended, "https"), MALFORMED),
    Attack("requests_reset", on_session(requests_reset), SERVED),
    Attack("requests_left_open", on_session(requests_left_open), "reset: control timeout", STRICT),
    Attack("lengths_of_2_62", on_session(lengths_of_2_62), MALFORMED),
    Attack("ids_of_2_62", on_session(ids_of_2_62), "reset: unroutable"),
    Attack("groups_of_2_62", on_session(groups_of_2_62), SERVED),
    Attack("unknown_streams", on_session(unknown_streams), "reset: cancelled"),
    Attack("second_message", on_session(second_message), MALFORMED),
    Attack("no_setup", no_setup, "session: control timeout", STRICT),
    Attack("setup_ended", setups(lambda s: s.finish()), "session: violation"),
    Attack("setup_reset", setups(lambda s: s.reset(1)), "session: violation"),
    Attack("setup_twice", on_session(setup_twice), "session: violation"),
    Attack("streams_before_setup", streams_before_setup, OVER_LIMIT, memory=True),
    Attack("megabytes_before_setup", megabytes_before_setup, OVER_LIMIT, memory=True),
    Attack("subscribe_and_cancel", on_session(subscribe_and_cancel), SERVED, memory=True),
    Attack("rapid_resets", on_session(rapid_resets), SERVED, memory=True),
    Attack("subscription_updates", on_session(subscription_updates), SERVED, memory=True),
    Attack("announce_streams", on_session(announce_streams), OVER_LIMIT),
    Attack("too_many_requests", on_session(too_many_requests), OVER_LIMIT, STRICT),
    Attack("unknown_tracks", on_session(unknown_tracks), "refused", memory=True),
    Attack("fetches", on_session(fetches), "reset: not found"),
    Attack("goaways", on_session(goaways), "session: violation"),
    Attack("probes", on_session(probes), "reset: cancelled"),
    Attack("datagrams", on_session(datagrams), SERVED),
    Attack("reads_nothing", reads_nothing, "nothing", memory=True),
    Attack("allows_no_streams", allows_no_streams, "nothing", memory=True),
    Attack("acknowledges_nothing", acknowledges_nothing, SERVED, STRICT, memory=True),
    Attack("ignores_stop", ignores_stop, SERVED),
]
# fmt: on


def test_attack(attack, fight):
    fight(attack)
