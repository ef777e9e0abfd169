"""How much of a cell is restricted, with an interval: partially pooled, and corrected for the verdict's own errors.

The restricted share of a cell is drawn from its pool's law: some cells are not restricted at all (an atom at 0), some
wholly (an atom at 1), the others follow a Beta. The law is not chosen but averaged over a grid, weighted by how well it
foretells all the pool's counts (hierarchical Bayes by quadrature; cf. Gelman et al., Bayesian Data Analysis, 3rd ed.,
ch. 5), so a cell with few reports leans on its pool and one with many stands by itself. Reports of one participant
count by the pool's own intra-cluster correlation, and pseudonyms of several days as people of the busiest one. Verdicts
err and abstain: what is compared with the counts is the share of `restricted` among decided verdicts that a true share
would give (Rogan and Gladen 1978).
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from ringback.evidence.cells import Count

Floats = NDArray[np.float64]
LEVEL = 0.95

EDGES = np.unique(
    np.concatenate(
        ([0.0], np.geomspace(1e-5, 0.05, 60), np.linspace(0.05, 0.95, 181), 1 - np.geomspace(0.05, 1e-5, 60), [1.0])
    )
)
MIDDLES = (EDGES[1:] + EDGES[:-1]) / 2
POINTS: Floats = np.concatenate(([0.0], MIDDLES, [1.0]))  # the two atoms, and the middles of the bins between

MEANS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97)
SIZES = (0.5, 1.0, 2.0, 5.0, 12.0, 30.0, 100.0)
NONE_SHARES = (0.02, 0.25, 0.5, 0.75, 0.95)
WHOLE_SHARES = (0.01, 0.1, 0.3, 0.6)


@dataclass(frozen=True)
class ErrorRates:
    """What verdicts do, as chances 0..1.

    false_restricted: a decided verdict on an unrestricted network says `restricted` (the verdict's alpha bounds it).
    missed: a decided verdict on a restricted one says `working` (it needs an e-value of 100 against each harm).
    decided_restricted, decided_working: a verdict is reached at all, on either kind of network; their ratio counts.
    """

    false_restricted: float = 0.001
    missed: float = 0.01
    decided_restricted: float = 1.0
    decided_working: float = 1.0

    def apparent(self, shares: Floats) -> Floats:
        """Share of `restricted` among decided verdicts, for each true share."""
        hit, clear = shares * self.decided_restricted, (1 - shares) * self.decided_working
        return (hit * (1 - self.missed) + clear * self.false_restricted) / (hit + clear)


VERDICT_ERRORS = ErrorRates()


@dataclass(frozen=True)
class Posterior:
    """What is known of a cell's restricted share of decided tests: weights over POINTS, which sum to 1. missing: part
    0..1 of its tests that failed undecided, of which all or none may have been restricted."""

    weights: Floats
    missing: float = 0.0

    def mean(self) -> float:
        return float(self.weights @ POINTS)

    def quantiles(self, levels: Sequence[float]) -> list[float]:
        """Shares at the given levels 0..1; an atom answers for its whole weight, a bin is read linearly."""
        none, whole, bins = self.weights[0], self.weights[-1], self.weights[1:-1]
        asked = np.asarray(levels, dtype=float)
        read = np.interp(asked, none + np.concatenate(([0.0], np.cumsum(bins))), EDGES)
        found: list[float] = np.where(asked <= none, 0.0, np.where(asked >= 1 - whole, 1.0, read)).tolist()
        return found

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Equal tails of the share if the cell is restricted in part, and 0 and 1 each while its chance exceeds a tail.

        So it covers at its level within each kind of cell (none, part, all), as prediction regions by class do (Vovk,
        Gammerman and Shafer 2005, "Algorithmic Learning in a Random World", ch. 4.5): equal tails of the whole would
        let a pool with many unrestricted cells answer for one of which nobody that is restricted happened to report.
        """
        none, whole, bins = self.weights[0], self.weights[-1], self.weights[1:-1]
        tail = (1 - level) / 2
        inside = np.concatenate(([0.0], np.cumsum(bins)))
        low, high = np.interp(np.array([tail, 1 - tail]) * inside[-1], inside, EDGES)
        return (0.0 if none > tail else float(low)), (1.0 if whole > tail else float(high))


@dataclass(frozen=True)
class Prevalence:
    """restricted: mean share 0..1 of what was decided, None where nothing was; interval: 95 %, whatever the doubtful
    reports may have met; n: decided reports."""

    key: Hashable
    restricted: float | None
    interval: tuple[float, float] | None
    n: int
    participants: int
    insufficient: int
    posterior: Posterior | None


ODD = 0.05  # share of cells that may lie anywhere, so that an outlier with many reports stands by itself


@cache
def _laws() -> Floats:
    """(laws, points): each row one law of a pool, as weights over POINTS."""
    between = np.array([np.diff(betainc(m * s, (1 - m) * s, EDGES)) for m, s in product(MEANS, SIZES)])
    between = (1 - ODD) * between + ODD * np.diff(EDGES)
    rows = [
        np.concatenate(
            (np.full((len(between), 1), none), between * (1 - none - whole), np.full((len(between), 1), whole)), axis=1
        )
        for none, whole in product(NONE_SHARES, WHOLE_SHARES)
        if none + whole < 1
    ]
    laws: Floats = np.concatenate(rows)
    laws.setflags(write=False)
    return laws


def correlation(cells: Sequence[Count]) -> float:
    """Intra-cluster correlation 0..1 of a pool: how much less two reports of one participant differ than two
    participants of one cell do. 1, a participant counts once, where nothing shows it."""
    within = within_pairs = between = between_pairs = 0.0
    for cell in cells:
        hits = np.array([restricted for restricted, _ in cell.clusters])
        sizes = np.array([usable for _, usable in cell.clusters])
        many = sizes > 1
        within += float(np.sum(2 * hits[many] * (sizes[many] - hits[many]) / (sizes[many] - 1)))
        within_pairs += float(np.sum(sizes[many]))
        pairs = float(sizes.sum() ** 2 - np.sum(sizes**2))
        if pairs > 0:
            differing = float(hits.sum() * (sizes - hits).sum() - np.sum(hits * (sizes - hits)))
            weight = float(sizes.sum())
            between += weight * 2 * differing / pairs
            between_pairs += weight
    if within_pairs == 0 or between_pairs == 0 or between == 0:
        return 1.0
    return float(np.clip(1 - (within / within_pairs) / (between / between_pairs), 0.0, 1.0))


def worth(cell: Count, rho: float) -> tuple[float, float]:
    """(restricted, usable) in independent reports: n of one participant are worth n / (1 + (n - 1) rho), and
    pseudonyms of different days no more than the people who are known to be different."""
    hits = np.array([restricted for restricted, _ in cell.clusters], dtype=float)
    sizes = np.array([usable for _, usable in cell.clusters], dtype=float)
    hits, sizes = hits[sizes > 0], sizes[sizes > 0]
    shrink = cell.known / (1 + (sizes - 1) * rho)
    return float(np.sum(hits * shrink)), float(np.sum(sizes * shrink))


def _pool(cells: Sequence[Count], errors: ErrorRates) -> list[Posterior]:
    rho = correlation(cells)
    counts = np.array([worth(cell, rho) for cell in cells])
    apparent = np.clip(errors.apparent(POINTS), 1e-12, 1 - 1e-12)
    logs = counts[:, :1] * np.log(apparent) + (counts[:, 1:] - counts[:, :1]) * np.log1p(-apparent)
    likelihood = np.exp(logs - logs.max(axis=1, keepdims=True))
    laws = _laws()
    foretold = likelihood @ laws.T  # (cells, laws)
    fit = np.log(np.maximum(foretold, 1e-300)).sum(axis=0)
    weight = np.exp(fit - fit.max())
    weight /= weight.sum()
    mixed = (weight / np.maximum(foretold, 1e-300)) @ laws  # the law that each cell sees, given all the others
    posterior = likelihood * mixed
    posterior /= posterior.sum(axis=1, keepdims=True)
    return [Posterior(row, cell.missing) for row, cell in zip(posterior, cells, strict=True)]


def prevalence(cells: Sequence[Count], errors: ErrorRates = VERDICT_ERRORS, level: float = LEVEL) -> list[Prevalence]:
    """One a cell, in the order given. Cells without a decided report answer None: missing, never green."""
    pools: dict[Hashable, list[int]] = {}
    for index, cell in enumerate(cells):
        if cell.usable > 0:
            pools.setdefault(cell.pool, []).append(index)
    posteriors: dict[int, Posterior] = {}
    for members in pools.values():
        posteriors |= zip(members, _pool([cells[index] for index in members], errors), strict=True)
    found = []
    for index, cell in enumerate(cells):
        known = posteriors.get(index)
        found.append(
            Prevalence(
                key=cell.key,
                restricted=known.mean() if known else None,
                interval=cell.of_all(known.interval(level)) if known else None,
                n=round(cell.usable),
                participants=cell.participants,
                insufficient=cell.insufficient,
                posterior=known,
            )
        )
    return found
