"""What the network does to streams it singles out. Segments are out of sight: what shows is when bytes came.

A changed segment with a wrong checksum never reaches the application, so that a clumsy corrupter looks like `drop`
here; one that mends the checksum delivers other bytes (`unexpected`).
"""

from collections.abc import Callable, Sequence

import numpy as np

from ringback.record import Mechanism, StreamOutcome
from ringback.verdict import envelope, joint, messages, stalls, transfers, turns
from ringback.verdict.arrivals import Floats, Timed
from ringback.verdict.finding import Finding, Side, joined
from ringback.verdict.transfers import IP_HEADERS, MSS, median, share

WINDOW = 2.0  # s over which the greatest rate is read
LONG = 20  # arrivals that make a download long enough to have a rate of its own
START = 0.15  # of a download: the burst that a limit lets through at first
MAJORITY = 0.5
ALIKE = 0.25  # relative spread up to which streams show one rate; loss alone spreads theirs by 0.3 to 0.8
MIN_SHIFT = 0.02  # s
TWO_SYNS = 1.3  # s; a SYN that is lost is sent again after one (RFC 6298)
FEWEST = 4
FIRST_LATE = 1.4  # segments' time that a question of 517 bytes and one segment of answer take in a queue
BEARS = 215_000.0  # over so many bytes twice as fast as the formula, as by measurements of the simulator and of Linux
SLOWER = 0.7  # of the others' speed
SHARED_QUEUE = 1.0  # score from which a limit that all share is a queue: a policer without burst may come near 0
QUEUE_BURST = 8_000.0  # bytes that a queue may seem to let through at once
UNEVEN, MORE_UNEVEN = 0.9, 1.6  # spread of speeds that only chance makes, and by how much more than of the spared
NEXT_TO_NOTHING = 100.0  # bytes a second
BURST_SHARE = 0.25  # of arrivals close on the one before: fewer behind a queue, more behind a policer


def fit(
    struck: Sequence[StreamOutcome],
    spared: Sequence[StreamOutcome],
    together: Sequence[Timed] = (),
    beside: Sequence[Timed] = (),
) -> Finding:
    """The mechanism behind the struck streams' difference from the spared ones. together: those that may share a limit;
    without them none is looked for. beside: those of other forms that may share it too."""
    if not struck:
        return Finding("unknown")
    if (late := _late_handshakes(struck, spared) or _late_openings(struck, spared)) is not None:
        return late
    uneven = _by_chance(struck, spared)
    for mechanism, sign in _SIGNS:
        if mechanism == "drop" and uneven:
            continue
        if share(sign, struck) >= MAJORITY and share(sign, spared) <= share(sign, struck) / 2:
            return Finding(mechanism)
    if not uneven and (cut := stalls.cut(struck, spared)) is not None:
        return messages.before_silence(struck, spared) or cut
    if (told := messages.fit(struck, spared)) is not None:
        return told
    found = _slowed(struck, spared, uneven)
    if not together or found.mechanism not in ("police", "shape", "loss", "unknown"):
        return found
    shared = _together(together, spared, list(_speeds(struck, spared, below=SLOWER)), beside)
    # a queue's rate is read off a single curve more exactly, if it was not several curves' each
    return found if shared is None or _same_queue(found, shared) else shared


def _same_queue(one: Finding, other: Finding) -> bool:
    if {one.mechanism, other.mechanism} != {"shape"} or not one.rate_kbps_interval or not other.rate_kbps_interval:
        return False
    (low, high), (low2, high2) = one.rate_kbps_interval, other.rate_kbps_interval
    return max(low, low2) <= min(high, high2)


def _late_handshakes(struck: Sequence[StreamOutcome], spared: Sequence[StreamOutcome]) -> Finding | None:
    """A delay under which connections take so long, all alike, that nothing else came in time: of one way or both."""
    if share(_silent, struck) < MAJORITY or share(lambda s: s.connected is not None, struck) < 1 - MAJORITY / 5:
        return None
    shifts = np.array([s.connected for s in struck if s.connected is not None]) - median([s.connected for s in spared])
    if (bounds := _long_alike(shifts)) is None:
        return None
    _, middle, high = bounds
    return Finding("delay", delay_ms=500 * middle, delay_ms_interval=(500 * float(shifts.min()), 1000 * high))


