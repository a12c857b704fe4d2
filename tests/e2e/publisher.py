# SPDX-License-Identifier: MIT OR Apache-2.0
"""A moq-rs publisher in a process of its own, so that it can be killed and its log read.

As a program it announces a path with one track, `video`, obeys the lines of its standard input, and
logs to standard error; at level info the library logs every SUBSCRIBE that reaches it, which is
how the tests count what a relay asks of its publisher.

    group SIZE...   one finished group with frames of these sizes
    every SECONDS   such groups of two small frames at that pace, until told otherwise
                    (with --clock a group's sequence is the time in milliseconds)
    finish          ends the track
    close           unannounces and ends the broadcast
    quit            closes the connection and ends
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import moq

import clients

TRACK = "video"


def frame_label(tag, group, frame):
    return f"{tag}:{group}:{frame}"


def frame_bytes(tag, group, frame, size):
    """A frame that says whose it is (for the small ones of `every`) or checkable noise."""
    if size is None:
        return frame_label(tag, group, frame).encode()
    return clients.payload(frame_label(tag, group, frame), size)


class Publisher:
    """The parent's handle of such a process."""

    def __init__(self, python, log_path, url, path, tag="p", clock=False):
        self.log_path = Path(log_path)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [python, __file__, url, path, "--tag", tag, *(["--clock"] if clock else [])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=dict(os.environ, NO_COLOR="1"),
            )
        self._expect("ready")

    def _expect(self, word, seconds=20):
        # A pipe's readline cannot time out; the timer ends the process, and so the wait.
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        try:
            line = self.process.stdout.readline().strip()
        finally:
            timer.cancel()
        assert line == word, f"publisher said {line!r}\n{self.log()[-3000:]}"

    def send(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        self._expect("ok")

    def log(self):
        return self.log_path.read_text(errors="replace")

    def subscriptions(self, path, track=TRACK):
        """How many SUBSCRIBEs for this track have reached the publisher."""
        return len(
            re.findall(
                rf"subscribed started.* broadcast={re.escape(path)} track={track} ", self.log()
            )
        )

    def wait_log(self, pattern, seconds=clients.WAIT_SECONDS):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if re.search(pattern, self.log()):
                return
            time.sleep(0.02)
        raise AssertionError(f"no {pattern!r} in the publisher's log\n{self.log()[-3000:]}")

    def kill(self):
        """SIGKILL: no goodbye reaches the relay."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class _Program:
    def __init__(self, options, client):
        self.tag = options.tag
        self.clock = options.clock
        self.next = 0
        self.broadcast = client.create_broadcast(options.path)
        self.track = self.broadcast.publish_track(TRACK, clients.KEPT)
        self.pace = None
        self.broadcast.announce()

    def write(self, sizes):
        if self.clock:
            self.next = max(self.next, time.time_ns() // 1_000_000)
        group = self.track.create_group(self.next)
        for index, size in enumerate(sizes):
            group.write_frame(frame_bytes(self.tag, self.next, index, size), index)
        group.finish()
        self.next += 1

    async def repeat(self, seconds):
        while True:
            self.write([None, None])
            await asyncio.sleep(seconds)

    def command(self, line):
        word, *arguments = line.split()
        if word == "group":
            self.write([int(size) for size in arguments])
        elif word == "every":
            self.pace = asyncio.create_task(self.repeat(float(arguments[0])))
        elif word == "finish":
            self.track.finish()
        elif word == "close":
            self.stop()
            self.broadcast.close()
        return word != "quit"

    def stop(self):
        if self.pace is not None:
            self.pace.cancel()


async def _main(options):
    moq.log_level("info")
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with clients.connect(options.url) as client:
        program = _Program(options, client)
        print("ready", flush=True)
        while line := await reader.readline():
            more = program.command(line.decode())
            print("ok", flush=True)
            if not more:
                break
        program.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("path")
    parser.add_argument("--tag", default="p")
    parser.add_argument("--clock", action="store_true")
    asyncio.run(_main(parser.parse_args()))
