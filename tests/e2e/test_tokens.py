# SPDX-License-Identifier: MIT OR Apache-2.0
"""Who gets in with a token, and what they see and may publish: a table, over every transport and HTTP."""

import asyncio
import json
import os
import subprocess
import time
import urllib.request
from http.client import HTTPConnection, IncompleteRead
from urllib.error import HTTPError

import moq
import pytest

from clients import connect, find, read_group, run_async, subscribe, write_group
from jwt import ALGORITHMS, Key, b64
from lite import PARAMETER_PATH, SESSION_UNAUTHORIZED, Session, announce_ok, announce_start, setup
from peer import Http3, Raw, open_peer, open_webtransport, request_fields
from relay import HOST, free_port, run_to_end

pytestmark = pytest.mark.ours

KEY = Key("HS256")
OTHER = Key("HS256")
OTHER.secret = b"another secret, just as long as it has to be"
ALL = {"get": "", "put": ""}

# What is live while the rows are tried.
LIVE = [
    "room/123/alice",
    "room/123/bob",
    "room/124/x",
    "demo/x/y",
    "a/b/c",
    "anon/z",
    "anonymous/q",
]



def worded(claims):
    """A token whose claims are these bytes, whatever they are."""
    message = b64(b'{"alg":"HS256"}') + "." + b64(claims)
    return f"{message}.{b64(KEY.sign(message.encode()))}"


SEEN = [  # claims (None: no token; a string: a token as it is), path, what is announced there (None: refused)
    (None, "anon", {"z"}),
    (None, "anon/", {"z"}),
    (None, "//anon//", {"z"}),
    (None, "anon/room/1", set()),
    (None, "anonymous", None),
    (None, "ano", None),
    (None, "", {"anon/z"}),
    (None, "room/123", None),
    ("garbage", "anon", None),
    ("a.b.c", "anon", None),
    (ALL, "", set(LIVE)),
    (ALL, "room", {"123/alice", "123/bob", "124/x"}),
    (ALL, "anon", {"z"}),
    ({"root": "room/123", "get": ""}, "room/123", {"alice", "bob"}),
    ({"root": "room/123", "get": [""]}, "room/123/", {"alice", "bob"}),
    ({"root": "/room//123/", "get": ""}, "//room//123", {"alice", "bob"}),
    ({"root": "room/123", "get": ""}, "room/123/alice", {""}),
    ({"root": "room/123", "get": ""}, "room", {"123/alice", "123/bob"}),
    ({"root": "room/123", "get": ""}, "", {"room/123/alice", "room/123/bob"}),
    ({"root": "room/123", "get": ""}, "room/1234", None),
    ({"root": "room/123", "get": ""}, "room/12", None),
    ({"root": "room/123", "get": ""}, "anon", None),
    ({"root": "room/123", "get": "bob", "put": "alice"}, "room/123", {"bob"}),
    ({"root": "room/123", "get": "bob", "put": "alice"}, "room/123/bob", {""}),
    ({"root": "room/123", "get": "bob", "put": "alice"}, "room/123/carol", None),
    ({"root": "room/123", "get": "bo"}, "room/123", set()),
    ({"get": "a"}, "a/b", {"c"}),
    ({"get": ["a", "demo"]}, "", {"a/b/c", "demo/x/y"}),
    ({"root": "demo", "get": ""}, "demo/x", {"y"}),
    ({"root": "demo"}, "demo", None),
    ({"root": "demo", "put": [], "get": []}, "demo", None),
    ({"root": "demo", "sub": ""}, "demo", {"x/y"}),
    ({"root": "demo", "pub": "", "sub": "x"}, "demo", {"x/y"}),
    ({"root": "demo", "put": "", "sub": "a person"}, "demo", set()),
    ({"subscribe": "room/*/alice"}, "", {"room/123/alice"}),
    ({"subscribe": "room/*/alice"}, "room/123", {"alice"}),
    ({"subscribe": ["**/x", "**/y"]}, "", {"room/124/x", "demo/x/y"}),
    ({"root": "room", "subscribe": "12*/bob"}, "room", {"123/bob"}),
    ({"subscribe": "room/123"}, "room/123", set()),
    ({"get": "", "publish": ""}, "", None),
    (ALL | {"aud": "someone"}, "", None),
    (ALL | {"exp": int(time.time()) - 5}, "", None),
    (ALL | {"exp": 1.5}, "", None),
    (ALL | {"nbf": int(time.time()) + 1000}, "", None),
    (ALL | {"exp": int(time.time()) + 1000, "nbf": 5, "iat": 5, "jti": "x"}, "", set(LIVE)),
    (ALL | {"exp": None}, "", set(LIVE)),
    (ALL | {"cluster": "yes"}, "", None),
    ({"get": 7}, "", None),
    ({"root": ["room"], "get": ""}, "room", None),
    (OTHER.token(ALL), "", None),
    (KEY.token(ALL, alg="none"), "", None),
    (KEY.token(ALL, alg="HS512"), "", None),
    (KEY.token(ALL, alg="RS256"), "", None),
    (KEY.token(ALL, crit=["exp"]), "", None),
    (KEY.token(ALL, jwk=KEY.private), "", None),
    (KEY.token(ALL, kid="whatever"), "", set(LIVE)),
    (KEY.token(ALL, kid="../x"), "", None),
    (KEY.token(ALL)[:-1], "", None),
    (KEY.token(ALL) + "A", "", None),
    (b64(b'{"alg":"none"}') + "." + b64(json.dumps(ALL).encode()) + ".", "", None),
    ({"get": "", "x": "y" * 9000}, "", None),
]

