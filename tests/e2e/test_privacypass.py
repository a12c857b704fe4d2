# SPDX-License-Identifier: MIT OR Apache-2.0
"""Privacy Pass: who is refused with which challenge, who comes in with which token, and what that allows."""

import asyncio
import http.server
import json
import re
import threading
import urllib.request
from urllib.error import HTTPError

import pytest

from clients import run_async
from lite import SESSION_UNAUTHORIZED, open_session
from peer import (
    FRAME_DATA,
    Ended,
    Http3,
    WebTransport,
    open_peer,
    request_fields,
    split_varint,
    unmapped,
    varint,
)
from privacypass import Issuer, b64, challenge, in_header, in_setup, parse_challenge, unb64
from relay import HOST, free_port

pytestmark = pytest.mark.ours

CODE_LITE_02 = 0xFF0DAD02


@pytest.fixture(scope="module")
def issuer():
    return Issuer()


@pytest.fixture
def gated(start_relay, issuer, tmp_path):
    """Starts a relay that trusts the issuer, with further arguments."""

    def start(*arguments):
        key = issuer.write_key(tmp_path / "issuer.key")
        return start_relay(
            extra=["--pp-enabled", "--pp-issuer", issuer.name, "--pp-issuer-key", str(key), *arguments],
            public="open",
        )

    return start


async def logged(relay, text, seconds=10):
    async with asyncio.timeout(seconds):
        while text not in relay.log():
            await asyncio.sleep(0.02)


# -- sessions --


def client_setup(token=None):
    parameters = b"\0" if token is None else b"\1\3" + varint(len(token)) + token
    body = varint(1) + varint(CODE_LITE_02) + parameters
    return b"\x20" + len(body).to_bytes(2, "big") + body


class Legacy:
    """A client of the SETUP exchange on WebTransport: how it was answered."""

    def __init__(self, relay, path, token=None, origin=None, header=None):
        self.relay, self.path, self.token, self.origin, self.header = relay, path, token, origin, header
        self.accepted, self.reason, self.code, self.capsule = False, None, None, False

    async def run(self):
        async with open_peer(self.relay.port, "h3") as peer:
            web = Http3(peer)
            fields = request_fields("CONNECT", self.path, protocol="webtransport")
            if self.origin:
                fields.append(("origin", self.origin))
            if self.header:
                fields.append(("authorization", self.header))
            stream = web.request(fields, fin=False)
            answer = await web.response(stream)
            assert answer[":status"] == "200"
            session = WebTransport(web, stream, answer)
            exchange = session.open(client_setup(self.token and in_setup(self.token)))
            try:
                self.accepted = await exchange.read(1) == b"\x21"
            except Ended:
                pass
            if not self.accepted:
                await self.read_end(session)
        return self

    async def read_end(self, session):
        try:
            body = await session.stream.read_to_end()
        except Ended:
            body = b""
        if body:
            kind, rest = split_varint(body)
            assert kind == FRAME_DATA
            _, rest = split_varint(rest)
            _, rest = split_varint(rest)
            size, rest = split_varint(rest)
            self.capsule = True
            self.code, self.reason = int.from_bytes(rest[:4], "big"), rest[4:size].decode()
        end = await session.peer.wait_end()
        assert self.reason in (None, end.reason_phrase)
        self.code, self.reason = unmapped(end.error_code), end.reason_phrase


def asked_by(reason):
    assert reason.startswith("pp:"), reason
    return unb64(reason[3:])


@run_async()
async def test_the_four_steps_of_the_deployed_client(gated, issuer):
    """Refused with a challenge, a token for a challenge of its own making, let in; the token is good once."""
    relay = gated()
    refused = await Legacy(relay, "/test/room").run()
    assert not refused.accepted
    assert refused.code == SESSION_UNAUTHORIZED
    assert parse_challenge(asked_by(refused.reason)) == (issuer.name, b"", "subscribe:test/room")
    # It would lose the reason of a capsule.
    assert not refused.capsule
    token = issuer.for_scope("subscribe:test/room")
    assert (await Legacy(relay, "/test/room", token).run()).accepted
    again = await Legacy(relay, "/test/room", token).run()
    assert not again.accepted
    assert again.reason.startswith("pp:")
    await logged(relay, "the token has been used")
    assert b64(token)[:20] not in relay.log()
    assert "Privacy Pass authentication enabled" in relay.log()


