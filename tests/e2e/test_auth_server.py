# SPDX-License-Identifier: MIT OR Apache-2.0
"""Sessions and requests that an auth server decides about, over every transport."""

import asyncio
import json
import re
import ssl
import subprocess
import threading
import time
import urllib.request
from base64 import urlsafe_b64encode
from http.client import IncompleteRead
from urllib.error import HTTPError

import moq
import pytest

import rust_programs
from auth_server import EVERYTHING, auth_server
from certificates import write_pair
from clients import announce, connect, find, read_group, run_async, subscribe, write_group
from lite import PARAMETER_PATH, SESSION_UNAUTHORIZED, setup
from peer import Raw, open_peer, open_webtransport
from relay import HOST, free_port, run_to_end

pytestmark = pytest.mark.ours

PARAMETER_ROLE, ROLE_PUBLISHER = 3, b"\1"
UNAVAILABLE = 64 + 502
SCHEMES = ["moql", "https"]
SECRET = "not-for-the-log"


@pytest.fixture(scope="module")
def server():
    with auth_server() as server:
        yield server


@pytest.fixture(scope="module")
def start(start_relay):
    return lambda url, *extra: start_relay(public=None, extra=["--auth-url", url, *extra])


@pytest.fixture(scope="module")
def guarded(start, server):
    return start(server.url, "--auth-node", "edge", "--auth-timeout", "3s")


def http(relay, path, bearer=None):
    """(status, body) of a GET."""
    request = urllib.request.Request(relay.url("http") + path.lstrip("/"))
    if bearer:
        request.add_header("Authorization", f"Bearer {bearer}")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


async def accepted(relay, path, seconds=20):
    """Until the relay has let in a session at a path: a client may believe so before."""
    async with asyncio.timeout(seconds):
        while not re.search(rf'session accepted .* path="{re.escape(path)}"', relay.log()):
            await asyncio.sleep(0.05)


async def refusal(relay, scheme, path):
    """How a session at a path is refused: the close code on raw QUIC, the status of CONNECT."""
    if scheme == "https":
        async with open_webtransport(relay.port, path="/" + path) as peer:
            return int(peer.fields[":status"])
    async with open_peer(relay.port, "moq-lite-06") as peer:
        raw = Raw(peer)
        raw.open(setup([(PARAMETER_PATH, "/" + path)]), bidi=False, fin=True)
        return await raw.wait_end(20)


# -- what the server is told --


@pytest.mark.parametrize("scheme", SCHEMES)
@run_async()
async def test_a_session_is_told_from_its_beginning_to_its_end(guarded, server, scheme):
    path = f"/{scheme}/a%20b"
    async with connect(guarded.url(scheme, f"{path[1:]}?jwt={SECRET}&x=1")):
        await accepted(guarded, path)
    (begun,) = await asyncio.to_thread(server.wait, path, "connect")
    (ended,) = await asyncio.to_thread(server.wait, path, "end")
    assert re.fullmatch("[0-9a-f]{32}", begun["id"])
    assert begun["node"] == "edge"
    assert begun["transport"] == "quic"
    assert re.fullmatch(r"127\.0\.0\.1:\d+", begun["remote"])
    assert begun["local"] == f"127.0.0.1:{guarded.port}"
    assert begun["alpn"] in ("moq-lite-05", "moq-lite-06")
    assert begun["query"] == f"jwt={SECRET}&x=1"
    assert ended["id"] == begun["id"]
    assert ended["reason"] in ("done", "lost")
    assert ended["duration"] > 0
    assert ended["bytes"]["sent"] > 0 and ended["bytes"]["received"] > 0
    same = set(begun) - {"event"}
    assert {name: ended[name] for name in same} == {name: begun[name] for name in same}
    assert SECRET not in guarded.log()


@run_async()
async def test_the_role_is_told(guarded, server):
    async with open_peer(guarded.port, "moq-lite-06") as peer:
        raw = Raw(peer)
        parameters = [(PARAMETER_PATH, "/roles"), (PARAMETER_ROLE, ROLE_PUBLISHER)]
        raw.open(setup(parameters), bidi=False, fin=True)
        (begun,) = await asyncio.to_thread(server.wait, "/roles", "connect")
    assert begun["role"] == "publisher"


