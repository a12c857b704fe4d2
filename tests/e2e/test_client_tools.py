# SPDX-License-Identifier: MIT OR Apache-2.0
"""`moq fetch`, `moq clock`, and what scripts build on: exit codes, JSON lines, versions."""

import asyncio
import base64
import json
import re

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
from relay import HOST, free_port
from test_client import (
    CERTIFICATE,
    DENIED,
    NOT_FOUND,
    UNKNOWN_HOST,
    UNREACHABLE,
    VERSION,
    address,
    run,
)

SECOND = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def events(said):
    """The client's JSON lines on stderr."""
    return [json.loads(line) for line in said.decode().splitlines()]


async def outcome(binary, *arguments, seconds=20):
    """(exit code, stdout, stderr) of a client that ends by itself."""
    async with run(binary, *arguments) as process:
        out, said = await within(asyncio.gather(process.stdout.read(), process.stderr.read()), seconds)
        return await within(process.wait()), out, said


# fetch


@run_async()
async def test_fetch_by_number_and_latest(relay, name, scheme, client_binary):
    url, *tls = address(relay, scheme)
    async with connect(relay.url(scheme)) as publisher:
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("t")
        broadcast.announce()
        old = [(payload(f"old {number}", 30_000), number) for number in range(3)]
        write_group(track, old)
        write_group(track, [(b"new", 9), (b"er", 10)])
        fetch = ["fetch", *tls, url, name, "t"]
        code, out, _ = await outcome(client_binary, *fetch, "--group", "0")
        assert (code, out) == (0, b"".join(data for data, _ in old))
        code, out, _ = await outcome(client_binary, *fetch)
        assert (code, out) == (0, b"newer")
        code, out, _ = await outcome(client_binary, *fetch, "--lines")
        assert (code, out) == (0, b"new\ner\n")
        code, out, _ = await outcome(client_binary, *fetch, "--json", "--group", "0")
        rows = [json.loads(line) for line in out.splitlines()]
        assert code == 0
        assert [(row["group"], row["frame"]) for row in rows] == [(0, 0), (0, 1), (0, 2)]
        assert [base64.b64decode(row["payload"]) for row in rows] == [data for data, _ in old]


@run_async()
async def test_fetch_of_what_is_not_there(relay, name, client_binary):
    url, *tls = address(relay, "moql")
    fetch = ["fetch", *tls, url]
    code, out, said = await outcome(client_binary, *fetch, name, "t", "--timeout", "1s")
    assert (code, out) == (NOT_FOUND, b"")
    assert b"is not announced" in said
    async with connect(relay.url("moql")) as publisher:
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("t")
        broadcast.announce()
        write_group(track, [(b"x", 0)])
        code, out, said = await outcome(client_binary, *fetch, name, "t", "--group", "7")
        assert (code, out) == (NOT_FOUND, b"")
        assert b"group 7 of track" in said


@pytest.mark.ours
@run_async()
async def test_fetch_writes_a_live_group_as_it_comes(relay, name, client_binary):
    url, *tls = address(relay, "moql")
    raw = ["publish", url, name, "raw", "--track", "t", "--group", "3", *tls]
    fetch = ["fetch", url, name, "t", "--lines", *tls]
    async with run(client_binary, *raw) as publisher, run(client_binary, *fetch) as viewer:
        publisher.stdin.write(b"one\n")
        assert await within(viewer.stdout.readline()) == b"one\n"
        await asyncio.sleep(3)  # longer than a track without viewers is kept
        publisher.stdin.write(b"two\nthree\n")
        assert await within(viewer.stdout.read()) == b"two\nthree\n"
        assert await within(viewer.wait()) == 0


# clock


