# SPDX-License-Identifier: MIT OR Apache-2.0
"""Attacks on HTTP/3 and WebTransport: their streams, frames, header fields, capsules and sessions."""

import asyncio

import pytest

import peer as h3
from attack import SERVED, Attack, all_streams, connection_end, still_served, stream_end
from hostile import HUGE
from lite import open_session
from peer import (
    BIDI_WEBTRANSPORT,
    CAPSULE_CLOSE,
    FRAME_DATA,
    FRAME_HEADERS,
    FRAME_SETTINGS,
    STREAM_WEBTRANSPORT,
    Ended,
    Http3,
    field_section,
    frame,
    open_peer,
    open_webtransport,
    request_fields,
    settings_frame,
    varint,
)

pytestmark = pytest.mark.ours

OVER = "connection: "
REJECTED = "reset: H3_REQUEST_REJECTED"
LATE = "reset: buffered stream rejected"
STREAM_QPACK_ENCODER, STREAM_QPACK_DECODER = 2, 3
FRAME_MAX_PUSH_ID, FRAME_CANCEL_PUSH, FRAME_PUSH_PROMISE = 0x0D, 0x03, 0x05
CAPSULE_DRAIN = 0x78AE


def headers(fields):
    return frame(FRAME_HEADERS, field_section(fields))


def connect_fields(path="/"):
    return request_fields("CONNECT", path, protocol="webtransport") + [("wt-available-protocols", '"moq-lite-06"')]


# On connections without a session.


def first_bytes(data, bidi=False, fin=False):
    """A connection whose first stream says this: how the connection ends."""

    async def run(relay):
        async with open_peer(relay.port, "h3") as peer:
            peer.open_quic(bidi).write(data, fin)
            return await connection_end(peer)

    return run


def on_control(data):
    """After good SETTINGS: how the connection ends, or that it does not."""

    async def run(relay):
        async with open_peer(relay.port, "h3") as peer:
            http = Http3(peer)
            try:
                for at in range(0, len(data), 1000):
                    http.control.write(data[at : at + 1000])
                    await asyncio.sleep(0)
                await peer.ping()
                status, _ = await http.get("/")
            except (Ended, ConnectionError):
                return await connection_end(peer)
            return SERVED if status < 500 else status

    return run


async def second_of_each_critical_stream(relay):
    seen = set()
    for kind in (h3.STREAM_CONTROL, STREAM_QPACK_ENCODER, STREAM_QPACK_DECODER):
        async with open_peer(relay.port, "h3") as peer:
            http = Http3(peer)
            for _ in range(2):
                peer.open_quic(bidi=False).write(varint(kind))
            seen.add(await connection_end(peer))
            del http
    return seen.pop() if len(seen) == 1 else seen


async def critical_streams_ended_at_each_byte(relay):
    """The control stream ends, or is reset, after each byte of its SETTINGS."""
    whole = varint(h3.STREAM_CONTROL) + settings_frame()
    seen = set()
    for size in range(1, len(whole) + 1, 3):
        for how in (lambda s: s.finish(), lambda s: s.reset(7)):
            async with open_peer(relay.port, "h3") as peer:
                stream = peer.open_quic(bidi=False).write(whole[:size])
                how(stream)
                seen.add(await connection_end(peer))
    return seen.pop() if len(seen) == 1 else seen


async def request_cut_at_each_byte(relay):
    """A CONNECT that ends, or is reset, within its HEADERS; then a whole one on the same connection."""
    whole = headers(connect_fields())
    async with open_peer(relay.port, "h3") as peer:
        http = Http3(peer)
        for number, size in enumerate(range(1, len(whole), 2)):
            stream = peer.open_quic().write(whole[:size], fin=number % 2 == 0)
            if number % 2:
                stream.reset(1)
            if number % 10 == 9:
                await asyncio.sleep(0.02)
        stream, answer = await http.connect("/", ["moq-lite-06"])
        del stream
        return SERVED if answer[":status"] == "200" else answer


