# SPDX-License-Identifier: MIT OR Apache-2.0
"""A QUIC peer that says exactly the bytes a test gives it, on aioquic.

`open_raw` gives a peer on raw QUIC, `open_webtransport` one whose streams belong to a WebTransport
session; above that both look alike: streams to write, streams to accept, datagrams, an end.
"""

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress

import pylsqpack
from aioquic.asyncio import QuicConnectionProtocol
from aioquic.asyncio import connect as quic_connect
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import (
    ConnectionTerminated,
    DatagramFrameReceived,
    HandshakeCompleted,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)

WAIT_SECONDS = 10
MAX_DATAGRAM_FRAME = 65535

# WebTransport maps a stream's application code n into HTTP/3's space (its draft, section 4.4).
_MAPPED_FIRST = 0x52E4A40FA8DB
_MAPPED_LAST = 0x52E5AC983162


def varint(value):
    """RFC 9000 section 16, shortest form."""
    for bits, prefix in ((6, 0), (14, 1), (30, 2), (62, 3)):
        if value < 1 << bits:
            size = (bits + 2) // 8
            return (value | prefix << bits).to_bytes(size, "big")
    raise ValueError(value)


def unmapped(code):
    """The application's code, mapped or plain: deployed peers send both on raw QUIC."""
    if _MAPPED_FIRST <= code <= _MAPPED_LAST:
        offset = code - _MAPPED_FIRST
        return offset - offset // 31
    return code


def mapped(code):
    return _MAPPED_FIRST + code + code // 30


class Ended(Exception):
    """The stream or the connection ended before what was asked for came."""


class Stream:
    """One QUIC stream: what came so far, how it ended, and the ways to write."""

    def __init__(self, peer, number):
        self.peer = peer
        self.id = number
        self.buffer = bytearray()
        self.fin = False
        self.reset_code = None
        self.stop_code = None
        self.reset_sent = False
        self._changed = asyncio.Event()

    # what the connection reports

    def on_data(self, data, fin):
        self.buffer += data
        self.fin = self.fin or fin
        self._changed.set()

    def on_reset(self, code):
        self.reset_code = unmapped(code)
        self._changed.set()

    def on_stop(self, code):
        self.stop_code = unmapped(code)
        self._changed.set()

    def on_connection_end(self):
        self._changed.set()

    # reading

    async def _until(self, done, seconds):
        async with asyncio.timeout(seconds):
            while not done():
                if self.peer.ended is not None:
                    raise Ended(f"connection ended: {self.peer.ended}")
                self._changed.clear()
                await self._changed.wait()

    async def read(self, size, seconds=WAIT_SECONDS):
        await self._until(lambda: len(self.buffer) >= size or self.read_ended, seconds)
        if len(self.buffer) < size:
            raise Ended(f"stream {self.id} ended: fin {self.fin} reset {self.reset_code}")
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    async def read_varint(self, seconds=WAIT_SECONDS):
        first = await self.read(1, seconds)
        rest = await self.read((1 << (first[0] >> 6)) - 1, seconds)
        whole = first + rest
        return int.from_bytes(whole, "big") & ((1 << (8 * len(whole) - 2)) - 1)

    async def read_sized(self, seconds=WAIT_SECONDS):
        """A length and that many bytes."""
        return await self.read(await self.read_varint(seconds), seconds)

    async def read_to_end(self, seconds=WAIT_SECONDS):
        await self._until(lambda: self.read_ended, seconds)
        data = bytes(self.buffer)
        self.buffer.clear()
        return data

    @property
    def read_ended(self):
        return self.fin or self.reset_code is not None

    async def wait_refused(self, seconds=WAIT_SECONDS):
        """Until the other side has ended this stream in any way, or the whole connection."""
        with suppress(Ended):
            await self._until(lambda: self.read_ended or self.stop_code is not None, seconds)

    # writing

    def write(self, data, fin=False):
        if self.stop_code is not None or self.reset_sent:
            raise Ended(f"stream {self.id} cannot be written: stopped or reset")
        self.peer.quic.send_stream_data(self.id, data, fin)
        self.peer.transmit()
        return self

    def finish(self):
        return self.write(b"", True)

    def reset(self, code=0):
        self.reset_sent = True
        self.peer.quic.reset_stream(self.id, mapped(code))
        self.peer.transmit()

    def stop(self, code=0):
        self.peer.quic.stop_stream(self.id, mapped(code))
        self.peer.transmit()


