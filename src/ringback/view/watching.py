"""Events from the lake: the one way in which pages, API, claims and commands come to them.

The threshold is shared over all networks, apps and functions in the lake, whichever part of them is asked about: "in
all together at most one false event a year" then holds for all answers together.
"""

from collections import OrderedDict
from collections.abc import Container, Sequence
from hashlib import blake2b

from ringback.evidence import observed
from ringback.evidence.cells import Key
from ringback.evidence.detector import Settings
from ringback.evidence.events import LEAST_TURNS, Country, Event, Walk, walk
from ringback.evidence.turns import Turns
from ringback.store import Reading, Selection
from ringback.store.queries import EVERYTHING

MOST_KEPT = 200_000  # histories and windows of events, about a hundred bytes each


class Walked:
    """What the walk through a history said, kept by all that decides it: the history's own content, what its
    instruments give elsewhere, thresholds and settings. So a new report has only its own history walked again, and
    nothing old can be taken for new. Not for several threads at once."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._size = 0
        self._kept: OrderedDict[bytes, tuple[Event, ...]] = OrderedDict()

    def walk(
        self, key: Key, cell: Turns, known: Sequence[float], threshold: float, seen: float, settings: Settings
    ) -> tuple[Event, ...]:
        told = blake2b(repr((key, cell.instruments, list(known), threshold, seen, settings)).encode(), digest_size=32)
        for column in (cell.at, cell.score, cell.hour, cell.cluster, cell.instrument, cell.worth, cell.n):
            told.update(column.tobytes())  # each as long as the others
        name = told.digest()
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        found = self._kept[name] = walk(key, cell, known, threshold, seen, settings)
        self._size += _size(found)
        while self._size > self._most:
            self._size -= _size(self._kept.popitem(last=False)[1])
        return found


def _size(events: Sequence[Event]) -> int:
    return 1 + sum(len(event.windows) for event in events)


def country(
    reading: Reading, selection: Selection = EVERYTHING, among: Container[int] | None = None, walking: Walk = walk
) -> Country:
    """The networks that a selection means, each with its whole history, to be judged together. among: only these AS
    numbers are told of; all of them say what is usual and share the threshold."""
    histories, declared = observed.columns(reading.points(selection), among)
    watched = len(reading.networks(at_least=LEAST_TURNS))
    return Country(histories, declared=declared, watched=watched, walking=walking)


def events(
    reading: Reading, selection: Selection = EVERYTHING, among: Container[int] | None = None, walking: Walk = walk
) -> list[Event]:
    """In order of network and time."""
    return [event for own in country(reading, selection, among, walking).events.values() for event in own]


def watched(judged: Country) -> list[Key]:
    """Networks whose restriction would have been seen."""
    return [key for key in judged.events if judged.status(key) != "insufficient"]
