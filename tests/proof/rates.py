"""How often something may happen that should happen with probability at most 1 / x."""

from collections.abc import Sequence

from scipy.stats import beta, binom

LEVELS = (20.0, 100.0, 1000.0)


def reached(e_values: Sequence[float]) -> dict[float, int]:
    """How many e-values reached each level."""
    return {level: sum(e >= level for e in e_values) for level in LEVELS}


def surprise(e_values: Sequence[float]) -> float:
    """The least probability, over the levels, that so many or more reach it if each does with 1 / level."""
    return min(float(binom.sf(hits - 1, len(e_values), 1 / level)) for level, hits in reached(e_values).items())


def interval(hits: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share (Biometrika 1934)."""
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, hits, of - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, of - hits)) if hits < of else 1.0
    return low, high
