# SPDX-License-Identifier: MIT OR Apache-2.0
"""`moq`, our client, against moq-rs through the relay: whatever relay it is."""

import asyncio
import subprocess
from contextlib import asynccontextmanager, suppress

from clients import announce, connect, find, read_group, run_async, subscribe, within, write_group
from relay import SANITIZER

# Exit codes of `moq`.
USAGE, UNKNOWN_HOST, UNREACHABLE, CERTIFICATE, VERSION, DENIED, NOT_FOUND, ENDED = range(2, 10)


@asynccontextmanager
async def run(binary, *arguments, **options):
    """The client as a process with pipes; killed at the end if it still runs, never broken."""
    process = await asyncio.create_subprocess_exec(
        str(binary),
        *arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        said = (await process.stderr.read()).decode(errors="replace")
        assert not SANITIZER.search(said), said


def address(relay, scheme):
    return [relay.url(scheme), "--tls-disable-verify"]


@run_async()
async def test_publish_raw(relay, name, scheme, client_binary):
    url, *tls = address(relay, scheme)
    publishing = run(client_binary, "publish", *tls, url, name, "raw", "--track", "lines")
    async with publishing as process, connect(relay.url(scheme)) as viewer:
        reader = await subscribe(viewer, name, "lines")
        received = []

        async def watch():
            while len(received) < 3 and (group := await read_group(reader)) is not None:
                received.extend(data for data, _ in group[1])

        # The viewer may come after a line and then starts with the newest group; it is slow.
        watching = asyncio.create_task(watch())
        await asyncio.sleep(0.3)
        for line in (b"one\n", b"two\n", b"three\n"):
            process.stdin.write(line)
            await process.stdin.drain()
            await asyncio.sleep(0.2)
        process.stdin.close()
        await within(watching)
        assert received == [b"one", b"two", b"three"]
        assert await within(process.wait()) == 0


@run_async()
async def test_subscribe_raw(relay, name, scheme, client_binary):
    url, *tls = address(relay, scheme)
    async with connect(relay.url(scheme)) as publisher:
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("lines")
        broadcast.announce()
        arguments = ["subscribe", *tls, url, name, "raw", "--track", "lines"]
        async with run(client_binary, *arguments) as process:
            await within(track.demand().used())
            for number in range(3):
                write_group(track, [(b"line %d" % number, number)])
                assert await within(process.stdout.readline()) == b"line %d\n" % number


@run_async()
async def test_announced(relay, name, scheme, client_binary):
    url, *tls = address(relay, scheme)
    async with connect(relay.url(scheme)) as publisher:
        before = announce(publisher, f"{name}/before")
        async with run(client_binary, "announced", *tls, url, name) as process:
            assert b"before" in await within(process.stdout.readline())
            live = announce(publisher, f"{name}/live")
            assert b"live" in await within(process.stdout.readline())
            live.close()
            assert b"live" in await within(process.stdout.readline())
        before.close()


@run_async()
async def test_fingerprint_and_http_url(relay, name, client_binary):
    """`--tls-fingerprint` pins; an http:// URL asks the relay for its fingerprint."""
    fingerprint = await asyncio.to_thread(relay.fingerprint)
    for arguments in (
        ["--tls-fingerprint", fingerprint, relay.url("https")],
        ["--tls-fingerprint", fingerprint, relay.url("moql")],
        [relay.url("http")],
    ):
        publishing = run(client_binary, "publish", *arguments, name, "raw", "--track", "t")
        async with connect(relay.url("moql")) as viewer, publishing:
            await find(viewer, name)
    wrong = ["--tls-fingerprint", "0" * 64, relay.url("https")]
    async with run(client_binary, "announced", *wrong) as process:
        with suppress(TimeoutError):
            line = await within(process.stdout.readline(), 3)
            assert line == b""


@run_async()
async def test_rides_out_a_restart_of_the_relay(start_relay, name, scheme, client_binary):
    """The relay goes and comes back: `moq` connects again; with --once it ends with an error."""
    relay = await asyncio.to_thread(start_relay)
    url, *tls = address(relay, scheme)
    once = run(client_binary, "announced", *tls, "--once", url)
    stays = run(client_binary, "announced", *tls, url, name)
    async with stays as process, once as other:
        async with connect(relay.url(scheme)) as publisher:
            before = announce(publisher, f"{name}/before")
            assert b"before" in await within(process.stdout.readline())
            assert b"before" in await within(other.stdout.readline())
            await asyncio.to_thread(relay.stop)
            del before
        assert await within(other.wait()) == ENDED
        again = await asyncio.to_thread(start_relay, port=relay.port)
        async with connect(again.url(scheme)) as publisher:
            after = announce(publisher, f"{name}/after")

            async def until_after():
                while b"after" not in await process.stdout.readline():
                    pass

            await within(until_after(), 30)
            del after


@run_async()
async def test_says_what_is_wrong(client_binary):
    for arguments in (["no-such-command"], ["publish"], ["announced", "ftp://nowhere/"]):
        async with run(client_binary, *arguments) as process:
            _, said = await within(process.communicate())
            assert process.returncode == USAGE
            assert said
