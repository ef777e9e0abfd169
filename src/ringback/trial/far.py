"""The far end: the peer's half of every exchange, without sockets or clock.

It grants sessions, renders the scripts of a round from the specs that the near end names, and from then on knows
scripts only. What arrives is recognised by being equal to a packet of a pending script: nothing else gets an answer,
and an address that did not open the session gets no more bytes than it gave.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import heappop, heappush

import msgspec

from ringback.errors import BadInput
from ringback.trial import control
from ringback.trial.datagrams import FarDatagram
from ringback.trial.granted import (
    MAX_BYTES,
    MAX_OPEN_ROUNDS,
    MAX_REPLAY_BYTES,
    Granted,
    OpenRound,
    Settings,
    check_specs,
)
from ringback.trial.openers import Openers
from ringback.trial.rendering import Renderer
from ringback.trial.seam import Accepted, Close, Command, Delivered, Ended, Event, Flow, Received, Refused, Sent
from ringback.trial.streams import OPENING, FarStream
from ringback.trial.tries import TryRun

__all__ = ["SIGNED", "FarEnd", "Settings"]

NEVER = float("inf")
MAX_CHANGED = 4096  # flows on which changed packets came alone: whoever forges addresses could make any number
SIGNED = b"ringback/transcript/1"


class FarEnd:
    """`trial.seam.PeerEnd`. Many sessions at once; every table is bounded."""

    def __init__(self, settings: Settings, render: Renderer) -> None:
        self._settings = settings
        self._render = render
        self._sessions: dict[str, Granted] = {}
        self._openers: Openers[OpenRound] = Openers()
        self._flows: dict[Flow, FarDatagram] = {}
        self._changed: dict[Flow, FarDatagram] = {}  # flows of which nothing came unchanged yet
        self._stream_flows: dict[Flow, FarStream | bytearray] = {}
        self._stream_sources: dict[Flow, str] = {}
        self._stream_ports: dict[Flow, int] = {}
        self._schedule: list[tuple[float, int, FarDatagram]] = []  # heap: when an exchange next hands sends over
        self._scheduled = 0
        self._held = 0  # bytes of pending scripts and replays
        self._tries: list[TryRun] = []
        self._outbox: list[Command] = []
        self._try_flows = 0
        self._sweep_at = 0.0
        self._tries_due = NEVER
        self.wake_at: float | None = None

    @property
    def finished(self) -> bool:
        return False

    def start(self, now: float) -> Sequence[Command]:
        return ()

    # -- out of band ----------------------------------------------------------------------------------------------

    def answer(self, what: str, body: bytes, source: str, now: float) -> bytes:
        """Answers one request of the near end. Raises BadInput, naming what is wrong."""
        *_, answer = self.answering(what, body, source, now)
        assert answer is not None
        return answer

    def answering(self, what: str, body: bytes, source: str, now: float) -> Iterator[bytes | None]:
        """The same in pieces of a few milliseconds: None where other work may come between, the answer last."""
        if now >= self._sweep_at:
            self._sweep(now)
        pieces = {"round": self._round, "outcome": self._outcome}.get(what)
        if pieces is not None:
            yield from pieces(body, source, now)
            return
        handler = self._HANDLERS.get(what)
        if handler is None:
            raise BadInput(f"no such request: {what[:40]!r}", "control")
        yield control.encode(handler(self, body, source, now))

    def _open(self, body: bytes, source: str, now: float) -> control.Grant:
        request = control.decode(body, control.OpenRequest, "open")
        if request.version != control.VERSION:
            raise BadInput(f"speaks version {request.version}, this peer {control.VERSION}", "open.version")
        if sum(map(len, request.replays)) > MAX_REPLAY_BYTES:
            raise BadInput(f"more than {MAX_REPLAY_BYTES} bytes of replays", "open.replays")
        if len(self._sessions) >= self._settings.max_sessions or self._held > MAX_BYTES:
            raise BadInput("this peer is full; try again in a few minutes", "open")
        had = self._settings.ports
        ports = {want: port for want in request.ports if (port := _number(want) if had is None else had.get(want))}
        seed = self._settings.random(32)
        name = self._settings.random(16).hex()
        self._sessions[name] = session = Granted(seed, source, request.replays, now)
        self._held += session.held
        other = {transport: list(numbers) for transport, numbers in self._settings.other.items()}
        return control.Grant(name, seed, ports, other, source, self._settings.key)

    def _session(self, name: str, source: str, now: float) -> Granted:
        session = self._sessions.get(name)
        if session is None:
            raise BadInput("no such session (it may have expired)", "session")
        session.prove(source)
        session.heard(now)
        return session

    def _round(self, body: bytes, source: str, now: float) -> Iterator[bytes | None]:
        request = control.decode(body, control.RoundRequest, "round")
        session = self._session(request.session, source, now)
        before = session.rounds.get(request.number)
        if before is not None and before.specs == request.specs:  # our answer was lost, and it asks again
            yield control.encode(control.Done())
            return
        if before is not None:
            raise BadInput(f"round {request.number} was opened before", "round.number")
        if len(session.rounds) >= MAX_OPEN_ROUNDS:
            raise BadInput(f"{MAX_OPEN_ROUNDS} rounds are open", "round.number")
        check_specs(request.specs)
        opened = OpenRound(request.number, session, now)
        session.rounds[request.number] = opened
        try:
            for spec in request.specs:
                self._held += opened.add(spec, self._render(spec, session.seed, session.replays))
                if spec.number in opened.datagrams:
                    self._openers.add_datagram(opened, opened.datagrams[spec.number])
                else:
                    self._openers.add_stream(opened, opened.streams[spec.number])
                if self._held > MAX_BYTES:
                    raise BadInput("this peer is full; try again in a few minutes", "round")
                yield None
                if session.rounds.get(request.number) is not opened:
                    raise BadInput("the session ended meanwhile", "session")
        except BaseException:
            if session.rounds.get(request.number) is opened:
                self._forget(opened)
            raise
        opened.specs = request.specs
        yield control.encode(control.Done())

    def _outcome(self, body: bytes, source: str, now: float) -> Iterator[bytes | None]:
        request = control.decode(body, control.OutcomeRequest, "outcome")
        session = self._session(request.session, source, now)
        opened = session.rounds.get(request.number)
        if opened is None and request.final and request.number in session.reported:
            yield control.encode(session.reported[request.number])  # our answer was lost, and it asks again
            return
        if opened is None:
            raise BadInput(f"no round {request.number}", "outcome.number")
        exchanges = []
        for half in opened.datagrams.values():
            exchanges.append(_datagram_record(half))
            yield None
        exchanges += [stream.record() for stream in opened.streams.values()]
        report = control.FarRound(request.number, exchanges, hashlib.sha256(msgspec.msgpack.encode(exchanges)).digest())
        if request.final and session.rounds.get(request.number) is opened:
            session.digests.append(report.digest)
            session.keep(report)
            self._forget(opened)
        yield control.encode(report)

    def _vantage(self, body: bytes, source: str, now: float) -> control.Done:
        request = control.decode(body, control.VantageRequest, "vantage")
        session = self._session(request.session, source, now)
        if request.number and request.number == session.vantage_number:
            return control.Done()  # our answer was lost, and it asks again
        session.take_tries(request.tries)
        draw, resolver = self._settings.random(32), self._settings.resolver
        placed = [self._settings.permit(spec) for spec in request.tries if spec.form != "dns" or resolver is not None]
        tries = [spec for spec in placed if spec is not None]
        run = TryRun(tries, "vantage", "direct", self._claim_try, draw, resolver)
        session.vantage, session.vantage_number = run, request.number
        self._tries.append(run)
        self._outbox.extend(run.start(now))
        self._time_tries()
        return control.Done()

    def _vantage_result(self, body: bytes, source: str, now: float) -> control.VantageAnswer:
        session = self._session(control.decode(body, control.CloseRequest, "vantage-result").session, source, now)
        if session.vantage is None:
            raise BadInput("no tries were asked for", "vantage-result")
        if not session.vantage.finished:
            return control.VantageAnswer(False)
        return control.VantageAnswer(True, session.vantage.results())

    def _close(self, body: bytes, source: str, now: float) -> control.Transcript:
        request = control.decode(body, control.CloseRequest, "close")
        session = self._session(request.session, source, now)
        self._end(request.session, session)
        signature = self._settings.sign(SIGNED + b"".join(session.digests))
        return control.Transcript(session.digests, signature, self._settings.key)

    _HANDLERS: Mapping[str, Callable[["FarEnd", bytes, str, float], msgspec.Struct]] = {
        "open": _open,
        "vantage": _vantage,
        "vantage-result": _vantage_result,
        "close": _close,
    }

    def _claim_try(self) -> int:  # small: drivers name accepted streams by negative or by very large numbers
        self._try_flows += 1
        return self._try_flows

    def _end(self, name: str, session: Granted) -> None:
        for opened in list(session.rounds.values()):
            self._forget(opened)
        self._held -= session.held
        del self._sessions[name]

    def _forget(self, opened: OpenRound) -> None:
        del opened.session.rounds[opened.number]
        opened.session.held -= opened.held
        self._held -= opened.held
        gone = {id(half) for half in opened.datagrams.values()}
        self._changed = {flow: half for flow, half in self._changed.items() if id(half) not in gone}
        for half in opened.datagrams.values():
            self._openers.drop_datagram(half)
            half.over = True
            if half.flow is not None:
                self._flows.pop(half.flow, None)
                self._outbox.append(Close(half.flow))
        for stream in opened.streams.values():
            self._openers.drop_stream(stream)
            if stream.flow is not None and stream.flow in self._stream_flows:
                self._leave(stream.flow)
                self._outbox.append(Close(stream.flow))
        self._time()

    def _sweep(self, now: float) -> None:
        self._sweep_at = now + 10.0
        for name, session in list(self._sessions.items()):
            for opened in list(session.rounds.values()):
                if opened.until < now:
                    self._forget(opened)
            if session.until < now:
                self._end(name, session)

    # -- what arrives ---------------------------------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> Sequence[Command]:
        if type(event) is Received:
            half = self._flows.get(event.flow)
            if half is not None and half.proven and (index := half.index.get(event.data)) is not None:
                return half.arrive(event.flow, index, len(event.data), event.at)  # most of all that comes
            if type(event.flow) is int:
                return self._try_event(event, now)
            return self._receive(event)
        if type(event) is Sent:
            noted = self.note(event.flow, event.index, event.at)
            return self._try_event(event, now) if not noted and type(event.flow) is int else ()
        if type(event) is Accepted:
            self._stream_flows[event.flow] = bytearray()
            self._stream_ports[event.flow] = event.port
            self._stream_sources[event.flow] = event.remote
            return ()
        flow = getattr(event, "flow", None)
        told = self._flows.get(flow) or self._stream_flows.get(flow)
        if type(event) is Refused and isinstance(told, FarDatagram | FarStream):
            told.refuse(event)
            return ()
        if flow in self._stream_flows:
            if type(event) is Delivered:
                return self._deliver(event)
            if type(event) is Ended:
                self._leave(flow)
                return (Close(flow),)
            return ()
        return self._try_event(event, now)

    def note(self, flow: Flow, index: int, at: float) -> bool:
        half = self._flows.get(flow)
        if half is None:
            return False
        half.sent[index] = at
        return True

    def _receive(self, event: Received) -> Sequence[Command]:
        flow, data = event.flow, event.data
        found = self._openers.packet(data)
        half = self._flows.get(flow)
        local, remote = flow[0], flow[1]  # type: ignore[index]
        if found is None:
            changed = half or self._changed.get(flow) or self._openers.resembling(data)
            if changed is not None and changed.port == local:
                changed.foreign(len(data) if half is not None else 0)
                if half is None and len(self._changed) < MAX_CHANGED:
                    self._changed[flow] = changed
            return ()
        opened, expected = found
        if expected.port != local or (half is not None and half is not expected):
            return ()
        if half is None:
            if expected.anchor is None:
                self._flows[flow] = expected
                expected.proven = remote in opened.session.sources
                commands = expected.arrive(flow, expected.index[data], len(data), event.at)
                commands = [*commands, *expected.due(event.at)]
                self._plan(expected)
                return commands
        elif not expected.proven:  # only ever by the address that the exchange itself goes to
            expected.proven = remote in opened.session.sources
        return expected.arrive(flow, expected.index[data], len(data), event.at)

    def _plan(self, half: FarDatagram) -> None:
        if not half.exhausted:
            self._scheduled += 1
            heappush(self._schedule, (half.handed_to, self._scheduled, half))
            self._time()

    def _deliver(self, event: Delivered) -> Sequence[Command]:
        half = self._stream_flows[event.flow]
        if isinstance(half, FarStream):
            return half.deliver(event.data, event.at)
        half += event.data
        if len(half) < OPENING:
            return ()
        received = bytes(half)
        found = self._openers.stream(received)
        if found is None or found[1].flow is not None or found[1].port != self._stream_ports[event.flow]:
            self._leave(event.flow)
            return (Close(event.flow, reset=True),)
        stream = found[1]
        found[0].joined(self._stream_sources[event.flow], event.at)
        stream.begin(event.flow, event.at)
        self._stream_flows[event.flow] = stream
        return stream.deliver(received, event.at)

    def _leave(self, stream: Flow) -> None:
        for table in (self._stream_flows, self._stream_ports, self._stream_sources):
            table.pop(stream, None)

    def _try_event(self, event: Event, now: float) -> Sequence[Command]:
        for run in self._tries:
            if run.owns(getattr(event, "flow", None)):
                commands = run.handle(event, now)
                if commands:  # one that ended has no deadline any more
                    self._time_tries()
                return commands
        return ()

    # -- time -----------------------------------------------------------------------------------------------------

    def wake(self, now: float) -> Sequence[Command]:
        commands, self._outbox = self._outbox, []
        schedule = self._schedule
        while schedule and schedule[0][0] <= now + 1e-9:
            half = heappop(schedule)[2]
            if not half.over:
                commands.extend(half.due(now))
                self._plan(half)
        if self._tries_due <= now + 1e-9:
            for run in list(self._tries):
                commands.extend(run.wake(now))
                if run.finished:
                    self._tries.remove(run)
            self._time_tries()
        if now >= self._sweep_at:
            self._sweep(now)
        self._time()
        return commands

    def _time_tries(self) -> None:
        """When the first of them is due; one that is over is taken out at the next wake, which is then at once."""
        due = [float("-inf") if run.finished else run.wake_at for run in self._tries]
        self._tries_due = min((at for at in due if at is not None), default=NEVER)
        self._time()

    def _time(self) -> None:
        """Set when the driver is to wake us, after anything that may have moved it."""
        at = self._tries_due
        if self._schedule and self._schedule[0][0] < at:
            at = self._schedule[0][0]
        self.wake_at = float("-inf") if self._outbox else None if at == NEVER else at


def _number(port: str) -> int | None:
    """3478 of `udp/3478`; None where it is no port."""
    transport, _, digits = port.partition("/")
    number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 5 else 0
    return number if transport in ("udp", "tcp") and 0 < number < 65536 else None


def _datagram_record(half: FarDatagram) -> control.FarExchange:
    if half.anchor is None:
        return control.FarExchange(half.number, None, corrupted=half.corrupted)
    near, far = half.expected
    return control.FarExchange(
        half.number,
        half.anchor,
        control.pack(half.received, half.anchor + near),
        control.pack(half.sent, half.anchor + far),
        half.duplicates,
        half.corrupted,
        icmp=list(half.icmp),
    )
