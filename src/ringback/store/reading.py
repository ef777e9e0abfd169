"""Asks the lake on the engine at hand, and hands back records."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import ibis
import msgspec

from ringback.record import CellCount, Observation, Point
from ringback.store import queries, schema
from ringback.store.lake import Lake
from ringback.store.queries import EVERYTHING, Selection, Window


class Reading:
    """One state of the lake: what is added later is seen by the next Reading. Not for several threads at once."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake

    @cached_property
    def table(self) -> Any:
        """The observations as an ibis table on DuckDB, for expressions of `queries`. Empty where the lake is."""
        engine = ibis.duckdb.connect()
        parts = [str(part) for part in self.lake.parts()]
        if not parts:
            return engine.create_table("observations", schema.COLUMNS.empty_table())
        return engine.read_parquet(parts, table_name="observations")

    def cells(
        self, by: Sequence[str], selection: Selection = EVERYTHING, *, clustered: bool = False
    ) -> list[CellCount]:
        """Counts of each cell, in order of its keys. clustered: with its clusters too."""
        found: dict[tuple[object, ...], list[tuple[int, int, int]]] | None = defaultdict(list) if clustered else None
        if found is not None:
            for row in _rows(queries.clusters(self.table, by, selection)):
                found[_key(row, by)].append((row["restricted"], row["decided"], row["times"]))
        made = []
        for row in _rows(queries.cells(self.table, by, selection)):
            keys = {name: row.pop(name) for name in by}
            clusters = None if found is None else tuple(found.get(tuple(keys.values()), ()))
            made.append(CellCount(keys=keys, **row, clusters=clusters))
        return sorted(made, key=lambda cell: [(value is None, str(value)) for value in cell.keys.values()])

    def series(self, app: str, function: str, asn: int, window: Window = (None, None)) -> list[Point]:
        """One function on one network, in order of time."""
        return [msgspec.convert(row, Point) for row in _rows(queries.series(self.table, app, function, asn, window))]

    def networks(self, selection: Selection = EVERYTHING, at_least: int = 1) -> list[tuple[str, str, int, int]]:
        """(app, function, asn, n) of what `series` can be asked for."""
        rows = _rows(queries.networks(self.table, selection, at_least))
        return [(row["app"], row["function"], row["asn"], row["n"]) for row in rows]

    def observations(self, selection: Selection = EVERYTHING) -> Iterator[Observation]:
        """In order of time, a day at a time: memory does not grow with the lake."""
        for day in self.lake.days(selection.since, selection.until):
            engine = ibis.duckdb.connect()
            table = engine.read_parquet([str(part) for part in self.lake.parts(day, day)], table_name="observations")
            yield from schema.observations(queries.observations(table, selection).to_pyarrow())
            engine.disconnect()


def _rows(expression: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = expression.to_pyarrow().to_pylist()
    return rows


def _key(row: dict[str, Any], by: Sequence[str]) -> tuple[object, ...]:
    return tuple(row[name] for name in by)