def test_a_request_over_http_is_told(guarded, server):
    assert http(guarded, "/announced/over%20http?a=b", SECRET) == (200, b"")
    (begun,) = server.wait("/over http", "connect")
    (ended,) = server.wait("/over http", "end")
    assert begun["transport"] == "http"
    assert begun["query"] == "a=b"
    token = urlsafe_b64encode(SECRET.encode()).decode().rstrip("=")
    assert begun["token"] == {"kind": 0, "value": token}
    assert (ended["id"], ended["reason"]) == (begun["id"], "done")
    assert SECRET not in guarded.log()


# -- what it answers --


@pytest.mark.parametrize("scheme", SCHEMES)
@run_async()
async def test_a_grant_is_what_it_says(guarded, server, scheme):
    """Patterns below a root that the server names, whatever was dialled."""
    mine = f"/alias/{scheme}"
    server.answers[mine] = {"publish": ["me"], "subscribe": ["*"], "root": f"real/{scheme}"}
    async with (
        connect(guarded.url("moql", "")) as everybody,
        connect(guarded.url(scheme, mine[1:])) as client,
    ):
        broadcasts = [client.create_broadcast(name) for name in ("me", "you")]
        for broadcast in broadcasts:
            broadcast.announce()
        await find(everybody, f"real/{scheme}/me")
        other = everybody.create_broadcast(f"real/{scheme}/other")
        other.announce()
        await find(client, "other")
        status, body = await asyncio.to_thread(http, guarded, f"/announced/real/{scheme}")
        assert (status, set(body.decode().split("\n"))) == (200, {"me", "other"})


@pytest.mark.parametrize("peer", [False, True])
@run_async()
async def test_what_a_peer_brings_is_second(guarded, server, peer):
    """The newest publisher serves, unless it is another relay: then whoever publishes here does."""
    root = f"both/{peer}"
    server.answers[f"/other/{peer}"] = EVERYTHING | {"root": root, "peer": peer}
    async with (
        connect(guarded.url("moql", root)) as here,
        connect(guarded.url("moql", f"other/{peer}")) as other,
        connect(guarded.url("moql", "both")) as viewer,
    ):
        tracks, kept = [], []
        for client in (here, other):
            broadcast = client.create_broadcast("b")
            tracks.append(broadcast.publish_track("v"))
            broadcast.announce()
            # a viewer sees nothing of the second: it has come when what was announced after it has
            kept += [broadcast, announce(client, f"after-{len(tracks)}")]
            await find(viewer, f"{peer}/after-{len(tracks)}")
        reader = await subscribe(viewer, f"{peer}/b", "v")
        write_group(tracks[0], [(b"here", 0)])
        write_group(tracks[1], [(b"other", 0)])
        assert (await read_group(reader))[1] == [(b"here" if peer else b"other", 0)]


REFUSALS = [  # a name, what the server answers, (raw QUIC, WebTransport and HTTP)
    ("forbidden", 403, (SESSION_UNAUTHORIZED, 401)),
    ("unauthorized", 401, (SESSION_UNAUTHORIZED, 401)),
    ("empty", {}, (SESSION_UNAUTHORIZED, 401)),
    ("no-patterns", {"publish": [], "subscribe": []}, (SESSION_UNAUTHORIZED, 401)),
    ("broken", 500, (UNAVAILABLE, 502)),
    ("not-found", 404, (UNAVAILABLE, 502)),
    ("nothing", 204, (UNAVAILABLE, 502)),
    ("redirect", 302, (UNAVAILABLE, 502)),
    ("redirect-post", 307, (UNAVAILABLE, 502)),
    ("no-json", b"welcome!", (UNAVAILABLE, 502)),
    ("huge", b" " * (1 << 20) + b"{}", (UNAVAILABLE, 502)),
    ("past", EVERYTHING | {"expires": 1000}, (UNAVAILABLE, 502)),
    ("unbounded", EVERYTHING | {"revalidate": 10}, (UNAVAILABLE, 502)),
    ("mounts", EVERYTHING | {"mounts": {"a": "b"}}, (UNAVAILABLE, 502)),
]


