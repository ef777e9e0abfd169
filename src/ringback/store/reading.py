"""Asks the lake on the engine at hand, and hands back records."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import ibis
import msgspec

from ringback.record import CellCount, Observation, Point, Said
from ringback.store import queries, schema, summaries
from ringback.store.engine import answered, rows_of, started
from ringback.store.lake import Lake
from ringback.store.queries import EVERYTHING, Selection, Window

Speed = tuple[float, str]
"""Goodput of a test in kbit/s, and whose test it was: a net, else a pseudonym, else the observation."""


class Reading:
    """One state of the lake: what is added later is seen by the next Reading. Not for several threads at once."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._summaries: dict[tuple[str, ...], Any] = {}

    @cached_property
    def _engine(self) -> Any:
        return started()

    @cached_property
    def table(self) -> Any:
        """The observations as an ibis table on DuckDB, for expressions of `queries`. Empty where the lake is."""
        return rows_of(self.lake.parts(), self._engine)

    def cells(
        self, by: Sequence[str], selection: Selection = EVERYTHING, *, clustered: bool = False
    ) -> list[CellCount]:
        """Counts of each cell, in order of its keys. clustered: with its clusters too.

        Answered from a kept summary where one fits, see `summaries`; the answer is the same.
        Raises BadInput for a dimension that there is not.
        """
        queries.known(by)
        dimensions = summaries.fitting(by, selection)
        if dimensions is None:
            summed = ibis.memtable(answered(queries.summary(queries.selected(self.table, selection), by)))
        else:
            if dimensions not in self._summaries:  # opening one costs as much as a question
                self._summaries[dimensions] = summaries.kept(self.lake, dimensions, self._engine)
            summed = queries.selected_sums(self._summaries[dimensions], selection)
        found: dict[tuple[object, ...], list[tuple[int, int, int]]] = defaultdict(list)
        for row in _rows(queries.clusters(summed, by)) if clustered else ():
            found[_key(row, by)].append((row["restricted"], row["decided"], row["times"]))
        made = []
        for row in _rows(queries.cells(summed, by)):
            keys = {name: row.pop(name) for name in by}
            clusters = tuple(sorted(found[tuple(keys.values())])) if clustered else None
            made.append(CellCount(keys=keys, **row, clusters=clusters))
        return _in_order(made, by)

    def series(self, app: str, function: str, asn: int, window: Window = (None, None)) -> list[Point]:
        """One function on one network, in order of time."""
        return [msgspec.convert(row, Point) for row in _rows(queries.series(self.table, app, function, asn, window))]

    def every_series(self, selection: Selection = EVERYTHING) -> dict[tuple[str, str, int], list[Point]]:
        """(app, function, asn) to its series, of all networks that the selection means."""
        found: dict[tuple[str, str, int], list[Point]] = defaultdict(list)
        for row in _rows(queries.every_series(self.table, selection)):
            found[row["app"], row["function"], row["asn"]].append(msgspec.convert(row, Point))
        return dict(found)

    def bypassed(self, selection: Selection = EVERYTHING) -> list[tuple[int, str, bool]]:
        """(asn, person, worked) of everyone who was restricted and tried a VPN on the same day, see `queries`."""
        rows = _rows(queries.bypassed(self.table, selection))
        return [(row["asn"], row["person"], row["worked"]) for row in rows]

    def networks(self, selection: Selection = EVERYTHING, at_least: int = 1) -> list[tuple[str, str, int, int]]:
        """(app, function, asn, n) of what `series` can be asked for; once for each site where observations name one."""
        rows = _rows(queries.networks(self.table, selection, at_least))
        return [(row["app"], row["function"], row["asn"], row["n"]) for row in rows]

    def throttled(self, by: Sequence[str], selection: Selection = EVERYTHING) -> dict[tuple[object, ...], list[Speed]]:
        """Of each cell the speed tests that were throttled, by `queries.throttled`; cells without one are absent."""
        queries.known(by)
        found: dict[tuple[object, ...], list[Speed]] = defaultdict(list)
        for row in _rows(queries.throttled_speeds(queries.selected(self.table, selection), by)):
            found[_key(row, by)].append((row["test_kbps"], row["unit"]))
        return dict(found)

    def copied(self) -> dict[str, int]:
        """Transcripts that more than one report carries, to how many do: see `queries.copied`."""
        return {row["transcript"]: row["reports"] for row in _rows(queries.copied(self.table))}

    def said(self, selection: Selection = EVERYTHING) -> list[Said]:
        """What claims are weighed by, in order of time. All at once: for some days of some apps."""
        return list(schema.read(answered(queries.said(self.table, selection)), Said))

    def observations(self, selection: Selection = EVERYTHING) -> Iterator[Observation]:
        """In order of time, a day at a time: memory does not grow with the lake."""
        for day in self.lake.days(selection.since, selection.until):
            rows = answered(queries.observations(rows_of(self.lake.parts(day, day)), selection))
            yield from schema.observations(rows)


def _in_order(cells: list[CellCount], by: Sequence[str]) -> list[CellCount]:
    """By their keys as they are written, what is unknown last. Each value is compared once, however many cells it is
    in."""
    places = []
    for name in by:
        values = sorted({cell.keys[name] for cell in cells}, key=lambda value: (value is None, str(value)))
        places.append({value: place for place, value in enumerate(values)})
    return sorted(
        cells, key=lambda cell: [place[value] for place, value in zip(places, cell.keys.values(), strict=True)]
    )


def _rows(expression: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = answered(expression).to_pylist()
    return rows


def _key(row: dict[str, Any], by: Sequence[str]) -> tuple[object, ...]:
    return tuple(row[name] for name in by)
