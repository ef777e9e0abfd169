"""One cell on trial: its rounds so far, what they are worth, and whether another is wanted.

Between rounds only finished rounds' e-values are seen; within a round, label-blind checkpoints fixed beforehand.
"""

from collections.abc import Mapping, Sequence

from ringback.flow import FormPlan
from ringback.record import Cell, ExchangeRecord, Outcome, Round
from ringback.trial.plan import Planned
from ringback.verdict.evidence import CellEvidence, RoundEvidence, combine, round_evidence

ENOUGH_WORKING = 100.0
PATCHY = "loss-third"  # the one harm that needs a second round, but not a long one


class CellTrial:
    """threshold: the e-value at which this cell's one accusing test accuses."""

    def __init__(self, cell: Cell, plans: Sequence[FormPlan], threshold: float, most_rounds: int) -> None:
        self.cell = cell
        self.plans = plans
        self.threshold = threshold
        self.most_rounds = most_rounds
        self.rounds: list[Round] = []
        self.series = 0  # how often all forms were run
        self.evidence: CellEvidence | None = None
        self._weighed: list[RoundEvidence] = []
        self.seconds = 0.0
        self.bytes = 0
        self.lost = 0  # rounds whose partner vanished

    @property
    def decided(self) -> bool:
        return self.accused or (self.evidence is not None and self.evidence.e_working >= ENOUGH_WORKING)

    @property
    def accused(self) -> bool:
        return self.evidence is not None and self.evidence.e_value >= self.threshold

    @property
    def wants_more(self) -> bool:
        return not self.decided and self.series < self.most_rounds and self.lost < 2

    def would_accuse(self, unfinished: Round) -> bool:
        """Whether the evidence with this round, read as far as it is, already accuses."""
        return combine([*self._weighed, round_evidence(unfinished, working=False)]).e_value >= self.threshold

    @property
    def short_next(self) -> bool:
        """Whether only calls struck here and there remain to be excluded: half a call shows those as well."""
        if self.evidence is None or self.evidence.e_value > 1.0:
            return False
        others = [e for harm, e in self.evidence.working.items() if harm != PATCHY]
        return bool(others) and min(others) >= ENOUGH_WORKING

    def add(self, finished: Round) -> None:
        self.rounds.append(finished)
        self._weighed.append(round_evidence(finished))
        if finished.partner == "lost":
            self.lost += 1

    def weigh(self) -> None:
        self.evidence = combine(self._weighed)


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
            ExchangeRecord(spec, slot, epoch + planned.starts[slot], outcomes[spec.number])
            for slot, spec in enumerate(planned.specs)
        ],
        checkpoints=list(planned.checkpoints),
        partner="lost" if partner_lost else "reported",
        read_to=read_to,
    )
