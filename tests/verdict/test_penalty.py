"""Rounds that draw the slot of the first original: exact whatever became of them, and told apart from silence."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import BadInput
from ringback.record import Arm, Cell, DatagramOutcome, ExchangeRecord, ExchangeSpec, Lane, Round, StreamOutcome
from ringback.verdict import penalty
from ringback.verdict.evidence import cell_evidence
from ringback.verdict.finding import Finding
from ringback.verdict.judge import finding_of

CONTROL, ORIGINAL, APP_PORT = Arm("control", "other"), Arm("original", "other"), Arm("control", "app")
CELL = Cell("whatsapp", "voice", "outgoing", "relay")
COUNT, MARGIN, GAP, SECONDS = 64, 10, 0.2, 1.6
SCHEDULED = [0.08 * i for i in range(20)]
EPOCH = 100.0


def call(start: float, silences: list[tuple[float, float]], after: int = 0) -> DatagramOutcome:
    """A call whose packets arrive 30 ms later but for those that fall into a silence; the first `after` in any case."""
    sent = [start + at for at in SCHEDULED]
    gone = [any(a <= t < b for a, b in silences) for t in sent]
    received = [None if lost and i >= after else t + 0.03 for i, (t, lost) in enumerate(zip(sent, gone, strict=True))]
    lanes = [Lane(list(SCHEDULED), [100] * len(sent), list(sent), list(received)) for _ in range(2)]
    return DatagramOutcome(*lanes)  # type: ignore[arg-type]


def stream(start: float, silences: list[tuple[float, float]]) -> StreamOutcome:
    steps = [start + 0.05, start + 0.1, start + 0.2]
    alive = [t for t in steps if not any(a <= t < b for a, b in silences)]
    finished = 0.2 if len(alive) == len(steps) else None
    connected = 0.05 if steps[0] in alive else None
    return StreamOutcome(connected=connected, finished=finished, arrivals=[(t - start, 100) for t in alive[1:]])


def round_with(slot: int, outcomes: list[object], odd: Arm = ORIGINAL, number: int = 1, gap: float = GAP) -> Round:
    kind = "udp" if isinstance(outcomes[0], DatagramOutcome) else "tcp"
    exchanges = [
        ExchangeRecord(
            ExchangeSpec(i, "whatsapp", "voice", "outgoing", "relay", "relay-call", odd if i == slot else CONTROL,
                         kind, 3478, SECONDS),  # type: ignore[arg-type]
            i, EPOCH + gap * i, outcome,  # type: ignore[arg-type]
        )
        for i, outcome in enumerate(outcomes)
    ]  # fmt: skip
    return Round(number, CELL, "relay-call", EPOCH, exchanges, [SECONDS], drawn="slot", margins=(MARGIN, MARGIN))


def punished(slot: int, lag: float = 0.0, seconds: float = 1e9, number: int = 1) -> Round:
    """All silent from `lag` after the slot's start on."""
    began = EPOCH + GAP * slot + lag
    silences = [(began, began + seconds)]
    return round_with(slot, [call(EPOCH + GAP * i, silences) for i in range(COUNT)], number=number)


@given(
    st.lists(st.tuples(st.floats(90, 115), st.floats(0, 20)), max_size=3),
    st.booleans(),
)
def test_over_all_slots_that_could_be_drawn_its_mean_is_one(silences: list[tuple[float, float]], tcp: bool) -> None:
    spans = [(began, began + seconds) for began, seconds in silences]
    made = stream if tcp else call
    outcomes = [made(EPOCH + GAP * i, spans) for i in range(COUNT)]
    drawn = [penalty.slot_bets(round_with(slot, list(outcomes))) for slot in range(MARGIN, COUNT - MARGIN)]
    assert np.exp(drawn).mean(axis=0) == pytest.approx(np.ones(len(penalty.PATTERNS)))
    assert np.mean([np.exp(penalty.log_e_value([bets])) for bets in drawn]) == pytest.approx(1.0)


@pytest.mark.parametrize("lag", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("seconds", [3.0, 60.0])
def test_four_rounds_show_a_penalty(lag: float, seconds: float) -> None:
    bets = [penalty.slot_bets(punished(slot, lag, seconds)) for slot in (15, 40, 52, 28)]
    assert np.exp(penalty.log_e_value(bets)) > 16_000


def test_a_silence_that_comes_at_another_time_in_each_round_shows_none() -> None:
    bets = [penalty.slot_bets(punished(slot, lag)) for slot, lag in ((30, -3.0), (20, 4.1), (41, 0.9), (12, 7.0))]
    assert np.exp(penalty.log_e_value(bets)) < 20


def test_rounds_that_drew_a_slot_multiply_the_factor_that_they_drew() -> None:
    rounds = [punished(slot, number=n) for n, slot in enumerate((15, 40, 52))]
    evidence = cell_evidence(rounds)
    alone = np.exp(penalty.log_e_value([penalty.slot_bets(each) for each in rounds]))
    assert evidence.factors == {("relay-call", "payload"): pytest.approx(alone), ("relay-call", "port"): 1.0}
    assert evidence.e_working == 0.0, "they tell nothing of what works"


def test_the_factor_is_what_the_odd_one_differs_in() -> None:
    outcomes: list[object] = [call(EPOCH + GAP * i, []) for i in range(COUNT)]
    assert penalty.factor_of(round_with(20, outcomes)) == "payload"
    assert penalty.factor_of(round_with(20, outcomes, APP_PORT)) == "port"


@pytest.mark.parametrize(
    ("slot", "odd", "why"),
    [
        (3, ORIGINAL, "margin"),
        (60, ORIGINAL, "margin"),
        (20, Arm("original", "app"), "two things"),
        (20, CONTROL, "alike"),
    ],
)
def test_what_is_no_such_round_is_refused(slot: int, odd: Arm, why: str) -> None:
    outcomes: list[object] = [call(EPOCH + GAP * i, []) for i in range(COUNT)]
    with pytest.raises(BadInput, match=why):
        penalty.slot_bets(round_with(slot, outcomes, odd))


def test_a_round_in_which_nothing_passed_is_not_lively() -> None:
    assert penalty.lively(punished(20))
    assert not penalty.lively(punished(20, lag=-4.1))


def test_how_the_drawn_one_was_treated_is_told_from_those_that_were_over() -> None:
    silence = [(EPOCH + GAP * 30 + 0.41, 1e9)]
    outcomes: list[object] = [call(EPOCH + GAP * i, silence) for i in range(COUNT)]
    told = penalty.unpunished(round_with(30, outcomes))
    assert [x.slot for x in told.exchanges] == [*range(23), 30]
    found: Finding = finding_of([told], ("relay-call", "payload"), [("relay-call", "payload")])
    assert (found.mechanism, found.after_packets) == ("drop-after", 12)


def test_a_lost_report_leaves_what_was_heard_here() -> None:
    each = punished(33)
    for x in each.exchanges:
        lane = x.outcome.outward  # type: ignore[union-attr]
        lane.received = [None] * len(lane.received)
        x.outcome.partner = "lost"
    lost = msgspec.structs.replace(each, partner="lost")
    assert np.exp(penalty.log_e_value([penalty.slot_bets(lost)])) > 8