def _late_openings(struck: Sequence[StreamOutcome], spared: Sequence[StreamOutcome]) -> Finding | None:
    """A delay that begins once a connection is recognised, so long that no answer came in time: what was said first
    still arrived, late, and all alike. The way back may be delayed as well."""
    if turns.clocks(spared) is None or share(_silent, struck) < MAJORITY:
        return None
    took, usual = (
        np.array([s.up_first - s.connected for s in side if s.up_received and s.up_first and s.connected])
        for side in (struck, spared)
    )
    late = took - np.median(usual)
    if len(late) < max(FEWEST, MAJORITY * len(struck)) or (bounds := _long_alike(late)) is None:
        return None
    low, middle, high = (1000 * value for value in bounds)
    half = 1000 * messages.CLOCKS_S
    return Finding("delay", delay_ms=middle, delay_ms_interval=(low - half, high + half), side="out")


def _long_alike(shifts: Floats) -> tuple[float, float, float] | None:
    """(low, middle, high) of what is late by more than a SYN's first repetition, and all of it alike; else None."""
    low, middle, high = (float(value) for value in np.percentile(shifts, [10, 50, 80]))
    return (low, middle, high) if middle > TWO_SYNS and low > 0.9 * middle and high < 1.1 * middle else None


def _silent(stream: StreamOutcome) -> bool:
    """Nothing came back, although there was time enough."""
    return stream.down_received == 0 and stream.failure is not None


def _refused(stream: StreamOutcome) -> bool:
    """An ICMP error came to an end, and the stream did not get over it: one error may be the link's."""
    return bool(stream.icmp or stream.far_icmp) and stream.failure is not None


_SIGNS: tuple[tuple[Mechanism, Callable[[StreamOutcome], bool]], ...] = (
    # a stream that is refused got a reset to its SYN, or an ICMP error: the error itself tells
    ("icmp", lambda s: _refused(s) or s.failure in ("host_unreachable", "network_unreachable")),
    ("corrupt", lambda s: s.unexpected),  # before `reset`: an opening changed beyond recognition is refused by the peer
    ("reset", lambda s: s.failure in ("connection_reset", "connection_refused")),
    ("drop", _silent),
)


def _first_byte(stream: StreamOutcome) -> float | None:
    return stream.arrivals[0][0] if stream.arrivals else None


def _goodput(stream: StreamOutcome) -> float:
    """Bytes a second from the start to the end of the download, or of the try."""
    end = stream.finished if stream.finished is not None else stream.failed_at
    if not stream.arrivals or not end:
        return 0.0
    return stream.down_received / end


def _increments(stream: StreamOutcome) -> tuple[Floats, Floats]:
    """Seconds and bytes between one arrival and the next."""
    at = np.array([a for a, _ in stream.arrivals], dtype=float)
    got = np.array([b for _, b in stream.arrivals], dtype=float)
    return np.diff(at), np.diff(got)


def _rate(stream: StreamOutcome) -> float | None:
    """Bytes a second that came once the burst at the start was over: over halves of a longer download after its first
    part, the median (bytes held back behind a lost segment come in a jump, which a mean would count); of a short
    exchange the greatest between two arrivals that are most of a segment apart, since the rest of the time it waits
    for its own turn."""
    seconds, got = _increments(stream)
    if len(got) + 1 >= LONG:
        start = int(np.searchsorted(np.cumsum(got), START * got.sum()))
        at, total = np.cumsum(seconds[start:]), np.cumsum(got[start:])
        half = len(at) // 2
        return float(np.median((total[half:] - total[:-half]) / np.maximum(at[half:] - at[:-half], 1e-3)))
    whole = got >= 0.7 * MSS
    return float((got[whole] / np.maximum(seconds[whole], 1e-3)).max()) if whole.any() else None


def _ceiling(stream: StreamOutcome) -> float | None:
    """The greatest rate over two seconds after the first part; None where it was too short for that."""
    at = np.array([a for a, _ in stream.arrivals], dtype=float)
    got = np.array([b for _, b in stream.arrivals], dtype=float)
    if len(at) < LONG:
        return None
    start = int(np.searchsorted(got, START * got[-1]))
    at, got = at[start:], got[start:]
    later = np.searchsorted(at, at + WINDOW)
    inside = later < len(at)
    if not inside.any():
        return None
    return float(((got[later[inside]] - got[inside]) / (at[later[inside]] - at[inside])).max())