class Peer(QuicConnectionProtocol):
    """The connection. `accepted` holds the streams that the relay opened, in order of arrival."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.quic = self._quic
        self.streams = {}
        self.accepted = asyncio.Queue()
        self.datagrams = asyncio.Queue()
        self.ended = None
        self.alpn = None
        self._end = asyncio.Event()

    def quic_event_received(self, event):
        if isinstance(event, HandshakeCompleted):
            self.alpn = event.alpn_protocol
        elif isinstance(event, StreamDataReceived):
            self._stream(event.stream_id).on_data(event.data, event.end_stream)
        elif isinstance(event, StreamReset):
            self._stream(event.stream_id).on_reset(event.error_code)
        elif isinstance(event, StopSendingReceived):
            self._stream(event.stream_id).on_stop(event.error_code)
        elif isinstance(event, DatagramFrameReceived):
            self.datagrams.put_nowait(event.data)
        elif isinstance(event, ConnectionTerminated):
            self.ended = event
            self._end.set()
            for stream in self.streams.values():
                stream.on_connection_end()

    def _stream(self, number):
        stream = self.streams.get(number)
        if stream is None:
            stream = self.streams[number] = Stream(self, number)
            if number & 1:
                self.accepted.put_nowait(stream)
        return stream

    def open_quic(self, bidi=True):
        number = self.quic.get_next_available_stream_id(is_unidirectional=not bidi)
        # aioquic forgets an id that nothing was sent on.
        self.quic.send_stream_data(number, b"")
        return self._stream(number)

    async def accept_quic(self, seconds=WAIT_SECONDS):
        return await asyncio.wait_for(self.accepted.get(), seconds)

    def send_datagram_frame(self, data):
        self.quic.send_datagram_frame(data)
        self.transmit()

    async def wait_end(self, seconds=WAIT_SECONDS):
        """Waits for the connection's end; gives the event, whose code may be a mapped one."""
        await asyncio.wait_for(self._end.wait(), seconds)
        return self.ended

    def certificate(self):
        """The certificate that the relay served, as DER."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return self.quic.tls._peer_certificate.public_bytes(Encoding.DER)


class Raw:
    """Raw QUIC: streams are the application's from the first byte."""

    def __init__(self, peer):
        self.peer = peer

    def open(self, data=b"", bidi=True, fin=False):
        return self.peer.open_quic(bidi).write(data, fin)

    async def accept(self, seconds=WAIT_SECONDS):
        return await self.peer.accept_quic(seconds)

    def send_datagram(self, data):
        self.peer.send_datagram_frame(data)

    async def wait_end(self, seconds=WAIT_SECONDS):
        """The code that the session was closed with."""
        return (await self.peer.wait_end(seconds)).error_code

    @property
    def ended(self):
        return self.peer.ended is not None


# HTTP/3: RFC 9114 and the WebTransport draft.

FRAME_DATA, FRAME_HEADERS, FRAME_SETTINGS, FRAME_GOAWAY = 0, 1, 4, 7
STREAM_CONTROL, STREAM_WEBTRANSPORT = 0x00, 0x54
BIDI_WEBTRANSPORT = 0x41
CAPSULE_CLOSE = 0x2843

SETTINGS = {0x08: 1, 0x33: 1, 0x2B603742: 1, 0xC671706A: 1}


def frame(kind, body):
    return varint(kind) + varint(len(body)) + body


def settings_frame(settings=None):
    pairs = (SETTINGS if settings is None else settings).items()
    return frame(FRAME_SETTINGS, b"".join(varint(k) + varint(v) for k, v in pairs))


def field_section(fields):
    """QPACK with literals only: no table, no Huffman."""
    out = bytearray(b"\0\0")
    for key, value in fields:
        key, value = key.encode(), value.encode()
        out += _prefixed(0x20, 3, len(key)) + key + _prefixed(0, 7, len(value)) + value
    return bytes(out)


def _prefixed(flags, bits, value):
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([flags | value])
    out, value = bytearray([flags | limit]), value - limit
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def request_fields(method, path, **pseudo):
    fields = [
        (":method", method),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", path),
    ]
    return fields + [(f":{key}", value) for key, value in pseudo.items()]


