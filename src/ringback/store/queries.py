"""Every question that is put to the lake, as ibis expressions on the table of observations.

No SQL, and none of what does not mean the same on each engine (as-of joins, buckets of time, seeded samples, `corr`):
the same expression runs on DuckDB here and on another ibis engine. Whoever asks gets records, see `reading`.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import ibis
import msgspec
from ibis import _

from ringback.errors import BadInput
from ringback.record import Point

Table = Any  # ibis ships no types
Window = tuple[datetime | None, datetime | None]
"""[first, last): UTC, None for no limit."""

_PLAIN = (
    *("source", "app", "function", "target", "direction", "route", "path"),
    *("asn", "region", "family", "network_kind", "network_state"),
    *("scope", "basis", "mechanism", "trigger", "test_version", "rules", "day"),
)
DIMENSIONS: dict[str, Any] = {
    **{name: _[name] for name in _PLAIN},
    "country": _.region.left(2),
    "month": _.day.strftime("%Y-%m"),
}
"""What cells can be made by. A country is the first two letters of a region; a month is `2025-08`."""

STATUSES = ("working", "restricted", "impaired", "service-down", "insufficient")


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
    scope: Sequence[str] | None = None
    since: date | None = None
    until: date | None = None


EVERYTHING = Selection()


def selected(table: Table, selection: Selection = EVERYTHING) -> Table:
    """The observations that a selection means."""
    wanted = [
        DIMENSIONS[name].isin(list(values))
        for name in selection.__struct_fields__
        if name in DIMENSIONS and (values := getattr(selection, name)) is not None
    ]
    if selection.since is not None:
        wanted.append(_.day >= selection.since)
    if selection.until is not None:
        wanted.append(_.day <= selection.until)
    return table.filter(*wanted) if wanted else table


def cells(table: Table, by: Sequence[str], selection: Selection = EVERYTHING) -> Table:
    """One row a cell: its dimensions, then the counts of `record.CellCount`. Raises BadInput for another dimension.

    Counts are sums over days; participants the largest number of distinct pseudonyms on any one day.
    """
    keys = _keys(by)
    days = (
        selected(table, selection)
        .group_by(**keys, each_day=_.day)
        .aggregate(
            n=_.count(),
            **{_column(status): (_.status == status).sum() for status in STATUSES},
            attempted=_.attempted.sum(),
            failed=_.failed.sum(),
            participants=_.pseudonym.nunique(),
        )
    )
    sums = ("n", *map(_column, STATUSES), "attempted", "failed")
    return days.group_by(list(keys)).aggregate(
        **{name: days[name].sum().fill_null(0).cast("int64") for name in sums},
        participants=days.participants.max().cast("int64"),
    )


def clusters(table: Table, by: Sequence[str], selection: Selection = EVERYTHING) -> Table:
    """How many clusters of a cell have the same counts: its dimensions, `restricted`, `decided`, `times`."""
    keys = _keys(by)
    each = (
        selected(table, selection)
        .filter(_.status.isin(["working", "restricted"]))
        .group_by(**keys, unit=ibis.coalesce(_.cluster, _.pseudonym, _.id))
        .aggregate(restricted=(_.status == "restricted").sum(), decided=_.count())
    )
    return (
        each.group_by([*keys, "restricted", "decided"])
        .aggregate(times=_.count())
        .order_by([*keys, "decided", "restricted"])
    )


def series(table: Table, app: str, function: str, asn: int, window: Window = (None, None)) -> Table:
    """The observations of one function on one network, on the direct path, in order of time: the fields of `Point`."""
    first, last = window
    wanted = [_.app == app, _.function == function, _.asn == asn, _.path == "direct"]
    if first is not None:
        wanted += [_.time >= first, _.day >= first.date()]
    if last is not None:
        wanted += [_.time < last, _.day <= last.date()]
    return table.filter(*wanted).select(list(POINT)).order_by(["time", "id"])


POINT = Point.__struct_fields__


def networks(table: Table, selection: Selection = EVERYTHING, at_least: int = 1) -> Table:
    """(app, function, asn, n) of each function on each network with so many observations on the direct path."""
    counted = (
        selected(table, selection)
        .filter(_.path == "direct", _.asn.notnull())
        .group_by(["app", "function", "asn"])
        .aggregate(n=_.count())
    )
    return counted.filter(counted.n >= at_least).order_by(["app", "function", "asn"])


def observations(table: Table, selection: Selection = EVERYTHING) -> Table:
    """All columns, in order of time."""
    return selected(table, selection).order_by(["time", "id"])


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


def _keys(by: Sequence[str]) -> dict[str, Any]:
    unknown = [name for name in by if name not in DIMENSIONS]
    if unknown or len(set(by)) != len(by):
        raise BadInput(f"cells can be made by {', '.join(DIMENSIONS)}; each once", f"by {', '.join(unknown or by)}")
    return {name: DIMENSIONS[name] for name in by}


def _column(status: str) -> str:
    return status.replace("-", "_")
