"""Events from the lake: the one way in which pages, API, claims and commands come to them.

The threshold is shared over all networks, apps and functions in the lake, whichever part of them is asked about: "in
all together at most one false event a year" then holds for all answers together.
"""

from collections.abc import Container

from ringback.evidence import observed
from ringback.evidence.cells import Key
from ringback.evidence.events import LEAST_TURNS, Country, Event
from ringback.store import Reading, Selection
from ringback.store.queries import EVERYTHING


def country(reading: Reading, selection: Selection = EVERYTHING, among: Container[int] | None = None) -> Country:
    """The networks that a selection means, each with its whole history, to be judged together. among: only these AS
    numbers are told of; all of them say what is usual and share the threshold."""
    series = {key: own for key, own in reading.every_series(selection).items() if among is None or key[2] in among}
    histories, declared = observed.histories(series)
    return Country(histories, declared=declared, watched=len(reading.networks(at_least=LEAST_TURNS)))


def events(reading: Reading, selection: Selection = EVERYTHING, among: Container[int] | None = None) -> list[Event]:
    """In order of network and time."""
    return [event for own in country(reading, selection, among).events.values() for event in own]


def watched(judged: Country) -> list[Key]:
    """Networks whose restriction would have been seen."""
    return [key for key in judged.events if judged.status(key) != "insufficient"]
