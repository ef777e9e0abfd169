"""A history as turns: what one cluster said within one hour, in order of when it was measured, not of when it came."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ringback.evidence.cells import DAY, HOUR, Graded

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REPEAT = 0.5  # how alike one cluster's turns of a day are; a further turn is worth 1 / (1 + REPEAT k) after k others


@dataclass(frozen=True)
class Turns:
    """Index-aligned arrays. at: seconds UTC, rising. score: 0..1, the mean of the turn's measurements; n: their number.
    hour: whole hours since 1970. worth: 0..1, less for a cluster that spoke before within a day. cluster, instrument:
    indices of names."""

    at: Floats
    score: Floats
    hour: Ints
    cluster: Ints
    instrument: Ints
    worth: Floats
    n: Ints
    instruments: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.at)


def turns(history: Sequence[Graded]) -> Turns:
    """Measurements that attempted nothing are left out: they are `insufficient`, not failed."""
    clusters: dict[str, int] = {}
    instruments: dict[str, int] = {}
    merged: dict[tuple[int, int, int], list[float]] = {}
    for one in sorted(history, key=lambda one: (one.at, one.cluster, one.failed)):
        if one.attempted <= 0:
            continue
        cluster = clusters.setdefault(one.cluster, len(clusters))
        instrument = instruments.setdefault(one.instrument, len(instruments))
        seen = merged.setdefault((int(one.at // HOUR), cluster, instrument), [one.at, 0.0, 0.0])
        seen[1] += one.score
        seen[2] += 1
    order = sorted(merged.items(), key=lambda item: (item[1][0], item[0]))
    at = np.array([seen[0] for _, seen in order])
    cluster_of = np.array([key[1] for key, _ in order], dtype=np.int64)
    return Turns(
        at=at,
        score=np.array([seen[1] / seen[2] for _, seen in order]),
        hour=np.array([key[0] for key, _ in order], dtype=np.int64),
        cluster=cluster_of,
        instrument=np.array([key[2] for key, _ in order], dtype=np.int64),
        worth=1 / (1 + REPEAT * _spoken_before(at, cluster_of)),
        n=np.array([int(seen[2]) for _, seen in order], dtype=np.int64),
        instruments=tuple(instruments),
    )


def _spoken_before(at: Floats, cluster: Ints) -> Floats:
    """For each turn, how many turns of the same cluster lie within the day before it."""
    recent: dict[int, list[float]] = {}
    found = np.zeros(len(at))
    for index, (when, who) in enumerate(zip(at, cluster, strict=True)):
        own = [then for then in recent.get(int(who), []) if when - then < DAY]
        found[index] = len(own)
        recent[int(who)] = [*own, float(when)]
    return found
