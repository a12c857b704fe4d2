# SPDX-License-Identifier: MIT OR Apache-2.0
"""Packets of QUIC made by hand: first packets by the thousand, cut, damaged, from made-up addresses,
and frames on a connection that aioquic has brought up, in packets of their own.

The ClientHello is aioquic's and the same in all of them; what differs is the connection ID that a
client makes up, from which the keys of its first packets follow (RFC 9001 section 5.2).
"""

import asyncio
import os
import socket
import time

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.crypto import CryptoPair
from aioquic.tls import Epoch

from peer import varint
from relay import HOST

FLOOD = int(os.environ.get("MOQ_FLOOD", "20000"))  # frames
PACKET_ROOM = 1150  # bytes of frames in one packet

VERSION_1 = 1
DATAGRAM_BYTES = 1200
TAG_BYTES = 16


class Hello:
    """A ClientHello that offers `alpn`, and the packets that carry it."""

    def __init__(self, alpn="moq-lite-06"):
        client = QuicConnection(configuration=QuicConfiguration(alpn_protocols=[alpn], server_name="localhost"))
        client.connect((HOST, 4433), now=time.time())
        stream = client._crypto_streams[next(iter(client._crypto_streams))]
        self.bytes = bytes(stream.sender._buffer)
        self.source = client.host_cid

    def frame(self, start=0, stop=None):
        """A CRYPTO frame with a part of it."""
        part = self.bytes[start:stop]
        return b"\x06" + varint(start) + varint(len(part)) + part

    def packet(self, frames=None, destination=None, token=b"", number=0, size=DATAGRAM_BYTES, kind=0xC0):
        """One Initial packet, padded to `size`."""
        destination = os.urandom(8) if destination is None else destination
        payload = self.frame() if frames is None else frames
        header = bytes([kind | 1]) + VERSION_1.to_bytes(4, "big")
        header += bytes([len(destination)]) + destination + bytes([len(self.source)]) + self.source
        header += varint(len(token)) + token
        room = size - len(header) - 2 - 2 - TAG_BYTES
        payload = payload.ljust(max(room, 4), b"\0")
        header += (len(payload) + 2 + TAG_BYTES | 0x4000).to_bytes(2, "big") + number.to_bytes(2, "big")
        keys = CryptoPair()
        keys.setup_initial(destination, is_client=True, version=VERSION_1)
        return keys.encrypt_packet(header, payload, number)


class Address:
    """A UDP socket that counts what it sends and receives. Loopback has 16 million addresses."""

    def __init__(self, port, host=HOST):
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((host, 0))
        self.udp.connect((HOST, port))
        self.udp.setblocking(False)
        self.sent = self.received = 0
        self.answers = []

    def send(self, packet):
        self.udp.send(packet)
        self.sent += len(packet)

    def take(self):
        """Whatever has come."""
        while True:
            try:
                answer = self.udp.recv(65536)
            except (BlockingIOError, ConnectionRefusedError):
                return self.answers
            self.received += len(answer)
            self.answers.append(answer)

    def close(self):
        self.udp.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def kind_of(answer):
    """What a packet from the relay is, from its first bytes."""
    if not answer[0] & 0x80:
        return "reset or 1-RTT"
    if answer[1:5] == bytes(4):
        return "version negotiation"
    return ("initial", "0-RTT", "handshake", "retry")[answer[0] >> 4 & 3]


def retry_of(answer):
    """(the relay's connection ID, the token) of a Retry packet."""
    at = 5 + 1 + answer[5]
    size = answer[at]
    return answer[at + 1 : at + 1 + size], answer[at + 1 + size : -TAG_BYTES]


# Frames on a connection.


def send_frames(peer, frames):
    """One 1-RTT packet with exactly these bytes."""
    quic = peer.quic
    number, quic._packet_number = quic._packet_number, quic._packet_number + 1
    keys = quic._cryptos[Epoch.ONE_RTT]
    header = bytes([0x41 | keys.key_phase << 2]) + quic._peer_cid.cid + (number & 0xFFFF).to_bytes(2, "big")
    packet = keys.encrypt_packet(header, frames.ljust(4, b"\0"), number)
    peer._transport.sendto(packet, quic._network_paths[0].addr)


def _skip(fields):
    def handle(context, frame_type, buf):
        for _ in range(fields):
            buf.pull_uint_var()

    return handle


def forgive(peer):
    """Lets pass what the relay says about streams of ours that aioquic has not heard of."""
    handlers = peer.quic._QuicConnection__frame_handlers
    for kind, fields in ((0x04, 3), (0x05, 2), (0x11, 2)):  # RESET_STREAM, STOP_SENDING, MAX_STREAM_DATA
        handlers[kind] = (_skip(fields), handlers[kind][1])


async def flood(peer, frame, count=None):
    """`count` of the frames that frame(i) makes, as many as fit to a packet."""
    forgive(peer)
    batch = b""
    for number in range(FLOOD if count is None else count):
        one = frame(number)
        if len(batch) + len(one) > PACKET_ROOM:
            send_frames(peer, batch)
            batch = b""
            if number % 50 == 0:
                await asyncio.sleep(0)
        batch += one
        if peer.ended is not None:
            return
    send_frames(peer, batch)


def reset_frame(number, code=0, size=0):
    return b"\x04" + varint(number) + varint(code) + varint(size)


def stream_frame(number, offset, data, fin=False):
    return bytes([0x0E | fin]) + varint(number) + varint(offset) + varint(len(data)) + data
