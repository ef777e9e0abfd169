"""Where on the path calls are treated: the smallest TTL of a call's opening with which its control's tail is harmed.

For each hop asked about, half of a round's exchanges open with the original's first packets and half with the
control's, all with a TTL that ends at that hop; the tails are alike. A tail harmed by the original's opening means that
a device at or before that hop saw it. Labels are drawn as in every round, so the same test decides, apart at each hop.
What comes of it is an estimate beside an accusation that was made already: it accuses nobody, and no threshold of a
cell's own test is spent on it.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec

from ringback.record import Arm, Cell, DatagramOutcome, ExchangeSpec, IcmpError, Round
from ringback.trial import limited
from ringback.trial.cells import CellTrial
from ringback.trial.control import Grant
from ringback.trial.plan import CALL_SECONDS, PER_ARM, Chance, Planned
from ringback.verdict import mechanism
from ringback.verdict.absence import Harm, absent, harm_of
from ringback.verdict.evidence import RoundEvidence, combine, round_evidence
from ringback.verdict.judge import NAMED

ENOUGH = 20.0  # e-value for `harmed`, and against the harm for `not harmed`
MOST_AT_A_HOP = 3  # rounds; then the place stays unknown
MOST_ROUNDS = 9  # of one app: some 40 s
SECONDS = CALL_SECONDS / limited.FASTER
SPREAD = 0.1  # seconds over which a round's exchanges start
TRACES, TRACE_SECONDS = 2, 1.2
ROUND_SECONDS = 6.0  # that a round takes at most, with its report
TIME_EXCEEDED, TIME_EXCEEDED_V6 = (11, 0), (3, 0)  # ICMP type and code "in transit": RFC 792, RFC 4443


class Located(msgspec.Struct, frozen=True):
    """Where a cell's treatment happens. hop: 1 is nearest the participant, None where that could not be told. router:
    the address that answered for that hop, where one did. hops: of the path, as far as traced."""

    cell: Cell
    hop: int | None
    router: str | None
    hops: int | None


class Search:
    """The search for one cell's hop, by halving. `lowest` is the greatest hop without harm, `highest` the smallest with
    it, one past the path's end while there is none."""

    def __init__(self, cell: Cell, form: str, port: int, harm: Harm, hops: int) -> None:
        self.cell, self.form, self.port = cell, limited.form_of(form), port
        self._harm = harm
        self._hops = hops
        self._lowest, self._highest = 0, hops + 1
        self._tails: dict[int, list[Round]] = {}
        self._evidence: dict[int, list[RoundEvidence]] = {}
        self._routers: dict[int, Counter[str]] = {}
        self._rounds = 0
        self._stuck = hops < 1

    @property
    def ttl(self) -> int | None:
        """The hop to ask about next, None when the search is over."""
        if self._stuck or self._highest - self._lowest <= 1 or self._rounds >= MOST_ROUNDS:
            return None
        return (self._lowest + self._highest) // 2

    def take(self, finished: Round | None, ttl: int) -> None:
        self._rounds += 1
        tails, evidence = self._tails.setdefault(ttl, []), self._evidence.setdefault(ttl, [])
        if finished is not None:
            self._routers.setdefault(ttl, Counter()).update(_answering(finished))
            tails.append(_tails(finished))
            evidence.append(round_evidence(tails[-1]))
            decided = harmed(tails, evidence, self._harm)
            if decided is not None:
                self._lowest, self._highest = (self._lowest, ttl) if decided else (ttl, self._highest)
                return
        self._stuck = len(evidence) >= MOST_AT_A_HOP or self._rounds >= MOST_ROUNDS

    @property
    def found(self) -> Located:
        known = self._highest - self._lowest == 1 and self._highest <= self._hops
        hop = self._highest if known else None
        routers = self._routers.get(hop, Counter()) if hop is not None else Counter()
        router = routers.most_common(1)[0][0] if routers else None
        return Located(self.cell, hop, router, self._hops)


def harmed(rounds: Sequence[Round], evidence: Sequence[RoundEvidence], harm: Harm) -> bool | None:
    """Whether the originals' openings harm what follows, from a hop's rounds so far; None while that is open.

    Where both e-values are large, the one for harm wins: a harm in one direction alone is absent from the other.
    """
    strength = combine(evidence, [each.form for each in evidence]).e_value
    if strength >= ENOUGH:
        return True
    return False if absent(rounds, evidence, harm) >= ENOUGH * max(1.0, strength) else None


def _tails(finished: Round) -> Round:
    exchanges = [
        msgspec.structs.replace(x, outcome=limited.tail(x.outcome)) if isinstance(x.outcome, DatagramOutcome) else x
        for x in finished.exchanges
    ]
    return msgspec.structs.replace(finished, exchanges=exchanges)


