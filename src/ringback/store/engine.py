"""The engine on one machine: DuckDB, behind ibis."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ibis

from ringback.store import schema


def opened(parts: Sequence[Path]) -> Any:
    """These Parquet files as one ibis table; of none, an empty table of observations."""
    engine = ibis.duckdb.connect()
    if not parts:
        return engine.create_table("observations", ibis.memtable(schema.COLUMNS.empty_table()))
    return engine.read_parquet([str(part) for part in parts], table_name="observations", hive_partitioning=False)
