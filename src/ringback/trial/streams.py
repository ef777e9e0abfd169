"""Running stream scripts, near half and far half, label-blind. Turns alternate; each waits for the one before.

An exchange has a fixed life: what has not come by `script.timeout` counts as not arrived, whichever arm it is, so that
the number of open connections is bounded without any start depending on an outcome.
"""

from collections.abc import Sequence

from ringback.flow.script import StreamScript
from ringback.record import IcmpError, StreamOutcome
from ringback.trial.control import FarExchange
from ringback.trial.datagrams import note
from ringback.trial.seam import Close, Command, Connected, Delivered, Ended, Flow, Open, Refused, Write

OPENING = 40  # bytes that identify a stream's exchange
USUAL_TTL = 64
MOST_ARRIVALS = 400  # that an outcome keeps of an exchange


class NearStream:
    """The participant's half. Times in the outcome are seconds after `start`."""

    def __init__(self, flow: int, port: int, start: float, script: StreamScript, ttl: int | None = None) -> None:
        """ttl: IP TTL of all that is written, once the connection is there."""
        self.ttl = ttl
        self.flow = flow
        self.port = port
        self.start = start
        self.script = script
        self.turn = 0
        self.pending = 0  # bytes still to come in the current far turn
        self.got = 0
        self.connected: float | None = None
        self.failure: str | None = None
        self.failed_at: float | None = None
        self.finished_at: float | None = None
        self.arrivals: list[tuple[float, int]] = []
        self.unexpected = False
        self.icmp: list[IcmpError] = []
        self.opened = False
        self.over = False
        self._expected = b"".join(t.data for t in script.turns if not t.by_near)

    def open(self, host: str, path: str) -> Command:
        self.opened = True
        return Open(self.flow, "tcp", host, self.port, path)

    @property
    def deadline(self) -> float:
        return self.start + self.script.timeout

    def connect(self, event: Connected) -> Sequence[Command]:
        self.connected = event.at - self.start
        return self._advance(event.at)

    def deliver(self, event: Delivered) -> Sequence[Command]:
        data = event.data
        if self._expected[self.got : self.got + len(data)] != data:
            self.unexpected = True
        self.got += len(data)
        self.pending -= len(data)
        self.arrivals.append((event.at - self.start, self.got))
        return self._advance(event.at) if self.pending <= 0 else ()

    def refuse(self, event: Refused) -> None:
        note(event, self.icmp)

    def end(self, event: Ended) -> Sequence[Command]:
        return self._fail(event.failure or "eof_error", event.at)

    def expire(self, now: float) -> Sequence[Command]:
        return self._fail("generic_timeout_error", now)

    def _fail(self, failure: str, at: float) -> Sequence[Command]:
        if self.over:
            return ()
        self.over = True
        self.failure, self.failed_at = failure, at - self.start
        if self.ttl is not None and self.connected is not None:  # the reset goes all the way: the peer waits for more
            return (Write(self.flow, b"", USUAL_TTL), Close(self.flow, reset=True))
        return (Close(self.flow, reset=True),)

    def _advance(self, at: float) -> Sequence[Command]:
        commands: list[Command] = []
        turns = self.script.turns
        while self.turn < len(turns) and self.pending <= 0:
            turn = turns[self.turn]
            self.turn += 1
            if turn.by_near:
                commands.append(Write(self.flow, turn.data, self.ttl))
            else:
                self.pending += len(turn.data)
        if self.turn >= len(turns) and self.pending <= 0 and not self.over:
            self.over = True
            self.finished_at = at - self.start
            commands.append(Close(self.flow))
        return commands

    def outcome(self) -> StreamOutcome:
        return StreamOutcome(
            connected=self.connected,
            failure=self.failure if self.over or self.failure else "generic_timeout_error",
            failed_at=self.failed_at,
            finished=self.finished_at,
            up_expected=sum(len(t.data) for t in self.script.turns if t.by_near),
            down_expected=len(self._expected),
            up_last=_last(self.script, by_near=True),
            down_last=_last(self.script, by_near=False),
            arrivals=thin(self.arrivals),
            unexpected=self.unexpected,
            partner="lost",
            icmp=list(self.icmp),
        )


def _last(script: StreamScript, by_near: bool) -> int:
    return next((len(t.data) for t in reversed(script.turns) if t.by_near is by_near), 0)


def thin(arrivals: Sequence[tuple[float, int]], most: int = MOST_ARRIVALS) -> list[tuple[float, int]]:
    """At most `most` arrivals, evenly chosen, the last always among them: the curve is what matters."""
    if len(arrivals) <= most:
        return list(arrivals)
    step = len(arrivals) / most
    return [arrivals[int(i * step)] for i in range(most - 1)] + [arrivals[-1]]


class FarStream:
    """The peer's half: answers each near turn once it has come in whole."""

    def __init__(self, number: int, port: int, script: StreamScript) -> None:
        self.number = number
        self.port = port
        self.script = script
        self.flow: Flow | None = None
        self.anchor: float | None = None
        self.turn = 0
        self.got = 0
        self.pending = 0
        self.changed = False  # bytes came that are not the script's
        self.arrivals: list[tuple[float, int]] = []  # seconds after the anchor, bytes in all
        self.icmp: list[IcmpError] = []
        self._expected = b"".join(turn.data for turn in script.turns if turn.by_near)

    @property
    def first(self) -> bytes:
        return self.script.turns[0].data

    @property
    def opening(self) -> bytes:
        return self.first[:OPENING]

    def refuse(self, event: Refused) -> None:
        note(event, self.icmp)

    def begin(self, flow: Flow, at: float) -> None:
        self.flow, self.anchor = flow, at
        self.pending = len(self.script.turns[0].data)
        self.turn = 1

    def record(self) -> FarExchange:
        return FarExchange(
            self.number,
            self.anchor,
            corrupted=int(self.changed),
            up_received=self.got,
            icmp=list(self.icmp),
            up_arrivals=thin(self.arrivals),
        )

    def deliver(self, data: bytes, at: float) -> Sequence[Command]:
        """Bytes changed on the way count as received, and the exchange goes on: what follows shows how far."""
        if self._expected[self.got : self.got + len(data)] != data:
            self.changed = True
        self.got += len(data)
        self.pending -= len(data)
        self.arrivals.append((at - (at if self.anchor is None else self.anchor), self.got))
        commands: list[Command] = []
        turns = self.script.turns
        while self.pending <= 0 and self.turn < len(turns):
            turn = turns[self.turn]
            self.turn += 1
            if turn.by_near:
                self.pending += len(turn.data)
            else:
                commands.append(Write(self.flow, turn.data))
        return commands
