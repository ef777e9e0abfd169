"""The far end: the peer's half of every exchange, without sockets or clock.

It grants sessions, renders the scripts of a round from the specs that the near end names, and from then on knows
scripts only. What arrives is recognised by being equal to a packet of a pending script: nothing else gets an answer,
and an address that did not open the session gets no more bytes than it gave.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence

import msgspec

from ringback.errors import BadInput
from ringback.flow.script import DatagramScript, Script
from ringback.record import ExchangeSpec
from ringback.trial import control
from ringback.trial.datagrams import FarDatagram
from ringback.trial.openers import Openers
from ringback.trial.seam import Accepted, Close, Command, Delivered, Ended, Event, Flow, Received, Sent
from ringback.trial.streams import OPENING, FarStream
from ringback.trial.tries import TryRun

Renderer = Callable[[ExchangeSpec, bytes, Sequence[bytes]], Script]
"""(spec, seed, replays) -> script: flow.render, bound by whoever builds the far end."""

SESSION_LIFE = 3600.0  # seconds
ROUND_LIFE = 240.0  # seconds after which a round that was never closed is forgotten
MAX_SESSIONS = 200
MAX_OPEN_ROUNDS = 16  # per session
MAX_EXCHANGES = 64  # per round
MAX_SECONDS = 30.0
MAX_SIZE = 2_000_000
MAX_SOURCES = 16  # addresses of one session: CGNAT, and one a path
MAX_TRIES = 400  # per session's request
MAX_PINGS = 50
MAX_REPLAY_BYTES = 2_000_000
SIGNED = b"ringback/transcript/1"


class Settings(msgspec.Struct, frozen=True):
    """ports: wanted port (`udp/3478`) to the one that is had; absent: any port is served as it is (simulator).
    resolver: whom the vantage asks for names.
    random: n bytes from a CSPRNG; sign: Ed25519 signature of a message; key: its public key."""

    other: Mapping[str, Sequence[int]]
    random: Callable[[int], bytes]
    sign: Callable[[bytes], bytes]
    key: bytes
    ports: Mapping[str, int] | None = None
    resolver: str | None = None


class _Session:
    def __init__(self, seed: bytes, source: str, replays: Sequence[bytes], now: float) -> None:
        self.seed = seed
        self.sources = {source}
        self.replays = replays
        self.until = now + SESSION_LIFE
        self.rounds: dict[int, _Round] = {}
        self.digests: list[bytes] = []
        self.vantage: TryRun | None = None

    def prove(self, source: str) -> None:
        """This address completed a TCP handshake within the session, so it is really there."""
        if len(self.sources) < MAX_SOURCES:
            self.sources.add(source)


class _Round:
    def __init__(self, number: int, session: _Session, now: float) -> None:
        self.number = number
        self.session = session
        self.until = now + ROUND_LIFE
        self.datagrams: dict[int, FarDatagram] = {}
        self.streams: dict[int, FarStream] = {}


class FarEnd:
    """`trial.seam.PeerEnd`. Many sessions at once; every table is bounded."""

    def __init__(self, settings: Settings, render: Renderer) -> None:
        self._settings = settings
        self._render = render
        self._sessions: dict[str, _Session] = {}
        self._openers: Openers[_Round] = Openers()
        self._flows: dict[Flow, FarDatagram] = {}
        self._stream_flows: dict[Flow, FarStream | bytearray] = {}
        self._stream_sources: dict[Flow, str] = {}
        self._stream_ports: dict[Flow, int] = {}
        self._running: dict[int, FarDatagram] = {}
        self._tries: list[TryRun] = []
        self._outbox: list[Command] = []
        self._try_flows = 0
        self._sweep_at = 0.0
        self._due = float("inf")  # when a running exchange next hands sends over

    @property
    def finished(self) -> bool:
        return False

    def start(self, now: float) -> Sequence[Command]:
        return ()

    # -- out of band ----------------------------------------------------------------------------------------------

    def answer(self, what: str, body: bytes, source: str, now: float) -> bytes:
        """Answers one request of the near end. Raises BadInput, naming what is wrong."""
        if now >= self._sweep_at:
            self._sweep(now)
        handler = self._HANDLERS.get(what)
        if handler is None:
            raise BadInput(f"no such request: {what[:40]!r}", "control")
        return control.encode(handler(self, body, source, now))

    def _open(self, body: bytes, source: str, now: float) -> control.Grant:
        request = control.decode(body, control.OpenRequest, "open")
        if request.version != control.VERSION:
            raise BadInput(f"speaks version {request.version}, this peer {control.VERSION}", "open.version")
        if sum(map(len, request.replays)) > MAX_REPLAY_BYTES:
            raise BadInput(f"more than {MAX_REPLAY_BYTES} bytes of replays", "open.replays")
        if len(self._sessions) >= MAX_SESSIONS:
            raise BadInput("this peer is full; try again in a few minutes", "open")
        seed = self._settings.random(32)
        name = self._settings.random(16).hex()
        self._sessions[name] = _Session(seed, source, request.replays, now)
        had = self._settings.ports
        ports = {
            want: int(want.partition("/")[2]) if had is None else had[want]
            for want in request.ports
            if had is None or want in had
        }
        other = {transport: list(numbers) for transport, numbers in self._settings.other.items()}
        return control.Grant(name, seed, ports, other, source, self._settings.key)

    def _session(self, name: str, source: str) -> _Session:
        session = self._sessions.get(name)
        if session is None:
            raise BadInput("no such session (it may have expired)", "session")
        session.prove(source)
        return session

    def _round(self, body: bytes, source: str, now: float) -> control.Done:
        request = control.decode(body, control.RoundRequest, "round")
        session = self._session(request.session, source)
        if request.number in session.rounds:
            raise BadInput(f"round {request.number} was opened before", "round.number")
        if len(session.rounds) >= MAX_OPEN_ROUNDS:
            raise BadInput(f"{MAX_OPEN_ROUNDS} rounds are open", "round.number")
        if len(request.specs) > MAX_EXCHANGES:
            raise BadInput(f"more than {MAX_EXCHANGES} exchanges", "round.specs")
        opened = _Round(request.number, session, now)
        for spec in request.specs:
            if spec.seconds > MAX_SECONDS or spec.size > MAX_SIZE:
                raise BadInput("longer or larger than this peer allows", f"round.specs[{spec.number}]")
            script = self._render(spec, session.seed, session.replays)
            if isinstance(script, DatagramScript):
                opened.datagrams[spec.number] = FarDatagram(spec.number, spec.port, script)
            else:
                opened.streams[spec.number] = FarStream(spec.number, spec.port, script)
        session.rounds[request.number] = opened
        for half in opened.datagrams.values():
            self._openers.add_datagram(opened, half)
        for stream in opened.streams.values():
            self._openers.add_stream(opened, stream)
        return control.Done()

    def _outcome(self, body: bytes, source: str, now: float) -> control.FarRound:
        request = control.decode(body, control.OutcomeRequest, "outcome")
        session = self._session(request.session, source)
        opened = session.rounds.get(request.number)
        if opened is None:
            raise BadInput(f"no round {request.number}", "outcome.number")
        exchanges = [_datagram_record(half) for half in opened.datagrams.values()]
        exchanges += [
            control.FarExchange(stream.number, stream.anchor, corrupted=int(stream.changed), up_received=stream.got)
            for stream in opened.streams.values()
        ]
        digest = hashlib.sha256(msgspec.msgpack.encode(exchanges)).digest()
        if request.final:
            session.digests.append(digest)
            self._forget(opened)
        return control.FarRound(request.number, exchanges, digest)

    def _vantage(self, body: bytes, source: str, now: float) -> control.Done:
        request = control.decode(body, control.VantageRequest, "vantage")
        session = self._session(request.session, source)
        if session.vantage is not None and not session.vantage.finished:
            raise BadInput("the tries before are not over", "vantage")
        draw, resolver = self._settings.random(32), self._settings.resolver
        tries = [spec for spec in request.tries[:MAX_TRIES] if spec.form != "dns" or resolver is not None]
        run = TryRun(tries, "vantage", "direct", self._claim_try, draw, resolver)
        session.vantage = run
        self._tries.append(run)
        self._outbox.extend(run.start(now))
        return control.Done()

    def _vantage_result(self, body: bytes, source: str, now: float) -> control.VantageAnswer:
        session = self._session(control.decode(body, control.CloseRequest, "vantage-result").session, source)
        if session.vantage is None:
            raise BadInput("no tries were asked for", "vantage-result")
        if not session.vantage.finished:
            return control.VantageAnswer(False)
        return control.VantageAnswer(True, session.vantage.results())

    def _close(self, body: bytes, source: str, now: float) -> control.Transcript:
        request = control.decode(body, control.CloseRequest, "close")
        session = self._session(request.session, source)
        for opened in list(session.rounds.values()):
            self._forget(opened)
        del self._sessions[request.session]
        signature = self._settings.sign(SIGNED + b"".join(session.digests))
        return control.Transcript(session.digests, signature, self._settings.key)

    _HANDLERS: Mapping[str, Callable[["FarEnd", bytes, str, float], msgspec.Struct]] = {
        "open": _open,
        "round": _round,
        "outcome": _outcome,
        "vantage": _vantage,
        "vantage-result": _vantage_result,
        "close": _close,
    }

    def _claim_try(self) -> int:
        self._try_flows += 1
        return self._try_flows  # small: drivers name accepted streams by negative or by very large numbers

    def _forget(self, opened: _Round) -> None:
        opened.session.rounds.pop(opened.number, None)
        for half in opened.datagrams.values():
            self._openers.drop_datagram(half)
            self._running.pop(id(half), None)
            if half.flow is not None:
                self._flows.pop(half.flow, None)
                self._outbox.append(Close(half.flow))
        for stream in opened.streams.values():
            self._openers.drop_stream(stream)
            if stream.flow is not None and stream.flow in self._stream_flows:
                self._leave(stream.flow)
                self._outbox.append(Close(stream.flow))

    def _sweep(self, now: float) -> None:
        self._sweep_at = now + 10.0
        for name, session in list(self._sessions.items()):
            for opened in list(session.rounds.values()):
                if opened.until < now:
                    self._forget(opened)
            if session.until < now:
                for opened in list(session.rounds.values()):
                    self._forget(opened)
                del self._sessions[name]

    # -- what arrives ---------------------------------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> Sequence[Command]:
        if isinstance(event, Received):
            if isinstance(event.flow, int):
                return self._try_event(event, now)
            return self._receive(event)
        if isinstance(event, Sent):
            half = self._flows.get(event.flow)
            if half is not None:
                half.sent[event.index] = event.at
            elif isinstance(event.flow, int):
                return self._try_event(event, now)
            return ()
        if isinstance(event, Accepted):
            self._stream_flows[event.flow] = bytearray()
            self._stream_ports[event.flow] = event.port
            self._stream_sources[event.flow] = event.remote
            return ()
        flow = getattr(event, "flow", None)
        if flow in self._stream_flows:
            if isinstance(event, Delivered):
                return self._deliver(event)
            if isinstance(event, Ended):
                self._leave(flow)
                return (Close(flow),)
            return ()
        return self._try_event(event, now)

    def _receive(self, event: Received) -> Sequence[Command]:
        found = self._openers.packet(event.data)
        half = self._flows.get(event.flow)
        if found is None:
            changed = half or self._openers.resembling(event.data)
            if changed is not None and changed.port == event.flow[0]:  # type: ignore[index]
                changed.foreign(len(event.data))
            return ()
        opened, expected, i = found
        local, remote = event.flow[0], event.flow[1]  # type: ignore[index]
        if expected.port != local or (half is not None and half is not expected):
            return ()
        first = expected.anchor is None
        expected.proven = remote in opened.session.sources
        commands = expected.arrive(event.flow, i, len(event.data), event.at)
        if first:
            self._flows[event.flow] = expected
            self._running[id(expected)] = expected
            commands = [*commands, *expected.due(event.at)]
            self._due = min(self._due, expected.handed_to)
        return commands

    def _deliver(self, event: Delivered) -> Sequence[Command]:
        half = self._stream_flows[event.flow]
        if isinstance(half, FarStream):
            return half.deliver(event.data)
        half += event.data
        if len(half) < OPENING:
            return ()
        received = bytes(half)
        found = self._openers.stream(received)
        if found is None or found[1].flow is not None or found[1].port != self._stream_ports[event.flow]:
            self._leave(event.flow)
            return (Close(event.flow, reset=True),)
        stream = found[1]
        found[0].session.prove(self._stream_sources[event.flow])
        stream.begin(event.flow, event.at)
        self._stream_flows[event.flow] = stream
        return stream.deliver(received)

    def _leave(self, stream: Flow) -> None:
        for table in (self._stream_flows, self._stream_ports, self._stream_sources):
            table.pop(stream, None)

    def _try_event(self, event: Event, now: float) -> Sequence[Command]:
        for run in self._tries:
            if run.owns(getattr(event, "flow", None)):
                return run.handle(event, now)
        return ()

    # -- time -----------------------------------------------------------------------------------------------------

    def wake(self, now: float) -> Sequence[Command]:
        commands, self._outbox = self._outbox, []
        if self._due <= now + 1e-9:
            for key, half in list(self._running.items()):
                if half.handed_to <= now + 1e-9:
                    commands.extend(half.due(now))
                    if half.exhausted:
                        del self._running[key]
            self._due = min((half.handed_to for half in self._running.values()), default=float("inf"))
        for run in list(self._tries):
            commands.extend(run.wake(now))
            if run.finished:
                self._tries.remove(run)
        if now >= self._sweep_at:
            self._sweep(now)
        return commands

    @property
    def wake_at(self) -> float | None:
        if self._outbox:
            return float("-inf")
        at = self._due
        for run in self._tries:
            if run.wake_at is not None:
                at = min(at, run.wake_at)
        return None if at == float("inf") else at


def _datagram_record(half: FarDatagram) -> control.FarExchange:
    if half.anchor is None:
        return control.FarExchange(half.number, None, corrupted=half.corrupted)
    near = [half.anchor + send.at for send in half.script.near]
    far = [half.anchor + send.at for send in half.script.far]
    return control.FarExchange(
        half.number,
        half.anchor,
        control.pack(half.received, near),
        control.pack(half.sent, far),
        half.duplicates,
        half.corrupted,
    )
