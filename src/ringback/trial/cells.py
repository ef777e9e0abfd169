"""One cell on trial: its rounds so far, what they are worth, and whether another is wanted.

Between rounds only finished rounds' e-values are seen; within a round, label-blind checkpoints fixed beforehand.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf

from ringback.flow import FormPlan
from ringback.record import Cell, DatagramOutcome, ExchangeRecord, Outcome, Round, StreamOutcome
from ringback.trial.crowding import Heard
from ringback.trial.plan import Length, Planned
from ringback.verdict.evidence import CellEvidence, RoundEvidence, combine, early_e_value, round_evidence
from ringback.verdict.impairment import streams_unusable

ENOUGH_WORKING = 100.0
DEAD_STRETCH = 0.6  # seconds without any packet
NAMES_ALIVE = 0.5  # of the controls' questions answered
DEAD_SHARE = 0.1  # of an arm's exchanges that may still show one
SUSPECT = 5.0  # an e-value from which calls are heard in full again
STRIKING = 3.0  # an e-value from which a link, or names, that are unusable in any case are measured further
NEARLY = 20.0  # of ENOUGH_WORKING, which a brief round makes up for
CROWDED_SERIES = 12  # of calls that fare well with fewer at once, in small rounds
PATCHY = "loss-third"  # the one harm that needs a second round, but not a long one


class CellTrial:
    """threshold: the e-value at which this cell's one accusing test accuses."""

    def __init__(self, cell: Cell, plans: Sequence[FormPlan], threshold: float, most_rounds: int) -> None:
        self.cell = cell
        self.plans = plans
        self._forms = [plan.form for plan in plans]
        self.threshold = threshold
        self.most_rounds = most_rounds
        self.rounds: list[Round] = []
        self.series = 0  # how often all forms were run
        self.patience = 1.0  # the link's, as the last of them began: see `probe.Link`
        self._before = 0  # rounds that were over then
        self._heard_from = 0  # the first round of those that silence is told from
        self.evidence: CellEvidence | None = None
        self._weighed: list[RoundEvidence] = []
        self._ran: list[tuple[float, float]] = []
        self._unusable = False  # text or media, on this link, as its controls show
        self.bytes = 0
        self.lost = 0  # rounds whose partner vanished
        self.heard: Heard | None = None  # where calls may have to be heard alone

    @property
    def streams(self) -> int:
        """Rounds of streams in its next series."""
        return sum(plan.transport == "tcp" for plan in self.open_plans)

    def begin(self, series: int, patience: float) -> None:
        self.series, self.patience, self._before = series, patience, len(self.rounds)

    def hear_again(self, series: int) -> None:
        """So many more series, whatever was lost so far."""
        self.lost, self.most_rounds, self._heard_from = 0, self.series + series, len(self.rounds)
        self._unusable = False

    @property
    def latest(self) -> list[Round]:
        """Rounds of the last series that are over."""
        return [each for each in self.rounds[self._before :] if each.drawn != "slot"]

    @property
    def decided(self) -> bool:
        return self.accused or (self.evidence is not None and self.evidence.e_working >= ENOUGH_WORKING)

    @property
    def accused(self) -> bool:
        return self.evidence is not None and self.evidence.e_value >= self.threshold

    @property
    def wants_more(self) -> bool:
        return not self.settled and self.series < self._most

    @property
    def _most(self) -> int:
        """Series at most: those that asked whether the link is bad for one call as well come on top."""
        if self.heard is None:
            return self.most_rounds
        if self.heard.crowded:
            return max(self.most_rounds, CROWDED_SERIES)
        return self.most_rounds + self.heard.alone + self.heard.unheard

    @property
    def settled(self) -> bool:
        """Whether more rounds would say no more: decided, or nothing passes, or the link alone makes it unusable
        and nothing hints at more."""
        unheard = self.heard is not None and self.heard.unheard and not self.accused
        if (self.decided and not unheard) or self.lost >= 2 or (self.series >= 2 and self.silent):
            return True
        return self._unusable and self.evidence is not None and self.evidence.e_value < STRIKING

    @property
    def _names_dead(self) -> bool:
        """Whether fewer than half of the controls' questions for names were answered: as bad as the harm of theirs."""
        asked = [
            x.outcome
            for each in self.rounds
            if each.form == "dns"
            for x in each.exchanges
            if x.spec.arm.payload == "control"
        ]
        return sum(map(_answered, asked)) < NAMES_ALIVE * len(asked)

    @property
    def silent(self) -> bool:
        """Whether nothing at all came through in any round: more rounds of silence say no more."""
        heard = self.rounds[self._heard_from :]
        return bool(heard) and not any(_passed(x.outcome, 0.0) for each in heard for x in each.exchanges)

    def would_accuse(self, unfinished: Round) -> bool:
        """Whether the evidence with this round, read as far as it is, already accuses, and no more is to be learnt
        from it: what is struck is dead. Otherwise the round goes on, for the mechanism's sake."""
        if unfinished.read_to is None or not stone_dead(unfinished, unfinished.read_to):
            return False
        weighed = [*self._weighed, round_evidence(unfinished, working=False)]
        return combine(weighed, self._forms).e_value >= self.threshold

    @property
    def next_length(self) -> Length:
        """How long the next round's calls are. Where only calls struck here and there remain to be excluded, half a
        call shows those as well; where little is missing, fewer and shorter ones."""
        if self.evidence is None or self.evidence.e_value > SUSPECT:
            return "full"
        others = [e for harm, e in self.evidence.working.items() if harm != PATCHY]
        if not others or min(others) < ENOUGH_WORKING:
            return "full"
        return "brief" if self.evidence.working.get(PATCHY, 0.0) >= NEARLY else "short"

    @property
    def open_plans(self) -> Sequence[FormPlan]:
        """The forms whose own evidence does not yet exclude every declared harm; all of them where each does."""
        return [plan for plan in self.plans if not self._excluded(plan.form)] or self.plans

    def _excluded(self, form: str) -> bool:
        own = [each for each in self._weighed if each.form == form]
        return bool(own) and combine(own, [form]).e_working >= ENOUGH_WORKING

    def early(self, until: float) -> float:
        """See `verdict.evidence.early_e_value`."""
        return early_e_value(self._weighed, until)

    @property
    def seconds(self) -> float:
        """In which at least one of its rounds ran: forms are run side by side."""
        total, until = 0.0, -inf
        for began, ended in sorted(self._ran):
            total += max(0.0, ended - max(began, until))
            until = max(until, ended)
        return total

    def ran(self, began: float, ended: float) -> None:
        """A round took from `began` to `ended`, seconds on the session's clock."""
        self._ran.append((began, ended))

    def add(self, finished: Round) -> None:
        self.rounds.append(finished)
        if finished.kind == "trial":
            self._weighed.append(round_evidence(finished))
        if finished.drawn == "slot":
            return  # whose controls a penalty strikes, and whose report it may swallow
        if self.heard is not None:
            self.heard.add(finished)
        if finished.partner == "lost":
            self.lost += 1

    def weigh(self) -> None:
        if self.cell.function in ("text", "media"):
            heard = [each for each in self.rounds[self._heard_from :] if each.drawn != "slot"]
            self._unusable = streams_unusable(self.cell, heard)
        self.evidence = combine(self._weighed, self._forms)
        names = max((e for (form, _), e in self.evidence.factors.items() if form == "dns"), default=0.0)
        if names < STRIKING and any(each.form == "dns" for each in self.rounds) and self._names_dead:
            # Where UDP is blocked or loses most, names can't speak for this app, and where they don't, nor against it.
            living = combine([e for e in self._weighed if e.form != "dns"], [f for f in self._forms if f != "dns"])
            self.evidence = replace(self.evidence, e_working=living.e_working, working=living.working)


