# SPDX-License-Identifier: MIT OR Apache-2.0
"""Chromium against the relay: the demo page, and @moq/net alone."""

import base64
import json
import subprocess

import pytest
from conftest import path_from
from publisher import TRACK, frame_bytes

STOP_SECONDS = 10

PATTERN = [
    "ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "error",
    "-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=15",
    "-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
    "-t", "200",  # bounded whatever becomes of the test
    "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p",
    "-g", "30", "-c:a", "aac", "-f", "mp4",
    "-frag_duration", "66000", "-movflags", "empty_moov+default_base_moof", "-flush_packets", "1",
    "pipe:1",
]


def end(process):
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture
def pattern(relay, tmp_path):
    """ffmpeg | moq publish; a function of the broadcast's name."""
    started = []
    log_path = tmp_path / "moq.log"

    def start(name):
        moq = path_from("MOQ_BIN", "build/moq")
        ffmpeg = subprocess.Popen(PATTERN, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        started.append(ffmpeg)
        with open(log_path, "wb") as log:
            client = subprocess.Popen([str(moq), "publish", relay.url("http"), name, "fmp4"],
                                      stdin=ffmpeg.stdout, stdout=log, stderr=log)
        ffmpeg.stdout.close()
        started.append(client)
        return client

    yield start
    for process in reversed(started):
        end(process)
    if log_path.exists():
        text = log_path.read_text(errors="replace")
        assert "Sanitizer" not in text and "runtime error" not in text, text
        print(text)


def test_pattern_plays_on_the_page(script, pattern, page_options):
    client = pattern("demo/pattern")
    script("watch.mjs", "demo/pattern", "--sound", *page_options)
    assert client.poll() is None, "the publisher ended"


def test_camera_reaches_a_second_page(script, page_options):
    script("publish.mjs", "camera", *page_options)


def test_net_receives_a_track_whole(script, publish):
    publisher = publish("net/track")
    publisher.send("every 0.2")
    lines = script("net-track.mjs", "net/track", TRACK, "--frames=10").splitlines()
    frames = [json.loads(line) for line in lines if line.startswith('{"group"')]
    assert len(frames) == 10
    for frame in frames:
        expected = frame_bytes("p", frame["group"], frame["frame"], None)
        assert base64.b64decode(frame["payload"]) == expected
    order = [(frame["group"], frame["frame"]) for frame in frames]
    assert order == sorted(set(order))
