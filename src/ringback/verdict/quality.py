"""What a listener would have thought: MOS of a call from its delay and loss (ITU-T G.107, 06/2015, the E-model).

    R = 93.2 - Id - Ie,eff                                     (7.1, all that we can't see left at its default)
    Ie,eff = Ie + (95 - Ie) * Ppl / (Ppl / BurstR + Bpl)       (7-29)

Simplifications, all in the standard's own terms. Echo is taken as perfectly cancelled (messengers cancel it), so of
the delay impairment only Idd (7-27, mT = 100 ms, sT = 1) is left. Ie and Bpl belong to an app's codec and come from
the catalogue.

The far side plays out through a *fixed-plus* buffer: packets wait until the median one-way delay plus 40 ms plus two
standard deviations of the jitter; what comes later is lost to the listener. That wait and 25 ms for packet and
look-ahead (a 20 ms frame) are added to the network's delay. The same buffer stands in the measured and in the
analytic figure, so that the two may be compared.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import compress
from statistics import median
from typing import Protocol

import numpy as np
from scipy.special import ndtr

from ringback.record import DatagramOutcome, Lane

BASE_R = 93.2  # G.107: R with every default and no packet network
FRAME_MS = 25.0  # 20 ms of speech and 5 ms look-ahead
BUFFER_MS = 40.0  # the fixed part of the de-jitter buffer
BUFFER_SDS = 2.0  # and the part that follows the jitter
MAX_BURST_RATIO = 8.0  # G.107 table 2: the range in which (7-29) holds
MIN_MOS, MAX_MOS = 1.0, 4.5
IN_FLIGHT = 0.5  # s


class Codec(Protocol):
    """How a codec takes loss (G.113): Ie, its impairment without loss, 0..95; Bpl, its robustness, > 0."""

    @property
    def ie(self) -> float: ...

    @property
    def bpl(self) -> float: ...


def delay_impairment(delay_ms: float) -> float:
    """Idd for an absolute one-way delay Ta in ms (G.107, 7-27 and 7-28)."""
    if delay_ms <= 100.0:
        return 0.0
    x = math.log2(delay_ms / 100.0)
    root: float = (1 + x**6) ** (1 / 6)
    third: float = (1 + (x / 3) ** 6) ** (1 / 6)
    return 25.0 * (root - 3 * third + 2)


def loss_impairment(loss_percent: float, burst_ratio: float, ie: float, bpl: float) -> float:
    """Ie,eff for a loss of 0..100 percent (G.107, 7-29). `burst_ratio` is cut to 1..8, the standard's range."""
    burst = min(max(burst_ratio, 1.0), MAX_BURST_RATIO)
    return ie + (95.0 - ie) * loss_percent / (loss_percent / burst + bpl)


def mos_of_r(r: float) -> float:
    """Mean opinion score, 1..4.5, of a rating R (G.107, Annex B); never below 1, where the cubic dips."""
    if r <= 0:
        return MIN_MOS
    if r >= 100:
        return MAX_MOS
    return max(MIN_MOS, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)


def mos(loss_percent: float, burst_ratio: float, delay_ms: float, ie: float, bpl: float) -> float:
    """MOS, 1..4.5, of one direction: loss 0..100 percent as the listener meets it, one-way delay mouth to ear in ms.
    Where nothing arrives at all it is 1."""
    if loss_percent >= 100.0:
        return MIN_MOS
    return mos_of_r(BASE_R - delay_impairment(delay_ms) - loss_impairment(loss_percent, burst_ratio, ie, bpl))


def link_mos(rtt_ms: float, jitter_ms: float, loss: float, loss_burst: float, quality: Codec) -> float:
    """MOS of one call over a link, from the link's own parameters: round trip and jitter (one standard deviation,
    each way) in ms, loss as a share 0..1 of each direction, mean burst in packets (1 = independent)."""
    late = 0.0
    if jitter_ms > 0:
        late = 1.0 - float(ndtr((BUFFER_MS + BUFFER_SDS * jitter_ms) / jitter_ms))
    heard = 1 - (1 - loss) * (1 - late)
    delay = rtt_ms / 2 + FRAME_MS + BUFFER_MS + BUFFER_SDS * jitter_ms
    return mos(100 * heard, loss_burst_ratio(loss, loss_burst), delay, quality.ie, quality.bpl)


def loss_burst_ratio(loss: float, loss_burst: float) -> float:
    """BurstR of a loss (share) with mean bursts of `loss_burst` packets: mean over what independent loss would show,
    1 / (1 - loss). At least 1."""
    return max(1.0, loss_burst * (1.0 - loss))


def burst_ratio(arrived: Sequence[bool]) -> float:
    """BurstR measured on a pattern of packets in sending order; 1 where no packet was lost, or all."""
    lost = ~np.asarray(arrived, dtype=bool)
    total = int(lost.sum())
    if total == 0 or total == len(lost):
        return 1.0
    bursts = int(lost[0]) + int((lost[1:] & ~lost[:-1]).sum())
    return loss_burst_ratio(total / len(lost), total / bursts)


