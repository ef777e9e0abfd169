"""A history as turns: what one cluster said within one hour, in order of when it was measured, not of when it came."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ringback.evidence.cells import DAY, HOUR, Column, Graded

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


def turns(history: Sequence[Graded] | Column) -> Turns:
    """Measurements that attempted nothing are left out: they are `insufficient`, not failed."""
    column = history if isinstance(history, Column) else _column(history)
    rows = np.flatnonzero(column.attempted > 0)
    rows = rows[np.lexsort((column.failed[rows], column.cluster[rows], column.at[rows]))]
    each = column.at[rows]
    cluster, _ = _by_appearance(column.cluster[rows])
    instrument, named = _by_appearance(column.instrument[rows])
    hour = (each // HOUR).astype(np.int64)
    merged = (hour * (cluster.max(initial=0) + 1) + cluster) * len(named) + instrument
    _, first, turn = np.unique(merged, return_index=True, return_inverse=True)
    score = np.bincount(turn, column.failed[rows] / column.attempted[rows], len(first))  # adds in the rows' order
    many = np.bincount(turn, minlength=len(first))
    order = np.lexsort((instrument[first], cluster[first], hour[first], each[first]))
    first = first[order]
    at, cluster_of = each[first], cluster[first]
    return Turns(
        at=at,
        score=score[order] / many[order],
        hour=hour[first],
        cluster=cluster_of,
        instrument=instrument[first],
        worth=1 / (1 + REPEAT * _spoken_before(at, cluster_of)),
        n=many[order].astype(np.int64),
        instruments=tuple(column.instruments[name] for name in named.tolist()),
    )


def _column(history: Sequence[Graded]) -> Column:
    places = {name: place for place, name in enumerate(sorted({one.cluster for one in history}))}
    instruments = tuple(dict.fromkeys(one.instrument for one in history))
    named = {name: place for place, name in enumerate(instruments)}
    return Column(
        at=np.array([one.at for one in history], dtype=np.float64),
        cluster=np.array([places[one.cluster] for one in history], dtype=np.int64),
        attempted=np.array([one.attempted for one in history], dtype=np.int64),
        failed=np.array([one.failed for one in history], dtype=np.int64),
        instrument=np.array([named[one.instrument] for one in history], dtype=np.int64),
        instruments=instruments,
    )


def _by_appearance(values: Ints) -> tuple[Ints, Ints]:
    """Numbers from 0 in order of appearance, and which value each of them stands for."""
    apart, first, place = np.unique(values, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(apart), dtype=np.int64)
    rank[order] = np.arange(len(apart))
    return rank[place], apart[order]


def _spoken_before(at: Floats, cluster: Ints) -> Floats:
    """For each turn, how many turns of the same cluster lie within the day before it."""
    order = np.argsort(cluster, kind="stable")  # each cluster's by itself, in order of time
    when, who = at[order], cluster[order]
    found = np.zeros(len(at))
    for lag in range(1, len(at)):
        near = (who[lag:] == who[:-lag]) & (when[lag:] - when[:-lag] < DAY)
        if not near.any():  # nor is any that lies further back
            break
        found[order[lag:]] += near
    return found
