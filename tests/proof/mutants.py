"""The shipped engine with one bug planted in it, each of a kind that breaks the proof while every line looks right."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, MutableSequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np

from ringback.record import DatagramOutcome, Outcome, Round
from ringback.trial import cells, pairs, plan, session
from ringback.trial.cells import CellTrial
from ringback.trial.plan import Chance, Planned
from ringback.verdict.evidence import FactorBets, RoundEvidence, round_evidence

FINE_GRID = tuple(0.25 * i for i in range(1, 43))  # s
MOST_ROUNDS = 60


class _Unshuffled:
    """A random source that leaves what it should shuffle as it is: originals first."""

    def __init__(self, random: Chance) -> None:
        self._random = random

    def __getattr__(self, name: str) -> Any:
        return getattr(self._random, name)

    def shuffle(self, x: MutableSequence[Any]) -> None:
        """Nothing."""


def _labels_in_slot_order(*args: Any, **more: Any) -> Planned:
    changed = list(args)
    changed[5] = _Unshuffled(args[5])
    return plan.draw_round(*changed, **more)


def _pairs_in_slot_order(*args: Any, **more: Any) -> Planned:
    changed = list(args)
    changed[5] = _Unshuffled(args[5])
    return pairs.draw_pairs(*changed, **more)


def _originals_start_first(*args: Any, **more: Any) -> Planned:
    """The labels are drawn well, but the driver then runs its list of originals before its list of controls."""
    planned = plan.draw_round(*args, **more)
    specs = sorted(planned.specs, key=lambda spec: spec.arm.payload, reverse=True)
    return msgspec.structs.replace(planned, specs=specs)


def _failed(outcome: Outcome) -> bool:
    if isinstance(outcome, DatagramOutcome):
        return not any(at is not None for at in outcome.inward.received)
    return outcome.failure is not None


def _without_failed_controls(add: Callable[[CellTrial, Round], None]) -> Callable[[CellTrial, Round], None]:
    """A round whose controls did not all succeed is put aside as broken, and another is run."""

    def careful(self: CellTrial, finished: Round) -> None:
        controls = [x.outcome for x in finished.exchanges if x.spec.arm.payload == "control"]
        if any(map(_failed, controls)):
            return
        add(self, finished)

    return careful


def _best_checkpoint(finished: Round, *, working: bool = True) -> RoundEvidence:
    """Each factor is read where its two arms differ most, as if that had been planned."""
    last = finished.checkpoints[-1]
    looks = [
        round_evidence(msgspec.structs.replace(finished, checkpoints=[at], read_to=None), working=False)
        for at in FINE_GRID
        if at <= last
    ]
    best = {name: max((look.factors[name] for look in looks), key=_worth) for name in looks[0].factors}
    return dataclasses.replace(looks[-1], factors=best)


def _worth(bets: FactorBets) -> float:
    return float(np.logaddexp(bets.log_raw, bets.ranks))


@contextmanager
def labels_in_slot_order() -> Iterator[None]:
    with patch.object(session, "draw_round", _labels_in_slot_order):
        yield


@contextmanager
def pairs_in_slot_order() -> Iterator[None]:
    with patch.object(session, "draw_pairs", _pairs_in_slot_order):
        yield


@contextmanager
def originals_start_first() -> Iterator[None]:
    with patch.object(session, "draw_round", _originals_start_first):
        yield


@contextmanager
def rounds_discarded_when_a_control_failed() -> Iterator[None]:
    with patch.object(CellTrial, "add", _without_failed_controls(CellTrial.add)):
        yield


@contextmanager
def checkpoint_chosen_afterwards() -> Iterator[None]:
    with patch.object(cells, "round_evidence", _best_checkpoint):
        yield


MUTANTS: Mapping[str, Callable[[], Any]] = {
    f.__name__: f
    for f in (
        labels_in_slot_order,
        pairs_in_slot_order,
        originals_start_first,
        rounds_discarded_when_a_control_failed,
        checkpoint_chosen_afterwards,
    )
}


@contextmanager
def many_rounds(forms: tuple[str, ...], most: int = MOST_ROUNDS) -> Iterator[None]:
    """A cell tried again and again in these forms alone, never thought decided: where a small bias adds up."""
    keep = CellTrial.__init__

    def patient(self: CellTrial, cell: Any, plans: Any, threshold: float, most_rounds: int) -> None:
        keep(self, cell, [p for p in plans if p.form in forms], threshold, most)

    with (
        patch.object(CellTrial, "__init__", patient),
        patch.object(CellTrial, "wants_more", property(lambda self: self.series < self.most_rounds)),
    ):
        yield
