"""Asks the lake on the engine at hand, and hands back records."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property, partial
from typing import Any

import duckdb
import ibis
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ringback.record import CellCount, Observation, Point, Said
from ringback.record.points import Points, Words
from ringback.store import queries, schema, summaries
from ringback.store.engine import answered, answered_again, rows_of, started
from ringback.store.lake import Lake
from ringback.store.queries import EVERYTHING, Selection, Window

Question = Callable[[Any, Sequence[str]], Any]
"""(summary, dimensions) to an expression."""
Speed = tuple[float, str]
"""Goodput of a test in kbit/s, and whose test it was: a net, else a pseudonym, else the observation."""


class Reading:
    """One state of the lake: what is added later is seen by the next Reading. Not for several threads at once."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._summaries: dict[tuple[tuple[str, ...], summaries.Kind], tuple[frozenset[str], Any]] = {}

    @cached_property
    def _engine(self) -> Any:
        return started()

    @cached_property
    def table(self) -> Any:
        """The observations as an ibis table on DuckDB, for expressions of `queries`. Empty where the lake is."""
        return self._opened[0]

    @cached_property
    def _opened(self) -> tuple[Any, tuple[str, ...]]:
        """The table, and what else its names and columns in the engine depend on."""
        parts = self.lake.parts()
        return rows_of(parts, self._engine), tuple(dict.fromkeys(part.name.partition(".")[2] for part in parts))

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
            whole = answered(queries.summary(queries.selected(self.table, selection), by), self.lake.parts)
            summed = ibis.memtable(whole)
            return _cells(by, clustered, lambda ask: answered(ask(summed, by)))
        try:
            return self._kept_cells(dimensions, by, selection, clustered)
        except duckdb.Error:  # nothing is wrong with the lake: then with what was kept, which can be made again
            self._summaries.clear()
            summaries.forget(self.lake, dimensions)
            return self._kept_cells(dimensions, by, selection, clustered)

    def _kept_cells(
        self, dimensions: tuple[str, ...], by: Sequence[str], selection: Selection, clustered: bool
    ) -> list[CellCount]:
        def put(ask: Question) -> pa.Table:
            kept = self._summary(dimensions, "whole" if ask is queries.cells else "alike", selection)
            name = (ask.__name__, *by, msgspec.json.encode(selection))
            table = partial(queries.selected_sums, kept, selection)
            return answered_again(self._engine, name, lambda: ask(table(), by), self.lake.parts)

        return _cells(by, clustered, put)

    def _summary(self, dimensions: tuple[str, ...], kind: summaries.Kind, selection: Selection) -> Any:
        """With at least the months that the selection means. Opening one costs as much as a question."""
        had, kept = self._summaries.get((dimensions, kind), (frozenset(), None))
        wanted = summaries.months(self.lake, selection.since, selection.until)
        if kept is None or not wanted <= had:
            kept = summaries.kept(self.lake, dimensions, kind, wanted | had, self._engine)
            self._summaries[dimensions, kind] = (wanted | had, kept)
        return kept

    def series(self, app: str, function: str, asn: int, window: Window = (None, None)) -> list[Point]:
        """One function on one network, in order of time."""
        return [
            msgspec.convert(row, Point) for row in self._rows(queries.series(self.table, app, function, asn, window))
        ]

    def every_series(self, selection: Selection = EVERYTHING) -> dict[tuple[str, str, int], list[Point]]:
        """(app, function, asn) to its series, of all networks that the selection means."""
        found: dict[tuple[str, str, int], list[Point]] = defaultdict(list)
        for row in _rows(self._put(queries.every_series, selection)):
            found[row["app"], row["function"], row["asn"]].append(msgspec.convert(row, Point))
        return dict(found)

    def points(self, selection: Selection = EVERYTHING) -> Points:
        """The same, as columns."""
        rows = self._put(queries.points, selection)
        return Points(**{name: _column(rows.column(name), only=name == "unit") for name in rows.column_names})

    def bypassed(self, selection: Selection = EVERYTHING) -> list[tuple[int, str, bool]]:
        """(asn, person, worked) of everyone who was restricted and tried a VPN on the same day, see `queries`."""
        rows = _rows(self._put(queries.bypassed, selection))
        return [(row["asn"], row["person"], row["worked"]) for row in rows]

    def networks(self, selection: Selection = EVERYTHING, at_least: int = 1) -> list[tuple[str, str, int, int]]:
        """(app, function, asn, n) of what `series` can be asked for; once for each site where observations name one."""
        rows = _rows(self._put(queries.networks, selection, at_least))
        return [(row["app"], row["function"], row["asn"], row["n"]) for row in rows]

    def throttled(self, by: Sequence[str], selection: Selection = EVERYTHING) -> dict[tuple[object, ...], list[Speed]]:
        """Of each cell the speed tests that were throttled, by `queries.throttled`; cells without one are absent."""
        queries.known(by)
        found: dict[tuple[object, ...], list[Speed]] = defaultdict(list)
        for row in self._rows(queries.throttled_speeds(queries.selected(self.table, selection), by)):
            found[_key(row, by)].append((row["test_kbps"], row["unit"]))
        return dict(found)

    def copied(self) -> dict[str, int]:
        """Transcripts that more than one report carries, to how many do: see `queries.copied`."""
        return {row["transcript"]: row["reports"] for row in self._rows(queries.copied(self.table))}

    def said(self, selection: Selection = EVERYTHING) -> list[Said]:
        """What claims are weighed by, in order of time. All at once: for some days of some apps."""
        return list(schema.read(self._put(queries.said, selection), Said))

    def observations(self, selection: Selection = EVERYTHING) -> Iterator[Observation]:
        """In order of time, a day at a time: memory does not grow with the lake."""
        for day in self.lake.days(selection.since, selection.until):
            parts = partial(self.lake.parts, day, day)
            rows = answered(queries.observations(rows_of(parts()), selection), parts)
            yield from schema.observations(rows)

    def _put(self, ask: Callable[..., Any], *given: object) -> pa.Table:
        """A question that pages ask after each change of the lake."""
        table, kinds = self._opened
        name = (ask.__name__, *kinds, msgspec.json.encode(given))
        return answered_again(self._engine, name, lambda: ask(table, *given), self.lake.parts)

    def _rows(self, expression: Any) -> Iterator[dict[str, Any]]:
        return _rows(answered(expression, self.lake.parts))