# What means one thing here and another elsewhere: rows as above.
TRICKS = [
    # dots, cases and stars in a path that is dialled mean nothing
    (None, "anon/..", set()),
    (None, "anon/../room/123", set()),
    (None, "../anon", None),
    (None, "./anon", None),
    (None, "ANON", None),
    (None, "*", None),
    (None, "**", None),
    (None, "an*n", None),
    ({"root": "room/123", "get": ""}, "room/*", None),
    ({"root": "room/123", "get": ""}, "**", None),
    ({"root": "room/123", "get": ""}, "room/124/../123", None),
    # and in a claim only where it has patterns
    ({"root": "room/123/..", "get": ""}, "room", set()),
    ({"root": "..", "get": ""}, "", set()),
    ({"get": ".."}, "", set()),
    ({"get": "room/*"}, "", None),
    ({"get": "**"}, "", None),
    ({"root": "*", "get": ""}, "", None),
    ({"root": "**", "subscribe": "**"}, "", None),
    ({"subscribe": "**"}, "", set(LIVE)),
    ({"subscribe": ""}, "", set()),
    ({"subscribe": []}, "", None),
    ({"subscribe": "**/**"}, "", None),
    ({"subscribe": "***"}, "", None),
    ({"subscribe": "room**"}, "", None),
    ({"subscribe": "a/**/b/**"}, "", None),
    ({"subscribe": "**/alice"}, "room", {"123/alice"}),
    ({"subscribe": "room/**/x"}, "room", {"124/x"}),
    ({"subscribe": "/room//123/*/"}, "", {"room/123/alice", "room/123/bob"}),
    ({"root": "room", "subscribe": "**"}, "roomy", None),
    ({"root": "a", "get": ["b"] * 65}, "a", None),
    ({"root": "/".join("x" * 32), "get": ""}, "", None),
    # members that a reader could take in two ways
    (worded(b'{"get":"demo","get":""}'), "", None),
    (worded(b'{"get":"demo","\\u0067et":""}'), "", None),
    (worded(b'{"get":"","exp":1,"exp":null}'), "", None),
    (worded(b'{"get":""}{"get":"demo"}'), "", None),
    (worded(b'{"get":"demo"}\0'), "", None),
    (worded(b'{"get":"demo\\u0000x"}'), "", None),
    (worded(b'{"get":"demo\xff"}'), "", None),
    (worded(b'{"get\\u0000x":""}'), "", None),
    (worded(b'\xef\xbb\xbf{"get":""}'), "", None),
    (worded(b'{"get":"","x":' + b"[" * 5000 + b"]" * 5000 + b"}"), "", None),
    (worded(b'["get",""]'), "", None),
    (worded(b""), "", None),
    # numbers
    (worded(b'{"get":"","exp":0}'), "", None),
    (worded(b'{"get":"","exp":-0}'), "", None),
    (worded(b'{"get":"","exp":-1}'), "", None),
    (worded(b'{"get":"","exp":true}'), "", None),
    (worded(b'{"get":"","exp":"9999999999"}'), "", None),
    (worded(b'{"get":"","exp":9999999999.0}'), "", None),
    (worded(b'{"get":"","exp":1e400}'), "", None),
    (worded(b'{"get":"","exp":18446744073709551617}'), "", None),
    (worded(b'{"get":"","exp":9223372036854775807}'), "", set(LIVE)),
    (worded(b'{"get":"","nbf":9223372036854775807}'), "", None),
    (worded(b'{"get":"","nbf":-9223372036854775808}'), "", set(LIVE)),
    # the token as text
    (KEY.token(ALL).replace(".", "%2E"), "", None),
    (KEY.token(ALL) + "%00", "", None),
    (KEY.token(ALL) + "=", "", None),
    (KEY.token(ALL) + "." + KEY.token(ALL), "", None),
    ("&jwt=" + KEY.token(ALL), "", set(LIVE)),
    (KEY.token(ALL) + "&jwt=" + KEY.token({"get": "demo"}), "", None),
    ("&jwt=%20", "anon", None),
    ("?jwt=" + KEY.token(ALL), "anon", None),
    (KEY.token(ALL, kid=None), "", set(LIVE)),
    (KEY.token(ALL, kid=""), "", None),
    (KEY.token(ALL, kid="x\0y"), "", None),
    (KEY.token(ALL, jku="http://127.0.0.1:1/"), "", None),
    (KEY.token(ALL, zip="DEF"), "", None),
]

