# SPDX-License-Identifier: MIT OR Apache-2.0
"""Attacks as rows of a table, and the one runner of all of them.

A row is a name, a coroutine on the relay that does the harm and returns what the attacker saw, and
what it must see. The runner keeps a healthy pair beside it and checks, for every row:

- the attacker saw exactly that;
- the pair lost no frame (how long frames took is printed, not judged: machines stall);
- what the attack took of the relay's memory comes back (release builds; ASan keeps freed memory);
- the relay lives, and serves a newcomer.
"""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from aioquic.h3.connection import ErrorCode as H3Code
from aioquic.quic.packet import QuicErrorCode

from bystander import Bystanders
from clients import check_healthy
from peer import Ended, unmapped

MIB = 1 << 20
MEMORY_SLACK = 12 * MIB  # what an allocator keeps, and what one attack more or less leaves in caches
MEMORY_SECONDS = 20
ALONE_SECONDS = 0.5  # of the pair without an attack, to compare with

SERVED = "served"  # the attacker's own session goes on

RESETS = {
    0x0: "internal",
    0x1: "cancelled",
    0x3: "session closed",
    0x5: "too far behind",
    0x12: "malformed",
    0x31: "control timeout",
    0x32: "group too large",
    0x33: "not found",
    0x34: "old",
    0x35: "evicted",
    0x36: "unroutable",
    0x38: "frame too large",
    0x39: "timestamp",
    0x40 + 429: "over a limit",
    0x3994BD84: "buffered stream rejected",  # of WebTransport
    0x170D7B68: "session gone",
}
OVER_LIMIT = ("reset: internal", "reset: over a limit")
CLOSES = {0x0: "done", 0x1: "internal", 0x2: "unauthorized", 0x3: "violation", 0x11: "control timeout"}


@dataclass(frozen=True)
class Attack:
    name: str
    run: Callable  # async (relay) -> what the attacker saw
    sees: object  # equal to it, or a tuple of what it may be
    options: tuple = ()  # of the relay, when the attack needs its own
    memory: bool = False  # takes much of it: runs on the release build as well, where memory can be told
    seconds: float = 60


# What an attacker saw, in words.


def closing(event):
    """How the connection ended."""
    code = event.error_code
    if event.frame_type is not None:
        name = QuicErrorCode(code).name if code in QuicErrorCode._value2member_map_ else hex(code)
        return f"connection: {name}"
    if code in H3Code._value2member_map_ and code >= 0x100 or code == H3Code.H3_DATAGRAM_ERROR:
        return f"connection: {H3Code(code).name}"
    return f"session: {CLOSES.get(unmapped(code), hex(unmapped(code)))}"


async def connection_end(peer, seconds=15):
    with suppress(TimeoutError):
        return closing(await peer.wait_end(seconds))
    return "nothing"


async def stream_end(stream, seconds=15):
    """How the relay refused a stream."""
    with suppress(TimeoutError):
        await stream.wait_refused(seconds)
    if stream.peer.ended is not None:
        return closing(stream.peer.ended)
    for code, word in ((stream.reset_code, "reset"), (stream.stop_code, "stopped")):
        if code is not None:
            name = H3Code(code).name if code in H3Code._value2member_map_ and code >= 0x100 else None
            return f"{word}: {name or RESETS.get(code, hex(code))}"
    return "fin" if stream.fin else "nothing"


async def all_streams(streams, seconds=15):
    """What all of them saw, when that is the same; else a set."""
    seen = {await stream_end(stream, seconds) for stream in streams}
    return seen.pop() if len(seen) == 1 else seen


async def still_served(session):
    """A round trip of the attacker's own session."""
    try:
        await session.announcements("still/served")
    except Ended:
        return closing(session.transport.peer.ended)
    return SERVED


# Memory.


def resident(relay):
    with open(f"/proc/{relay.process.pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def is_sanitized(relay):
    with open(f"/proc/{relay.process.pid}/maps") as maps:
        return "libasan" in maps.read()


def memory_back(relay, before):
    """Waits until it is; gives what is resident then."""
    deadline = time.monotonic() + MEMORY_SECONDS
    while (now := resident(relay)) > before + MEMORY_SLACK and time.monotonic() < deadline:
        time.sleep(0.1)
    return now


class Arena:
    """A relay with a healthy pair on it."""

    def __init__(self, relay, log_path):
        self.relay = relay
        self.pair = Bystanders(relay, log_path)
        self.pair.mark()
        time.sleep(ALONE_SECONDS)
        self.alone = self.pair.report()
        self.sanitized = is_sanitized(relay)

    def run(self, attack):
        """One row; gives a line for people."""
        before = resident(self.relay)
        self.pair.mark()
        seen = asyncio.run(asyncio.wait_for(attack.run(self.relay), attack.seconds))
        report = self.pair.report()
        line = f"{attack.name}: {seen}; pair {report} (alone p99 {self.alone.p99_ms:.1f})"
        assert self.relay.alive, f"the relay died\n{self.relay.tail(200)}"
        assert seen in attack.sees if isinstance(attack.sees, tuple) else seen == attack.sees, line
        assert report.lost == 0, line
        asyncio.run(asyncio.wait_for(check_healthy(self.relay, "moql", f"newcomer/{attack.name}"), 30))
        if self.sanitized:
            return line
        after = memory_back(self.relay, before)
        line += f"; resident {before / MIB:.1f} -> {after / MIB:.1f} MiB"
        assert after <= before + MEMORY_SLACK, line
        return line

    def close(self):
        self.pair.kill()
