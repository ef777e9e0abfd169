"""Bounds of a share that was counted: Clopper and Pearson's, also where the counts came in clusters."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Share:
    """A counted share 0..1 with its one-sided bounds (95 % unless said). n: independent units that it is worth."""

    value: float
    lower: float
    upper: float
    n: float


def counted(hits: float, n: float, confidence: float = CONFIDENCE) -> Share:
    """Of n independent tries, `hits` succeeded; either may be fractional (an effective number)."""
    if n <= 0:
        return Share(0.0, 0.0, 1.0, 0.0)
    lower = 0.0 if hits <= 0 else float(betaincinv(hits, n - hits + 1, 1 - confidence))
    upper = 1.0 if hits >= n else float(betaincinv(hits + 1, n - hits, confidence))
    return Share(hits / n, lower, upper, n)


def clustered(hits: Sequence[float], sizes: Sequence[float], confidence: float = CONFIDENCE) -> Share:
    """Each cluster (a flow) had `hits` successes of `sizes` tries that need not be independent: the tries are worth
    fewer by the design effect, the variance between clusters over what independent tries would show (Kish 1965), but
    never fewer than the clusters."""
    total = float(np.sum(sizes))
    clusters = len(sizes)
    if total <= 0:
        return counted(0, 0, confidence)
    share = float(np.sum(hits)) / total
    worth = total
    if clusters > 1 and 0 < share < 1:
        each = np.asarray(hits, dtype=float) - share * np.asarray(sizes, dtype=float)
        variance = clusters / (clusters - 1) * float(np.sum(each**2)) / total**2
        worth = max(float(clusters), total / max(1.0, variance * total / (share * (1 - share))))
    return counted(share * worth, worth, confidence)
