"""Every quantity that pages and API show: cells from the store, folds from evidence, and nothing of too few people.

Answers are kept as long as the lake stays as it is. A lock, since a reading is not for several threads.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from threading import RLock
from typing import Any, TypeVar

import msgspec

from ringback.evidence.cells import Count
from ringback.evidence.events import Event
from ringback.evidence.prevalence import prevalence
from ringback.record import CellCount
from ringback.store import Lake, Reading, Selection
from ringback.view import watching
from ringback.view.address import APPS, FUNCTIONS, PATHS, START, View
from ringback.view.contrasts import Contrasts, contrasts
from ringback.view.ledger import Entry, ledger
from ringback.view.outages import Outage, outages

K = 5  # participants that a public cell needs
WEEK = timedelta(days=6)  # before the last day
COLUMNS = (("text", None), ("media", None), ("voice", "outgoing"), ("voice", "incoming"))
RESTRICTED_FROM = 0.05  # where an interval's lower end is above it, a cell counts as restricted

T = TypeVar("T")


class Share(msgspec.Struct, frozen=True):
    """How much is restricted. restricted: share 0..1 of what was decided, with its 95 % interval; both null where too
    few sources took part (`public` false) or nothing was decided. n: decided measurements; participants: the largest
    number of distinct pseudonyms on a day, 0 of imports, which name nobody; sources: the participants, of imports
    their probes, nets or reports; undecided: measurements that decided nothing; own: measurements of all kinds that
    Ringback made, 0 where other tools made all."""

    restricted: float | None = None
    interval: tuple[float, float] | None = None
    n: int = 0
    participants: int = 0
    undecided: int = 0
    public: bool = False
    sources: int = 0
    own: int = 0

    @property
    def imported(self) -> bool:
        """Other tools' tests, without look-alikes: nobody is named in them. Nor is anybody in files of our own records,
        whose verdicts are what verdicts are."""
        return self.anonymous and self.own == 0

    @property
    def anonymous(self) -> bool:
        """From files alone: sources are told apart, but not by their day's pseudonyms."""
        return self.sources > 0 and self.participants == 0

    @property
    def seen(self) -> str:
        """`restricted`, `clear`, `unsure` or `insufficient`: what may be said of it."""
        if not self.public or self.interval is None:
            return "insufficient"
        if self.interval[0] > RESTRICTED_FROM:
            return "restricted"
        return "clear" if self.interval[1] < 2 * RESTRICTED_FROM else "unsure"


HIDDEN = Share()


class RegionShare(msgspec.Struct, frozen=True):
    region: str
    share: Share


class NetworkShare(msgspec.Struct, frozen=True):
    asn: int
    region: str | None
    share: Share


class DayShare(msgspec.Struct, frozen=True):
    day: date
    share: Share


class MatrixCell(msgspec.Struct, frozen=True):
    app: str
    function: str
    direction: str | None
    path: str
    share: Share


class Measured(msgspec.Struct, frozen=True):
    """A measured event of one network. Times are UTC; onset and end are null where they were not seen; an interval is
    (last measurement before, first one after). e_value against "nothing changed"; level: share restricted inside."""

    id: str
    app: str
    function: str
    asn: int
    region: str | None
    kind: str
    onset: datetime | None
    onset_interval: tuple[datetime, datetime] | None
    end: datetime | None
    end_interval: tuple[datetime, datetime] | None
    windows: tuple[tuple[datetime, datetime], ...]
    e_value: float
    n: int
    clusters: int
    level: float

    def lasted(self, since: date | None, until: date | None) -> bool:
        """Whether it lasted into some of these days (UTC, both included; None: no bound), as far as was seen."""
        begins = self.onset or (self.windows[0][0] if self.windows else None)
        after = until is not None and begins is not None and begins.date() > until
        return not after and (since is None or self.end is None or self.end.date() >= since)


class _Watched(msgspec.Struct, frozen=True):
    """What has a history of its own."""

    app: str
    function: str
    asn: int


class Extent(msgspec.Struct, frozen=True):
    n: int = 0
    first: date | None = None
    last: date | None = None


def when(seconds: float) -> datetime:
    return datetime.fromtimestamp(round(seconds), UTC)


