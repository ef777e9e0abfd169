"""Tries at hosts that are under no script of ours: does it answer, and how far. One engine for both places.

A UDP try is a train of pings on one 5-tuple; a TCP try connects and sends an opening; what counts is an answer of the
right kind. Tries start in the order given, spaced by SPACING, so that an interleaving drawn beforehand stays one.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from ringback.flow import tries as bytes_of
from ringback.record import IcmpError, Try
from ringback.trial.control import TrySpec
from ringback.trial.seam import Close, Command, Connected, Delivered, Ended, Event, Open, Received, Refused, Send, Sent
from ringback.trial.seam import Write as WriteStream

SPACING = 0.05  # seconds between starts
PING_EVERY = 0.1  # seconds
PATIENCE = 4.0  # seconds that an answer may take; a SYN is retried at 1 and 3 s within it
LAST_PING = 1.5  # seconds for a ping's answer after the last was sent


RCODES = {2: "dns_server_failure", 3: "dns_nxdomain_error", 5: "dns_refused_error"}  # RFC 1035 4.1.1, OONI's names


def _request(spec: TrySpec, seed: bytes, n: int) -> bytes:
    if spec.form == "dns":
        return bytes_of.dns_query(spec.name or spec.target, seed, n)
    return bytes_of.ping(spec.app or "", seed, n)


def _dns_failure(spec: TrySpec, rcode: int, addresses: Sequence[str]) -> str | None:
    """Why an answer is none, or None for a good one. A foreign address counts only where the right one is known."""
    if rcode:
        return RCODES.get(rcode, "dns_server_failure")
    if not addresses:
        return "dns_no_answer"
    if spec.expect and spec.expect not in addresses:
        return "dns_foreign_answer"
    return None


class _One:
    def __init__(self, spec: TrySpec, flow: int, start: float, seed: bytes) -> None:
        self.spec = spec
        self.flow = flow
        self.start = start
        self.deadline = start
        self.opened = False
        self.over = False
        self.failure: str | None = None
        self.rtts: list[float] = []
        self.sent_at: dict[int, float] = {}
        self.answered: set[int] = set()
        self.received = b""
        self.icmp: list[IcmpError] = []
        if spec.transport == "udp":
            own = seed + abs(flow).to_bytes(4, "big")
            self.requests = [_request(spec, own, i) for i in range(spec.pings)]
            self._life = (spec.pings - 1) * PING_EVERY + LAST_PING
        else:
            own = seed + abs(flow).to_bytes(4, "big")
            self.requests = [
                bytes_of.opening(spec.app or "", spec.function or "", spec.form, spec.name or spec.target, own)
            ]
            self._life = PATIENCE

    def open(self, at: float, path: str) -> Command:
        self.opened = True
        self.start, self.deadline = at, at + self._life
        return Open(self.flow, self.spec.transport, self.spec.address, self.spec.port, path)

    def hear(self, data: bytes) -> int | None:
        """The request that this datagram answers: of several alike (a reflector's hellos) the latest sent."""
        waiting = [i for i in self.sent_at if i not in self.answered]
        for i in reversed(waiting):
            if self.spec.form == "dns":
                answer = bytes_of.dns_answer(self.requests[i], data)
                if answer is not None:
                    self.failure = _dns_failure(self.spec, *answer) or self.failure
                    return i
            elif bytes_of.is_answer(self.requests[i], data):
                return i
        return None

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
            failure=self.failure if self.answered else (self.failure or "generic_timeout_error"),
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
        resolver: str | None = None,
        at_once: int | None = None,
    ) -> None:
        """resolver: whom names are asked of at this place, instead of the specs' own word. at_once: the most that are
        open at any time; the others wait their turn."""
        if resolver is not None:
            specs = [msgspec.structs.replace(s, address=resolver) if s.form == "dns" else s for s in specs]
        self._specs, self._where, self._path, self._claim, self._seed = specs, where, path, claim, seed
        self._at_once = at_once
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
        if self._waiting and self._has_room:
            times.append(self._waiting[-1].start)
        return min(times, default=None)

    def wake(self, now: float) -> Sequence[Command]:
        commands: list[Command] = []
        for one in self._tries.values():
            if one.opened and not one.over and one.deadline <= now + 1e-9:
                commands.extend(self._end(one))
        while self._waiting and self._has_room and self._waiting[-1].start <= now + 1e-9:
            one = self._waiting.pop()
            commands.append(one.open(one.start if self._at_once is None else now, self._path))
            if one.spec.transport == "udp":
                commands.extend(
                    Send(one.flow, one.start + i * PING_EVERY, data, i) for i, data in enumerate(one.requests)
                )
        return commands

    @property
    def _has_room(self) -> bool:
        return self._at_once is None or sum(one.opened and not one.over for one in self._tries.values()) < self._at_once

    def handle(self, event: Event, now: float) -> Sequence[Command]:
        one = self._tries[event.flow]  # type: ignore[union-attr]
        if one.over:
            return ()
        if isinstance(event, Sent):
            one.sent_at[event.index] = event.at
            self.bytes += len(one.requests[event.index]) + 28
        elif isinstance(event, Received):
            self.bytes += len(event.data) + 28
            answered = one.hear(event.data)
            if answered is not None:
                one.answered.add(answered)
                one.rtts.append(event.at - one.sent_at[answered])
            if len(one.answered) == len(one.requests):
                return self._end(one)
        elif isinstance(event, Refused):
            if one.answered:
                return ()
            if len(one.icmp) < 4:
                one.icmp.append(IcmpError(event.at, event.type, event.code, event.source))
            if one.spec.transport == "tcp":  # no more than a hint, unless an end follows
                return ()
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
