# SPDX-License-Identifier: MIT OR Apache-2.0
"""What existing users of the endpoints on TCP see, row by row: status, headers, body.

Rows without the marker `ours` hold for the Rust relay as well (--relay-flavor rust).
"""

import asyncio
import http.client

import pytest

from clients import announce, connect, run_async, write_group
from relay import HOST
from test_http import announced

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
METHODS = "GET,HEAD"


def ask(port, method, path, headers=None):
    """(status, headers by lower-case name, body); the target goes out as it is written here."""
    connection = http.client.HTTPConnection(HOST, port, timeout=20)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for key, value in (headers or {}).items():
            connection.putheader(key, value)
        connection.endheaders()
        response = connection.getresponse()
        fields = {key.lower(): value for key, value in response.getheaders()}
        return response.status, fields, response.read()
    finally:
        connection.close()


def check(port, row):
    method, path, status, headers, body = row
    got_status, got_headers, got_body = ask(port, method, path)
    assert got_status == status, row
    for key, value in headers.items():
        assert got_headers.get(key) == value, (row, got_headers)
    if body is not None:
        assert got_body == body, (row, got_body)


ORIGIN = {"access-control-allow-origin": "*"}

ROWS = [
    ("GET", "/health", 200, {"content-type": TEXT, **ORIGIN}, b"ok\n"),
    ("HEAD", "/health", 200, {"content-length": "3", "access-control-allow-origin": None}, b""),
    ("GET", "/certificate.sha256", 200, {"content-type": TEXT, "content-length": "64", **ORIGIN}, None),
    ("HEAD", "/certificate.sha256", 200, {"content-length": "64"}, b""),
    ("GET", "/certificate.sha256?x=y", 200, {"content-length": "64"}, None),
    ("GET", "/announced/no/such/prefix", 200, {"content-type": TEXT, **ORIGIN}, b""),
    ("HEAD", "/announced", 200, {"content-type": TEXT}, b""),
    ("GET", "/announced?jwt=", 200, {}, None),
    ("GET", "/announced?jwt=token", 401, ORIGIN, b""),
    ("GET", "/fetch/a/b?jwt=token", 401, ORIGIN, b""),
    ("GET", "/announced/", 404, {"content-type": HTML}, None),
    ("GET", "/fetch/only", 400, {}, None),
    ("GET", "/fetch/a/b?group=x", 400, {"content-type": TEXT}, None),
    ("GET", "/fetch/a/b?group=-1", 400, {"content-type": TEXT}, None),
    ("POST", "/health", 405, {"allow": METHODS}, b""),
    ("PUT", "/certificate.sha256", 405, {"allow": METHODS}, b""),
    ("DELETE", "/announced", 405, {"allow": METHODS}, b""),
    ("POST", "/announced/a", 405, {"allow": METHODS}, b""),
    ("POST", "/fetch/a/b", 405, {"allow": METHODS}, b""),
    ("GET", "/challenge?path=a", 501, {"content-type": TEXT}, None),
    ("GET", "/metrics", 404, {"content-type": HTML}, None),
    ("GET", "/no/such/page", 404, {"content-type": HTML}, None),
    ("POST", "/no/such/page", 404, {"content-type": HTML}, None),
    ("GET", "/health/", 404, {}, None),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[1]}")
def test_row(relay, row):
    check(relay.port, row)


PREFLIGHT = {
    "origin": "https://page.example",
    "access-control-request-method": "GET",
    "access-control-request-headers": "x-one, x-two",
}


@pytest.mark.parametrize("path", ["/certificate.sha256", "/announced", "/announced/a", "/fetch/a/b", "/health"])
def test_preflight(relay, flavor, path):
    status, headers, body = ask(relay.port, "OPTIONS", path, PREFLIGHT)
    assert (status, body) == (200, b"")
    assert headers["access-control-allow-origin"] == "*"
    assert headers["access-control-allow-methods"] == "GET"
    assert headers["access-control-allow-headers"].replace(" ", "") == "x-one,x-two"
    if flavor.name == "moq":  # as the seed; the Rust relay of today says nothing
        for name in ("origin", "access-control-request-method", "access-control-request-headers"):
            assert name in headers["vary"]


