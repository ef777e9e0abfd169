"""Telling a rate limit from chance: which packets were lost, given a token bucket, against independent losses.

A policer admits a packet while its tokens cover it; a drop-tail queue drained at a fixed rate admits a packet while
there is room. Both are one rule (tokens = room), so one fit serves both; delay tells them apart afterwards.

The bucket is run along the packets that did arrive ("teacher forced"), so that errors do not add up: at each packet
the tokens left say whether it ought to pass. In a limited stretch losses follow the tokens; under random loss they
do not, and the likelihoods part by several units a loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from ringback.verdict.arrivals import UDP_HEADERS, Bools, Floats, Way

MIN_LOSSES = 8  # below that there is no pattern to speak of
TAILS = (0.0, 0.2, 0.4, 0.55, 0.7)  # the bucket may take half the call to run empty
STRETCHES = (0.94, 0.97, 0.985, 1.0, 1.015, 1.03, 1.06)
EDGE = 0.01  # of the rate: a stretch is cut at losses, where the bucket was emptier than on the average
SHARPNESS = 0.25  # packets of uncertainty in the tokens
BLOCK = 128  # packets whose likelihoods are taken at once
PLAIN = 50.0  # log likelihood ahead of chance that needs no closer look, nor a rival
CLOSER = ((2.0, 0.008), (1.0, 0.004), (0.25, 0.002))  # packets of burst and share of the rate, step by step


@dataclass(frozen=True)
class Bucket:
    """A fitted limit: kbit/s of IP packets with a 95 % interval, bytes of burst, and the log likelihood of the losses
    under it, to be compared with `chance` on the same packets."""

    rate_kbps: float
    interval: tuple[float, float]
    burst_bytes: float
    log_likelihood: float


@dataclass(frozen=True)
class Lines:
    """Flows as one matrix, a row a flow, padded: seconds since each flow's first packet, IP bytes, passed, real."""

    at: Floats
    size: Floats
    passed: Bools
    real: Bools


def lines(ways: Sequence[Way]) -> Lines:
    longest = max(way.packets for way in ways)
    shape = (len(ways), longest)
    at, size = np.zeros(shape), np.zeros(shape)
    passed, real = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for row, way in enumerate(ways):
        n = way.packets
        if not n:
            continue
        at[row, :n] = way.at - way.at[0]
        at[row, n:] = at[row, n - 1]
        size[row, :n] = way.size + UDP_HEADERS
        passed[row, :n] = way.passed
        real[row, :n] = True
    return Lines(at, size, passed, real)


def merged(ways: Sequence[Way]) -> Way:
    """Several flows as one, in order of leaving: what a limit per host meets."""
    at = np.concatenate([way.at for way in ways])
    order = np.argsort(at, kind="stable")
    return Way(
        at[order],
        np.concatenate([way.passed for way in ways])[order],
        np.concatenate([way.delay for way in ways])[order],
        np.concatenate([way.size for way in ways])[order],
        0,
    )


def chance(ways: Sequence[Way]) -> float:
    """Log likelihood of the losses where each depends at most on the packet before it (Gilbert), best fit. Chance has
    bursts, never the opposite: losses that avoid each other are what a limit makes."""
    counts = np.zeros((2, 2))
    for way in ways:
        if way.packets:
            before = np.concatenate(([True], way.passed[:-1]))
            for previous in (0, 1):
                counts[previous, 0] += int((~way.passed & (before == previous)).sum())
                counts[previous, 1] += int((way.passed & (before == previous)).sum())
    share = (counts + 0.5) / (counts.sum(axis=1, keepdims=True) + 1)
    if share[1, 0] > share[0, 0]:
        share[:] = (counts.sum(axis=0) + 0.5) / (counts.sum() + 1)
    return float((counts * np.log(share)).sum())


def fit(ways: Sequence[Way], background: float) -> Bucket | None:
    """The best token bucket for these flows, each with a bucket of its own. `background`: share that is lost anyhow
    (the controls'). None where too little is lost to tell."""
    ways = [way for way in ways if way.packets >= 10]
    if not ways or sum(way.packets - way.arrived for way in ways) < MIN_LOSSES:
        return None
    flows = lines(ways)
    # tails that agree to half a percent are tried once
    rates = list({round(200 * np.log(rate * by)): rate * by for rate in _rates(ways) for by in STRETCHES}.values())
    if not rates:
        return None
    candidates = [(rate, burst) for rate in rates for burst in _bursts(flows, rate)]
    rate = np.array([c[0] for c in candidates])
    burst = np.array([c[1] for c in candidates])
    background, behind = min(max(background, 0.003), 0.3), False
    scores = _log_likelihood(flows, rate, burst, background, behind)
    if scores.max() - chance(ways) <= PLAIN:  # a packet's tokens too many or too few are never made up for
        others = _log_likelihood(flows, rate, burst, background, True)
        scores, behind = (others, True) if others.max() > scores.max() else (scores, False)
    best = int(np.argmax(scores))
    found = float(rate[best]), float(burst[best]), float(scores[best])
    if found[2] - chance(ways) <= PLAIN:  # a quarter of a packet too many or too few tokens tell one from the other
        found = _closer(flows, *found, background, behind)
    estimate, interval = _refined(ways, found[0], found[1])
    return Bucket(estimate, interval, found[1], found[2])


