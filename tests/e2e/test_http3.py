# SPDX-License-Identifier: MIT OR Apache-2.0
"""The relay's HTTP/3: every request is answered, errors stay where the specifications put them.

The Rust relay ends the connection on anything but a CONNECT, so all of this is about ours.
"""

import asyncio

import pytest

import hostile
import lite
import peer as quic
from clients import run_async
from peer import Ended, Http3, open_peer, open_webtransport, request_fields, varint

pytestmark = [pytest.mark.ours, pytest.mark.usefixtures("still_healthy")]


@run_async()
async def test_plain_get_is_answered_and_the_connection_lives(relay):
    async with open_peer(relay.port, "h3") as peer:
        http = Http3(peer)
        for path in ("/", "/no/such/page", "/certificate.sha256", "/?" + "q" * 2000):
            status, _ = await http.get(path)
            assert 200 <= status < 500
        stream, fields = await http.connect("/", ["moq-lite-06"])
        assert fields[":status"] == "200"
        assert fields["wt-protocol"] == '"moq-lite-06"'
        assert peer.ended is None


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "BREW", "CONNECT"])
@run_async()
async def test_other_methods_are_answered(relay, method):
    async with open_peer(relay.port, "h3") as peer:
        http = Http3(peer)
        stream = http.request(request_fields(method, "/x"))
        try:
            fields = await http.response(stream)
            assert fields[":status"][0] in "45"
        except Ended:
            assert stream.reset_code is not None
        assert (await http.get("/"))[0] < 500


MALFORMED = {
    "no method": [(":scheme", "https"), (":authority", "x"), (":path", "/")],
    "no path": [(":method", "GET"), (":scheme", "https"), (":authority", "x")],
    "method twice": request_fields("GET", "/") + [(":method", "GET")],
    "pseudo after regular": [(":method", "GET"), ("a", "b"), (":scheme", "https"), (":path", "/")],
    "unknown pseudo": request_fields("GET", "/") + [(":nonsense", "x")],
    "upper case": request_fields("GET", "/") + [("Upper", "x")],
    "connect without protocol or path": [(":method", "CONNECT"), (":authority", "x")],
    "unknown protocol": request_fields("CONNECT", "/", protocol="websocket"),
    "empty path": request_fields("CONNECT", "", protocol="webtransport"),
    "path without slash": request_fields("CONNECT", "x", protocol="webtransport"),
    "zero in a value": request_fields("GET", "/\0/"),
}


@pytest.mark.parametrize("what", MALFORMED)
@run_async()
async def test_malformed_request(relay, what):
    """Refused on its own stream: an error status or a reset; the connection lives on."""
    async with open_peer(relay.port, "h3") as peer:
        http = Http3(peer)
        stream = http.request(MALFORMED[what])
        try:
            assert (await http.response(stream))[":status"][0] in "45"
        except Ended:
            assert stream.reset_code is not None or stream.fin
        assert (await http.get("/"))[0] < 500


@pytest.mark.parametrize("what", hostile.H3_UNI_ERRORS)
@run_async()
async def test_http3_connection_errors(relay, what):
    """Errors that RFC 9114 makes the connection's, with their codes."""
    sent, codes = hostile.H3_UNI_ERRORS[what]
    async with open_peer(relay.port, "h3") as peer:
        peer.open_quic(bidi=False).write(sent)
        assert (await peer.wait_end()).error_code in codes


@run_async()
async def test_http3_critical_streams(relay):
    for extra, codes in (
        (b"\0" + quic.settings_frame(), {hostile.H3_STREAM_CREATION}),
        (b"\2", None),
        (b"\3", None),
    ):
        async with open_peer(relay.port, "h3") as peer:
            http = Http3(peer)
            stream = peer.open_quic(bidi=False).write(extra)
            if codes is None:
                # The first QPACK stream of a kind is fine; a second one is not.
                assert (await http.get("/"))[0] < 500
                peer.open_quic(bidi=False).write(extra)
                codes = {hostile.H3_STREAM_CREATION}
            assert (await peer.wait_end()).error_code in codes
            del stream
    async with open_peer(relay.port, "h3") as peer:
        Http3(peer).control.finish()
        assert (await peer.wait_end()).error_code == hostile.H3_CLOSED_CRITICAL


@run_async()
async def test_qpack_dynamic_table_is_refused(relay):
    async with open_peer(relay.port, "h3") as peer:
        Http3(peer)
        peer.open_quic().write(quic.frame(quic.FRAME_HEADERS, b"\2\0\x80"), True)
        assert (await peer.wait_end()).error_code == hostile.QPACK_FAILED
    async with open_peer(relay.port, "h3") as peer:
        Http3(peer)
        # Insert with literal name: needs a capacity that was never granted.
        peer.open_quic(bidi=False).write(b"\2" + b"\x41a\1b")
        assert (await peer.wait_end()).error_code in (
            hostile.QPACK_ENCODER_STREAM,
            hostile.QPACK_FAILED,
        )


@run_async()
async def test_qpack_garbage(relay):
    for section in (
        b"",
        b"\0",
        b"\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\0\0\x27",
        b"\0\0\x2f\xff\x7f",
        b"\0\0\xd9" * 500,
    ):
        async with open_peer(relay.port, "h3") as peer:
            Http3(peer)
            await (
                peer.open_quic().write(quic.frame(quic.FRAME_HEADERS, section), True).wait_refused()
            )


