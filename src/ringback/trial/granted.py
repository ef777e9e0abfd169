"""What the far end keeps of each session it granted, and the limits that keep a peer useful to many."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from ringback.errors import BadInput
from ringback.flow.script import DatagramScript, Script
from ringback.record import ExchangeSpec
from ringback.trial.control import FarRound, TrySpec
from ringback.trial.datagrams import FarDatagram
from ringback.trial.streams import FarStream
from ringback.trial.tries import TryRun

SESSION_LIFE = 3600.0  # seconds
IDLE_LIFE = 600.0  # seconds after the last request; the slowest mode asks every half minute
ROUND_LIFE = 240.0  # seconds after its opening, and after its last stream's, in which a round is closed or forgotten
MAX_SESSIONS = 200
MAX_OPEN_ROUNDS = 16  # per session
MAX_EXCHANGES = 64  # per round
MAX_NUMBER = 1 << 31
MAX_SECONDS = 30.0
KEPT_REPORTS = 8  # more than the rounds that run side by side
MAX_SIZE = 2_000_000
MAX_SOURCES = 16  # addresses of one session: CGNAT, and one a path
MAX_TRIES = 400  # in all of a session
MAX_PINGS = 600  # of a try
MAX_ALL_PINGS = 20_000  # in all of a session
LEAST_GAP, MOST_GAP = 0.015, 1.0  # seconds between two pings: no more often than a call's packets
MAX_PATIENCE = 20.0  # seconds
MAX_REPLAY_BYTES = 2_000_000
MAX_SESSION_BYTES = 64_000_000  # of pending scripts; see `plan.MOST_MEDIA_BYTES`
MAX_BYTES = 512_000_000  # the same, of all sessions
KEPT_PER_DATAGRAM = 400  # bytes that tables take for one, beside its payload


def _as_asked(spec: TrySpec) -> TrySpec | None:
    return spec


class Settings(msgspec.Struct, frozen=True):
    """ports: wanted port (`udp/3478`) to the one that is had; absent: any port is served as it is (simulator).
    resolver: whom the vantage asks for names.
    permit: a try that the near end wants of the vantage, as this peer makes it (with its own address for a name), or
    None where it does not; by default all are made as asked, which is for the lab only.
    random: n bytes from a CSPRNG; sign: Ed25519 signature of a message; key: its public key."""

    other: Mapping[str, Sequence[int]]
    random: Callable[[int], bytes]
    sign: Callable[[bytes], bytes]
    key: bytes
    ports: Mapping[str, int] | None = None
    resolver: str | None = None
    permit: Callable[[TrySpec], TrySpec | None] = _as_asked
    max_sessions: int = MAX_SESSIONS


class Granted:
    """One session. held: bytes of scripts and replays that it makes the peer keep."""

    def __init__(self, seed: bytes, source: str, replays: Sequence[bytes], now: float) -> None:
        self.seed = seed
        self.sources = {source}
        self.replays = replays
        self.ends = now + SESSION_LIFE
        self.until = now + IDLE_LIFE
        self.rounds: dict[int, OpenRound] = {}
        self.reported: dict[int, FarRound] = {}  # final reports, kept a while: the answer may be lost and asked again
        self.digests: list[bytes] = []
        self.vantage: TryRun | None = None
        self.vantage_number = 0  # of the request that it stems from
        self.tries = 0
        self.pings = 0
        self.held = sum(map(len, replays))

    def heard(self, now: float) -> None:
        """A request came, or a stream: it is alive."""
        self.until = min(self.ends, now + IDLE_LIFE)

    def keep(self, report: FarRound) -> None:
        """Remember a final report; of older ones the last few."""
        self.reported[report.number] = report
        if len(self.reported) > KEPT_REPORTS:
            del self.reported[next(iter(self.reported))]

    def prove(self, source: str) -> None:
        """This address completed a TCP handshake within the session, so it is really there."""
        if len(self.sources) < MAX_SOURCES:
            self.sources.add(source)

    def take_tries(self, tries: Sequence[TrySpec]) -> None:
        """Counts tries. Raises BadInput beyond the limits."""
        if self.vantage is not None and not self.vantage.finished:
            raise BadInput("the tries before are not over", "vantage")
        for i, spec in enumerate(tries):
            if not 1 <= spec.pings <= MAX_PINGS:
                raise BadInput(f"not 1 to {MAX_PINGS} pings", f"vantage.tries[{i}].pings")
            if not (LEAST_GAP <= spec.every <= MOST_GAP and 0 <= spec.patience <= MAX_PATIENCE):
                raise BadInput("more often or longer than this peer tries", f"vantage.tries[{i}]")
        if self.tries + len(tries) > MAX_TRIES:
            raise BadInput(f"more than {MAX_TRIES} tries in one session", "vantage.tries")
        pings = sum(spec.pings for spec in tries)
        if self.pings + pings > MAX_ALL_PINGS:
            raise BadInput(f"more than {MAX_ALL_PINGS} pings in one session", "vantage.tries")
        self.tries += len(tries)
        self.pings += pings


class OpenRound:
    """A round between its request and its final report. specs: as asked for, once all of them are pending."""

    def __init__(self, number: int, session: Granted, now: float) -> None:
        self.number = number
        self.session = session
        self.until = now + ROUND_LIFE
        self.held = 0
        self.datagrams: dict[int, FarDatagram] = {}
        self.streams: dict[int, FarStream] = {}
        self.specs: Sequence[ExchangeSpec] | None = None

    def joined(self, source: str, now: float) -> None:
        """A stream of it began: a thin link bears so few side by side that a round takes longer than is kept."""
        self.session.prove(source)
        self.session.heard(now)
        self.until = now + ROUND_LIFE

    def add(self, spec: ExchangeSpec, script: Script) -> int:
        """How many bytes it holds. Raises BadInput where the session would hold too much."""
        size = held_by(script)
        if self.session.held + size > MAX_SESSION_BYTES:
            raise BadInput(f"more than {MAX_SESSION_BYTES} bytes of open exchanges", "round.specs")
        self.held += size
        self.session.held += size
        if isinstance(script, DatagramScript):
            self.datagrams[spec.number] = FarDatagram(spec.number, spec.port, script)
        else:
            self.streams[spec.number] = FarStream(spec.number, spec.port, script)
        return size


def check_specs(specs: Sequence[ExchangeSpec]) -> None:
    """Raises BadInput for what no peer runs, before anything is rendered."""
    if len(specs) > MAX_EXCHANGES:
        raise BadInput(f"more than {MAX_EXCHANGES} exchanges", "round.specs")
    for spec in specs:
        if not (0 <= spec.seconds <= MAX_SECONDS and 0 <= spec.size <= MAX_SIZE and 0 <= spec.upload <= MAX_SIZE):
            raise BadInput("longer or larger than this peer allows", f"round.specs[{spec.number}]")
        if not (0 <= spec.number < MAX_NUMBER and 0 < spec.port < 65536):
            raise BadInput("no number of an exchange, or no port", f"round.specs[{spec.number}]")
    if len({spec.number for spec in specs}) < len(specs):
        raise BadInput("an exchange's number stands twice", "round.specs")


def held_by(script: Script) -> int:
    """Bytes of memory that a pending exchange takes, roughly."""
    if isinstance(script, DatagramScript):
        sends = (*script.near, *script.far)
        return sum([len(send.data) for send in sends]) + KEPT_PER_DATAGRAM * len(sends)
    return sum(len(turn.data) for turn in script.turns)
