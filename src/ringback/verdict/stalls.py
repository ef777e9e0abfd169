"""Streams that fall silent for good, all at a common count: cut after so many bytes, or packets."""

from collections.abc import Sequence

import numpy as np

from ringback.record import StreamOutcome
from ringback.verdict import transfers
from ringback.verdict.finding import Finding
from ringback.verdict.transfers import MSS, median, share

TCP_HEADER = 32.0
SILENCE = 2.0  # s without a byte before the end that make a stall for good
MAJORITY = 0.5


def cut(struck: Sequence[StreamOutcome], spared: Sequence[StreamOutcome]) -> Finding | None:
    """Most stall, and at a common count. In bytes of IP payload, and, as acknowledgements can't be seen, in packets
    to within what they may have been."""
    if share(_stalled, struck) < MAJORITY or share(_stalled, spared) > 0.25:
        return None
    # until the cut a flow runs as fast as others do; one that crawled to where it stalled was slowed
    ran = median([_last(s) / (s.failed_at or 1.0) for s in struck if _stalled(s)])
    usual = median([_last(s) for s in spared if s.arrivals])
    if ran > 0.3 and ran * median([s.failed_at for s in struck if _stalled(s)]) > 2 * usual:
        return None
    passed = np.array([_passed(s) for s in struck if _stalled(s)])
    middle = float(np.median(passed))
    low, high = np.percentile(passed, [25, 75])
    if float(high - low) > max(0.3 * middle, 2 * MSS):
        return None
    segments = [_segments(s) for s in struck if _stalled(s)]
    data = float(np.median(segments))
    most = float(passed.max())
    # handshake of three, a segment's header each, and acknowledgements: one for two segments, or for each
    # where acknowledgements alone are cut off, an upload still passes as much again as they had opened
    bytes_low, bytes_high = (
        most / 2 if share(_sending, struck) >= MAJORITY else most,
        most + TCP_HEADER * (3 + 2 * data) + 2 * (MSS + TCP_HEADER),
    )
    packets_low, packets_high = 3 + data * bytes_low / most, 4 + 2 * data
    return Finding(
        "drop-after",
        after_bytes=round(most + TCP_HEADER * (3 + 1.5 * data) + MSS / 2),
        after_bytes_interval=(bytes_low, bytes_high),
        after_packets=round(3 + 1.6 * data),
        after_packets_interval=(packets_low, packets_high),
    )


def _stalled(stream: StreamOutcome) -> bool:
    """Began, then fell silent for good before all was there."""
    if stream.failure is None or not stream.arrivals or stream.failed_at is None:
        return False
    return stream.failed_at - _last(stream) >= SILENCE


def _last(stream: StreamOutcome) -> float:
    return transfers.last_progress(stream) or 0.0


def _passed(stream: StreamOutcome) -> float:
    up = stream.up_expected if stream.up_received is None else stream.up_received
    return float(up + stream.down_received)


def _sending(stream: StreamOutcome) -> bool:
    """Whether it was sending when it ended, and had nothing back for it."""
    sent, received = transfers.upload(stream), transfers.download(stream)
    return sent is not None and received is not None and sent.got > 0 and received.got == 0


def _segments(stream: StreamOutcome) -> float:
    """As few as they can be: each step of what came was a segment at least, however small."""
    up = _steps(
        [n for _, n in stream.up_arrivals], stream.up_expected if stream.up_received is None else stream.up_received
    )
    return up + _steps([n for _, n in stream.arrivals], stream.down_received)


def _steps(so_far: Sequence[int], total: int) -> float:
    """so_far: bytes as they came, [] where that is not known."""
    steps = np.diff(so_far, prepend=0) if so_far else np.array([total])
    return float(np.ceil(steps / MSS).sum())
