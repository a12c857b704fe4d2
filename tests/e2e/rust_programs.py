# SPDX-License-Identifier: MIT OR Apache-2.0
"""Finds the Rust programs: in the directory MOQ_RUST_BIN, in PATH and in ~/.cargo/bin."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

INSTALL = "cargo install moq-relay moq-cli"


def find_program(name, telling):
    """Ours have the same names: the help of the Rust one holds the word `telling`."""
    home = [os.environ.get("CARGO_HOME", ""), str(Path.home() / ".cargo")]
    folders = [os.environ.get("MOQ_RUST_BIN", ""), *os.environ.get("PATH", "").split(os.pathsep)]
    folders += [str(Path(folder) / "bin") for folder in home if folder]
    for folder in filter(None, folders):
        program = shutil.which(name, path=folder)
        if program is None:
            continue
        said = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=20, check=False)
        if telling in said.stdout:
            return Path(program)
    pytest.skip(f"the Rust {name} is not installed: {INSTALL}")


def rust_relay():
    return find_program("moq-relay", "--cluster-lan-secret")


def rust_client():
    return find_program("moq", "import")