def _by_chance(struck: Sequence[StreamOutcome], spared: Sequence[StreamOutcome]) -> bool:
    """Whether transfers fared as differently as only chance makes them, where the others do not. A limit, a cut-off or
    a block does the same to each: of 72 policers and queues the most uneven, of 900 kbit/s, came to 0.8."""
    if not all(map(transfers.is_long, spared)):  # of text, turns tell
        return False
    return _unevenness(struck) > max(UNEVEN, MORE_UNEVEN * _unevenness(spared))


def _unevenness(streams: Sequence[StreamOutcome]) -> float:
    """From the slowest tenth to the fastest, of the middle; bytes both ways a second of the exchange."""
    speeds = [
        (up + s.down_received) / took
        for s in streams
        if (up := s.up_received) is not None and (took := s.finished if s.finished is not None else s.failed_at)
    ]
    if len(speeds) < FEWEST:
        return 0.0
    low, middle, high = np.percentile(speeds, [10, 50, 90])
    return float((high - low) / max(middle, NEXT_TO_NOTHING))


def _slowed(struck: Sequence[StreamOutcome], spared: Sequence[StreamOutcome], uneven: bool) -> Finding:
    """Slower than the others: a delay that all show alike, or what the slower of upload and download shows."""
    shifts = _first_byte_shifts(struck, spared)
    side = _slower_side(struck, spared)
    if not uneven and not messages.is_timed(spared) and _is_delay(struck, shifts):
        return _delayed(struck, spared, shifts)
    opening = median([float(s.arrivals[0][1]) for s in struck if s.arrivals])
    if side is None:
        return _lossy(struck, spared) if uneven else _thinned(struck, spared, shifts, opening)
    if side == "out":  # what the queue held up is the question, not its answer
        opening = median([float(s.up_expected - s.up_last) for s in struck])
    struck, spared = _views(struck, side), _views(spared, side)
    if uneven:
        return _lossy(struck, spared)
    bucket = envelope.line(struck)
    if bucket is not None and bucket.holds(struck[0].down_expected, median([_goodput(s) for s in spared])):
        return _bucket(struck, bucket, shifts, opening)
    return _lossy(struck, spared) if _worse(struck, spared) else Finding("unknown")


def _together(
    timed: Sequence[Timed], spared: Sequence[StreamOutcome], slow: Sequence[Side], beside: Sequence[Timed]
) -> Finding | None:
    """A limit that all share; None where none is likelier than a limit on each or than chance."""
    struck = [s for _, s in timed]
    shifts = _first_byte_shifts(struck, spared)
    found = []
    for one in joint.fit([*timed, *beside], spared, slow):
        out = one.side == "out"
        opening = median([float(s.up_expected - s.up_last if out else s.arrivals[0][1]) for s in struck if s.arrivals])
        queue = _queue_score(_views(struck, one.side), MSS / one.rate, shifts, opening) > SHARED_QUEUE
        low, rate, high = (
            each * (MSS + IP_HEADERS) / MSS / 125 for each in (one.interval[0], one.rate, one.interval[1])
        )
        found.append(Finding("shape" if queue else "police", rate_kbps=rate, rate_kbps_interval=(low, high),
                             side=one.side, weight=one.ahead))  # fmt: skip
    return joined(found) if found else None


def _slower_side(struck: Sequence[StreamOutcome], spared: Sequence[StreamOutcome]) -> Side | None:
    """The transfer that most of the struck began and that fares worst against the spared; None without any."""
    shares = _speeds(struck, spared, began=MAJORITY)
    return min(shares, key=lambda side: shares[side], default=None)


def _speeds(
    struck: Sequence[StreamOutcome], spared: Sequence[StreamOutcome], began: float = 0.0, below: float = np.inf
) -> dict[Side, float]:
    """Of each way the struck streams' speed as a share of the spared ones', where it is below a bound and at least so
    large a part of them began."""
    shares: dict[Side, float] = {}
    sides: tuple[Side, ...] = ("out", "in")
    for side in sides:
        rates = [one.kbps for s in struck if (one := transfers.WAYS[side](s)) is not None and one.arrivals]
        usual = [one.kbps for s in spared if (one := transfers.WAYS[side](s)) is not None]
        if usual and rates and len(rates) >= began * len(struck):
            shares[side] = median(rates) / max(median(usual), 1e-3)
    return {side: speed for side, speed in shares.items() if speed < below}


