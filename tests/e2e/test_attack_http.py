# SPDX-License-Identifier: MIT OR Apache-2.0
"""Attacks on HTTP over TCP: those who are slow, those who send nonsense, those who stay."""

import asyncio
import contextlib

import pytest

from attack import Attack
from bystander import PATH, TRACK
from relay import HOST

pytestmark = pytest.mark.ours

FEW = ("--limits-http-clients", "32")
# The answer to one who still sends may be lost with the connection, as TCP has it.
BAD = ("status 400", "status 413")
REFUSED = ("status 431", "closed")
HEADER_SECONDS = 15  # that the relay waits for the end of a request's header


@contextlib.asynccontextmanager
async def connections(relay, count):
    """`count` TCP connections to the web port: (reader, writer) pairs."""
    opened = [await asyncio.open_connection(HOST, relay.port) for _ in range(count)]
    try:
        yield opened
    finally:
        for _, writer in opened:
            writer.close()


async def answer(reader, seconds=10):
    """The status of an answer; what else there is to see when there is none."""
    try:
        line = await asyncio.wait_for(reader.readline(), seconds)
    except TimeoutError:
        return "nothing"
    except ConnectionError:
        return "closed"
    return f"status {line.split()[1].decode()}" if line.startswith(b"HTTP/1.1 ") else "closed"


def request(data):
    """What one connection that sends this is answered."""

    async def run(relay):
        async with connections(relay, 1) as [(reader, writer)]:
            with contextlib.suppress(ConnectionError):
                for at in range(0, len(data), 65536):
                    writer.write(data[at : at + 65536])
                    await writer.drain()
            return await answer(reader)

    return run


def get(target, fields=b""):
    return b"GET " + target + b" HTTP/1.1\r\nhost: x\r\n" + fields + b"\r\n"


async def request_cut_at_each_byte(relay):
    """Every beginning of a request, and then the end of the sending half: at most waited for, like any slow one."""
    whole = get(b"/announced/some/prefix", b"accept: */*\r\n")
    async with connections(relay, len(whole)) as opened:
        for size, (_, writer) in enumerate(opened):
            writer.write(whole[:size])
            writer.write_eof()
        seen = {await answer(reader, 0.05) for reader, _ in opened}
    return "not answered" if seen <= {"closed", "nothing", "status 400"} else seen


async def slow_loris(relay):
    """As many connections as there may be, each a byte now and then: all are closed in time, and others get in."""
    async with connections(relay, 32) as held:
        for _, writer in held:
            writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\nx-slow: ")
        closing = [asyncio.create_task(answer(reader, HEADER_SECONDS + 10)) for reader, _ in held]
        while not all(task.done() for task in closing):
            for _, writer in held:
                with contextlib.suppress(ConnectionError):
                    writer.write(b"x")
            await asyncio.sleep(0.5)
        seen = {task.result() for task in closing}
    async with connections(relay, 1) as [(reader, writer)]:
        writer.write(get(b"/health"))
        assert await answer(reader) == "status 200"
    return seen.pop() if len(seen) == 1 else seen


async def too_many(relay):
    """More connections than there may be, which say nothing: QUIC does not feel it."""
    async with connections(relay, 60):
        await asyncio.sleep(0.5)
    async with connections(relay, 1) as [(reader, writer)]:
        writer.write(get(b"/health"))
        return await answer(reader)


async def reads_nothing(relay):
    """Those who ask for the healthy track's groups, each with a window of next to nothing, and do not read."""
    async with connections(relay, 30) as opened:
        for _, writer in opened:
            writer.transport.pause_reading()
            writer.write(get(f"/fetch/{PATH}/{TRACK}".encode()) * 20)
        await asyncio.sleep(1)
    return "nothing"


async def asks_and_leaves(relay):
    """Requests that have to wait, by clients that do not."""
    for _ in range(10):
        async with connections(relay, 30) as opened:
            for number, (_, writer) in enumerate(opened):
                writer.write(get(f"/fetch/no/such/{number}/track".encode()))
            await asyncio.sleep(0.02)
    return "nothing"


# fmt: off
ATTACKS = [
    # name, what is done, what the attacker must see
    Attack("noise", request(bytes(range(256)) * 10), "status 400"),
    Attack("target_of_64_kib", request(get(b"/" + b"x" * 65536)), ("status 414", "closed")),
    Attack("field_of_64_kib", request(get(b"/health", b"x: " + b"y" * 65536 + b"\r\n")), REFUSED),
    Attack("many_fields", request(get(b"/health", b"x: y\r\n" * 20000)), REFUSED),
    Attack("no_end_of_header", request(b"GET /health HTTP/1.1\r\n" + b"x: y\r\n" * 200_000), REFUSED),
    Attack("two_lengths", request(get(b"/health", b"content-length: 5\r\ncontent-length: 6\r\n")), BAD),
    Attack("length_of_2_64", request(get(b"/health", b"content-length: 18446744073709551616\r\n")), "status 413"),
    Attack("length_below_zero", request(get(b"/health", b"content-length: -1\r\n")), BAD),
    Attack("body", request(get(b"/health", b"content-length: 1000000\r\n") + bytes(10**6)), ("status 413", "closed")),
    Attack("chunks", request(get(b"/health", b"transfer-encoding: chunked\r\n") + b"fffffffff\r\n"), "status 413"),
    Attack("path_of_bad_escapes", request(get(b"/fetch/%ff%fe/%00/%zz")), "status 400"),
    Attack("path_upwards", request(get(b"/../../../../etc/passwd")), ("status 404", "status 400")),
    Attack("path_upwards_escaped", request(get(b"/%2e%2e/%2e%2e/etc/passwd")), ("status 404", "status 400")),
    Attack("path_of_a_thousand_parts", request(get(b"/announced" + b"/x" * 1000)), "status 400"),
    Attack("request_cut", request_cut_at_each_byte, "not answered"),
    Attack("too_many", too_many, "status 200", FEW, memory=True),
    Attack("slow_loris", slow_loris, "closed", FEW),
    Attack("reads_nothing", reads_nothing, "nothing", memory=True),
    Attack("asks_and_leaves", asks_and_leaves, "nothing", memory=True),
]
# fmt: on


def test_attack(attack, fight):
    fight(attack)
