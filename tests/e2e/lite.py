# SPDX-License-Identifier: MIT OR Apache-2.0
"""The few moq-lite-05 and -06 messages that a test's own peer speaks, and how a session begins.

This is a third reading of the protocol beside the relay's and moq-rs's, kept small: enough to be a
publisher or a viewer whose every byte the test decides.
"""

import asyncio
from contextlib import asynccontextmanager, suppress

from peer import Ended, open_raw, open_webtransport, split_varint, varint

BIDI_ANNOUNCE, BIDI_SUBSCRIBE, BIDI_FETCH, BIDI_PROBE, BIDI_GOAWAY, BIDI_TRACK = 1, 2, 3, 4, 5, 6
UNI_GROUP, UNI_SETUP = 0, 1

ANNOUNCE_START, ANNOUNCE_END, ANNOUNCE_UPDATE = 0, 1, 2

SESSION_UNAUTHORIZED, SESSION_VIOLATION = 2, 3

PARAMETER_PATH = 2


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return varint(len(data)) + data


def message(body):
    return varint(len(body)) + body


def setup(parameters=()):
    body = varint(len(parameters)) + b"".join(varint(k) + text(v) for k, v in parameters)
    return varint(UNI_SETUP) + message(body)


def announce_request(prefix, version=6):
    return varint(BIDI_ANNOUNCE) + message(text(prefix) + (b"" if version >= 6 else varint(0)))


def announce_ok(hop=0, count=0):
    return message(varint(hop) + varint(count))


def announce_start(suffix, hops=(), warm=0, cold=0):
    body = (
        text(suffix) + varint(len(hops)) + b"".join(map(varint, hops)) + varint(warm) + varint(cold)
    )
    return varint(ANNOUNCE_START) + message(body)


def announce_end(number):
    return varint(ANNOUNCE_END) + message(varint(number))


def track(path, name):
    return varint(BIDI_TRACK) + message(text(path) + text(name))


def track_info(version=6, timescale=1000, priority=0, max_age=0):
    ordered = b"" if version >= 6 else b"\0"
    return message(bytes([priority]) + ordered + varint(max_age) + varint(timescale))


def subscribe(number, path, name, version=6, priority=1, max_age=0):
    head = varint(number) + text(path) + text(name) + bytes([priority])
    if version >= 6:
        return varint(BIDI_SUBSCRIBE) + message(head + varint(max_age) + bytes(4))
    return varint(BIDI_SUBSCRIBE) + message(head + b"\0" + varint(max_age) + bytes(2))


def subscribe_start(sequence):
    return varint(0) + message(varint(sequence))


def subscribe_end(sequence):
    return varint(1) + message(varint(sequence))


def fetch(path, name, sequence, version=6):
    frames = bytes(2) if version >= 6 else b""
    return varint(BIDI_FETCH) + message(text(path) + text(name) + b"\0" + varint(sequence) + frames)


def group(number, sequence, version=6):
    return varint(UNI_GROUP) + message(
        varint(number) + varint(sequence) + (b"\0" if version >= 6 else b"")
    )


def frame(payload, delta=0):
    zigzag = delta << 1 if delta >= 0 else -delta * 2 - 1
    return varint(zigzag) + text(payload)


def parse_frames(data):
    """[(timestamp, payload)] of a group stream's rest."""
    out, time = [], 0
    while data:
        zigzag, data = split_varint(data)
        time += zigzag >> 1 if zigzag % 2 == 0 else -(zigzag + 1) // 2
        size, data = split_varint(data)
        assert len(data) >= size, "cut inside a frame"
        out.append((time, data[:size]))
        data = data[size:]
    return out


