"""Bugs planted in the shipped engine show in its error rate; without them the same sessions show nothing."""

from contextlib import nullcontext

import msgspec
import pytest

from ringback.trial.terms import Settings
from tests.proof.mutants import MUTANTS, many_rounds
from tests.proof.neutral import Neutral, e_values, measured, quick, quiet
from tests.proof.rates import reached, surprise

CAUGHT = 1e-4
"""Chance of so many high e-values if the proof held."""


class Trap(msgspec.Struct, frozen=True):
    """Where a mutant shows: sessions of one cell in one form, so many rounds each."""

    network: Neutral
    settings: Settings
    form: str
    rounds: int
    sessions: int


CALLS, NAMES = quick("telegram", "voice"), quick("whatsapp", "text")
TRAPS = {
    "labels_in_slot_order": Trap(Neutral("cellular", "waking"), CALLS, "relay-call", 1, 3),
    "pairs_in_slot_order": Trap(Neutral("cellular", "waking"), quiet("telegram", "voice"), "relay-call", 16, 4),
    "originals_start_first": Trap(Neutral("cellular", "waking"), CALLS, "relay-call", 1, 3),
    "rounds_discarded_when_a_control_failed": Trap(Neutral("cellular", "bad-leg"), NAMES, "dns", 80, 4),
    "checkpoint_chosen_afterwards": Trap(
        Neutral("bursty-25", "plain"), quick("whatsapp", "voice"), "relay-call", 16, 8
    ),
}
LONG = {"checkpoint_chosen_afterwards": pytest.mark.validate}  # its bias is small: many rounds of calls


def sessions(trap: Trap, mutant: str | None) -> list[float]:
    with many_rounds((trap.form,), trap.rounds), MUTANTS[mutant]() if mutant else nullcontext():
        found = [measured(trap.network, seed, trap.settings) for seed in range(trap.sessions)]
    return [e for result in found for _, e in e_values(result)]


@pytest.mark.parametrize("mutant", [pytest.param(name, marks=LONG.get(name, ())) for name in MUTANTS])
def test_a_planted_bug_shows_in_the_error_rate(mutant: str) -> None:
    found = sessions(TRAPS[mutant], mutant)
    print(mutant, [f"{e:.3g}" for e in found], reached(found))
    assert surprise(found) < CAUGHT


@pytest.mark.parametrize(
    "mutant",
    [
        "labels_in_slot_order",
        "pairs_in_slot_order",
        "rounds_discarded_when_a_control_failed",
        pytest.param("checkpoint_chosen_afterwards", marks=pytest.mark.validate),
    ],
)
def test_the_engine_without_it_shows_nothing_there(mutant: str) -> None:
    assert max(sessions(TRAPS[mutant], None)) < 20
