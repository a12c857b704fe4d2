# SPDX-License-Identifier: MIT OR Apache-2.0
"""Publishers come, crash, come back and compete; viewers see what they should of it."""

import asyncio

import moq
import pytest

from clients import (
    LOSSLESS,
    announce,
    connect,
    find,
    read_group,
    run_async,
    subscribe,
    within,
    write_group,
)
from publisher import TRACK

# A killed publisher says nothing: the relay learns it from its idle timeout.
CRASH_SECONDS = 45


class Watcher:
    """A viewer as players are: it subscribes again whenever its track or its broadcast ends."""

    def __init__(self, client, path):
        self.client = client
        self.path = path
        self.restarts = -1
        self._seen = asyncio.Queue()
        self._task = asyncio.create_task(self._run())

    async def _run(self):
        while True:
            self.restarts += 1
            try:
                broadcast = await find(self.client, self.path, 60)
                track = await within(broadcast.subscribe_track(TRACK, LOSSLESS))
                while (group := await read_group(track, 60)) is not None:
                    self._seen.put_nowait(group)
            except (moq.Error, TimeoutError):
                pass
            await asyncio.sleep(0.05)

    async def until(self, tag, seconds=CRASH_SECONDS):
        """Waits for a group of the publisher with this tag; gives its sequence."""
        async with asyncio.timeout(seconds):
            while True:
                sequence, frames = await self._seen.get()
                if frames[0][0].startswith(tag.encode() + b":"):
                    return sequence

    def stop(self):
        self._task.cancel()


@pytest.mark.parametrize("clock", [True, False], ids=["sequence-goes-on", "sequence-restarts"])
@run_async(80)
async def test_publisher_killed_and_restarted(relay, name, scheme, publish, clock):
    """The publisher dies without a word and another takes its path; the viewer goes on."""
    first = await asyncio.to_thread(publish, relay.url(scheme), name, tag="first", clock=clock)
    async with connect(relay.url(scheme)) as client:
        watcher = Watcher(client, name)
        await asyncio.to_thread(first.send, "every 0.05")
        await watcher.until("first")
        await asyncio.to_thread(first.kill)
        second = await asyncio.to_thread(
            publish, relay.url(scheme), name, tag="second", clock=clock
        )
        await asyncio.to_thread(second.send, "every 0.05")
        await watcher.until("second")
        watcher.stop()


@pytest.mark.ours
@run_async(80)
async def test_restarted_publisher_takes_over_unnoticed(relay, name, scheme, publish):
    """If the new process goes on with the sequence, the viewer's one subscription spans both."""
    first = await asyncio.to_thread(publish, relay.url(scheme), name, tag="first", clock=True)
    async with connect(relay.url(scheme)) as client:
        watcher = Watcher(client, name)
        await asyncio.to_thread(first.send, "every 0.05")
        before = await watcher.until("first")
        await asyncio.to_thread(first.kill)
        second = await asyncio.to_thread(publish, relay.url(scheme), name, tag="second", clock=True)
        await asyncio.to_thread(second.send, "every 0.05")
        assert await watcher.until("second", 5) > before
        assert watcher.restarts == 0
        watcher.stop()


@run_async(80)
async def test_publisher_leaves_cleanly_and_returns(relay, name, scheme, publish):
    async with connect(relay.url(scheme)) as client:
        announced = client.announced(name)
        for round_number in range(2):
            tag = f"round{round_number}"
            source = await asyncio.to_thread(publish, relay.url(scheme), name, tag=tag)
            update = await within(anext(announced))
            assert (update.prefix, update.active) == (name, True)
            watcher = Watcher(client, name)
            await asyncio.to_thread(source.send, "every 0.05")
            await watcher.until(tag)
            watcher.stop()
            await asyncio.to_thread(source.send, "close")
            update = await within(anext(announced))
            assert (update.prefix, update.active) == (name, False)
            await asyncio.to_thread(source.send, "quit")


