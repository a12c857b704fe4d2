# SPDX-License-Identifier: MIT OR Apache-2.0
"""tools/check-layers.py on small trees made for it."""

import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).resolve().parents[2] / "tools" / "check-layers.py"


@pytest.fixture
def check(tmp_path):
    """Writes {path: text} as a source tree and checks it; returns (status, output)."""

    def run(files):
        for path, text in files.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        done = subprocess.run([sys.executable, CHECK, tmp_path], capture_output=True, text=True,
                              timeout=30)
        return done.returncode, done.stdout

    return run


HEADERS = {"base/x.h": "", "net/transport.h": "", "net/quic.h": "", "wire/lite/m.h": "", "relay/r.h": ""}


@pytest.mark.parametrize("path, include", [
    ("base/y.c", "x.h"),
    ("base/y.c", "base/x.h"),
    ("wire/lite/m.c", "base/x.h"),
    ("session/lite/s.c", "net/transport.h"),
    ("session/lite/s.c", "wire/lite/m.h"),
    ("bin/moq.c", "net/quic.h"),
    ("base/y.c", "../base/x.h"),
])
def test_allows(check, path, include):
    status, output = check({**HEADERS, path: f'#include "{include}"\n'})
    assert status == 0, output


@pytest.mark.parametrize("path, include, complaint", [
    ("base/y.c", "net/quic.h", "base/y.c:1: base/ may not use net/quic.h"),
    ("session/lite/s.c", "net/quic.h", "session/ may not use net/quic.h"),
    ("net/n.c", "wire/lite/m.h", "net/ may not use wire/lite/m.h"),
    ("wire/lite/m.c", "../../net/quic.h", "wire/lite/ may not use net/quic.h"),
    ("web/w.c", "relay/r.h", "web/ may not use relay/r.h"),
    ("config/t.cc", "net/quic.h", "config/ may not use net/quic.h"),
    ("model/m.c", "nowhere.h", '"nowhere.h" is not under src/'),
    ("other/o.c", "base/x.h", "its directory has no row"),
])
def test_refuses(check, path, include, complaint):
    status, output = check({**HEADERS, path: f'#include "{include}"\n'})
    assert status == 1
    assert complaint in output


def test_an_empty_tree_is_not_a_pass(check):
    assert check({})[0] == 1
