"""How packets walk a path: the access link, then hop after hop with what stands there, and back.

An event is spent only where something happens: at a box, at the router where a TTL runs out, and at the ends. All
packets of one direction are equally long under way between the same two boxes, so the link towards the participant
is asked (in the order of time) when a packet leaves the last box before it, not when it reaches hop 1.
"""

from heapq import heappush
from itertools import pairwise

from ringback.sim.clock import Call, Clock
from ringback.sim.link import Link
from ringback.sim.net import SimPath
from ringback.sim.packet import ICMP, ICMP_HEADER, IPV4_HEADER, Box, Packet, Passage

TIME_EXCEEDED = 11  # RFC 792
QUOTED = IPV4_HEADER + 8  # of the packet that caused an ICMP error (RFC 792), in bytes
FRESH_TTL = 64


def icmp_error(source: str, type: int, code: int, cause: Packet) -> Packet:
    """What a router or host at `source` answers to the sender of `cause` (RFC 792)."""
    size = IPV4_HEADER + ICMP_HEADER + QUOTED
    return Packet(ICMP, source, type, cause.src, code, b"", size, quoted=cause)


class _Stop:
    """A hop with a box. `above`/`below`: the next such hops outwards and inwards; beyond them the ends.

    Most packets pass unchanged and at once; they take the short way through `outward` and `inward`.
    """

    __slots__ = ("_clock", "_in_gap", "_out_call", "_out_gap", "_out_goal", "_packet", "above", "below", "hop", "way")

    def __init__(self, way: "Way", hop: int, box: Box) -> None:
        self.way = way
        self.hop = hop
        self._clock = way.clock
        self._packet = box.packet
        self.above: _Stop | None = None
        self.below: _Stop | None = None

    def connect(self) -> None:
        """Once `above` and `below` are known."""
        self._out_goal, self._out_call, self._out_gap = self.way.step_out(self.hop, self.above)
        self._in_gap = self.way.step_in(self.hop, self.below)

    def outward(self, packet: Packet) -> None:
        clock = self._clock
        now = clock.now
        passages = self._packet(packet, True, now)
        if len(passages) == 1:
            at, left, away = passages[0]
            if away and at <= now and left.ttl >= self._out_goal:
                heappush(clock.heap, (now + self._out_gap, clock.order(), self._out_call, left))
                return
        for passage in passages:
            self._leave(passage, True)

    def inward(self, packet: Packet) -> None:
        clock = self._clock
        now = clock.now
        passages = self._packet(packet, False, now)
        if len(passages) == 1:
            at, left, away = passages[0]
            way = self.way
            if not away and at <= now and left.ttl > way.hops:
                below = self.below
                if below is not None:
                    heappush(clock.heap, (now + self._in_gap, clock.order(), below.inward, left))
                elif (at := way.admit_down(now + self._in_gap, left.size)) >= 0.0:
                    heappush(clock.heap, (at, clock.order(), way.near, left))
                return
        for passage in passages:
            self._leave(passage, False)

    def _leave(self, passage: Passage, came_outward: bool) -> None:
        at, packet, away = passage
        if away != came_outward and packet.ttl < FRESH_TTL:
            packet = packet.copy(ttl=FRESH_TTL)  # made here, perhaps from a packet whose TTL was running out
        self._clock.at(at, self._leave_outward if away else self._leave_inward, packet)

    def _leave_outward(self, packet: Packet) -> None:
        self.way.climb(packet, self._clock.now, self.hop, self.above)

    def _leave_inward(self, packet: Packet) -> None:
        self.way.descend(packet, self._clock.now, self.hop, self.below)


