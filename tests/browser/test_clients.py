# SPDX-License-Identifier: MIT OR Apache-2.0
"""The JavaScript packages as publisher and as viewer, every version that they speak against every other.

One row is one pair of clients and the relay between them; clients-page.js has what they do. All rows
run in one browser.
"""

import json
import subprocess
from dataclasses import dataclass

import pytest
from conftest import HERE, path_from
from relay import Relay

JOBS = 6
BROWSER_SECONDS = 200

VERSIONS = [f"moq-lite-0{n}" for n in range(1, 6)]
SPOKEN = {"net-0.3": VERSIONS, "net-0.2": VERSIONS, "lite-0.2": VERSIONS[:4]}
PIN_FREE = "every version"


@dataclass(frozen=True)
class End:
    """A client, what it offers (() = no list, None = as the package does), and what must come of it."""

    client: str
    version: str
    offers: tuple = None

    def as_json(self):
        end = {"client": self.client, "version": self.version}
        if self.offers is not None:
            end["protocols"] = list(self.offers) or None
        return end

    @property
    def label(self):
        how = "" if self.offers is None else ("-bare" if not self.offers else "-chosen")
        return f"{self.client}{how}@{self.version[-2:]}"


@dataclass(frozen=True)
class Row:
    relay: str  # the one version it speaks, or PIN_FREE
    publisher: End
    viewer: End
    refused: bool = False  # the relay must turn the viewer away

    @property
    def name(self):
        if self.refused:
            return f"{self.viewer.client}{'' if self.viewer.offers is None else '-bare'}-refused-by-{self.relay}"
        pinned = "" if self.relay == PIN_FREE else "-pinned"
        return f"{self.publisher.label}-to-{self.viewer.label}{pinned}"


def pinned_rows():
    """The relay speaks one version, the packages offer all of theirs."""
    pairs = [(a, b) for a in SPOKEN for b in SPOKEN if a == b or "lite-0.2" in (a, b)]
    for version in VERSIONS:
        for publisher, viewer in pairs:
            if version in SPOKEN[publisher] and version in SPOKEN[viewer]:
                yield Row(version, End(publisher, version), End(viewer, version))
    for version in VERSIONS[:2]:
        bare = End("net-0.3", version, ())
        yield Row(version, bare, bare)
    yield Row(VERSIONS[4], None, End("lite-0.2", ""), refused=True)
    yield Row(VERSIONS[2], None, End("net-0.3", "", ()), refused=True)


def chosen(client, version):
    """An end that comes to one version on a relay that speaks all."""
    if version == "moq-lite-01":
        return End(f"{client}-only-01", version, ("moql",))
    return End(client, version, ("moql" if version == "moq-lite-02" else version,))


def mixed_rows():
    """The relay speaks every version; publisher and viewer each have their own."""
    ends = [chosen("net-0.3", version) for version in VERSIONS] + [End("net-0.3", "moq-lite-02", ())]
    for publisher in ends:
        for viewer in ends:
            yield Row(PIN_FREE, publisher, viewer)
    newest = End("net-0.3", VERSIONS[-1])
    for old in [End("lite-0.2", "moq-lite-04"), End("lite-0.2", "moq-lite-02", ()),
                End("net-0.2", "moq-lite-05")]:
        yield Row(PIN_FREE, old, newest)
        yield Row(PIN_FREE, newest, old)


ROWS = [*pinned_rows(), *mixed_rows()]


@pytest.fixture(scope="module")
def relays(flavor, tmp_path_factory):
    """One relay for each version, and one that speaks all."""
    directory = tmp_path_factory.mktemp("relays")
    binary = path_from("MOQ_RELAY_BIN", "build/moq-relay")
    running = {}
    try:
        for version in [*VERSIONS, PIN_FREE]:
            extra = ["--publish-track-linger", "100ms"] if flavor.name == "moq" else []
            if version != PIN_FREE:
                extra += ["--listen-version", version]
            log = directory / f"{version.replace(' ', '-')}.log"
            running[version] = Relay(binary, flavor, log, extra=extra).start()
        yield running
        for relay in running.values():
            relay.stop()
    finally:
        for relay in running.values():
            relay.kill()


@pytest.fixture(scope="module")
def problems(flavor, relays):
    """What went wrong in each row, by its name; "" for nothing."""
    table = []
    for number, row in enumerate(ROWS):
        entry = {"name": row.name, "url": relays[row.relay].url("http"), "path": f"row{number}/demo",
                 "refused": row.refused, "lenient": flavor.name != "moq",
                 "viewer": row.viewer.as_json(),
                 "publisher": (row.publisher or row.viewer).as_json()}
        table.append(entry)
    done = subprocess.run(["node", str(HERE / "clients.mjs"), f"--jobs={JOBS}"],
                          input=json.dumps(table), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=BROWSER_SECONDS)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    found = {line["name"]: line["problem"] for line in lines}
    assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr}"
    return found


def test_rows_have_names_of_their_own():
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_pair(row, problems, relays):
    problem = problems.get(row.name, "did not run")
    assert problem == "", f"{problem}\nrelay:\n{relays[row.relay].tail(30)}"


def test_no_session_was_ended_by_the_relay(flavor, problems, relays):
    """Every client closed its own, so nothing that it said was taken for a violation."""
    if flavor.name != "moq":
        pytest.skip("reads our log")
    for relay in relays.values():
        ended = [line for line in relay.log().splitlines() if "session closed" in line]
        assert ended and not [line for line in ended if " by=peer code=done " not in line]
