"""The engine on one machine: DuckDB, behind ibis."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pyarrow as pa

from ringback.errors import Damaged
from ringback.store import schema

_NAMED = re.compile(r"""["'](/[^"']*\.parquet)["']""")


def started() -> Any:
    """A new engine. To start one costs about as much as to answer a question."""
    return ibis.duckdb.connect()


def opened(file: Path, engine: Any) -> Any:
    """A Parquet file as an ibis table of this engine; its name there is the file's."""
    return _read(engine, [file], file.stem)


def rows_of(parts: Sequence[Path], engine: Any = None) -> Any:
    """Parts of a lake as one ibis table of observations, with null where one is older than a column; of none, an empty
    table. engine: a new one where none is given; it has one such table at a time."""
    engine = engine or started()
    if not parts:
        return engine.create_table("observations", ibis.memtable(schema.COLUMNS.empty_table()))
    kinds: dict[str, list[Path]] = defaultdict(list)
    for part in parts:
        kinds[part.name.partition(".")[2]].append(part)
    tables = [_filled(_read(engine, several, f"observations_{n}")) for n, several in enumerate(kinds.values())]
    return tables[0] if len(tables) == 1 else ibis.union(*tables)


def answered(expression: Any) -> pa.Table:
    """The answer as an Arrow table. Raises Damaged where a part is missing or damaged."""
    try:
        return expression.to_pyarrow()
    except duckdb.Error as error:
        raise _damage(error) from error


def _damage(error: Exception) -> Damaged:
    """Of what the engine says only the file: the rest is about its own reading."""
    named = _NAMED.search(str(error))
    return Damaged("is missing or damaged; `ringback store check` says what to do", named[1] if named else "the store")


def _read(engine: Any, files: Sequence[Path], name: str) -> Any:
    try:
        return engine.read_parquet([str(file) for file in files], table_name=name, hive_partitioning=False)
    except duckdb.Error as error:
        raise _damage(error) from error


def _filled(table: Any) -> Any:
    wanted = ibis.schema(schema.COLUMNS)
    missing = {name: ibis.null(kind) for name, kind in wanted.items() if name not in table.columns}
    return table if list(table.columns) == list(wanted) else table.mutate(**missing).select(list(wanted))
