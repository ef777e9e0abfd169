"""What failing is normal: an instrument's over all networks, and a network's own.

A score means something only against what the same instrument (rule set, probe version, reference list) gives where
nothing changed. An instrument that few networks have used has no reference: it is taken to fail everywhere, and no bet
can be won against that, so a new version never makes an event by itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from ringback.evidence.turns import Turns

Floats = NDArray[np.float64]

UNKNOWN = 0.5  # networks that an instrument's reference starts with, all failing
FULL = 50  # turns after which a network counts whole in the median


def references(cells: Iterable[Turns], declared: Mapping[str, float] | None = None) -> dict[str, float]:
    """Instrument to the share that fails where nothing is restricted, 0..1.

    The weighted median of the networks' mean scores: up to half of them may be restricted. declared: instruments whose
    rate is known otherwise (a verdict's alpha).
    """
    means: dict[str, list[tuple[float, float]]] = {}
    for cell in cells:
        for index, name in enumerate(cell.instruments):
            own = cell.score[cell.instrument == index]
            if len(own):
                means.setdefault(name, []).append((float(own.mean()), min(len(own), FULL) / FULL))
    found = {}
    for name, pairs in means.items():
        pairs.sort()
        weights = np.array([weight for _, weight in pairs])
        middle = pairs[int(np.searchsorted(np.cumsum(weights), weights.sum() / 2))][0]
        found[name] = float((middle * weights.sum() + UNKNOWN) / (weights.sum() + UNKNOWN))
    return found | dict(declared or {})


class Own:
    """A network's own scores with one instrument so far."""

    def __init__(self) -> None:
        self.n = self.total = self.squares = 0.0

    def add(self, score: float) -> None:
        self.n += 1
        self.total += score
        self.squares += score * score


@dataclass(frozen=True)
class Slack:
    """How far above its own baseline a network must stay to count as unchanged.

    prior: turns that the reference is worth. errors: standard errors of the own mean. drift: share of scores that may
    go bad for reasons of their own.
    """

    prior: float = 8.0
    errors: float = 1.5
    drift: float = 0.02

    def ceiling(self, own: Own, reference: float) -> float:
        """The largest mean score that still counts as normal, 0..1. reference: what the instrument gives elsewhere."""
        n = own.n + self.prior
        mean = (own.total + self.prior * reference) / n
        spread = max((own.squares + self.prior * reference) / n - mean**2, 0.0)  # the reference as if all or nothing
        return min(self.drift + (1 - self.drift) * (mean + self.errors * sqrt(spread / n)), 1.0)