class Figures:
    """Asks one lake. Views without days mean the last week with data."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._lock = RLock()
        self._state: object = None
        self._kept: dict[object, Any] = {}
        self._reading = Reading(lake)
        self._walked = watching.Walked()

    def _once(self, key: object, make: Callable[[], T]) -> T:
        with self._lock:
            state = tuple(self._lake.parts())
            if state != self._state:
                self._state, self._kept, self._reading = state, {}, Reading(self._lake)
            if key not in self._kept:
                self._kept[key] = make()
            found: T = self._kept[key]
            return found

    def extent(self) -> Extent:
        def make() -> Extent:
            days = self._lake.days()
            rows = sum(part.rows for part in self._lake.manifest().parts.values())
            return Extent(rows, days[0], days[-1]) if days else Extent()

        return self._once("extent", make)

    def days(self, view: View) -> tuple[date | None, date | None]:
        """The first and last day that a view means."""
        last = view.until or self.extent().last
        if last is None:
            return view.since, None
        return view.since or (last - WEEK), last

    def _shares(
        self, by: Sequence[str], selection: Selection, pool: Sequence[str] = ()
    ) -> dict[tuple[Any, ...], Share]:
        """By the values of `by`, in their order. pool: those of them within which cells lean on each other."""
        cells = self._reading.cells(by, selection, clustered=True)
        counts = [_count(cell, pool) for cell in cells]
        found = prevalence(counts)
        shares = {}
        for cell, one in zip(cells, found, strict=True):
            sources = _sources(cell)
            share = Share(
                one.restricted,
                one.interval,
                one.n,
                cell.participants,
                one.insufficient,
                sources >= K,
                sources,
                cell.own,
            )
            shares[tuple(cell.keys.values())] = _public(share)
        return shares

    def _selection(self, view: View, **more: Any) -> Selection:
        since, until = self.days(view)
        return Selection(
            app=(view.app,), function=(view.function,), path=(view.path,), since=since, until=until, **more
        )

    def regions(self, view: View) -> list[RegionShare]:
        def make() -> list[RegionShare]:
            found = self._shares(("region",), self._selection(view))
            return [RegionShare(region, share) for (region,), share in found.items() if region]

        return self._once(("regions", view), make)

    def networks(self, view: View) -> list[NetworkShare]:
        """The most restricted first, by what is sure of it; of those alike, that with most participants."""

        def make() -> list[NetworkShare]:
            found = self._shares(("asn", "region"), self._selection(view))
            rows = [NetworkShare(asn, region, share) for (asn, region), share in found.items() if asn is not None]
            return sorted(rows, key=_surest)

        return self._once(("networks", view), make)

    def total(self, view: View) -> Share:
        """All regions together: of those who took part, not of the population."""

        def make() -> Share:
            return next(iter(self._shares(("path",), self._selection(view)).values()), HIDDEN)

        return self._once(("total", view), make)

    def daily(self, view: View, asn: int | None = None) -> list[DayShare]:
        """Every day that has data, whatever days the view means."""

        def make() -> list[DayShare]:
            chosen = Selection(app=(view.app,), function=(view.function,), path=(view.path,), asn=_one(asn))
            found = self._shares(("day",), chosen)
            return sorted((DayShare(day, share) for (day,), share in found.items()), key=lambda one: one.day)

        return self._once(("daily", view.but(since=None, until=None), asn), make)

    def matrix(self, view: View, asn: int | None = None) -> list[MatrixCell]:
        """Every app, in the catalogue's order and then others, by column and path; absent cells are HIDDEN."""

        def make() -> list[MatrixCell]:
            since, until = self.days(view)
            chosen = Selection(function=FUNCTIONS, since=since, until=until, asn=_one(asn))
            by = ("app", "function", "direction", "path")
            found = self._shares(by, chosen, ("app", "function", "path"))
            apps = [*APPS, *sorted({app for app, *_ in found} - set(APPS))]
            return [
                MatrixCell(app, function, direction, path, found.get((app, function, direction, path), HIDDEN))
                for app in apps
                for path in PATHS
                for function, direction in COLUMNS
            ]

        return self._once(("matrix", view.since, view.until, asn), make)

    def events(self, app: str, function: str) -> list[Measured]:
        """Of all networks with enough participants, in order of onset."""

        def make() -> list[Measured]:
            failed = self._failed().get((app, function), {})
            if not any(failed.values()):  # nothing can have begun
                return []
            chosen = Selection(app=(app,), function=(function,))
            seen = watching.events(self._reading, chosen, failed, self._walked.walk)
            found = [_measured(one, i) for i, one in _numbered(seen)]
            return sorted(found, key=lambda one: (one.onset or one.windows[0][0], one.asn))

        return self._once(("events", app, function), make)

    def _failed(self) -> dict[tuple[str, str], dict[int, int]]:
        """By app and function: the networks that enough people measured on the direct path, each with how many tries
        failed."""

        def make() -> dict[tuple[str, str], dict[int, int]]:
            found: dict[tuple[str, str], dict[int, int]] = {}
            by, direct = ("app", "function", "asn"), Selection(path=("direct",))
            cells = self._reading.cells(by, direct)
            if not all(cell.participants for cell in cells):  # who stands behind these is told by clusters alone
                cells = self._reading.cells(by, direct, clustered=True)
            for cell in cells:
                if cell.keys["asn"] is not None and _sources(cell) >= K:
                    one = msgspec.convert(cell.keys, _Watched)
                    found.setdefault((one.app, one.function), {})[one.asn] = cell.failed
            return found

        return self._once("failed", make)

    def imported(self, app: str, function: str, asn: int) -> bool:
        """Is what was measured of it on the direct path other tools' alone?"""

        def make() -> set[tuple[object, ...]]:
            cells = self._reading.cells(("app", "function", "asn"), Selection(path=("direct",)))
            return {tuple(cell.keys.values()) for cell in cells if not cell.own}

        return (app, function, asn) in self._once("imported", make)

    def measured(self, asn: int | None = None) -> list[tuple[str, str]]:
        """(app, function) of what enough people measured on the direct path of some network, or of this one."""
        return sorted(what for what, networks in self._failed().items() if asn is None or asn in networks)

    def event(self, id: str) -> Measured | None:
        app, _, function = id.rpartition("-")[0].rpartition("-")[0].rpartition("-")  # an app's name may have a dash
        return next((one for one in self.events(app, function) if one.id == id), None)

    def outages(self) -> list[Outage]:
        """Of all networks and all days that have data."""
        return self._once("outages", lambda: outages(self._reading, K))

    def contrasts(self, view: View) -> Contrasts:
        """Regions beside each other, the preferred app beside this one, a VPN beside none. The view's path is not
        asked."""

        def make() -> Contrasts:
            since, until = self.days(view)
            return contrasts(self._reading, Selection(since=since, until=until), view.app, view.function, K)

        return self._once(("contrasts", view.but(path=START.path)), make)

    def ledger(self) -> list[Entry]:
        """Every claim, answered from all the data."""
        return self._once("ledger", lambda: ledger(self._reading, self._walked.walk))

    def region_of(self, asn: int) -> str | None:
        """The region that most measurements of a network name."""

        def make() -> str | None:
            cells = self._reading.cells(("region",), Selection(asn=(asn,)))
            best = max(cells, key=lambda cell: cell.n, default=None)
            return str(best.keys["region"]) if best and best.keys["region"] else None

        return self._once(("region_of", asn), make)