class Http3:
    """The client's half of an HTTP/3 connection, as far as tests need it."""

    def __init__(self, peer, settings=None):
        self.peer = peer
        self.control = peer.open_quic(bidi=False).write(
            varint(STREAM_CONTROL) + settings_frame(settings)
        )

    def request(self, fields, fin=True):
        return self.peer.open_quic().write(frame(FRAME_HEADERS, field_section(fields)), fin)

    @staticmethod
    async def response(stream, seconds=WAIT_SECONDS):
        """The fields of the answer's HEADERS frame."""
        while True:
            kind = await stream.read_varint(seconds)
            body = await stream.read_sized(seconds)
            if kind == FRAME_HEADERS:
                _, fields = pylsqpack.Decoder(0, 0).feed_header(stream.id, body)
                return {key.decode(): value.decode() for key, value in fields}

    async def get(self, path):
        """A whole exchange: (status, body)."""
        stream = self.request(request_fields("GET", path))
        fields = await self.response(stream)
        rest, body = await stream.read_to_end(), b""
        while rest:
            kind, rest = split_varint(rest)
            size, rest = split_varint(rest)
            body += rest[:size] if kind == FRAME_DATA else b""
            rest = rest[size:]
        return int(fields[":status"]), body

    async def connect(self, path, protocols):
        """Extended CONNECT: (the request's stream, the answer's fields)."""
        fields = request_fields("CONNECT", path, protocol="webtransport")
        if protocols:
            fields.append(("wt-available-protocols", ", ".join(f'"{p}"' for p in protocols)))
        stream = self.request(fields, fin=False)
        return stream, await self.response(stream)


def split_varint(data):
    size = 1 << (data[0] >> 6)
    return int.from_bytes(data[:size], "big") & ((1 << (8 * size - 2)) - 1), data[size:]


class WebTransport:
    """A session: the same ways to act as `Raw`, with the draft's prefixes around them."""

    def __init__(self, http, stream, fields):
        self.http = http
        self.peer = http.peer
        self.stream = stream
        self.fields = fields
        self.session = varint(stream.id)

    def open(self, data=b"", bidi=True, fin=False):
        prefix = varint(BIDI_WEBTRANSPORT if bidi else STREAM_WEBTRANSPORT) + self.session
        return self.peer.open_quic(bidi).write(prefix + data, fin)

    async def accept(self, seconds=WAIT_SECONDS):
        async with asyncio.timeout(seconds):
            while True:
                stream = await self.peer.accept_quic(seconds)
                kind = await stream.read_varint()
                if kind in (BIDI_WEBTRANSPORT, STREAM_WEBTRANSPORT):
                    assert await stream.read_varint() == self.stream.id
                    return stream

    def send_datagram(self, data):
        self.peer.send_datagram_frame(varint(self.stream.id // 4) + data)

    async def wait_end(self, seconds=WAIT_SECONDS):
        """The code of the CLOSE capsule, or of the connection's end if that came first."""
        try:
            body = await self.stream.read_to_end(seconds)
        except Ended:
            return unmapped(self.peer.ended.error_code)
        capsules = bytearray()
        while body:
            kind, body = split_varint(body)
            size, body = split_varint(body)
            if kind == FRAME_DATA:
                capsules += body[:size]
            body = body[size:]
        if not capsules:
            return 0 if self.stream.fin else self.stream.reset_code
        kind, rest = split_varint(bytes(capsules))
        assert kind == CAPSULE_CLOSE, hex(kind)
        _, rest = split_varint(rest)
        return int.from_bytes(rest[:4], "big")

    @property
    def ended(self):
        return self.peer.ended is not None or self.stream.read_ended


@asynccontextmanager
async def open_peer(port, alpn, **options):
    """A connected QUIC peer that offers these ALPN names."""
    configuration = QuicConfiguration(
        is_client=True,
        alpn_protocols=[alpn] if isinstance(alpn, str) else alpn,
        verify_mode=ssl.CERT_NONE,
        max_datagram_frame_size=MAX_DATAGRAM_FRAME,
        server_name="localhost",
        **options,
    )
    async with quic_connect(
        "127.0.0.1", port, configuration=configuration, create_protocol=Peer
    ) as peer:
        yield peer


@asynccontextmanager
async def open_raw(port, alpn="moq-lite-06", **options):
    async with open_peer(port, alpn, **options) as peer:
        yield Raw(peer)


@asynccontextmanager
async def open_webtransport(port, protocols=("moq-lite-06",), path="/", **options):
    async with open_peer(port, "h3", **options) as peer:
        http = Http3(peer)
        stream, fields = await http.connect(path, protocols)
        yield WebTransport(http, stream, fields)
