"""Asks the lake on the engine at hand, and hands back records."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import ibis
import msgspec

from ringback.record import CellCount, Observation, Point
from ringback.store import queries, schema, summaries
from ringback.store.engine import answered, rows_of
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
    def table(self) -> Any:
        """The observations as an ibis table on DuckDB, for expressions of `queries`. Empty where the lake is."""
        return rows_of(self.lake.parts())

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
                self._summaries[dimensions] = summaries.kept(self.lake, dimensions)
            summed = queries.selected_sums(self._summaries[dimensions], selection)
        found: dict[tuple[object, ...], Counter[tuple[int, int]]] = defaultdict(Counter)
        for row in _rows(queries.clusters(summed, by)) if clustered else ():
            found[_key(row, by)][row["restricted"], row["decided"]] += row["times"]
        made = []
        for row in _rows(queries.cells(summed, by)):
            keys = {name: row.pop(name) for name in by}
            clusters = tuple((*counts, times) for counts, times in sorted(found[tuple(keys.values())].items()))
            made.append(CellCount(keys=keys, **row, clusters=clusters if clustered else None))
        return sorted(made, key=lambda cell: [(value is None, str(value)) for value in cell.keys.values()])

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
        """(app, function, asn, n) of what `series` can be asked for."""
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

    def observations(self, selection: Selection = EVERYTHING) -> Iterator[Observation]:
        """In order of time, a day at a time: memory does not grow with the lake."""
        for day in self.lake.days(selection.since, selection.until):
            rows = answered(queries.observations(rows_of(self.lake.parts(day, day)), selection))
            yield from schema.observations(rows)


def _rows(expression: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = answered(expression).to_pylist()
    return rows


def _key(row: dict[str, Any], by: Sequence[str]) -> tuple[object, ...]:
    return tuple(row[name] for name in by)
