"""What the turns of streams show of each way: a delay, a limited rate, losses.

A delay makes the first bytes of every turn late alike, and the rest comes at their heels. Of a short exchange (text)
more can be told. Behind a limit turns of several segments all come at one low rate, in a queue the first bytes of each
late by their own length too. Where packets are lost by chance, the first of a turn comes at once or is sent again, and
the share of those sent again is the loss: what is in flight before a turn has been acknowledged by the turn before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ringback.record import StreamOutcome
from ringback.verdict import shares, transfers
from ringback.verdict.arrivals import Floats
from ringback.verdict.finding import Finding, joined
from ringback.verdict.transfers import IP_HEADERS, MSS
from ringback.verdict.turns import WAYS, Clocks, Turn, Way, clocks, turns

BURST = 10 * MSS  # bytes of a turn that leave at once (RFC 6928)
MIN_SHIFT = 0.02  # s
CLOCKS_S = 0.002  # s; by which the median of a few turns may be off for jitter's sake
AGAIN_S = 0.03  # s beyond a trip that make a first packet one that was sent again: less than any timeout
MIN_LOSS, MOST_LOSS = 0.05, 0.95
TWO_SIDED = 0.975
FEWEST = 4
ALIKE = 2.5  # of the fastest and the slowest, but for tenths, behind one limit; losses make it 4 and more
MOST_KBPS = 64.0  # a faster limit holds a message of some kB up for less than a lost packet does
UNUSED = 1.35  # between a policer's own rate and what TCP makes of it: retries come at times of their own
SPILT = 7 / 3  # the same at most, of a bucket with room for one segment: what just fails after three timers comes
# again after seven, for they double, and what the full bucket spills meanwhile is lost
TIMERS = 3.0  # the same, of a queue with room for one: a timer of R + 4 R/2 for each (RFC 6298, 2.2)
MOSTLY = 0.8
AHEAD = 1.15  # of a queue's own rate over what the first bytes' lateness makes it: acknowledgements go before them
OTHER = 3.0  # of the slowest way's rate, from which on the other way is slow by what that does to acknowledgements
EARLY_LATE, MANY_LATE = 0.1, 0.25  # of the turns that came
FULL_AT_FIRST = 0.25  # of first turns, which meet a full bucket


@dataclass(frozen=True)
class _Way:
    """The turns of one way, stream by stream. missing: of each, the chance that it ended for want of a further turn
    that way. usual: a spared turn's first bytes, s beyond a trip."""

    way: Way
    struck: list[list[Turn]]
    spared: list[list[Turn]]
    missing: list[float]
    by: Clocks
    usual: float

    def late(self, turn: Turn) -> float:
        return turn.first - self.by.trip - self.usual

    @property
    def count(self) -> int:
        return sum(map(len, self.struck))

    @property
    def again(self) -> float:
        """Share of the struck turns whose first packet was sent again."""
        return _again(self, [t for own in self.struck for t in own])


def fit(struck: Sequence[StreamOutcome], spared: Sequence[StreamOutcome]) -> Finding | None:
    """None where turns tell nothing: no clocks, nothing late, or long transfers, whose losses and limits `streaming`
    reads off their curves."""
    by = clocks(spared)
    if by is None:
        return None
    ways = _ways(struck, spared, by)
    text = not any(transfers.is_long(s) for s in struck)
    slowed = [found for way in ways if text and (found := _queue(way) or _limit(way)) is not None]
    if slowed:
        least = min(found.rate_kbps or 0.0 for found in slowed)
        return joined([found for found in slowed if (found.rate_kbps or 0.0) < OTHER * least])
    late = [found for way in ways if (found := _delay(way, text)) is not None]
    losses = [found for way in ways if text and (found := _loss(way)) is not None]
    return joined(late or losses) if late or losses else None


