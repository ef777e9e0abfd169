"""Whether a device punishes: rounds that draw the slot in which the first original runs (see `verdict.penalty`).

They come last on a path, for cells that no round decided and whose rounds fell silent in both arms; so nothing of a
cell's own evidence is spent on networks that do no such thing. Accused cells whose controls fell silent are asked about
for the names' sake alone. A round waits until the peer can be asked again, which
is when a block of the address pair or of the host has passed, and its report may be late for the same reason. Once such
a device is found, the cells that it silenced beside the one it looks for are heard again.
"""

from collections.abc import Sequence
from math import log

import msgspec
import numpy as np

from ringback.flow import FormPlan
from ringback.record import Arm, DatagramOutcome, ExchangeRecord, Round, StreamOutcome
from ringback.trial import probe
from ringback.trial.cells import CellTrial
from ringback.trial.control import Grant
from ringback.trial.pairs import RETRY_S, TEXT_TRIPS
from ringback.trial.plan import (
    CALL_SECONDS,
    LIKE_AT_ONCE,
    Chance,
    Planned,
    Sizing,
    draw_ports,
    specs_of,
)
from ringback.verdict import penalty

FALLEN_SHARE = 0.7  # of a round's exchanges that fell silent, in which both arms must have a part
SPARED_FALLEN_SHARE, STRUCK_FREE = 0.5, Arm("control", "other")  # of the controls away from the app's port
FALLEN_FROM = 0.6  # of an exchange's time, from which on nothing came
CALLS, STREAMS = 64, 40  # exchanges of a round
CALLS_AT_ONCE = 8
LEAST_CALL_S, AFTER_S = 1.6, 1.2  # of a slot's call: that, or twice as long as calls lasted and so much more
MEDIA_BYTES = 4_000  # each way: a name or an opening is what a device looks at
MOST_ROUNDS = 7  # on one factor
MOST_FOR_NAMES = 3  # where the cell is accused already
MOST_DEAD = 2  # of these in which nothing was heard before the first slot that could be drawn
MOST_UNOPENED = 10  # requests, of some 45 s each, for a round that a block kept from the peer
AGAIN = 3  # series of a cell that was silenced beside another
NAMED = 20.0  # e-value of a factor of an accused cell that is asked about
LEAST_TRIED, PROMISING = 2, log(1.5)  # rounds, and their e-value by round, for another on the same factor


class Question(msgspec.Struct):
    """One factor of one form of a cell. bets: of its rounds so far."""

    trial: CellTrial
    plan: FormPlan
    factor: str
    bets: list[penalty.Floats] = []
    dead: int = 0

    @property
    def answered(self) -> bool:
        """Whether another round would say no more. A cell that is accused already is asked for the names' sake, in
        rounds that are no evidence."""
        tried = len(self.bets) - self.dead
        if self.dead >= MOST_DEAD or len(self.bets) >= MOST_ROUNDS:
            return True
        if self.trial.accused:
            shown = penalty.log_e_value(self.bets) >= penalty.SHOWN
            return shown or len(self.bets) >= MOST_FOR_NAMES or (tried > 0 and self._unpromising(tried))
        return self.trial.decided or (tried >= LEAST_TRIED and self._unpromising(tried))

    def _unpromising(self, tried: int) -> bool:
        return penalty.log_e_value(self.bets) < tried * PROMISING