PUBLISHED = [  # claims, path, what is announced there, what of it everybody then sees
    (None, "anon", ["p1"], {"anon/p1"}),
    (ALL, "", ["p2", "x/p3"], {"p2", "x/p3"}),
    (
        {"root": "room/9", "put": ["me"]},
        "room/9",
        ["me", "me/2", "mean", "you"],
        {"room/9/me", "room/9/me/2"},
    ),
    (
        {"root": "room/9", "put": ["me"]},
        "room/9/me",
        ["", "deep/er"],
        {"room/9/me", "room/9/me/deep/er"},
    ),
    ({"root": "room/9", "put": "me", "get": ""}, "room", ["9/me", "9/you", "me"], {"room/9/me"}),
    (
        {"publish": "rooms/*/chat"},
        "",
        ["rooms/1/chat", "rooms/1/video", "rooms/chat"],
        {"rooms/1/chat"},
    ),
    ({"publish": "rooms/*/chat"}, "rooms/1", ["chat", "chat/x"], {"rooms/1/chat"}),
]


def query(claims, key=KEY):
    if claims is None:
        return ""
    return "?jwt=" + (claims if isinstance(claims, str) else key.token(claims))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tmp_path_factory.mktemp("keys")


def write_key(path, jwk, encoded=True):
    text = json.dumps(jwk)
    path.write_text(b64(text.encode()) if encoded else text)
    return str(path)


@pytest.fixture(scope="module")
def locked(start_relay, files):
    """A relay with a key, open below `anon`."""
    return start_relay(
        public="anon", extra=["--auth-key", write_key(files / "root.jwk", KEY.private)]
    )


class Refused(Exception):
    pass


class open_session:
    """A moq-lite-06 session at a path, over raw QUIC or WebTransport."""

    def __init__(self, transport, port, path):
        self.transport, self.port, self.path = transport, port, path

    async def __aenter__(self):
        if self.transport == "webtransport":
            self.opened = open_webtransport(self.port, path="/" + self.path)
            peer = await self.opened.__aenter__()
            if peer.fields[":status"] != "200":
                await self.opened.__aexit__(None, None, None)
                raise Refused(int(peer.fields[":status"]))
            peer.open(setup(), bidi=False, fin=True)
        else:
            self.opened = open_peer(self.port, "moq-lite-06")
            peer = Raw(await self.opened.__aenter__())
            peer.open(setup([(PARAMETER_PATH, "/" + self.path)]), bidi=False, fin=True)
        self.peer = peer
        self.session = Session(peer, 6)
        return self.session

    async def __aexit__(self, *error):
        self.session.close()
        await self.opened.__aexit__(None, None, None)


