# SPDX-License-Identifier: MIT OR Apache-2.0
"""The endpoints on TCP: the certificate's hash, what is announced, the newest group."""

import asyncio
import hashlib
import http.client
import re
import socket

import moq
import pytest

from clients import announce, connect, payload, run_async, write_group
from lite import open_session
from peer import open_peer
from relay import HOST


async def get(relay, path, **options):
    return await asyncio.to_thread(relay.get, path, **options)


@run_async()
async def test_certificate_hash_is_of_the_served_certificate(relay):
    answer = await get(relay, "/certificate.sha256")
    assert answer.status == 200
    assert re.fullmatch(rb"[0-9a-f]{64}", answer.body)
    assert (
        answer.headers.get(
            "Access-Control-Allow-Origin", answer.headers.get("access-control-allow-origin")
        )
        == "*"
    )
    for alpn in ("moq-lite-06", "h3"):
        async with open_peer(relay.port, alpn) as peer:
            assert hashlib.sha256(peer.certificate()).hexdigest() == answer.body.decode()


@run_async()
async def test_certificate_suits_browsers(relay):
    """Chromium accepts a certificate by hash only if it is ECDSA and valid for at most 14 days."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    async with open_peer(relay.port, "h3") as peer:
        certificate = x509.load_der_x509_certificate(peer.certificate())
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    assert certificate.public_key().curve.name == "secp256r1"
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert lifetime.total_seconds() <= 14 * 24 * 3600
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)


@run_async()
async def test_fingerprint_pins_the_relay(relay, scheme):
    good = await asyncio.to_thread(relay.fingerprint)
    async with connect(relay.url(scheme), tls_verify=True, tls_fingerprints=[good]):
        pass
    wrong = "0" * 64
    with pytest.raises(moq.Error):
        async with connect(relay.url(scheme), tls_verify=True, tls_fingerprints=[wrong]):
            pass


async def announced(relay, prefix, expected):
    """Polls: the publisher's announcement takes its time to arrive."""
    for _ in range(200):
        answer = await get(relay, f"/announced{prefix}")
        assert answer.status == 200
        names = sorted(answer.body.decode().split("\n")) if answer.body else []
        if names == sorted(expected):
            return True
        await asyncio.sleep(0.05)
    return names


@run_async()
async def test_announced(relay, name, scheme):
    async with connect(relay.url(scheme)) as publisher:
        kept = [announce(publisher, f"{name}/{suffix}") for suffix in ("a", "b/c", "d")]
        assert await announced(relay, f"/{name}", ["a", "b/c", "d"]) is True
        everything = await get(relay, "/announced")
        assert f"{name}/b/c" in everything.body.decode().split("\n")
        assert await announced(relay, f"/{name}/b", ["c"]) is True
        kept[0].close()
        assert await announced(relay, f"/{name}", ["b/c", "d"]) is True
    assert await announced(relay, f"/{name}", []) is True


# The Rust relay drops its subscription when the newest group begins: only small groups arrive.
@pytest.mark.ours
@run_async()
async def test_fetch_newest_group(relay, name, scheme):
    async with connect(relay.url(scheme)) as publisher:
        broadcast = publisher.create_broadcast(f"{name}/deep")
        track = broadcast.publish_track("video")
        broadcast.announce()
        assert await announced(relay, f"/{name}", ["deep"]) is True
        write_group(track, [(b"old", 0)])
        frames = [payload(f"{name}{i}", size) for i, size in enumerate((0, 1, 1000, 300_000))]
        write_group(track, [(data, i) for i, data in enumerate(frames)])
        answer = await get(relay, f"/fetch/{name}/deep/video")
        assert answer.status == 200
        assert answer.body == b"".join(frames)


@pytest.mark.ours
@run_async()
async def test_fetch_streams_a_group_as_it_arrives(relay, name):
    async with connect(relay.url("moql")) as publisher:
        broadcast = publisher.create_broadcast(f"{name}/live")
        track = broadcast.publish_track("video")
        broadcast.announce()
        assert await announced(relay, f"/{name}", ["live"]) is True
        group = track.append_group()
        group.write_frame(b"first", 0)
        connection = http.client.HTTPConnection(HOST, relay.port, timeout=10)
        try:

            def begin():
                connection.request("GET", f"/fetch/{name}/live/video")
                response = connection.getresponse()
                return response, response.read(5)

            response, start = await asyncio.to_thread(begin)
            assert (response.status, start) == (200, b"first")
            group.write_frame(b"second", 1)
            group.finish()
            assert await asyncio.to_thread(response.read) == b"second"
        finally:
            connection.close()


@run_async()
async def test_fetch_shares_the_upstream_subscription(relay, name, publish):
    """Readers over HTTP cost the publisher nothing more than viewers do."""
    source = await asyncio.to_thread(publish, relay.url("moql"), name)
    await asyncio.to_thread(source.send, "group 10 20 30")
    answers = await asyncio.gather(*(get(relay, f"/fetch/{name}/video") for _ in range(10)))
    assert len({answer.body for answer in answers}) == 1
    assert [answer.status for answer in answers] == [200] * 10
    assert len(answers[0].body) == 60
    assert source.subscriptions(name) <= 1


@pytest.mark.ours
@run_async()
async def test_fetch_of_nothing(start_relay, name):
    relay = await asyncio.to_thread(start_relay, extra=["--web-fetch-timeout", "1s"])
    assert (await get(relay, f"/fetch/{name}/no/such/video", timeout=40)).status == 504
    async with connect(relay.url("moql")) as publisher:
        broadcast = announce(publisher, name)
        async with open_session(relay) as viewer:
            await viewer.wait_announced(name)
        assert (await get(relay, f"/fetch/{name}/no-such-track", timeout=40)).status == 404
        del broadcast


def test_fetch_needs_a_track(relay):
    assert relay.get("/fetch/x").status == 400


def test_other_methods_are_refused(relay):
    for path in ("/certificate.sha256", "/announced"):
        assert relay.get(path, method="POST").status == 405
        assert relay.get(path, method="DELETE").status == 405
        assert relay.get(path, method="HEAD").status == 200


def test_unknown_paths_get_an_answer(relay):
    assert relay.get("/no/such/page").status in (400, 404)
    assert relay.get("/" + "x" * 8000).status in (400, 404, 414, 431)
    assert relay.get("/announced/%00%ff%2e%2e/").status in (200, 400, 404)


@pytest.mark.ours
def test_root_is_a_page(relay):
    answer = relay.get("/")
    assert answer.status == 200
    assert b"<html" in answer.body.lower() or b"<!doctype html" in answer.body.lower()


def test_not_http_is_survived(relay):
    for junk in (
        b"\x16\x03\x01\x02\x00\x01",
        b"\0" * 4096,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 100_000,
    ):
        with socket.create_connection((HOST, relay.port), timeout=5) as stream:
            try:
                stream.sendall(junk)
                stream.shutdown(socket.SHUT_WR)
                while stream.recv(4096):
                    pass
            except OSError:
                pass
    assert relay.get("/certificate.sha256").status == 200
