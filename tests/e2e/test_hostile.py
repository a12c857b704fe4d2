# SPDX-License-Identifier: MIT OR Apache-2.0
"""Whatever a peer sends, the relay refuses it in its place and serves everybody else."""

import asyncio
import os
import random
from contextlib import suppress

import pytest

import hostile
import lite
import peer as quic
from clients import run_async
from lite import open_session
from peer import Ended, Raw, open_peer, open_webtransport, varint

pytestmark = pytest.mark.usefixtures("still_healthy")


@pytest.mark.parametrize("case", hostile.IN_SESSION, ids=lambda case: case.__name__)
@run_async(60)
async def test_in_session(relay, scheme, case):
    async with open_session(relay, scheme) as session:
        await case(session)


@pytest.mark.parametrize("what", hostile.BROKEN_SETUPS)
@run_async()
async def test_broken_setup(relay, scheme, what):
    """With or without FIN; the relay may close the session or wait for more."""
    opened = quic.open_raw if scheme == "moql" else open_webtransport
    for fin in (True, False):
        async with opened(relay.port) as transport:
            transport.open(hostile.BROKEN_SETUPS[what], bidi=False, fin=fin)
            transport.open(lite.announce_request(""))
            await asyncio.sleep(0.1)


@run_async()
async def test_connect_and_vanish(relay):
    """Connections that end at each stage: after the handshake, after SETUP, within a request."""
    for stage in range(4):
        async with open_peer(relay.port, "moq-lite-06") as peer:
            raw = Raw(peer)
            if stage > 0:
                raw.open(lite.setup(), bidi=False, fin=True)
            if stage > 1:
                raw.open(lite.announce_request(""))
            if stage > 2:
                raw.open(lite.subscribe(0, "x", "y")[:5])
            await asyncio.sleep(0.05)


@run_async()
async def test_unknown_quic_version(relay):
    await hostile.unknown_quic_version(relay.port)


@pytest.mark.ours
@run_async()
async def test_small_packet_of_unknown_quic_version(relay):
    await hostile.no_version_negotiation_for_small_packets(relay.port)


@run_async()
async def test_junk_datagrams(relay):
    await hostile.send_junk(relay.port)


@run_async()
async def test_many_handshakes_abandoned(relay):
    hostile.abandon_handshakes(relay.port, 200)


def seeds():
    """MOQ_HOSTILE_SEED replays one, MOQ_HOSTILE_RUNS adds more."""
    first = int(os.environ.get("MOQ_HOSTILE_SEED", "1"))
    return range(first, first + int(os.environ.get("MOQ_HOSTILE_RUNS", "5")))


@run_async(600)
async def test_random_sessions(relay, scheme):
    """Seeded nonsense of valid pieces."""
    for seed in seeds():
        noise = random.Random(seed)
        pieces = [
            lite.setup(),
            lite.announce_request(""),
            lite.track("a", "t"),
            lite.subscribe(0, "a", "t"),
            lite.fetch("a", "t", 0),
            lite.group(0, 0),
            lite.frame(b"x" * 50),
            lite.announce_start("a"),
            lite.announce_end(0),
            lite.track_info(),
            lite.subscribe_end(1),
            varint(lite.BIDI_PROBE) + b"\2\1\1",
        ]
        async with open_session(relay, scheme) as session:
            for _ in range(40):
                data = bytearray(b"".join(noise.choices(pieces, k=noise.randrange(1, 4))))
                for _ in range(noise.randrange(3)):
                    data[noise.randrange(len(data))] = noise.randrange(256)
                session.transport.open(
                    bytes(data), bidi=noise.random() < 0.6, fin=noise.random() < 0.5
                )
                if session.transport.ended:
                    break
            await asyncio.sleep(0.02)


@run_async(600)
async def test_random_publishers(relay, name, scheme):
    """A publisher that answers in seeded nonsense, and viewers that ask for its track."""
    for seed in seeds():
        noise = random.Random(seed)
        path = f"{name}/{seed}"
        async with open_session(relay, scheme) as publisher, open_session(relay) as viewer:
            publishing = asyncio.create_task(hostile.publish_randomly(noise, publisher, path))
            asked = [viewer.open(lite.announce_request(""))]
            await asyncio.sleep(0.02)
            asked += [viewer.open(lite.subscribe(i, path, f"t{i}")) for i in range(4)]
            asked += [viewer.open(lite.fetch(path, "t0", i)) for i in range(3)]
            asked.append(viewer.open(lite.track(path, "t1")))
            await asyncio.sleep(0.05)
            for stream in noise.sample(asked, 4):
                stream.reset(1)
            await asyncio.sleep(0.02)
            publishing.cancel()
            with suppress(asyncio.CancelledError, Ended):
                await publishing
