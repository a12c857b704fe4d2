# SPDX-License-Identifier: MIT OR Apache-2.0
"""From the start to the end of the process: service manager, certificates, log, crash, drain."""

import asyncio
import hashlib
import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest

from certificates import write_pair
from clients import LOSSLESS, check_healthy, connect, find, run_async, within
from lite import BIDI_GOAWAY, open_session
from peer import open_peer, unmapped
from relay import HOST, free_port, http_get, run_to_end

pytestmark = pytest.mark.ours

WAIT_SECONDS = 15
CLOSE_GOAWAY_TIMEOUT = 0x10
CAPSULE_DRAIN = bytes.fromhex("800078ae")


def wait_log(relay, pattern, times=1):
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if len(re.findall(pattern, relay.log())) >= times:
            return
        time.sleep(0.02)
    raise AssertionError(f"not {times} times {pattern!r} in the log\n{relay.tail()}")


def wait_exit(relay):
    assert relay.process.wait(WAIT_SECONDS) == 0, relay.tail()


# ---- HTTPS and certificates ----


@pytest.fixture
def pem(tmp_path):
    """Two pairs of files: of QUIC and of HTTPS."""

    class Files:
        quic = tmp_path / "quic.pem", tmp_path / "quic.key"
        web = tmp_path / "web.pem", tmp_path / "web.key"

    Files.quic_hash = write_pair(*Files.quic)
    Files.web_hash = write_pair(*Files.web)
    return Files


def configuration(path, port, https_port, pem, more=""):
    path.write_text(
        f'log.level = "debug"\n{more}\n'
        f'[listen]\nbind = "{HOST}:{port}"\n'
        f'tls.cert = "{pem.quic[0]}"\ntls.key = "{pem.quic[1]}"\n'
        f'[web]\nhttp.listen = "{HOST}:{port}"\nhttps.listen = "{HOST}:{https_port}"\n'
        f'https.cert = "{pem.web[0]}"\nhttps.key = "{pem.web[1]}"\n'
        '[auth]\npublic = ""\n'
    )
    return path


