# SPDX-License-Identifier: MIT OR Apache-2.0
"""Starting, stopping, and saying no."""

import asyncio
import signal
import socket
import subprocess
from contextlib import suppress

import moq
import pytest

from clients import connect, read_group, run_async, subscribe, within, write_group
from lite import PARAMETER_PATH, SESSION_UNAUTHORIZED, setup
from peer import Raw, open_peer, open_webtransport
from relay import HOST, free_port, run_to_end


@pytest.fixture(scope="module")
def private(start_relay):
    """A relay that is open below `anon` only."""
    return start_relay(public="anon")


async def refusal(client):
    """The error that a refused client is given, at connecting or just after."""
    with pytest.raises(moq.Error) as caught:
        async with client:
            await within(client.session.closed())
    return caught.value


@run_async()
async def test_public_path_is_open(private, scheme):
    async with (
        connect(private.url(scheme, "anon")) as publisher,
        connect(private.url(scheme, "anon/room")) as viewer,
    ):
        broadcast = publisher.create_broadcast("room/x")
        track = broadcast.publish_track("t")
        broadcast.announce()
        reader = await subscribe(viewer, "x", "t")
        write_group(track, [(b"open", 0)])
        assert await read_group(reader) == (0, [(b"open", 0)])


@pytest.mark.parametrize("path", ["secret", "anonymous", "secret/anon"])
@run_async()
async def test_other_paths_are_refused_as_unauthorized(private, scheme, path):
    error = await refusal(connect(private.url(scheme, path)))
    assert moq.is_auth(error), repr(error)


@run_async()
async def test_refused_raw_session_is_closed_with_its_code(private):
    async with open_peer(private.port, "moq-lite-06") as peer:
        raw = Raw(peer)
        raw.open(setup([(PARAMETER_PATH, "/secret")]), bidi=False, fin=True)
        assert await raw.wait_end() == SESSION_UNAUTHORIZED


@pytest.mark.ours
@pytest.mark.parametrize(
    "protocols,statuses",
    [(["moq-lite-06"], {"401", "403", "404"}), (["moq-lite-05"], {"401", "403", "404"})],
)
@run_async()
async def test_refused_webtransport_is_an_http_status(private, protocols, statuses):
    async with open_webtransport(private.port, protocols, "/secret") as session:
        assert session.fields[":status"] in statuses
        assert not session.peer.ended


def test_refused_over_http(private):
    assert private.get("/announced/secret").status == 401
    assert private.get("/fetch/secret/x/video").status == 401
    assert private.get("/announced/anon").status == 200


def test_stops_cleanly_with_nobody_there(start_relay):
    start_relay().stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@run_async()
async def test_stops_cleanly_with_sessions(start_relay, scheme, number):
    relay = await asyncio.to_thread(start_relay)
    async with connect(relay.url(scheme)) as publisher, connect(relay.url(scheme)) as viewer:
        broadcast = publisher.create_broadcast("a")
        track = broadcast.publish_track("t")
        broadcast.announce()
        reader = await subscribe(viewer, "a", "t")
        group = track.append_group()
        group.write_frame(b"unfinished", 0)
        unfinished = await within(reader.next_group())
        assert (await within(unfinished.read_frame())).payload == b"unfinished"
        await asyncio.to_thread(relay.stop, number)
        # After a GOAWAY the session ends by the client's own will, else with an error; but it ends.
        with suppress(moq.Error):
            await within(viewer.session.closed())


@pytest.mark.ours
def test_says_what_it_listens_on(start_relay):
    relay = start_relay()
    assert f"{HOST}:{relay.port}" in relay.log()
    relay.stop()


@pytest.mark.ours
def test_log_names_each_upstream_subscription(relay, name):
    """At debug the relay says what it asks its publishers for; operators count on the line."""

    @run_async()
    async def watch():
        async with connect(relay.url("moql")) as publisher, connect(relay.url("https")) as viewer:
            broadcast = publisher.create_broadcast(name)
            track = broadcast.publish_track("video")
            broadcast.announce()
            for _ in range(3):
                reader = await subscribe(viewer, name, "video")
                write_group(track, [(b"x", 0)])
                await read_group(reader)

    watch()
    lines = [
        line
        for line in relay.log().splitlines()
        if "subscribing upstream" in line and f"broadcast={name}" in line
    ]
    assert lines and "track=video" in lines[0]


