"""When a cell's rounds suffice."""

import pytest

from ringback.catalogue import load
from ringback.record import Cell
from ringback.trial.cells import CellTrial
from ringback.trial.plan import form_plans
from tests.verdict.build import NOTHING, Effect, dns_round, stream_round

CELL = Cell("whatsapp", "text")
FORGED = Effect(wrong_answer=True)


def weighed(questions: int, link_loss: float, names: Effect = NOTHING) -> CellTrial:
    """After four series of messages that all came through, and so many rounds of questions for names."""
    trial = CellTrial(CELL, form_plans(load(), CELL, replay=False), 2000.0, 9)
    for number in range(4):
        for form in ("noise", "tls"):
            trial.add(stream_round(1, number=number, form=form))
    for number in range(questions):
        trial.add(dns_round(1, number=number, link_loss=link_loss, effect=names))
    trial.weigh()
    return trial


@pytest.mark.parametrize("link_loss", [0.005, 0.5, 1.0])
def test_names_that_nobody_gets_do_not_keep_messages_from_being_found_to_work(link_loss: float) -> None:
    trial = weighed(4, link_loss)
    assert trial.decided
    assert not trial.accused


@pytest.mark.parametrize("link_loss", [0.005, 0.5])
def test_names_that_are_forged_are_found_where_most_questions_are_lost(link_loss: float) -> None:
    assert weighed(6, link_loss, FORGED).accused


def test_a_hint_at_forged_names_is_followed_up_where_most_questions_are_lost() -> None:
    trial = weighed(1, 0.5, FORGED)
    assert trial.evidence is not None
    assert trial.evidence.factors["dns", "payload"] > 3.0
    assert not trial.accused
    assert not trial.decided
    assert trial.wants_more
