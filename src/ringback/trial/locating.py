"""Where on the path an app's function is treated: the smallest TTL of an opening at which its treatment shows.

For each hop asked about, half of a round's exchanges open as the original and half as the control, all with a TTL that
ends at that hop. Treatment that comes with the original's openings means that a device at or before that hop saw them.
Labels are drawn as in every round, so the same kind of test decides, apart at each hop. What comes of it is an estimate
beside an accusation that was made already: it accuses nobody, and nothing of a cell's own test is spent on it.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec

from ringback.record import Arm, Cell, DatagramOutcome, ExchangeSpec, Round
from ringback.trial import limited
from ringback.trial.cells import CellTrial
from ringback.trial.control import Grant
from ringback.trial.methods import Method, method_of
from ringback.trial.plan import Chance, Planned
from ringback.verdict.signs import expired

MOST_AT_A_HOP = 3  # rounds; then the place stays unknown
MOST_ROUNDS = 9  # of one cell: some 40 s
TRACES, TRACE_SECONDS, TRACE_ATTEMPTS = 2, 1.2, 2
ROUND_SECONDS = 10.0  # that a round takes at most, with its report


class Located(msgspec.Struct, frozen=True):
    """Where a cell's treatment happens. hop: 1 is nearest the participant, None where that could not be told. router:
    the address that answered for that hop, where one did. hops: of the path, as far as traced."""

    cell: Cell
    hop: int | None
    router: str | None
    hops: int | None


class Search:
    """The search for one cell's hop, by halving: between the greatest hop without treatment, at first 0, and the
    smallest with it, at first one past the path's end."""

    def __init__(self, method: Method, hops: int) -> None:
        self.method = method
        self._hops = hops
        self._lowest, self._highest = 0, hops + 1
        self._seen: dict[int, list[Round]] = {}
        self._rounds = 0
        self._stuck = hops < 1

    @property
    def ttl(self) -> int | None:
        """The hop to ask about next, None when the search is over."""
        if self._stuck or self._highest - self._lowest <= 1:
            return None
        return (self._lowest + self._highest) // 2

    def take(self, finished: Round | None, ttl: int) -> None:
        self._rounds += 1
        seen = self._seen.setdefault(ttl, [])
        if finished is not None:
            seen.append(finished)
            treated = self.method.decide(seen)
            if treated is not None:
                self._lowest, self._highest = (self._lowest, ttl) if treated else (ttl, self._highest)
                seen.clear()
                return
        self._stuck = len(seen) >= MOST_AT_A_HOP or self._rounds >= MOST_ROUNDS

    @property
    def hop(self) -> int | None:
        """The answer, None while there is none: beyond the path's end is no hop."""
        known = self._highest - self._lowest == 1 and self._highest <= self._hops
        return self._highest if known else None