@run_async()
async def test_names_are_relative_and_one_a_line(relay, name):
    async with connect(relay.url("moql")) as publisher:
        kept = [announce(publisher, f"{name}/{suffix}") for suffix in ("a", "b/c d")]
        assert await announced(relay, f"/{name}", ["a", "b/c d"]) is True
        for prefix, body in ((f"{name}/b", b"c d"), (f"{name}/a/x", b"")):
            status, headers, got = await asyncio.to_thread(ask, relay.port, "GET", f"/announced/{prefix}")
            assert (status, got) == (200, body)
            assert headers["content-type"] == TEXT
        escaped = f"/announced/{name}/%62"
        assert (await asyncio.to_thread(ask, relay.port, "GET", escaped))[2] == b"c d"
        del kept


@run_async()
async def test_groups_by_number(relay, name):
    async with connect(relay.url("moql")) as publisher:
        broadcast = publisher.create_broadcast(f"{name}/live")
        track = broadcast.publish_track("v")
        broadcast.announce()
        assert await announced(relay, f"/{name}", ["live"]) is True
        write_group(track, [(b"old ", 0), (b"group", 1)])
        write_group(track, [(b"new ", 2), (b"one", 3)])

        async def fetched(query, method="GET"):
            return await asyncio.to_thread(ask, relay.port, method, f"/fetch/{name}/live/v{query}")

        for query, body in (
            ("", b"new one"),
            ("?group=latest", b"new one"),
            ("?group=0", b"old group"),
            ("?group=1", b"new one"),
        ):
            status, headers, got = await fetched(query)
            assert (status, got) == (200, body), query
            assert "content-type" not in headers
            assert headers["access-control-allow-origin"] == "*"
            assert headers["transfer-encoding"] == "chunked"
        assert (await fetched("?group=9"))[0] == 404
        status, _, body = await fetched("", "HEAD")
        assert (status, body) == (200, b"")
        status, _, body = await asyncio.to_thread(ask, relay.port, "GET", f"/fetch/{name}/live/no-such-track")
        assert (status, body) == (404, b"")


@pytest.mark.ours
def test_rows_of_ours(relay):
    for row in (
        ("GET", "/", 200, {"content-type": HTML}, None),
        ("POST", "/", 404, {"content-type": HTML}, None),
        ("GET", "/fetch/a%/b", 400, {}, None),
        ("GET", "/announced/a%00", 400, {}, None),
        ("GET", "/announced/" + "a" * 9000, 414, {}, None),
    ):
        check(relay.port, row)


@pytest.mark.ours
def test_bounds(start_relay):
    """A request that is too large, a body, a client too many."""
    relay = start_relay(extra=["--limits-http-clients", "2"])
    assert ask(relay.port, "GET", "/health", {"x-large": "a" * 40_000})[0] == 431
    assert ask(relay.port, "GET", "/health", {"content-length": "5"})[0] == 413
    first, second = (http.client.HTTPConnection(HOST, relay.port, timeout=5) for _ in range(2))
    for connection in (first, second):
        connection.request("GET", "/health")
        assert connection.getresponse().read() == b"ok\n"
    third = http.client.HTTPConnection(HOST, relay.port, timeout=2)
    third.request("GET", "/health")
    with pytest.raises(TimeoutError):
        third.getresponse()
    third.close()
    first.close()
    second.close()
    assert relay.get("/health").body == b"ok\n"
    relay.stop()


@pytest.mark.ours
def test_allowed_origins(start_relay):
    relay = start_relay(extra=["--web-allow-origin", "https://a.example"])
    for origin, allowed in (("https://a.example", "https://a.example"), ("https://b.example", None)):
        _, headers, _ = ask(relay.port, "GET", "/health", {"origin": origin})
        assert headers.get("access-control-allow-origin") == allowed
        assert headers["vary"] == "origin"
    relay.stop()
