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
from dataclasses import dataclass
from math import ceil, exp, log

import numpy as np
from numpy.typing import NDArray

from ringback.evidence.baseline import Slack
from ringback.evidence.cells import DAY, HOUR
from ringback.evidence.turns import Turns

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Betting:
    """How the chance q of "restricted now" is foretold; tuned in simulation, valid whatever the numbers.

    hope: q where nothing is known, weighing as much as one turn. recent_h: how long the last turns speak, e-folding.
    clock_h: width (standard deviation) of the same time of day. days: how long earlier days speak, e-folding. other: what
    a weekday says of a weekend and the other way round. level, level_weight: score while restricted before any was seen.
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
    """forged: share of a stretch's clusters that may lie (at least one may). clusters: fewest that can speak."""

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
    """index: the turn that raised it. start: first turn of the stretch. log_e: of the stretch without the loudest
    clusters; log_all: with them. ceiling: the baseline's, at the alarm. level: mean score while restricted."""

    index: int
    start: int
    log_e: float
    log_all: float
    ceiling: float
    level: float


def likeness(at: Floats, when: float, betting: Betting) -> Floats:
    """How much turns at times `at` say of the time `when`: same hours, same kind of day, or just before. (n,), 0..2."""
    ago = when - at
    recent = np.exp(-np.abs(ago) / (betting.recent_h * HOUR))
    return recent + alike_clock(at, when, betting) * np.exp(-np.abs(ago) / (betting.days * DAY))


def alike_clock(at: Floats, when: float, betting: Betting) -> Floats:
    """The same, by time of day and kind of day alone. (n,), 0..1."""
    apart = np.abs((at - when) % DAY)
    apart = np.minimum(apart, DAY - apart) / (betting.clock_h * HOUR)
    return np.exp(-(apart**2) / 2) * np.where(weekend(at) == bool(weekend(np.array([when]))[0]), 1.0, betting.other)


def weekend(at: Floats) -> NDArray[np.bool_]:
    """Saturday or Sunday, UTC (1 January 1970 was a Thursday)."""
    days: NDArray[np.bool_] = np.isin((at // DAY).astype(np.int64) % 7, (2, 3))
    return days


def trimmed(gains: Floats, clusters: Sequence[int], bets: Floats, guard: Guard) -> tuple[float, int]:
    """Sum of log e-values without the clusters that speak loudest, as many as may lie; and how many clusters bet."""
    each: dict[int, float] = {}
    betting: set[int] = set()
    for gain, cluster, bet in zip(gains, clusters, bets, strict=True):
        each[cluster] = each.get(cluster, 0.0) + float(gain)
        if bet >= SPOKEN:
            betting.add(cluster)
    loudest = sorted((gain for gain in each.values() if gain > 0), reverse=True)
    return float(np.sum(gains)) - sum(loudest[: guard.allowed(len(betting))]), len(betting)


SPOKEN = 0.1  # a turn counts its cluster as heard from this q times worth on


class Watch:
    """One network's walk through its turns; fed in order, from `begin` on, until it alarms or they end."""

    def __init__(self, cell: Turns, references: Sequence[float], settings: Settings, normal: NDArray[np.bool_]) -> None:
        """references: by the cell's instrument index. normal: turns known to lie outside earlier events."""
        self._cell = cell
        self._references = references
        self._settings = settings
        self._normal = normal

    def run(self, begin: int, threshold: float, guarded: bool = True) -> Alarm | None:
        """First alarm at or after turn `begin`. threshold: of log e. guarded: without the loudest clusters, and only
        with enough of them; a suspicion does without."""
        cell, betting, guard = self._cell, self._settings.betting, self._settings.guard
        many = len(self._references)
        own_total, own_n = np.zeros(many), np.zeros(many)  # up to the stretch's start: nothing judges itself
        before = self._normal[:begin]
        for index in np.flatnonzero(before):
            own_total[cell.instrument[index]] += cell.score[index]
            own_n[cell.instrument[index]] += 1
        gains, bets = np.zeros(len(cell)), np.zeros(len(cell))
        restricted = np.zeros(len(cell))
        first, height, level_sum, level_n = begin, 0.0, 0.0, 0.0
        floor = begin
        for index in range(begin, len(cell)):
            if height <= 0 and index > first and cell.hour[index] != cell.hour[index - 1]:
                for past in range(first, index):
                    own_total[cell.instrument[past]] += cell.score[past]
                    own_n[cell.instrument[past]] += 1
                first, height, level_sum, level_n = index, 0.0, 0.0, 0.0
            kind, x = int(cell.instrument[index]), float(cell.score[index])
            m = self._settings.slack.ceiling(own_total[kind], own_n[kind], self._references[kind])
            p = (level_sum + betting.level * betting.level_weight) / (level_n + betting.level_weight)
            while cell.at[floor] < cell.at[index] - 14 * DAY:
                floor += 1
            alike = likeness(cell.at[floor:index], float(cell.at[index]), betting)
            q = (betting.hope + float(alike @ restricted[floor:index])) / (1 + float(alike.sum()))
            bet = min(q, betting.most) * float(cell.worth[index])
            if m < p:
                gains[index] = log(1 + bet * (x - m) * (p - m) / (m * (1 - m)))
                bets[index] = bet
            restricted[index] = min(max((x - m) / max(p - m, 0.05), 0.0), 1.0) if m < 1 else 0.0
            level_sum += restricted[index] * x
            level_n += restricted[index]
            height = height + gains[index]
            if height >= threshold:
                stretch = slice(first, index + 1)
                worth, heard = trimmed(gains[stretch], cell.cluster[stretch].tolist(), bets[stretch], guard)
                if not guarded or (worth >= threshold and heard >= guard.clusters):
                    return Alarm(index, first, worth, height, m, p)
        return None


def average_run_length_hours(threshold: float) -> float:
    """What a threshold on log e promises: hours with data until a false alarm, on average, at least."""
    return exp(threshold)
