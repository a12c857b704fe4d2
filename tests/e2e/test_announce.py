# SPDX-License-Identifier: MIT OR Apache-2.0
"""Who publishes what reaches everybody who may know, in terms of the path they connected to."""

import asyncio

from clients import announce, connect, read_group, run_async, subscribe, within, write_group


async def updates(announced, count):
    return [(u.prefix, u.active) for u in [await within(anext(announced)) for _ in range(count)]]


@run_async()
async def test_initial_set_then_live_then_ended(relay, name, scheme):
    async with connect(relay.url(scheme)) as publisher, connect(relay.url(scheme)) as early:
        before = {f"{name}/{i}": publisher.create_broadcast(f"{name}/{i}") for i in range(20)}
        watching = early.announced(name)
        for broadcast in before.values():
            broadcast.announce()
        assert sorted(await updates(watching, 20)) == sorted((path, True) for path in before)

        async with connect(relay.url(scheme)) as viewer:
            announced = viewer.announced(name)
            assert sorted(await updates(announced, 20)) == sorted((path, True) for path in before)
            late = announce(publisher, f"{name}/late")
            assert await updates(announced, 1) == [(f"{name}/late", True)]
            before[f"{name}/3"].close()
            assert await updates(announced, 1) == [(f"{name}/3", False)]
            again = announce(publisher, f"{name}/3")
            assert await updates(announced, 1) == [(f"{name}/3", True)]
            late.close()
            again.close()


@run_async()
async def test_prefix(relay, name, scheme):
    async with connect(relay.url(scheme)) as publisher, connect(relay.url(scheme)) as viewer:
        announced = viewer.announced(f"{name}/in")
        paths = [f"{name}/inside", f"{name}/out", f"{name}/in", f"{name}/in/deeper/still"]
        broadcasts = [announce(publisher, path) for path in paths]
        assert sorted(await updates(announced, 2)) == [
            (f"{name}/in", True),
            (f"{name}/in/deeper/still", True),
        ]
        del broadcasts


@run_async()
async def test_url_path_is_the_root(relay, name, scheme):
    """A session sees and publishes relative to its URL's path, and nothing outside of it."""
    async with connect(relay.url(scheme)) as top, connect(relay.url(scheme, name)) as room:
        outside = announce(top, f"{name}-other/x")
        above = top.create_broadcast(f"{name}/a")
        track = above.publish_track("t")
        above.announce()
        announced = room.announced()
        assert await updates(announced, 1) == [("a", True)]
        reader = await subscribe(room, "a", "t")
        write_group(track, [(b"down", 0)])
        assert await read_group(reader) == (0, [(b"down", 0)])

        below = room.create_broadcast("b")
        track = below.publish_track("t")
        below.announce()
        reader = await subscribe(top, f"{name}/b", "t")
        write_group(track, [(b"up", 0)])
        assert await read_group(reader) == (0, [(b"up", 0)])
        outside.close()


@run_async()
async def test_publisher_hears_not_of_itself(relay, name, scheme):
    """The relay does not announce a session's own broadcast back to it."""
    async with connect(relay.url(scheme)) as publisher, connect(relay.url(scheme)) as viewer:
        own = publisher.announced(name)
        mine = announce(publisher, f"{name}/mine")
        assert await updates(viewer.announced(name), 1) == [(f"{name}/mine", True)]
        theirs = announce(viewer, f"{name}/theirs")
        assert await updates(own, 1) == [(f"{name}/theirs", True)]
        del mine, theirs


@run_async()
async def test_across_transports(relay, name):
    async with connect(relay.url("moql")) as raw, connect(relay.url("https")) as web:
        from_raw, from_web = web.announced(name), raw.announced(name)
        kept = [announce(raw, f"{name}/raw"), announce(web, f"{name}/web")]
        got = await asyncio.gather(updates(from_raw, 1), updates(from_web, 1))
        assert got == [[(f"{name}/raw", True)], [(f"{name}/web", True)]]
        del kept


@run_async()
async def test_many_broadcasts_come_and_go(relay, name, scheme):
    async with connect(relay.url(scheme)) as publisher, connect(relay.url(scheme)) as viewer:
        announced = viewer.announced(name)
        for turn in range(3):
            paths = [f"{name}/{turn}/{i}" for i in range(200)]
            broadcasts = [announce(publisher, path) for path in paths]
            assert sorted(await updates(announced, 200)) == sorted((path, True) for path in paths)
            for broadcast in broadcasts:
                broadcast.close()
            assert sorted(await updates(announced, 200)) == sorted((path, False) for path in paths)