class Way:
    """One path at work. Give it packets with `outward` (at the participant) and `inward` (at the far side); it calls
    `near` and `far` with those that come out."""

    def __init__(self, clock: Clock, path: SimPath, link: Link, near: Call, far: Call) -> None:
        self.clock = clock
        self.near = near
        self.hops = path.hops
        self.admit_down = link.down.admit
        self._admit_up = link.up.admit
        self._far = far
        self._routers = path.routers
        # seconds from hop 1 to hop h, at [h]; the far side stands at [hops + 1]
        step = link.parameters.beyond_ms / 1e3 / max(path.hops, 1)
        self._at_hop = [0.0] + [step * h for h in range(path.hops + 1)]
        stops = [_Stop(self, hop, path.boxes[hop]) for hop in sorted(path.boxes)]
        for below, above in pairwise(stops):
            below.above, above.below = above, below
        for stop in stops:
            stop.connect()
        self._bottom = stops[0] if stops else None
        self._top = stops[-1] if stops else None
        self._out_goal, self._out_call, self._out_gap = self.step_out(1, self._bottom)
        self._in_gap = self.step_in(self.hops + 1, self._top)

    def step_out(self, hop: int, stop: _Stop | None) -> tuple[int, Call, float]:
        """From `hop` outwards to `stop` or the far side: which hop that is, whom to call there, seconds until then."""
        goal, call = (self.hops + 1, self._far) if stop is None else (stop.hop, stop.outward)
        return goal, call, self._at_hop[goal] - self._at_hop[hop]

    def step_in(self, hop: int, stop: _Stop | None) -> float:
        """Seconds from `hop` inwards to `stop`, or to the link at hop 1."""
        return self._at_hop[hop] - self._at_hop[1 if stop is None else stop.hop]

    def outward(self, packet: Packet) -> None:
        clock = self.clock
        at = self._admit_up(clock.now, packet.size)
        if at < 0.0:
            return
        if packet.ttl >= self._out_goal:
            heappush(clock.heap, (at + self._out_gap, clock.order(), self._out_call, packet))
        else:
            self.climb(packet, at, 1, self._bottom)

    def inward(self, packet: Packet) -> None:
        clock = self.clock
        if packet.ttl <= self.hops:
            self.descend(packet, clock.now, self.hops + 1, self._top)
        elif self._top is not None:
            heappush(clock.heap, (clock.now + self._in_gap, clock.order(), self._top.inward, packet))
        elif (at := self.admit_down(clock.now + self._in_gap, packet.size)) >= 0.0:
            heappush(clock.heap, (at, clock.order(), self.near, packet))

    def climb(self, packet: Packet, now: float, hop: int, stop: _Stop | None) -> None:
        """From `hop`, reached at `now`, to `stop` or the far side, or to where the TTL ends."""
        goal, call, gap = self.step_out(hop, stop)
        if packet.ttl < goal:
            end = max(packet.ttl, hop)
            call, gap = self._expire_outward, self._at_hop[end] - self._at_hop[hop]
        self.clock.at(now + gap, call, packet)

    def descend(self, packet: Packet, now: float, hop: int, stop: _Stop | None) -> None:
        """From `hop`, left at `now`, to `stop` or over the link to the participant, or to where the TTL ends."""
        end = self.hops + 1 - packet.ttl
        if end > (0 if stop is None else stop.hop):
            self.clock.at(now + self._at_hop[hop] - self._at_hop[min(end, hop)], self._expire_inward, packet)
        elif stop is not None:
            self.clock.at(now + self.step_in(hop, stop), stop.inward, packet)
        elif (at := self.admit_down(now + self.step_in(hop, None), packet.size)) >= 0.0:
            self.clock.at(at, self.near, packet)

    def _expire_outward(self, packet: Packet) -> None:
        hop = min(max(packet.ttl, 1), self.hops)
        if packet.proto == ICMP:
            return
        stop = self._top
        while stop is not None and stop.hop >= hop:
            stop = stop.below
        error = icmp_error(self._routers[hop - 1], TIME_EXCEEDED, 0, packet)
        self.descend(error, self.clock.now, hop, stop)

    def _expire_inward(self, packet: Packet) -> None:
        hop = min(self.hops + 1 - packet.ttl, self.hops)
        if packet.proto == ICMP:
            return
        stop = self._bottom
        while stop is not None and stop.hop <= hop:
            stop = stop.above
        self.climb(icmp_error(self._routers[hop - 1], TIME_EXCEEDED, 0, packet), self.clock.now, hop, stop)
