"""Every question that is put to the lake, as ibis expressions on the table of observations.

No SQL, and none of what does not mean the same on each engine (as-of joins, buckets of time, seeded samples, `corr`):
the same expression runs on DuckDB here and on another ibis engine. Whoever asks gets records, see `reading`.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import ibis
import msgspec
from ibis import _

from ringback.errors import BadInput
from ringback.record import Point, Said
from ringback.record.points import Points

Table = Any  # ibis ships no types
Window = tuple[datetime | None, datetime | None]
"""[first, last): UTC, None for no limit."""

_PLAIN = (
    *("source", "app", "function", "target", "direction", "route", "path"),
    *("asn", "region", "family", "network_kind", "network_state"),
    *("scope", "basis", "mechanism", "trigger", "attested", "test_version", "rules", "day"),
)
DIMENSIONS: dict[str, Any] = {
    **{name: _[name] for name in _PLAIN},
    "country": _.region.left(2),
    "month": _.day.strftime("%Y-%m"),
}
"""What cells can be made by. A country is the first two letters of a region; a month is `2025-08`."""

OF_DAY = ("day", "month")
"""Dimensions that every summary has."""

STATUSES = ("working", "restricted", "impaired", "service-down", "insufficient")


SUMS = (
    *("n", "working", "restricted", "impaired", "service_down", "insufficient"),
    *("doubtful", "own", "attempted", "failed"),
)
"""Counts that are added up. doubtful: the insufficient in which tries failed; own: Ringback's."""

UNIT = ("cluster", "hit", "decided")
"""What units are told apart by, in a summary."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which observations count: those that fit every key given. Days are UTC, both ends included."""

    source: Sequence[str] | None = None
    app: Sequence[str] | None = None
    function: Sequence[str] | None = None
    direction: Sequence[str] | None = None
    path: Sequence[str] | None = None
    asn: Sequence[int] | None = None
    region: Sequence[str] | None = None
    country: Sequence[str] | None = None
    target: Sequence[str] | None = None
    network_state: Sequence[str] | None = None
    scope: Sequence[str] | None = None
    attested: Sequence[str] | None = None
    since: date | None = None
    until: date | None = None


EVERYTHING = Selection()


def selected(table: Table, selection: Selection = EVERYTHING) -> Table:
    """The observations that a selection means."""
    return _filtered(table, selection, DIMENSIONS)


def selected_sums(summed: Table, selection: Selection) -> Table:
    """The rows of a summary that a selection means; it is by all the dimensions that the selection names."""
    return _filtered(summed, selection, {name: _of_summary(name) for name in DIMENSIONS})


def _filtered(table: Table, selection: Selection, columns: dict[str, Any]) -> Table:
    wanted = [columns[name].isin(list(values)) for name, values in chosen(selection).items()]
    if selection.since is not None:
        wanted.append(_.day >= selection.since)
    if selection.until is not None:
        wanted.append(_.day <= selection.until)
    return table.filter(*wanted) if wanted else table


def chosen(selection: Selection) -> dict[str, Sequence[Any]]:
    """Which dimensions a selection names, and what of each."""
    given = {name: getattr(selection, name) for name in selection.__struct_fields__ if name in DIMENSIONS}
    return {name: values for name, values in given.items() if values is not None}


def summary(table: Table, dimensions: Sequence[str]) -> Table:
    """Observations added up for each UTC day and value of the dimensions: what cells are counted from.

    A unit is what answers for itself: a pseudonym (it lives one day), else a cluster key (it may live longer, so it
    stays a column), else the observation. There are two kinds of rows, `whole` and `alike`, and None in what the other
    kind has. Days can be put side by side: no unit but a cluster is in two.
    """
    by_day = ["day", *(name for name in dimensions if name not in OF_DAY)]
    counts = dict.fromkeys((*SUMS, "people"), "int64")
    return ibis.union(
        whole(table, dimensions).mutate(
            cluster=ibis.null("string"), **dict.fromkeys((*UNIT[1:], "times"), ibis.null("int64"))
        ),
        alike(table, dimensions)
        .mutate(**{name: ibis.null(kind) for name, kind in counts.items()})
        .select(*by_day, *counts, *UNIT, "times"),
    )


def whole(table: Table, dimensions: Sequence[str]) -> Table:
    """Of a `summary` the rows that are one a day and value of the dimensions: SUMS, and `people` (how many
    pseudonyms)."""
    keys = _keys([name for name in dimensions if name not in OF_DAY])
    sums = {
        "n": _.count(),
        **{_column(name): (_.status == name).sum() for name in STATUSES},
        "doubtful": ((_.status == "insufficient") & (_.failed.fill_null(0) > 0)).sum(),
        "own": (_.source == "ringback").sum(),
        "attempted": _.attempted.sum().fill_null(0),
        "failed": _.failed.sum().fill_null(0),
        "people": _.pseudonym.nunique(),
    }
    return table.group_by(day=_.day, **keys).aggregate(**{name: each.cast("int64") for name, each in sums.items()})