def before_silence(struck: Sequence[StreamOutcome], spared: Sequence[StreamOutcome]) -> Finding | None:
    """What slowed streams down that fell silent in the end; None where they ran as others do until they were cut.

    A bucket of less than a segment lets no full segment pass; a first turn finds it full. Many losses outlast a try."""
    by = clocks(spared)
    ways = [] if by is None else _ways(struck, spared, by)
    slow = [way for way in ways if way.count >= 2 * FEWEST and way.again > EARLY_LATE]
    narrow = [
        way
        for way in slow
        if _again(way, [own[0] for own in way.struck if own]) < FULL_AT_FIRST
        and _again(way, [t for own in way.struck for t in own[1:]]) > EARLY_LATE
        and not any(size >= MSS for own in way.struck for t in own for size in _steps(t))
    ]
    if narrow:
        return Finding("police", side=narrow[0].way)
    return fit(struck, spared) if any(way.again > MANY_LATE for way in slow) else None


def is_timed(spared: Sequence[StreamOutcome]) -> bool:
    """Whether both ends' times are known, so that `fit` would have found a delay."""
    return clocks(spared) is not None


def _ways(struck: Sequence[StreamOutcome], spared: Sequence[StreamOutcome], by: Clocks) -> list[_Way]:
    hit, left = [turns(s, by) for s in struck], [turns(s, by) for s in spared]
    found = []
    for way in WAYS:
        mine, others = ([[t for t in each if t.way == way] for each in side] for side in (hit, left))
        firsts = [t.first - by.trip for each in others for t in each]
        if firsts:
            usual = float(np.median(firsts))
            found.append(_Way(way, mine, others, [0.0] * len(struck), by, usual))
    again = {one.way: one.again for one in found}
    total = max(sum(again.values()), 1e-9)
    for one in found:
        for i, (stream, all_of_it) in enumerate(zip(struck, hit, strict=True)):
            if stream.failure is None or stream.connected is None:
                continue
            expects = all_of_it[-1].way != one.way if all_of_it else one.way == "out"
            one.missing[i] = again[one.way] / total if expects and all_of_it else float(expects)
    return found


def _again(one: _Way, of: Sequence[Turn]) -> float:
    """Share of the turns whose first packet was sent again."""
    return float(np.mean([one.late(t) > one.by.trip + AGAIN_S for t in of])) if of else 0.0


def _delay(one: _Way, text: bool) -> Finding | None:
    each = [np.array([one.late(t) for t in own]) for own in one.struck if own]
    if len(each) < FEWEST:
        return None
    low, middle, high = np.percentile(np.concatenate(each), [10, 50, 80])
    if not (middle > MIN_SHIFT and low > 0.5 * middle and high - low < 0.6 * middle):
        return None
    follows = [_heels(t, text) for own in one.struck for t in own if _at_once(t)]
    usually = [_heels(t, text) for own in one.spared for t in own if _at_once(t)]
    if follows and float(np.median(follows)) - (float(np.median(usually)) if usually else 0.0) > 0.25 * middle:
        return None
    shifts = np.array([float(np.median(own)) for own in each])
    half = 1.96 * float(np.std(shifts)) / np.sqrt(len(shifts)) + CLOCKS_S
    shift = float(np.median(shifts))
    least = min(float(low), shift - half)  # what jitters is late by more than its least, as packets keep their order
    return Finding("delay", delay_ms=1000 * shift, delay_ms_interval=(1000 * least, 1000 * (shift + half)),
                   side=one.way, weight=shift)  # fmt: skip


def _at_once(turn: Turn) -> bool:
    """More than one segment, and so few that they leave together."""
    return len(turn.arrivals) > 1 and turn.arrivals[-1][1] <= BURST


def _rest(turn: Turn) -> float:
    return turn.arrivals[-1][0] - turn.first


def _heels(turn: Turn, text: bool) -> float:
    """Seconds from a turn's first arrival to its last; of a transfer that did not end to the next one, for a sender
    that takes the delay for a loss goes on slowly."""
    return _rest(turn) if text or turn.followed else turn.arrivals[1][0] - turn.first


def _steps(turn: Turn) -> list[int]:
    """Bytes of each arrival."""
    return [n - before for (_, n), before in zip(turn.arrivals, [0, *(n for _, n in turn.arrivals)], strict=False)]


