"""The router between participant and outside: real packets, walked over the simulator's path in real time.

The access link, hops, boxes and expiring TTLs are `sim.way.Way`, the very same code as in virtual time; here its clock
is the monotonic one, and what comes out is put on a wire.
"""

import contextlib
import select
import socket
from collections.abc import Callable
from time import monotonic

import numpy as np

from ringback.lab.namespaces import kernel
from ringback.lab.namespaces.packets import build, parse
from ringback.sim.clock import Clock
from ringback.sim.link import Link
from ringback.sim.net import SimPath
from ringback.sim.packet import Packet
from ringback.sim.way import Way

ETH_P_IP = 0x0800
BUFFER = 4 << 20
FRAME = 2048
BATCH = 64  # packets read from one side in one turn
IDLE = 0.5  # seconds; how long to sleep at most


class Side:
    """One of the router's two interfaces, below IP: its own kernel never sees what passes."""

    def __init__(self, interface: str, neighbour: bytes) -> None:
        """neighbour: the hardware address of who is at the other end."""
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
        self.socket.bind((interface, ETH_P_IP))
        self.socket.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self.socket.setsockopt(socket.SOL_SOCKET, option, BUFFER)
        self._to = (interface, ETH_P_IP, 0, 0, neighbour)

    def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # the interface's own queue is full, or the other side is gone
            self.socket.sendto(data, self._to)

    def receive(self, take: Callable[[Packet], None]) -> None:
        for _ in range(BATCH):
            try:
                data = self.socket.recv(FRAME)
            except OSError:
                return
            packet = parse(data)
            if packet is not None:
                take(packet)


def route(path: SimPath, seed: int, near: Side, far: Side) -> None:
    """Pass packets between the two sides until the process is ended."""
    clock = Clock()
    origin = monotonic()
    link = Link(path.link, np.random.default_rng(seed))

    def leave(side: Side) -> Callable[[Packet], None]:
        def put(packet: Packet) -> None:
            side.send(build(packet, max(packet.ttl - path.hops, 1)))

        return put

    way = Way(clock, path, link, leave(near), leave(far))

    def taking(enter: Callable[[Packet], None]) -> Callable[[Packet], None]:
        def take(packet: Packet) -> None:
            now = monotonic() - origin
            clock.run(now)
            clock.now = now
            enter(packet)

        return take

    sides = {near.socket: (near, taking(way.outward)), far.socket: (far, taking(way.inward))}
    kernel.sharp_timers()
    while True:
        clock.run(monotonic() - origin)
        wait = clock.heap[0][0] - (monotonic() - origin) if clock.heap else IDLE
        for ready in select.select(list(sides), (), (), min(max(wait, 0.0), IDLE))[0]:
            side, take = sides[ready]
            side.receive(take)
