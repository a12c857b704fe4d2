# SPDX-License-Identifier: MIT OR Apache-2.0
"""Attacks of a publisher: storms of announcements, groups and frames of every bad shape."""

import asyncio
import os

import pytest

import lite
from attack import MIB, SERVED, Attack, all_streams, connection_end, resident, still_served, stream_end
from bystander import PATH
from hostile import HUGE, serve_one, truncations
from lite import message, open_session, text
from packets import flood, stream_frame
from peer import Ended, varint

pytestmark = pytest.mark.ours

REPEAT = int(os.environ.get("MOQ_REPEAT", "400"))
SMALL = ("--cache-capacity", "8MiB")
STRICT = (
    "--limits-group-bytes",
    "1MiB",
    "--limits-frame-bytes",
    "512KiB",
    "--limits-message-timeout",
    "1s",
    "--publish-takeover",
    "never",
)


def publisher(attack):
    """A coroutine on a session that publishes `bad/cam` and watches it: what it returns, or how the session ended."""

    async def run(relay):
        async with open_session(relay) as session:
            try:
                return await attack(session, await serve_one(session, "bad/cam"))
            except Ended:
                return await connection_end(session.transport.peer)

    return run


def announcer(attack):
    """A coroutine on a session and the stream on which the relay asked for its announcements."""

    async def run(relay):
        async with open_session(relay) as session:
            stream = await session.next("bidi", lite.BIDI_ANNOUNCE)
            await stream.read_sized()
            try:
                return await attack(session, stream)
            except Ended:
                return await connection_end(session.transport.peer)

    return run


def send(session, data, fin=True):
    return session.transport.open(data, bidi=False, fin=fin)


async def paced(number, every=25):
    if number % every == every - 1:
        await asyncio.sleep(0)


# Announcements.


def long_path(number):
    """As long and as deep as a path may be."""
    return f"{number}/" + "/".join("x" * 31 for _ in range(31))


async def long_paths(session, stream):
    stream.write(lite.announce_ok(7, 900))
    for number in range(900):
        stream.write(lite.announce_start(long_path(number)))
        await paced(number)
    return await still_served(session)


async def too_many_paths(session, stream):
    stream.write(lite.announce_ok(7, 0))
    for number in range(1100):
        stream.write(lite.announce_start(f"many/{number}"))
        await paced(number)
    return await connection_end(session.transport.peer)


async def announce_and_end(session, stream):
    """The same path comes and goes."""
    stream.write(lite.announce_ok(7, 0))
    for number in range(REPEAT * 5):
        stream.peer.quic.send_stream_data(stream.id, lite.announce_start("now/and/then") + lite.announce_end(number))
        if number % 50 == 49:
            stream.peer.transmit()
            await asyncio.sleep(0)
    return await still_served(session)


async def updates(session, stream):
    """A path whose cost changes all the time."""
    stream.write(lite.announce_ok(7, 1) + lite.announce_start("dear/or/cheap"))
    for number in range(REPEAT * 5):
        body = varint(0) + varint(0) + varint(number % 100) + varint(5)
        stream.peer.quic.send_stream_data(stream.id, varint(lite.ANNOUNCE_UPDATE) + message(body))
        if number % 50 == 49:
            stream.peer.transmit()
            await asyncio.sleep(0)
    return await still_served(session)


def announcements(*sent, ok=True):
    async def run(session, stream):
        stream.write((lite.announce_ok(7, 1) if ok else b"") + b"".join(sent))
        await asyncio.sleep(0.1)
        peer = session.transport.peer
        return await connection_end(peer) if peer.ended is not None else await still_served(session)

    return announcer(run)


async def announcement_cut(relay):
    """The announce stream ends, or is reset, after each byte of an announcement."""
    whole = lite.announce_ok(7, 1) + lite.announce_start("cut/short", (1, 2))
    seen = set()
    for number, part in enumerate(truncations(whole)):
        async with open_session(relay) as session:
            stream = await session.next("bidi", lite.BIDI_ANNOUNCE)
            stream.write(part)
            if number % 2:
                stream.reset(1)
            else:
                stream.finish()
            seen.add(await still_served(session))
    return seen.pop() if len(seen) == 1 else seen


async def path_of_others(session, stream):
    """The healthy publisher's own path, with publish.takeover = never."""
    stream.write(lite.announce_ok(7, 1) + lite.announce_start(PATH))
    await asyncio.sleep(1)
    return await still_served(session)


# Groups and frames.


async def one_byte_frames(session, number):
    """Groups of as many frames of a byte as there may be, to a viewer that takes them."""
    data = lite.frame(b"x") * 8000
    for sequence in range(8):
        send(session, lite.group(number, sequence) + data)
        await asyncio.sleep(0.02)
    return await still_served(session)


