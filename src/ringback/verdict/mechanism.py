"""What the network does to the packets it singles out, fitted to their arrivals against the others' of the same rounds.

Asked in the order in which contracts.md ranks what acts together: events that leave a trace of their own (a reset, an
ICMP error, a foreign answer, changed bytes), flows that are cut (`cutoff`), a limited rate against chance losses
(`bucket`, by likelihood, with as many parameters each), and delay. `unknown` where two fit alike.

Streams are in `streaming`: their segments are out of sight.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import stdtrit

from ringback.record import Mechanism, Round
from ringback.verdict import bucket, cutoff, delays, streaming
from ringback.verdict.arrivals import UDP_HEADERS, Call, Factor, Floats, Timed, Way, pool
from ringback.verdict.finding import Finding, Side, joined

MAJORITY = 0.5
MIN_LOSS = 0.02  # extra loss below this is no finding
MIN_DELAY = 0.010  # s
CLOCKS_S = 0.002  # s by which medians of few flows, and two clocks, may be off together
HARMFUL_DELAY, HARMLESS_LOSS = 0.1, 0.1  # s; what `harms.DECLARED` has of either
SCORED_DELAY, SCORED_LOSS = 0.15, 0.15  # s; from where contracts.md, "Truth", scores either of calls
UNSURE = 0.3  # of what packets are taken to be held up by the ones ahead: they do not follow evenly
QUEUE_DELAY = 0.015  # s of delay beyond the controls' that make a limit a queue
ALIKE_S = 0.005  # s between the quartiles of what does not wait in a queue, beyond the controls'
ALIKE = 1.0  # log likelihood by which one explanation must be ahead


def fit(rounds: Sequence[Round], factor: Factor, other: Factor | None = None, beside: Sequence[Timed] = ()) -> Finding:
    """The mechanism behind a difference made by `factor`, over rounds of one form. `other`: the second factor, where
    it makes a difference of its own. beside: the cell's streams of other forms that something strikes as well."""
    seen = pool(rounds, factor, other)
    if seen.streams:
        return streaming.fit(seen.struck_streams, seen.spared_streams, seen.together_streams, beside)
    form = rounds[0].form if rounds else ""
    return fit_calls(seen.struck, seen.spared, form == "dns", seen.together)


def fit_calls(
    struck: Sequence[Call], spared: Sequence[Call], dns: bool = False, together: Sequence[Call] = ()
) -> Finding:
    """`fit` for datagrams. dns: the exchanges are single questions, and a foreign answer is a forgery. together: the
    struck and those like them that something else strikes as well."""
    if not struck:
        return Finding("unknown")
    for mechanism, sign in _SIGNS:
        if (mechanism == "dns") <= dns and _mostly(sign, struck, spared):
            return Finding(mechanism)
    if all(way.packets < cutoff.MIN_TAIL for call in struck for way in call.ways):
        return _few_packets(struck, spared)
    if _mostly(cutoff.dropped_on_sight, struck, spared):
        return Finding("drop", side=_cut_side(struck))
    if _mostly(lambda call: bool(cutoff.cut_ways(call)), struck, spared):
        cut = cutoff.common(struck)
        if cut is not None and cut.packets:
            return Finding("drop-after", after_packets=cut.after, after_packets_interval=cut.interval,
                           side=_cut_side(struck))  # fmt: skip
        if cut is not None:
            return Finding("drop-after", after_bytes=cut.after, after_bytes_interval=cut.interval,
                           side=_cut_side(struck))  # fmt: skip
    sharing = [struck, together] if len(together) > len(struck) else [struck]
    found = [
        finding
        for side in ("out", "in")
        for groups in [[_groups(calls, side) for calls in sharing]]
        if (finding := _one_way(_ways(struck, side), _ways(spared, side), groups, side)) is not None
    ]
    return joined(_without_slight_losses(found))


def _without_slight_losses(found: Sequence[Finding]) -> Sequence[Finding]:
    """Losses on one way do not name what a delay on the other does, where they alone would be no restriction."""
    late = any(f.delay_ms_interval is not None and f.delay_ms_interval[1] >= 1000 * SCORED_DELAY for f in found)
    strong = [f for f in found if f.loss_interval is None or f.loss_interval[1] >= SCORED_LOSS]
    return strong if late else found


def _corrupted(call: Call) -> bool:
    return any(way.corrupted > 0 and way.corrupted >= 0.3 * way.packets for way in call.ways)


