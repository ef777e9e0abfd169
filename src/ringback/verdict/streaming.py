"""What the network does to streams it singles out. Segments are out of sight: what shows is when bytes came.

A changed segment with a wrong checksum never reaches the application, so that a clumsy corrupter looks like `drop`
here; one that mends the checksum delivers other bytes (`unexpected`).
"""

from collections.abc import Callable, Sequence

import numpy as np

from ringback.record import Mechanism, StreamOutcome
from ringback.verdict.finding import Finding

MSS = 1448.0
IP_HEADERS = 52.0  # bytes a segment: IPv4 and TCP with timestamps (RFC 7323)
TCP_HEADER = 32.0
SILENCE = 2.0  # s without a byte before the end that make a stall for good
WINDOW = 2.0  # s over which a rate is read
MAJORITY = 0.5


def fit(struck: Sequence[StreamOutcome], spared: Sequence[StreamOutcome]) -> Finding:
    """The mechanism behind the struck streams' difference from the spared ones."""
    if not struck:
        return Finding("unknown")
    for mechanism, sign in _SIGNS:
        if _share(sign, struck) >= MAJORITY and _share(sign, spared) <= _share(sign, struck) / 2:
            return Finding(mechanism)
    if (cut := _cut(struck, spared)) is not None:
        return cut
    return _slowed(struck, spared)


def _silent(stream: StreamOutcome) -> bool:
    """Nothing came back, although there was time enough."""
    return stream.down_received == 0 and stream.failure is not None


_SIGNS: tuple[tuple[Mechanism, Callable[[StreamOutcome], bool]], ...] = (
    ("icmp", lambda s: s.failure in ("host_unreachable", "network_unreachable")),
    # a stream that is refused got a reset to its SYN; an ICMP port unreachable reads the same and is rarer by far
    ("reset", lambda s: s.failure in ("connection_reset", "connection_refused")),
    ("corrupt", lambda s: s.unexpected),
    ("drop", _silent),
)


def _share(sign: Callable[[StreamOutcome], bool], streams: Sequence[StreamOutcome]) -> float:
    return float(np.mean([sign(s) for s in streams])) if streams else 0.0


def _stalled(stream: StreamOutcome) -> bool:
    """Began, then fell silent for good before all was there."""
    if stream.failure is None or not stream.arrivals or stream.failed_at is None:
        return False
    return stream.failed_at - stream.arrivals[-1][0] >= SILENCE


def _passed(stream: StreamOutcome) -> float:
    up = stream.up_expected if stream.up_received is None else stream.up_received
    return float(up + stream.down_received)


def _cut(struck: Sequence[StreamOutcome], spared: Sequence[StreamOutcome]) -> Finding | None:
    """Most stall, and at a common count. In bytes of IP payload, and, as acknowledgements can't be seen, in packets
    to within what they may have been."""
    if _share(_stalled, struck) < MAJORITY or _share(_stalled, spared) > 0.25:
        return None
    passed = np.array([_passed(s) for s in struck if _stalled(s)])
    middle = float(np.median(passed))
    if float(np.percentile(passed, 90) - np.percentile(passed, 10)) > max(0.25 * middle, 3 * MSS):
        return None
    segments = [_segments(s) for s in struck if _stalled(s)]
    data = float(np.median(segments))
    most = float(passed.max())
    # handshake of three, a segment's header each, and acknowledgements: one for two segments, or for each
    bytes_low, bytes_high = most, most + TCP_HEADER * (3 + 2 * data) + 2 * (MSS + TCP_HEADER)
    packets_low, packets_high = 3 + data, 4 + 2 * data
    return Finding(
        "drop-after",
        after_bytes=round(most + TCP_HEADER * (3 + 1.5 * data) + MSS / 2),
        after_bytes_interval=(bytes_low, bytes_high),
        after_packets=round(3 + 1.6 * data),
        after_packets_interval=(packets_low, packets_high),
    )


def _segments(stream: StreamOutcome) -> float:
    up = stream.up_expected if stream.up_received is None else stream.up_received
    return float(np.ceil(up / MSS) + np.ceil(stream.down_received / MSS))


def _first_byte(stream: StreamOutcome) -> float | None:
    return stream.arrivals[0][0] if stream.arrivals else None


