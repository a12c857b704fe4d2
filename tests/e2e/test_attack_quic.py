# SPDX-License-Identifier: MIT OR Apache-2.0
"""Attacks on QUIC: before there is a connection, and with frames of every kind on one."""

import asyncio
import os
import random
from dataclasses import replace

import pytest
from aioquic.quic.crypto import CryptoError, CryptoPair

from attack import SERVED, Attack, closing, connection_end, still_served
from hostile import HUGE, junk_packets
from lite import open_session
from packets import FLOOD, VERSION_1, Address, Hello, flood, kind_of, reset_frame, retry_of, send_frames, stream_frame
from peer import split_varint, varint

pytestmark = pytest.mark.ours

HALF_OPEN = int(os.environ.get("MOQ_HALF_OPEN", "10000"))
SEED = 7

HANDSHAKES = 100
SHORT = ("--listen-timeout", "2s")  # what is half open is soon gone
FEW = (*SHORT, "--limits-handshakes", str(HANDSHAKES), "--limits-handshakes-retry", "10")
RETRY = (*SHORT, "--limits-handshakes-retry", "0")  # every address must prove itself


# Packets of peers that have no connection.


def close_code(answer, destination):
    """The code of a CONNECTION_CLOSE in an Initial packet of the relay, or None."""
    keys = CryptoPair()
    keys.setup_initial(destination, is_client=True, version=VERSION_1)
    at = 5 + 1 + answer[5]
    at += 1 + answer[at]
    token, rest = split_varint(answer[at:])
    size, rest = split_varint(rest[token:])
    at = len(answer) - len(rest)
    try:
        _, frames, _ = keys.decrypt_packet(answer[: at + size], at, 0)
    except CryptoError:
        return None
    while frames:
        kind, frames = split_varint(frames)
        if kind == 0x1C:
            return split_varint(frames)[0]
        if kind not in (0x02, 0x03):
            continue
        _, frames = split_varint(frames)  # ACK: largest, delay, ranges
        _, frames = split_varint(frames)
        ranges, frames = split_varint(frames)
        for _ in range(2 * ranges + 1):
            _, frames = split_varint(frames)
    return None


async def ask(relay, packet, seconds=0.4, destination=None):
    """Sends one datagram from a new address: a word for each kind of answer."""
    with Address(relay.port) as address:
        address.send(packet)
        await asyncio.sleep(seconds)
        seen = set()
        for answer in address.take():
            code = close_code(answer, destination) if destination and kind_of(answer) == "initial" else None
            seen.add(kind_of(answer) if code is None else f"close {code:#x}")
        return " ".join(sorted(seen)) or "nothing"


async def garbage(relay):
    with Address(relay.port) as address:
        for packet in junk_packets():
            if packet:
                try:
                    address.send(packet)
                except OSError:  # larger than loopback takes
                    continue
        await asyncio.sleep(0.5)
        kinds = {kind_of(answer) for answer in address.take()}
        return "stateless answers" if kinds <= {"reset or 1-RTT", "retry", "version negotiation"} else kinds


async def initials_of_noise(relay):
    """Whole Initial packets whose protection is noise, a thousand."""
    hello, noise = Hello(), random.Random(SEED)
    with Address(relay.port) as address:
        for _ in range(1000):
            packet = bytearray(hello.packet())
            packet[60:] = noise.randbytes(len(packet) - 60)
            address.send(bytes(packet))
        await asyncio.sleep(0.3)
        return "answers" if address.take() else "nothing"


async def small_initial(relay):
    """A connection begins with 1200 bytes or not at all (RFC 9000 section 14.1)."""
    return await ask(relay, Hello().packet(size=600))


async def second_half_of_hello(relay):
    """Nothing is kept for an address that sends out of order before it has proven itself."""
    hello = Hello()
    return await ask(relay, hello.packet(hello.frame(start=100)))


async def hello_cut(relay):
    """Every length of a ClientHello's beginning: acknowledged at most, and forgotten in time."""
    hello = Hello()
    seen = set()
    for size in range(1, len(hello.bytes), 23):
        seen.add(await ask(relay, hello.packet(hello.frame(0, size)), 0.01))
    return "nothing or an ACK" if seen <= {"nothing", "initial"} else seen


