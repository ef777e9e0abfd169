"""The columns of the lake, explicit and with a version, and observations to Arrow and back.

Types are those that every engine at hand reads alike: no unsigned integers, no dictionaries, times in microseconds UTC.
A column may be added (then old parts read as null there, and VERSION goes up); none is renamed or changes its type.
A part's name ends in the version that it was written with, so that an engine is given parts of one kind at a time: to
compare the columns of each costs as long as a query.

    2  attested, transcript
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec
import pyarrow as pa

from ringback.errors import BadInput
from ringback.record import Observation
from ringback.record.observation import FIELDS

log = logging.getLogger("ringback.store")

Row = TypeVar("Row", bound=msgspec.Struct)

VERSION = 2
SUFFIX = f".{VERSION}.parquet"  # of a part; `.parquet` alone is version 1
_KEY = b"ringback.lake"

_TEXT, _WHOLE, _REAL = pa.string(), pa.int64(), pa.float64()
_TYPES: dict[str, pa.DataType] = {
    "time": pa.timestamp("us", tz="UTC"),
    "spillover": pa.bool_(),
    "bypassed_by": pa.list_(_TEXT),
    **dict.fromkeys(("asn", "attempted", "failed", "unclear", "bytes"), _WHOLE),
    **dict.fromkeys(("after_packets", "after_bytes", "hop", "hop_asn", "clear_packets", "clear_bytes"), _WHOLE),
    **dict.fromkeys(("test_kbps", "control_kbps", "second_control_kbps", "seconds", "clear_seconds"), _REAL),
    **dict.fromkeys(
        ("rate_kbps", "loss", "delay_ms", "mos", "control_mos", "e_value", "threshold", "e_working"), _REAL
    ),
    **{
        f"{name}_{end}": _REAL
        for name in ("after_packets", "after_bytes", "rate_kbps", "loss", "delay_ms")
        for end in ("low", "high")
    },
}

COLUMNS = pa.schema(
    [*((name, _TYPES.get(name, _TEXT)) for name in FIELDS), ("day", pa.date32())],
    metadata={_KEY: str(VERSION).encode()},
)
"""One column a field of `record.Observation`, and `day`, the UTC day of its time."""


def table(observations: Sequence[Observation]) -> pa.Table:
    """One row an observation, in the order given."""
    rows = [msgspec.structs.astuple(one) for one in observations]
    columns: list[Any] = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in FIELDS]
    columns.append([one.time.date() for one in observations])
    arrays = [pa.array(column, field.type) for column, field in zip(columns, COLUMNS, strict=True)]
    return pa.Table.from_arrays(arrays, schema=COLUMNS)


def current(rows: pa.Table) -> pa.Table:
    """Rows of an older version with the columns of this one, null where they had none."""
    if rows.schema.equals(COLUMNS, check_metadata=True):
        return rows
    there = set(rows.column_names)
    columns = [
        rows.column(field.name).cast(field.type) if field.name in there else pa.nulls(rows.num_rows, field.type)
        for field in COLUMNS
    ]
    return pa.Table.from_arrays(columns, schema=COLUMNS)


def observations(rows: pa.Table) -> Iterator[Observation]:
    """Back again, see `read`."""
    return read(rows, Observation)


def read(rows: pa.Table, kind: type[Row]) -> Iterator[Row]:
    """Rows as these records. Columns that the table lacks take their defaults, as does None in a field that has another
    default.

    A row with a word that this version does not know (a later one's mechanism, a damaged file) is passed over with a
    warning that names it: it stays in the lake, and one such row must not take every page and every claim with it.
    """
    fields = msgspec.structs.fields(kind)
    nullable = {one.name for one in fields if one.default is None}
    for row in rows.select([one.name for one in fields if one.name in rows.column_names]).to_pylist():
        given = {name: value for name, value in row.items() if value is not None or name in nullable}
        try:
            one = msgspec.convert(given, kind)
        except msgspec.ValidationError as error:
            log.warning("observation %.64r is not understood and left out: %.200s", given.get("id"), error)
            continue
        yield one


def version(schema: pa.Schema, where: str) -> int:
    """The version that a part was written with. Raises BadInput where it names none, or a newer one than this."""
    written = (schema.metadata or {}).get(_KEY, b"")
    if not written.isdigit():
        raise BadInput("is no part of a lake: it names no version", where)
    if int(written) > VERSION:
        raise BadInput(f"was written by a newer Ringback (version {int(written)}, this one knows {VERSION})", where)
    return int(written)