@run_async()
async def test_clock(relay, name, scheme, client_binary):
    url, *tls = address(relay, scheme)
    async with run(client_binary, "clock", "publish", *tls, url, name) as publisher:
        watch = ["clock", "subscribe", *tls, url, name, "--count", "3"]
        code, out, _ = await outcome(client_binary, *watch)
        assert code == 0
        lines = out.decode().splitlines()
        assert len(lines) == 3
        assert all(SECOND.fullmatch(line) for line in lines), lines
        assert len(set(lines)) == 3
        publisher.terminate()
        assert await within(publisher.wait()) == 0


@run_async()
async def test_clock_is_what_other_clients_expect(relay, name, client_binary):
    """A group per minute: the first frame is all but the seconds."""
    url, *tls = address(relay, "moql")
    async with connect(relay.url("moql")) as viewer:
        async with run(client_binary, "clock", "publish", *tls, url, name, "--count", "2") as clock:
            reader = await subscribe(viewer, name, "seconds")
            first, *seconds = [data for data, _ in (await read_group(reader))[1]]
            assert re.fullmatch(rb"\d{4}-\d\d-\d\d \d\d:\d\d:", first)
            assert seconds
            assert all(re.fullmatch(rb"[0-5]\d", second) for second in seconds)
            assert await within(clock.wait()) == 0


@run_async()
async def test_watches_the_clock_of_others(relay, name, client_binary):
    url, *tls = address(relay, "moql")
    async with connect(relay.url("moql")) as publisher:
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("seconds")
        broadcast.announce()
        watch = ["clock", "subscribe", *tls, url, name, "--count", "2"]
        async with run(client_binary, *watch) as viewer:
            await within(track.demand().used())
            write_group(track, [(b"2026-01-31 12:00:", 0), (b"07", 1), (b"\x1b8", 2)])
            assert await within(viewer.stdout.readline()) == b"2026-01-31 12:00:07\n"
            assert await within(viewer.stdout.readline()) == b"2026-01-31 12:00:\\x1b8\n"
            assert await within(viewer.wait()) == 0


# exit codes


@run_async()
async def test_exit_codes_of_connecting(relay, client_binary):
    url, *tls = address(relay, "moql")
    nobody = f"{HOST}:{free_port()}"
    rows = (
        (UNKNOWN_HOST, "unknown-host", ["--once", "moql://no-such-host.invalid/"]),
        (UNREACHABLE, "unreachable", ["--once", *tls, f"moql://{nobody}/"]),
        (UNREACHABLE, "unreachable", ["--once", f"http://{nobody}/"]),
        (CERTIFICATE, "certificate", ["--tls-fingerprint", "0" * 64, url]),
        (CERTIFICATE, "certificate", [url]),
    )
    for code, error, arguments in rows:
        got, _, said = await outcome(client_binary, "announced", "--json", *arguments)
        assert got == code, (arguments, said)
        last = events(said)[-1]
        assert (last["event"], last["error"]) == ("error", error)
        assert last["text"]


@pytest.mark.ours
@run_async()
async def test_exit_code_without_a_common_version(start_relay, client_binary):
    relay = start_relay(extra=["--listen-version", "moq-lite-05,moq-lite-02"])
    for scheme in ("moql", "https"):
        url, *tls = address(relay, scheme)
        pinned = ["announced", *tls, url, "--connect-version"]
        code, _, said = await outcome(client_binary, *pinned, "moq-lite-06,moq-lite-03")
        assert code == VERSION, said
        code, _, said = await outcome(client_binary, *pinned, "moq-lite-01")
        assert code == VERSION, said
        for version in ("moq-lite-05", "moq-lite-02"):
            offer = f"moq-lite-06,{version}"
            code, _, said = await outcome(client_binary, *pinned, offer, "--once", "--json")
            assert code == 0, said
            assert events(said)[0]["version"] == version