def alike(table: Table, dimensions: Sequence[str]) -> Table:
    """Of a `summary` the rows of units, one for each `cluster` (None but for a cluster key), `hit` and `decided` (how
    many of a unit's observations are restricted; working or restricted; undecided units are left out): `times`, how
    many units have these two counts."""
    keys = _keys([name for name in dimensions if name not in OF_DAY])
    named = _.pseudonym.notnull()
    units = (
        table.filter(_.status.isin(["working", "restricted"]))
        .group_by(
            day=_.day,
            **keys,
            person=named,
            cluster=ibis.ifelse(named, ibis.null("string"), _.cluster),
            unit=ibis.coalesce(_.pseudonym, _.cluster, _.id),
        )
        .aggregate(hit=(_.status == "restricted").sum().cast("int64"), decided=_.count().cast("int64"))
    )
    return units.group_by(["day", *keys, *UNIT]).aggregate(times=_.count().cast("int64"))


def cells(summed: Table, by: Sequence[str]) -> Table:
    """One row a cell of a `summary` by these dimensions, and such as were chosen one value of: the dimensions, then the
    counts of `record.CellCount`.

    Counts are sums over days; participants the largest number of distinct pseudonyms on any one day, visits their sum.
    """
    days = summed.filter(_.n.notnull())
    keys = {name: _of_summary(name) for name in by}
    whole = {name: _[name].sum().cast("int64") for name in SUMS}
    people = {"participants": _.people.max().cast("int64"), "visits": _.people.sum().cast("int64")}
    return _grouped(days, keys, **whole, **people).filter(_.n > 0)


def clusters(summed: Table, by: Sequence[str]) -> Table:
    """How many units of a cell have the same counts: its dimensions, `restricted`, `decided`, `times`."""
    keys = {name: _of_summary(name) for name in by}
    counts = ["restricted", "decided"]
    alone = _.cluster.isnull()  # then the rows of the same counts are units apart; those of one cluster are one unit
    units = (
        summed.filter(_.decided > 0)
        .group_by(
            **keys, cluster=_.cluster, hit=ibis.ifelse(alone, _.hit, -1), decided=ibis.ifelse(alone, _.decided, -1)
        )
        .aggregate(hits=(_.hit * _.times).sum(), tests=(_.decided * _.times).sum(), times=_.times.sum())
    )
    told = units.select(
        *keys,
        restricted=ibis.ifelse(alone, _.hit, _.hits).cast("int64"),
        decided=ibis.ifelse(alone, _.decided, _.tests).cast("int64"),
        times=ibis.ifelse(alone, _.times, 1),
    )
    return told.group_by([*keys, *counts]).aggregate(times=_.times.sum().cast("int64"))


def series(table: Table, app: str, function: str, asn: int, window: Window = (None, None)) -> Table:
    """The observations of one function on one network, on the direct path, in order of time: the fields of `Point`."""
    first, last = window
    wanted = [_.app == app, _.function == function, _.asn == asn, _.path == "direct"]
    if first is not None:
        wanted += [_.time >= first, _.day >= first.date()]
    if last is not None:
        wanted += [_.time < last, _.day <= last.date()]
    return table.filter(*wanted).select(list(POINT)).order_by(["time", "id"])


def every_series(table: Table, selection: Selection = EVERYTHING) -> Table:
    """Every series that a selection means, on the direct path, in one answer: `app`, `function`, `asn`, then the fields
    of `Point`, in order of time."""
    wanted = selected(table, selection).filter(_.path == "direct", _.asn.notnull())
    return wanted.select("app", "function", "asn", *POINT).order_by(["time", "id"])


def points(table: Table, selection: Selection = EVERYTHING) -> Table:
    """The same as columns: the fields of `Points`."""
    wanted = selected(table, selection).filter(_.path == "direct", _.asn.notnull())
    ordered = wanted.order_by(["time", "id"])
    told = {
        "unit": ibis.coalesce(_.cluster.nullif(""), _.pseudonym.nullif(""), _.id),
        "version": ibis.coalesce(_.test_version.nullif(""), _.software),
    }
    return ordered.select(**{name: told.get(name, _[name]) for name in POINTS})


POINT = Point.__struct_fields__
POINTS = tuple(Points.__dataclass_fields__)


