# SPDX-License-Identifier: MIT OR Apache-2.0
"""What a hostile or broken peer may send: each case is a name and a coroutine on a connected peer.

A case sends its bytes and waits only for answers that the protocol promises. What it may not do is
hurt anybody else: the test checks after each case that a healthy client is served.
"""

import asyncio
import contextlib
import os
import random
import socket
import time

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

import lite
import peer as quic
from lite import message, text
from peer import Ended, split_varint, varint
from relay import HOST

HUGE = (1 << 62) - 1
SEED = 20


def truncations(data):
    return [data[:size] for size in range(len(data))]


# Cases within a moq-lite session, over raw QUIC and over WebTransport alike.


async def truncated_requests_with_fin(session):
    """Every proper prefix of each request, then FIN: none of them may be answered as a request."""
    requests = [
        lite.announce_request("some/prefix"),
        lite.track("a/b", "t"),
        lite.subscribe(9, "a/b", "t"),
        lite.fetch("a/b", "t", 3),
        varint(lite.BIDI_GOAWAY) + message(text("")),
    ]
    streams = [
        session.open(part, fin=True) for request in requests for part in truncations(request)
    ]
    for stream in streams:
        await stream.wait_refused()


async def truncated_requests_left_open(session):
    for request in (lite.announce_request("p"), lite.track("a", "t"), lite.subscribe(9, "a", "t")):
        for part in truncations(request):
            session.open(part)
    await settle(session)


async def requests_reset_half_way(session):
    for part in truncations(lite.subscribe(9, "a/b", "t")):
        stream = session.open(part)
        stream.reset(1)
        stream.stop(1)
    await settle(session)


async def garbage_on_streams(session):
    noise = random.Random(SEED)
    for _ in range(60):
        session.transport.open(
            noise.randbytes(noise.randrange(1, 300)),
            bidi=noise.random() < 0.5,
            fin=noise.random() < 0.5,
        )
    await settle(session)


async def unknown_stream_types(session):
    """Only the stream is refused; the session goes on (moq-lite: streams)."""
    kinds = [0x3F, 0x40, 0x2525, 1 << 40, HUGE]
    streams = [session.open(varint(kind) + message(b"x")) for kind in kinds]
    streams += [session.transport.open(varint(kind) + message(b"x"), bidi=False) for kind in kinds]
    for stream in streams:
        await stream.wait_refused()
    assert not session.transport.ended
    await session.announcements("still/alive")


async def oversize_lengths(session):
    """A length no message has; the bytes never come."""
    for kind in (
        lite.BIDI_ANNOUNCE,
        lite.BIDI_SUBSCRIBE,
        lite.BIDI_FETCH,
        lite.BIDI_TRACK,
        lite.BIDI_GOAWAY,
    ):
        for length in (1 << 27, 1 << 32, HUGE):
            await session.open(varint(kind) + varint(length) + b"abc").wait_refused()


async def oversize_strings(session):
    for kind in (lite.BIDI_ANNOUNCE, lite.BIDI_SUBSCRIBE, lite.BIDI_TRACK):
        for length in (3, 1000, HUGE):
            await session.open(varint(kind) + message(varint(length) + b"ab")).wait_refused()


async def trailing_bytes(session):
    """A message's body must be consumed whole (moq-lite: messages)."""
    bodies = {
        lite.BIDI_ANNOUNCE: text("p"),
        lite.BIDI_TRACK: text("a") + text("t"),
        lite.BIDI_SUBSCRIBE: varint(0) + text("a") + text("t") + bytes(6),
    }
    for kind, body in bodies.items():
        await session.open(varint(kind) + message(body + b"\0\0\0")).wait_refused()


async def not_utf8(session):
    for bad in (b"\xff", b"\xc0\x80", b"ok/\xed\xa0\x80", b"\xf8\x88\x80\x80\x80"):
        await session.open(varint(lite.BIDI_ANNOUNCE) + message(text(bad))).wait_refused()
        await session.open(lite.track(bad, "t")).wait_refused()
        await session.open(lite.subscribe(1, "a", bad)).wait_refused()


