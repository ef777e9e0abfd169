"""Simulated histories of networks with known truth: hostile but unrestricted ones, and bans of several kinds.

Nothing here was fitted to a real country's truth: noise, rates and bans are drawn wide.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from ringback.evidence.cells import DAY, HOUR, Graded

START = 1_700_006_400.0 - 1_700_006_400.0 % DAY  # a Wednesday, 00:00 UTC
DAYS = 45
ENDPOINTS = 12

Flags = np.ndarray


@dataclass(frozen=True)
class Noise:
    """What goes wrong where nothing is restricted. some: share of measurements with 1-4 of 12 failing; whole: with all
    failing; clusters: sources, Zipf-distributed; outages: a month, 1-3 h in which half of all measurements fail whole;
    odd: a source that fails 5 of 12 always; drift: factor of `some` at the end; diurnal: `some` doubles in the evening;
    upgrade: day from which a new instrument fails 3 of 12 more."""

    some: float = 0.11
    whole: float = 0.01
    clusters: int = 40
    outages: float = 0.0
    odd: bool = False
    drift: float = 1.0
    diurnal: bool = False
    upgrade: float | None = None
    collapse: float | None = None  # day from which only one report in ten comes
    endpoints: int = ENDPOINTS
    equal: bool = False  # sources report equally often


@dataclass(frozen=True)
class Ban:
    """onset, end: days after START. active: of (seconds), whether it restricts then. share: of the sources behind it.
    failing: fewest and most endpoints of 12 that fail; silenced: share of blocked reports that never come."""

    onset: float
    end: float
    active: Callable[[np.ndarray], Flags]
    share: float = 1.0
    failing: tuple[int, int] = (8, 12)
    silenced: float = 0.0


def always(at: np.ndarray) -> Flags:
    return np.ones(len(at), dtype=bool)


def hours(*spans: tuple[float, float], days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)) -> Callable[[np.ndarray], Flags]:
    """Daily windows (from, to; UTC hours) on the given days of the week, Monday = 0."""

    def active(at: np.ndarray) -> Flags:
        clock = (at % DAY) / HOUR
        day = ((at // DAY).astype(int) + 3) % 7
        return np.isin(day, days) & np.logical_or.reduce([(clock >= a) & (clock < b) for a, b in spans])

    return active


def history(
    rng: Generator, rate: float, noise: Noise = Noise(), ban: Ban | None = None, days: int = DAYS
) -> list[Graded]:
    """rate: reports a day."""
    n = rng.poisson(rate * days)
    clock = np.where(rng.random(n) < 0.5, rng.random(n), np.clip(rng.normal(0.55, 0.18, n), 0, 0.999))
    at = np.sort(START + (rng.integers(0, days, n) + clock) * DAY)
    since = (at - START) / DAY
    weights = np.ones(noise.clusters) if noise.equal else 1 / np.arange(1, noise.clusters + 1)
    cluster = rng.choice(noise.clusters, n, p=weights / weights.sum())
    some = noise.some * (1 + (noise.drift - 1) * since / days)
    if noise.diurnal:
        some = some * np.where(np.abs(at % DAY / HOUR - 18) < 3, 2.0, 0.8)
    failed = np.where(rng.random(n) < some, rng.integers(1, 5, n), 0)
    failed[rng.random(n) < noise.whole] = ENDPOINTS
    for _ in range(rng.poisson(noise.outages * days / 30)):
        begin = rng.random() * days
        hit = (since >= begin) & (since < begin + rng.uniform(1, 3) / 24)
        failed[hit & (rng.random(n) < 0.5)] = ENDPOINTS
    if noise.odd:
        failed[cluster == 1] = np.maximum(failed[cluster == 1], 5)
    keep = np.ones(n, dtype=bool)
    instrument = np.full(n, "1", dtype=object)
    if noise.upgrade is not None:
        new = since >= noise.upgrade
        failed[new] = np.minimum(failed[new] + 3, ENDPOINTS)
        instrument[new] = "2"
    if noise.collapse is not None:
        keep &= (since < noise.collapse) | (rng.random(n) < 0.1)
    if ban is not None:
        behind = rng.random(noise.clusters) < ban.share
        hit = (since >= ban.onset) & (since < ban.end) & ban.active(at) & behind[cluster]
        failed = np.where(hit, np.maximum(failed, rng.integers(ban.failing[0], ban.failing[1] + 1, n)), failed)
        keep &= ~hit | (rng.random(n) >= ban.silenced)
    if noise.endpoints == 1:
        failed = np.where(failed >= ENDPOINTS // 2, 1, 0)
    return [
        Graded(float(t), f"s{c}", noise.endpoints, int(f), str(i))
        for t, c, f, i in zip(at[keep], cluster[keep], failed[keep], instrument[keep], strict=True)
    ]


NULLS: dict[str, Noise] = {
    "plain": Noise(),
    "noisy": Noise(some=0.4, whole=0.03),
    "outages": Noise(outages=3),
    "odd probe": Noise(odd=True, clusters=12),
    "drift": Noise(drift=3.0),
    "evenings": Noise(diurnal=True),
    "upgrade": Noise(upgrade=20.0),
    "collapse": Noise(collapse=22.0),
    "verdicts": Noise(some=0.0, whole=0.03, endpoints=1),
    "few sources": Noise(clusters=4),
}


@dataclass(frozen=True)
class Kind:
    """A kind of ban, drawn anew for each history."""

    name: str
    draw: Callable[[Generator], Ban]
    noise: Noise = field(default_factory=Noise)


def _span(rng: Generator, short: float = 6, long: float = 18) -> tuple[float, float]:
    onset = rng.uniform(12, 22)
    return onset, onset + rng.uniform(short, long)


def _unbroken(rng: Generator) -> Ban:
    return Ban(*_span(rng), active=always)


def _daily(rng: Generator) -> Ban:
    first = rng.uniform(3, 10)
    second = first + rng.uniform(5, 8)
    return Ban(*_span(rng), active=hours((first, first + rng.uniform(2, 4)), (second, second + rng.uniform(2, 4))))


def _weekdays(rng: Generator) -> Ban:
    first = rng.uniform(3, 12)
    spans = ((first, first + rng.uniform(3, 5)), (first + 6, first + 6 + rng.uniform(2, 4)))
    return Ban(*_span(rng, 11, 20), active=hours(*spans, days=(0, 1, 2, 3, 4)))


def _nights(rng: Generator) -> Ban:
    return Ban(*_span(rng), active=hours((0, 6), (21, 24)))


def _partial(rng: Generator) -> Ban:
    return Ban(*_span(rng), active=always, share=rng.uniform(0.4, 0.7))


def _graded(rng: Generator) -> Ban:
    return Ban(*_span(rng), active=always, failing=(5, 8))


def _silenced(rng: Generator) -> Ban:
    return Ban(*_span(rng), active=always, silenced=0.85)


KINDS = (
    Kind("unbroken", _unbroken),
    Kind("daily windows", _daily),
    Kind("weekday windows", _weekdays),
    Kind("nights", _nights),
    Kind("part of the sources", _partial),
    Kind("part of the endpoints", _graded),
    Kind("reports silenced", _silenced),
    Kind("verdicts", _unbroken, Noise(some=0.0, whole=0.03, endpoints=1)),
)
