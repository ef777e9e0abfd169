"""Differences between groups: region against region, app against app on the same networks, direct against tunnel."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ringback.evidence.prevalence import Posterior

Floats = NDArray[np.float64]
Named = TypeVar("Named", bound=Hashable)
LEVEL = 0.95
DRAWS = 4000


@dataclass(frozen=True)
class Difference:
    """value in -1..1 or a share in 0..1, its interval, and n networks behind it. withheld: why there is no value."""

    value: float | None
    interval: tuple[float, float] | None
    n: int
    withheld: str | None = None

    @property
    def settled(self) -> bool:
        """Whether the interval lies wholly on one side of 0."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


def draws(posterior: Posterior, rng: np.random.Generator) -> Floats:
    """DRAWS shares, one of each equal slice of the posterior, in random order."""
    levels = (np.arange(DRAWS) + 0.5) / DRAWS
    return np.asarray(rng.permutation(posterior.quantiles(levels.tolist())), dtype=np.float64)


def mean_share(networks: Sequence[Posterior], rng: np.random.Generator) -> Floats:
    """The mean restricted share over networks, each counting once, as draws."""
    return np.asarray(np.mean([draws(one, rng) for one in networks], axis=0), dtype=np.float64)


def _told(found: Floats, n: int, level: float) -> Difference:
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Difference(float(found.mean()), (float(low), float(high)), n)


def between(
    here: Sequence[Posterior], there: Sequence[Posterior], rng: np.random.Generator, level: float = LEVEL
) -> Difference:
    """Mean restricted share here minus there (S9)."""
    if not here or not there:
        return Difference(None, None, len(here) + len(there), "no networks with a decided verdict on one side")
    return _told(mean_share(here, rng) - mean_share(there, rng), len(here) + len(there), level)


def each_against_the_rest(
    groups: Mapping[Named, Sequence[Posterior]], rng: np.random.Generator, level: float = LEVEL
) -> dict[Named, Difference]:
    """`between` of each group and all others, at a level that holds for all groups together (Bonferroni). Nothing of a
    single group."""
    sums = {name: np.sum([draws(one, rng) for one in own], axis=0) for name, own in groups.items() if own}
    if len(sums) < 2:
        return {}
    sizes = {name: len(groups[name]) for name in sums}
    whole, every = np.sum(list(sums.values()), axis=0), sum(sizes.values())
    shared = 1 - (1 - level) / len(sums)
    return {
        name: _told(own / sizes[name] - (whole - own) / (every - sizes[name]), every, shared)
        for name, own in sums.items()
    }


def preference_gap(
    comparator: Mapping[Named, Posterior],
    others: Mapping[Named, Posterior],
    rng: np.random.Generator,
    verified: bool,
    level: float = LEVEL,
) -> Difference:
    """works(comparator) - works(others) on the networks that have both (S10); withheld while the comparator's wire is
    unverified, since a wire that no operator knows would work everywhere."""
    if not verified:
        return Difference(None, None, 0, "the comparator's wire is unverified")
    shared = sorted(comparator.keys() & others.keys(), key=repr)
    if not shared:
        return Difference(None, None, 0, "no network has both apps")
    gaps = [draws(others[key], rng) - draws(comparator[key], rng) for key in shared]
    return _told(np.asarray(np.mean(gaps, axis=0)), len(shared), level)
