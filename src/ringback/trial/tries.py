"""Tries at hosts that are under no script of ours: does it answer, and how far. One engine for both places.

A UDP try is a train of pings on one 5-tuple; a TCP try connects and sends an opening; what counts is an answer of the
right kind. Tries start in the order given, spaced by SPACING, so that an interleaving drawn beforehand stays one.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from ringback.flow import tries as bytes_of
from ringback.record import IcmpError, Try
from ringback.trial.control import TrySpec
from ringback.trial.seam import Close, Command, Connected, Delivered, Ended, Event, Open, Received, Refused, Send, Sent
from ringback.trial.seam import Write as WriteStream

SPACING = 0.05  # seconds between starts
PING_EVERY = 0.1  # seconds
PATIENCE = 4.0  # seconds that an answer may take; a SYN is retried at 1 and 3 s within it
LAST_PING = 1.5  # seconds for a ping's answer after the last was sent


class _One:
    def __init__(self, spec: TrySpec, flow: int, start: float, seed: bytes) -> None:
        self.spec = spec
        self.flow = flow
        self.start = start
        self.opened = False
        self.over = False
        self.failure: str | None = None
        self.rtts: list[float] = []
        self.sent_at: dict[int, float] = {}
        self.answered: set[int] = set()
        self.received = b""
        self.icmp: list[IcmpError] = []
        if spec.transport == "udp":
            self.requests = [bytes_of.request(spec.form, spec.app, spec.name, seed, flow, i) for i in range(spec.pings)]
            self.deadline = start + (spec.pings - 1) * PING_EVERY + LAST_PING
        else:
            self.requests = [bytes_of.opening(spec.form, spec.app, spec.function, spec.name, seed, flow)]
            self.deadline = start + PATIENCE

    def result(self, where: Literal["here", "vantage"], path: str) -> Try:
        spec = self.spec
        sent = len(self.sent_at) if spec.transport == "udp" else 1
        return Try(
            where=where,
            path=path,
            kind=spec.kind,
            target=spec.target,
            app=spec.app,
            function=spec.function,
            form=spec.form,
            transport=spec.transport,
            port=spec.port,
            started_at=self.start,
            sent=sent,
            answered=len(self.answered),
            failure=None if self.answered else (self.failure or "generic_timeout_error"),
            rtt_ms=1000 * sorted(self.rtts)[len(self.rtts) // 2] if self.rtts else None,
            answered_indices=sorted(self.answered),
            icmp=self.icmp,
        )


class TryRun:
    """Runs a list of tries from one place. `claim` hands out fresh flow names; seed: 32 bytes for random fields."""

    def __init__(
        self,
        specs: Sequence[TrySpec],
        where: Literal["here", "vantage"],
        path: str,
        claim: Callable[[], int],
        seed: bytes,
    ) -> None:
        self._specs, self._where, self._path, self._claim, self._seed = specs, where, path, claim, seed
        self._tries: dict[object, _One] = {}
        self._waiting: list[_One] = []
        self.bytes = 0

    def start(self, now: float) -> Sequence[Command]:
        for i, spec in enumerate(self._specs):
            one = _One(spec, self._claim(), now + i * SPACING, self._seed)
            self._tries[one.flow] = one
        self._waiting = list(reversed(self._tries.values()))
        return self.wake(now)

    @property
    def finished(self) -> bool:
        return not self._waiting and all(one.over for one in self._tries.values())

    def owns(self, flow: object) -> bool:
        return flow in self._tries

    @property
    def wake_at(self) -> float | None:
        times = [one.deadline for one in self._tries.values() if one.opened and not one.over]
        if self._waiting:
            times.append(self._waiting[-1].start)
        return min(times, default=None)

    def wake(self, now: float) -> Sequence[Command]:
        commands: list[Command] = []
        while self._waiting and self._waiting[-1].start <= now + 1e-9:
            one = self._waiting.pop()
            one.opened = True
            spec = one.spec
            commands.append(Open(one.flow, spec.transport, spec.address, spec.port, self._path))
            if spec.transport == "udp":
                commands.extend(
                    Send(one.flow, one.start + i * PING_EVERY, data, i) for i, data in enumerate(one.requests)
                )
        for one in self._tries.values():
            if one.opened and not one.over and one.deadline <= now + 1e-9:
                commands.extend(self._end(one))
        return commands

    def handle(self, event: Event, now: float) -> Sequence[Command]:
        one = self._tries[event.flow]  # type: ignore[union-attr]
        if one.over:
            return ()
        if isinstance(event, Sent):
            one.sent_at[event.index] = event.at
            self.bytes += len(one.requests[event.index]) + 28
        elif isinstance(event, Received):
            self.bytes += len(event.data) + 28
            for i in one.sent_at:
                if i not in one.answered and bytes_of.is_answer(one.spec.form, one.requests[i], event.data):
                    one.answered.add(i)
                    one.rtts.append(event.at - one.sent_at[i])
                    break
            if len(one.answered) == len(one.requests):
                return self._end(one)
        elif isinstance(event, Refused):
            if len(one.icmp) < 4:
                one.icmp.append(IcmpError(event.at, event.type, event.code, event.source))
            one.failure = "connection_refused" if event.code == 3 else "host_unreachable"
        elif isinstance(event, Connected):
            one.rtts.append(event.at - one.start)
            self.bytes += 200 + len(one.requests[0])
            return (WriteStream(one.flow, one.requests[0]),)
        elif isinstance(event, Delivered):
            self.bytes += len(event.data) + 40
            one.received += event.data
            if bytes_of.is_opening_answer(one.spec.form, one.received):
                one.answered.add(0)
                return self._end(one)
        elif isinstance(event, Ended):
            one.failure = event.failure or "eof_error"
            return self._end(one)
        return ()

    def _end(self, one: _One) -> Sequence[Command]:
        one.over = True
        return (Close(one.flow, reset=one.spec.transport == "tcp"),)

    def results(self) -> list[Try]:
        return [one.result(self._where, self._path) for one in self._tries.values()]