def _closer(
    flows: Lines, rate: float, burst: float, score: float, background: float, behind: bool
) -> tuple[float, float, float]:
    """The best of the grid's neighbourhood: rate, burst and log likelihood."""
    packet = float(np.median(flows.size[flows.real]))
    for packets, share in CLOSER:
        steps = np.arange(-3, 4)
        rates, bursts = np.meshgrid(rate * (1 + share * np.arange(-2, 3)), burst + packets * packet * steps)
        scores = _log_likelihood(flows, rates.ravel(), np.maximum(bursts.ravel(), packet), background, behind)
        best = int(np.argmax(scores))
        if scores[best] > score:
            rate, burst, score = float(rates.ravel()[best]), float(bursts.ravel()[best]), float(scores[best])
    return rate, burst, score


def _rates(ways: Sequence[Way]) -> list[float]:
    """Bytes a second delivered between two losses, over several tails of the call, median over flows."""
    rates = []
    for tail in TAILS:
        slopes = [slope for way in ways if (slope := _slope(way, tail)) is not None]
        if slopes:
            rates.append(float(np.median(slopes)))
    return rates


def _slope(way: Way, tail: float) -> float | None:
    since = way.at[0] + tail * (way.at[-1] - way.at[0])
    lost = np.flatnonzero(~way.passed & (way.at >= since))
    if len(lost) < 3:
        return None
    first, last = lost[0], lost[-1]
    seconds = way.at[last] - way.at[first]
    got = ((way.size + UDP_HEADERS) * way.passed)[first:last].sum()
    return float(got / seconds) if seconds > 0.5 and got > 0 else None


def _bursts(flows: Lines, rate: float) -> set[float]:
    """How far the arrivals ran ahead of the rate: the greatest draw-up of bytes passed less rate times time."""
    ahead = np.cumsum(flows.size * flows.passed, axis=1) - rate * flows.at
    before = np.concatenate((np.zeros((len(ahead), 1)), ahead[:, :-1] + 0.0), axis=1)
    # tokens missing just before a packet is the draw-up since the lowest point so far, taken at the same instant
    low = np.minimum.accumulate(before - np.diff(flows.at, axis=1, prepend=0.0) * rate, axis=1)
    highest = np.max(np.where(flows.real, ahead - low, 0.0), axis=1)
    return {float(np.median(highest)), float(np.max(highest)), float(np.median(highest) * 0.85)}


def _log_likelihood(flows: Lines, rate: Floats, burst: Floats, background: float, behind: bool) -> Floats:
    """One figure for each (rate, burst). behind: whether what the link loses (background, a share) had passed the limit
    and taken its tokens along, or never came to it."""
    # packet by packet, since a bucket is; [packet, 1, flow], which meets [candidate, 1] or [candidate, flow]
    at, size = flows.at.T[:, None, :], flows.size.T[:, None, :]
    passed, real = flows.passed.T[:, None, :], flows.real.T[:, None, :]
    gaps = np.diff(at, axis=0, prepend=at[:1])
    scale, least = SHARPNESS * np.maximum(size, 1.0), -2 * np.maximum(size, 1.0)
    spent = np.where(real, size, 0.0)
    full = burst[:, None]
    tokens = np.repeat(full, size.shape[2], axis=1)
    total = np.zeros(len(rate))
    for begin in range(0, len(size), BLOCK):
        block = slice(begin, begin + BLOCK)
        income = rate[:, None] * gaps[block]
        level = np.empty(income.shape)  # tokens as each packet comes
        for i, here in enumerate(level, begin):
            np.minimum(full, np.add(tokens, income[i - begin], out=here), out=here)
            gone = passed[i] * spent[i]
            if behind:
                admit = _admitted(here, size[i], scale[i])
                gone = np.where(passed[i], 1.0, admit * background / (admit * background + 1 - admit)) * spent[i]
            np.maximum(np.subtract(here, gone, out=tokens), least[i], out=tokens)
        admit = _admitted(level, size[block], scale[block])
        lost = np.log1p(-admit * (1 - np.exp(np.log(background))))
        log = np.where(passed[block], np.log(admit) + np.log1p(-background), lost)
        for one in np.where(real[block], log, 0.0).sum(axis=2):
            total += one
    return total


def _admitted(tokens: Floats, size: Floats, scale: Floats) -> Floats:
    """The chance that a bucket with so many tokens lets a packet pass."""
    room = (tokens - size) / scale + 1.0
    chance: Floats = 1 / (1 + np.exp(-np.minimum(np.maximum(room, -5.0), 5.0)))
    return chance


def _refined(ways: Sequence[Way], rate: float, burst: float) -> tuple[float, tuple[float, float]]:
    """kbit/s with a 95 % interval over flows: the delivered rate from where the bucket is empty to the last loss."""
    slopes = []
    for way in ways:
        sizes = (way.size + UDP_HEADERS) * way.passed
        ahead = np.cumsum(sizes) - rate * (way.at - way.at[0])
        empty = np.flatnonzero((ahead > burst - 2.5 * np.median(way.size + UDP_HEADERS)) & ~way.passed)
        if len(empty) >= 3 and way.at[empty[-1]] - way.at[empty[0]] > 1.0:
            slopes.append(float(sizes[empty[0] : empty[-1]].sum() / (way.at[empty[-1]] - way.at[empty[0]])))
    if len(slopes) < 2:
        return rate / 125, (0.9 * rate / 125, 1.1 * rate / 125)
    middle = float(np.median(slopes)) / 125
    # one packet more or less at each end of the stretch is the grain of the figure
    seconds = float(np.median([way.at[-1] - way.at[0] for way in ways]))
    grain = float(np.median(np.concatenate([way.size for way in ways])) + UDP_HEADERS) / max(seconds, 1.0) / 125
    half = float(stdtrit(len(slopes) - 1, 0.975) * np.std(slopes, ddof=1) / np.sqrt(len(slopes))) / 125
    half = float(np.hypot(np.hypot(half, grain), EDGE * middle))
    return middle, (max(0.0, middle - half), middle + half)