@run_async(80)
async def test_clean_disconnect_unannounces(relay, name, scheme):
    """A publisher that closes its session is gone at once, not after a timeout."""
    async with connect(relay.url(scheme)) as viewer:
        announced = viewer.announced(name)
        async with connect(relay.url(scheme)) as publisher:
            broadcast = announce(publisher, name)
            assert (await within(anext(announced))).active
        assert not (await within(anext(announced), 8)).active
        del broadcast


@pytest.mark.ours
@run_async(80)
async def test_newest_of_two_publishers_is_active_and_the_older_resumes(
    relay, name, scheme, publish
):
    older = await asyncio.to_thread(publish, relay.url(scheme), name, tag="older", clock=True)
    async with connect(relay.url(scheme)) as client:
        watcher = Watcher(client, name)
        await asyncio.to_thread(older.send, "every 0.05")
        await watcher.until("older")

        newer = await asyncio.to_thread(publish, relay.url(scheme), name, tag="newer", clock=True)
        await asyncio.to_thread(newer.send, "every 0.05")
        await watcher.until("newer")
        # A viewer that comes now gets the newest one as well.
        async with connect(relay.url(scheme)) as late:
            other = Watcher(late, name)
            await other.until("newer")
            other.stop()

        await asyncio.to_thread(newer.send, "close")
        await watcher.until("older")
        watcher.stop()


@run_async(80)
async def test_two_publishers_one_leaves_the_path_stays(relay, name, scheme):
    """While one publisher of a path remains, the path is announced and can be watched."""
    async with (
        connect(relay.url(scheme)) as one,
        connect(relay.url(scheme)) as two,
        connect(relay.url(scheme)) as viewer,
    ):
        announced = viewer.announced(name)
        broadcasts = []
        for client in (one, two):
            broadcast = client.create_broadcast(name)
            track = broadcast.publish_track("video")
            broadcast.announce()
            broadcasts.append((broadcast, track))
        assert (await within(anext(announced))).active
        broadcasts[1][0].close()
        two.session.shutdown()
        # Whatever is said in between, the last word must be: active. Silence says so too.
        active = True
        try:
            while True:
                active = (await within(anext(announced), 1)).active
        except TimeoutError:
            pass
        assert active
        reader = await subscribe(viewer, name, "video")
        sequence = write_group(broadcasts[0][1], [(b"from the first", 0)])
        assert await read_group(reader) == (sequence, [(b"from the first", 0)])


@run_async(80)
async def test_viewer_killed_leaves_the_publisher_unsubscribed(relay, name, scheme):
    """A viewer that disconnects is the last one: the publisher hears that nobody watches."""
    async with connect(relay.url(scheme)) as publisher:
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("video")
        broadcast.announce()
        async with connect(relay.url(scheme)) as viewer:
            reader = await subscribe(viewer, name, "video")
            write_group(track, [(b"x", 0)])
            await read_group(reader)
            assert track.demand().is_used()
        await within(track.demand().unused(), 30)


@run_async(80)
async def test_clients_ride_out_a_restart_of_the_relay(start_relay, name, scheme):
    """The relay goes and comes back at its address; publisher and viewer find each other again."""
    relay = await asyncio.to_thread(start_relay)
    # An immediate retry, and patience.
    backoff = moq.Backoff(initial_us=100_000, max_us=500_000, timeout_us=60_000_000)
    settings = {"reconnect": True, "backoff": backoff}
    async with (
        connect(relay.url(scheme), **settings) as publisher,
        connect(relay.url(scheme), **settings) as viewer,
    ):
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track(TRACK)
        broadcast.announce()
        watcher = Watcher(viewer, name)
        tag = "before"

        async def publish():
            while True:
                write_group(track, [(f"{tag}:".encode(), 0)])
                await asyncio.sleep(0.05)

        publishing = asyncio.create_task(publish())
        await watcher.until("before")
        await asyncio.to_thread(relay.stop)
        tag = "after"
        again = await asyncio.to_thread(start_relay, port=relay.port)
        await watcher.until("after")
        publishing.cancel()
        watcher.stop()
    await asyncio.to_thread(again.stop)
