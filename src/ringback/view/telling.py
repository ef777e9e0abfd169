"""What a page shows of a long table: the rows that say most, and how many it leaves out. All of them have a page of
their own, which a link leads to: no script, nothing lost.
"""

from collections.abc import Sequence
from datetime import date
from typing import Generic, TypeVar

import msgspec

from ringback.view.figures import DayShare, Measured, NetworkShare
from ringback.view.outages import Outage

MOST_NETWORKS, MOST_EVENTS, MOST_OUTAGES = 15, 10, 8
MOST_DAYS = 28
SPARE = 3  # rows over that are shown as well: to say that they are left out takes as much room

T = TypeVar("T")


class Telling(msgspec.Struct, Generic[T], frozen=True):
    """rows: those shown; all: how many there are; restricted: of those left out, how many are (networks alone)."""

    rows: list[T]
    all: int
    restricted: int = 0

    @property
    def left(self) -> int:
        return self.all - len(self.rows)


def _room(found: Sequence[T], most: int) -> int:
    return len(found) if len(found) <= most + SPARE else most


def networks(found: Sequence[NetworkShare]) -> Telling[NetworkShare]:
    """The first of them: they come with the surest restricted first."""
    room = _room(found, MOST_NETWORKS)
    return Telling(list(found[:room]), len(found), sum(one.share.seen == "restricted" for one in found[room:]))


def days(found: Sequence[DayShare]) -> Telling[DayShare]:
    """The last ones."""
    return Telling(list(found[len(found) - _room(found, MOST_DAYS) :]), len(found))


def events(found: Sequence[Measured], since: date | None = None, until: date | None = None) -> Telling[Measured]:
    """Events before suspicions, what lasts into the days shown before what does not, the surest first. Those that are
    shown stay in the order of time, in which they come."""
    room = _room(found, MOST_EVENTS)
    first = sorted(found, key=lambda one: (one.kind != "event", not one.lasted(since, until), -one.e_value))[:room]
    chosen = {one.id for one in first}
    return Telling([one for one in found if one.id in chosen], len(found))


def outages(found: Sequence[Outage]) -> Telling[Outage]:
    """The latest, the last first where not all are shown."""
    room = _room(found, MOST_OUTAGES)
    if room == len(found):
        return Telling(list(found), len(found))
    latest = sorted(found, key=lambda one: (one.until, one.since, one.participants), reverse=True)
    return Telling(latest[:room], len(found))
