# SPDX-License-Identifier: MIT OR Apache-2.0
"""The moq-rs client, shaped for tests: bounded waits, one-shot connections, checkable payloads."""

import asyncio
import functools
import random

import moq

WAIT_SECONDS = 15

# Lossless: groups may be as old as the slowest machine makes them. The library asks for no more age than the track's
# publisher keeps, five seconds if that says nothing.
LOSSLESS = moq.Subscription(max_age_us=60_000_000)
KEPT = moq.TrackInfo(max_age_us=60_000_000)


def run_async(seconds=60):
    """Runs a coroutine test in a loop of its own, within `seconds`."""

    def decorate(function):
        @functools.wraps(function)
        def test(*args, **kwargs):
            asyncio.run(asyncio.wait_for(function(*args, **kwargs), seconds))

        return test

    return decorate


def within(awaitable, seconds=WAIT_SECONDS):
    return asyncio.wait_for(awaitable, seconds)


def connect(url, **options):
    """A client that publishes and subscribes through the relay only, never to itself."""
    settings = {
        "publish": moq.OriginProducer(),
        "subscribe": moq.OriginProducer(),
        "tls_verify": False,
        "websocket_enabled": False,
        "reconnect": False,
    }
    return moq.Client(url, **(settings | options))


def payload(label, size):
    """Bytes that only this label gives, so that a mix-up of frames is seen."""
    return random.Random(label).randbytes(size)


async def find(client, path, seconds=WAIT_SECONDS):
    """Waits until `path` is announced; gives its consumer."""
    return await within(client.announced_broadcast(path).available(), seconds)


async def subscribe(client, path, track, subscription=LOSSLESS):
    broadcast = await find(client, path)
    return await within(broadcast.subscribe_track(track, subscription))


def announce(client, path):
    """Announces an empty broadcast. Keep what it gives: dropping it ends the broadcast."""
    broadcast = client.create_broadcast(path)
    broadcast.announce()
    return broadcast


async def read_group(track, seconds=WAIT_SECONDS):
    """The next group, whole: (sequence, [(payload, timestamp)]), or None at the track's end."""

    async def read():
        group = await track.next_group()
        if group is None:
            return None
        return group.sequence, [(frame.payload, frame.timestamp_us) async for frame in group]

    return await within(read(), seconds)


async def read_all_groups(track, seconds=WAIT_SECONDS, count=None):
    """The groups until the track's end, or so many, in order of sequence; they may arrive in any order."""

    async def read(group):
        return group.sequence, [(frame.payload, frame.timestamp_us) async for frame in group]

    async def collect():
        reading = []
        while len(reading) != count and (group := await track.recv_group()) is not None:
            reading.append(asyncio.create_task(read(group)))
        return sorted(await asyncio.gather(*reading))

    return await within(collect(), seconds)


def write_group(track, frames):
    """Publishes one finished group of (payload, timestamp) pairs; gives its sequence."""
    group = track.append_group()
    for data, timestamp in frames:
        group.write_frame(data, timestamp)
    group.finish()
    return group.sequence


async def check_healthy(relay, scheme="moql", path="health/check"):
    """A fresh publisher and a fresh viewer get one group through the relay."""
    url = relay.url(scheme)
    async with connect(url) as publisher, connect(url) as viewer:
        broadcast = publisher.create_broadcast(path)
        track = broadcast.publish_track("t")
        broadcast.announce()
        reader = await subscribe(viewer, path, "t")
        frames = [(payload("health", 300), 5)]
        write_group(track, frames)
        assert await read_group(reader) == (0, frames)
        broadcast.close()