@run_async()
async def test_large_field_sections(relay):
    async with open_peer(relay.port, "h3") as peer:
        http = Http3(peer)
        await http.request(request_fields("GET", "/") + [("x", "y" * 100_000)]).wait_refused()
    for size in (1 << 20, 1 << 40, hostile.HUGE):
        async with open_peer(relay.port, "h3") as peer:
            Http3(peer)
            await (
                peer.open_quic()
                .write(varint(quic.FRAME_HEADERS) + varint(size) + b"\0\0")
                .wait_refused()
            )


@run_async()
async def test_grease_is_ignored(relay):
    """Unknown stream types, frames and settings must not disturb anything (RFC 9114 section 9)."""
    grease = 0x1F * 7 + 0x21
    async with open_peer(relay.port, "h3") as peer:
        http = Http3(peer, quic.SETTINGS | {grease: 5})
        http.control.write(quic.frame(grease, b"whatever"))
        peer.open_quic(bidi=False).write(varint(grease) + b"noise")
        stream = peer.open_quic().write(quic.frame(grease, b"noise"))
        stream.write(
            quic.frame(quic.FRAME_HEADERS, quic.field_section(request_fields("GET", "/"))), True
        )
        assert (await http.response(stream))[":status"][0] in "234"
        assert peer.ended is None


@run_async()
async def test_webtransport_streams_of_no_session(relay):
    async with open_peer(relay.port, "h3") as peer:
        http = Http3(peer)
        assert (await http.get("/"))[0] < 500
        for session in (0, 400):
            for prefix, bidi in ((quic.STREAM_WEBTRANSPORT, False), (quic.BIDI_WEBTRANSPORT, True)):
                peer.open_quic(bidi).write(varint(prefix) + varint(session) + b"\1\2\3")
        peer.send_datagram_frame(varint(99) + b"x")
        await asyncio.sleep(0.1)
        assert peer.ended is None
        assert (await http.get("/"))[0] < 500
    async with open_peer(relay.port, "h3") as peer:
        Http3(peer)
        # Stream 3 is not one that a client can open a session on.
        peer.open_quic().write(varint(quic.BIDI_WEBTRANSPORT) + varint(3))
        assert (await peer.wait_end()).error_code == hostile.H3_ID


@run_async()
async def test_datagram_without_its_stream(relay):
    """A datagram too short for its stream's number is the connection's error (RFC 9297)."""
    async with open_peer(relay.port, "h3") as peer:
        http = Http3(peer)
        assert (await http.get("/"))[0] < 500
        peer.send_datagram_frame(b"\xc0")
        assert (await peer.wait_end()).error_code == hostile.H3_DATAGRAM


@run_async()
async def test_capsules(relay):
    """Unknown capsules are skipped, in any slicing; CLOSE ends the session."""
    unknown = varint(0x29 * 5 + 0x17) + varint(3) + b"abc"
    async with open_webtransport(relay.port) as session:
        for byte in unknown * 3:
            session.stream.write(quic.frame(quic.FRAME_DATA, bytes([byte])))
        session.stream.write(quic.frame(quic.FRAME_DATA, b""))
        session.open(lite.announce_request(""))
        await asyncio.sleep(0.05)
        assert not session.ended
        close = varint(quic.CAPSULE_CLOSE) + varint(7) + (9).to_bytes(4, "big") + b"bye"
        session.stream.write(quic.frame(quic.FRAME_DATA, close), True)
        await session.wait_end()
    for capsule in (
        varint(quic.CAPSULE_CLOSE) + varint(2) + b"ab",
        varint(quic.CAPSULE_CLOSE) + varint(hostile.HUGE),
        b"\xff",
    ):
        async with open_webtransport(relay.port) as session:
            session.stream.write(quic.frame(quic.FRAME_DATA, capsule), True)
            await session.wait_end()


@run_async()
async def test_second_session_on_a_connection(relay):
    """Granted or refused, but answered; the first one goes on."""
    async with open_webtransport(relay.port) as session:
        stream = session.http.request(
            request_fields("CONNECT", "/", protocol="webtransport"), fin=False
        )
        try:
            await session.http.response(stream)
        except Ended:
            assert stream.reset_code is not None
        assert not session.ended


@run_async()
async def test_version_of_no_common_subprotocol(relay):
    """A client that offers only unknown versions gets an answer without a choice, or a refusal."""
    async with open_webtransport(relay.port, ["future-99"]) as session:
        assert "future-99" not in session.fields.get("wt-protocol", "")


@pytest.mark.parametrize(
    "value",
    ["moq-lite-06", '"moq-lite-06', '"a", 5', '"\\x"', '"moq-lite-06";v=1', "", '"' + "x" * 5000],
)
@run_async()
async def test_bad_list_of_subprotocols(relay, value):
    """A field that is no list of strings is ignored, not fatal."""
    async with open_peer(relay.port, "h3") as peer:
        http = Http3(peer)
        fields = request_fields("CONNECT", "/", protocol="webtransport") + [
            ("wt-available-protocols", value)
        ]
        answer = await http.response(http.request(fields, fin=False))
        assert answer[":status"][0] in "24"