async def one_byte_packets(session, number):
    """A frame a packet, a byte a frame, one at a time."""
    peer = session.transport.peer
    stream = send(session, lite.group(number, 0), fin=False)
    offset = [len(lite.group(number, 0))]

    def one(i):
        data = lite.frame(b"x")
        offset[0] += len(data)
        return stream_frame(stream.id, offset[0] - len(data), data)

    for _ in range(40):
        await flood(peer, one, 50)
        await asyncio.sleep(0.005)
    return await still_served(session)


async def too_many_frames(session, number):
    return await stream_end(send(session, lite.group(number, 0) + lite.frame(b"") * 8193, fin=False))


async def empty_groups(session, number):
    for sequence in range(REPEAT):
        send(session, lite.group(number, sequence))
        await paced(sequence)
    return await still_served(session)


async def groups_backwards(session, number):
    """Each older than the one before."""
    for sequence in range(REPEAT, 0, -1):
        send(session, lite.group(number, sequence) + lite.frame(b"x" * 100))
        await paced(sequence)
    return await still_served(session)


async def groups_twice(session, number):
    pairs = []
    for sequence in range(100):
        data = (lite.group(number, sequence) + lite.frame(fill * 100) for fill in (b"x", b"y"))
        pairs.append([send(session, one, fin=False) for one in data])
    for _ in range(100):
        seen = {tuple(sorted(s.stop_code or 0 for s in pair)) for pair in pairs}
        if (0, 0) not in seen:
            break
        await asyncio.sleep(0.1)
    return "one of each: old" if seen == {(0, 0x34)} else seen


async def groups_of_2_62(session, number):
    return await all_streams(
        [send(session, lite.group(number, n) + lite.frame(b"x"), fin=False) for n in (HUGE, 1 << 53)]
    )


async def groups_never_ended(session, number):
    """A thousand streams, each with a group that goes on for ever."""

    def one(sequence):
        data = lite.group(number, sequence) + varint(0) + varint(30 * MIB) + b"x"
        return stream_frame(1002 + 4 * sequence, 0, data)

    await flood(session.transport.peer, one, 1000)
    await asyncio.sleep(0.2)
    return await still_served(session)


async def group_cut_at_each_byte(session, number):
    data = lite.frame(b"x" * 20, 3) + lite.frame(b"", -3) + lite.frame(b"y" * 5)
    for sequence, part in enumerate(truncations(lite.group(number, 0)[:-2] + data)):
        whole = lite.group(number, sequence) + part
        send(session, whole[: len(part) + 1], fin=True)
        send(session, lite.group(number, 1000 + sequence) + part, fin=False).reset(7)
    return await still_served(session)


async def frame_of_2_62(session, number):
    sizes = (33 * MIB, 1 << 40, HUGE)
    return await all_streams(
        [send(session, lite.group(number, i) + varint(0) + varint(n) + b"x", fin=False) for i, n in enumerate(sizes)]
    )


