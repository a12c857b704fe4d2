#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Checks that each directory under src/ includes only from the layers it may use.

The table is the rule; doc/architecture.md has the reasons. Prints each violation; status 1 when
there is one, or when there was nothing to check.
"""

import re
import sys
from pathlib import Path

# Directory: what it may include besides itself. An entry with a suffix is that one header.
# A directory inside a row (say session/lite in session) is part of that row unless it has its own.
LAYERS = {
    "base": [],
    "wire": ["base"],
    "wire/lite": ["base", "wire"],
    "wire/moqt": ["base", "wire"],
    "wire/h3": ["base", "wire"],
    "wire/qmux": ["base", "wire"],
    "model": ["base"],
    "media": ["base"],
    "net": ["base", "wire/h3", "wire/qmux"],
    "session": ["base", "wire", "wire/lite", "wire/moqt", "model", "net/transport.h"],
    "auth": ["base"],
    "config": ["base"],
    "web": ["base", "model", "auth", "net"],
    # Puts a relay together, its HTTP server included.
    "relay": ["base", "wire", "wire/lite", "wire/moqt", "wire/h3", "wire/qmux", "model", "net",
              "session", "auth", "web/http.h", "config/relay_config.h"],
    "client": ["base", "model", "media", "net", "session", "config/options.h"],
    "bin": ["*"],
}

SOURCES = {".c", ".h", ".cc"}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')


def layer_of(directory):
    """The row that a directory (relative to src/) belongs to, or None."""
    while directory:
        if directory in LAYERS:
            return directory
        directory = directory.rpartition("/")[0]
    return None


def find_include(src, file, name):
    """What an include names, relative to src/; None when it is in neither place."""
    for base in (file.parent, src):
        path = (base / name).resolve()
        if path.is_file() and path.is_relative_to(src):
            return path.relative_to(src).as_posix()
    return None


def is_allowed(layer, target):
    allowed = LAYERS[layer]
    target_layer = layer_of(target.rpartition("/")[0])
    return "*" in allowed or target_layer == layer or target_layer in allowed or target in allowed


def check_file(src, file):
    """Yields a message for each include of a file that the table does not allow."""
    relative = file.relative_to(src).as_posix()
    layer = layer_of(relative.rpartition("/")[0])
    if layer is None:
        yield f"src/{relative}: its directory has no row in tools/check-layers.py"
        return
    text = file.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        target = find_include(src, file, match[1])
        if target is None:
            yield f'src/{relative}:{number}: "{match[1]}" is not under src/'
        elif not is_allowed(layer, target):
            yield f"src/{relative}:{number}: {layer}/ may not use {target}"


def main():
    default = Path(__file__).resolve().parent.parent / "src"
    src = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else default
    files = sorted(path for path in src.rglob("*") if path.suffix in SOURCES)
    bad_files = 0
    for file in files:
        messages = list(check_file(src, file))
        bad_files += bool(messages)
        for message in messages:
            print(message)
    print(f"{len(files)} files checked, {bad_files} with includes that are not allowed")
    return 1 if bad_files or not files else 0


if __name__ == "__main__":
    sys.exit(main())
