"""When within an event it was restricted: windows, their schedule, and whether the event was seen to begin and end.

Each turn is restricted or clear; the likeliest row of states under a price for each change (Viterbi's algorithm on a
two-state chain) gives the windows. Windows less than RESUME apart belong to one event, since schedules repeat by the
week: a ban on weekday mornings is one event with many windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from ringback.evidence.cells import DAY, HOUR, WEEK
from ringback.evidence.detector import LOOK_BACK, Betting, weekend
from ringback.evidence.turns import Turns

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

RESUME = WEEK
SWITCH = 3.0  # price of a change, in nats: a window must fit better than clear by exp(6), less at its event's hours
NEAR_DAYS = 3.0  # how far days speak for the hours of another one, e-folding
SCHEDULED = 3  # windows from which on an event can have a schedule
OWN_HOUR = 2.0  # turns that an hour starts with, at the rate of all hours
OTHER_DAY = 12  # hours from which on a turn is of another day


BINS = (0.25, 0.6)  # a score is mild below the first, grave from the second on
PRIOR_INSIDE = (0.2, 0.4, 1.4)  # turns that what a restriction looks like starts with
PRIOR_OUTSIDE = 8.0  # turns that the instrument's reference is worth
MOST = log(100)  # what one turn may say at most


@dataclass(frozen=True)
class Contrast:
    """What scores look like outside and inside an event: shares of mild, middling and grave ones; the mean inside.

    The histograms are the network's own, so twelve endpoints of twelve say more than four do, and how much is seen.
    """

    outside: tuple[float, ...]
    inside: tuple[float, ...]
    level: float

    def ratio(self, cell: Turns, begin: int, end: int) -> Floats:
        """Log likelihood ratio of turns begin..end-1, inside against outside; repeated voices count less."""
        each = np.clip(np.log(np.array(self.inside) / np.array(self.outside)), -MOST, MOST)
        return np.asarray(cell.worth[begin:end] * each[np.digitize(cell.score[begin:end], BINS)], dtype=np.float64)


def _shares(cell: Turns, turns: Flags, prior: Sequence[float]) -> tuple[float, ...]:
    kinds = np.digitize(cell.score[turns], BINS)
    counts = np.bincount(kinds, weights=cell.worth[turns], minlength=3) + np.array(prior)
    return tuple((counts / counts.sum()).tolist())


def contrast(cell: Turns, outside: Flags, inside: Flags, reference: float, level: float) -> Contrast:
    """outside, inside: turns known to be so. reference: what the instrument gives elsewhere. level: where none is."""
    before = (PRIOR_OUTSIDE * (1 - reference), PRIOR_OUTSIDE * reference / 2, PRIOR_OUTSIDE * reference / 2)
    if inside.any():
        level = float(np.average(cell.score[inside], weights=cell.worth[inside]))
    return Contrast(_shares(cell, outside, before), _shares(cell, inside, PRIOR_INSIDE), level)


@dataclass(frozen=True)
class Window:
    """Turns first..last (indices, both inside) that were restricted."""

    first: int
    last: int


def segment(cell: Turns, begin: int, end: int, fit: Contrast, habit: Floats) -> list[Window]:
    """Windows among turns begin..end-1. habit: chance of each of these turns to be restricted, judged from the same
    hours of other days; it makes a change cheaper."""
    gains = fit.ratio(cell, begin, end)
    best_clear, best_restricted = 0.0, -SWITCH
    came = np.zeros((len(gains), 2), dtype=np.bool_)  # whether the state came from the other one
    for index, gain in enumerate(gains):
        price = SWITCH * (1 - habit[index])
        to_clear, to_restricted = best_restricted - price, best_clear - price
        came[index] = (to_clear > best_clear, to_restricted > best_restricted)
        best_clear = max(best_clear, to_clear)
        best_restricted = max(best_restricted, to_restricted) + float(gain)
    states = np.zeros(len(gains), dtype=np.bool_)
    state = best_restricted > best_clear
    for index in range(len(gains) - 1, -1, -1):
        states[index] = state
        if came[index][int(state)]:
            state = not state
    edges = np.flatnonzero(np.diff(np.concatenate(([0], states.astype(np.int8), [0]))))
    return [Window(begin + int(a), begin + int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def fitted(
    cell: Turns, begin: int, outside: Flags, reference: float, level: float, betting: Betting
) -> tuple[list[Window], Contrast]:
    """Windows from turn `begin` on, with the contrast that they themselves show, and that contrast."""
    fit = contrast(cell, outside, np.zeros(len(cell), dtype=np.bool_), reference, level)
    found: list[Window] = []
    habit = np.zeros(len(cell) - begin)
    for _ in range(4):
        found = segment(cell, begin, len(cell), fit, habit)
        inside = mask(cell, found)
        fit = contrast(cell, outside & ~inside, inside, reference, level)
        habit = habits(cell, begin, fit, betting)
    return found, fit


def habits(cell: Turns, begin: int, fit: Contrast, betting: Betting) -> Floats:
    """For each turn from `begin` on, how restricted the same hours of nearby days are, before and after, 0..1."""
    hour, worth = cell.hour[begin:] - cell.hour[begin], cell.worth[begin:]
    shown = worth / (1 + np.exp(-fit.ratio(cell, begin, len(cell))))
    size = int(hour[-1]) + 1
    restricted, turns = np.bincount(hour, weights=shown), np.bincount(hour, weights=worth)
    off = weekend((cell.hour[begin] + np.arange(size)) * HOUR)
    lag = np.arange(-LOOK_BACK, LOOK_BACK + 1)
    clock = np.minimum(lag % 24, -lag % 24) / betting.clock_h
    kernel = np.exp(-(clock**2) / 2 - np.abs(lag) / 24 / NEAR_DAYS) * (np.abs(lag) > OTHER_DAY)
    found = np.zeros(size)
    for kind in (False, True):
        weight = np.where(off == kind, 1.0, betting.other)
        near = np.convolve(restricted * weight, kernel)[LOOK_BACK : LOOK_BACK + size]
        of = np.convolve(turns * weight, kernel)[LOOK_BACK : LOOK_BACK + size]
        found = np.where(off == kind, near / (1 + of), found)
    return np.asarray(found[hour], dtype=np.float64)


def mask(cell: Turns, windows: Sequence[Window]) -> Flags:
    inside = np.zeros(len(cell), dtype=np.bool_)
    for window in windows:
        inside[window.first : window.last + 1] = True
    return inside


def chained(cell: Turns, windows: Sequence[Window], anchor: int) -> list[Window]:
    """Those that hang together, less than RESUME apart, with the first that ends at or after turn `anchor`."""
    home = next((i for i, window in enumerate(windows) if window.last >= anchor), None)
    if home is None:
        return []
    low = high = home
    while low > 0 and cell.at[windows[low].first] - cell.at[windows[low - 1].last] < RESUME:
        low -= 1
    while high + 1 < len(windows) and cell.at[windows[high + 1].first] - cell.at[windows[high].last] < RESUME:
        high += 1
    return list(windows[low : high + 1])


def extent(
    cell: Turns, windows: Sequence[Window], anchor: int, fit: Contrast, begin: int, betting: Betting
) -> list[Window]:
    """The windows of the likeliest event, from first to last turn, that holds turn `anchor`.

    With h the chance that the event, if on, restricts at a turn's hour, the turn speaks log(1 - h + h L) for its being
    on, L the likelihood ratio of its score. Onset and end maximise the sum; beyond the windows at hand, up to RESUME
    away and not before turn `begin`, only what wins SWITCH counts. So single failures at an event's hours on the days
    before are its onset, and an odd failure that clear turns set apart is not.
    """
    first, last = windows[0].first, windows[-1].last
    low = max(begin, int(np.searchsorted(cell.at, cell.at[first] - RESUME)))
    high = int(np.searchsorted(cell.at, cell.at[last] + RESUME, side="right")) - 1
    hope = by_turn(cell, timetable(cell, windows, betting), slice(low, high + 1))
    speaks = fit.ratio(cell, low, high + 1)
    sums = np.cumsum(np.log1p(np.minimum(hope, 0.95) * np.expm1(speaks)))
    anchor = min(max(anchor, first), last)
    back = np.concatenate(([0.0], sums[: anchor - low])) + np.where(np.arange(low, anchor + 1) < first, SWITCH, 0.0)
    onset = low + int(np.argmin(back))
    ahead = sums[anchor - low :] - np.where(np.arange(anchor, high + 1) > last, SWITCH, 0.0)
    end = anchor + int(np.argmax(ahead))
    kept = [Window(max(w.first, onset), min(w.last, end)) for w in windows if w.last >= onset and w.first <= end]
    for index in range(low, high + 1):  # what lies beyond the windows at hand is windows of single turns
        beyond = index < first or index > last
        if onset <= index <= end and beyond and speaks[index - low] > 0:
            kept.append(Window(index, index))
    return sorted(kept, key=lambda window: window.first) or list(windows)


@dataclass(frozen=True)
class Schedule:
    """hours: UTC hours of day at which windows lie, share of that hour's turns at least one half. days: `every day`,
    `weekdays` or `weekends`."""

    hours: tuple[int, ...]
    days: str


def schedule(cell: Turns, windows: Sequence[Window], inside: Flags) -> Schedule | None:
    """What the windows repeat by; None for an unbroken event, one too short to tell (under three windows), or one in
    which the hour foretells nothing: where a device stands before a part of the customers, who happens to measure makes
    windows as well."""
    if len(windows) < SCHEDULED:
        return None
    span = slice(windows[0].first, windows[-1].last + 1)
    hours = (cell.at[span] // HOUR).astype(np.int64) % 24
    restricted, off = inside[span], weekend(cell.at[span])
    if _by_hour((cell.at[span] // DAY).astype(np.int64), hours + 24 * off, restricted) < SWITCH:
        return None
    kinds = {kind for kind, at in (("weekdays", ~off), ("weekends", off)) if restricted[at].any()}
    listed = [
        hour
        for hour in range(24)
        if (here := (hours == hour) & (np.isin(off, [kind == "weekends" for kind in kinds]))).any()
        and restricted[here].mean() >= 0.5
    ]
    return Schedule(tuple(listed), next(iter(kinds)) if len(kinds) == 1 else "every day")


def _by_hour(day: NDArray[np.int64], hour: NDArray[np.int64], restricted: Flags) -> float:
    """How much better (nats) the same hours of all other days foretell each turn than all their turns do.

    hour: 0..47, weekends apart. Out of sample, so hours that say nothing make it negative.
    """
    turns, hits = np.zeros((int(np.ptp(day)) + 1, 48)), np.zeros((int(np.ptp(day)) + 1, 48))
    np.add.at(turns, (day - day.min(), hour), 1.0)
    np.add.at(hits, (day - day.min(), hour), restricted.astype(float))
    others, others_hit = turns.sum(axis=0) - turns, hits.sum(axis=0) - hits
    plain = ((others_hit.sum(axis=1) + 1) / (others.sum(axis=1) + 2))[:, None]
    timed = (others_hit + OWN_HOUR * plain) / (others + OWN_HOUR)
    gain = hits * np.log(timed / plain) + (turns - hits) * np.log((1 - timed) / (1 - plain))
    return float(gain.sum())


def unbroken(cell: Turns, windows: Sequence[Window]) -> list[Window]:
    """Windows less than a day apart as one: without a schedule, what was clear between them was clear for some only."""
    found: list[Window] = []
    for window in windows:
        if found and cell.at[window.first] - cell.at[found[-1].last] < DAY:
            found[-1] = Window(found[-1].first, window.last)
        else:
            found.append(window)
    return found


def timetable(cell: Turns, windows: Sequence[Window], betting: Betting) -> Floats:
    """Chance 0..1 that this event, were it on, restricts a turn: by kind of day (0 weekday, 1 weekend) and UTC hour.

    The share of the event's own turns at like hours. Of an event with a schedule, days of one kind say nothing of the
    other; an event of few windows has none and restricts at every hour.
    """
    if len(windows) < SCHEDULED:
        return np.ones((2, 24))
    span, inside = slice(windows[0].first, windows[-1].last + 1), mask(cell, windows)
    kind = weekend(cell.at[span]).astype(np.int64)
    hour = cell.hour[span] % 24
    turns, restricted = np.zeros((2, 24)), np.zeros((2, 24))
    np.add.at(turns, (kind, hour), 1.0)
    np.add.at(restricted, (kind, hour), inside[span].astype(float))
    apart = np.abs(np.arange(24)[:, None] - np.arange(24)[None, :])
    alike = np.exp(-((np.minimum(apart, 24 - apart) / betting.clock_h) ** 2) / 2)
    return np.asarray((restricted @ alike) / (0.5 + turns @ alike), dtype=np.float64)


def by_turn(cell: Turns, table: Floats, turns: slice) -> Floats:
    """What a timetable says of each of these turns."""
    return np.asarray(table[weekend(cell.at[turns]).astype(np.int64), cell.hour[turns] % 24], dtype=np.float64)


def cleared(cell: Turns, order: Sequence[int], table: Floats, level: float, clear: float, needed: float) -> int | None:
    """The turn in `order` at which "restricted as it was" is refuted: null, the mean score at its hours is at least
    half the event's level; None where it never is. For the end look onwards, for the onset backwards.

    table: the event's timetable; the e-value only grows where it would have restricted, so clear nights don't end a ban
    by day. needed: log e-value that counts.
    """
    half = max(level / 2, clear + 0.02)
    hope = by_turn(cell, table, slice(0, len(cell)))
    total = 0.0
    for index in order:
        bet = 0.95 * float(hope[index]) * float(cell.worth[index])
        total += log(1 + bet * (half - float(cell.score[index])) * (half - clear) / (half * (1 - half)))
        if total >= needed:
            return index
    return None


def reach(cell: Turns, index: int, step: int, limit: float = 2 * WEEK) -> list[int]:
    """Indices of turns from index on in steps of +1 or -1, up to `limit` seconds away."""
    found = []
    at = index + step
    while 0 <= at < len(cell) and abs(cell.at[at] - cell.at[index]) <= limit:
        found.append(at)
        at += step
    return found


def scheduled_turns(cell: Turns, planned: Schedule, start: float, end: float) -> Flags:
    """Turns at the schedule's hours and days from start to end (seconds). (n,)."""
    hours = np.isin((cell.at // HOUR).astype(np.int64) % 24, planned.hours)
    off = weekend(cell.at)
    days = {"weekdays": ~off, "weekends": off}.get(planned.days, np.ones(len(cell), dtype=np.bool_))
    found: Flags = hours & days & (cell.at >= start) & (cell.at <= end)
    return found