@pytest.mark.ours
def test_refuses_to_start_without_access_rules(relay_binary):
    code, said = run_to_end(
        relay_binary, ["--listen", f"{HOST}:{free_port()}", "--tls-generate", "localhost"]
    )
    assert code == 1
    assert "auth" in said and "public" in said, said


@pytest.mark.ours
@pytest.mark.parametrize(
    "option", ["--auth-api", "--cluster-root", "--web-https-listen", "--runtime-workers"]
)
def test_refuses_what_it_does_not_do_yet(relay_binary, option):
    """An option that this version knows but cannot keep is refused by name, not ignored."""
    arguments = ["--tls-generate", "localhost", "--auth-public", "", option, "x:1"]
    code, said = run_to_end(relay_binary, ["--listen", f"{HOST}:{free_port()}", *arguments])
    assert code == 1
    assert option.split("-")[2] in said, said


@pytest.mark.ours
@pytest.mark.parametrize(
    "listen,generate",
    [
        ("--listen", "--listen-tls-generate"),
        ("--server-bind", "--server-tls-generate"),
        ("--server-bind", "--tls-generate"),
    ],
)
def test_flags_of_every_release(start_relay, listen, generate):
    """The names of the seed, of the releases since and of today mean the same."""
    relay = start_relay(spelling=(listen, generate))
    assert relay.get("/certificate.sha256").status == 200
    relay.stop()


@pytest.mark.ours
def test_refuses_to_start_without_a_certificate(relay_binary):
    code, said = run_to_end(
        relay_binary, ["--listen", f"{HOST}:{free_port()}", "--auth-public", ""]
    )
    assert code == 1
    assert "cert" in said and "generate" in said, said


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-such-option"],
        ["--listen"],
        ["--listen", "nonsense"],
        ["--log-level", "loud"],
    ],
)
def test_refuses_bad_arguments(relay_binary, flavor, arguments):
    code, said = run_to_end(
        relay_binary, [*arguments, flavor.generate, "localhost", *flavor.public("")]
    )
    assert code in (1, 2)
    assert arguments[-1] in said, said


def test_refuses_an_unreadable_configuration(relay_binary, tmp_path):
    missing = tmp_path / "missing.toml"
    code, said = run_to_end(relay_binary, [str(missing)])
    assert code == 1
    assert "missing.toml" in said or "No such file" in said, said

    broken = tmp_path / "broken.toml"
    broken.write_text("[listen\nbind = 3\n")
    code, said = run_to_end(relay_binary, [str(broken)])
    assert code == 1 and said


def test_help_is_printed(relay_binary):
    code, said = run_to_end(relay_binary, ["--help"])
    assert code == 0
    assert "--listen" in said and "--auth-public" in said


def _start_at(relay_binary, flavor, port, http_port):
    return run_to_end(
        relay_binary,
        [
            "--listen",
            f"{HOST}:{port}",
            flavor.generate,
            "localhost",
            *flavor.public(""),
            "--web-http-listen",
            f"{HOST}:{http_port}",
        ],
    )


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
def test_refuses_a_port_in_use(relay_binary, flavor, kind):
    ports = {socket.SOCK_DGRAM: free_port(), socket.SOCK_STREAM: free_port()}
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind((HOST, ports[kind]))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        code, said = _start_at(
            relay_binary, flavor, ports[socket.SOCK_DGRAM], ports[socket.SOCK_STREAM]
        )
    assert code == 1
    assert "in use" in said.lower(), said


def test_refuses_the_port_of_another_relay(relay, relay_binary, flavor):
    """Two relays would share the packets of one port if both could bind it."""
    try:
        code, said = _start_at(relay_binary, flavor, relay.port, free_port())
    except subprocess.TimeoutExpired:
        pytest.fail("a second relay runs on the same UDP port")
    assert code == 1
    assert "in use" in said.lower(), said


@pytest.mark.ours
def test_configuration_file(start_relay, tmp_path):
    """The same settings from a file, in the seed's words."""
    port = free_port()
    path = tmp_path / "relay.toml"
    path.write_text(
        '[log]\nlevel = "debug"\n'
        f'[server]\nlisten = "{HOST}:{port}"\ntls.generate = ["localhost"]\n'
        f'[web.http]\nlisten = "{HOST}:{port}"\n'
        '[auth]\npublic = ""\n'
    )

    relay = start_relay(port=port, configuration=path)
    assert relay.get("/certificate.sha256").status == 200
    relay.stop()