async def hello_damaged(relay):
    """A bit of each byte of ClientHello: refused or not noticed, never a crash."""
    hello = Hello()
    whole = hello.bytes
    with Address(relay.port) as address:
        for at in range(0, len(whole), 3):
            hello.bytes = whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]
            address.send(hello.packet())
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.5)
        kinds = {kind_of(answer) for answer in address.take()}
    return "answers" if kinds <= {"initial", "handshake", "retry"} else kinds


async def hello_of_noise(relay):
    hello, destination = Hello(), os.urandom(8)
    hello.bytes = b"\x01\0\x01\0" + random.Random(SEED).randbytes(256)
    return await ask(relay, hello.packet(destination=destination), destination=destination)


async def unknown_alpn(relay):
    """no_application_protocol, alert 120 (RFC 9001 section 8.1)."""
    destination = os.urandom(8)
    return await ask(relay, Hello("http/0.9").packet(destination=destination), destination=destination)


async def unknown_frame_in_initial(relay):
    destination = os.urandom(8)
    packet = Hello().packet(b"\x30\0", destination=destination)
    return await ask(relay, packet, destination=destination)


async def unknown_versions(relay):
    """A thousand of them: each answer is smaller than its question; none for a small one."""
    with Address(relay.port) as address:
        for number in range(1000):
            name = (
                b"\xc0" + (0x1A2A3A4A + (number << 8)).to_bytes(4, "big") + b"\x08" + os.urandom(8) + b"\x08" + bytes(8)
            )
            address.send(name.ljust(1200 if number % 2 else 1199, b"\0"))
            address.take()
        await asyncio.sleep(0.3)
        answers = address.take()
        assert {kind_of(answer) for answer in answers} == {"version negotiation"}
        assert len(answers) <= 500 and address.received < address.sent / 3
    return "version negotiation"


async def version_negotiation_to_us(relay):
    """A server does not answer Version Negotiation, lest two of them talk for ever."""
    packet = b"\xc0" + bytes(4) + b"\x08" + os.urandom(8) + b"\x08" + os.urandom(8) + b"\0\0\0\1"
    return await ask(relay, packet.ljust(1200, b"\0"))


async def retry_to_us(relay):
    packet = b"\xf0\0\0\0\1\x08" + os.urandom(8) + b"\x08" + os.urandom(8) + os.urandom(100)
    return await ask(relay, packet.ljust(1200, b"\0"))


async def tokens_forged(relay):
    """Made up, cut, changed at each byte, for another connection ID: INVALID_TOKEN (0xb), no state."""
    hello, destination = Hello(), os.urandom(8)
    with Address(relay.port) as address:
        address.send(hello.packet(destination=destination))
        await asyncio.sleep(0.3)
        chosen, token = retry_of(address.take()[0])
        broken = [token[:-1], token + b"x", token[:1] + os.urandom(40)]
        broken += [token[:at] + bytes([token[at] ^ 1]) + token[at + 1 :] for at in range(1, len(token))]
        packets = [(chosen, bad) for bad in broken] + [(os.urandom(8), token)]
        address.answers.clear()
        for name, bad in packets:
            address.send(hello.packet(destination=name, token=bad))
        await asyncio.sleep(0.5)
        answers = address.take()
        codes = {close_code(answer, packets[0][0]) for answer in answers} - {None}
        assert len(answers) == len(packets), (len(answers), len(packets))
    return " ".join(f"close {code:#x}" for code in codes)


async def token_stolen(relay):
    """A Retry token of one address from another: refused."""
    hello = Hello()
    with Address(relay.port) as owner:
        owner.send(hello.packet())
        await asyncio.sleep(0.3)
        chosen, token = retry_of(owner.take()[0])
    packet = hello.packet(destination=chosen, token=token)
    with Address(relay.port, "127.7.7.7") as thief:
        thief.send(packet)
        await asyncio.sleep(0.3)
        return " ".join(f"close {close_code(answer, chosen):#x}" for answer in thief.take())


