"""From histories to events: one fold over all networks, recomputed whenever more or later reports come in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from ringback.evidence.baseline import references
from ringback.evidence.cells import Column, Graded, Key
from ringback.evidence.detector import SETTINGS, Alarm, Betting, Settings, Watch
from ringback.evidence.turns import Turns, turns
from ringback.evidence.volume import Volume, around, lent
from ringback.evidence.windows import (
    RESUME,
    Schedule,
    Window,
    chained,
    cleared,
    extent,
    fitted,
    mask,
    reach,
    schedule,
    scheduled_turns,
    timetable,
    unbroken,
)

Interval = tuple[float, float]
Flags = NDArray[np.bool_]

LEAST_TURNS = 20  # a network with fewer is not watched, and does not count among those over which alarms are shared
SUSPICION_HOURS = 365 * 24.0  # run length of a suspicion, in one network alone, without the guard against forgery
MOST_LOG = 690.0
SEEN = 20.0  # e-value, times the networks watched, at which an event counts as seen to begin or to end


@dataclass(frozen=True)
class Event:
    """A network changed for the worse, and what is known of when. All times are seconds since 1970 UTC.

    onset: first restricted measurement, with onset_interval = (last clear one, it); None where it was not seen to
    begin: under_way, the network's history begins with it, or too little clear was seen before. end: last restricted
    measurement, with end_interval = (it, next clear one); None where it was not seen to end. alarmed_at: when the
    measurements up to then sufficed. windows: (first, last) restricted measurement of each; schedule: what they repeat
    by, and without one those less than a day apart are one. e_value: without the loudest clusters. n: measurements
    inside the windows; clusters: their sources. level, usual: their mean score, and the ceiling of the own baseline.
    kind: `event`, or `suspicion` where it would not stand if some reports were forged, or over all networks at once.
    """

    key: Key
    kind: str
    onset: float | None
    onset_interval: Interval | None
    end: float | None
    end_interval: Interval | None
    alarmed_at: float
    windows: tuple[Interval, ...]
    schedule: Schedule | None
    e_value: float
    n: int
    clusters: int
    level: float
    usual: float
    volume: Volume
    under_way: bool


@dataclass(frozen=True)
class History:
    """What the fold says of one network. status: `event`, `suspicion`, `quiet` or `insufficient`.

    insufficient: nothing was found, and a full restriction of the later half of its history, or one with the windows of
    an event elsewhere in the same app and function, would not have been found either. n: measurements that attempted
    anything.
    """

    key: Key
    status: str
    events: tuple[Event, ...]
    n: int


def _located(
    key: Key,
    cell: Turns,
    alarm: Alarm,
    begin: int,
    normal: Flags,
    kind: str,
    reference: float,
    needed: float,
    betting: Betting,
) -> tuple[Event, int]:
    """The event that an alarm is about, and the first turn after it."""
    earliest = begin + int(np.searchsorted(cell.at[begin : alarm.start], cell.at[alarm.start] - RESUME))
    clear = min(alarm.ceiling, 0.9 * alarm.level)
    outside = normal & (np.arange(len(cell)) < alarm.start)
    found, fit = fitted(cell, earliest, outside, reference, alarm.level, betting)
    windows = chained(cell, found, alarm.start) or [Window(alarm.start, alarm.index)]
    for _ in range(2):
        windows = extent(cell, windows, alarm.index, fit, begin, betting)
    level = fit.level
    first, last = windows[0].first, windows[-1].last
    inside = mask(cell, windows)
    table = timetable(cell, windows, betting)
    begun = cleared(cell, [i for i in reach(cell, first, -1) if i >= begin], table, level, clear, needed)
    ended = cleared(cell, reach(cell, last, 1), table, level, clear, needed)
    at, planned = cell.at, schedule(cell, windows, inside)
    told = windows if planned else unbroken(cell, windows)
    within = mask(cell, told)  # all that the windows told hold, not only what made them
    event = Event(
        key=key,
        kind=kind,
        onset=float(at[first]) if begun is not None else None,
        onset_interval=(float(at[first - 1]), float(at[first])) if begun is not None else None,
        end=float(at[last]) if ended is not None else None,
        end_interval=(float(at[last]), float(at[last + 1])) if ended is not None else None,
        alarmed_at=float(at[alarm.raised]),
        windows=tuple((float(at[w.first]), float(at[w.last])) for w in told),
        schedule=planned,
        e_value=exp(min(alarm.log_e if kind == "event" else alarm.log_all, MOST_LOG)),
        n=int(cell.n[within].sum()),
        clusters=len(set(cell.cluster[within].tolist())),
        level=float(np.average(cell.score[within], weights=cell.n[within])),
        usual=alarm.ceiling,
        volume=around(cell, float(at[first]), float(at[last])),
        under_way=begun is None and bool(at[first] - at[0] < RESUME),
    )
    return event, last + 1


def walk(
    key: Key, cell: Turns, known: Sequence[float], threshold: float, seen: float, settings: Settings
) -> tuple[Event, ...]:
    """One network's events, in order of time. known: what its instruments give elsewhere; threshold: log e of an event;
    seen: log e at which one counts as seen to begin or end. Nothing else decides them."""
    normal = np.ones(len(cell), dtype=np.bool_)
    found: list[Event] = []
    silence = lent(cell)
    for kind, height in (("event", threshold), ("suspicion", log(SUSPICION_HOURS))):
        begin = 0
        while begin < len(cell):
            alarm = Watch(cell, known, settings, normal, silence).run(begin, height, guarded=kind == "event")
            if alarm is None:
                break
            reference = known[int(cell.instrument[alarm.index])]
            event, after = _located(key, cell, alarm, begin, normal, kind, reference, seen, settings.betting)
            inside = (cell.at >= event.windows[0][0]) & (cell.at <= event.windows[-1][1])
            if normal[inside].all():
                found.append(event)
            normal &= ~inside
            begin = max(after, alarm.start + 1)
    return tuple(sorted(found, key=lambda event: event.windows[0]))


Walk = Callable[[Key, Turns, Sequence[float], float, float, Settings], tuple[Event, ...]]


def _would_see(cell: Turns, hit: Flags, known: Sequence[float], threshold: float, settings: Settings) -> bool:
    """Whether a restriction of exactly these turns, everything failing, would have raised an event."""
    if not hit.any():
        return False
    harmed = replace(cell, score=np.where(hit, 1.0, cell.score))
    watch = Watch(harmed, known, settings, np.ones(len(cell), dtype=np.bool_), np.zeros(len(cell)))
    return watch.run(0, threshold) is not None


class Country:
    """All networks' histories: the instruments' references and the threshold are shared.

    declared: instruments whose rate of failing where nothing is restricted is known (a verdict's alpha), 0..1. watched:
    networks over which the threshold is shared, where these are only a part of them; never fewer than are here.
    walking: `walk`, or what answers the same.
    """

    def __init__(
        self,
        histories: Mapping[Key, Sequence[Graded] | Column],
        settings: Settings = SETTINGS,
        declared: Mapping[str, float] | None = None,
        watched: int = 0,
        walking: Walk = walk,
    ) -> None:
        self._walk = walking
        self._cells = {key: turns(own) for key, own in sorted(histories.items(), key=lambda item: repr(item[0]))}
        self._settings = settings
        self._watched = max(watched, 1, sum(len(cell) >= LEAST_TURNS for cell in self._cells.values()))
        self._threshold = settings.threshold(self._watched)
        usual = {
            kind: references([cell for key, cell in self._cells.items() if _kind(key) == kind], declared)
            for kind in {_kind(key) for key in self._cells}
        }
        self._known = {key: [usual[_kind(key)][name] for name in own.instruments] for key, own in self._cells.items()}

    @cached_property
    def events(self) -> dict[Key, tuple[Event, ...]]:
        """Of each network, in order of time. Where nothing ever failed, nothing can have begun."""
        seen = log(SEEN * self._watched)
        return {
            key: self._walk(key, cell, self._known[key], self._threshold, seen, self._settings)
            if len(cell) >= LEAST_TURNS and cell.score.any()
            else ()
            for key, cell in self._cells.items()
        }

    def status(self, key: Key) -> str:
        """See `History`."""
        kinds = {event.kind for event in self.events[key]}
        if kinds:
            return "event" if "event" in kinds else "suspicion"
        cell, known = self._cells[key], self._known[key]
        alike = [own for other, own in self.events.items() if _kind(other) == _kind(key)]
        elsewhere = [event for own in alike for event in own if event.kind == "event"]
        able = len(cell) >= LEAST_TURNS and all(
            _would_see(cell, hit, known, self._threshold, self._settings) for hit in _tests(cell, elsewhere)
        )
        return "quiet" if able else "insufficient"

    def history(self, key: Key) -> History:
        return History(key, self.status(key), self.events[key], int(self._cells[key].n.sum()))


def events(
    histories: Mapping[Key, Sequence[Graded]],
    settings: Settings = SETTINGS,
    declared: Mapping[str, float] | None = None,
) -> dict[Key, History]:
    """Every network's history, judged together, see `Country`."""
    country = Country(histories, settings, declared)
    return {key: country.history(key) for key in country.events}


def _tests(cell: Turns, elsewhere: Sequence[Event]) -> list[Flags]:
    """Turns that a restriction would have hit: of the later half of the history, and with each event elsewhere."""
    halves = cell.at >= (cell.at[0] + cell.at[-1]) / 2
    hits = [np.asarray(halves)]
    for event in elsewhere:
        hit = np.zeros(len(cell), dtype=np.bool_)
        for start, end in event.windows:
            hit |= (cell.at >= start) & (cell.at <= end)
        if event.schedule is not None:
            hit |= scheduled_turns(cell, event.schedule, event.windows[0][0], event.windows[-1][1])
        hits.append(hit)
    return hits


def _kind(key: Key) -> tuple[str, str, str]:
    return key.app, key.function, key.path