@pytest.mark.parametrize("name,answer,codes", REFUSALS, ids=[row[0] for row in REFUSALS])
@run_async()
async def test_refusals(guarded, server, name, answer, codes):
    server.answers[f"/no/{name}"] = answer
    assert await refusal(guarded, "moql", f"no/{name}?jwt={SECRET}") == codes[0]
    assert await refusal(guarded, "https", f"no/{name}?jwt={SECRET}") == codes[1]
    assert (await asyncio.to_thread(http, guarded, f"/announced/no/{name}"))[0] == codes[1]
    assert (await asyncio.to_thread(http, guarded, f"/fetch/no/{name}/track"))[0] == codes[1]
    assert len(server.events(f"/no/{name}", "connect")) == 4  # none is asked twice
    assert server.events(f"/no/{name}", "end") == []
    assert SECRET not in guarded.log() and "of-the-relay" not in guarded.log()


@run_async()
async def test_a_server_that_is_down(start):
    relay = await asyncio.to_thread(start, f"http://127.0.0.1:{free_port()}/")
    assert await refusal(relay, "moql", "room") == UNAVAILABLE
    assert await refusal(relay, "https", "room") == 502
    assert (await asyncio.to_thread(http, relay, "/announced/room"))[0] == 502
    assert "auth server: a request failed" in relay.log()
    relay.stop()


@run_async(90)
async def test_a_slow_server_holds_up_nobody_else(guarded, server):
    """While some wait for a word that does not come, others come in, and frames pass."""
    go = threading.Event()
    server.answers["/slow"] = lambda request: go.wait(30) and 403
    try:
        waiting = [
            asyncio.ensure_future(refusal(guarded, scheme, "slow")) for scheme in SCHEMES * 4
        ]
        await asyncio.to_thread(server.wait, "/slow", "connect", 8)
        for scheme in SCHEMES:
            async with connect(guarded.url(scheme, "quick")) as client:
                broadcast = client.create_broadcast(f"b-{scheme}")
                broadcast.announce()
                async with connect(guarded.url("moql", "quick")) as other:
                    await find(other, f"b-{scheme}")
            assert (await asyncio.to_thread(http, guarded, "/announced/quick"))[0] == 200
        assert set(await asyncio.gather(*waiting)) <= {UNAVAILABLE, 502}
    finally:
        go.set()


@run_async()
async def test_a_bound_on_requests(start, server):
    """Who comes while too many wait is turned away at once, and who waits is not."""
    relay = await asyncio.to_thread(start, server.url, "--limits-auth-requests", "1")
    go = threading.Event()
    server.answers["/bound"] = lambda request: go.wait(30) and EVERYTHING
    try:
        first = asyncio.ensure_future(asyncio.to_thread(http, relay, "/announced/bound"))
        await asyncio.to_thread(server.wait, "/bound", "connect")
        assert await refusal(relay, "moql", "other") == UNAVAILABLE
        assert (await asyncio.to_thread(http, relay, "/announced/other"))[0] == 502
    finally:
        go.set()
    assert (await first)[0] == 200
    assert "limit reached limit=limits.auth_requests" in relay.log()
    relay.stop()


# -- later --


def changing(first, then):
    """Answers `first` to connect and `then`, or the next of it, to the checks, one each second."""

    def answer(request):
        soon = {"expires": int(time.time()) + 600, "revalidate": 1}
        chosen = first
        if request["event"] == "revalidate":
            chosen = next(then, EVERYTHING) if hasattr(then, "__next__") else then
        return chosen | soon if isinstance(chosen, dict) else chosen

    return answer