async def listing(session):
    stream, count = await session.announcements()
    return stream, {(await session.read_announcement(stream))[1] for _ in range(count)}


async def until_silent(session):
    """What other tests announced may linger for a while."""
    for _ in range(150):
        stream, left = await listing(session)
        if not left:
            break
        stream.finish()
        await asyncio.sleep(0.1)
    return stream, left


async def look(transport, port, path):
    """What is announced at a path; None when that is refused, with the code that says so."""
    if transport == "http":
        place, _, rest = path.partition("?")
        answer = await asyncio.to_thread(
            http, port, f"/announced/{place}".rstrip("/") + ("?" + rest if rest else "")
        )
        if answer is None:
            return None
        return set(answer.split("\n")) if answer else set()
    try:
        async with open_session(transport, port, path) as session:
            try:
                return (await listing(session))[1]
            except Exception:
                assert await session.transport.wait_end() == SESSION_UNAUTHORIZED
                return None
    except Refused as refused:
        assert refused.args[0] == 401
        return None


def http(port, path, bearer=None):
    request = urllib.request.Request(f"http://{HOST}:{port}{path}")
    if bearer:
        request.add_header("Authorization", f"Bearer {bearer}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()
    except HTTPError as error:
        with error:
            assert (
                error.code in (401, 414) and not error.read()
            ), error  # 414: longer than any token
        return None


def shown(claims):
    return claims[:30] if isinstance(claims, str) else json.dumps(claims)[:60]


@pytest.mark.parametrize("transport", ["raw", "webtransport", "http"])
@run_async(120)
async def test_what_is_seen(locked, transport):
    wrong = []
    async with connect(locked.url("https", query(ALL))) as publisher:
        live = [publisher.create_broadcast(path) for path in LIVE]
        for broadcast in live:
            broadcast.announce()
        async with connect(locked.url("https", query(ALL))) as viewer:
            for path in LIVE:
                await find(viewer, path)
        # All transports ask the same function; a connection of WebTransport takes longest.
        for claims, path, expected in SEEN + TRICKS[:: 4 if transport == "webtransport" else 1]:
            if transport == "http" and (expected == {""} or "a person" in shown(claims)):
                continue  # one empty name or none: the list cannot tell; who may only publish has none
            got = await look(transport, locked.port, path + query(claims))
            if got != expected:
                wrong.append((shown(claims), path, expected, got))
    assert not wrong, wrong
    assert len(SEEN) > 50 and len(TRICKS) > 50


@pytest.mark.parametrize("transport", ["raw", "webtransport", "http"])
@run_async()
async def test_escapes_in_a_path(locked, transport):
    """HTTP decodes them before it asks, sessions take them as they are."""
    inside = query({"root": "room/123", "get": ""})
    for path, decoded, encoded in (
        ("%61non", set(), None),
        ("anon%2Fx", set(), None),
        ("room%2F123" + inside, set(), None),
        ("room/123/%3Fjwt=x" + inside, set(), set()),
        ("room/124/..%2F123" + inside, None, None),
        ("anon%2F..%2Froom%2F123", set(), None),
        ("room%2F123", None, None),
        ("%2e%2e/anon", None, None),
    ):
        wanted = decoded if transport == "http" else encoded
        assert await look(transport, locked.port, path) == wanted, path


@pytest.mark.parametrize("transport", ["raw", "webtransport"])
@run_async(60)
async def test_what_is_published(locked, transport):
    for claims, path, offered, expected in PUBLISHED:
        async with (
            open_session("raw", locked.port, query(ALL)) as everybody,
            open_session(transport, locked.port, path + query(claims)) as session,
        ):
            stream, before = await until_silent(everybody)
            assert not before, before
            asked = await session.next("bidi", 1)
            await asked.read_sized()
            asked.write(announce_ok(7, len(offered)) + b"".join(announce_start(s) for s in offered))
            seen = {(await everybody.read_announcement(stream))[1] for _ in expected}
            assert seen == expected, (shown(claims), path)


@pytest.mark.parametrize("alg", ALGORITHMS)
@run_async()
async def test_every_algorithm(start_relay, files, alg):
    """Keys and tokens of another implementation; the relay has the public half alone."""
    key, stranger = Key(alg), Key(alg)
    if alg[0] == "H":
        stranger.secret = b"not the same secret, but as long as the other one. So there it is."
    relay = await asyncio.to_thread(
        start_relay,
        public=None,
        extra=["--auth-key", write_key(files / f"{alg}.jwk", key.public, alg != "RS256")],
    )
    assert await look("raw", relay.port, query({"get": ""}, key)) == set()
    assert await look("raw", relay.port, query({"get": ""}, stranger)) is None
    relay.stop()


@run_async()
async def test_a_session_ends_with_its_token(locked, scheme):
    token = query({"root": "end", "get": "", "put": "", "exp": int(time.time()) + 3})
    async with connect(locked.url(scheme, "end" + token)) as client:
        with pytest.raises(moq.Error):
            await asyncio.wait_for(client.session.closed(), 15)
    assert "the token has expired" in locked.log()


def fetch_to_the_end(port, path):
    """Status, bytes, and whether the answer was whole."""
    connection = HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        try:
            return answer.status, answer.read(), True
        except IncompleteRead as cut:
            return answer.status, cut.partial, False
    finally:
        connection.close()


@run_async(60)
async def test_a_fetch_ends_with_its_token(locked):
    """Of a group that does not end, and of a broadcast that does not come."""
    async with connect(locked.url("https", query(ALL))) as publisher:
        broadcast = publisher.create_broadcast("endless")
        track = broadcast.publish_track("t")
        broadcast.announce()
        group = track.append_group()
        group.write_frame(b"and so on", 0)
        token = query({"get": "", "exp": int(time.time()) + 4})
        first, second = await asyncio.gather(
            asyncio.to_thread(fetch_to_the_end, locked.port, "/fetch/endless/t" + token),
            asyncio.to_thread(fetch_to_the_end, locked.port, "/fetch/never/t" + token),
        )
        assert first == (200, b"and so on", False)
        assert second == (401, b"", True)


@run_async()
async def test_frames_pass_by_token(locked, scheme):
    async with (
        connect(locked.url(scheme, "t" + query({"root": "t", "put": "me"}))) as publisher,
        connect(locked.url(scheme, "t" + query({"root": "t", "get": "me"}))) as viewer,
    ):
        broadcast = publisher.create_broadcast("me")
        track = broadcast.publish_track("v")
        broadcast.announce()
        reader = await subscribe(viewer, "me", "v")
        write_group(track, [(b"for your eyes", 0)])
        assert await read_group(reader) == (0, [(b"for your eyes", 0)])
        answer = await asyncio.to_thread(
            http, locked.port, "/fetch/t/me/v" + query({"root": "t", "get": "me"})
        )
        assert answer == "for your eyes"
        assert await asyncio.to_thread(http, locked.port, "/fetch/t/me/v") is None
        assert (
            await asyncio.to_thread(
                http, locked.port, "/fetch/t/me/v" + query({"root": "t", "get": "m"})
            )
            is None
        )


def test_bearer(locked):
    token = KEY.token({"root": "b", "get": ""})
    assert http(locked.port, "/announced/b", token) == ""
    assert http(locked.port, "/announced/b?jwt=" + token, token) == ""
    assert http(locked.port, "/announced/b?jwt=" + KEY.token(ALL), token) is None
    assert http(locked.port, "/announced/b", token[:-2]) is None


def header_rows():
    """Authorization headers, path, status. What servers and proxies take in different ways is one token or none."""
    token, other = KEY.token({"root": "b", "get": ""}), KEY.token(ALL)
    return [
        (["bearer " + token], "b", 200),
        (["BEARER   " + token], "b", 200),
        (["Bearer\t" + token], "b", 200),
        (["Bearer " + token], "anon", 401),
        (["Bearer x"], "anon", 401),
        (["Bearer " + token + " " + other], "b", 401),
        (["Bearer " + token + ", Bearer " + other], "b", 401),
        (["Bearer  , " + token], "anon", 401),
        (["Basic " + token], "b", 401),
        ([token], "b", 401),
        (["Bearer " + token, "Bearer " + token], "b", 400),
        (["Bearer " + token, "Bearer " + other], "b", 400),
        (["Basic x", "Bearer " + token], "b", 400),
        (["Basic x", "Bearer x"], "anon", 400),
    ]


def test_headers_with_a_token(locked):
    for headers, path, status in header_rows():
        connection = HTTPConnection(HOST, locked.port, timeout=10)
        connection.putrequest("GET", "/announced/" + path)
        for value in headers:
            connection.putheader("Authorization", value)
        connection.endheaders()
        assert connection.getresponse().status == status, headers
        connection.close()


@run_async()
async def test_headers_of_a_connect(locked):
    """The same on WebTransport; a request with two is malformed, which resets it."""
    for headers, path, status in header_rows():
        async with open_peer(locked.port, "h3") as peer:
            web = Http3(peer)
            fields = request_fields("CONNECT", "/" + path, protocol="webtransport")
            fields.append(("wt-available-protocols", '"moq-lite-06"'))
            fields += [("authorization", value) for value in headers]
            stream = web.request(fields, fin=False)
            if status == 400:
                await stream.wait_refused()
            else:
                assert (await web.response(stream))[":status"] == str(status), headers


@run_async()
async def test_keys_that_come_and_go(start_relay, files):
    folder = files / "folder"
    folder.mkdir()
    first, second = Key("ES256", "first"), Key("EdDSA", "second")
    write_key(folder / "first.jwk", first.public)
    relay = await asyncio.to_thread(start_relay, public=None, extra=["--auth-key-dir", str(folder)])
    assert await look("http", relay.port, query({"get": ""}, first)) == set()
    assert await look("http", relay.port, query({"get": ""}, second)) is None
    write_key(folder / "second.jwk", second.public)
    assert await look("http", relay.port, query({"get": ""}, second)) == set()
    (folder / "first.jwk").unlink()
    await asyncio.sleep(1.2)  # files are looked at once a second
    assert await look("http", relay.port, query({"get": ""}, first)) is None
    relay.stop()


def test_nothing_of_a_token_is_logged(locked):
    token = KEY.token({"root": "secret-root", "get": ""})
    http(locked.port, "/announced/other?jwt=" + token)
    http(locked.port, "/announced/secret-root?jwt=" + token)
    for part in token.split("."):
        assert part not in locked.log()
    assert KEY.private["k"] not in locked.log()


@pytest.mark.parametrize(
    "text,why",
    [
        ("{}", '"alg"'),
        ("", "neither a JWK"),
        ('{"keys":[]}', "a set of keys"),
        (None, "No such file"),
    ],
)
def test_a_bad_key_stops_the_start(relay_binary, tmp_path, text, why):
    path = tmp_path / "key.jwk"
    if text is not None:
        path.write_text(text)
    code, said = run_to_end(
        relay_binary,
        [
            "--listen",
            f"{HOST}:{free_port()}",
            "--tls-generate",
            "localhost",
            "--auth-key",
            str(path),
        ],
    )
    assert code == 1 and str(path) in said and why in said, said


# moq-token


@pytest.fixture(scope="module")
def token_program(relay_binary):
    program = relay_binary.parent / "moq-token"

    def run(*arguments, text="", code=0):
        done = subprocess.run(
            [program, *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout

    return run


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_its_keys_open_a_relay(start_relay, token_program, files, alg):
    private, public = files / f"{alg}-own.jwk", files / f"{alg}-own-public.jwk"
    places = [] if alg[0] == "H" else ["--public", str(public)]
    assert token_program("generate", "--algorithm", alg, "--out", str(private), *places) == ""
    assert private.stat().st_mode & 0o777 == 0o600
    token = token_program("sign", "--key", str(private), "--root", "r", "--subscribe", "")
    half = str(public if places else private)
    assert json.loads(token_program("verify", "--key", half, text=token)) == {
        "root": "r",
        "get": "",
    }
    relay = start_relay(public=None, extra=["--auth-key", half])
    assert http(relay.port, "/announced/r?jwt=" + token.strip()) == ""
    assert http(relay.port, "/announced/s?jwt=" + token.strip()) is None
    relay.stop()


def test_the_older_order(token_program, tmp_path):
    key = str(tmp_path / "root.jwk")
    assert token_program("--key", key, "generate") == ""
    assert (
        "=" not in (tmp_path / "root.jwk").read_text()
        and "\n" not in (tmp_path / "root.jwk").read_text()
    )
    token = token_program(
        "--key",
        key,
        "sign",
        "--root",
        "demo",
        "--publish",
        "a",
        "--publish",
        "b",
        "--cluster",
        "--expires",
        "4000000000",
    )
    assert json.loads(token_program("--key", key, "verify", text=token)) == {
        "root": "demo",
        "put": ["a", "b"],
        "cluster": True,
        "exp": 4000000000,
    }


def test_only_files_change_their_mode(token_program, tmp_path):
    """A key written to /dev/null by root is no reason to close that to everybody."""
    old, pipe = tmp_path / "old.jwk", tmp_path / "pipe"
    old.write_text("what was there before, and longer than the key that will be there " * 50)
    old.chmod(0o644)
    token_program("generate", "--out", str(old))
    assert old.stat().st_mode & 0o777 == 0o600
    os.mkfifo(pipe)
    pipe.chmod(0o666)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        token_program("generate", "--out", str(pipe))
        assert os.read(reader, 4096)
    finally:
        os.close(reader)
    assert pipe.stat().st_mode & 0o777 == 0o666


def test_what_it_refuses(token_program, tmp_path):
    key = str(tmp_path / "k.jwk")
    token_program("generate", "--out", key, "--root", "room", "--subscribe", "")
    assert "useless" in token_program("sign", "--key", key, code=1)
    assert "scope" in token_program("sign", "--key", key, "--subscribe", "", code=1)
    assert "cannot be converted" in token_program("generate", "--public", "-", code=1)
    assert "--key is missing" in token_program("sign", "--subscribe", "", code=2)
    assert "--in" in token_program("sign", "--key", key, "--in", "x", code=2)
    assert "No such file" in token_program(
        "verify", "--key", str(tmp_path / "none"), text="x", code=1
    )
    assert "malformed" in token_program("verify", "--key", key, text="x", code=1)
    assert "unknown command" in token_program("sing", code=2)
    old = token_program("sign", "--key", key, "--root", "room", "--subscribe", "", "--expires", "5")
    assert "expired" in token_program("verify", "--key", key, text=old, code=1)


@pytest.mark.parametrize("version", ["01", "02", "03", "04", "05", "06"])
@run_async()
async def test_every_version(locked, client_binary, version):
    """WebTransport has a URL whatever the version, raw QUIC has one from 05 on; before that it is anonymous."""

    async def names(url):
        done = await asyncio.to_thread(
            subprocess.run,
            [client_binary, "announced", "--once", "--tls-disable-verify", url]
            + ["--connect-version", "moq-lite-" + version],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return done.stdout.split()[1::2] if done.returncode == 0 else done.returncode

    inside, refused = query({"root": "old", "get": ""}), 7
    async with connect(locked.url("https", query(ALL))) as publisher:
        live = [publisher.create_broadcast(path) for path in ("old/x", "anon/y")]
        for broadcast in live:
            broadcast.announce()
        async with connect(locked.url("https", query(ALL))) as viewer:
            for path in ("old/x", "anon/y"):
                await find(viewer, path)
        assert await names(locked.url("https", "old" + inside)) == ["x"]
        assert await names(locked.url("https", "anon")) == ["y"]
        assert await names(locked.url("https", "old")) == refused
        assert await names(locked.url("https", "anon" + inside)) == refused
        assert await names(locked.url("https", "anon?jwt=x")) == refused
        raw = await names(locked.url("moqt", "old" + inside))
        assert raw == (["x"] if version >= "05" else ["anon/y"])


def test_the_client_does_not_show_its_token(locked, client_binary):
    token = KEY.token({"root": "quiet", "get": ""})
    for code, options in ((0, []), (0, ["--json"]), (7, ["x"])):
        url = locked.url("https", "quiet" if not code else "elsewhere") + "?jwt=" + token
        done = subprocess.run(
            [client_binary, "announced", "--once", "--tls-disable-verify", url, *options],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert "jwt" not in done.stdout + done.stderr
        assert token[:40] not in done.stdout + done.stderr