class Penalties:
    """The phase of a session that asks. size: what the link bears."""

    def __init__(self, trials: Sequence[CellTrial], path: str, grant: Grant, random: Chance, size: Sizing) -> None:
        self._trials = [trial for trial in trials if trial.cell.path == path]
        self._path, self._grant, self._random, self._size = path, grant, random, size
        self._questions: list[Question] = []
        self._asked: set[int] = set()  # ids of trials
        self._heard_again: set[int] = set()
        self._again: CellTrial | None = None
        self._unopened = 0
        self._knocked = False  # whether anything was asked of nobody, so that what a block silenced may be tried again

    def next(self, number: int, first_exchange: int) -> tuple[Planned, CellTrial | None] | None:
        """The next round to run, and whose; None when all is asked, or a cell is to be heard again first. A round that
        is nobody's waits for a block to end before that, and as soon as a device is found."""
        if self._unopened >= MOST_UNOPENED:
            return None
        self._questions = [question for question in self._questions if not question.answered]
        first_found = not self._questions and not self._knocked and punishes(self._trials)
        if not self._questions and not first_found:
            self._go_on()
        if self._questions:
            asked = self._questions[0]
            return self._draw(asked, number, first_exchange), asked.trial
        if self._again is None and not first_found:
            return None
        port = self._random.choice(self._grant.other["tcp"])
        return probe.planned(number, first_exchange, probe.KNOCK, "tcp", port, self._path), None

    def _go_on(self) -> None:
        """To the next suspect, calls first. Once a device was found, a cell that is not what it looks for, so far, is
        heard again before it is asked about, and so is at last every cell that is undecided."""
        found = [trial for trial in self._trials if punishes([trial])]
        alike = {(trial.cell.app, trial.cell.function) for trial in found}
        left = [trial for trial in self._trials if id(trial) not in self._asked and suspect(trial)]
        for trial in sorted(left, key=lambda trial: trial.cell.function != "voice"):
            known = trial.accused or (trial.cell.app, trial.cell.function) in alike
            if found and not known and id(trial) not in self._heard_again:
                self._again = trial
                return
            self._ask(trial)
            if self._questions:
                return
        silenced = [trial for trial in self._trials if not trial.decided and id(trial) not in self._heard_again]
        self._again = silenced[0] if found and silenced else None

    def _ask(self, trial: CellTrial) -> None:
        self._asked.add(id(trial))
        named = trial.evidence.factors if trial.accused and trial.evidence is not None else {}
        self._questions = [
            Question(trial, plan, factor)
            for plan in trial.plans
            for factor in ("payload", "port")
            if plan.form != "dns" and factor in plan.factors and named.get((plan.form, factor), NAMED) >= NAMED
        ]

    def take(self, finished: Round | None) -> None:
        """The round that `next` drew is over; None where it never began."""
        if finished is None:
            self._unopened += 1
            return
        self._unopened = 0
        if not self._questions:
            self._knocked = True
            if self._again is not None:
                self._heard_again.add(id(self._again))
                self._again.hear_again(AGAIN)
                self._again = None
            return
        asked = self._questions[0]
        asked.bets.append(penalty.slot_bets(finished))
        if not penalty.lively(finished):
            asked.dead += 1
            self._asked.update(id(t) for t in self._trials if t.silent and _same_transport(t, asked))

    def _draw(self, asked: Question, number: int, first: int) -> Planned:
        """Ports and starts first, then by lot which slot is the one."""
        cell, plan = asked.trial.cell, asked.plan
        on = draw_ports(plan, self._grant, self._random)
        count, seconds, at_once = self._shape(asked)
        gap = seconds / at_once
        starts = [gap * i + self._random.uniform(0.0, 0.3 * gap) for i in range(count)]
        margin = at_once + 2  # as many are over before the first that may be drawn, and show it after the last
        port = "other" if "port" in plan.factors else "app"
        arms = [Arm("control", port)] * count  # type: ignore[arg-type]
        drawn = self._random.choice(range(margin, count - margin))
        arms[drawn] = Arm("original", port) if asked.factor == "payload" else Arm("control", "app")  # type: ignore[arg-type]
        sizes = {"size": MEDIA_BYTES, "upload": MEDIA_BYTES} if cell.function == "media" else {}
        replay = next((x.spec.replay for r in asked.trial.rounds for x in r.exchanges if r.form == plan.form), None)
        specs = specs_of(cell, plan, arms, first, on, seconds, sizes, replay)
        return Planned(
            number, cell, plan.form, specs, starts, (seconds,), starts[-1] + seconds,
            "confirm" if asked.trial.accused else "trial", drawn="slot", margins=(margin, margin),
        )  # fmt: skip

    def _shape(self, asked: Question) -> tuple[int, float, int]:
        """(exchanges, seconds of each, how many at once)."""
        size = self._size
        if asked.plan.transport == "udp":
            seconds = min(CALL_SECONDS, max(LEAST_CALL_S, 2 * lasted(asked.trial, asked.plan.form) + AFTER_S))
            return CALLS, seconds, min(CALLS_AT_ONCE, 4 * size.per_arm)
        life = size.text_life if size.rtt is None else min(size.text_life, RETRY_S + TEXT_TRIPS * size.rtt)
        return STREAMS, life, LIKE_AT_ONCE


def suspect(trial: CellTrial) -> bool:
    """Whether its rounds may have been punished, by what became of their exchanges and not by which is which; of a cell
    that is accused already, by those of its controls that no rule of its kind could have struck."""
    if trial.accused:
        return any(_share_fallen(each, STRUCK_FREE) >= SPARED_FALLEN_SHARE for each in trial.rounds)
    fallen = trial.lost >= 2 or any(_share_fallen(each) >= FALLEN_SHARE for each in trial.rounds)
    return fallen and not trial.decided


def punishes(trials: Sequence[CellTrial]) -> bool:
    """Whether a device was found that punishes what one of these cells sends."""
    return any(trial.accused and penalty.shown(trial.rounds) for trial in trials)


def _share_fallen(each: Round, arm: Arm | None = None) -> float:
    """Of the exchanges of one arm, or of all; names and rounds that asked for penalties tell nothing here."""
    fallen = [_fallen(x, each.read_to) for x in each.exchanges if arm is None or x.spec.arm == arm]
    return sum(fallen) / len(fallen) if fallen and each.form != "dns" and each.drawn != "slot" else 0.0


def _fallen(x: ExchangeRecord, read_to: float | None) -> bool:
    """Whether nothing more was heard of it in the last part of its time, as far as the round was read."""
    end = x.spec.seconds if read_to is None else min(read_to, x.spec.seconds)
    if isinstance(x.outcome, StreamOutcome):
        heard = max((at for at, _ in x.outcome.arrivals), default=x.outcome.connected or 0.0)
        return x.outcome.finished is None and heard < FALLEN_FROM * end
    lane = x.outcome.inward
    late = [at for due, at in zip(lane.scheduled, lane.received, strict=True) if FALLEN_FROM * end <= due <= end]
    return all(at is None for at in late)


def lasted(trial: CellTrial, form: str) -> float:
    """Seconds for which something came of calls of this form, in the median of a cell's."""
    ends = [
        max((at for at in x.outcome.inward.received if at is not None), default=x.started_at) - x.started_at
        for each in trial.rounds
        if each.form == form and each.drawn != "slot"
        for x in each.exchanges
        if isinstance(x.outcome, DatagramOutcome)
    ]
    return max(0.0, float(np.median(ends))) if ends else 0.0


def _same_transport(trial: CellTrial, asked: Question) -> bool:
    return all(plan.transport == asked.plan.transport for plan in trial.plans if plan.form != "dns")
