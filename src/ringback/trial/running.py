"""The near half of a round as it runs: exchanges side by side, blind to what each of them is."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import inf

import msgspec
import numpy as np

from ringback.errors import BadInput
from ringback.flow.script import DatagramScript, Script
from ringback.record import DatagramOutcome, Outcome, StreamOutcome
from ringback.trial.control import FarExchange, unpack
from ringback.trial.datagrams import STRETCH, NearDatagram
from ringback.trial.seam import (
    Close,
    Command,
    Connected,
    Delivered,
    Ended,
    Event,
    Flow,
    Received,
    Refused,
    Sent,
    Write,
)
from ringback.trial.streams import MOST_ARRIVALS, NearStream
from ringback.verdict.arrivals import GRACE


class Blind(msgspec.Struct, frozen=True):
    """An exchange as the engine sees it: no label. start: seconds after the round's epoch. ttls: see NearDatagram."""

    number: int
    port: int
    start: float
    script: Script
    ttls: Sequence[int | None] = ()


class Running:
    """Runs a round's exchanges towards one host over one path. `claim` hands out fresh flow numbers. apart: each flow
    is closed when its own time is over, and not when all of the round's are."""

    def __init__(
        self, exchanges: Sequence[Blind], host: str, path: str, claim: Callable[[], int], apart: bool = False
    ) -> None:
        self._blind = exchanges
        self._apart = apart
        self._host, self._path, self._claim = host, path, claim
        self.epoch = 0.0
        self._streamed = 0  # bytes
        self.stopped = False
        self.datagrams: dict[Flow, NearDatagram] = {}
        """By flow; what comes for these may as well be given to them straight away."""
        self._streams: dict[int, NearStream] = {}
        self._by_number: dict[int, NearDatagram | NearStream] = {}
        self._waiting: list[NearDatagram | NearStream] = []
        self._handed_to = 0.0
        self._until = 0.0
        self.wake_at: float | None = None

    def start(self, now: float) -> Sequence[Command]:
        self.epoch = now
        for blind in self._blind:
            flow = self._claim()
            half: NearDatagram | NearStream
            if isinstance(blind.script, DatagramScript):
                half = self.datagrams[flow] = NearDatagram(
                    flow, blind.port, now + blind.start, blind.script, blind.ttls
                )
                self._until = max(self._until, half.end)
            else:
                ttl = blind.ttls[0] if blind.ttls else None
                half = self._streams[flow] = NearStream(flow, blind.port, now + blind.start, blind.script, ttl)
                self._until = max(self._until, half.deadline)
            self._by_number[blind.number] = half
        self._waiting = sorted(self._by_number.values(), key=lambda half: -half.start)
        return self.wake(now)

    def wake(self, now: float) -> Sequence[Command]:
        commands: list[Command] = []
        if self.stopped:
            return commands
        if self._apart:
            commands.extend(self._close_ended(now))
        while self._waiting and self._waiting[-1].start <= now + 1e-9:
            half = self._waiting.pop()
            commands.append(half.open(self._host, self._path))
            if isinstance(half, NearDatagram):
                commands.extend(half.due(max(self._handed_to, now)))
        if self.datagrams and now >= self._handed_to - 1e-9:
            self._handed_to = now + STRETCH
            for half in self.datagrams.values():
                if half.opened and not half.over:
                    commands.extend(half.due(self._handed_to))
        for stream in self._streams.values():
            if stream.opened and not stream.over and stream.deadline <= now + 1e-9:
                commands.extend(stream.expire(now))
        if self.finished_at <= now + 1e-9:
            commands.extend(self.stop(now))
        self._schedule()
        return commands

    def _close_ended(self, now: float) -> Iterator[Command]:
        for half in self.datagrams.values():
            if half.opened and not half.over and half.end <= now + 1e-9:
                half.over = True
                yield Close(half.flow)
        for stream in self._streams.values():
            if stream.opened and not stream.over and stream.deadline <= now + 1e-9:
                yield from stream.expire(now)

    @property
    def finished_at(self) -> float:
        """When the round is over: the last straggler's time for calls, the last stream's end for streams."""
        if not self.datagrams and not self._waiting and all(s.over for s in self._streams.values()):
            return float("-inf")
        return self._until

    def _schedule(self) -> None:
        if self.stopped:
            self.wake_at = None
            return
        times = [self._until]
        if self._waiting:
            times.append(self._waiting[-1].start)
        if self.datagrams and self._handed_to < self._until - GRACE:
            times.append(self._handed_to)
        if self._apart:
            times.extend(half.end for half in self.datagrams.values() if half.opened and not half.over)
        times.extend(s.deadline for s in self._streams.values() if s.opened and not s.over)
        self.wake_at = min(times)

    @property
    def bytes(self) -> int:
        """Through the access link both ways, headers included."""
        return self._streamed + sum(half.bytes for half in self.datagrams.values())

    def owns(self, flow: object) -> bool:
        return flow in self.datagrams or flow in self._streams

    def handle(self, event: Event, now: float) -> Sequence[Command]:
        if type(event) is Sent or type(event) is Received:
            return self.datagrams[event.flow].take(event)
        if type(event) is Refused:
            refused = self.datagrams.get(event.flow) or self._streams[event.flow]  # type: ignore[index]
            refused.refuse(event)
            return ()
        stream = self._streams[event.flow]  # type: ignore[union-attr,index]
        if stream.over:
            return ()
        if type(event) is Delivered:
            self._streamed += _on_wire(len(event.data))
            commands = stream.deliver(event)
        elif type(event) is Connected:
            commands = stream.connect(event)
            self._streamed += 200
        elif type(event) is Ended:
            commands = stream.end(event)
        else:
            return ()
        self._streamed += sum(_on_wire(len(c.data)) for c in commands if isinstance(c, Write))
        if stream.over:
            if self.finished_at <= now:
                commands = [*commands, *self.stop(now)]
            self._schedule()
        return commands

    def hush(self, now: float, until: float) -> Sequence[Command]:
        """Send nothing more but replies, and listen until then for what is still under way. Streams end at once."""
        if not self.datagrams:
            return self.stop(now)
        self._waiting.clear()
        self._handed_to = inf
        self._until = min(self._until, until)
        self._schedule()
        return ()

    def stop(self, now: float) -> Sequence[Command]:
        """Close what is open; what had not come by now has not arrived."""
        if self.stopped:
            return ()
        self.stopped = True
        self.wake_at = None
        commands: list[Command] = [Close(f) for f, half in self.datagrams.items() if half.opened and not half.over]
        commands.extend(Close(f, reset=True) for f, s in self._streams.items() if s.opened and not s.over)
        return commands

    def started_at(self, number: int) -> float:
        return self._by_number[number].start

    def outcomes(self, far: Iterable[FarExchange] = (), where: str = "far round") -> Mapping[int, Outcome]:
        """Outcomes by exchange number, the far half's word merged in where it came. Raises BadInput for a far record
        that does not fit the script."""
        reported = {exchange.number: exchange for exchange in far}
        merged: dict[int, Outcome] = {}
        for number, half in self._by_number.items():
            outcome = half.outcome()
            exchange = reported.get(number)
            if exchange is not None:
                outcome.partner = "reported"
                outcome.far_icmp = exchange.icmp
                if isinstance(outcome, DatagramOutcome):
                    _merge(outcome, exchange, f"{where}, exchange {number}")
                else:
                    outcome.up_received = exchange.up_received
                    outcome.up_arrivals = _checked(outcome, exchange, f"{where}, exchange {number}")
                    outcome.up_first = exchange.anchor if outcome.up_arrivals else None
                    outcome.unexpected = outcome.unexpected or exchange.corrupted > 0
            merged[number] = outcome
        return merged


