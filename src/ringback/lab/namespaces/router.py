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
from ringback.sim.nat import FIRST_PORT, Nat
from ringback.sim.net import SimPath
from ringback.sim.outside import Outside
from ringback.sim.packet import Packet
from ringback.sim.tunnelling import TunnelEnds, at_exit
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


def route(path: SimPath, seed: int, near: Side, far: Side, participant: str, vpn: tuple[SimPath, Side] | None) -> None:
    """Pass packets between the two sides until the process is ended.

    vpn: a path in a tunnel over the same access link, and the side at which packets enter it. What the operator sees of
    them is what it sees in virtual time; outside they come from the tunnel's exit.
    """
    clock = Clock()
    origin = monotonic()
    rng = np.random.default_rng(seed)
    link = Link(path.link, rng)

    def leave(side: Side) -> Callable[[Packet], None]:
        def put(packet: Packet) -> None:
            side.send(build(packet, max(packet.ttl - path.hops, 1)))

        return put

    outward: dict[str, Callable[[Packet], None]] = {}
    inward: dict[str, Callable[[Packet], None]] = {}
    beyond = leave(far)
    way = Way(clock, path, link, leave(near), lambda packet: outward.get(packet.dst, beyond)(packet))

    def enter(packet: Packet) -> None:
        inward.get(packet.dst, way.inward)(packet)

    def taking(onward: Callable[[Packet], None]) -> Callable[[Packet], None]:
        def take(packet: Packet) -> None:
            now = monotonic() - origin
            clock.run(now)
            clock.now = now
            onward(packet)

        return take

    sides = {near.socket: (near, taking(way.outward)), far.socket: (far, taking(enter))}
    if vpn is not None:
        tunnelled, entrance = vpn
        tunnel = tunnelled.tunnel
        assert tunnel is not None
        nat = Nat(tunnel.exit, FIRST_PORT, tunnel.port)
        ends = TunnelEnds(tunnel, participant, clock, nat, leave(entrance), beyond, rng)
        ends.way = Way(clock, tunnelled, link, ends.near_arrive, ends.far_arrive)
        inward[tunnel.exit] = ends.inward
        if tunnel.host is not None:

            def answered(packet: Packet) -> None:
                (way.inward if packet.dst == participant else beyond)(packet)

            host = Outside(tunnel.exit, tunnel.host, clock, answered, rng)
            outward[tunnel.exit] = host.arrive
            inward[tunnel.exit] = at_exit(tunnel, clock, host.arrive, ends.inward)
        sides[entrance.socket] = (entrance, taking(ends.outward))
    kernel.sharp_timers()
    while True:
        clock.run(monotonic() - origin)
        wait = clock.heap[0][0] - (monotonic() - origin) if clock.heap else IDLE
        for ready in select.select(list(sides), (), (), min(max(wait, 0.0), IDLE))[0]:
            side, take = sides[ready]
            side.receive(take)