def _numbered(found: Iterable[Event]) -> Iterator[tuple[int, Event]]:
    """Each with its number on its network, from 0."""
    for _, own in groupby(found, key=lambda event: (event.key.app, event.key.function, event.key.asn)):
        yield from enumerate(own)


def _one(asn: int | None) -> tuple[int, ...] | None:
    return None if asn is None else (asn,)


def _sources(cell: CellCount) -> int:
    """Participants; where there are no pseudonyms, what there is instead: clusters, each a probe, a net or a report."""
    return cell.participants or sum(times for _, _, times in cell.clusters or ())


def _count(cell: CellCount, pool: Sequence[str]) -> Count:
    clusters = [(float(hit), float(decided)) for hit, decided, times in cell.clusters or () for _ in range(times)]
    return Count(
        key=tuple(cell.keys.values()),
        clusters=tuple(clusters),
        insufficient=cell.n - cell.working - cell.restricted,
        participants=cell.participants,
        visits=cell.visits,
        pool=tuple(cell.keys[name] for name in pool),
        doubtful=cell.doubtful,
    )


def _surest(row: NetworkShare) -> tuple[bool, float, int, int]:
    """Where a network stands among others. Whole percent: who differs by less has as much to say."""
    share = row.share
    low = share.interval[0] if share.interval else 0.0
    return (not share.public, -round(low, 2), -share.participants, row.asn)


def _public(share: Share) -> Share:
    """Without its numbers where too few people stand behind them."""
    return share if share.public else HIDDEN


def _measured(event: Event, number: int) -> Measured:
    key = event.key
    assert key.asn is not None

    def pair(interval: tuple[float, float] | None) -> tuple[datetime, datetime] | None:
        return None if interval is None else (when(interval[0]), when(interval[1]))

    return Measured(
        id=f"{key.app}-{key.function}-{key.asn}-{number}",
        app=key.app,
        function=key.function,
        asn=key.asn,
        region=key.region,
        kind=event.kind,
        onset=None if event.onset is None else when(event.onset),
        onset_interval=pair(event.onset_interval),
        end=None if event.end is None else when(event.end),
        end_interval=pair(event.end_interval),
        windows=tuple((when(a), when(b)) for a, b in event.windows),
        e_value=event.e_value,
        n=event.n,
        clusters=event.clusters,
        level=event.level,
    )
