"""The turns of a stream exchange, each apart: whose it was, and how long it was on its way, by both ends' clocks.

Ends take turns, so what arrived at either, put on one clock, falls into runs, and each run is a turn. A turn begins
when its sender had the whole of the one before. The clocks' offset is taken from the spared exchanges of the same
session, as half the difference of the two ways' least times: what is wrong with that is common to all exchanges.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from ringback.record import StreamOutcome

Way = Literal["out", "in"]
WAYS: tuple[Way, ...] = ("out", "in")


@dataclass(frozen=True)
class Turn:
    """begun: seconds after the exchange's start. arrivals: (seconds after `begun`, bytes of this turn so far). after:
    whether another turn followed, so that it is known to have come whole."""

    way: Way
    begun: float
    arrivals: tuple[tuple[float, int], ...]
    followed: bool

    @property
    def first(self) -> float:
        """Seconds that its first bytes took."""
        return self.arrivals[0][0]


@dataclass(frozen=True)
class Clocks:
    """offset: far clock minus near clock, less the exchange's start, s. trip: the least seconds one way."""

    offset: float
    trip: float


def clocks(spared: Sequence[StreamOutcome]) -> Clocks | None:
    """From exchanges that nothing was done to; None where none of them came to an answer."""
    known = [
        (s.up_first, s.connected, s.arrivals[0][0])
        for s in spared
        if s.up_first is not None and s.connected is not None and s.arrivals
    ]
    if not known:
        return None
    out = min(first - connected for first, connected, _ in known)
    back = min(answer - first for first, _, answer in known)
    return Clocks((out - back) / 2, (out + back) / 2)


def turns(stream: StreamOutcome, by: Clocks) -> list[Turn]:
    """In order; [] where nothing of it is timed at both ends."""
    if stream.up_first is None or stream.connected is None:
        return []
    rows: list[tuple[float, int, Way]] = [(at + stream.up_first - by.offset, n, "out") for at, n in stream.up_arrivals]
    rows += [(at, n, "in") for at, n in stream.arrivals]
    rows.sort()
    found: list[Turn] = []
    begun, before = stream.connected, {"out": 0, "in": 0}
    runs = [(way, list(run)) for way, run in groupby(rows, key=lambda row: row[2])]
    for i, (way, run) in enumerate(runs):
        arrivals = tuple((at - begun, n - before[way]) for at, n, _ in run)
        found.append(Turn(way, begun, arrivals, i + 1 < len(runs)))
        begun, before[way] = run[-1][0], run[-1][1]
    return found