def _on_wire(payload: int) -> int:
    return payload + 40 * (1 + payload // 1448)


def _checked(outcome: StreamOutcome, exchange: FarExchange, where: str) -> list[tuple[float, int]]:
    arrivals = exchange.up_arrivals
    begun = exchange.anchor is not None and abs(exchange.anchor) < inf
    rising = all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(arrivals))
    timed = not arrivals or (begun and arrivals[0][0] >= 0 and arrivals[-1][0] < inf)
    ends = not arrivals or arrivals[-1][1] == exchange.up_received
    if (
        len(arrivals) > MOST_ARRIVALS
        or not (rising and timed and ends)
        or (exchange.up_received or 0) > outcome.up_expected
    ):
        raise BadInput("arrivals that can't be", where)
    return arrivals


def _merge(outcome: DatagramOutcome, exchange: FarExchange, where: str) -> None:
    outward, inward = outcome.outward, outcome.inward
    outward.duplicates, outward.corrupted = exchange.duplicates, exchange.corrupted
    if exchange.anchor is None:  # nothing that counts as arrived ever came
        return
    anchor = exchange.anchor
    outward.received = unpack(exchange.received, anchor + np.array(outward.scheduled), where)
    inward.sent = unpack(exchange.sent, anchor + np.array(inward.scheduled), where)