_SIGNS: tuple[tuple[Mechanism, Callable[[Call], bool]], ...] = (
    ("icmp", lambda call: call.icmp > 0),
    ("dns", lambda call: call.foreign > 0),
    ("corrupt", _corrupted),
)


def _mostly(sign: Callable[[Call], bool], struck: Sequence[Call], spared: Sequence[Call]) -> bool:
    """Shown by half of the struck and by clearly fewer of the spared."""
    share = float(np.mean([sign(call) for call in struck]))
    usual = float(np.mean([sign(call) for call in spared])) if spared else 0.0
    return share >= MAJORITY and usual <= share / 2


def _cut_side(calls: Sequence[Call]) -> Side:
    out = sum(call.outward is not None and cutoff.is_cut(call.outward) for call in calls)
    inward = sum(cutoff.is_cut(call.inward) or not call.inward.packets for call in calls)
    if out and inward and min(out, inward) > max(out, inward) / 2:
        return "both"
    return "out" if out > inward else "in"


def _ways(calls: Sequence[Call], side: Side) -> list[Way]:
    ways = [call.outward if side == "out" else call.inward for call in calls]
    return [way for way in ways if way is not None and way.packets]


def _groups(calls: Sequence[Call], side: Side) -> list[Way]:
    """The calls of each round as one flow: what a limit that all share would meet."""
    numbers = sorted({call.round for call in calls})
    groups = [_ways([call for call in calls if call.round == number], side) for number in numbers]
    return [bucket.merged(ways) for ways in groups if ways]


def _few_packets(struck: Sequence[Call], spared: Sequence[Call]) -> Finding:
    """Questions and answers of a packet or two: all that shows is whether an answer came."""
    share = np.array([call.inward.arrived > 0 for call in struck], dtype=float)
    usual = float(np.mean([call.inward.arrived > 0 for call in spared])) if spared else 1.0
    if float(share.mean()) <= 0.1 * usual:
        return Finding("drop")
    extra, interval = _extra_loss(1 - share, np.array([1 - usual]))
    if interval[0] <= 0:
        return Finding("unknown")
    return Finding("loss", loss=extra, loss_interval=interval)


def _one_way(struck: list[Way], spared: list[Way], groups: list[list[Way]], side: Side) -> Finding | None:
    """What one direction shows: a limited rate, extra loss, or delay; None where it shows nothing."""
    if not struck or not spared:
        return None
    usual = np.array([1 - way.arrived / way.packets for way in spared])
    lost = np.array([1 - way.arrived / way.packets for way in struck])
    extra, interval = _extra_loss(lost, usual)
    delay, delay_interval = _extra_delay(struck, spared)
    lossy = extra >= MIN_LOSS and interval[0] > 0
    if lossy:
        background = float(usual.mean())
        limit, ahead, limited = _limit(struck, groups, background)
        if limit is not None and ahead > ALIKE:
            queue = delay >= QUEUE_DELAY and delay_interval[0] > 0 and not _constant(limited, spared, delay)
            return Finding("shape" if queue else "police", rate_kbps=limit.rate_kbps, rate_kbps_interval=limit.interval,
                           side=side, weight=ahead)  # fmt: skip
        if limit is not None and ahead > -ALIKE:
            return Finding("unknown", side=side)
    if delay >= MIN_DELAY and delay_interval[0] > 0 and (rate := _drained(struck, spared, delay)) is not None:
        return Finding("shape", rate_kbps=rate, rate_kbps_interval=(0.93 * rate, 1.07 * rate), side=side, weight=delay)
    # losses come first, but for few beside a delay that does the harm
    late = delay >= HARMFUL_DELAY and delay_interval[0] > 0
    scored = delay_interval[1] >= SCORED_DELAY and interval[1] < SCORED_LOSS
    if lossy and not (late and (scored or extra < HARMLESS_LOSS)):
        return Finding("loss", loss=extra, loss_interval=interval, side=side, weight=extra)
    if delay >= MIN_DELAY and delay_interval[0] > 0:
        return _delayed(struck, spared, delay, delay_interval, side)
    return None


def _delayed(struck: list[Way], spared: list[Way], median: float, interval: tuple[float, float], side: Side) -> Finding:
    """The mean delay, s, where `median` (with its interval) is what packets show."""
    held_up = delays.excess(struck, spared)
    low, high = (edge - held_up + sign * UNSURE * held_up for edge, sign in zip(interval, (-1, 1), strict=True))
    return Finding("delay", delay_ms=1000 * (median - held_up), delay_ms_interval=(1000 * low, 1000 * high), side=side,
                   weight=median)  # fmt: skip