class Session:
    """A moq-lite session over `Raw` or `WebTransport`, past its SETUP."""

    def __init__(self, transport, version):
        self.transport = transport
        self.version = version
        self.pending = {"bidi": asyncio.Queue(), "uni": asyncio.Queue()}
        self._sorter = asyncio.create_task(self._sort())

    def close(self):
        self._sorter.cancel()

    async def _sort(self):
        """Streams of the relay, by direction, each with its type already read."""
        while True:
            stream = await self.transport.accept(3600)
            asyncio.ensure_future(self._sort_one(stream))

    async def _sort_one(self, stream):
        direction = "uni" if stream.id & 2 else "bidi"
        with suppress(Ended, TimeoutError):
            self.pending[direction].put_nowait((await stream.read_varint(), stream))

    async def next(self, direction, kind, seconds=10):
        """The relay's next stream of this type; others of that direction are dropped."""
        async with asyncio.timeout(seconds):
            while True:
                got, stream = await self.pending[direction].get()
                if got == kind:
                    return stream

    # as a viewer

    def open(self, data, fin=False):
        return self.transport.open(data, fin=fin)

    async def subscribe(self, path, name, number=0):
        return self.open(subscribe(number, path, name, self.version))

    async def next_group(self, seconds=10):
        """(stream, subscribe id, sequence) of the next group, its frames not yet read."""
        stream = await self.next("uni", UNI_GROUP, seconds)
        body = await stream.read_sized()
        number, body = split_varint(body)
        sequence, body = split_varint(body)
        assert body == (b"\0" if self.version >= 6 else b""), "a whole group starts at frame 0"
        return stream, number, sequence

    async def announcements(self, prefix=""):
        """Opens an Announce stream: (stream, how many announcements form the initial set)."""
        stream = self.open(announce_request(prefix, self.version))
        _, rest = split_varint(await stream.read_sized())
        count, rest = split_varint(rest)
        assert rest == b""
        return stream, count

    async def read_announcement(self, stream, seconds=10):
        """(whether active, suffix); on 06 an end has the announcement's number in its place."""
        if self.version < 6:
            body = await stream.read_sized(seconds)
            active, rest = body[0] != 0, body[1:]
        else:
            kind = await stream.read_varint(seconds)
            active, rest = kind != ANNOUNCE_END, await stream.read_sized(seconds)
        number, rest = split_varint(rest)
        if self.version >= 6 and not active:
            return False, number
        return active, rest[:number].decode()

    async def wait_announced(self, path, seconds=10):
        """Until the relay announces `path`."""
        stream, _ = await self.announcements()
        async with asyncio.timeout(seconds):
            while await self.read_announcement(stream, seconds) != (True, path):
                pass
        return stream

    # as a publisher

    async def announce(self, path):
        """Answers the relay's request for announcements with one broadcast."""
        stream = await self.next("bidi", BIDI_ANNOUNCE)
        await stream.read_sized()
        stream.write(announce_ok(7, 1) + announce_start(path))
        return stream

    async def serve_track(self):
        """Answers TRACK, then waits for SUBSCRIBE: (its stream, the subscribe id)."""
        async with asyncio.timeout(10):
            while True:
                kind, stream = await self.pending["bidi"].get()
                if kind == BIDI_TRACK:
                    await stream.read_sized()
                    stream.write(track_info(self.version), fin=True)
                elif kind == BIDI_SUBSCRIBE:
                    number, _ = split_varint(await stream.read_sized())
                    return stream, number


@asynccontextmanager
async def open_session(relay, scheme="moql", version=6, path="", parameters=None, **options):
    """A session on a running relay; its SETUP is sent, the relay's has come."""
    name = f"moq-lite-{version:02}"
    if scheme == "moql":
        opened = open_raw(relay.port, name, **options)
        default = [(PARAMETER_PATH, "/" + path)] if path else []
    else:
        opened = open_webtransport(relay.port, [name], "/" + path, **options)
        default = []
    async with opened as transport:
        transport.open(setup(default if parameters is None else parameters), bidi=False, fin=True)
        session = Session(transport, version)
        try:
            await session.next("uni", UNI_SETUP)
            yield session
        finally:
            session.close()
