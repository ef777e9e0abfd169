"""A session in virtual time: two ends, a network between them, and nothing else.

The same seed, ends and network give the same run, event for event.
"""

from collections.abc import Callable
from math import inf

import numpy as np

from ringback.sim.clock import Call, Clock
from ringback.sim.link import Link
from ringback.sim.nat import Nat
from ringback.sim.net import SimNet
from ringback.sim.outside import Outside
from ringback.sim.packet import Packet
from ringback.sim.participant import Participant
from ringback.sim.peer import Peer
from ringback.sim.tunnelling import TunnelEnds, at_exit
from ringback.sim.way import Way
from ringback.trial.seam import Command, End, Event, PeerEnd


class World:
    """Runs `near` (the participant) against `far` (the peer) over `net`.

    seed: every random choice of the network. record: write (time, "near" or "far", command or event) to `transcript`.
    """

    def __init__(self, near: End, far: PeerEnd, net: SimNet, seed: int, record: bool = False) -> None:
        self.transcript: list[tuple[float, str, Command | Event]] = []
        self.clock = Clock()
        self._net = net
        self._started = False
        self._vantage_s = net.vantage_ms / 1e3
        rng = np.random.default_rng(seed)
        links: dict[int, Link] = {}
        exits: dict[str, Call] = {}
        self.links: dict[str, Link] = {}
        """By path: the access link, which counts what it lost and dropped."""
        self._inward: dict[str, Call] = {}
        """By address: where packets to it go that are behind a path."""

        transcript = self.transcript if record else None
        self._participant = Participant(net, near, self.clock, exits, rng.spawn(1)[0], transcript)
        self._peer = Peer(net, far, self.clock, self._from_peer, rng.spawn(1)[0], transcript)
        self._servers: dict[str, Call] = {net.peer: self._peer.arrive}
        for address, host in net.hosts.items():
            outside = Outside(address, host, self.clock, self._from_host, rng.spawn(1)[0])
            self._servers[address] = outside.arrive

        for name, path in net.paths.items():
            key = id(path.link)  # the same object is the same link
            if key not in links:
                links[key] = Link(path.link, rng.spawn(1)[0])
            link = self.links[name] = links[key]
            arrive = self._participant.arrive
            first_port = int(rng.integers(20_000, 60_000))
            if path.tunnel is not None:
                nat = Nat(path.tunnel.exit, first_port, path.tunnel.port)
                ends = TunnelEnds(path.tunnel, net.participant, self.clock, nat, arrive, self._from_participant, rng)
                way = Way(self.clock, path, link, ends.near_arrive, ends.far_arrive)
                ends.way = way
                exits[name] = ends.outward
                self._inward[path.tunnel.exit] = ends.inward
                if path.tunnel.host is not None:
                    exit = Outside(path.tunnel.exit, path.tunnel.host, self.clock, self._from_host, rng.spawn(1)[0])
                    self._servers[path.tunnel.exit] = exit.arrive
                    self._inward[path.tunnel.exit] = at_exit(path.tunnel, self.clock, exit.arrive, ends.inward)
            elif path.public is not None:
                nat = Nat(path.public, first_port)
                way = Way(self.clock, path, link, arrive, translated(nat.outward, self._from_participant))
                exits[name] = way.outward
                self._inward[path.public] = translated(nat.inward, way.inward)
            else:
                way = Way(self.clock, path, link, arrive, self._from_participant)
                exits[name] = way.outward
                self._inward[net.participant] = way.inward

    def run(self, until: float | None = None) -> None:
        """Go on until the near end has finished, nothing is left to happen, or the clock would pass `until` (s)."""
        if not self._started:
            self._started = True
            self._peer.start()
            self._participant.start()
        self.clock.run(inf if until is None else until)

    def _from_participant(self, packet: Packet) -> None:
        server = self._servers.get(packet.dst)
        if server is not None:  # nobody lives at other addresses, and nobody says so
            server(packet)

    def _from_peer(self, packet: Packet) -> None:
        inward = self._inward.get(packet.dst)
        if inward is not None:
            inward(packet)
        elif packet.dst in self._servers:
            self.clock.at(self.clock.now + self._vantage_s, self._servers[packet.dst], packet)

    def _from_host(self, packet: Packet) -> None:
        inward = self._inward.get(packet.dst)
        if inward is not None:
            inward(packet)
        elif packet.dst == self._net.peer:
            self.clock.at(self.clock.now + self._vantage_s, self._peer.arrive, packet)


def translated(translate: Callable[[Packet], Packet | None], onward: Call) -> Call:
    """`onward` behind a NAT: packets without a mapping end here."""

    def call(packet: Packet) -> None:
        changed = translate(packet)
        if changed is not None:
            onward(changed)

    return call