async def request_in_single_bytes(relay):
    async with open_peer(relay.port, "h3") as peer:
        Http3(peer)
        stream = peer.open_quic()
        for byte in headers(connect_fields()):
            stream.write(bytes([byte]))
            await asyncio.sleep(0)
        return SERVED if (await Http3.response(stream))[":status"] == "200" else "refused"


async def many_connects_at_once(relay):
    """One is the session's; the others are refused, each on its stream."""
    async with open_peer(relay.port, "h3") as peer:
        http = Http3(peer)
        streams = [http.request(connect_fields(f"/{i}"), fin=False) for i in range(60)]
        answer = await http.response(streams[0])
        assert answer[":status"] == "200"
        return await all_streams(streams[1:])


async def connects_without_end(relay):
    async with open_peer(relay.port, "h3") as peer:
        http = Http3(peer)
        for number in range(300):
            try:
                stream = http.request(request_fields("CONNECT", f"/{number}", protocol="websocket"))
                await stream.wait_refused()
            except Ended:
                break
            if peer.ended is not None:
                break
        return await connection_end(peer)


async def requests_never_finished(relay):
    """HEADERS that lack their last byte, on as many streams as there may be: few are kept."""
    async with open_peer(relay.port, "h3") as peer:
        Http3(peer)
        streams = [peer.open_quic().write(headers(connect_fields("/" + "x" * 9000))[:-1]) for _ in range(60)]
        return await all_streams(streams[20:])


async def connect_without_settings(relay):
    """Nothing begins before SETTINGS; the connection is closed in time."""
    async with open_peer(relay.port, "h3") as peer:
        stream = peer.open_quic().write(headers(connect_fields()))
        for _ in range(20):
            await asyncio.sleep(0.6)
            if peer.ended is not None or stream.buffer:
                break
        return await connection_end(peer)


async def streams_before_connect(relay):
    """More than may wait, for a session that never comes: those beyond it are refused at once, the rest later."""
    async with open_peer(relay.port, "h3") as peer:
        Http3(peer)
        late = [
            peer.open_quic(number % 2 == 0).write(
                varint(BIDI_WEBTRANSPORT if number % 2 == 0 else STREAM_WEBTRANSPORT) + varint(0) + bytes(500)
            )
            for number in range(1, 201)
        ]
        return await all_streams([stream for stream in late[40:] if not stream.id & 2])


async def streams_of_no_type(relay):
    """More streams than may be, whose first varint is never whole: the next ones are refused, whatever they are."""
    async with open_peer(relay.port, "h3") as peer:
        http = Http3(peer)
        for number in range(1200):
            peer.quic.send_stream_data(peer.open_quic(number % 2 == 0).id, b"\x40")
        peer.transmit()
        await asyncio.sleep(0.3)
        stream = http.request(request_fields("GET", "/"))
        return await stream_end(stream)


async def datagrams_before_connect(relay):
    async with open_peer(relay.port, "h3") as peer:
        http = Http3(peer)
        for number in range(2000):
            peer.quic.send_datagram_frame(varint(number % 3) + bytes(1000))
            if number % 50 == 49:
                peer.transmit()
                await asyncio.sleep(0)
        status, _ = await http.get("/")
        return SERVED if status < 500 else status


# Header fields.


def section(data):
    """A request with this field section: how its stream, or the connection, ends."""

    async def run(relay):
        async with open_peer(relay.port, "h3") as peer:
            http = Http3(peer)
            stream = peer.open_quic().write(frame(FRAME_HEADERS, data), True)
            try:
                return "status " + (await http.response(stream))[":status"]
            except Ended:
                return await stream_end(stream)

    return run


def declared(kind, size):
    """A frame that declares this size, and nothing more."""

    async def run(relay):
        async with open_peer(relay.port, "h3") as peer:
            http = Http3(peer)
            stream = peer.open_quic().write(varint(kind) + varint(size) + b"\0\0")
            try:
                return "status " + (await http.response(stream))[":status"]
            except Ended:
                return await stream_end(stream)

    return run