def served_by_https(port):
    """The hash of the certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((HOST, port), timeout=10) as tcp:
        with context.wrap_socket(tcp, server_hostname="localhost") as tls:
            return hashlib.sha256(tls.getpeercert(True)).hexdigest()


async def served_by_quic(port):
    async with open_peer(port, "moq-lite-06") as peer:
        return hashlib.sha256(peer.certificate()).hexdigest()


def curl(port, path, cert, *arguments):
    command = shutil.which("curl")
    if command is None:
        pytest.skip("curl is not installed")
    return subprocess.run(
        [command, "-sS", "-i", "--max-time", "10", "--cacert", cert, *arguments]
        + ["--resolve", f"localhost:{port}:{HOST}", f"https://localhost:{port}{path}"],
        capture_output=True,
        timeout=20,
        check=True,
    ).stdout


@run_async()
async def test_https(start_relay, pem, tmp_path):
    port, https = free_port(), free_port()
    relay = await asyncio.to_thread(
        start_relay, port=port, configuration=configuration(tmp_path / "c.toml", port, https, pem)
    )
    said = await asyncio.to_thread(curl, https, "/health", pem.web[0])
    assert said.startswith(b"HTTP/1.1 200") and said.endswith(b"\r\n\r\nok\n")
    assert b"access-control-allow-origin: *" in said.lower()
    said = await asyncio.to_thread(curl, https, "/certificate.sha256", pem.web[0])
    assert said.endswith(pem.quic_hash.encode()), "the hash is of QUIC's certificate"
    said = await asyncio.to_thread(curl, https, "/announced", pem.web[0], "--tls-max", "1.2")
    assert said.startswith(b"HTTP/1.1 200")
    async with connect(relay.url("moql")) as publisher:
        broadcast = publisher.create_broadcast("demo")
        track = broadcast.publish_track("t")
        broadcast.announce()
        data = bytes(range(256)) * 2000
        group = track.append_group()
        group.write_frame(data, 0)
        group.finish()
        said = await asyncio.to_thread(curl, https, "/fetch/demo/t", pem.web[0])
        assert said.split(b"\r\n\r\n", 1)[1] == data
    with pytest.raises(subprocess.CalledProcessError):
        await asyncio.to_thread(curl, https, "/health", pem.web[0], "--tls-max", "1.1")


@run_async()
async def test_reload(start_relay, pem, tmp_path):
    """New pairs are shown to new connections; a bad pair keeps the old one; sessions live on."""
    port, https = free_port(), free_port()
    relay = await asyncio.to_thread(
        start_relay, port=port, configuration=configuration(tmp_path / "c.toml", port, https, pem)
    )
    assert relay.fingerprint() == await served_by_quic(port) == pem.quic_hash
    assert served_by_https(https) == pem.web_hash

    async with open_session(relay) as session:
        quic, web = write_pair(*pem.quic), write_pair(*pem.web)
        relay.process.send_signal(signal.SIGHUP)
        await asyncio.to_thread(wait_log, relay, "reloading web certificates")
        assert relay.fingerprint() == await served_by_quic(port) == quic
        assert served_by_https(https) == web

        broken = write_pair(tmp_path / "other.pem", tmp_path / "other.key")
        pem.quic[1].write_bytes((tmp_path / "other.key").read_bytes())
        web = write_pair(*pem.web)
        relay.process.send_signal(signal.SIGUSR1)
        await asyncio.to_thread(wait_log, relay, "reloading web certificates", 2)
        assert re.search(
            r"ERROR.*server certificates not reloaded, the old ones stay: .*quic\.key: the key "
            r"does not belong to the certificate",
            relay.log(),
        )
        assert relay.fingerprint() == await served_by_quic(port) == quic != broken
        assert served_by_https(https) == web

        pem.web[0].write_text("nonsense")
        relay.process.send_signal(signal.SIGHUP)
        await asyncio.to_thread(wait_log, relay, "web certificates not reloaded")
        assert served_by_https(https) == web
        _, count = await session.announcements()
        assert count == 0
    await check_healthy(relay)


# ---- configuration ----


def test_examples_of_both_generations(relay_binary, pytestconfig):
    folder = pytestconfig.rootpath.parent / "config" / "examples"
    checked = 0
    for path in sorted(folder.glob("*.toml")):
        kind, _, text = path.read_text().splitlines()[0].lstrip("# ").partition(": ")
        code, said = run_to_end(relay_binary, [str(path), "--check-config"])
        if kind == "refused":
            assert code == 1 and text in said, said
            continue
        assert code == 0, said
        if kind == "later":
            key = text.partition(":")[0]
            assert "note: " in said and key in said, said
            code, said = run_to_end(relay_binary, [str(path)])
            assert code == 1 and text in said, said
        checked += 1
    assert checked >= 10


@run_async()
async def test_transport_options_reach_the_wire(start_relay):
    relay = await asyncio.to_thread(
        start_relay,
        extra=["--quic-max-streams", "77", "--quic-idle-timeout", "21s"]
        + ["--quic-receive-window", "1MiB", "--quic-stream-receive-window", "128KiB"],
    )
    async with open_peer(relay.port, "moq-lite-06") as peer:
        quic = peer.quic
        assert quic._remote_max_streams_bidi == 77
        assert quic._remote_max_streams_uni == 77
        assert quic._remote_max_idle_timeout == 21
        assert quic._remote_max_data == 1 << 20
        assert quic._remote_max_stream_data_uni == 128 << 10
        assert quic._remote_max_stream_data_bidi_remote == 128 << 10


# ---- log ----


@run_async()
async def test_log_lines_of_a_session(start_relay, name):
    """As JSON; and a token in a URL is in no line, not even at level trace."""
    relay = await asyncio.to_thread(start_relay, extra=["--log-format", "json"])
    async with open_session(relay, "https", path=f"{name}?q=s3cr3t"):
        await asyncio.to_thread(wait_log, relay, "session accepted")
    async with open_session(relay, path=f"{name}?q=s3cr3t"):
        await asyncio.to_thread(wait_log, relay, "session accepted", 2)
    await asyncio.to_thread(relay.get, f"/announced/{name}?jwt=s3cr3t")
    with pytest.raises(Exception):
        async with open_session(relay, path=f"{name}?jwt=s3cr3t") as refused:
            await refused.announcements()
    await asyncio.to_thread(wait_log, relay, "session refused")
    await asyncio.to_thread(wait_log, relay, "session closed", 2)
    lines = [json.loads(line) for line in relay.log().splitlines()]
    assert all(
        set(line) == {"timestamp", "level", "target", "message"} for line in lines
    ), "a line of another shape"
    said = [line["message"] for line in lines]
    accepted = [text for text in said if text.startswith("session accepted")]
    for text, transport in zip(accepted, ("webtransport", "quic")):
        for part in (
            "id=",
            "version=moq-lite-06",
            f"transport={transport}",
            f"peer={HOST}:",
            f'path="/{name}"',
            f'root="{name}"',
            "publish=**",
            "subscribe=**",
        ):
            assert part in text, text
    closed = next(text for text in said if text.startswith("session closed"))
    for part in ("id=", "by=peer", "code=", "reason=", "seconds=", "sent=", "received="):
        assert part in closed, closed
    assert "s3cr3t" not in relay.log()


# ---- service manager ----


def test_service_manager_is_told(start_relay, tmp_path, monkeypatch):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(WAIT_SECONDS)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        relay = start_relay()

        def next_word():
            while True:
                text = manager.recv(4096).decode()
                if text != "WATCHDOG=1":
                    return text

        assert next_word() == "READY=1"
        assert [manager.recv(4096) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        relay.process.send_signal(signal.SIGHUP)
        assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", next_word())
        assert next_word() == "READY=1"
        relay.process.send_signal(signal.SIGTERM)
        assert next_word() == "STOPPING=1"
        wait_exit(relay)


# ---- crash ----


@pytest.mark.parametrize("kept", [True, False], ids=["state_dir", "without"])
@run_async(60)
async def test_clients_of_a_crashed_relay_are_told(start_relay, tmp_path, kept):
    """The relay that comes back resets what the one before it has left, if it has its secret.

    aioquic does not look for stateless resets, so the test does.
    """
    extra = ["--state-dir", str(tmp_path / "state")] if kept else []
    relay = await asyncio.to_thread(start_relay, extra=extra)
    async with open_peer(relay.port, "moq-lite-06") as peer:
        await asyncio.to_thread(relay.kill)
        again = await asyncio.to_thread(start_relay, port=relay.port, extra=extra)
        came = asyncio.Queue()
        peer.datagram_received = lambda data, _: came.put_nowait(data)
        peer.quic.send_ping(1)
        peer.transmit()
        reset = await asyncio.wait_for(came.get(), WAIT_SECONDS)
        assert reset[0] & 0xC0 == 0x40, "looks like a packet with a short header"
        assert (reset[-16:] == peer.quic._peer_cid.stateless_reset_token) == kept
    await check_healthy(again)


@run_async(90)
async def test_rust_viewers_come_back_after_a_crash(start_relay, tmp_path, name):
    extra = ["--state-dir", str(tmp_path / "state"), "--quic-idle-timeout", "60s"]
    relay = await asyncio.to_thread(start_relay, extra=extra)
    url = relay.url("moql")
    async with connect(url, reconnect=True) as publisher, connect(url, reconnect=True) as viewer:
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("t")
        broadcast.announce()
        await find(viewer, name)
        await asyncio.to_thread(relay.kill)
        # Left alone the clients would wait for their idle timeout of ten seconds.
        again = await asyncio.to_thread(start_relay, port=relay.port, extra=extra)
        reader = Reader(viewer, name)
        reading = asyncio.create_task(reader.run())
        for sequence in range(2000):
            write(track, sequence)
            if reader.got:
                break
            await asyncio.sleep(0.02)
        assert reader.got
        reading.cancel()
    assert len(re.findall("session accepted", again.log())) == 2


# ---- drain ----


async def goaway(session):
    stream = await session.next("bidi", BIDI_GOAWAY)
    return await stream.read_sized()


@run_async()
async def test_drain_asks_closes_and_ends(start_relay):
    """GOAWAY, and DRAIN on WebTransport; who does not leave in time is closed with a code."""
    relay = await asyncio.to_thread(start_relay)
    async with open_session(relay) as raw, open_session(relay, "https") as web:
        relay.process.send_signal(signal.SIGTERM)
        assert await goaway(raw) == b"\0"
        assert await goaway(web) == b"\0"
        capsules = await web.transport.stream.read(2 + len(CAPSULE_DRAIN) + 1)
        assert CAPSULE_DRAIN in capsules
        with pytest.raises(ConnectionError):
            async with open_peer(relay.port, "moq-lite-06"):
                pass
        with pytest.raises(OSError):
            http_get(relay.url("http", "health"))
        assert unmapped(await raw.transport.wait_end()) == CLOSE_GOAWAY_TIMEOUT
        assert await web.transport.wait_end() == CLOSE_GOAWAY_TIMEOUT
    await asyncio.to_thread(wait_exit, relay)
    assert "drain timeout: 2 sessions" in relay.log()


@run_async()
async def test_drain_ends_when_all_have_left(start_relay):
    relay = await asyncio.to_thread(start_relay)
    async with open_session(relay) as session:
        relay.process.send_signal(signal.SIGINT)
        await goaway(session)
    await asyncio.to_thread(wait_exit, relay)
    assert "drain complete" in relay.log()


@run_async()
async def test_second_signal_ends_at_once(start_relay, tmp_path):
    port = free_port()
    path = tmp_path / "relay.toml"
    path.write_text(
        f'drain_timeout = "1h"\nlisten.bind = "{HOST}:{port}"\nlisten.tls.generate = "localhost"\n'
        f'web.http.listen = "{HOST}:{port}"\nauth.public = ""\n'
    )
    relay = await asyncio.to_thread(start_relay, port=port, configuration=path)
    async with open_session(relay) as session:
        relay.process.send_signal(signal.SIGTERM)
        await goaway(session)
        relay.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(wait_exit, relay)
        await session.transport.wait_end()


def write(track, sequence):
    group = track.create_group(sequence)
    for index in range(3):
        group.write_frame(f"{sequence}:{index}".encode(), index)
    group.finish()


class Reader:
    """A viewer that comes back by itself: what it has seen, by group."""

    def __init__(self, client, path):
        self.client, self.path, self.got = client, path, {}

    async def _read(self, group):
        frames = [frame.payload async for frame in group]
        self.got[group.sequence] = frames

    async def _watch(self):
        broadcast = await find(self.client, self.path, 60)
        track = await within(broadcast.subscribe_track("t", LOSSLESS))
        while (group := await track.recv_group()) is not None:
            asyncio.ensure_future(self._read(group))

    async def run(self):
        while True:
            try:
                await self._watch()
            except Exception:  # the session went; the next one is on its way
                await asyncio.sleep(0.05)


VIEWERS = 20


@run_async(80)
async def test_rolling_restart(start_relay, name, scheme):
    """Viewers go on at the relay that follows, and have all that was sent before the drain."""
    relay = await asyncio.to_thread(start_relay)
    url = relay.url(scheme)
    publisher = connect(url, reconnect=True)
    viewers = [connect(url, reconnect=True) for _ in range(VIEWERS)]
    async with publisher:
        broadcast = publisher.create_broadcast(name)
        track = broadcast.publish_track("t")
        broadcast.announce()
        for viewer in viewers:
            await viewer.__aenter__()
        readers = [Reader(viewer, name) for viewer in viewers]
        reading = [asyncio.create_task(reader.run()) for reader in readers]
        sequence = 0

        async def until(condition, limit=1500):
            nonlocal sequence
            for _ in range(limit):
                if condition():
                    return
                write(track, sequence)
                sequence += 1
                await asyncio.sleep(0.02)
            raise AssertionError("the viewers do not get on\n" + relay.tail())

        await until(lambda: all(reader.got for reader in readers))
        first = max(min(reader.got) for reader in readers)
        target = sequence + 50
        await until(lambda: sequence >= target)
        relay.process.send_signal(signal.SIGTERM)
        drained_at = sequence  # groups below it were written before the signal
        exit_code = asyncio.create_task(asyncio.to_thread(relay.process.wait, WAIT_SECONDS))
        await until(exit_code.done)
        assert await exit_code == 0, relay.tail()
        again = await asyncio.to_thread(start_relay, port=relay.port)
        start = sequence
        await until(lambda: all(max(reader.got) > start for reader in readers))
        for task in reading:
            task.cancel()
        for reader in readers:
            for number in range(first, drained_at):
                expected = [f"{number}:{index}".encode() for index in range(3)]
                assert reader.got.get(number) == expected, f"group {number} of {drained_at}"
        for viewer in viewers:
            await viewer.__aexit__(None, None, None)
    assert len(re.findall("session accepted", again.log())) >= VIEWERS + 1