async def deep_path(session):
    await session.open(lite.track("/".join("x" * 33), "t")).wait_refused()
    await session.open(lite.subscribe(2, "/".join("x" * 5000), "t")).wait_refused()


async def long_names(session):
    await session.open(lite.track("p" * 60_000, "t" * 60_000)).wait_refused()


async def repeated_setup(session):
    """A second Setup stream ends the session (moq-lite: Setup Stream)."""
    session.transport.open(lite.setup(), bidi=False, fin=True)
    assert await session.transport.wait_end() == lite.SESSION_VIOLATION


async def setup_with_a_repeated_parameter(session):
    """Bad for two reasons: it is a second SETUP as well. BROKEN_SETUPS has it as the first."""
    session.transport.open(lite.setup([(1, b"\1"), (1, b"\1")]), bidi=False, fin=True)
    await session.transport.wait_end()


async def legacy_setup(session):
    """Types of the SETUP of versions 01 and 02 mean nothing here."""
    for kind in (0x00, 0x20, 0x21):
        await session.open(varint(kind) + b"\0\1\0").wait_refused()
    await session.announcements("still/alive")


async def same_subscribe_id_twice(session):
    for _ in range(3):
        await session.open(lite.subscribe(5, "nobody/has/this", "t")).wait_refused()


async def groups_for_nobody(session):
    """GROUP of an id that was never subscribed: the stream is refused, the session lives."""
    streams = [
        session.transport.open(lite.group(number, 0) + lite.frame(b"x" * 500), bidi=False)
        for number in (0, 1, 77, HUGE)
    ]
    for stream in streams:
        await stream.wait_refused()
    await session.announcements("still/alive")


async def goaway_twice(session):
    for _ in range(2):
        session.open(varint(lite.BIDI_GOAWAY) + message(text("")), fin=True)
    await settle(session)


async def goaway_with_a_long_uri(session):
    await session.open(
        varint(lite.BIDI_GOAWAY) + message(text("https://" + "x" * 9000)), fin=True
    ).wait_refused()


async def stray_datagrams(session):
    for data in (
        b"",
        b"\0",
        b"\xff",
        varint(77) + varint(0) + varint(0) + b"x",
        varint(HUGE) * 3,
        os.urandom(1000),
    ):
        session.transport.send_datagram(data)
    await settle(session)
    await session.announcements("still/alive")


async def many_idle_streams(session):
    """More announce streams than anybody needs, then nothing."""
    for number in range(90):
        session.open(lite.announce_request(f"prefix/{number}"))
    await settle(session)


async def stop_what_the_relay_opens(session):
    """STOP_SENDING and reset on the relay's own streams."""
    for queue in session.pending.values():
        while not queue.empty():
            _, stream = queue.get_nowait()
            stream.stop(1)
            if not stream.id & 2:
                stream.reset(1)
    await settle(session)


# Cases of a hostile publisher: they answer the relay's own requests.


async def announcement_ended_that_never_was(session):
    stream = await session.next("bidi", lite.BIDI_ANNOUNCE)
    stream.write(lite.announce_ok(7, 0) + lite.announce_end(3))
    assert await session.transport.wait_end() == lite.SESSION_VIOLATION


async def announced_twice(session):
    """A second START of a live path (moq-lite-06: use UPDATE)."""
    stream = await session.next("bidi", lite.BIDI_ANNOUNCE)
    stream.write(
        lite.announce_ok(7, 1) + lite.announce_start("twice") + lite.announce_start("twice")
    )
    assert await session.transport.wait_end() == lite.SESSION_VIOLATION


async def bad_announcements(session):
    stream = await session.next("bidi", lite.BIDI_ANNOUNCE)
    bad_hops = text("x") + varint(1 << 30) + varint(1)
    stream.write(lite.announce_ok(7, 1) + varint(lite.ANNOUNCE_START) + message(bad_hops))
    await session.transport.wait_end()


async def too_many_hops(session):
    """A path of more than 32 hops is not used; nothing says that the session must end."""
    stream = await session.next("bidi", lite.BIDI_ANNOUNCE)
    stream.write(lite.announce_ok(7, 1) + lite.announce_start("hops", range(100, 140)))
    await settle(session)