def huffman_bomb():
    """`:path` in Huffman code of five bits a letter: 16 KiB that become 26."""
    coded = b"\x18\xc6\x31\x8c\x63" * 3200  # eight letters 'a' in five bytes
    return b"\0\0\xd1\xd7\x50\x01x\x51" + h3._prefixed(0x80, 7, len(coded)) + coded


# Capsules and sessions.


def capsules(data, fin=False):
    """On a session's CONNECT stream: how the session ends, or that it does not."""

    async def run(relay):
        async with open_session(relay, "https") as session:
            stream = session.transport.stream
            try:
                for at in range(0, len(data), 1000):
                    stream.write(data[at : at + 1000])
                    await asyncio.sleep(0)
                if fin:
                    stream.finish()
                await asyncio.sleep(0.1)
                if fin or session.transport.ended:
                    return await connection_end(session.transport.peer)
            except Ended:
                return await connection_end(session.transport.peer)
            return await still_served(session)

    return run


def data_frames(body, each=900):
    return b"".join(frame(FRAME_DATA, body[at : at + each]) for at in range(0, len(body), each))


async def capsule_cut_at_each_byte(relay):
    """CLOSE that ends within itself is a broken session, not a clean one."""
    whole = varint(CAPSULE_CLOSE) + varint(7) + (9).to_bytes(4, "big") + b"bye"
    seen = set()
    for size in range(1, len(whole)):
        async with open_webtransport(relay.port) as session:
            session.stream.write(frame(FRAME_DATA, whole[:size]), True)
            seen.add(await connection_end(session.peer))
    return seen.pop() if len(seen) == 1 else seen


async def connect_reset(relay):
    """The CONNECT stream is reset while the session's streams are open."""
    async with open_session(relay, "https") as session:
        for _ in range(50):
            session.open(b"\x01")
        session.transport.stream.reset(1)
        return await connection_end(session.transport.peer)


async def streams_of_other_sessions(relay):
    async with open_session(relay, "https") as session:
        streams = [
            session.transport.peer.open_quic().write(varint(BIDI_WEBTRANSPORT) + varint(4 * n) + b"x" * 50)
            for n in range(5, 300)
        ]
        seen = await all_streams(streams)
        assert await still_served(session) == SERVED
        return seen


async def session_after_session(relay):
    """Whole connections with a session each, closed by the client in every way, one after the other."""
    for number in range(20):
        async with open_webtransport(relay.port) as session:
            if number % 3 == 0:
                session.stream.finish()
            elif number % 3 == 1:
                session.stream.reset(3)
    return "done"


def over(name):
    return OVER + name


SETTINGS_BOMB = frame(FRAME_SETTINGS, b"\x40\x21\0" * 20000)
ENDLESS = b"\xff" * 8 + b"\x7f"  # the rest of a number of QPACK