@run_async()
async def test_a_browser_reads_the_capsule(gated, issuer):
    relay = gated()
    refused = await Legacy(relay, "/a/b", origin="https://page.example").run()
    assert refused.capsule and refused.code == SESSION_UNAUTHORIZED
    token = issuer.token(asked_by(refused.reason))
    assert (await Legacy(relay, "/a/b", token, origin="https://page.example").run()).accepted


def bend(token, at):
    return token[:at] + bytes([token[at] ^ 1]) + token[at + 1 :]


REFUSED = [  # what is wrong, how the token is made, what the log says
    ("sibling", lambda i: i.for_scope("subscribe:test/roof"), "another challenge"),
    ("below", lambda i: i.for_scope("subscribe:test"), "another challenge"),
    ("wide", lambda i: i.for_scope("subscribe:test/*"), "another challenge"),
    ("fetch", lambda i: i.for_scope("fetch:test/room"), "may not be used for this"),
    ("context", lambda i: i.for_scope("subscribe:test/room", b"c" * 32), "another challenge"),
    ("salt", lambda i: i.token(challenge(i.name, "subscribe:test/room"), salt=0), "signature is wrong"),
    ("bent", lambda i: bend(i.for_scope("subscribe:test/room"), 5), "signature is wrong"),
    ("signature", lambda i: bend(i.for_scope("subscribe:test/room"), 353), "signature is wrong"),
    ("key", lambda i: Issuer().for_scope("subscribe:test/room"), "key is not known"),
    ("cut", lambda i: i.for_scope("subscribe:test/room")[:-1], "malformed"),
    ("more", lambda i: i.for_scope("subscribe:test/room") + b"x", "malformed"),
    ("type", lambda i: b"\0\1" + i.for_scope("subscribe:test/room")[2:], "another type"),
]


@run_async()
async def test_each_refusal_has_its_reason(gated, issuer):
    relay = gated("--pp-checks", "1000")
    for what, make, why in REFUSED:
        before = relay.log().count(why)
        result = await Legacy(relay, "/test/room", make(issuer)).run()
        assert not result.accepted, what
        assert result.reason.startswith("pp:"), what
        assert relay.log().count(why) == before + 1, what
    assert (await Legacy(relay, "/test/room", issuer.for_scope("subscribe:/test/room")).run()).accepted


@run_async()
async def test_an_open_path_needs_no_token(gated):
    relay = gated()
    assert (await Legacy(relay, "/open/x").run()).accepted


@run_async()
async def test_a_path_that_no_scope_can_say(gated):
    relay = gated()
    for path in ("/*", "/a:b", "/a/*"):
        refused = await Legacy(relay, path).run()
        assert not refused.accepted
        assert refused.reason == "unauthorized", path


@run_async()
async def test_a_token_on_connect(gated, issuer):
    """As a header, and in the query; a version that is negotiated is refused with a status, a browser in-band."""
    relay = gated()
    for _ in range(2):
        token = issuer.for_scope("subscribe:a")
        assert (await Legacy(relay, "/a", header=in_header(token)).run()).accepted
        token = issuer.for_scope("subscribe:a")
        assert (await Legacy(relay, f"/a?pp={b64(token)}").run()).accepted
        assert b64(token)[:30] not in relay.log()
    async with open_peer(relay.port, "h3") as peer:
        web = Http3(peer)
        fields = request_fields("CONNECT", "/a", protocol="webtransport")
        fields.append(("wt-available-protocols", '"moq-lite-06"'))
        answer = await web.response(web.request(fields))
        assert answer[":status"] == "401"
        asked = header_challenge(answer["www-authenticate"])
        fields.append(("authorization", in_header(issuer.token(asked))))
        answer = await web.response(web.request(fields, fin=False))
        assert answer[":status"] == "200"
    async with open_peer(relay.port, "h3") as peer:
        web = Http3(peer)
        fields = request_fields("CONNECT", "/a", protocol="webtransport")
        fields += [("wt-available-protocols", '"moq-lite-06"'), ("origin", "https://page.example")]
        stream = web.request(fields, fin=False)
        assert (await web.response(stream))[":status"] == "200"
        end = await peer.wait_end()
        assert parse_challenge(asked_by(end.reason_phrase))[2] == "subscribe:a"