async def unknown_announcement_types(session):
    """Skipped by their length; the next announcement keeps its number."""
    stream = await session.next("bidi", lite.BIDI_ANNOUNCE)
    stream.write(
        lite.announce_ok(7, 1) + varint(99) + message(b"future") + lite.announce_start("hostile/ok")
    )
    await session.wait_announced("hostile/ok")
    assert not session.transport.ended


async def oversize_frame(session):
    """A frame that declares more than anybody may send: refused before its bytes are waited for."""
    number = await serve_one(session, "hostile/frame")
    for sequence, size in enumerate((1 << 33, HUGE)):
        data = lite.group(number, sequence) + varint(0) + varint(size) + b"abc"
        await session.transport.open(data, bidi=False).wait_refused()


async def frame_cut_by_fin(session):
    number = await serve_one(session, "hostile/cut")
    session.transport.open(
        lite.group(number, 0) + lite.frame(b"x" * 100)[:50], bidi=False, fin=True
    )
    session.transport.open(lite.group(number, 1), bidi=False, fin=True)
    session.transport.open(lite.group(number, 2) + lite.frame(b""), bidi=False, fin=True)
    session.transport.open(lite.group(number, 2) + lite.frame(b"again"), bidi=False, fin=True)
    session.transport.open(lite.group(number, HUGE) + lite.frame(b"last"), bidi=False, fin=True)
    await settle(session)


async def time_below_zero(session):
    number = await serve_one(session, "hostile/time")
    data = (
        lite.group(number, 0)
        + lite.frame(b"a", 5)
        + lite.frame(b"b", -6)
        + lite.frame(b"c", (1 << 60))
    )
    session.transport.open(data, bidi=False, fin=True)
    await settle(session)


async def track_info_of_nonsense(session):
    """A timescale of 0, then an answer that is cut: the viewer is refused, not left hanging."""
    await session.announce("hostile/info")
    await session.wait_announced("hostile/info")
    for answer in (message(bytes([0, 0, 0])), message(b"\0"), b"\x05\0"):
        asked = session.open(lite.track("hostile/info", "t"))
        stream = await session.next("bidi", lite.BIDI_TRACK)
        stream.write(answer, fin=True)
        await asked.wait_refused()


async def track_never_answered(session):
    """A publisher that stays silent; its viewer leaves meanwhile."""
    await session.announce("hostile/silent")
    await session.wait_announced("hostile/silent")
    asked = session.open(lite.track("hostile/silent", "t"))
    await session.next("bidi", lite.BIDI_TRACK)
    asked.reset(1)
    asked.stop(1)
    await settle(session)


async def serve_one(session, path):
    """Announces `path`, subscribes to it through the relay and answers: the id the relay chose."""
    await session.announce(path)
    await session.wait_announced(path)
    serving = asyncio.create_task(session.serve_track())
    await session.subscribe(path, "video", number=40)
    request, number = await serving
    request.write(lite.subscribe_start(0))
    return number


async def settle(session):
    """Gives the relay time to read what was sent, without asking anything of the answer."""
    await asyncio.sleep(0.1)


def mutated(noise, data):
    """`data` with up to three bytes changed and, now and then, its end cut off or doubled."""
    data = bytearray(data)
    for _ in range(noise.randrange(4)):
        data[noise.randrange(len(data))] = noise.randrange(256)
    fate = noise.random()
    if fate < 0.15:
        del data[noise.randrange(len(data)) :]
    elif fate < 0.25:
        data = data + data
    return bytes(data)


def send_random_groups(noise, session, number):
    for _ in range(noise.randrange(12)):
        frames = [
            lite.frame(noise.randbytes(noise.randrange(3000)), noise.randrange(-3, 9))
            for _ in range(noise.randrange(4))
        ]
        data = lite.group(number, noise.randrange(6)) + b"".join(frames)
        if noise.random() < 0.5:
            data = mutated(noise, data)
        stream = session.transport.open(data, bidi=False, fin=noise.random() < 0.6)
        if noise.random() < 0.2:
            stream.reset(noise.randrange(80))


