"""One network by itself: a share, and a quantile, with intervals clustered by who measured.

Repeat testers dominate some networks; a hundred tests from one net are not a hundred witnesses.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, stdtrit

Floats = NDArray[np.float64]
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A number with its interval. n: measurements behind it; clusters: independent sources; worth: what n is worth."""

    value: float
    interval: tuple[float, float]
    n: int
    clusters: int
    worth: float


def _sums(values: Floats, clusters: Sequence[Hashable]) -> tuple[Floats, Floats]:
    """Sum and size of each cluster, in order of first appearance."""
    index: dict[Hashable, int] = {}
    at = np.array([index.setdefault(cluster, len(index)) for cluster in clusters], dtype=np.int64)
    sums = np.bincount(at, weights=values, minlength=len(index)).astype(np.float64)
    return sums, np.bincount(at, minlength=len(index)).astype(np.float64)


def _worth(values: Floats, clusters: Sequence[Hashable]) -> tuple[float, int]:
    """How many independent draws the mean of 0/1 values is worth (Kish's design effect by linearisation)."""
    sums, sizes = _sums(values, clusters)
    n, many, share = float(sizes.sum()), len(sizes), float(values.mean())
    if many < 2:
        return 1.0, many
    if share in (0.0, 1.0):
        return float(n**2 / np.sum(sizes**2)), many  # nothing to see the correlation by: a cluster counts once
    variance = many / (many - 1) * float(np.sum((sums - share * sizes) ** 2)) / n**2
    plain = share * (1 - share)
    # Few clusters know their own variance badly: the ratio of the quantiles' squares (Korn and Graubard 1998).
    stretch = (float(stdtrit(n - 1, 0.975)) / float(stdtrit(many - 1, 0.975))) ** 2
    return min(n, plain / variance * stretch) if variance > 0 else float(many), many


def share_of(counts: Sequence[tuple[float, float]], level: float = LEVEL) -> Estimate:
    """The same of counts: (hits, tests) of each cluster."""
    known = [(int(hits), int(tests), name) for name, (hits, tests) in enumerate(counts)]
    told = [i < hits for hits, tests, _ in known for i in range(tests)]
    return share(told, [name for _, tests, name in known for _ in range(tests)], level)


def share(hits: Sequence[bool], clusters: Sequence[Hashable], level: float = LEVEL) -> Estimate:
    """Share of True with Clopper and Pearson's two-sided interval at the effective number of tests (Korn, Graubard).

    Of nothing: the whole of 0..1.
    """
    if not len(hits):
        return Estimate(0.0, (0.0, 1.0), 0, 0, 0.0)
    values = np.asarray(hits, dtype=float)
    worth, many = _worth(values, clusters)
    value, tail = float(values.mean()), (1 - level) / 2
    found = value * worth
    lower = 0.0 if value == 0 else float(betaincinv(found, worth - found + 1, tail))
    upper = 1.0 if value == 1 else float(betaincinv(found + 1, worth - found, 1 - tail))
    return Estimate(value, (lower, upper), len(values), many, worth)


def quantile(values: Sequence[float], clusters: Sequence[Hashable], q: float, level: float = LEVEL) -> Estimate:
    """The q-quantile of values with Woodruff's interval (1952): bounds of the share below it, read off the values.

    Raises ValueError where there are no values.
    """
    if not len(values):
        raise ValueError("a quantile of nothing")
    array = np.asarray(values, dtype=float)
    point = float(np.quantile(array, q))
    worth, many = _worth((array <= point).astype(float), clusters)
    tail = (1 - level) / 2
    found = q * worth
    low, high = float(betaincinv(found, worth - found + 1, tail)), float(betaincinv(found + 1, worth - found, 1 - tail))
    bounds = np.quantile(array, [low, high], method="inverted_cdf")
    return Estimate(point, (float(bounds[0]), float(bounds[1])), len(array), many, worth)
