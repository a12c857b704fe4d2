# SPDX-License-Identifier: MIT OR Apache-2.0
"""Media over links that lose, delay, squeeze, move and go dark (impair.py).

Publishers are on a good link. A frame says its group and index, and the rest of it follows from
these, so that a viewer's every byte is checked. How far a viewer is behind is counted in frames of
the content, not in seconds: a machine that stalls stalls the publisher as well.
"""

import asyncio
import os
import signal
from contextlib import asynccontextmanager, suppress

import moq
import pytest

from clients import connect, payload, run_async, subscribe
from impair import Link
from lite import open_session
from test_client import run

pytestmark = pytest.mark.ours

FPS = 25
VIDEO_FRAME = 15_000  # 3 Mbit/s
AUDIO_FRAME = 320  # 64 kbit/s


def content(name, group, index, size):
    """Text without a newline, so that a frame is a line of `moq subscribe raw`."""
    head = f"{name}:{group}:{index}:"
    return (head + payload(head, size // 2).hex())[:size].encode()


class Media:
    """One track that is published at FPS, in groups of `length` frames."""

    def __init__(self, broadcast, name, length, size):
        self.name, self.length, self.size = name, length, size
        self.track = broadcast.publish_track(name)
        self.frames = 0  # published
        self.group = None

    def publish(self):
        number, index = divmod(self.frames, self.length)
        if index == 0:
            self.group = self.track.append_group()
        self.group.write_frame(content(self.name, number, index, self.size), self.frames * 40_000)
        self.frames += 1
        if self.frames % self.length == 0:
            self.group.finish()
            self.group = None

    @property
    def groups(self):
        return self.frames // self.length


class Seen:
    """What a viewer has of a Media: each frame is checked as it comes, `wrong` says what was not right."""

    def __init__(self, media):
        self.media = media
        self.whole = []  # groups, in order of their ends
        self.begun = []
        self.behind = []  # frames between what came and what was published, as each came
        self.wrong = []

    def frame(self, group, index, data):
        media = self.media
        if data != content(media.name, group, index, media.size):
            self.wrong.append(f"frame {index} of group {group}: {data[:40]}")
        self.behind.append(media.frames - (group * media.length + index + 1))
        if index == 0:
            if group in self.begun:
                self.wrong.append(f"group {group} came twice")
            self.begun.append(group)
        if index + 1 == media.length:
            self.whole.append(group)

    def line(self, data):
        """A frame as `moq subscribe raw` writes it: whole groups come in order, and no other frame between."""
        _, group, index, _ = data.split(b":", 3)
        self.frame(int(group), int(index), data)

    @property
    def newest(self):
        """The newest whole group."""
        return max(self.whole, default=-1)

    async def check_all(self):
        """Everything comes; the viewer was there before the first group."""
        groups = self.media.groups
        with suppress(TimeoutError):
            await until(lambda: len(self.whole) >= groups)
        assert not self.wrong, self.wrong
        assert sorted(self.whole) == list(range(groups))

    def check_some(self, late):
        """Whole groups have come to the end, at most `late` of them missing there."""
        assert not self.wrong, self.wrong
        assert self.newest >= self.media.groups - 1 - late, (self.whole, self.media.groups)

    async def read(self, track):
        """Takes groups in whatever order they come, each on a stream of its own."""
        tasks = []
        try:
            while (group := await track.recv_group()) is not None:
                tasks.append(asyncio.create_task(self._read_group(group)))
        finally:
            for task in tasks:
                task.cancel()

    async def _read_group(self, group):
        index = 0
        with suppress(moq.Error):  # the relay gave it up
            async for frame in group:
                self.frame(group.sequence, index, frame.payload)
                index += 1


class Stage:
    """Publishes several Medias at FPS while the test does its things."""

    def __init__(self, medias):
        self.medias = medias

    async def play(self, frames):
        loop = asyncio.get_running_loop()
        due = loop.time()
        for _ in range(frames):
            for media in self.medias:
                media.publish()
            due = max(due + 1 / FPS, loop.time())
            await asyncio.sleep(due - loop.time())


@asynccontextmanager
async def stage(relay, name, **kinds):
    """A broadcast on a good link; kinds: track's name = (frames of a group, bytes of a frame)."""
    async with connect(relay.url("moql")) as publisher:
        broadcast = publisher.create_broadcast(name)
        medias = [Media(broadcast, track, *kind) for track, kind in kinds.items()]
        broadcast.announce()
        yield Stage(medias)
        broadcast.close()


@asynccontextmanager
async def watching(url, name, *medias, priorities=(0, 0), max_age=60):
    """A moq-rs viewer; gives a Seen for each track."""
    async with connect(url) as client:
        tasks, seens = [], []
        for media, priority in zip(medias, priorities, strict=False):
            wish = moq.Subscription(max_age_us=max_age * 1_000_000, priority=priority)
            track = await subscribe(client, name, media.name, wish)
            seens.append(Seen(media))
            tasks.append(asyncio.create_task(seens[-1].read(track)))
        try:
            yield seens
        finally:
            for task in tasks:
                task.cancel()


@asynccontextmanager
async def program(binary, url, name, media, *options):
    """`moq subscribe`; gives its process and a Seen."""
    arguments = ["subscribe", "--tls-disable-verify", *options, url, name, "raw", "--track", media.name]
    seen = Seen(media)
    async with run(binary, *arguments, limit=1 << 20) as process:

        async def read():
            while line := await process.stdout.readline():
                seen.line(line.rstrip(b"\n"))

        task = asyncio.create_task(read())
        try:
            yield process, seen
        finally:
            task.cancel()


def memory(relay):
    """What the relay's process holds, in bytes."""
    with open(f"/proc/{relay.process.pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def until(condition, seconds=20):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("congestion", ["cubic", "bbr"])
@run_async()
async def test_loss(start_relay, name, congestion):
    """3 Mbit/s where 5 % of the packets are lost each way, and it takes 100 ms there and back.

    Controllers that take loss for congestion have 0.6 Mbit/s there: groups come whole and on time
    all the same, just not all of them.
    """
    relay = await asyncio.to_thread(start_relay, extra=["--quic-congestion-control", congestion])
    async with stage(relay, name, video=(12, VIDEO_FRAME)) as show, Link(relay.port) as link:
        (video,) = show.medias
        link.both(loss=0.05, delay=0.05, jitter=0.01, double=0.01)
        async with (
            watching(link.url("moql"), name, video, max_age=4) as (far,),
            watching(relay.url("moql"), name, video) as (near,),
        ):
            await show.play(FPS * 6)
            await near.check_all()
            if congestion == "bbr":
                await until(lambda: far.newest == video.groups - 1)
        far.check_some(late=8)
        assert len(far.whole) >= (video.groups * 3 // 4 if congestion == "bbr" else 2), far.whole


@run_async()
async def test_squeeze(relay, name):
    """3 Mbit/s of video into 1 Mbit/s: the audio beside it, which goes first, loses nothing."""
    kinds = {"video": (12, VIDEO_FRAME), "audio": (1, AUDIO_FRAME)}
    async with stage(relay, name, **kinds) as show, Link(relay.port) as link:
        link.down.rate = 125_000
        link.both(delay=0.02)
        options = {"priorities": (1, 200), "max_age": 4}
        async with watching(link.url("moql"), name, *show.medias, **options) as (video, audio):
            await show.play(FPS * 6)
            await audio.check_all()
        video.check_some(late=8)
        assert 2 <= len(video.whole) < video.media.groups
        # The queue of the link holds half a second, the rest of a second is for a busy machine.
        assert max(audio.behind) < 2 * FPS, max(audio.behind)
        # Max Age, a second to finish, and the group itself.
        assert max(video.behind) < (4 + 1 + 2) * FPS, max(video.behind)


@run_async()
async def test_new_address(relay, name, scheme):
    """The viewer's address changes in mid-stream: nothing is missing."""
    async with stage(relay, name, video=(12, VIDEO_FRAME)) as show, Link(relay.port) as link:
        (video,) = show.medias
        link.both(delay=0.01)
        async with watching(link.url(scheme), name, video) as (seen,):
            for _ in range(3):
                await show.play(FPS)
                link.move()
            await show.play(FPS)
            await seen.check_all()


@run_async()
async def test_blackout(start_relay, name, client_binary):
    """10 s of nothing. At the default idle timeout, which is as long, `moq` has its session back
    or makes another; a session with a longer one goes on; who stands beside it loses nothing."""
    relay = await asyncio.to_thread(start_relay)
    patient = await asyncio.to_thread(start_relay, extra=["--quic-idle-timeout", "40s"])
    async with (
        stage(relay, name, video=(12, AUDIO_FRAME)) as show,
        stage(patient, name, video=(12, AUDIO_FRAME)) as other,
        Link(relay.port) as link,
        Link(patient.port) as long,
        open_session(long, idle_timeout=60.0) as session,
        program(client_binary, link.url("https"), name, show.medias[0], "--max-age", "1s") as (_, seen),
        watching(relay.url("moql"), name, show.medias[0]) as (near,),
    ):
        await session.subscribe(name, "video")
        both = Stage(show.medias + other.medias)
        await both.play(FPS)
        await until(lambda: seen.whole)
        link.dark = long.dark = True
        await both.play(10 * FPS)
        link.dark = long.dark = False
        light = show.medias[0].groups
        playing = asyncio.create_task(both.play(20 * FPS))
        try:
            newest = -1
            while newest <= other.medias[0].groups - 3:
                _, _, newest = await session.next_group(20)
            await until(lambda: seen.newest > light)
        finally:
            playing.cancel()
        await near.check_all()


@run_async()
async def test_lost_viewer_is_forgotten(start_relay, name, client_binary):
    """Nothing passes any more: the relay lets go of the viewer after its idle timeout."""
    relay = await asyncio.to_thread(start_relay, extra=["--quic-idle-timeout", "2s"])
    async with stage(relay, name, video=(12, AUDIO_FRAME)) as show, Link(relay.port) as link:
        async with program(client_binary, link.url("moql"), name, show.medias[0]) as (_, seen):
            await show.play(FPS)
            await until(lambda: seen.whole)
            link.dark = True
            await until(lambda: "by=relay code=lost" in relay.log())


@run_async()
async def test_sleep(relay, name, client_binary):
    """A viewer's phone sleeps and wakes up: it is at the live edge again soon; the others and the
    relay do not notice."""
    async with stage(relay, name, video=(12, VIDEO_FRAME)) as show:
        (video,) = show.medias
        async with (
            program(client_binary, relay.url("https"), name, video, "--max-age", "1s") as (phone, seen),
            watching(relay.url("moql"), name, video) as (near,),
        ):
            await show.play(FPS)
            before = memory(relay)
            phone.send_signal(signal.SIGSTOP)
            try:
                await show.play(4 * FPS)
            finally:
                phone.send_signal(signal.SIGCONT)
            held = memory(relay) - before
            awake = video.groups
            await show.play(2 * FPS)
            await until(lambda: seen.newest > awake)
            await near.check_all()
        assert not seen.wrong, seen.wrong
        assert held < 64 << 20, held
