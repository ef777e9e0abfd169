"""Differences between groups: region against region, app against app on the same networks, direct against tunnel."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ringback.evidence.prevalence import Posterior

Floats = NDArray[np.float64]
Named = TypeVar("Named", bound=Hashable)
LEVEL = 0.95
DRAWS = 4000

Network = Posterior | None
"""A network's share; None: tests failed there and none was decided, so that all or none may have been restricted."""


@dataclass(frozen=True)
class Difference:
    """value of what was decided, in -1..1 or a share in 0..1; its interval, whatever tests that failed undecided may
    have met; and n networks with something decided behind it. withheld: why there is no value."""

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


@dataclass(frozen=True)
class _Mean:
    """A mean share over networks as draws, of the decided; least and most: with the undecided failures none or all
    restricted (as in `Count.of_all`)."""

    decided: Floats
    least: Floats
    most: Floats

    def minus(self, other: "_Mean") -> "_Mean":
        """The difference; its bounds are those of the worst case on either side, since both may err apart."""
        return _Mean(self.decided - other.decided, self.least - other.most, self.most - other.least)


@dataclass(frozen=True)
class _Sum:
    """Shares of n networks, added up draw by draw: of what `known` of them decided, these as parts of all tests, and
    the parts that are missing. Whole sums can be taken apart again, so that all others of a group cost no drawing."""

    known: int = 0
    n: int = 0
    decided: Floats | float = 0.0
    part: Floats | float = 0.0
    missing: float = 0.0

    @classmethod
    def of(cls, networks: Sequence[Network], rng: np.random.Generator) -> "_Sum":
        found = cls()
        for one in networks:
            if one is None:
                found += cls(n=1, missing=1.0)
                continue
            own = draws(one, rng)
            found += cls(1, 1, own, (1 - one.missing) * own, one.missing)
        return found

    def __add__(self, other: "_Sum") -> "_Sum":
        return _Sum(
            self.known + other.known,
            self.n + other.n,
            self.decided + other.decided,
            self.part + other.part,
            self.missing + other.missing,
        )

    def __sub__(self, other: "_Sum") -> "_Sum":
        return _Sum(
            self.known - other.known,
            self.n - other.n,
            self.decided - other.decided,
            self.part - other.part,
            self.missing - other.missing,
        )

    def bounds_only(self) -> "_Sum":
        """The same, with no say in the value of what was decided."""
        return replace(self, known=0, decided=0.0)

    def mean(self) -> _Mean:
        decided = np.asarray(self.decided, dtype=np.float64) / self.known
        least = np.asarray(self.part, dtype=np.float64) / self.n
        return _Mean(decided, least, least + self.missing / self.n)


def mean_share(networks: Sequence[Posterior], rng: np.random.Generator) -> Floats:
    """The mean restricted share of decided tests over networks, each counting once, as draws."""
    return np.asarray(np.mean([draws(one, rng) for one in networks], axis=0), dtype=np.float64)


def _told(found: _Mean, n: int, level: float) -> Difference:
    low, high = np.quantile(found.least, (1 - level) / 2), np.quantile(found.most, (1 + level) / 2)
    return Difference(float(found.decided.mean()), (float(low), float(high)), n)


def between(
    here: Sequence[Network], there: Sequence[Network], rng: np.random.Generator, level: float = LEVEL
) -> Difference:
    """Mean restricted share here minus there (S9)."""
    sums = [_Sum.of(side, rng) for side in (here, there)]
    n = sum(one.known for one in sums)
    if not all(one.known for one in sums):
        return Difference(None, None, n, "no networks with a decided verdict on one side")
    return _told(sums[0].mean().minus(sums[1].mean()), n, level)


def each_against_the_rest(
    groups: Mapping[Named, Sequence[Network]], rng: np.random.Generator, level: float = LEVEL
) -> dict[Named, Difference]:
    """`between` of each group and all others, at a level that holds for all groups together (Bonferroni). Nothing of a
    group in which nothing was decided, though its failures stand among the others'; nothing of a single group."""
    sums = {name: _Sum.of(own, rng) for name, own in groups.items()}
    whole = sum(sums.values(), start=_Sum())
    told = {name: own for name, own in sums.items() if own.known}
    if len(told) < 2:
        return {}
    shared = 1 - (1 - level) / len(told)
    return {name: _told(own.mean().minus((whole - own).mean()), whole.known, shared) for name, own in told.items()}


def preference_gap(
    comparator: Mapping[Named, Network],
    others: Mapping[Named, Network],
    rng: np.random.Generator,
    verified: bool,
    level: float = LEVEL,
) -> Difference:
    """works(comparator) - works(others) on the networks that have both (S10); withheld while the comparator's wire is
    unverified, since a wire that no operator knows would work everywhere."""
    if not verified:
        return Difference(None, None, 0, "the comparator's wire is unverified")
    shared = sorted(comparator.keys() & others.keys(), key=repr)
    both = [key for key in shared if comparator[key] is not None and others[key] is not None]
    if not both:
        return Difference(None, None, 0, "no network has both apps")
    doubted = [key for key in shared if key not in set(both)]
    blocked, spared = (
        _Sum.of([of[key] for key in both], rng) + _Sum.of([of[key] for key in doubted], rng).bounds_only()
        for of in (others, comparator)
    )
    return _told(blocked.mean().minus(spared.mean()), len(both), level)