async def answer_randomly(noise, session, path, kind, stream):
    if kind == lite.BIDI_ANNOUNCE:
        stream.write(lite.announce_ok(7, 1) + lite.announce_start(path))
        if noise.random() < 0.3:
            more = noise.choices([lite.announce_start("x"), lite.announce_end(1)], k=2)
            stream.write(mutated(noise, b"".join(more)))
    elif kind == lite.BIDI_TRACK:
        info = lite.track_info()
        stream.write(info if noise.random() < 0.7 else mutated(noise, info), noise.random() < 0.9)
    elif kind in (lite.BIDI_SUBSCRIBE, lite.BIDI_FETCH):
        number, _ = split_varint(await stream.read_sized())
        send_random_groups(noise, session, number)
        answer = lite.subscribe_start(0) + lite.subscribe_end(noise.randrange(8))
        stream.write(answer if noise.random() < 0.5 else mutated(noise, answer))
        if noise.random() < 0.5:
            stream.finish()
        elif noise.random() < 0.5:
            stream.reset(noise.randrange(80))


async def publish_randomly(noise, session, path):
    """Answers what the relay asks, in valid bytes at first, then in whatever the seed says."""
    while not session.transport.ended:
        kind, stream = await session.pending["bidi"].get()
        with contextlib.suppress(Ended):
            await answer_randomly(noise, session, path, kind, stream)


IN_SESSION = [
    truncated_requests_with_fin,
    truncated_requests_left_open,
    requests_reset_half_way,
    garbage_on_streams,
    unknown_stream_types,
    oversize_lengths,
    oversize_strings,
    trailing_bytes,
    not_utf8,
    deep_path,
    long_names,
    repeated_setup,
    setup_with_a_repeated_parameter,
    legacy_setup,
    same_subscribe_id_twice,
    groups_for_nobody,
    goaway_twice,
    goaway_with_a_long_uri,
    stray_datagrams,
    many_idle_streams,
    stop_what_the_relay_opens,
    announcement_ended_that_never_was,
    announced_twice,
    bad_announcements,
    too_many_hops,
    unknown_announcement_types,
    oversize_frame,
    frame_cut_by_fin,
    time_below_zero,
    track_info_of_nonsense,
    track_never_answered,
]


# First bytes of a raw session: instead of a good SETUP.

BROKEN_SETUPS = {
    "empty": b"",
    "type only": varint(lite.UNI_SETUP),
    "cut": lite.setup([(2, b"/path")])[:-3],
    "a length beyond the stream": varint(lite.UNI_SETUP) + varint(100) + b"\0",
    "a huge length": varint(lite.UNI_SETUP) + varint(HUGE),
    "repeated parameter": lite.setup([(1, b"\1"), (1, b"\1")]),
    "too many parameters": lite.setup([(1000 + i, b"") for i in range(100)]),
    "a count beyond the body": varint(lite.UNI_SETUP) + message(varint(HUGE)),
    "a path that is not UTF-8": lite.setup([(lite.PARAMETER_PATH, b"/\xff\xfe")]),
    "a path of many parts": lite.setup([(lite.PARAMETER_PATH, b"/x" * 500)]),
    "a parameter of two varints": lite.setup([(1, b"\1\1")]),
    "trailing bytes": varint(lite.UNI_SETUP) + message(varint(0) + b"xyz"),
    "bytes after the message": lite.setup() + b"xyz",
    "a group first": lite.group(0, 0) + lite.frame(b"x"),
}


# HTTP/3.

H3_ID, H3_SETTINGS, H3_FRAME, H3_FRAME_UNEXPECTED = 0x108, 0x109, 0x106, 0x105
H3_STREAM_CREATION, H3_CLOSED_CRITICAL, H3_MISSING_SETTINGS = 0x103, 0x104, 0x10A
QPACK_FAILED, QPACK_ENCODER_STREAM = 0x200, 0x201
H3_DATAGRAM = 0x33

