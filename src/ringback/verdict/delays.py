"""A delay beyond the controls', one way, of datagrams: its mean, although packets keep their order.

Where each packet is late by chance (jitter) and none may overtake the one ahead, those that are late hold up the ones
behind them: the median packet then comes later than the mean delay says, by the more, the closer packets follow one
another. That excess is the median of a distribution that follows from their spread and distance, and is taken off.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.special import ndtr

from ringback.verdict.arrivals import Floats, Way

IN_ORDER = 0.995  # of packets that come after the one before them: a network that keeps their order
JITTER = 4.0  # quartile distances that two packets of the controls hardly ever lie apart
RATIOS = np.linspace(0.1, 20.0, 200)  # standard deviations of the jitter, in distances between packets
AHEAD = 60  # packets ahead that may hold one up
PLACES = np.linspace(-4.0, 6.0, 401)


def excess(struck: Sequence[Way], spared: Sequence[Way]) -> float:
    """Seconds by which the median of the struck packets' delay lies above the mean of what was done to them."""
    wide, usual = spread(struck), spread(spared)
    apart = [float(np.median(np.diff(way.at))) for way in struck if way.packets > 2]
    if not apart or wide <= usual or not _in_order(struck, JITTER * usual):
        return 0.0
    own, distance = float(np.sqrt(wide**2 - usual**2)), float(np.median(apart))
    medians, spreads = _table()
    # quartiles of what is held up, in distances, rise with the ratio
    ratio = float(np.interp(own / max(distance, 1e-3), RATIOS * spreads, RATIOS))
    return float(np.interp(ratio, RATIOS, medians)) * ratio * distance


def spread(ways: Sequence[Way]) -> float:
    """Between the quartiles of delay, s, within each way."""
    own = [float(np.subtract(*np.nanpercentile(way.delay, [75, 25]))) for way in ways if way.arrived > 3]
    return float(np.median(own)) if own else 0.0


def _in_order(ways: Sequence[Way], by_chance: float) -> bool:
    """by_chance: s by which packets that go on together overtake one another on the rest of the way."""
    later = [np.diff((way.at + way.delay)[way.passed]) >= -by_chance for way in ways if way.arrived > 1]
    return bool(later) and float(np.mean(np.concatenate(later))) >= IN_ORDER


@cache  # a quarter of a second, which most processes never need
def _table() -> tuple[Floats, Floats]:
    """Of each ratio: median and distance of quartiles, in standard deviations, of a packet's delay where it and all
    those ahead of it have come."""
    steps = np.arange(AHEAD)
    medians, spreads = [], []
    for ratio in RATIOS:
        below = np.prod(ndtr(PLACES[:, None] + steps / ratio), axis=1)
        low, middle, high = np.interp([0.25, 0.5, 0.75], below, PLACES)
        medians.append(middle)
        spreads.append(high - low)
    return np.array(medians), np.array(spreads)