def _goodput(stream: StreamOutcome) -> float:
    """Bytes a second from the start to the end of the download, or of the try."""
    end = stream.finished if stream.finished is not None else stream.failed_at
    if not stream.arrivals or not end:
        return 0.0
    return stream.down_received / end


def _plateau(stream: StreamOutcome) -> float | None:
    """Bytes a second over the later part of a download: the greatest over windows of at least two seconds (or, for a
    shorter one, all but its first tenth), so that neither the burst at the start nor a stall counts."""
    at = np.array([a for a, _ in stream.arrivals])
    got = np.array([b for _, b in stream.arrivals], dtype=float)
    if len(at) < 4 or at[-1] - at[0] < 0.3:
        return None
    start = min(int(np.searchsorted(got, 0.1 * got[-1])), len(at) - 3)
    at, got = at[start:], got[start:]
    if at[-1] - at[0] <= WINDOW:
        return float((got[-1] - got[0]) / max(at[-1] - at[0], 1e-3))
    later = np.searchsorted(at, at + WINDOW)
    inside = later < len(at)
    rates = (got[later[inside]] - got[inside]) / (at[later[inside]] - at[inside])
    return float(rates.max()) if len(rates) else None


def _longest_gap(stream: StreamOutcome) -> float:
    at = np.array([a for a, _ in stream.arrivals])
    return float(np.diff(at).max()) if len(at) > 1 else 0.0


def _slowed(struck: Sequence[StreamOutcome], spared: Sequence[StreamOutcome]) -> Finding:
    """Slower than the others: a delay that all show alike, a rate that all come up to, or losses."""
    usual_first = _median([_first_byte(s) for s in spared])
    shifts = np.array([f - usual_first for s in struck if (f := _first_byte(s)) is not None])
    slow = _median([_goodput(s) for s in struck]) < 0.7 * _median([_goodput(s) for s in spared])
    rates = np.array([r for s in struck if (r := _plateau(s)) is not None])
    usual_rate = _median([_plateau(s) for s in spared])
    steady = len(rates) >= 3 and float(np.std(rates)) < 0.2 * float(np.mean(rates))
    if len(rates) >= 3 and slow and steady and float(np.median(rates)) < 0.6 * (usual_rate or np.inf):
        return _limited(struck, rates)
    if len(shifts) >= 3 and _is_shift(shifts):
        return _delayed(struck, spared, shifts)
    if slow or _share(lambda s: s.failure is not None, struck) > 1.5 * _share(lambda s: s.failure is not None, spared):
        return Finding("loss")
    return Finding("unknown")


def _is_shift(shifts: np.ndarray) -> bool:
    low, middle, high = np.percentile(shifts, [10, 50, 75])
    return bool(middle > 0.02 and low > 0.5 * middle and high - low < middle)


def _delayed(struck: Sequence[StreamOutcome], spared: Sequence[StreamOutcome], shifts: np.ndarray) -> Finding:
    """One way: a first byte is two round trips after the start where the handshake is delayed as well, else one."""
    connect = _median([s.connected for s in struck]) - _median([s.connected for s in spared])
    legs = 4.0 if connect > 0.35 * float(np.median(shifts)) else 2.0
    each = 1000 * shifts / legs
    half = 1.96 * float(np.std(each)) / np.sqrt(len(each))
    middle = float(np.median(each))
    return Finding("delay", delay_ms=middle, delay_ms_interval=(middle - half, middle + half))


def _limited(struck: Sequence[StreamOutcome], rates: np.ndarray) -> Finding:
    """A queue passes segments at an even pace; a policer loses what is too much, so that the download stalls."""
    pace = MSS / float(np.median(rates))
    gaps = float(np.median([_longest_gap(s) for s in struck if s.arrivals]))
    mechanism: Mechanism = "police" if gaps > max(0.15, 4 * pace) else "shape"
    kbps = rates * (MSS + IP_HEADERS) / MSS / 125
    middle = float(np.percentile(kbps, 75)) if mechanism == "police" else float(np.median(kbps))
    return Finding(mechanism, rate_kbps=middle,
                   rate_kbps_interval=(float(kbps.min()), 1.15 * float(kbps.max())))  # fmt: skip


def _median(values: Sequence[float | None]) -> float:
    known = [v for v in values if v is not None]
    return float(np.median(known)) if known else 0.0
