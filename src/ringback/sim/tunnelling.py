"""A VPN path at work: the participant's end wraps, the exit's end releases, and back."""

from collections import deque
from typing import NamedTuple

import numpy as np

from ringback.sim.clock import Call, Clock
from ringback.sim.nat import Nat
from ringback.sim.net import Tunnel
from ringback.sim.packet import IPV4_HEADER, UDP, UDP_HEADER, Packet
from ringback.sim.way import Way

RETRY_S = 5.0  # WireGuard's REKEY_TIMEOUT, whitepaper section 6.1
LOCAL_PORTS = (20_000, 60_000)


class _Carried(NamedTuple):
    """What an outer packet carries, and the payload that it must still have where it is released."""

    inner: Packet
    payload: bytes


class TunnelEnds:
    """`outward` takes the participant's packets and `inward` those that come to the exit's address; `near_arrive` and
    `far_arrive` take outer packets off the way. `way` must be set before the first packet."""

    way: Way

    def __init__(
        self,
        tunnel: Tunnel,
        participant: str,
        clock: Clock,
        nat: Nat,
        near: Call,
        far: Call,
        rng: np.random.Generator,
    ) -> None:
        self._tunnel = tunnel
        self._participant = participant
        self._port = int(rng.integers(*LOCAL_PORTS))
        self._clock = clock
        self._nat = nat
        self._near = near
        self._far = far
        self._established = False
        self._shaking = False
        self._waiting: deque[Packet] = deque()
        self._sent = 0
        self._answered = 0
        self._onward_s = tunnel.onward_ms / 1e3

    # -- the participant's end ------------------------------------------------------------------------------------

    def outward(self, inner: Packet) -> None:
        if self._established:
            self._sent += 1
            self._wrap(inner, self._sent)
        elif len(self._waiting) < self._tunnel.queue:
            self._waiting.append(inner)
            if not self._shaking:
                self._shaking = True
                self._shake(None)

    def _shake(self, _: None) -> None:
        if not self._established:
            self.way.outward(self._outer(self._tunnel.initiation, None, True))
            self._clock.at(self._clock.now + RETRY_S, self._shake)

    def near_arrive(self, outer: Packet) -> None:
        if outer.proto != UDP or outer.dport != self._port or outer.src != self._tunnel.exit:
            return  # among them ICMP errors for outer packets, which WireGuard ignores
        if isinstance(outer.raw, _Carried):
            inner = _released(outer, outer.raw)
            if inner is not None:
                self._near(inner)
        elif not self._established and outer.payload == self._tunnel.response:
            self._established = True
            while self._waiting:
                self.outward(self._waiting.popleft())

    # -- the exit -------------------------------------------------------------------------------------------------

    def far_arrive(self, outer: Packet) -> None:
        if outer.proto != UDP or outer.dst != self._tunnel.exit or outer.dport != self._tunnel.port:
            return
        if isinstance(outer.raw, _Carried):
            inner = _released(outer, outer.raw)
            if inner is not None and (translated := self._nat.outward(inner)) is not None:
                self._clock.at(self._clock.now + self._onward_s, self._far, translated)
        elif outer.payload == self._tunnel.initiation:
            self.way.inward(self._outer(self._tunnel.response, None, False))

    def inward(self, packet: Packet) -> None:
        """A packet for the exit's address leaves the peer or a host."""
        inner = self._nat.inward(packet)
        if inner is not None:
            self._clock.at(self._clock.now + self._onward_s, self._enter_inward, inner)

    def _enter_inward(self, inner: Packet) -> None:
        self._answered += 1
        self._wrap(inner, self._answered, False)

    # -- both -----------------------------------------------------------------------------------------------------

    def _wrap(self, inner: Packet, counter: int, out: bool = True) -> None:
        outer = self._outer(self._tunnel.wrap(inner.size, counter), inner, out)
        if out:
            self.way.outward(outer)
        else:
            self.way.inward(outer)

    def _outer(self, payload: bytes, inner: Packet | None, out: bool) -> Packet:
        exit, port = self._tunnel.exit, self._tunnel.port
        ends = (self._participant, self._port, exit, port) if out else (exit, port, self._participant, self._port)
        carried = None if inner is None else _Carried(inner, payload)
        return Packet(UDP, *ends, payload, IPV4_HEADER + UDP_HEADER + len(payload), raw=carried)


def _released(outer: Packet, carried: _Carried) -> Packet | None:
    """The inner packet, or None where the outer one was changed on its way: authentication fails."""
    return carried.inner if carried.payload == outer.payload else None


def at_exit(tunnel: Tunnel, clock: Clock, host: Call, inward: Call) -> Call:
    """Packets from outside for an exit's address: to its own port they are for its host, else for the tunnel."""

    def call(packet: Packet) -> None:
        if packet.proto == UDP and packet.dport == tunnel.port:
            clock.at(clock.now + tunnel.onward_ms / 1e3, host, packet)
        else:
            inward(packet)

    return call