@pytest.mark.ours
@run_async()
async def test_what_is_not_finished_is_spoken_by_name(relay, start_relay, client_binary):
    """moq-lite-07-wip is in nobody's offer unless an option names it."""
    named = start_relay(extra=["--listen-version", "moq-lite-07-wip,moq-lite-06"])
    for scheme in ("moql", "https"):
        url, *tls = address(relay, scheme)
        pinned = ["announced", *tls, url, "--connect-version", "moq-lite-07-wip", "--once", "--json"]
        code, _, said = await outcome(client_binary, *pinned)
        assert code == VERSION, said
        url, *tls = address(named, scheme)
        command = ["announced", *tls, url, "--once", "--json"]
        for pins, expected in (
            ([], "moq-lite-06"),
            (["--connect-version", "moq-lite-07-wip"], "moq-lite-07-wip"),
            (["--connect-version", "moq-lite-06,moq-lite-07-wip"], "moq-lite-07-wip"),
        ):
            code, _, said = await outcome(client_binary, *command, *pins)
            assert code == 0, said
            assert events(said)[0]["version"] == expected


@pytest.mark.ours
@run_async()
async def test_publisher_that_is_not_asked(start_relay, name, client_binary, tmp_path):
    """Who may only watch is told that nobody will see what it publishes."""
    port = free_port()
    configuration = tmp_path / "relay.toml"
    configuration.write_text(
        f"""
        drain_timeout = "1s"
        listen.bind = "{HOST}:{port}"
        listen.tls.generate = "localhost"
        web.http.listen = "{HOST}:{port}"
        auth.public_subscribe = ""
        """
    )
    relay = start_relay(configuration=configuration, port=port)
    url, *tls = address(relay, "moql")
    raw = ["publish", url, name, "raw", "--track", "t", *tls]
    async with run(client_binary, *raw) as publisher:
        while b"does not ask for" not in await within(publisher.stderr.readline()):
            pass
        assert publisher.returncode is None
    code, _, said = await outcome(client_binary, *raw, "--once")
    assert code == DENIED, said


@pytest.mark.ours
@run_async()
async def test_exit_code_where_nothing_is_allowed(start_relay, name, client_binary):
    relay = start_relay(public="open")
    for scheme in ("moql", "https"):
        url, *tls = address(relay, scheme)
        code, _, said = await outcome(client_binary, "announced", *tls, f"{url}closed")
        assert code == DENIED, said
        code, _, said = await outcome(client_binary, "announced", *tls, f"{url}open", "--once")
        assert code == 0, said


@run_async()
async def test_exit_code_of_a_missing_track(relay, name, client_binary):
    url, *tls = address(relay, "moql")
    async with connect(relay.url("moql")) as publisher:
        broadcast = announce(publisher, name)
        watch = ["subscribe", *tls, url, name, "raw", "--track", "none"]
        code, _, said = await outcome(client_binary, *watch)
        assert code == NOT_FOUND, said
        broadcast.close()


# JSON lines


@run_async()
async def test_announced_as_json(relay, name, client_binary):
    url, *tls = address(relay, "moql")
    path = f'{name}/a "quoted" \u00e9'
    async with connect(relay.url("moql")) as publisher:
        broadcast = announce(publisher, path)
        async with run(client_binary, "announced", "--json", *tls, url, name) as process:
            row = json.loads(await within(process.stdout.readline()))
            assert row == {"path": path, "active": True}
            broadcast.close()
            row = json.loads(await within(process.stdout.readline()))
            assert row == {"path": path, "active": False}


@run_async()
async def test_progress_as_json(relay, name, client_binary):
    url, *tls = address(relay, "moql")
    raw = ["publish", url, name, "raw", "--track", "t", "--json", *tls]
    async with connect(relay.url("moql")) as viewer, run(client_binary, *raw) as publisher:
        await find_after_first_line(viewer, publisher, name)
        while True:
            event = json.loads(await within(publisher.stderr.readline()))
            if event["event"] == "progress" and event["groups"] >= 1:
                break
        assert set(event) == {"event", "seconds", "bitrate", "groups", "dropped"}


async def find_after_first_line(viewer, publisher, name):
    publisher.stdin.write(b"line\n")
    await publisher.stdin.drain()
    return await find(viewer, name)
