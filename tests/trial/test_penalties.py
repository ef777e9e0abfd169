"""What asks for penalties: which cells, in which rounds, for how long, and what of it is evidence."""

from random import Random

import pytest

from ringback.record import Arm, Round
from ringback.trial.cells import CellTrial, reveal
from ringback.trial.control import Grant
from ringback.trial.penalties import Penalties, Question, suspect
from ringback.trial.plan import Planned, Sizing, form_plans
from tests.trial.ends import CATALOGUE
from tests.verdict.build import Effect, voice_round
from tests.verdict.test_penalty import CELL, EPOCH, call, punished

GRANT = Grant("session", bytes(32), {}, {"udp": [40_001, 40_002], "tcp": [40_001, 40_002]}, "", b"")
BAR = 1000.0


def trial(*rounds: Round) -> CellTrial:
    made = CellTrial(CELL, form_plans(CATALOGUE, CELL, False), BAR, 4)
    for number, each in enumerate(rounds, 1):
        made.begin(number, 1.0)
        made.add(each)
    if rounds:
        made.weigh()
    return made


def silent(seed: int = 1) -> Round:
    """A round of calls in which nothing more came of anybody after the first packets."""
    each = voice_round(seed)
    for x in each.exchanges:
        for lane in (x.outcome.outward, x.outcome.inward):  # type: ignore[union-attr]
            lane.received = [at if i < 5 else None for i, at in enumerate(lane.received)]
    return each


def asking(*trials: CellTrial) -> Penalties:
    return Penalties(trials, CELL.path, GRANT, Random(1), Sizing())


def play(planned: Planned, lag: float = 0.05) -> Round:
    """As a device has it that silences everything from the drawn slot's start on."""
    odd = next(i for i, spec in enumerate(planned.specs) if spec.arm != planned.specs[0].arm)
    began = EPOCH + planned.starts[odd] + lag
    outcomes = {s.number: call(EPOCH + at, [(began, 1e9)]) for s, at in zip(planned.specs, planned.starts, strict=True)}
    return reveal(planned, outcomes, EPOCH, False, None)  # type: ignore[arg-type]


def test_a_cell_whose_calls_all_fell_silent_is_asked_about() -> None:
    assert suspect(trial(silent()))
    assert not suspect(trial(voice_round(1)))
    assert not suspect(trial(voice_round(1, effect=Effect(drop=True)))), "half of them fell, and that is no penalty"


def test_one_exchange_differs_and_may_stand_in_any_slot_but_the_margins() -> None:
    slots = set()
    for seed in range(300):
        wanted = Penalties([trial(silent())], CELL.path, GRANT, Random(seed), Sizing()).next(1, 1)
        assert wanted is not None
        planned, _ = wanted
        odd = [i for i, spec in enumerate(planned.specs) if spec.arm == Arm("original", "other")]
        assert len(odd) == 1
        assert sum(spec.arm == Arm("control", "other") for spec in planned.specs) == len(planned.specs) - 1
        slots.update(odd)
    before, after = planned.margins
    assert slots == set(range(before, len(planned.specs) - after))


def test_it_asks_until_the_cell_is_accused_and_then_for_no_more_evidence() -> None:
    cell = trial(silent())
    asked = asking(cell)
    kinds = []
    while (wanted := asked.next(len(kinds) + 2, 1)) is not None and wanted[1] is cell and len(kinds) < 20:
        finished = play(wanted[0])
        kinds.append(finished.kind)
        before = cell.evidence
        cell.add(finished)
        cell.weigh()
        if finished.kind == "confirm":
            assert before is not None
            assert cell.evidence is not None
            assert cell.evidence.e_value == before.e_value
        asked.take(finished)
    assert cell.accused
    assert kinds.count("trial") <= 5
    assert kinds == sorted(kinds, reverse=True), "what is asked once it is accused is no evidence"


def test_what_goes_on_undisturbed_is_asked_twice_a_factor() -> None:
    cell = trial(silent())
    asked = asking(cell)
    count = 0
    while (wanted := asked.next(count + 2, 1)) is not None and count < 20:
        planned = wanted[0]
        outcomes = {s.number: call(EPOCH + at, []) for s, at in zip(planned.specs, planned.starts, strict=True)}
        finished = reveal(planned, outcomes, EPOCH, False, None)  # type: ignore[arg-type]
        cell.add(finished)
        cell.weigh()
        asked.take(finished)
        count += 1
    assert not cell.accused
    assert 2 <= count <= 8


def test_a_round_that_never_began_is_asked_for_again_but_not_for_ever() -> None:
    asked = asking(trial(silent()))
    count = 0
    while asked.next(2, 1) is not None:
        asked.take(None)
        count += 1
    assert count == 10


def test_a_decided_cells_question_is_answered() -> None:
    plans = form_plans(CATALOGUE, CELL, False)
    working = trial(*(voice_round(n) for n in range(1, 5)))
    assert working.decided
    assert not working.accused
    assert Question(working, plans[0], "payload").answered
    assert not Question(trial(silent()), plans[0], "payload").answered


@pytest.mark.parametrize("kind", ["trial", "confirm"])
def test_only_rounds_that_are_evidence_are_weighed(kind: str) -> None:
    cell = trial(silent())
    assert cell.evidence is not None
    before = cell.evidence.e_value
    each = punished(30)
    each.kind = kind  # type: ignore[assignment]
    cell.add(each)
    cell.weigh()
    assert (cell.evidence.e_value == before) is (kind == "confirm")


def test_hearing_again_forgets_what_was_lost_and_what_was_silent() -> None:
    cell = trial(silent(), silent(2))
    cell.lost = 2
    assert not cell.wants_more
    cell.hear_again(3)
    assert cell.wants_more
    assert not cell.silent