def _views(streams: Sequence[StreamOutcome], side: Side) -> list[StreamOutcome]:
    """One transfer of each as if it were all that there was, from a round trip before its first byte."""
    return [
        StreamOutcome(
            connected=one.trip,
            failure=None if np.isfinite(one.seconds) else s.failure,
            failed_at=None if np.isfinite(one.seconds) else one.spent,
            finished=one.seconds if np.isfinite(one.seconds) else None,
            down_expected=one.size,
            arrivals=[(one.trip + at, n) for at, n in one.arrivals],
        )
        for s in streams
        if (one := transfers.WAYS[side](s)) is not None and one.arrivals
    ]


def _thinned(
    struck: Sequence[StreamOutcome], spared: Sequence[StreamOutcome], shifts: Floats, opening: float
) -> Finding:
    """A rate that all come up to, or losses. opening: bytes of what the first byte's lateness is that of."""
    slow = _slow(struck, spared)
    rates = np.array([r for s in struck if (r := _rate(s)) is not None])
    part = float(np.median(rates)) / max(median([_rate(s) for s in spared]), 1.0) if len(rates) >= 3 else 1.0
    alike = ALIKE if share(lambda s: len(s.arrivals) >= LONG, struck) >= MAJORITY else 2 * ALIKE
    if slow and (part < 0.7 and _spread(rates) < alike or part < 0.2 and _late_alike(shifts)):
        return _limited(struck, rates, shifts, opening)
    return _lossy(struck, spared) if _worse(struck, spared) else Finding("unknown")


def _slow(struck: Sequence[StreamOutcome], spared: Sequence[StreamOutcome]) -> bool:
    return median([_goodput(s) for s in struck]) < 0.7 * median([_goodput(s) for s in spared])


def _worse(struck: Sequence[StreamOutcome], spared: Sequence[StreamOutcome]) -> bool:
    failing, usually = (share(lambda s: s.failure is not None, side) for side in (struck, spared))
    return _slow(struck, spared) or failing > usually + 0.2


def _lossy(struck: Sequence[StreamOutcome], spared: Sequence[StreamOutcome]) -> Finding:
    """The loss that TCP's speed implies, to within a factor: with SACK, the fewer the bytes, it is faster than the
    formula grants. Of short exchanges nothing is said."""
    trip = median([s.connected for s in spared])
    rates = [r for s in struck if len(s.arrivals) >= 4 and s.down_expected >= LONG * MSS and (r := _goodput(s)) > 0]
    if len(rates) < 3 or trip <= 0:
        return Finding("loss")
    faster = 1 + BEARS / median([float(s.down_expected) for s in struck])
    lost = _implied_loss(float(np.median(rates)) / faster, trip)
    low, high = (_implied_loss(float(np.percentile(rates, q)) / faster, trip) for q in (90, 10))
    return Finding("loss", loss=lost, loss_interval=(0.5 * min(low, lost), min(1.0, 1.5 * max(high, lost))))


def _implied_loss(rate: float, trip: float) -> float:
    """Share of segments lost at which TCP comes to `rate` bytes a second: the response function of Padhye, Firoiu,
    Towsley and Kurose (SIGCOMM 1998, their equation 30), every segment acknowledged, timeouts of at least 0.2 s."""
    low, high = 1e-6, 1.0
    for _ in range(40):
        p = (low + high) / 2
        wait = max(0.2, 2 * trip) * min(1.0, 3 * (3 * p / 8) ** 0.5) * p * (1 + 32 * p * p)
        if MSS / (trip * (2 * p / 3) ** 0.5 + wait) > rate:
            low = p
        else:
            high = p
    return (low + high) / 2


