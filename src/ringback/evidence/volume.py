"""Reports that fall silent: shown with an event, and lent to its evidence, never an event by itself.

Whoever is cut off can't report, so a collapse speaks for a restriction; but campaigns end as well. A day with at most a
quarter of the usual reports is bet on against how often that happened before; what this wins is lent to the scores'
evidence up to a factor LENT. So the stated run length holds as it is while the volume is as it was, and is at worst
LENT times shorter when it falls for reasons of its own.
"""

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from ringback.evidence.cells import DAY
from ringback.evidence.turns import Turns

Floats = NDArray[np.float64]

LENT = 10.0
MEMORY = 14  # days that make the usual number
FEW = 0.25
LEAST = 4.0  # reports a day below which silence says nothing


@dataclass(frozen=True)
class Volume:
    """usual, seen: reports a day, before and during. collapsed: at most a quarter of the usual."""

    usual: float
    seen: float

    @property
    def collapsed(self) -> bool:
        return self.usual >= LEAST and self.seen <= FEW * self.usual


def daily(cell: Turns) -> tuple[int, Floats]:
    """First day (since 1970) and the reports of each day from there to the last."""
    days = (cell.at // DAY).astype(np.int64)
    first = int(days[0])
    return first, np.bincount(days - first, weights=cell.n).astype(np.float64)


def lent(cell: Turns) -> Floats:
    """log of what the silence of the days before each turn adds to its evidence, 0..log(LENT). (n,)."""
    if not len(cell):
        return np.zeros(0)
    first, counts = daily(cell)
    wins = np.zeros(len(counts) + 1)  # before each day
    silent = ordinary = 0.0
    for day, count in enumerate(counts):
        usual = float(np.median(counts[max(0, day - MEMORY) : day])) if day >= MEMORY // 2 else 0.0
        gain = -log(LENT)  # one ordinary day takes back what silence had lent
        if usual >= LEAST:
            quiet = count <= FEW * usual
            chance = (silent + 1) / (silent + ordinary + 4)
            gain = log(1 + 0.5 * ((1.0 if quiet else 0.0) - chance) / chance)
            silent, ordinary = silent + quiet, ordinary + (not quiet)
        wins[day + 1] = min(max(wins[day] + gain, 0.0), log(LENT))
    days = (cell.at // DAY).astype(np.int64) - first
    return np.asarray(wins[days], dtype=np.float64)


def around(cell: Turns, start: float, end: float) -> Volume:
    """The usual reports a day in the MEMORY days before `start`, and those between start and end (seconds)."""
    before = (cell.at >= start - MEMORY * DAY) & (cell.at < start)
    during = (cell.at >= start) & (cell.at <= end)
    reach = min(MEMORY, (start - float(cell.at[0])) / DAY) if len(cell) else 0.0
    usual = float(cell.n[before].sum()) / reach if reach >= 1 else 0.0
    return Volume(usual, float(cell.n[during].sum()) / max((end - start) / DAY, 1.0))