# fmt: off
ATTACKS = [
    # name, what is done, what the attacker must see
    Attack("settings_cut", first_bytes(b"\0\4\1\x08"), over("H3_FRAME_ERROR")),
    Attack("settings_of_2_62", first_bytes(b"\0\4" + varint(HUGE)), over("H3_EXCESSIVE_LOAD")),
    Attack("settings_of_64_kib", first_bytes(b"\0" + SETTINGS_BOMB), over("H3_EXCESSIVE_LOAD")),
    Attack("settings_again", on_control(settings_frame()), over("H3_FRAME_UNEXPECTED")),
    Attack("settings_flood", on_control(settings_frame({}) * 5000), over("H3_FRAME_UNEXPECTED")),
    Attack("data_before_settings", first_bytes(b"\0\0\1x"), over("H3_MISSING_SETTINGS")),
    Attack("unknown_frames_flood", on_control(frame(0x21, b"x") * 50000), SERVED),
    Attack("unknown_frame_of_2_62", on_control(varint(0x21) + varint(HUGE) + bytes(100_000)), SERVED),
    Attack("max_push_ids", on_control(frame(FRAME_MAX_PUSH_ID, b"\1") * 50000), SERVED),
    Attack("cancel_push_of_nothing", on_control(frame(FRAME_CANCEL_PUSH, b"")), over("H3_FRAME_ERROR")),
    Attack("http2_frames", on_control(frame(0x06, bytes(8))), over("H3_FRAME_UNEXPECTED")),
    Attack("push_stream", first_bytes(b"\1\0"), over("H3_STREAM_CREATION_ERROR")),
    Attack("push_promise", first_bytes(frame(FRAME_PUSH_PROMISE, b"\0\0\0"), True), over("H3_FRAME_UNEXPECTED")),
    Attack("data_first", first_bytes(frame(FRAME_DATA, b"x"), True), over("H3_FRAME_UNEXPECTED")),
    Attack("critical_streams_twice", second_of_each_critical_stream, over("H3_STREAM_CREATION_ERROR")),
    Attack("critical_streams_end", critical_streams_ended_at_each_byte, over("H3_CLOSED_CRITICAL_STREAM")),
    Attack("qpack_insert", first_bytes(b"\2\x41a\1b"), over("QPACK_ENCODER_STREAM_ERROR")),
    Attack("qpack_capacity", first_bytes(b"\2\x3f\xe1\xff\x03"), over("QPACK_ENCODER_STREAM_ERROR")),
    Attack("qpack_acknowledge", first_bytes(b"\3\x81"), over("QPACK_DECODER_STREAM_ERROR")),
    Attack("request_cut", request_cut_at_each_byte, SERVED),
    Attack("request_in_bytes", request_in_single_bytes, SERVED),
    Attack("connects_at_once", many_connects_at_once, REJECTED),
    Attack("connect_flood", connects_without_end, over("H3_EXCESSIVE_LOAD")),
    Attack("requests_never_finished", requests_never_finished, REJECTED, memory=True),
    Attack("connect_without_settings", connect_without_settings, over("H3_NO_ERROR")),
    Attack("streams_before_connect", streams_before_connect, LATE),
    Attack("streams_of_no_type", streams_of_no_type, LATE, memory=True),
    Attack("datagrams_before_connect", datagrams_before_connect, SERVED),
    Attack("header_of_64_kib", section(field_section(request_fields("GET", "/" + "x" * 65000))), "status 431"),
    Attack("header_bomb", section(b"\0\0" + b"\xd1" * 16000), "status 431"),
    Attack("huffman_bomb", section(huffman_bomb()), "status 431", memory=True),
    Attack("headers_of_2_62", declared(FRAME_HEADERS, HUGE), "status 431"),
    Attack("string_of_2_62", section(b"\0\0\x27" + ENDLESS), over("QPACK_DECOMPRESSION_FAILED")),
    Attack("index_of_2_62", section(b"\0\0\xff" + ENDLESS), over("QPACK_DECOMPRESSION_FAILED")),
    Attack("unknown_capsules", capsules(data_frames((varint(0x17) + varint(3) + b"abc") * 40000)), SERVED, memory=True),
    Attack("drain_flood", capsules(data_frames((varint(CAPSULE_DRAIN) + b"\0") * 40000)), SERVED),
    Attack("empty_data_frames", capsules(frame(FRAME_DATA, b"") * 50000), SERVED),
    Attack("capsule_of_2_62", capsules(data_frames(varint(0x17) + varint(HUGE) + bytes(50000))), SERVED),
    Attack("close_of_2_62", capsules(data_frames(varint(CAPSULE_CLOSE) + varint(HUGE))), over("H3_MESSAGE_ERROR")),
    Attack("close_cut", capsule_cut_at_each_byte, over("H3_NO_ERROR")),
    Attack("headers_in_session", capsules(headers(connect_fields())), over("H3_FRAME_UNEXPECTED")),
    Attack("session_reset", connect_reset, over("H3_NO_ERROR")),
    Attack("streams_of_other_sessions", streams_of_other_sessions, LATE),
    Attack("session_after_session", session_after_session, "done", memory=True),
]
# fmt: on


def test_attack(attack, fight):
    fight(attack)
