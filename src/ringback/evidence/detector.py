"""Online onset of one network: an e-detector on graded evidence, with a stated average run length.

Null: given its past, a turn's mean score is at most the ceiling m of the network's own baseline. Then for any p > m and
any q in 0..1 chosen from the past, E = 1 + q (x - m)(p - m) / (m (1 - m)) has expectation at most 1, whatever the
scores' law or dependence. The sum over all starting hours of the products of E since then is an e-detector: raised at
c, its average run length to a false alarm is at least c hours that hold data (Shin, Ramdas, Rinaldo, "E-detectors: a
nonparametric framework for sequential change detection", 2022). What is thresholded here is the largest of those
products, which is smaller, without the f clusters that speak loudest in it, which is at most the product of all others:
as long as no more than f clusters lie, the honest ones alone have raised the alarm.

q is the chance that it is restricted now, foretold from what was seen shortly before and at the same time of earlier
days; it makes the bet small at hours that are usually clear, so a ban by daily windows accumulates over days.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ringback.evidence.baseline import Own, Slack
from ringback.evidence.cells import DAY, HOUR
from ringback.evidence.turns import Turns

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Betting:
    """How the chance q of "restricted now" is foretold; tuned in simulation, valid whatever the numbers.

    hope: q where nothing is known, weighing as much as one turn. recent_h: how long the last turns speak, e-folding.
    clock_h: width (standard deviation) of the same time of day. days: how long earlier days speak, e-folding. other:
    what a weekday says of a weekend and the other way round. level, level_weight: score while restricted before any
    was seen.
    """

    hope: float = 0.15
    recent_h: float = 2.5
    clock_h: float = 1.0
    days: float = 6.0
    other: float = 0.3
    most: float = 0.9
    level: float = 0.7
    level_weight: float = 2.0


@dataclass(frozen=True)
class Guard:
    """forged: share of a stretch's clusters that may lie (at least one may). clusters: fewest that can accuse."""

    forged: float = 0.1
    clusters: int = 3

    def allowed(self, clusters: int) -> int:
        return max(1, ceil(self.forged * clusters))


@dataclass(frozen=True)
class Settings:
    """Everything that shapes events. run_length_years: average time to a false event in all cells together."""

    run_length_years: float = 1.0
    slack: Slack = Slack()
    betting: Betting = Betting()
    guard: Guard = Guard()

    def threshold(self, cells: int) -> float:
        """log of what one cell's statistic must reach when `cells` are watched (a union bound over cells)."""
        return log(self.run_length_years * 365 * 24 * max(cells, 1))


SETTINGS = Settings()


@dataclass(frozen=True)
class Alarm:
    """raised: the turn that raised it. index: the one at which the stretch first stood out, which tells where it lies.
    start: first turn of the stretch. log_e: of the stretch without the loudest clusters; log_all: with them. ceiling:
    the baseline's, level: mean score while restricted, both at index."""

    raised: int
    index: int
    start: int
    log_e: float
    log_all: float
    ceiling: float
    level: float


