"""Flows that are cut: from the first packet (drop), or once a number of packets or bytes has passed (drop-after).

The counter that cuts stands at a hop near the participant and counts both ways together, so packets are put in the
order in which they pass the participant: outward ones when they leave, inward ones when they come. The counter may
stand further off: there an outward packet passes later by up to a round trip, against the inward ones. What was lost
on the access link before the cut is counted if it came from outside (it had passed the hop) and not if it went out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ringback.verdict.arrivals import UDP_HEADER, Call, Floats, Way

MIN_TAIL = 5  # packets of silence that make a cut; a round that accuses is stopped soon after one
MAX_CHANCE = 1e-5  # and how likely they may be by the losses before them
GRAIN = {"packets": 0.2, "bytes": 0.3}
"""Packets by which counts of calls cut at one number differ anyhow: one that was lost just before, now and then; and
what is left over when the next packet is too long, evenly spread over a packet."""
FIRST_PACKETS = 3  # a flow that dies this early was dropped on sight: it took that long to recognise it


@dataclass(frozen=True)
class Count:
    """What one flow had passed when it was cut: at least `low`, at most `high`, most likely `estimate`."""

    low: float
    estimate: float
    high: float


@dataclass(frozen=True)
class Cut:
    """N of `drop-after`, packets or bytes of IP payload, with an interval that holds N unless the counting differs."""

    packets: bool
    after: int
    interval: tuple[float, float]


def is_cut(way: Way) -> bool:
    """Whether the way fell silent for good, longer than its losses until then explain."""
    passed = np.flatnonzero(way.passed)
    if not len(passed):
        return way.packets >= MIN_TAIL
    tail = way.packets - 1 - int(passed[-1])
    lost = max(0.02, 1 - len(passed) / (int(passed[-1]) + 1))
    return tail >= MIN_TAIL and bool(tail * np.log(lost) < np.log(MAX_CHANCE))


def cut_ways(call: Call) -> list[Way]:
    return [way for way in call.ways if is_cut(way)]


def dropped_on_sight(call: Call) -> bool:
    """Cut in some direction before more than `FIRST_PACKETS` had passed there and in all."""
    ways = cut_ways(call)
    early = min((way.arrived for way in ways), default=FIRST_PACKETS) < FIRST_PACKETS
    return early and counted(call, ways)[0].low <= FIRST_PACKETS


def counted(call: Call, cut: Sequence[Way]) -> tuple[Count, Count]:
    """Packets and IP payload bytes that passed until the cut, wherever on the path the counter stands."""
    near, beyond = (_counted_at(call, cut, later) for later in (0.0, _round_trip(call)))
    low, estimate, high = np.minimum(near[0], beyond[0]), (near[1] + beyond[1]) / 2, np.maximum(near[2], beyond[2])
    return Count(low[0], estimate[0], high[0]), Count(low[1], estimate[1], high[1])


def _round_trip(call: Call) -> float:
    return sum(float(np.nanmedian(way.delay)) for way in call.ways if way.arrived) if len(call.ways) == 2 else 0.0


def _counted_at(call: Call, cut: Sequence[Way], later: float) -> tuple[Floats, Floats, Floats]:
    """At least, most likely and at most; (packets, bytes) each. later: s that outward packets pass the counter after
    they passed the participant, beyond those that inward ones pass it before."""
    end = max(
        (_seen_at(way, way is call.outward, later)[way.passed].max() for way in cut if way.arrived), default=-np.inf
    )
    blocked = [_seen_at(way, way is call.outward, later) for way in cut]
    after = min((float(at[at > end].min()) for at in blocked if (at > end).any()), default=end)
    low = np.zeros(2)
    estimate = np.zeros(2)
    high = np.zeros(2)
    for way in call.ways:
        outward = way is call.outward
        at = _seen_at(way, outward, later)
        size = np.stack((np.ones(way.packets), way.size + UDP_HEADER))
        passed = size[:, way.passed & (at <= end)].sum(axis=1)
        lost = size[:, ~way.passed & (at <= end)].sum(axis=1)
        between = size[:, way.passed & (at > end) & (at <= after)].sum(axis=1)
        low += passed
        estimate += passed + between / 2 + (0.0 if outward else 1.0) * lost
        high += passed + lost + between
    # one more may have passed and been lost behind the counter; in bytes, part of the packet that was one too many
    sizes = np.concatenate([way.size + UDP_HEADER for way in call.ways])
    high += np.array([0.0, float(np.mean(sizes)) if len(sizes) else 0.0])
    return low, estimate, high


def common(calls: Sequence[Call]) -> Cut | None:
    """The N that the calls have in common. Packets or bytes: whichever differs less between calls, measured by
    how much it would differ anyhow; packets where the calls' packets are too much alike to tell. None where no call
    was cut."""
    counts = [counted(call, ways) for call in calls if (ways := cut_ways(call))]
    if not counts:
        return None
    size = float(np.mean([b.low / max(p.low, 1) for p, b in counts]))
    spread_packets = float(np.std([p.estimate for p, _ in counts]))
    spread_bytes = float(np.std([b.estimate for _, b in counts])) / max(size, 1.0)
    alike = spread_packets <= 1.1 * spread_bytes
    by_packets = alike or max(spread_packets / GRAIN["packets"], 1.0) <= max(spread_bytes / GRAIN["bytes"], 1.0)
    chosen = [p if by_packets else b for p, b in counts]
    # packets that were lost just before the cut can't be told from those that it ate: not in every flow were there any
    low, high = max(c.low for c in chosen), float(np.median([c.high for c in chosen]))
    estimate = float(np.median([c.estimate for c in chosen]))
    if low > high:  # the order of passing is not exact: let the flows' own figures speak
        low, high = np.percentile([c.estimate for c in chosen], [2.5, 97.5])
    slack = 1.0 if by_packets else 0.0
    return Cut(by_packets, round(min(max(estimate, low), high)), (float(max(0.0, low - slack)), float(high + slack)))


def _seen_at(way: Way, outward: bool, later: float) -> Floats:
    """When each packet passed the participant, or would have; outward ones `later`."""
    if outward:
        return way.at + later
    usual = float(np.nanmedian(way.delay)) if way.arrived else 0.0
    return np.asarray(way.at + np.where(way.passed, way.delay, usual))