def shared_burst_ratio(lanes: Sequence[Lane]) -> float:
    """BurstR that one call alone would meet, from several that ran at once over the same link.

    A burst on a shared queue is spread over all the flows in it, so that each flow sees nearly independent loss. In
    the merged order of sending the burst is whole again. Where that exceeds the standard's range and the flows show
    bursts of their own, the bursts are a matter of time and not of packets, and the flows' own ratio counts."""
    merged = sorted(
        (sent, lane.received[i] is not None) for lane in lanes for i, sent in enumerate(lane.sent) if sent is not None
    )
    whole = burst_ratio([arrived for _, arrived in merged]) if merged else 1.0
    if whole <= MAX_BURST_RATIO:
        return whole
    own = [burst_ratio(_arrived(lane)) for lane in lanes if any(_arrived(lane))]
    mean = float(np.mean(own)) if own else 1.0
    return mean if mean > 1.5 else MAX_BURST_RATIO


def lane_quality(lanes: Sequence[Lane], quality: Codec, burst: float | None = None) -> float:
    """MOS of one call from its lanes (one or both directions): the worse direction's, which is the one complained of.

    The delay is the mean of the two lanes' median one-way delays, in which the unknown offset between the two clocks
    cancels; with one lane alone it counts as 0. `burst`: the burst ratio to use; default: each lane's own. A lane in
    which nothing was due says nothing: a short captured call may hear its answers after all that it says."""
    lanes = [lane for lane in lanes if lane.scheduled]
    delays = [_delays(lane) for lane in lanes]
    known = [1000 * median(own) for own in delays if own]
    network = max(0.0, sum(known) / 2) if len(lanes) == 2 and len(known) == 2 else 0.0
    moses = (_lane_mos(lane, own, network, quality, burst) for lane, own in zip(lanes, delays, strict=True))
    return min(moses, default=MIN_MOS)


def call_mos(outcome: DatagramOutcome, quality: Codec, burst: float | None = None) -> float:
    """`lane_quality` of an exchange that ran to its end."""
    return lane_quality(due(outcome, None), quality, burst)


def due(outcome: DatagramOutcome, read_to: float | None) -> tuple[Lane, ...]:
    """An exchange's lanes up to where it was read, less the last half second of a longer one, which may have been
    under way: outward and inward, or, where the far half's record never came, inward alone. What the far side was
    never moved to send stays in: the listener misses it."""
    went = [at for at, sent in zip(outcome.outward.scheduled, outcome.outward.sent, strict=True) if sent is not None]
    end = max(went, default=0.0) if read_to is None else min(read_to, max(went, default=0.0))
    end -= IN_FLIGHT if end > 4 * IN_FLIGHT or read_to is not None else 0.0
    lanes = (outcome.inward,) if outcome.partner == "lost" else (outcome.outward, outcome.inward)
    return tuple(_until(lane, end) for lane in lanes)


def _until(lane: Lane, end: float) -> Lane:
    keep = [at <= end for at in lane.scheduled]
    return Lane(
        scheduled=list(compress(lane.scheduled, keep)),
        sizes=list(compress(lane.sizes, keep)),
        sent=list(compress(lane.sent, keep)),
        received=list(compress(lane.received, keep)),
        duplicates=lane.duplicates,
        corrupted=lane.corrupted,
    )


def _arrived(lane: Lane) -> list[bool]:
    """In script order, over what was due: a packet its sender was never moved to send is lost to the listener."""
    return [received is not None for received in lane.received]


def _delays(lane: Lane) -> list[float]:
    """The one-way delays of what arrived, s, the least first."""
    pairs = zip(lane.sent, lane.received, strict=True)
    return sorted([got - sent for sent, got in pairs if sent is not None and got is not None])


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Linear between neighbours, as numpy's `quantile` (which takes many times as long for so few numbers)."""
    place = (len(ordered) - 1) * share
    below = int(place)
    low, high, part = ordered[below], ordered[min(below + 1, len(ordered) - 1)], place - below
    return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)


def _lane_mos(lane: Lane, delays: Sequence[float], network_ms: float, quality: Codec, burst: float | None) -> float:
    arrived = _arrived(lane)
    if not any(arrived):
        return MIN_MOS
    late, spread_ms = 0, 0.0
    if delays:
        low, middle, high = (_quantile(delays, share) for share in (0.25, 0.5, 0.75))
        spread_ms = 1000 * (high - low) / 1.349  # a normal distribution's quartiles, not moved by outliers
        late = len(delays) - bisect_right(delays, middle + (BUFFER_MS + BUFFER_SDS * spread_ms) / 1000)
    heard = sum(arrived) - late
    ratio = burst_ratio(arrived) if burst is None else max(burst, burst_ratio(arrived))
    delay = network_ms + FRAME_MS + BUFFER_MS + BUFFER_SDS * spread_ms
    return mos(100 * (1 - heard / len(arrived)), ratio, delay, quality.ie, quality.bpl)
