"""Populations of cells with known restricted shares, for the coverage of prevalence's intervals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from ringback.evidence.cells import Count
from ringback.evidence.prevalence import ErrorRates, prevalence

Shares = Callable[[Generator, int], np.ndarray]


@dataclass(frozen=True)
class Population:
    """shares: true shares of n cells. reports: mean reports of a participant. rho: how alike one participant's are."""

    name: str
    shares: Shares
    participants: tuple[int, int] = (1, 30)
    reports: float = 3.0
    rho: float = 0.3
    errors: ErrorRates = ErrorRates()


def _two_kinds(rng: Generator, n: int) -> np.ndarray:
    """Most networks restrict nobody, some nearly everybody."""
    return np.where(rng.random(n) < 0.6, 0.0, rng.beta(8, 1.5, n))


def _three_kinds(rng: Generator, n: int) -> np.ndarray:
    return rng.choice([0.0, 0.4, 1.0], n, p=[0.5, 0.2, 0.3])


def _logistic(rng: Generator, n: int) -> np.ndarray:
    return 1 / (1 + np.exp(-rng.normal(-1, 1.5, n)))


POPULATIONS = (
    Population("a spread of shares", lambda rng, n: rng.beta(1.2, 2.0, n)),
    Population("alike", lambda rng, n: rng.beta(12, 28, n)),
    Population("none or most", _two_kinds),
    Population("none, some or all", _three_kinds),
    Population("logistic-normal", _logistic),
    Population("erring verdicts", lambda rng, n: rng.beta(1.2, 2.0, n), errors=ErrorRates(0.03, 0.15, 0.7, 0.9)),
    Population("repeat testers", _logistic, participants=(2, 10), reports=20, rho=0.6),
    Population("few reports", lambda rng, n: rng.beta(1.0, 3.0, n), participants=(1, 4), reports=1.5),
)


def draw(population: Population, cells: int, rng: Generator) -> tuple[np.ndarray, list[Count]]:
    """True shares, and what was counted of them."""
    truth = population.shares(rng, cells)
    errors = population.errors
    counts = []
    for index, share in enumerate(truth):
        clusters, insufficient = [], 0
        for _ in range(rng.integers(population.participants[0], population.participants[1] + 1)):
            own = share
            if 0 < share < 1 and population.rho:
                size = 1 / population.rho - 1
                own = rng.beta(max(share * size, 1e-9), max((1 - share) * size, 1e-9))
            n = 1 + rng.poisson(population.reports - 1)
            restricted = rng.random(n) < own
            decided = rng.random(n) < np.where(restricted, errors.decided_restricted, errors.decided_working)
            said = rng.random(n) < np.where(restricted, 1 - errors.missed, errors.false_restricted)
            clusters.append((float(np.sum(said & decided)), float(np.sum(decided))))
            insufficient += int(np.sum(~decided))
        counts.append(Count(index, tuple(clusters), insufficient, len(clusters)))
    return truth, counts


def coverage(population: Population, seeds: range, cells: int = 60) -> tuple[float, float, float]:
    """Share of cells whose interval covers the truth, mean width, and the same coverage of uncorrected, unpooled
    Clopper-Pearson intervals over reports."""
    from scipy.stats import beta

    covered = plain = total = 0
    width = 0.0
    for seed in seeds:
        rng = np.random.default_rng([seed, 7])
        truth, counts = draw(population, cells, rng)
        for share, cell, found in zip(truth, counts, prevalence(counts, population.errors), strict=True):
            if found.interval is None:
                continue
            low, high = found.interval
            covered += low <= share <= high
            width += high - low
            k, n = cell.restricted, cell.usable
            plain += (k == 0 or beta.ppf(0.025, k, n - k + 1) <= share) and (
                k == n or share <= beta.ppf(0.975, k + 1, n - k)
            )
            total += 1
    return covered / total, width / total, plain / total
