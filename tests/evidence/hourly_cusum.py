"""The published design that Ringback is compared with: a two-sided CUSUM on hourly medians, one network at a time.

Written anew from the design of OONI's event detector (ooni/data, 2025; Basseville and Nikiforov, Detection of Abrupt
Changes, 1993, 2.2.5): fixed means mu0 and mu1 of "ok" and "blocked"; in each state only the sum towards the other one
runs, with half their distance as its drift; the first crossing only settles the state; after more than a day of silence
the sums decay with a half-life. h is tuned by the simulation to a given average run length.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ringback.evidence.cells import DAY, HOUR, Graded


@dataclass(frozen=True)
class Change:
    at: float  # seconds, the hour whose median crossed
    blocked: bool


def medians(history: Sequence[Graded]) -> list[tuple[float, float]]:
    hourly: dict[int, list[float]] = {}
    for one in history:
        if one.attempted:
            hourly.setdefault(int(one.at // HOUR), []).append(one.score)
    return [(hour * HOUR, float(np.median(scores))) for hour, scores in sorted(hourly.items())]


def changes(
    history: Sequence[Graded], h: float, mu0: float = 0.0, mu1: float = 0.7, half_life_h: float = 48
) -> list[Change]:
    state, up, down, last = "unknown", 0.0, 0.0, None
    drift = (mu1 - mu0) / 2
    found = []
    for at, median in medians(history):
        if last is not None and at - last > DAY:
            decay = 0.5 ** ((at - last) / HOUR / half_life_h)
            up, down = up * decay, down * decay
        last = at
        up = max(0.0, up + median - mu0 - drift) if state != "blocked" else 0.0
        down = max(0.0, down - median + mu1 - drift) if state != "ok" else 0.0
        if up > h or down > h:
            blocked = up > h
            if state != "unknown":
                found.append(Change(at, blocked))
            state, up, down = ("blocked" if blocked else "ok"), 0.0, 0.0
    return found


def spans(found: Sequence[Change]) -> list[tuple[float, float | None]]:
    """Each blocked stretch, (onset, end); end None where it lasts."""
    made: list[tuple[float, float | None]] = []
    for change in found:
        if change.blocked:
            made.append((change.at, None))
        elif made and made[-1][1] is None:
            made[-1] = (made[-1][0], change.at)
    return made