@run_async()
async def test_what_a_token_allows(gated, issuer):
    """A token to watch does not publish, one to publish does not watch; both hold below the path."""
    relay = gated()

    def path(operation):
        return f"room?pp={b64(issuer.for_scope(f'{operation}:room'))}"

    async with (
        open_session(relay, path=path("subscribe")) as watcher,
        open_session(relay, path=path("publish")) as publisher,
    ):
        await publisher.announce("alice")
        await watcher.wait_announced("alice")
    accepted = [line for line in relay.log().splitlines() if "session accepted" in line]
    assert any("operation=subscribe publish=- subscribe=** " in line for line in accepted), accepted
    assert any("operation=publish publish=** subscribe=- " in line for line in accepted), accepted


@run_async()
async def test_what_an_issuer_may_grant(gated, issuer):
    relay = gated("--pp-grant", "subscribe:live/**")
    assert (await Legacy(relay, "/live/x", issuer.for_scope("subscribe:live/x")).run()).accepted
    for scope, path in (("publish:live/x", "/live/x"), ("subscribe:other", "/other")):
        refused = await Legacy(relay, path, issuer.for_scope(scope)).run()
        assert not refused.accepted, scope
    assert relay.log().count("may not be used for this") == 2


@run_async()
async def test_contexts(gated, issuer):
    """A challenge of the relay's is accepted with its context, and none that a client makes itself."""
    relay = gated("--pp-context", "1h")
    refused = await Legacy(relay, "/a").run()
    _, context, scope = parse_challenge(asked_by(refused.reason))
    assert len(context) == 32 and scope == "subscribe:a"
    assert not (await Legacy(relay, "/a", issuer.for_scope("subscribe:a")).run()).accepted
    assert (await Legacy(relay, "/a", issuer.token(asked_by(refused.reason))).run()).accepted


@run_async()
async def test_used_tokens_outlive_a_restart(gated, issuer, tmp_path):
    used = tmp_path / "spent"
    first, second = (issuer.for_scope("subscribe:a") for _ in range(2))
    relay = gated("--pp-spent-file", str(used))
    assert (await Legacy(relay, "/a", first).run()).accepted
    relay.stop()
    # As if the process had ended while it wrote.
    used.write_bytes(used.read_bytes() + b"torn")
    relay = gated("--pp-spent-file", str(used))
    assert not (await Legacy(relay, "/a", first).run()).accepted
    await logged(relay, "the token has been used")
    assert (await Legacy(relay, "/a", second).run()).accepted


@run_async()
async def test_the_budget_of_an_address(gated, issuer):
    """Bad signatures cost no more than the budget; then no token of the address is looked at for a while."""
    relay = gated("--pp-checks", "3")
    bad = bend(issuer.for_scope("subscribe:a"), 353)
    for _ in range(12):
        assert not (await Legacy(relay, "/a", bad).run()).accepted
    assert relay.log().count("signature is wrong") < 12
    assert "too many tokens from this address" in relay.log()


@run_async()
async def test_a_full_store_refuses(gated, issuer):
    relay = gated("--pp-spent-max", "1")
    assert (await Legacy(relay, "/a", issuer.for_scope("subscribe:a")).run()).accepted
    assert not (await Legacy(relay, "/a", issuer.for_scope("subscribe:a")).run()).accepted
    assert "no room for more used tokens" in relay.log()


# -- the issuer's directory --


