# SPDX-License-Identifier: MIT OR Apache-2.0
"""`moq publish` and `moq subscribe` together: whole clips, coming late, coming back, going."""

import asyncio
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from clients import run_async, within
from test_client import address, run

DATA = Path(__file__).resolve().parents[1] / "media" / "data"
CHUNK = 700  # bytes, so that boxes and samples come in pieces

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not there")


def hashes(path):
    """Each stream's packets: times in seconds, size, hash."""
    command = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-copyts", "-i", str(path)]
    command += ["-map", "0", "-c", "copy", "-f", "framehash", "-"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    bases, streams = {}, {}
    for line in result.stdout.splitlines():
        if line.startswith("#tb "):
            stream, base = line[4:].split(": ")
            numerator, denominator = base.split("/")
            bases[stream] = int(numerator) / int(denominator)
        elif not line.startswith("#"):
            stream, dts, pts, _, size, digest = (field.strip() for field in line.split(","))
            times = tuple(round(int(t) * bases[stream], 5) for t in (dts, pts))
            streams.setdefault(stream, []).append((*times, int(size), digest))
    assert streams
    return streams


async def feed(process, data, pause):
    for at in range(0, len(data), CHUNK):
        process.stdin.write(data[at : at + CHUNK])
        await process.stdin.drain()
        await asyncio.sleep(pause)
    process.stdin.close()


async def line(process):
    return (await within(process.stdout.readline())).decode().rstrip("\n")


@needs_ffmpeg
@pytest.mark.parametrize("clip", ["h264-aac", "h264-aac-every", "hevc", "vp9-opus", "av1-bare"])
@pytest.mark.parametrize("pause", [0, 0.01], ids=["at-once", "paced"])
@run_async()
async def test_clip_comes_back_whole(relay, name, scheme, client_binary, tmp_path, clip, pause):
    url, *tls = address(relay, scheme)
    source = DATA / f"{clip}.mp4"
    async with run(client_binary, "subscribe", *tls, url, name, "fmp4") as viewer:
        reading = asyncio.create_task(viewer.stdout.read())
        async with run(client_binary, "publish", *tls, url, name, "fmp4") as publisher:
            await feed(publisher, source.read_bytes(), pause)
            assert await within(publisher.wait()) == 0
        assert await within(viewer.wait()) == 0
        received = tmp_path / "received.mp4"
        received.write_bytes(await within(reading))
    assert hashes(received) == hashes(source)


@needs_ffmpeg
@run_async()
async def test_interrupted_recording_plays(relay, name, client_binary, tmp_path):
    url, *tls = address(relay, "moql")
    data = (DATA / "h264-aac.mp4").read_bytes()
    publishing = run(client_binary, "publish", *tls, url, name, "fmp4")
    viewing = run(client_binary, "subscribe", *tls, url, name, "fmp4")
    async with publishing as publisher, viewing as viewer:
        publisher.stdin.write(data)
        await publisher.stdin.drain()
        received = await within(viewer.stdout.read(4096))
        viewer.send_signal(signal.SIGINT)
        received += await within(viewer.stdout.read())
        assert await within(viewer.wait()) == 0
    (tmp_path / "received.mp4").write_bytes(received)
    got, whole = hashes(tmp_path / "received.mp4"), hashes(DATA / "h264-aac.mp4")
    for stream, rows in got.items():
        assert rows[:-1] == whole[stream][: len(rows) - 1]


@run_async()
async def test_latecomer_gets_the_newest_group_from_its_start(relay, name, scheme, client_binary):
    url, *tls = address(relay, scheme)
    raw = [url, name, "raw", "--track", "t", *tls]
    async with run(client_binary, "publish", *raw, "--group", "3") as publisher:
        publisher.stdin.write(b"a1\na2\na3\nb1\nb2\n")
        await publisher.stdin.drain()
        await asyncio.sleep(1)
        newest = ["--max-age", "0s", "--count", "3"]
        async with run(client_binary, "subscribe", *raw, *newest) as viewer:
            assert await line(viewer) == "b1"
            assert await line(viewer) == "b2"
            publisher.stdin.write(b"b3\nc1\n")
            assert await line(viewer) == "b3"
            assert await within(viewer.wait()) == 0
        async with run(client_binary, "subscribe", *raw) as viewer:
            assert [await line(viewer) for _ in range(7)] == "a1 a2 a3 b1 b2 b3 c1".split()
        publisher.send_signal(signal.SIGTERM)
        assert await within(publisher.wait()) == 0


@pytest.mark.ours
@run_async(60)
async def test_both_outlive_a_restart_of_the_relay(start_relay, name, scheme, client_binary):
    relay = start_relay()
    url, *tls = address(relay, scheme)
    raw = [url, name, "raw", "--track", "t", *tls]
    async with run(client_binary, "publish", *raw) as publisher:
        async with run(client_binary, "subscribe", *raw, "--max-age", "1s") as viewer:
            await asyncio.sleep(0.5)
            publisher.stdin.write(b"before\n")
            assert await line(viewer) == "before"
            await asyncio.to_thread(relay.stop)
            await asyncio.to_thread(relay.start)

            async def talk():
                for number in range(200):
                    publisher.stdin.write(b"after %d\n" % number)
                    await asyncio.sleep(0.1)

            talking = asyncio.create_task(talk())
            first = await line(viewer)
            while first == "before":  # a second look at the group from before is fine
                first = await line(viewer)
            talking.cancel()
            assert first.startswith("after ")
            publisher.stdin.close()
            assert await within(publisher.wait()) == 0
            assert await within(viewer.wait()) == 0


@run_async()
async def test_announced_once(relay, name, client_binary):
    url, *tls = address(relay, "moql")
    async with run(client_binary, "publish", *tls, url, f"{name}/x", "raw", "--track", "t"):
        async with run(client_binary, "announced", *tls, url, name) as live:
            assert await line(live) == f"+ {name}/x"
        async with run(client_binary, "announced", "--once", *tls, url, name) as once:
            output, _ = await within(once.communicate())
            assert output.decode().splitlines() == [f"+ {name}/x"]
            assert once.returncode == 0


@run_async()
async def test_refusals_and_exit_codes(relay, name, client_binary):
    url, *tls = address(relay, "moql")
    rows = (
        (0, "", ["--help"]),
        (0, "", ["publish", "--help"]),
        (0, "", ["--version"]),
        (2, "command", []),
        (2, "--track", ["subscribe", url, name, "raw"]),
        (2, "fmp4 or raw", ["publish", url, name, "mkv"]),
        (2, "--max-age", ["subscribe", url, name, "fmp4", "--max-age", "soon"]),
        (2, "URL: ", ["announced", "ftp://nowhere/"]),
        (2, "moq-lite-09", ["announced", *tls, url, "--connect-version", "moq-lite-09"]),
        (2, "--group", ["fetch", *tls, url, name, "t", "--group", "-1"]),
        (2, "publish or subscribe", ["clock", "tell", url, name]),
    )
    for code, text, arguments in rows:
        async with run(client_binary, *arguments) as process:
            _, said = await within(process.communicate(), 15)
            assert process.returncode == code, (arguments, said)
            assert text in said.decode(), arguments


@run_async()
async def test_publishes_only_movies_as_fmp4(relay, name, client_binary):
    url, *tls = address(relay, "moql")
    not_fragmented = (DATA / "faststart.mp4").read_bytes()
    for data in (b"", b"this is no MP4 at all, nor will it be", not_fragmented):
        async with run(client_binary, "publish", *tls, url, name, "fmp4") as process:
            _, said = await within(process.communicate(data))
            assert process.returncode == 1
            assert "stdin: " in said.decode()
