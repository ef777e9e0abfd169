"""How packets walk a path: the access link, then hop after hop with what stands there, and back.

An event is spent only where something happens: at a box, at the router where a TTL runs out, and at the ends. All
packets of one direction are equally long under way between the same two boxes, so the link towards the participant
is asked (in the order of time) when a packet leaves the last box before it, not when it reaches hop 1.
"""

from heapq import heappush

from ringback.sim.clock import Call, Clock
from ringback.sim.link import Link
from ringback.sim.net import SimPath
from ringback.sim.packet import ICMP, ICMP_HEADER, IPV4_HEADER, Box, Packet

TIME_EXCEEDED = 11  # RFC 792
QUOTED = IPV4_HEADER + 8  # of the packet that caused an ICMP error (RFC 792), in bytes
FRESH_TTL = 64


def icmp_error(source: str, type: int, code: int, cause: Packet) -> Packet:
    """What a router or host at `source` answers to the sender of `cause` (RFC 792)."""
    size = IPV4_HEADER + ICMP_HEADER + QUOTED
    return Packet(ICMP, source, type, cause.src, code, b"", size, quoted=cause)


class _Stop:
    """A hop with a box. `above`/`below`: the next such hops outwards and inwards; beyond them the ends."""

    __slots__ = ("above", "below", "box", "hop", "way")

    def __init__(self, way: "Way", hop: int, box: Box) -> None:
        self.way = way
        self.hop = hop
        self.box = box
        self.above: _Stop | None = None
        self.below: _Stop | None = None

    def outward(self, packet: Packet) -> None:
        now = self.way.clock.now
        for at, left, away in self.box.packet(packet, True, now):
            if not away and left.ttl < FRESH_TTL:  # made here, perhaps from a packet whose TTL was running out
                left = left.copy(ttl=FRESH_TTL)
            if at > now:
                self.way.clock.at(at, self.leave_outward if away else self.leave_inward, left)
            elif away:
                self.leave_outward(left)
            else:
                self.leave_inward(left)

    def inward(self, packet: Packet) -> None:
        now = self.way.clock.now
        for at, left, away in self.box.packet(packet, False, now):
            if away and left.ttl < FRESH_TTL:
                left = left.copy(ttl=FRESH_TTL)
            if at > now:
                self.way.clock.at(at, self.leave_outward if away else self.leave_inward, left)
            elif away:
                self.leave_outward(left)
            else:
                self.leave_inward(left)

    def leave_outward(self, packet: Packet) -> None:
        self.way.climb(packet, self.way.clock.now, self.hop, self.above)

    def leave_inward(self, packet: Packet) -> None:
        self.way.descend(packet, self.way.clock.now, self.hop, self.below)


class Way:
    """One path at work. Give it packets with `outward` (at the participant) and `inward` (at the far side); it calls
    `near` and `far` with those that come out."""

    __slots__ = ("_at_hop", "_bottom", "_far", "_hops", "_link", "_near", "_routers", "_top", "clock")

    def __init__(self, clock: Clock, path: SimPath, link: Link, near: Call, far: Call) -> None:
        self.clock = clock
        self._link = link
        self._near = near
        self._far = far
        self._hops = path.hops
        self._routers = path.routers
        # seconds from hop 1 to hop h, at [h]; the far side stands at [hops + 1]
        step = link.parameters.beyond_ms / 1e3 / max(path.hops, 1)
        self._at_hop = [0.0] + [step * h for h in range(path.hops + 1)]
        stops = [_Stop(self, hop, path.boxes[hop]) for hop in sorted(path.boxes)]
        for below, above in zip(stops, stops[1:], strict=False):
            below.above, above.below = above, below
        self._bottom = stops[0] if stops else None
        self._top = stops[-1] if stops else None

    def outward(self, packet: Packet) -> None:
        at = self._link.up.admit(self.clock.now, packet.size)
        if at >= 0.0:
            self.climb(packet, at, 1, self._bottom)

    def inward(self, packet: Packet) -> None:
        self.descend(packet, self.clock.now, self._hops + 1, self._top)

    def climb(self, packet: Packet, now: float, hop: int, stop: _Stop | None) -> None:
        """From `hop`, reached at `now`, to the box `stop` or the far side."""
        clock = self.clock
        if stop is None:
            goal, call = self._hops + 1, self._far
        else:
            goal, call = stop.hop, stop.outward
        if packet.ttl < goal:
            goal, call = max(packet.ttl, hop), self._expire_outward
        heappush(clock.heap, (now + self._at_hop[goal] - self._at_hop[hop], clock.order(), call, packet))

    def descend(self, packet: Packet, now: float, hop: int, stop: _Stop | None) -> None:
        """From `hop`, left at `now`, to the box `stop` or over the link to the participant."""
        clock = self.clock
        goal = 1 if stop is None else stop.hop
        expiry = self._hops + 1 - packet.ttl
        if expiry > (0 if stop is None else goal):
            goal = min(expiry, hop)
            at = now + self._at_hop[hop] - self._at_hop[goal]
            heappush(clock.heap, (at, clock.order(), self._expire_inward, packet))
        elif stop is None:
            at = self._link.down.admit(now + self._at_hop[hop], packet.size)
            if at >= 0.0:
                heappush(clock.heap, (at, clock.order(), self._near, packet))
        else:
            at = now + self._at_hop[hop] - self._at_hop[goal]
            heappush(clock.heap, (at, clock.order(), stop.inward, packet))

    def _expire_outward(self, packet: Packet) -> None:
        hop = min(max(packet.ttl, 1), self._hops)
        if packet.proto == ICMP:
            return
        stop = self._top
        while stop is not None and stop.hop >= hop:
            stop = stop.below
        error = icmp_error(self._routers[hop - 1], TIME_EXCEEDED, 0, packet)
        self.descend(error, self.clock.now, hop, stop)

    def _expire_inward(self, packet: Packet) -> None:
        hop = min(self._hops + 1 - packet.ttl, self._hops)
        if packet.proto == ICMP:
            return
        stop = self._bottom
        while stop is not None and stop.hop <= hop:
            stop = stop.above
        self.climb(icmp_error(self._routers[hop - 1], TIME_EXCEEDED, 0, packet), self.clock.now, hop, stop)