class Directory:
    """Serves an issuer's directory on loopback; `entries` are its token-keys."""

    def __init__(self, port, entries):
        directory = self
        self.entries = entries
        self.asked = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                directory.asked += 1
                assert self.path == "/.well-known/private-token-issuer-directory"
                assert self.headers["Accept"] == "application/private-token-issuer-directory"
                body = directory.body()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((HOST, port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def body(self):
        return json.dumps({"issuer-request-uri": "/token-request", "token-keys": self.entries}).encode()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def entry(spki):
    return {"token-type": 2, "token-key": b64(spki, pad=True)}


@run_async(60)
async def test_keys_of_a_directory(start_relay):
    """One that is down at the start is asked again; unusable keys are skipped by name, all others are good."""
    port = free_port()
    first, second = (Issuer(f"{HOST}:{port}") for _ in range(2))
    relay = start_relay(extra=["--pp-enabled", "--pp-issuer", f"http://{HOST}:{port}"], public="open")
    await logged(relay, f"keys of the Privacy Pass issuer {HOST}:{port} not read")
    assert not (await Legacy(relay, "/a", first.for_scope("subscribe:a")).run()).accepted
    assert get(relay, "/challenge?path=a")[0] == 503
    salt_0 = first.spki.replace(bytes.fromhex("a203020130"), bytes.fromhex("a203020100"))
    directory = Directory(port, [entry(salt_0), entry(first.spki), {"token-type": 1}, entry(second.spki)])
    try:
        await logged(relay, f"keys of the Privacy Pass issuer {HOST}:{port} read: 2", 40)
        assert "its salt has 0 bytes" in relay.log()
        for issuer in (first, second):
            assert (await Legacy(relay, "/a", issuer.for_scope("subscribe:a")).run()).accepted
        assert unb64(json.loads(get(relay, "/challenge?path=a")[2])["token_key"]) == first.spki
    finally:
        directory.close()


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b"[" * 70000, b"{" + b" " * 70000 + b"}"])
def test_a_directory_that_is_none(start_relay, body):
    port = free_port()
    directory = Directory(port, [])
    directory.body = lambda: body
    try:
        relay = start_relay(extra=["--pp-enabled", "--pp-issuer", f"http://{HOST}:{port}"], public="open")
        asyncio.run(logged(relay, f"keys of the Privacy Pass issuer {HOST}:{port} not read"))
        assert get(relay, "/challenge?path=a")[0] == 503
        assert get(relay, "/announced/open")[0] == 200
        assert directory.asked >= 1
    finally:
        directory.close()


# -- HTTP --


def header_challenge(header):
    found = re.fullmatch(r'PrivateToken challenge="([^"]+)", token-key="([^"]+)", max-age=(\d+)', header)
    assert found, header
    assert len(found[1]) % 4 == 0 and len(found[2]) % 4 == 0
    return unb64(found[1])


def get(relay, target, token=None):
    """(status, headers, body)"""
    request = urllib.request.Request(f"http://{HOST}:{relay.port}{target}")
    if token is not None:
        request.add_header("Authorization", in_header(token))
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.headers, response.read()
    except HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


@pytest.mark.parametrize("target, scope", [("/announced/a/b", "subscribe:a/b"), ("/fetch/a/b/t", "fetch:a/b")])
def test_http_asks_for_a_token(gated, issuer, target, scope):
    relay = gated("--web-fetch-timeout", "100ms")
    status, headers, _ = get(relay, target)
    assert status == 401
    asked = header_challenge(headers["WWW-Authenticate"])
    assert parse_challenge(asked) == (issuer.name, b"", scope)
    token = issuer.token(asked)
    status, _, _ = get(relay, target, token)
    assert status in (200, 504)
    status, headers, _ = get(relay, target, token)
    assert status == 401 and "WWW-Authenticate" in headers
    other = "fetch" if scope.startswith("subscribe") else "subscribe"
    status, _, _ = get(relay, target, issuer.for_scope(f"{other}:a/b"))
    assert status == 401
    status, headers, _ = get(relay, target.replace("a/b", "a:b"))
    assert status == 401 and "WWW-Authenticate" not in headers


def test_challenge_endpoint(gated, issuer):
    relay = gated()
    for operation in ("subscribe", "publish", "fetch", "announce"):
        status, headers, body = get(relay, f"/challenge?path=a/b&op={operation.upper()}")
        assert status == 200 and headers["Access-Control-Allow-Origin"] == "*"
        answer = json.loads(body)
        assert answer["issuer"] == issuer.name
        assert unb64(answer["token_key"]) == issuer.spki
        assert parse_challenge(unb64(answer["challenge"])) == (issuer.name, b"", f"{operation}:a/b")
    assert b"subscribe:c" in unb64(json.loads(get(relay, "/challenge?path=%2Fc")[2])["challenge"])
    for wrong in ("", "?op=subscribe", "?path=a&op=listen", "?path=*", "?path=a%3Ab", "?path=%zz"):
        assert get(relay, f"/challenge{wrong}")[0] == 400, wrong


def test_off(relay):
    assert get(relay, "/challenge?path=a")[0] == 501