ENDS = [  # a name, what a check answers, the reason that the end event has
    ("narrowed", {"subscribe": ["**"]}, "grant narrowed"),
    ("moved", EVERYTHING | {"root": "elsewhere"}, "root changed"),
    ("peer", EVERYTHING | {"peer": True}, "peer changed"),
    ("refused", 403, "refused"),
    ("emptied", {"publish": []}, "refused"),
]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name,then,reason", ENDS, ids=[row[0] for row in ENDS])
@run_async()
async def test_checks_that_end_a_session(guarded, server, scheme, name, then, reason):
    path = f"/ends/{name}/{scheme}"
    server.answers[path] = changing(EVERYTHING, then)
    async with connect(guarded.url(scheme, path[1:])) as client:
        with pytest.raises(moq.Error):
            await asyncio.wait_for(client.session.closed(), 20)
    (ended,) = await asyncio.to_thread(server.wait, path, "end")
    assert ended["reason"] == reason


@pytest.mark.parametrize("scheme", SCHEMES)
@run_async()
async def test_checks_that_do_not(guarded, server, scheme):
    """Another tier, more than before, and a server that fails: the session goes on."""
    path = f"/stays/{scheme}"
    checks = [EVERYTHING | {"tier": "gold"}, 500, b"?", EVERYTHING | {"tier": "lead"}]
    server.answers[path] = changing({"publish": ["still-*"]}, iter(checks))
    async with connect(guarded.url(scheme, path[1:])) as client:
        await asyncio.to_thread(server.wait, path, "revalidate", 5)
        broadcast = client.create_broadcast("still-here")
        broadcast.announce()
        async with connect(guarded.url("moql", "stays")) as other:
            await find(other, f"{scheme}/still-here")
    assert 'tier "gold" is now "lead"' in guarded.log()


@pytest.mark.parametrize("scheme", SCHEMES)
@run_async()
async def test_a_grant_expires(guarded, server, scheme):
    path = f"/expires/{scheme}"
    server.answers[path] = lambda request: EVERYTHING | {"expires": int(time.time()) + 2}
    async with connect(guarded.url(scheme, path[1:])) as client:
        with pytest.raises(moq.Error):
            await asyncio.wait_for(client.session.closed(), 20)
    (ended,) = await asyncio.to_thread(server.wait, path, "end")
    assert ended["reason"] == "expired"
    assert "the grant has expired" in guarded.log()


@run_async()
async def test_a_fetch_ends_with_its_grant(guarded, server):
    """A group that is still being published is cut off."""
    server.answers["/cut/b"] = lambda request: EVERYTHING | {"expires": int(time.time()) + 3}
    async with connect(guarded.url("moql", "cut")) as client:
        broadcast = client.create_broadcast("b")
        track = broadcast.publish_track("v")
        group = track.append_group()
        broadcast.announce()
        group.write_frame(b"begin", 0)
        with pytest.raises(IncompleteRead) as cut:
            await asyncio.to_thread(http, guarded, "/fetch/cut/b/v")
        assert cut.value.partial == b"begin"
    (ended,) = await asyncio.to_thread(server.wait, "/cut/b", "end")
    assert ended["reason"] == "expired"
    assert ended["bytes"]["sent"] == len(b"begin")


@run_async()
async def test_the_last_ends_are_told(start, server):
    """A relay that goes still says how its sessions ended."""
    relay = await asyncio.to_thread(start, server.url)
    async with connect(relay.url("moql", "last")) as client:
        await accepted(relay, "/last")
        await asyncio.to_thread(relay.stop)
        del client
    assert server.events("/last", "end")


# -- over TLS, over a socket --