def _cells(by: Sequence[str], clustered: bool, put: Callable[[Question], pa.Table]) -> list[CellCount]:
    """put: how a question is put to a summary."""
    found: dict[tuple[object, ...], list[tuple[int, int, int]]] = defaultdict(list)
    if clustered:
        counted = put(queries.clusters)
        for key, units in zip(_taken(counted, by), _taken(counted, ("restricted", "decided", "times")), strict=True):
            found[key].append(units)
    cells = put(queries.cells)
    names = [name for name in cells.column_names if name not in by]
    keyed = dict(zip(_taken(cells, by), _taken(cells, names), strict=True))
    return [
        CellCount(
            keys=dict(zip(by, key, strict=True)),
            clusters=tuple(sorted(found[key])) if clustered else None,
            **dict(zip(names, keyed[key], strict=True)),
        )
        for key in _in_order(keyed, len(by))
    ]


def _in_order(keys: Collection[tuple[object, ...]], width: int) -> list[tuple[object, ...]]:
    """As they are written, what is unknown last. Each value is compared once, however many keys it is in."""
    places = []
    for values in zip(*keys, strict=True) if keys else [()] * width:
        apart = sorted(set(values), key=lambda value: (value is None, str(value)))
        places.append(map({value: place for place, value in enumerate(apart)}.__getitem__, values))
    return [key for *_, key in sorted(zip(*places, keys, strict=True))] if places else list(keys)


def _taken(answer: pa.Table, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Of each row these columns."""
    if not names:
        return iter([()] * answer.num_rows)
    return zip(*(_values(answer.column(name)) for name in names), strict=True)


def _rows(answer: pa.Table) -> Iterator[dict[str, Any]]:
    return (dict(zip(answer.column_names, row, strict=True)) for row in _taken(answer, answer.column_names))


def _values(column: pa.ChunkedArray) -> list[Any]:
    """As Python's own. One by one costs more than the question did: counts are turned at once, and of words and days
    each one that there is."""
    kind = column.type
    if pa.types.is_integer(kind) and not column.null_count:
        return column.to_numpy().tolist()  # type: ignore[no-any-return]
    if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_date(kind)):
        return column.to_pylist()  # type: ignore[no-any-return]
    coded = pa.concat_arrays(column.chunks or [pa.array([], kind)]).dictionary_encode()
    words = [*coded.dictionary.to_pylist(), None]
    return [words[place] for place in coded.indices.fill_null(len(words) - 1).to_numpy().tolist()]


def _column(column: pa.ChunkedArray, only: bool = False) -> Any:
    """Numbers as an array, -1 where there is none; words as `Words`. only: of words their places."""
    kind = column.type
    whole = pa.concat_arrays(column.chunks or [pa.array([], kind)])
    if not pa.types.is_string(kind):
        return whole.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    coded = whole.dictionary_encode()
    order = pc.array_sort_indices(coded.dictionary)
    places = np.full(len(order) + 1, -1, dtype=np.int64)
    places[order.to_numpy()] = np.arange(len(order))
    own = places[coded.indices.fill_null(len(order)).to_numpy()]
    return own if only else Words(own, tuple(coded.dictionary.take(order).to_pylist()))


def _key(row: dict[str, Any], by: Sequence[str]) -> tuple[object, ...]:
    return tuple(row[name] for name in by)