def _limit(
    struck: list[Way], groups: list[list[Way]], background: float
) -> tuple[bucket.Bucket | None, float, list[Way]]:
    """The better of a bucket for each flow and one for all, by how much log likelihood it beats chance, and the flows
    that are one bucket's each. Both have two parameters (rate and burst; loss after a loss and after none), so their
    penalties cancel."""
    alone = bucket.fit(struck, background)
    if alone is not None and alone.log_likelihood - bucket.chance(struck) > bucket.PLAIN:
        return alone, alone.log_likelihood - bucket.chance(struck), struck
    shared = [(bucket.fit(ways, background), ways) for ways in groups if len(struck) > len(ways)]
    margins = [
        (fitted.log_likelihood - bucket.chance(ways), fitted, ways)
        for fitted, ways in ((alone, struck), *shared)
        if fitted is not None
    ]
    if not margins:
        return None, 0.0, struck
    ahead, best, ways = max(margins, key=lambda margin: margin[0])
    return best, ahead, ways


def _extra_loss(struck: Floats, spared: Floats) -> tuple[float, tuple[float, float]]:
    """Share of the struck that is lost beyond what the spared lose, 0..1, with a 95 % interval over flows."""
    kept = max(1e-9, 1 - float(spared.mean()))
    extra = 1 - (1 - float(struck.mean())) / kept
    half = _half_width(struck, spared) / kept
    return max(0.0, extra), (max(0.0, extra - half), min(1.0, extra + half))


def _extra_delay(struck: list[Way], spared: list[Way]) -> tuple[float, tuple[float, float]]:
    """Shift of the median one-way delay, s, with a 95 % interval over flows."""
    one, two = (np.array([float(np.nanmedian(w.delay)) for w in ways if w.arrived]) for ways in (struck, spared))
    if not len(one) or not len(two):
        return 0.0, (0.0, 0.0)
    shift = float(np.median(one) - np.median(two))
    half = _half_width(one, two) + CLOCKS_S
    return shift, (shift - half, shift + half)


def _half_width(one: Floats, two: Floats) -> float:
    """Of a 95 % interval of the difference of two means (Welch); without a limit where a side has a single value."""
    if len(one) < 2:
        return float("inf")
    first = float(np.var(one, ddof=1)) / len(one)
    second = float(np.var(two, ddof=1)) / len(two) if len(two) > 1 else 0.0
    if first + second == 0:
        return 0.0
    freedom = (first + second) ** 2 / (
        first**2 / (len(one) - 1) + (second**2 / (len(two) - 1) if len(two) > 1 else 0.0)
    )
    return float(stdtrit(freedom, 0.975)) * float(np.sqrt(first + second))


def _drained(struck: list[Way], spared: list[Way], delay: float) -> float | None:
    """kbit/s of a queue that fills without losing: delay that starts near the others' and grows. None for a delay
    that is there from the first packet on."""
    usual = float(np.median([np.nanmedian(way.delay) for way in spared if way.arrived]))
    first = np.median([_head(way.delay) for way in struck if way.arrived]) - usual
    late = np.median([_tail(way.delay) for way in struck if way.arrived]) - usual
    if late < 2 * MIN_DELAY or first > 0.5 * late:
        return None
    rates = []
    for way in struck:
        waiting = np.flatnonzero(way.passed & (way.delay - usual > 0.3 * late))
        if len(waiting) < 10:
            continue
        left = way.at[waiting] + way.delay[waiting]
        seconds = float(left.max() - left.min())
        if seconds > 0.5:
            rates.append(float((way.size[waiting][1:] + UDP_HEADERS).sum()) / seconds / 125)
    return float(np.median(rates)) if rates else None


def _constant(struck: list[Way], spared: list[Way], delay: float) -> bool:
    """Whether packets are late from a flow's first on and all alike, as another device's delay makes them; those that
    wait in a queue are late by what is ahead of them and by their own length."""
    usual = float(np.median([np.nanmedian(way.delay) for way in spared if way.arrived]))
    first = float(np.median([way.delay[way.passed][0] for way in struck if way.arrived])) - usual
    return first > 0.5 * delay and delays.spread(struck) < delays.spread(spared) + ALIKE_S


def _head(delay: Floats) -> float:
    known = delay[~np.isnan(delay)]
    return float(np.median(known[:3]))


def _tail(delay: Floats) -> float:
    known = delay[~np.isnan(delay)]
    return float(np.median(known[-max(3, len(known) // 3) :]))
