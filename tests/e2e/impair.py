# SPDX-License-Identifier: MIT OR Apache-2.0
"""A bad network between a client and the relay: a UDP forwarder, since the kernels of CI have no
netem. It runs in the test's own loop, so a test can change the link while it is in use:

    async with Link(relay.port, seed=1) as link:
        link.down.rate = 125_000          # bytes per second, towards the client
        connect(link.url("moql"))
        link.move()                       # another address towards the relay, as a NAT may choose
        link.dark = True                  # nothing passes

What is lost, doubled or late follows from the seed and the order of packets.
"""

import asyncio
import random
import socket
from dataclasses import dataclass, field

HOST = "127.0.0.1"
PACKET_MAX = 65536
SOCKET_BYTES = 4 << 20
READS_MAX = 64  # packets taken at a time, so that others get their turn


@dataclass
class Way:
    """One direction. Delays are seconds, chances 0 to 1."""

    delay: float = 0.0
    jitter: float = 0.0  # up to that much more, each packet its own: reorders
    loss: float = 0.0
    double: float = 0.0
    late: float = 0.0  # chance that a packet takes `late_by` more: reorders
    late_by: float = 0.02
    rate: float = 0.0  # bytes per second, 0 = no limit
    queue: int = 64_000  # bytes that may wait for their turn; more are lost
    passed: int = 0  # packets
    lost: int = 0
    free: float = field(default=0.0, repr=False)  # when the last packet has left

    def through(self, rng, now, size):
        """When the copies of a packet arrive: [] when it is lost."""
        start = max(self.free, now)
        full = self.rate and (start - now) * self.rate > self.queue
        if full or rng.random() < self.loss:
            self.lost += 1
            return []
        if self.rate:
            start += size / self.rate
            self.free = start
        self.passed += 1
        arrival = start + self.delay + rng.random() * self.jitter
        if rng.random() < self.late:
            arrival += self.late_by
        return [arrival, arrival + 0.001] if rng.random() < self.double else [arrival]


def _udp_socket():
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    for side in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        made.setsockopt(socket.SOL_SOCKET, side, SOCKET_BYTES)
    made.bind((HOST, 0))
    return made


class Link:
    """A forwarder for one client program, which may have several sockets."""

    def __init__(self, relay_port, seed=1):
        self.relay = (HOST, relay_port)
        self.rng = random.Random(seed)
        self.up, self.down = Way(), Way()
        self.dark = False
        self._front = None
        self._back = {}  # client's address -> socket towards the relay

    def url(self, scheme, path=""):
        return f"{scheme}://{HOST}:{self.port}/{path}"

    async def __aenter__(self):
        self._loop = asyncio.get_running_loop()
        self._front = _udp_socket()
        self.port = self._front.getsockname()[1]
        self._loop.add_reader(self._front, self._from_client)
        return self

    async def __aexit__(self, *_):
        self._loop.remove_reader(self._front)
        self._front.close()
        self.move()

    def both(self, **settings):
        """Sets attributes of both directions."""
        for way in (self.up, self.down):
            for key, value in settings.items():
                setattr(way, key, value)

    def move(self):
        """From now on packets reach the relay from other ports; what comes to the old ones is lost."""
        for back in self._back.values():
            self._loop.remove_reader(back)
            back.close()
        self._back.clear()

    def _towards_relay(self, client):
        back = self._back.get(client)
        if back is None:
            back = self._back[client] = _udp_socket()
            self._loop.add_reader(back, self._from_relay, back, client)
        return back

    def _from_client(self):
        for _ in range(READS_MAX):
            try:
                data, client = self._front.recvfrom(PACKET_MAX)
            except OSError:
                return
            self._pass(self.up, data, lambda data, client=client: self._send_up(data, client))

    def _from_relay(self, back, client):
        for _ in range(READS_MAX):
            try:
                data = back.recv(PACKET_MAX)
            except OSError:
                return
            self._pass(self.down, data, lambda data: self._send(self._front, data, client))

    def _pass(self, way, data, send):
        now = self._loop.time()
        if self.dark:
            way.lost += 1
            return
        for arrival in way.through(self.rng, now, len(data)):
            self._loop.call_at(arrival, send, data)

    def _send_up(self, data, client):
        if self._front.fileno() >= 0:
            self._send(self._towards_relay(client), data, self.relay)

    @staticmethod
    def _send(via, data, to):
        try:
            via.sendto(data, to)
        except OSError:
            pass  # a full or closed socket loses packets, as networks do
