"""The token bucket that held transfers back, from their curves alone.

Behind a policer no transfer is ever ahead of burst + rate x time, and each comes up to that line, for only when the
bucket is empty does anything get lost; so a queue does, with next to no burst. Losses by chance have no such line: the
few that nothing hit draw it, the others stay below.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ringback.record import StreamOutcome
from ringback.verdict.arrivals import Floats

AT = 0.5  # of the fastest's time: where the line is to be lowest, when the burst is spent and the end far
FASTEST = 1 / 3
SPARE = 6  # transfers of which one is left out: a first byte that was lost and came again makes a curve look ahead
TOUCH = 3_000.0  # bytes below the line that count as on it: two segments
FEWEST = 3
MOST, SLOWER = 0.7, 0.7


@dataclass(frozen=True)
class Line:
    """rate: bytes a second of payload. burst: bytes. touched: share of the transfers that come up to it."""

    rate: float
    burst: float
    touched: float

    def holds(self, size: int, usual: float) -> bool:
        """Whether it held transfers of so many bytes back; usual: the others' goodput, bytes a second."""
        return self.touched >= MOST and self.rate < SLOWER * usual and self.burst <= size / 2


def line(streams: Sequence[StreamOutcome]) -> Line | None:
    """The lowest line above the curves of all; None of fewer than three."""
    curves = [np.array(s.arrivals, dtype=float) for s in streams if len(s.arrivals) > 1]
    curves = [curve - [curve[0, 0], 0.0] for curve in curves]
    if len(curves) < FEWEST:
        return None
    speeds = np.array([curve[-1, 1] / max(curve[-1, 0], 1e-3) for curve in curves])
    ahead = [float((curve[:, 1] - np.median(speeds) * curve[:, 0]).max()) for curve in curves]
    curves = [curves[i] for i in np.argsort(ahead)[: len(curves) - len(curves) // SPARE]]
    points = np.vstack(curves)
    ends = np.sort([curve[-1, 0] for curve in curves])
    at = AT * float(ends[: max(1, round(FASTEST * len(ends)))].mean())
    rate = _lowest(points, at, 4 * float(speeds.max()))
    burst = _height(points, rate)
    gaps = [float((burst + rate * curve[:, 0] - curve[:, 1]).min()) for curve in curves]
    return Line(rate, burst, float(np.mean(np.array(gaps) <= TOUCH)))


def interval(streams: Sequence[StreamOutcome], whole: Line) -> tuple[float, float, float]:
    """(least, middle, greatest) rate in bytes a second: of every second transfer, of the others, and of all."""
    rates = [whole.rate, *(half.rate for half in (line(streams[::2]), line(streams[1::2])) if half is not None)]
    return min(rates), whole.rate, max(rates)


def _height(points: Floats, rate: float) -> float:
    return float((points[:, 1] - rate * points[:, 0]).max())


def _lowest(points: Floats, at: float, most: float) -> float:
    """The slope with which a line above all points is lowest at `at`: that height is convex in the slope."""
    low, high = 0.0, most
    for _ in range(60):
        a, b = low + (high - low) / 3, high - (high - low) / 3
        if _height(points, a) + a * at <= _height(points, b) + b * at:
            high = b
        else:
            low = a
    return (low + high) / 2
