"""The engine on one machine: DuckDB, behind ibis."""

import atexit
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pyarrow as pa

from ringback.store import manifest, schema

MOST_COMPILED = 1000  # questions, some kB each

Parts = Callable[[], Iterable[Path]]
"""Asked only when something failed."""


@cache
def _process() -> Any:
    atexit.register(_process.cache_clear)  # the engine must go before the interpreter does
    return ibis.duckdb.connect()


def started() -> Any:
    """A new engine: its own names over what all of this process share, since to start from nothing costs about as much
    as to answer a question."""
    return ibis.duckdb.from_connection(_process().con.cursor())


def opened(files: Sequence[Path], name: str, engine: Any) -> Any:
    """Parquet files that are alike as one ibis table of this engine."""
    return _read(engine, files, name)


def held(rows: pa.Table, name: str, engine: Any) -> Any:
    """Rows as an ibis table of this engine, in memory."""
    engine.con.register(name, rows)
    return engine.table(name)


def rows_of(parts: Sequence[Path], engine: Any = None) -> Any:
    """Parts of a lake as one ibis table of observations, with null where one is older than a column; of none, an empty
    table. engine: a new one where none is given; it has one such table at a time."""
    engine = engine or started()
    if not parts:
        return held(schema.COLUMNS.empty_table(), "observations", engine)
    kinds: dict[str, list[Path]] = defaultdict(list)
    for part in parts:
        kinds[part.name.partition(".")[2]].append(part)
    tables = [_filled(_read(engine, several, f"observations_{n}")) for n, several in enumerate(kinds.values())]
    return tables[0] if len(tables) == 1 else ibis.union(*tables)


def answered(expression: Any, parts: Parts = tuple) -> pa.Table:
    """The answer as an Arrow table. parts: what it is read from. Raises Damaged where one of them is missing or
    damaged, Unavailable where one may not be read, or memory or disk ran out; the engine's own error where nothing is
    known to be wrong but the question."""
    with _blaming(parts):
        return expression.to_pyarrow()


def answered_again(engine: Any, name: Hashable, question: Callable[[], Any], parts: Parts = tuple) -> pa.Table:
    """`answered`, for what is asked again and again. name: tells this question from all others of the process, and of
    its tables, which are of this engine, the names. What ibis makes of it is kept, since that takes longer than to
    answer it."""
    if name not in _compiled:
        if len(_compiled) >= MOST_COMPILED:
            _compiled.clear()
        expression = question()
        _compiled[name] = (engine.compile(expression), expression.schema().to_pyarrow())
    text, columns = _compiled[name]
    with _blaming(parts):
        return engine.con.sql(text).to_arrow_table().cast(columns)


_compiled: dict[Hashable, tuple[str, pa.Schema]] = {}


@contextmanager
def _blaming(parts: Parts) -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, MemoryError) as error:
        if told := manifest.fault(error, parts()):
            raise told from error
        raise


def _read(engine: Any, files: Sequence[Path], name: str) -> Any:
    with _blaming(lambda: files):
        return engine.read_parquet([str(file) for file in files], table_name=name, hive_partitioning=False)


def _filled(table: Any) -> Any:
    wanted = ibis.schema(schema.COLUMNS)
    missing = {name: ibis.null(kind) for name, kind in wanted.items() if name not in table.columns}
    return table if list(table.columns) == list(wanted) else table.mutate(**missing).select(list(wanted))
