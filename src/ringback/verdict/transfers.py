"""The two transfers of a media exchange, apart: what the participant sent, and what came back once that was there.

Each is timed by the clock of the end that it comes to, from its first byte on, plus a round trip: no offset between the
clocks matters, nor does what the other transfer suffered. A first byte that was lost and came again makes its transfer
look a little shorter, never nearly nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan

import numpy as np
from numpy.typing import NDArray

from ringback.record import StreamOutcome

Floats = NDArray[np.float64]

MSS = 1448  # payload of a segment in packets of 1,500 bytes: IPv4 and TCP with timestamps (RFC 7323) are the rest
IP_HEADERS = 52
LEAST = 32_000  # bytes that make an end's last turn a transfer; less is a message


@dataclass(frozen=True)
class Transfer:
    """size: bytes. arrivals: (seconds after its first byte, bytes of it) as its receiver was given them, [] where none
    came. trip: the least round trip seen. seconds: that it took, trip included, inf where it did not end intact.
    spent: that it had, the same where it ended."""

    size: int
    arrivals: Sequence[tuple[float, int]]
    trip: float
    seconds: float
    spent: float

    @property
    def got(self) -> int:
        return self.arrivals[-1][1] if self.arrivals else 0

    @property
    def kbps(self) -> float:
        """Goodput, so far where it did not end."""
        return self.got / 125 / self.spent if self.spent > 0 else 0.0

    @property
    def steady_kbps(self) -> float | None:
        """Goodput of the second half of the bytes of a transfer that ended: past slow start."""
        if not np.isfinite(self.seconds) or len(self.arrivals) < 2:
            return None
        at, n = next((at, n) for at, n in self.arrivals if n >= self.got / 2)
        return (self.got - n) / 125 / (self.arrivals[-1][0] - at) if self.arrivals[-1][0] > at else None


def upload(o: StreamOutcome) -> Transfer | None:
    """None where the script has none, or where the far end's record never came."""
    if o.up_last < LEAST or o.partner == "lost":
        return None
    asked, trip = _asked(o)
    rows = _since(o.up_arrivals, o.up_expected - o.up_last)
    whole = bool(rows) and rows[-1][1] >= o.up_last and not o.unexpected
    seconds = rows[-1][0] + trip if whole else inf
    end = o.failed_at if o.failed_at is not None else o.finished
    return Transfer(o.up_last, rows, trip, seconds, seconds if whole else max(0.0, (end or 0.0) - asked))


def download(o: StreamOutcome) -> Transfer | None:
    """None where the script has none, or where the far end's record never came."""
    if o.down_last < LEAST or o.partner == "lost":
        return None
    _, trip = _asked(o)
    rows = _since(o.arrivals, o.down_expected - o.down_last)
    whole = bool(rows) and o.finished is not None and not o.unexpected
    seconds = rows[-1][0] + trip if whole else inf
    begun = o.arrivals[len(o.arrivals) - len(rows)][0] if rows else 0.0
    end = o.failed_at if o.failed_at is not None else o.finished
    spent = seconds if whole else (end or 0.0) - begun + trip if rows else 0.0
    return Transfer(o.down_last, rows, trip, seconds, max(0.0, spent))


def is_long(o: StreamOutcome) -> bool:
    """Whether its script has a transfer of either way."""
    return max(o.up_last, o.down_last) >= LEAST


WAYS: Mapping[str, Callable[[StreamOutcome], Transfer | None]] = {"out": upload, "in": download}


def seconds(outcomes: Sequence[StreamOutcome], way: str) -> Floats:
    """`Transfer.seconds` of each; NaN where it is not known."""
    of = WAYS[way]
    return np.array([nan if (one := of(o)) is None else one.seconds for o in outcomes])


def last_progress(o: StreamOutcome) -> float | None:
    """Seconds after the start at which either end was last given something; None for never."""
    times = [o.arrivals[-1][0]] if o.arrivals else []
    if o.up_arrivals and o.connected is not None:
        times.append(o.connected + o.up_arrivals[-1][0])
    return max(times, default=None)


def _asked(o: StreamOutcome) -> tuple[float, float]:
    """When the near end began its last turn (seconds after the start; `inf` for never) and the least round trip."""
    if o.connected is None:
        return inf, 0.0
    before = o.down_expected - o.down_last
    asked = next((at for at, n in o.arrivals if n >= before), inf) if before else o.connected
    return asked, min(o.connected, asked - o.connected) if asked > o.connected else o.connected


def _since(arrivals: Sequence[tuple[float, int]], before: int) -> list[tuple[float, int]]:
    rows = [(at, n - before) for at, n in arrivals if n > before]
    return [(at - rows[0][0], n) for at, n in rows]


def share(sign: Callable[[StreamOutcome], bool], streams: Sequence[StreamOutcome]) -> float:
    """Of the streams, how many show the sign; 0 of none."""
    return float(np.mean([sign(s) for s in streams])) if streams else 0.0


def median(values: Sequence[float | None]) -> float:
    """Of those that are known; 0 of none."""
    known = [v for v in values if v is not None]
    return float(np.median(known)) if known else 0.0