def _answering(finished: Round) -> list[str]:
    """Who said that a TTL had run out: the hop's router, as a control's packets meet it."""
    errors: list[IcmpError] = []
    for x in finished.exchanges:
        if isinstance(x.outcome, DatagramOutcome):
            errors += x.outcome.icmp
    return [
        e.source
        for e in errors
        if e.source is not None and (e.type, e.code) == (TIME_EXCEEDED_V6 if ":" in e.source else TIME_EXCEEDED)
    ]


def searchable(trials: Sequence[CellTrial], path: str) -> list[tuple[CellTrial, str, bool]]:
    """What can be looked for: of each app the first call cell on `path` that was accused for what it carries, with its
    form and whether the port matters besides. Both call directions show the same device."""
    found: dict[str, tuple[CellTrial, str, bool]] = {}
    for trial in trials:
        if trial.cell.function != "voice" or trial.cell.path != path or trial.evidence is None or not trial.accused:
            continue
        factors = trial.evidence.factors
        strongest = max((e, form) for (form, which), e in factors.items() if which == "payload")
        if strongest[0] >= NAMED and trial.cell.app not in found:
            port = factors.get((strongest[1], "port"), 0.0) >= NAMED
            found[trial.cell.app] = (trial, strongest[1], port)
    return list(found.values())


class Locating:
    """The phase of a session that locates: first the path's length, then app by app. per_arm: see `plan.Sizing`."""

    def __init__(self, trials: Sequence[CellTrial], path: str, grant: Grant, random: Chance, per_arm: int) -> None:
        self._path, self._grant, self._random = path, grant, random
        self._flows = 2 * min(per_arm, PER_ARM)  # of each payload
        self._wanted = searchable(trials, path)
        self._hops: int | None = None
        self._traced = False
        self._search: Search | None = None
        self._ttl: int | None = None
        self.found: list[Located] = []
        self.rounds: list[Round] = []

    def next(self, number: int, first_exchange: int) -> Planned | None:
        """The next round to run; None when all is done."""
        while self._wanted or self._search is not None:
            if not self._traced:
                return self._trace(number, first_exchange)
            if self._hops is None:
                self.found += [Located(trial.cell, None, None, None) for trial, _, _ in self._wanted]
                self._wanted = []
                return None
            if self._search is None:
                self._search = self._begin(*self._wanted.pop(0), self._hops)
            self._ttl = self._search.ttl
            if self._ttl is not None:
                return self._draw(self._search, self._ttl, number, first_exchange)
            self.found.append(self._search.found)
            self._search = None
        return None

    def take(self, finished: Round | None) -> None:
        """The round that `next` drew is over; None where it never began."""
        if finished is not None:
            self.rounds.append(finished)
        if not self._traced:
            self._traced = True
            traces = [x.outcome for x in finished.exchanges] if finished is not None else []
            self._hops = limited.hops_of([trace for trace in traces if isinstance(trace, DatagramOutcome)])
        elif self._search is not None and self._ttl is not None:
            self._search.take(finished, self._ttl)

    def _begin(self, trial: CellTrial, form: str, port_matters: bool, hops: int) -> Search:
        plan = next(plan for plan in trial.plans if plan.form == form)
        app_port = self._grant.ports.get(f"{plan.transport}/{plan.app_port}", plan.app_port)
        port = self._other(app_port) if port_matters else app_port
        finding = mechanism.fit(
            [r for r in trial.rounds if r.form == form], "payload", "port" if port_matters else None
        )
        return Search(trial.cell, form, port, harm_of(finding), hops)

    def _other(self, port: int) -> int:
        return self._random.choice([p for p in self._grant.other["udp"] if p != port])

    def _trace(self, number: int, first: int) -> Planned:
        port = self._other(0)
        specs = [
            ExchangeSpec(
                first + i, "probe", "probe", None, None, limited.TRACE, Arm("control", "other"), "udp", port,
                TRACE_SECONDS,
            )
            for i in range(TRACES)
        ]  # fmt: skip
        starts = [0.003 * i for i in range(TRACES)]
        cell = Cell("probe", "probe", path=self._path)
        return Planned(number, cell, limited.TRACE, specs, starts, (TRACE_SECONDS,), TRACE_SECONDS, "locate")

    def _draw(self, search: Search, ttl: int, number: int, first: int) -> Planned:
        """Starts first, then by lot which exchange opens as what."""
        cell, flows = search.cell, self._flows
        starts = sorted(self._random.uniform(0.0, SPREAD) for _ in range(2 * flows))
        arms = [Arm("original", "app")] * flows + [Arm("control", "app")] * flows
        self._random.shuffle(arms)
        specs = [
            ExchangeSpec(
                first + i, cell.app, cell.function, cell.direction, cell.route, search.form, arm, "udp", search.port,
                SECONDS,
            )
            for i, arm in enumerate(arms)
        ]  # fmt: skip
        return Planned(number, cell, search.form, specs, starts, (SECONDS,), starts[-1] + SECONDS, "locate", ttl)