def networks(table: Table, selection: Selection = EVERYTHING, at_least: int = 1) -> Table:
    """(app, function, asn, target, n) of each function on each network, and of each site where observations name one,
    with so many observations on the direct path."""
    counted = (
        selected(table, selection)
        .filter(_.path == "direct", _.asn.notnull())
        .group_by(["app", "function", "asn", "target"])
        .aggregate(n=_.count())
    )
    return counted.filter(counted.n >= at_least).order_by(["app", "function", "asn", "target"])


def copied(table: Table) -> Table:
    """(transcript, reports): the peers' transcripts that more than one report carries. One session makes one report;
    with its transcript any number can be forged, so that the reports of one count once."""
    own = table.filter(_.transcript.notnull(), _.measurement.notnull())
    counted = own.group_by("transcript").aggregate(reports=_.measurement.left(REPORT).nunique())
    return counted.filter(counted.reports > 1).order_by("transcript")


REPORT = 32  # characters of a collected measurement's key that name its report


def bypassed(table: Table, selection: Selection = EVERYTHING) -> Table:
    """(asn, person, worked): who was restricted on the direct path and tried the same function over a VPN on the same
    network and day, with a decided verdict or the session's own word for it; whether any VPN worked. The selection
    names no path."""
    who = {"app": _.app, "function": _.function, "asn": _.asn, "day": _.day}
    own = selected(table, selection).mutate(person=ibis.coalesce(_.cluster, _.pseudonym, _.id)).filter(_.asn.notnull())
    direct = own.filter(_.path == "direct", _.status == "restricted")
    hit = direct.group_by(**who, person=_.person).aggregate(named=(_.bypassed_by.length() > 0).max())
    vpn = own.filter(_.path != "direct", _.status.isin(["working", "restricted"]))
    tried = vpn.group_by(**who, person=_.person).aggregate(worked=(_.status == "working").max())
    both = hit.left_join(tried, [*who, "person"])
    told = both.filter(both.named | both.worked.notnull())
    return told.select("asn", "person", worked=told.named | told.worked.fill_null(False)).order_by(["asn", "person"])


def observations(table: Table, selection: Selection = EVERYTHING) -> Table:
    """All columns, in order of time."""
    return selected(table, selection).order_by(["time", "id"])


def said(table: Table, selection: Selection = EVERYTHING) -> Table:
    """What claims are weighed by, in order of time: the fields of `Said`."""
    return selected(table, selection).select(list(Said.__struct_fields__)).order_by(["time", "id"])


def extent(table: Table) -> Table:
    """One row: how many observations, their first and last day."""
    return table.aggregate(n=_.count(), first=_.day.min(), last=_.day.max())


def throttled(table: Table, control_kbps: float = 400.0, share: float = 0.5) -> Table:
    """The speed tests, with `throttled`: control at least so fast, test below that and below `share` of the control.

    The rule is that of the case of 2021 (Xue et al., "Throttling Twitter", IMC 2021, measured the same contrast); it
    is computed from the raw speeds, so another threshold is another argument.
    """
    tests = table.filter(_.test_kbps.notnull(), _.control_kbps.notnull())
    slow = (_.test_kbps < control_kbps) & (_.test_kbps < share * _.control_kbps)
    return tests.mutate(throttled=(_.control_kbps >= control_kbps) & slow)


def throttled_speeds(table: Table, by: Sequence[str]) -> Table:
    """One row a speed test that was `throttled`: its dimensions, `test_kbps`, and its `unit`, as in `summary`."""
    keys = _keys(by)
    told = throttled(table).filter(_.throttled)
    return told.select(**keys, test_kbps=_.test_kbps, unit=ibis.coalesce(_.pseudonym, _.cluster, _.id))


def known(by: Sequence[str]) -> None:
    """Raises BadInput where cells can't be made by these."""
    unknown = [name for name in by if name not in DIMENSIONS]
    if unknown or len(set(by)) != len(by):
        raise BadInput(f"cells can be made by {', '.join(DIMENSIONS)}; each once", f"by {', '.join(unknown or by)}")


def _keys(by: Sequence[str]) -> dict[str, Any]:
    known(by)
    return {name: DIMENSIONS[name] for name in by}


def _of_summary(name: str) -> Any:
    return DIMENSIONS[name] if name in OF_DAY else _[name]


def _grouped(table: Table, keys: Mapping[str, Any], **sums: Any) -> Table:
    """No engine groups by nothing: then it is one group."""
    return table.group_by(**keys).aggregate(**sums) if keys else table.aggregate(**sums)


def _column(status: str) -> str:
    return status.replace("-", "_")