class Locating:
    """The phase of a session that locates: first the path's length, then cell by cell. per_arm: see `plan.Sizing`."""

    def __init__(self, trials: Sequence[CellTrial], path: str, grant: Grant, random: Chance, per_arm: int) -> None:
        self._path, self._grant, self._random = path, grant, random
        self._wanted = searchable(trials, path, per_arm)
        self._hops: int | None = None
        self._traces = 0
        self._asked: set[int] = set()  # hops whose routers were asked to answer
        self._search: Search | None = None
        self._ttl: int | None = None
        self.found: list[Located] = []
        self.rounds: list[Round] = []

    def next(self, number: int, first_exchange: int) -> Planned | None:
        """The next round to run; None when all is done."""
        while self._wanted or self._search is not None:
            if self._hops is None:
                if self._traces < TRACE_ATTEMPTS:
                    return self._trace(number, first_exchange, None)
                self.found += [Located(method.cell, None, None, None) for method in self._wanted]
                self._wanted = []
                return None
            if self._search is None:
                self._search = Search(self._wanted.pop(0), self._hops)
            self._ttl = self._search.ttl
            if self._ttl is not None:
                return self._draw(self._search.method, self._ttl, number, first_exchange)
            hop = self._search.hop
            if hop is not None and hop not in self._asked and self._router(hop) is None:  # streams hear no router
                self._asked.add(hop)
                return self._trace(number, first_exchange, hop)
            self.found.append(Located(self._search.method.cell, hop, self._router(hop), self._hops))
            self._search = None
        return None

    def take(self, finished: Round | None) -> None:
        """The round that `next` drew is over; None where it never began."""
        if finished is not None:
            self.rounds.append(finished)
        if self._hops is None:
            self._traces += 1
            traces = [x.outcome for x in finished.exchanges] if finished is not None else []
            self._hops = limited.hops_of([trace for trace in traces if isinstance(trace, DatagramOutcome)])
        elif self._search is not None and self._ttl is not None:
            self._search.take(finished, self._ttl)

    def _router(self, hop: int | None) -> str | None:
        """The address that mostly said, in any of the rounds, that a TTL ended at this hop."""
        said: Counter[str] = Counter()
        for each in self.rounds:
            for x in each.exchanges:
                if hop is not None and x.ttl == hop and isinstance(x.outcome, DatagramOutcome):
                    said.update(error.source for error in x.outcome.icmp if expired(error) and error.source)
        return said.most_common(1)[0][0] if said else None

    def _port(self, method: Method, own: bool) -> int:
        asked = f"{method.transport}/{method.app_port}"
        app_port = self._grant.ports.get(asked, method.app_port)
        if own:
            return app_port
        return self._random.choice([p for p in self._grant.other[method.transport] if p != app_port])

    def _trace(self, number: int, first: int, ttl: int | None) -> Planned:
        """To every hop, or to one."""
        port = self._random.choice(self._grant.other["udp"])
        specs = [
            ExchangeSpec(
                first + i, "probe", "probe", None, None, limited.TRACE, Arm("control", "other"), "udp", port,
                TRACE_SECONDS,
            )
            for i in range(TRACES)
        ]  # fmt: skip
        starts = [0.003 * i for i in range(TRACES)]
        cell = Cell("probe", "probe", path=self._path)
        return Planned(number, cell, limited.TRACE, specs, starts, (TRACE_SECONDS,), TRACE_SECONDS, "locate", ttl)

    def _draw(self, method: Method, ttl: int, number: int, first: int) -> Planned:
        """Ports and starts first, then by lot which exchange is what."""
        cell, count = method.cell, 2 * method.each
        ports = {"app": self._port(method, True), "other": self._port(method, False)}
        if method.sequence:
            starts = [method.spread / count * (i + self._random.uniform(0.0, 0.3)) for i in range(count)]
        else:
            starts = sorted(self._random.uniform(0.0, method.spread) for _ in range(count))
        arms: list[Arm] = [arm for arm in method.arms for _ in range(method.each)]
        self._random.shuffle(arms)
        specs = [
            ExchangeSpec(
                first + i, cell.app, cell.function, cell.direction, cell.route, method.form, arm, method.transport,
                ports[arm.port], method.seconds, replay=method.replay,
            )
            for i, arm in enumerate(arms)
        ]  # fmt: skip
        checkpoints, seconds = (method.seconds,), starts[-1] + method.seconds
        return Planned(number, cell, method.form, specs, starts, checkpoints, seconds, "locate", ttl)


def searchable(trials: Sequence[CellTrial], path: str, per_arm: int) -> list[Method]:
    """How each cell that was accused on `path` can be located, where it can. Of an app's two call directions the first
    is enough: both meet the same devices."""
    found: dict[tuple[str, str], Method] = {}
    for trial in trials:
        key = trial.cell.app, trial.cell.function
        if trial.cell.path == path and trial.accused and key not in found:
            method = method_of(trial, per_arm)
            if method is not None:
                found[key] = method
    return sorted(found.values(), key=lambda method: method.transport != "udp")