async def frame_beyond_the_budget(relay):
    """One frame that is larger than the whole cache, sent as fast as the relay takes it."""
    async with open_session(relay) as session:
        number = await serve_one(session, "bad/cam")
        before = resident(relay)
        stream = send(session, lite.group(number, 0) + varint(0) + varint(30 * MIB), fin=False)
        for _ in range(120):
            try:
                stream.write(bytes(MIB // 4))
            except Ended:
                break
            await asyncio.sleep(0.005)
        seen = await stream_end(stream)
        assert resident(relay) < before + 40 * MIB, (before, resident(relay))
        return seen


async def many_edges(relay):
    """Forty tracks whose newest groups together are more than the cache, all of them written again and again."""
    async with open_session(relay) as session:
        await session.announce("bad/cam")
        await session.wait_announced("bad/cam")
        streams = []
        for track in range(40):
            serving = asyncio.create_task(session.serve_track())
            session.open(lite.subscribe(1000 + track, "bad/cam", f"t{track}", max_age=1000))
            request, number = await serving
            request.write(lite.subscribe_start(0))
            streams.append(send(session, lite.group(number, 0), fin=False))
        for _ in range(30):
            for stream in streams:
                if stream.stop_code is None:
                    stream.write(lite.frame(bytes(16_000)))
            await asyncio.sleep(0.02)
        return await still_served(session)


async def group_too_large(session, number):
    stream = send(session, lite.group(number, 0) + lite.frame(bytes(400_000)) * 3, fin=False)
    return await stream_end(stream)


async def times(session, number):
    """Timestamps before the beginning and after the end of time."""
    deltas = ((5, -6), (1 << 60, 1 << 60), (0, -(1 << 60)))
    streams = [
        send(session, lite.group(number, i) + lite.frame(b"a", a) + lite.frame(b"b", b), fin=False)
        for i, (a, b) in enumerate(deltas)
    ]
    return await all_streams(streams)


async def datagram_flood(session, number):
    for sequence in range(3000):
        session.transport.peer.quic.send_datagram_frame(varint(number) + varint(sequence) + b"\0" + bytes(800))
        if sequence % 25 == 24:
            session.transport.peer.transmit()
            await asyncio.sleep(0)
    return await still_served(session)


async def end_of_2_62(relay):
    """SUBSCRIBE_END with a group that no track has, twice, then groups all the same."""
    async with open_session(relay) as session:
        await session.announce("bad/cam")
        await session.wait_announced("bad/cam")
        serving = asyncio.create_task(session.serve_track())
        session.open(lite.subscribe(40, "bad/cam", "video"))
        request, number = await serving
        request.write(lite.subscribe_start(HUGE) + lite.subscribe_end(HUGE) * 2)
        for sequence in range(50):
            send(session, lite.group(number, sequence) + lite.frame(b"x"))
        return await still_served(session)


async def answers_of_nonsense(relay):
    """TRACK is answered with every beginning of an answer and with noise: whoever asked is refused."""
    async with open_session(relay) as session:
        await session.announce("bad/cam")
        await session.wait_announced("bad/cam")
        streams = []
        for number, answer in enumerate(
            [*truncations(lite.track_info()), message(os.urandom(9)), message(bytes(3)), b"\xff" * 9]
        ):
            streams.append(session.open(lite.track("bad/cam", f"t{number}")))
            asked = await session.next("bidi", lite.BIDI_TRACK)
            asked.write(answer, fin=True)
        seen = await all_streams(streams)
        return "refused" if isinstance(seen, set) and all("reset" in one for one in seen) or "reset" in seen else seen


async def never_answers(relay):
    """It announces, and is silent when it is asked: whoever asked is told in time."""
    async with open_session(relay) as session:
        await session.announce("bad/cam")
        await session.wait_announced("bad/cam")
        return await all_streams([session.open(lite.track("bad/cam", f"t{i}")) for i in range(50)])


# fmt: off
ATTACKS = [
    # name, what is done, what the attacker must see
    Attack("long_paths", announcer(long_paths), SERVED, memory=True),
    Attack("too_many_paths", announcer(too_many_paths), "session: internal"),
    Attack("announce_and_end", announcer(announce_and_end), SERVED, memory=True),
    Attack("updates", announcer(updates), SERVED),
    Attack("announced_twice", announcements(lite.announce_start("a"), lite.announce_start("a")), "session: violation"),
    Attack("end_of_nothing", announcements(lite.announce_end(HUGE)), "session: violation"),
    Attack("path_of_65_parts", announcements(lite.announce_start("/".join("x" * 65))), "session: violation"),
    Attack("path_with_a_zero", announcements(lite.announce_start(b"a\0b")), "session: violation"),
    Attack("path_of_2_62", announcements(b"\0" + message(varint(HUGE) + b"a")), "session: violation"),
    Attack("announcement_of_2_62", announcements(b"\0" + varint(HUGE)), SERVED),
    Attack("hops_of_2_62", announcements(b"\0" + message(text("a") + varint(HUGE))), "session: violation"),
    Attack("announcement_first", announcements(lite.announce_start("a"), ok=False), "session: violation"),
    Attack("announcement_cut", announcement_cut, SERVED),
    Attack("path_of_others", announcer(path_of_others), SERVED, STRICT),
    Attack("one_byte_frames", publisher(one_byte_frames), SERVED, memory=True),
    Attack("one_byte_packets", publisher(one_byte_packets), SERVED),
    Attack("too_many_frames", publisher(too_many_frames), "stopped: group too large"),
    Attack("empty_groups", publisher(empty_groups), SERVED, memory=True),
    Attack("groups_backwards", publisher(groups_backwards), SERVED),
    Attack("groups_twice", publisher(groups_twice), "one of each: old"),
    Attack("groups_of_2_62", publisher(groups_of_2_62), "stopped: old"),
    Attack("groups_never_ended", publisher(groups_never_ended), SERVED, memory=True),
    Attack("group_cut", publisher(group_cut_at_each_byte), SERVED),
    Attack("frame_of_2_62", publisher(frame_of_2_62), "stopped: frame too large"),
    Attack("group_too_large", publisher(group_too_large), "stopped: group too large", STRICT),
    Attack("frame_beyond_the_budget", frame_beyond_the_budget, "stopped: evicted", SMALL, memory=True),
    Attack("many_edges", many_edges, SERVED, SMALL, memory=True),
    Attack("times", publisher(times), "stopped: timestamp"),
    Attack("datagram_flood", publisher(datagram_flood), SERVED),
    Attack("end_of_2_62", end_of_2_62, SERVED),
    Attack("answers_of_nonsense", answers_of_nonsense, "refused"),
    Attack("never_answers", never_answers, "reset: control timeout", STRICT),
]
# fmt: on


def test_attack(attack, fight):
    fight(attack)