def first_packets():
    """Datagrams that a forged source may make the relay answer."""
    hello, destination = Hello(), os.urandom(8)
    unknown = b"\xc0\x1a\x2a\x3a\x4a\x08" + os.urandom(8) + b"\x08" + os.urandom(8)
    cut = Hello()
    cut.bytes = cut.bytes[:-1]
    return {
        "hello": [hello.packet()],
        "hello twice": [hello.packet(destination=destination)] * 2,
        "hello, then one byte": [hello.packet(destination=destination)] + [b"\xc0\0\0\0\1\x08" + destination] * 5,
        "hello, cut": [cut.packet()],
        "unknown ALPN, then knocking": [Hello("none").packet(destination=destination)]
        + [b"\xc0\0\0\0\1\x08" + destination + b"\0"] * 40,
        "unknown version": [unknown.ljust(1200, b"\0")],
        "unknown version, long IDs": [
            (unknown[:5] + b"\xff" + os.urandom(255) + b"\xff" + os.urandom(255)).ljust(1200, b"\0")
        ],
        "bad token": [hello.packet(token=b"\xb7" + os.urandom(40))],
        "short header": [b"\x40" + os.urandom(size) for size in range(20, 60)],
        "second half": [hello.packet(hello.frame(start=10))],
    }


async def amplification(relay):
    """Bytes to an address that has not answered: never more than three times its own (RFC 9000 section 8.1)."""
    asked = {}
    for host, (what, packets) in enumerate(first_packets().items()):
        asked[what] = Address(relay.port, f"127.0.9.{host + 1}")
        for packet in packets:
            asked[what].send(packet)
            await asyncio.sleep(0.01)
    worst = {}
    for _ in range(23):  # probes are repeated for as long as the handshake may take
        await asyncio.sleep(0.1)
        for what, address in asked.items():
            address.take()
            worst[what] = address.received / address.sent
    for address in asked.values():
        address.close()
    assert worst["hello"] > 0.5, worst
    return "no more than 3x" if max(worst.values()) <= 3 else worst


async def half_open(relay):
    """Ten thousand ClientHellos from as many addresses, none of which ever answers."""
    hello, got = Hello(), set()
    for number in range(HALF_OPEN):
        host = f"127.{1 + number // 60000}.{number // 240 % 250}.{number % 240 + 1}"
        with Address(relay.port, host) as address:
            address.send(hello.packet())
            if number % 50 == 49:
                await asyncio.sleep(0)
                got |= {kind_of(answer) for answer in address.take()}
    return "retry" if "retry" in got else got


async def half_open_proven(relay):
    """One address that answers Retry and no more gets its share of the handshakes, and no other's."""
    hello = Hello()
    addresses = []
    for _ in range(300):
        address = Address(relay.port, "127.6.6.6")
        addresses.append(address)
        address.send(hello.packet())
    await asyncio.sleep(0.5)
    for address in addresses:
        for answer in address.take():
            if kind_of(answer) == "retry":
                name, token = retry_of(answer)
                address.send(hello.packet(destination=name, token=token))
    await asyncio.sleep(0.5)
    async with open_session(relay) as neighbour:
        assert await still_served(neighbour) == SERVED
    begun = 0
    for address in addresses:
        begun += "initial" in {kind_of(answer) for answer in address.take()}
        address.close()
    return "a share" if 0 < begun <= HANDSHAKES // 2 else begun


async def packets_for_others(relay):
    """Noise, closes and resets for the connection IDs of a running session, from another address."""
    async with open_session(relay) as session:
        name = session.transport.peer.quic._peer_cid.cid
        hello, noise = Hello(), random.Random(SEED)
        with Address(relay.port, "127.3.3.3") as stranger:
            for kind in (b"\x40", b"\x5f", b"\x7f"):
                for size in (4, 12, 16, 21, 30, 60, 1200):
                    stranger.send(kind + name + noise.randbytes(size))
            for kind in (0xC0, 0xD0, 0xE0, 0xF0):
                stranger.send(bytes([kind]) + b"\0\0\0\1\x08" + name + b"\0" + noise.randbytes(1200))
            stranger.send(hello.packet(destination=name))
            stranger.send(hello.packet(b"\x1c\0\0\0", destination=name))
            stranger.send(b"\xc0" + bytes(4) + b"\x08" + name + b"\x08" + bytes(8) + b"\x1a\x1a\x1a\x1a")
            await asyncio.sleep(0.3)
            if stranger.take():
                return "answers"
        return await still_served(session)


# Frames on a connection.


def frames(*sent):
    """An attack of a few packets on a session: how it ends."""

    async def run(relay):
        async with open_session(relay) as session:
            for one in sent:
                send_frames(session.transport.peer, one)
            await asyncio.sleep(0.1)
            peer = session.transport.peer
            return closing(peer.ended) if peer.ended is not None else await still_served(session)

    return run