@run_async(90)
async def test_over_tls(start, tmp_path):
    """Its certificate is checked, and ours is shown."""
    own, mine = [(tmp_path / f"{who}.pem", tmp_path / f"{who}.key") for who in ("own", "mine")]
    write_pair(*own)
    write_pair(*mine, name="relay")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*own)
    context.load_verify_locations(mine[0])
    context.verify_mode = ssl.CERT_REQUIRED
    show = ["--auth-tls-cert", mine[0], "--auth-tls-key", mine[1]]
    with auth_server(context) as server:
        for extra, status in [
            (["--auth-tls-root", own[0], *show], 200),
            (["--auth-tls-disable-verify", *show], 200),
            (["--auth-tls-root", own[0]], 502),  # no certificate of ours
            (["--auth-tls-root", mine[0], *show], 502),  # another root
            (show, 502),  # the system's roots
        ]:
            relay = await asyncio.to_thread(start, server.url, *map(str, extra))
            answer = await asyncio.to_thread(http, relay, "/announced/tls")
            assert answer[0] == status, (extra, relay.tail(5))
            relay.stop()
        other_name = server.url.replace("localhost", "127.0.0.1")
        relay = await asyncio.to_thread(
            start, other_name, "--auth-tls-root", str(own[0]), *map(str, show)
        )
        assert (await asyncio.to_thread(http, relay, "/announced/tls"))[0] == 502
        relay.stop()


# -- settings --


def test_one_place_decides(relay_binary, server):
    for extra in (["--auth-public", ""], ["--auth-key", "k"], ["--auth-key-dir", "d"]):
        code, said = run_to_end(
            relay_binary, ["--tls-generate", "localhost", "--auth-url", server.url, *extra]
        )
        assert code == 1
        assert "auth.url" in said and "leave one of the two out" in said


def test_a_url_that_would_give_secrets_away(relay_binary):
    code, said = run_to_end(
        relay_binary,
        [
            *["--listen", f"{HOST}:{free_port()}", "--web-http-listen", ""],
            *["--tls-generate", "localhost", "--auth-url", "http://auth.example/"],
        ],
    )
    assert code == 1
    assert "write https://" in said


# -- the Rust server --


@pytest.fixture(scope="module", params=["http", "unix"])
def rust_server(tmp_path_factory, request):
    """`moq auth serve` with a key and open paths: (its address, a function that makes tokens)."""
    program = rust_programs.rust_client()
    folder = tmp_path_factory.mktemp("rust-auth")
    port = free_port()
    address = {"http": f"127.0.0.1:{port}", "unix": f"unix:{folder / 'socket'}"}[request.param]

    def run(*words):
        words = [program, "auth", *words]
        done = subprocess.run(words, capture_output=True, timeout=20, check=True)
        return done.stdout.decode().strip()

    private, public = folder / "root.jwk", folder / "public.jwk"
    run("generate", "--algorithm", "EdDSA", "--out", private, "--public", public)
    process = subprocess.Popen(
        [
            *[program, "auth", "serve", "--listen", address, "--key", public],
            *["--public-subscribe", "anon/**", "--expires", "10s", "--revalidate", "1s"],
            *["--tier", "gold"],
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://{address}" if request.param == "http" else address
        yield url, lambda *words: run("sign", "--key", private, *words)
    finally:
        process.kill()
        process.wait()


@run_async(90)
async def test_the_rust_server(start, rust_server):
    url, sign = rust_server
    relay = await asyncio.to_thread(start, url)
    token = await asyncio.to_thread(
        sign, "--root", "room/1", "--publish", "me/**", "--subscribe", "**"
    )
    for scheme in SCHEMES:
        async with (
            connect(relay.url(scheme, f"room/1?jwt={token}")) as client,
            connect(relay.url(scheme, f"room?jwt={token}")) as above,
            connect(relay.url(scheme, "anon/x")),
        ):
            broadcast = client.create_broadcast(f"me/{scheme}")
            broadcast.announce()
            await find(above, f"1/me/{scheme}")
            await asyncio.sleep(2)  # checks take place, and change nothing
            second = announce(client, f"me/{scheme}/2")
            await find(above, f"1/me/{scheme}/2")
            del second
        assert await refusal(relay, scheme, "room/1") in (SESSION_UNAUTHORIZED, 401)
        assert await refusal(relay, scheme, f"other?jwt={token}") in (SESSION_UNAUTHORIZED, 401)
    assert (await asyncio.to_thread(http, relay, "/announced/room/1", token))[0] == 200
    assert (await asyncio.to_thread(http, relay, "/announced/room/1"))[0] == 401
    log = relay.log()
    assert "tier=gold" in log and token not in log
    assert "auth server:" not in log, json.dumps(log)
    relay.stop()