def weekend(at: NDArray[Any]) -> NDArray[np.bool_]:
    """Saturday or Sunday, UTC (1 January 1970 was a Thursday)."""
    days: NDArray[np.bool_] = np.isin((at // DAY).astype(np.int64) % 7, (2, 3))
    return days


class Voices:
    """What each source of a stretch has said so far: its sum of log e-values, and whether much was bet on it.

    Who lies chooses when: a tenth that does so at noon every day is most of what is heard at noon.
    """

    def __init__(self, many: int) -> None:
        self._gains = np.zeros(many)
        self._spoke, self._bet = np.zeros(many, dtype=np.bool_), np.zeros(many, dtype=np.bool_)

    def add(self, cluster: int, gain: float, bet: float) -> None:
        self._gains[cluster] += gain
        self._spoke[cluster] = True
        self._bet[cluster] |= bet >= SPOKEN

    def clear(self) -> None:
        for column in (self._gains, self._spoke, self._bet):
            column.fill(0)

    @property
    def spoke(self) -> int:
        return int(self._spoke.sum())

    @property
    def heard(self) -> int:
        """How many were bet on."""
        return int(self._bet.sum())

    @property
    def accusing(self) -> int:
        """How many of these speak for it: whoever says the contrary is no witness of it."""
        return int((self._bet & (self._gains > 0)).sum())

    def without(self, loudest: int) -> float:
        """The sum of all but so many of those that speak loudest."""
        raised = self._gains[self._gains > 0]
        left = len(raised) - loudest
        return float(self._gains.sum()) - float((raised if left <= 0 else np.partition(raised, left)[left:]).sum())


SPOKEN = 0.1  # a turn counts its cluster as heard from this q times worth on
LOOK_BACK = 14 * 24  # hours


class Memory:
    """What was seen lately and at the same hours of earlier days, by whole hours since `first`."""

    def __init__(self, first: int, last: int, betting: Betting) -> None:
        self._betting = betting
        self._first = first - LOOK_BACK + 1
        size = last - self._first + 1
        self._restricted, self._turns = np.zeros(size), np.zeros(size)
        self._off = weekend((self._first + np.arange(size)) * HOUR)
        lag = np.arange(LOOK_BACK - 1, -1, -1.0)
        clock = np.minimum(lag % 24, 24 - lag % 24) / betting.clock_h
        self._recent = np.exp(-lag / betting.recent_h)
        self._clock = np.exp(-(clock**2) / 2 - lag / 24 / betting.days)

    def add(self, hour: int, restricted: float) -> None:
        self._restricted[hour - self._first] += restricted
        self._turns[hour - self._first] += 1

    def chance(self, hour: int) -> float:
        """q, the chance 0..1 that a turn in this hour is restricted."""
        at = hour - self._first
        past = slice(at - LOOK_BACK + 1, at + 1)
        same = self._off[past] == self._off[at]
        alike = self._recent + self._clock * np.where(same, 1.0, self._betting.other)
        return (self._betting.hope + float(alike @ self._restricted[past])) / (1 + float(alike @ self._turns[past]))


class Watch:
    """One network's walk through its turns; fed in order, from `begin` on, until it alarms or they end."""

    def __init__(
        self, cell: Turns, references: Sequence[float], settings: Settings, normal: NDArray[np.bool_], lent: Floats
    ) -> None:
        """references: by the cell's instrument index. normal: turns known to lie outside earlier events. lent: what
        silence adds to the evidence at each turn (`volume`), in nats."""
        self._cell = cell
        self._references = references
        self._settings = settings
        self._normal = normal
        self._lent = lent

    def run(self, begin: int, threshold: float, guarded: bool = True) -> Alarm | None:
        """First alarm at or after turn `begin`. threshold: of log e. guarded: without the loudest clusters, and only
        with enough of them; a suspicion does without."""
        cell, betting, guard = self._cell, self._settings.betting, self._settings.guard
        many = len(self._references)
        own = [Own() for _ in range(many)]  # up to the stretch's start: nothing judges itself
        before = self._normal[:begin]
        for index in np.flatnonzero(before).tolist():
            own[cell.instrument[index]].add(float(cell.score[index]))
        if begin >= len(cell):
            return None
        memory = Memory(int(cell.hour[begin]), int(cell.hour[-1]), betting)
        first, height, level_sum, level_n = begin, 0.0, 0.0, 0.0
        stood: Alarm | None = None
        voices = Voices(int(cell.cluster.max()) + 1)
        for index in range(begin, len(cell)):
            if height <= 0 and index > first and cell.hour[index] != cell.hour[index - 1]:
                for past in range(first, index):
                    own[cell.instrument[past]].add(float(cell.score[past]))
                first, height, level_sum, level_n = index, 0.0, 0.0, 0.0
                stood = None
                voices.clear()
            kind, x = int(cell.instrument[index]), float(cell.score[index])
            m = self._settings.slack.ceiling(own[kind], self._references[kind])
            p = (level_sum + betting.level * betting.level_weight) / (level_n + betting.level_weight)
            bet = min(memory.chance(int(cell.hour[index])), betting.most) * float(cell.worth[index])
            bet = bet if m < p else 0.0
            gain = log(1 + bet * (x - m) * (p - m) / (m * (1 - m))) if bet else 0.0
            restricted = min(max((x - m) / max(p - m, 0.05), 0.0), 1.0)
            memory.add(int(cell.hour[index]), restricted)
            level_sum += restricted * x
            level_n += restricted
            height += gain
            voices.add(int(cell.cluster[index]), gain, bet)
            needed = threshold - float(self._lent[index])
            if height >= needed:
                enough = voices.accusing >= guard.clusters
                stands = enough and voices.without(guard.allowed(voices.heard)) >= needed
                if not guarded or stands:
                    worth = voices.without(guard.allowed(voices.spoke))
                    stood = stood or Alarm(index, index, first, worth, height, m, p)
                    if not guarded or worth >= needed:
                        return replace(stood, raised=index, log_e=worth, log_all=height)
        return None
