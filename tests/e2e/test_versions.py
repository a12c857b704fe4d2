# SPDX-License-Identifier: MIT OR Apache-2.0
"""Each version that the relay speaks, with moq-rs at both ends: the relay's offer decides."""

import asyncio

import pytest

from clients import (
    announce,
    connect,
    find,
    payload,
    read_group,
    run_async,
    subscribe,
    within,
    write_group,
)

VERSIONS = [f"moq-lite-0{number}" for number in range(1, 7)]


@pytest.fixture(scope="module", params=VERSIONS)
def pinned(request, start_relay):
    """A relay that speaks one version: (relay, version)."""
    return start_relay(extra=["--listen-version", request.param]), request.param


@run_async()
async def test_negotiated(pinned, name, scheme, publish):
    relay, version = pinned
    source = await asyncio.to_thread(publish, relay.url(scheme), name)
    await asyncio.to_thread(source.wait_log, rf"connected version={version}\b")


@run_async()
async def test_bytes(pinned, name, scheme):
    relay, version = pinned
    async with connect(relay.url(scheme)) as publisher, connect(relay.url(scheme)) as viewer:
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("video")
        broadcast.announce()
        reader = await subscribe(viewer, name, "video")
        for number in range(5):
            frames = [(payload(f"{number}{size}", size), number) for size in (0, 1, 100, 70_000)]
            sequence = write_group(track, frames)
            received = await read_group(reader)
            assert received[0] == sequence
            assert [data for data, _ in received[1]] == [data for data, _ in frames]
            if version >= "moq-lite-05":  # before, frames carry no timestamps
                assert received[1] == frames
        track.finish()
        assert await read_group(reader) is None


@run_async()
async def test_fetch(pinned, name, scheme):
    relay, version = pinned
    if version < "moq-lite-05":
        pytest.skip("no deployed peer serves FETCH before 05")
    async with connect(relay.url(scheme)) as publisher, connect(relay.url(scheme)) as viewer:
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("video")
        broadcast.announce()
        frames = [(payload(f"{i}", 2000), i) for i in range(3)]
        write_group(track, frames)
        write_group(track, [(b"newer", 9)])
        consumer = await find(viewer, name)
        group = await within(consumer.fetch_group("video", 0))
        assert [(frame.payload, frame.timestamp_us) async for frame in group] == frames


@run_async()
async def test_announcements(pinned, name, scheme):
    relay, _ = pinned
    async with connect(relay.url(scheme)) as publisher, connect(relay.url(scheme)) as viewer:
        announced = viewer.announced(name)
        for _ in range(3):
            broadcast = announce(publisher, f"{name}/x")
            update = await within(anext(announced))
            assert (update.prefix, update.active) == (f"{name}/x", True)
            broadcast.close()
            update = await within(anext(announced))
            assert (update.prefix, update.active) == (f"{name}/x", False)