def _queue(one: _Way) -> Finding | None:
    """The first bytes of all turns are late by their length, and lengths differ."""
    own = [t for each in one.struck for t in each]
    if len(own) < 2 * FEWEST:
        return None
    sizes = np.array([t.arrivals[0][1] + IP_HEADERS for t in own], dtype=float)
    late = np.array([one.late(t) for t in own])
    least, most = np.percentile(sizes, [10, 90])
    if float(np.mean(late > MIN_SHIFT)) < MOSTLY or most < 2 * least:
        return None
    rates = sizes / np.maximum(late, 1e-3) / 125
    whole = sizes > 0.3 * most
    low, middle, high = np.percentile(rates[whole], [10, 50, 90])
    if float(np.corrcoef(sizes, late)[0, 1]) < 0.5 or high > ALIKE * low:
        return None
    rests = _rates(one.struck)  # what goes on at the queue's rate, acknowledgements in front of the first bytes aside
    if len(rests) and middle < float(np.percentile(rests, 75)) < AHEAD * middle:
        middle = float(np.percentile(rests, 75))
    return Finding("shape", rate_kbps=middle, rate_kbps_interval=(0.95 * low, AHEAD * max(middle, high)), side=one.way,
                   weight=1 / middle)  # fmt: skip


def _limit(one: _Way) -> Finding | None:
    """Turns of several segments all go on at one low rate."""
    slow = _rates(one.struck)
    if len(slow) < max(FEWEST, len(one.struck) / 2):
        return None
    low, middle, high, most = np.percentile(slow, [10, 50, 75, 90])
    if most > ALIKE * low or middle > MOST_KBPS:
        return None
    if float(np.mean([one.late(t) > MIN_SHIFT for own in one.struck for t in own])) > MOSTLY:
        # a bucket would let some pass at once; what a full queue drops comes again in its own time
        return Finding("shape", rate_kbps=high, rate_kbps_interval=(low, TIMERS * high), side=one.way, weight=1 / high)
    return Finding("police", rate_kbps=high, rate_kbps_interval=(low / UNUSED, max(SPILT * high, float(slow.max()))),
                   side=one.way, weight=1 / high)  # fmt: skip


def _rates(streams: Sequence[Sequence[Turn]]) -> Floats:
    """kbit/s of IP packets at which the rest of turns of several segments followed their first."""
    return np.array([
        (rest + IP_HEADERS * np.ceil(rest / MSS)) / _rest(t) / 125
        for own in streams
        for t in own
        if t.arrivals[-1][1] >= 2 * MSS and _rest(t) > 0
        for rest in [t.arrivals[-1][1] - t.arrivals[0][1]]
    ])  # fmt: skip


def _loss(one: _Way) -> Finding | None:
    """Of one way, beyond what the spared lose, with a 95 % interval."""
    weights = [len(own) + missing for own, missing in zip(one.struck, one.missing, strict=True)]
    kept = [sum(one.late(t) <= one.by.trip + AGAIN_S for t in own) for own in one.struck]
    counted = [i for i, weight in enumerate(weights) if weight]
    prompt = shares.clustered([kept[i] for i in counted], [weights[i] for i in counted], TWO_SIDED)
    others = [sum(one.late(t) <= one.by.trip + AGAIN_S for t in own) for own in one.spared if own]
    usual = shares.clustered(others, [len(own) for own in one.spared if own], TWO_SIDED)
    if not prompt.n or usual.value <= 0:
        return None
    loss = max(0.0, 1 - prompt.value / usual.value)
    low = loss - float(np.hypot(prompt.upper - prompt.value, usual.value - usual.lower)) / usual.value
    high = min(1.0, loss + float(np.hypot(prompt.value - prompt.lower, usual.upper - usual.value)) / usual.value)
    if not MIN_LOSS <= loss <= MOST_LOSS or low <= 0:
        return None
    return Finding("loss", loss=loss, loss_interval=(low, high), side=one.way, weight=loss)
