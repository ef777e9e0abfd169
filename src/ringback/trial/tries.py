"""Tries at hosts that are under no script of ours: does it answer, and how far. One engine for both places.

A UDP try is a train of pings on one 5-tuple. A TCP try connects, sends an opening, hears the server's first flight
and goes on with what the server can only refuse, until it does: so that a cut-off some packets on shows as well. What
counts is an answer of the right kind. Tries start in the order given, spaced by SPACING, so that an interleaving drawn
beforehand stays one.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from ringback.flow import tries as bytes_of
from ringback.record import IcmpError, Try
from ringback.trial.control import TrySpec
from ringback.trial.seam import Close, Command, Connected, Delivered, Ended, Event, Open, Received, Refused, Send, Sent
from ringback.trial.seam import Write as WriteStream
from ringback.verdict.tried import LAST_PING

SPACING = 0.04  # seconds between starts
HEADERS = 28  # bytes, IPv4 and UDP
PATIENCE = 4.0  # seconds that a connect may take by default; a SYN is retried at 1 and 3 s within it
TRIPS = 2.5  # so many round trips as the connect took are left for each further step,
STEP = 4.0  # and at least so many seconds
TRAIN = 50  # pings; longer trains of the vantage's are reported without each ping's fate

RCODES = {2: "dns_server_failure", 3: "dns_nxdomain_error", 5: "dns_refused_error"}  # RFC 1035 4.1.1, OONI's names


def _requests(spec: TrySpec, seed: bytes) -> list[bytes]:
    if spec.transport == "tcp":
        name = spec.name or spec.target
        return [bytes_of.opening(spec.app or "", spec.function or "", spec.form, name, seed)]
    if spec.form == "dns":
        return [bytes_of.dns_query(spec.name or spec.target, seed, n) for n in range(spec.pings)]
    return list(map(bytes_of.pinger(spec.app or "", seed), range(spec.pings)))


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
        self.failure: str | None = None
        self.rtts: dict[int, float] = {}
        self.sent_at: dict[int, float] = {}
        self.received = b""
        self.icmp: list[IcmpError] = []
        self.damaged = 0
        self.size = 0
        self.first: float | None = None
        self.flight: float | None = None
        self.end: float | None = None
        self.through = False
        self.seed = seed + abs(flow).to_bytes(4, "big")
        self.requests = _requests(spec, self.seed)
        datagrams = spec.transport == "udp"
        self._life = (spec.pings - 1) * spec.every + LAST_PING if datagrams else spec.patience
        pings = datagrams and spec.form != "dns"
        self._index = {bytes_of.token(ping): i for i, ping in enumerate(self.requests)} if pings else {}
        self._heads = bytes_of.answer_heads(self.requests[0]) if pings else ()  # all pings are of one kind

    def open(self, at: float, path: str) -> Command:
        self.start, self.deadline = at, at + self._life
        return Open(self.flow, self.spec.transport, self.spec.address, self.spec.port, path)

    def hear(self, data: bytes, at: float) -> None:
        """A datagram: which request it answers, if any."""
        if self.spec.form == "dns":
            answered = self._hear_dns(data)
        else:
            answered = self._index.get(bytes_of.answered_token(data) or b"")
            if answered is None or not data.startswith(self._heads):
                self.damaged += 1
                return
            if len(data) + HEADERS > self.size:
                self.size = len(data) + HEADERS
        if answered is not None and answered in self.sent_at and answered not in self.rtts:
            self.rtts[answered] = at - self.sent_at[answered]

    def _hear_dns(self, data: bytes) -> int | None:
        for i in reversed([i for i in self.sent_at if i not in self.rtts]):
            answer = bytes_of.dns_answer(self.requests[i], data)
            if answer is not None:
                self.failure = _dns_failure(self.spec, *answer) or self.failure
                return i
        return None

    # -- a stream, step by step -----------------------------------------------------------------------------------

    def connected(self, at: float) -> bytes:
        """What to say first."""
        self.rtts[0] = at - self.start
        self._go_on_until(at)
        return self.requests[0]

    def _go_on_until(self, at: float) -> None:
        self.deadline = at + max(STEP, TRIPS * self.rtts[0])

    def deliver(self, data: bytes, at: float) -> bytes | None:
        """What to say next: something, nothing yet, or (None) that it is over."""
        if not self.received:
            self.first = at - self.start - self.rtts[0]
        self.received += data
        if self.flight is not None:
            self._met(at)
            return None
        step = bytes_of.heard(self.spec.form, self.requests[0], self.received)
        if step == "damaged":
            self.damaged += 1
            return None
        if step == "more":
            return b""
        self.flight = at - self.start - self.rtts[0]
        self._go_on_until(at)
        return bytes_of.closing(self.spec.form, self.requests[0], self.seed)

    def _met(self, at: float) -> None:
        assert self.flight is not None
        self.through, self.end = True, at - self.start - self.rtts[0] - self.flight

    def ended(self, failure: str | None, at: float) -> None:
        if self.flight is not None and failure is None:
            self._met(at)
        elif self.flight is None:
            self.failure = failure or "eof_error"

    # -- what came of it ------------------------------------------------------------------------------------------

    @property
    def answered(self) -> int:
        """Pings answered; of a stream whether the server said anything that it may have said."""
        if self.spec.transport == "udp":
            return len(self.rtts)
        return int(self.flight is not None or self.damaged > 0)

    def result(self, where: Literal["here", "vantage"], path: str) -> Try:
        spec, rtts = self.spec, sorted(self.rtts.values())
        datagrams = spec.transport == "udp"
        question = len(self.requests[0]) + HEADERS
        each = sorted(self.rtts) if datagrams and (where == "here" or spec.pings <= TRAIN) else []
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
            sent=len(self.sent_at) if datagrams else 1,
            answered=self.answered,
            failure=self.failure if self.answered else (self.failure or "generic_timeout_error"),
            rtt_ms=1000 * rtts[len(rtts) // 2] if rtts else None,
            answered_indices=each if datagrams else [0] * self.answered,
            icmp=self.icmp,
            rtts_ms=[round(1000 * self.rtts[i], 1) for i in each],
            every_ms=1000 * spec.every if spec.pings > 1 else None,
            size=max(self.size, question) if datagrams else 0,
            least=min(self.size, question) if datagrams else 0,
            damaged=self.damaged,
            first_ms=None if self.first is None else 1000 * self.first,
            flight_ms=None if self.flight is None else 1000 * self.flight,
            end_ms=None if self.end is None else 1000 * self.end,
            through=self.through,
            received=len(self.received),
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
        self._going: dict[object, _One] = {}
        self._due: float | None = None  # worked out anew where a deadline changed: most events change none

    def start(self, now: float) -> Sequence[Command]:
        for i, spec in enumerate(self._specs):
            one = _One(spec, self._claim(), now + i * SPACING, self._seed)
            self._tries[one.flow] = one
        self._waiting = list(reversed(self._tries.values()))
        return self.wake(now)

    @property
    def finished(self) -> bool:
        return not self._waiting and not self._going

    @property
    def first(self) -> object:
        """The flow of the first try, once started; None where there is none."""
        return next(iter(self._tries), None)

    def owns(self, flow: object) -> bool:
        return flow in self._tries

    @property
    def wake_at(self) -> float | None:
        return self._due

    def _time(self) -> None:
        times = [one.deadline for one in self._going.values()]
        if self._waiting and self._has_room:
            times.append(self._waiting[-1].start)
        self._due = min(times, default=None)

    def wake(self, now: float) -> Sequence[Command]:
        commands: list[Command] = []
        for one in [one for one in self._going.values() if one.deadline <= now + 1e-9]:
            commands.extend(self._end(one))
        while self._waiting and self._has_room and self._waiting[-1].start <= now + 1e-9:
            one = self._waiting.pop()
            self._going[one.flow] = one
            commands.append(one.open(one.start if self._at_once is None else now, self._path))
            if one.spec.transport == "udp":
                commands.extend(
                    Send(one.flow, one.start + i * one.spec.every, data, i) for i, data in enumerate(one.requests)
                )
        self._time()
        return commands

    @property
    def _has_room(self) -> bool:
        return self._at_once is None or len(self._going) < self._at_once

    def handle(self, event: Event, now: float) -> Sequence[Command]:
        one = self._going.get(event.flow)  # type: ignore[union-attr]
        if one is None:
            return ()
        if type(event) is Sent:
            one.sent_at[event.index] = event.at
        elif type(event) is Received:
            one.hear(event.data, event.at)
            if len(one.rtts) == len(one.requests):
                return self._end(one)
        elif type(event) is Refused:
            if one.answered:
                return ()
            if len(one.icmp) < 4:
                one.icmp.append(IcmpError(event.at, event.type, event.code, event.source))
            if one.spec.transport == "tcp":  # no more than a hint, unless an end follows
                return ()
            one.failure = "connection_refused" if event.code == 3 else "host_unreachable"
        elif type(event) is Connected:
            return self._say(one, one.connected(event.at))
        elif type(event) is Delivered:
            says = one.deliver(event.data, event.at)
            return self._end(one) if says is None else self._say(one, says)
        elif type(event) is Ended:
            one.ended(event.failure, event.at)
            return self._end(one)
        return ()

    def _say(self, one: _One, data: bytes) -> Sequence[Command]:
        self._time()
        return (WriteStream(one.flow, data),) if data else ()

    def _end(self, one: _One) -> Sequence[Command]:
        del self._going[one.flow]
        self._time()
        return (Close(one.flow, reset=one.spec.transport == "tcp"),)

    def results(self) -> list[Try]:
        return [one.result(self._where, self._path) for one in self._tries.values()]