# What is sent on a unidirectional stream, and the connection errors that RFC 9114 names for it.
H3_UNI_ERRORS = {
    "no settings first": (
        b"\0" + quic.frame(quic.FRAME_DATA, b"x"),
        {H3_MISSING_SETTINGS, H3_FRAME_UNEXPECTED},
    ),
    "settings twice": (b"\0" + quic.settings_frame() * 2, {H3_FRAME_UNEXPECTED, H3_SETTINGS}),
    "a setting twice": (b"\0" + quic.frame(quic.FRAME_SETTINGS, b"\x08\1\x08\1"), {H3_SETTINGS}),
    "a setting of HTTP/2": (b"\0" + quic.frame(quic.FRAME_SETTINGS, b"\x02\0"), {H3_SETTINGS}),
    "a cut setting": (b"\0" + quic.frame(quic.FRAME_SETTINGS, b"\x08"), {H3_SETTINGS, H3_FRAME}),
    "data on control": (
        b"\0" + quic.settings_frame() + quic.frame(quic.FRAME_DATA, b"x"),
        {H3_FRAME_UNEXPECTED},
    ),
    "headers on control": (
        b"\0" + quic.settings_frame() + quic.frame(quic.FRAME_HEADERS, b"\0\0"),
        {H3_FRAME_UNEXPECTED},
    ),
    "push from a client": (b"\1\0", {H3_STREAM_CREATION}),
}


async def unknown_quic_version(port):
    """An Initial of an unknown version is answered by Version Negotiation (RFC 9000 section 6)."""
    destination, source = os.urandom(8), os.urandom(8)
    packet = b"\xc0" + b"\x1a\x2a\x3a\x4a" + bytes([8]) + destination + bytes([8]) + source
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setblocking(False)
        udp.connect((HOST, port))
        await loop.sock_sendall(udp, packet.ljust(1200, b"\0"))
        answer = await asyncio.wait_for(loop.sock_recv(udp, 2048), 5)
    assert answer[0] & 0x80 and answer[1:5] == bytes(4), answer.hex()
    rest = answer[5:]
    assert rest[0] == 8 and rest[1:9] == source
    assert rest[9] == 8 and rest[10:18] == destination
    versions = {rest[i : i + 4] for i in range(18, len(rest), 4)}
    assert b"\0\0\0\1" in versions


async def no_version_negotiation_for_small_packets(port):
    """The answer must not be larger than the question's minimum allows (RFC 9000 section 6)."""
    packet = b"\xc0" + b"\x1a\x2a\x3a\x4a" + bytes([8]) + os.urandom(8) + bytes([8]) + os.urandom(8)
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setblocking(False)
        udp.connect((HOST, port))
        await loop.sock_sendall(udp, packet)
        try:
            answer = await asyncio.wait_for(loop.sock_recv(udp, 2048), 0.5)
        except TimeoutError:
            return
        raise AssertionError(f"answered with {len(answer)} bytes")


def junk_packets():
    """Datagrams that are no packets, or almost."""
    noise = random.Random(SEED)
    yield b""
    yield b"\0"
    for size in (1, 2, 5, 20, 21, 41, 100, 1200, 1500, 9000, 65000):
        yield noise.randbytes(size)
    initial = (
        b"\xc3" + b"\0\0\0\1" + bytes([8]) + noise.randbytes(8) + bytes([8]) + noise.randbytes(8)
    )
    for kind in (0xC0, 0xD0, 0xE0, 0xF0):
        yield (bytes([kind]) + initial[1:]).ljust(1200, b"\0")
    for cut in range(0, len(initial), 3):
        yield initial[:cut]
    yield b"\xc3" + b"\0\0\0\1" + bytes([255]) + noise.randbytes(1194)
    yield initial + varint(HUGE) + noise.randbytes(1100)
    yield initial + varint(0) + varint(HUGE) + noise.randbytes(1100)
    yield b"\x40" + noise.randbytes(60)
    yield b"\xc3" + bytes(4) + noise.randbytes(1195)


async def send_junk(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect((HOST, port))
        for packet in junk_packets():
            with contextlib.suppress(OSError):
                udp.send(packet)
            await asyncio.sleep(0)


def abandon_handshakes(port, count):
    """First packets of clients that never answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for _ in range(count):
            configuration = QuicConfiguration(
                alpn_protocols=["moq-lite-06"], server_name="localhost"
            )
            client = QuicConnection(configuration=configuration)
            client.connect((HOST, port), now=time.time())
            for data, _ in client.datagrams_to_send(now=time.time()):
                udp.sendto(data, (HOST, port))