def flood_of(frame, count=None):
    async def run(relay):
        async with open_session(relay) as session:
            peer = session.transport.peer
            await flood(peer, frame, count)
            await asyncio.sleep(0.2)
            return closing(peer.ended) if peer.ended is not None else await still_served(session)

    return run


def new_connection_id(number, retire=0, size=8):
    return b"\x18" + varint(number) + varint(retire) + bytes([size]) + os.urandom(size) + os.urandom(16)


def retiring_ids(number):
    """New connection IDs of which each retires all before it."""
    return new_connection_id(number + 20, number + 20)


def blocked(number):
    return b"\x14" + varint(number) + b"\x16" + varint(number % 1000)


def crypto(offset, data):
    return b"\x06" + varint(offset) + varint(len(data)) + data


def ends_at(*offsets):
    return [stream_frame(400, offset, b"x", True) for offset in offsets]


async def holes_in_streams(relay):
    """A byte at every second offset, on many streams: what the gaps cost is nobody's window."""
    async with open_session(relay) as session:
        peer = session.transport.peer
        for number in range(40):
            await flood(peer, lambda i, n=number: stream_frame(400 + 4 * n, 1 + 2 * i, b"x"), FLOOD // 10)
        await asyncio.sleep(0.5)
        return closing(peer.ended) if peer.ended is not None else await still_served(session)


async def second_bytes_first(relay):
    """The second byte of every stream there may be, never the first: 8 KiB each (limits.connection_bytes)."""
    async with open_session(relay) as session:
        peer = session.transport.peer
        for kind in (0, 2):
            await flood(peer, lambda i, k=kind: stream_frame(400 + 4 * i + k, 1, b"x"), 9800)
        return await connection_end(peer)


async def key_updates(relay):
    """New keys as often as the protocol lets a peer have them, and more often."""
    async with open_session(relay) as session:
        peer = session.transport.peer
        for _ in range(100):
            peer.request_key_update()
            await peer.ping()
        return await still_served(session)


def acks(number):
    """Of the same first packets, again and again."""
    return b"\x02" + varint(2) + varint(number % 64) + b"\0\2"


def passing_stream(number):
    """A unidirectional stream of an unknown type that ends at once."""
    return stream_frame(402 + 4 * number, 0, b"\x3f", True)


def reset_of_new_stream(number):
    return reset_frame(400 + 4 * number)


async def from_many_ports(relay):
    """A connection whose packets come from ever new addresses: each must be proven, none is amplified."""
    async with open_session(relay) as session:
        peer = session.transport.peer
        own = peer._transport
        taken = []
        for host in range(1, 60):
            address = Address(relay.port, f"127.0.8.{host}")
            taken.append(address)
            peer._transport = type("To", (), {"sendto": lambda self, data, _, a=address: a.send(data)})()
            send_frames(peer, b"\x01")
            await asyncio.sleep(0.005)
        peer._transport = own
        await asyncio.sleep(0.5)
        for address in taken:
            address.take()
            assert address.received <= 3 * address.sent, (address.received, address.sent)
            address.close()
        return await still_served(session)


async def closed_and_knocking(relay):
    """Packets for a connection that is over are answered ever more rarely (RFC 9000 section 10.2.1)."""
    async with open_session(relay) as session:
        peer = session.transport.peer
        send_frames(peer, b"\x7f\xff")
        end = await connection_end(peer)
    with Address(relay.port) as address:
        for _ in range(2000):
            address.send(b"\x40" + peer.quic._peer_cid.cid + os.urandom(30))
        await asyncio.sleep(0.2)
        assert len(address.take()) <= 400, len(address.answers)  # resets, 200 a second
    return end


def quic(name):
    return f"connection: {name}"


# fmt: off
ATTACKS = [
    # name, what is done, what the attacker must see
    Attack("garbage", garbage, "stateless answers"),
    Attack("initials_of_noise", initials_of_noise, "nothing", memory=True),
    Attack("small_initial", small_initial, "nothing"),
    Attack("second_half_of_hello", second_half_of_hello, "retry"),
    Attack("hello_of_noise", hello_of_noise, "close 0x146"),
    Attack("unknown_alpn", unknown_alpn, "close 0x178"),
    Attack("unknown_frame_in_initial", unknown_frame_in_initial, "nothing"),
    Attack("unknown_versions", unknown_versions, "version negotiation"),
    Attack("version_negotiation_to_us", version_negotiation_to_us, "nothing"),
    Attack("retry_to_us", retry_to_us, "nothing"),
    Attack("tokens_forged", tokens_forged, "close 0xb", RETRY),
    Attack("token_stolen", token_stolen, "close 0xb", RETRY),
    Attack("hello_cut", hello_cut, "nothing or an ACK"),
    Attack("amplification", amplification, "no more than 3x", memory=True),
    Attack("hello_damaged", hello_damaged, "answers", memory=True),
    Attack("half_open", half_open, "retry", memory=True),
    Attack("half_open_proven", half_open_proven, "a share", FEW, memory=True),
    Attack("packets_for_others", packets_for_others, SERVED),
    Attack("from_many_ports", from_many_ports, SERVED),
    Attack("closed_and_knocking", closed_and_knocking, quic("FRAME_ENCODING_ERROR")),
    Attack("pings", flood_of(lambda i: b"\x01"), SERVED),
    Attack("path_challenges", flood_of(lambda i: b"\x1a" + os.urandom(8)), SERVED),
    Attack("path_responses", flood_of(lambda i: b"\x1b" + os.urandom(8)), SERVED),
    Attack("new_connection_ids", flood_of(lambda i: new_connection_id(i + 20), 100), quic("CONNECTION_ID_LIMIT_ERROR")),
    Attack("connection_ids_retired", flood_of(retiring_ids, 2000), quic("CONNECTION_ID_LIMIT_ERROR")),
    Attack("retire_what_was_never_given", frames(b"\x19" + varint(77)), quic("PROTOCOL_VIOLATION")),
    Attack("max_streams_of_2_62", frames(b"\x12" + varint(HUGE)), quic("FRAME_ENCODING_ERROR")),
    Attack("blocked", flood_of(blocked), SERVED),
    Attack("stream_of_2_62", frames(stream_frame(HUGE - 3, 0, b"x")), quic("STREAM_LIMIT_ERROR")),
    Attack("offset_of_2_62", frames(stream_frame(400, HUGE, b"")), quic("FLOW_CONTROL_ERROR")),
    Attack("beyond_2_62", frames(stream_frame(400, HUGE, b"xx")), quic("FLOW_CONTROL_ERROR")),
    Attack("ends_twice", frames(*ends_at(5, 9)), quic("FINAL_SIZE_ERROR")),
    Attack("reset_of_2_62", frames(b"\x04" + varint(400) + varint(1) + varint(HUGE)), quic("FLOW_CONTROL_ERROR")),
    Attack("stop_of_our_own", frames(b"\x05" + varint(1 + 4 * 90) + varint(1)), quic("STREAM_STATE_ERROR")),
    Attack("ack_of_what_was_not_sent", frames(b"\x02" + varint(1 << 30) + b"\0\0\0"), quic("PROTOCOL_VIOLATION")),
    Attack("token_from_a_client", frames(b"\x07\x04abcd"), quic("PROTOCOL_VIOLATION")),
    Attack("handshake_done_from_a_client", frames(b"\x1e"), quic("PROTOCOL_VIOLATION")),
    Attack("unknown_frame", frames(b"\x7f\xff"), quic("FRAME_ENCODING_ERROR")),
    Attack("empty_packet", frames(b""), SERVED),
    Attack("crypto_after_handshake", frames(crypto(0, b"x")), quic("PROTOCOL_VIOLATION")),
    Attack("crypto_with_holes", flood_of(lambda i: crypto(9 + 50 * i, b"x")), quic("CRYPTO_BUFFER_EXCEEDED")),
    Attack("key_updates", key_updates, SERVED),
    Attack("acks", flood_of(acks), SERVED),
    Attack("passing_streams", flood_of(passing_stream, 9000), SERVED),
    Attack("resets_of_new_streams", flood_of(reset_of_new_stream, 9000), SERVED),
    Attack("empty_streams", flood_of(lambda i: stream_frame(400 + 4 * i, 0, b""), 9000), SERVED, memory=True),
    Attack("second_bytes_first", second_bytes_first, quic("INTERNAL_ERROR"), memory=True),
    Attack("holes_in_streams", holes_in_streams, SERVED, memory=True),
]
# fmt: on
ATTACKS = [replace(attack, options=attack.options or SHORT) for attack in ATTACKS]


def test_attack(attack, fight):
    fight(attack)