def _answered(outcome: Outcome) -> bool:
    """Of a question: that it arrived is not enough."""
    return isinstance(outcome, DatagramOutcome) and any(at is not None for at in outcome.inward.received)


def _passed(outcome: Outcome, after: float) -> bool:
    """Whether any packet or byte came through later than `after` seconds into the exchange."""
    if isinstance(outcome, StreamOutcome):
        return outcome.connected is not None
    for lane in (outcome.inward, outcome.outward):
        late = lane.received[bisect_left(lane.scheduled, after) :]
        if late.count(None) < len(late):
            return True
    return False


def stone_dead(each: Round, read_to: float) -> bool:
    """Whether one arm of a factor lets nothing through any more in the last stretch that was read."""
    late = read_to - DEAD_STRETCH
    for value in ("original", "control"):
        struck = [x.outcome for x in each.exchanges if x.spec.arm.payload == value]
        if sum(_passed(outcome, late) for outcome in struck) <= DEAD_SHARE * len(struck):
            return True
    struck = [x.outcome for x in each.exchanges if x.spec.arm.port == "app"]
    return sum(_passed(outcome, late) for outcome in struck) <= DEAD_SHARE * len(struck)


def reveal(
    planned: Planned,
    outcomes: Mapping[int, Outcome],
    epoch: float,
    partner_lost: bool,
    read_to: float | None,
) -> Round:
    """Joins labels to outcomes: the one place where they meet."""
    return Round(
        number=planned.number,
        cell=planned.cell,
        form=planned.form,
        epoch=epoch,
        exchanges=[
            ExchangeRecord(spec, slot, epoch + planned.starts[slot], outcomes[spec.number], ttl=planned.ttl)
            for slot, spec in enumerate(planned.specs)
        ],
        checkpoints=list(planned.checkpoints),
        kind=planned.kind,
        drawn=planned.drawn,
        margins=planned.margins,
        partner="lost" if partner_lost else "reported",
        read_to=read_to,
    )