def _spread(values: Floats) -> float:
    """Relative standard deviation, from the quartiles: single stragglers do not count."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return float((high - low) / 1.349 / middle)


def _first_byte_shifts(struck: Sequence[StreamOutcome], spared: Sequence[StreamOutcome]) -> Floats:
    usual = median([_first_byte(s) for s in spared])
    return np.array([first - usual for s in struck if (first := _first_byte(s)) is not None])


def _late_alike(shifts: Floats) -> bool:
    if len(shifts) < 3:
        return False
    low, middle, high = np.percentile(shifts, [10, 50, 75])
    return bool(middle > MIN_SHIFT and low > 0.5 * middle and high - low < middle)


def _is_delay(struck: Sequence[StreamOutcome], shifts: Floats) -> bool:
    """All first bytes are late alike, and what follows comes either at the heels of what was before or, where it waited
    for its turn, as late again. At a limited rate each would be late by its own length."""
    if not _late_alike(shifts):
        return False
    middle = float(np.median(shifts))
    return _waits(struck, middle) and (not (sent := _views(struck, "out")) or _waits(sent, middle))


def _waits(streams: Sequence[StreamOutcome], late: float) -> bool:
    gaps = [_increments(s)[0] / late for s in streams if len(s.arrivals) > 1]
    fits = [float(np.mean((gap < 0.2) | ((gap > 0.85) & (gap < 1.25)))) for gap in gaps]
    return bool(fits) and float(np.median(fits)) >= 0.6


def _delayed(struck: Sequence[StreamOutcome], spared: Sequence[StreamOutcome], shifts: Floats) -> Finding:
    """One way, both ways taken to be delayed alike: a first byte comes two round trips after the start where the
    handshake is delayed as well, else one. Turns taken do not tell which way it was that was late, so the interval
    reaches to all of it one way alone."""
    connect = median([s.connected for s in struck]) - median([s.connected for s in spared])
    legs = 4.0 if connect > 0.35 * float(np.median(shifts)) else 2.0
    each = 1000 * shifts / legs
    half = 1.96 * float(np.std(each)) / np.sqrt(len(each))
    middle = float(np.median(each))
    return Finding("delay", delay_ms=middle, delay_ms_interval=(middle - half, 2 * (middle + half)))


def _bucket(struck: Sequence[StreamOutcome], bucket: envelope.Line, shifts: Floats, opening: float) -> Finding:
    """A limit that all transfers come up to: a policer by its burst; without one a queue, or a policer of little."""
    queue = bucket.burst <= QUEUE_BURST and _queue_score(struck, MSS / bucket.rate, shifts, opening) > 0
    low, middle, high = (rate * (MSS + IP_HEADERS) / MSS / 125 for rate in envelope.interval(struck, bucket))
    return Finding("shape" if queue else "police", rate_kbps=middle, rate_kbps_interval=(0.98 * low, 1.02 * high))


def _queue_score(struck: Sequence[StreamOutcome], pace: float, shifts: Floats, opening: float) -> float:
    """Above 0 for a queue, below for a policer; pace: seconds a segment. A queue spreads all there is, the very first
    question and answer too, so that the first byte is late by their length; and what leaves it is evenly paced. A
    policer lets the first pass and has bursts."""
    error = float(np.std(shifts)) / np.sqrt(len(shifts)) if len(shifts) else pace
    late = float(np.median(shifts)) / pace if len(shifts) else 0.0
    first = (opening + IP_HEADERS) / (MSS + IP_HEADERS)
    score = (late - first / 2) / max(1.25 * error / pace, 0.2)
    bursts = [float(np.mean(gaps < 0.35 * pace)) for s in struck if len(gaps := _increments(s)[0]) >= LONG]
    return score + (BURST_SHARE - float(np.median(bursts))) / 0.08 if bursts else score


def _limited(struck: Sequence[StreamOutcome], rates: Floats, shifts: Floats, opening: float) -> Finding:
    """A rate that short exchanges come up to, or downloads of which the far end said nothing."""
    pace = MSS / float(np.median(rates))
    late, first = float(np.median(shifts)) / pace if len(shifts) else 0.0, (opening + IP_HEADERS) / (MSS + IP_HEADERS)
    kbps = rates * (MSS + IP_HEADERS) / MSS / 125
    if _queue_score(struck, pace, shifts, opening) > 0:
        long = any(len(s.arrivals) > LONG for s in struck)
        if not long and late > 0 and first > 0.9:  # in a short exchange the first byte's lateness says it as well
            kbps = np.maximum(kbps, FIRST_LATE / late * float(np.median(kbps)))
        low, middle, high = np.percentile(kbps, [2.5, 50, 97.5])
        return Finding("shape", rate_kbps=float(middle), rate_kbps_interval=(0.98 * float(low), 1.02 * float(high)))
    # what a policer leaves unused while TCP recovers is lost: its own rate is at or above what came through
    highest = [c for s in struck if (c := _ceiling(s)) is not None]
    top = float(np.median(highest)) * (MSS + IP_HEADERS) / MSS / 125 if highest else 1.1 * float(kbps.max())
    middle = float(np.percentile(kbps, 75))
    return Finding("police", rate_kbps=middle,
                   rate_kbps_interval=(float(np.percentile(kbps, 10)), max(top, 1.02 * middle)))  # fmt: skip
