# SPDX-License-Identifier: MIT OR Apache-2.0
"""A healthy publisher and its viewer beside an attack, in a process of their own.

As a program it publishes a group every 25 ms over raw QUIC and watches it over WebTransport. Each
frame holds its number and the time it was sent at, so the viewer knows what is missing and how long
the rest took. It obeys the lines of its standard input:

    mark    what follows counts
    report  waits until all that was sent since the mark has come, and prints it as JSON
"""

import asyncio
import json
import os
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

PATH, TRACK = "bystander", "video"
PACE_SECONDS = 0.025
FRAMES = 3
FRAME_BYTES = 400
MEASURED_FRAMES = 12  # at least, however short an attack is
START_SECONDS = 30
CATCH_UP_SECONDS = 15
HEAD = struct.Struct("!QQ")


@dataclass(frozen=True)
class Report:
    sent: int
    lost: int
    p50_ms: float
    p99_ms: float

    def __str__(self):
        return f"{self.sent - self.lost}/{self.sent} frames, p50 {self.p50_ms:.1f} p99 {self.p99_ms:.1f} ms"


class Bystanders:
    """The parent's handle of the process."""

    def __init__(self, relay, log_path):
        self.log_path = Path(log_path)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, __file__, relay.url("moql"), relay.url("https"), PATH],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=dict(os.environ, NO_COLOR="1"),
            )
        self._line()

    def _line(self):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the healthy pair died\n{self.log_path.read_text(errors='replace')[-4000:]}")
        return line

    def _tell(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self._line()

    def mark(self):
        self._tell("mark")

    def report(self):
        return Report(**json.loads(self._tell("report")))

    def kill(self):
        self.process.kill()
        self.process.wait()


class Pair:
    def __init__(self):
        self.number = 0
        self.first = 0
        self.took = {}  # by number: seconds

    def frame(self):
        self.number += 1
        return HEAD.pack(self.number, time.monotonic_ns()).ljust(FRAME_BYTES, b"x")

    async def publish(self, track):
        due = time.monotonic()
        while True:
            group = track.append_group()
            for _ in range(FRAMES):
                group.write_frame(self.frame(), time.monotonic_ns() // 1000)
            group.finish()
            due = max(due + PACE_SECONDS, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    async def watch_group(self, group):
        async for frame in group:
            number, sent = HEAD.unpack(frame.payload[: HEAD.size])
            self.took[number] = (time.monotonic_ns() - sent) / 1e6

    async def watch(self, reader):
        reading = set()
        while (group := await reader.recv_group()) is not None:
            task = asyncio.create_task(self.watch_group(group))
            reading.add(task)
            task.add_done_callback(reading.discard)

    def mark(self):
        self.first = self.number + 1
        self.took.clear()

    async def report(self):
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while self.number - self.first < MEASURED_FRAMES and time.monotonic() < deadline:
            await asyncio.sleep(PACE_SECONDS)
        wanted = range(self.first, self.number + 1)
        while time.monotonic() < deadline and not all(number in self.took for number in wanted):
            await asyncio.sleep(0.01)
        times = sorted(self.took[number] for number in wanted if number in self.took) or [0.0]
        return {
            "sent": len(wanted),
            "lost": sum(number not in self.took for number in wanted),
            "p50_ms": times[len(times) // 2],
            "p99_ms": times[len(times) * 99 // 100],
        }


async def obey(pair):
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        if line == "mark":
            pair.mark()
        print(json.dumps(await pair.report()) if line == "report" else "ok", flush=True)


async def main(publish_url, watch_url, path):
    import clients

    pair = Pair()
    async with clients.connect(publish_url) as publisher, clients.connect(watch_url) as viewer:
        broadcast = publisher.create_broadcast(path)
        track = broadcast.publish_track(TRACK)
        broadcast.announce()
        reader = await clients.subscribe(viewer, path, TRACK)
        running = [asyncio.create_task(pair.publish(track)), asyncio.create_task(pair.watch(reader))]
        while not pair.took:
            await asyncio.sleep(0.01)
        print("ready", flush=True)
        obeying = asyncio.create_task(obey(pair))
        await asyncio.wait([*running, obeying], return_when=asyncio.FIRST_COMPLETED)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
