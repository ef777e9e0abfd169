"""Kept summaries: what the overview asks again and again, added up once a day that changed.

    summaries/app.function.region.parquet      `queries.summary` by these dimensions, of all days

Counting distinct people among millions takes seconds; a day's sums never change once its parts don't. A summary names
in its metadata the parts that each of its days was made from, so that it is known which days to make again. All of it
can be deleted at any time.
"""

import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ringback.errors import Unavailable
from ringback.store import manifest as listing
from ringback.store import queries
from ringback.store.engine import answered, held, opened, rows_of
from ringback.store.lake import Lake
from ringback.store.queries import OF_DAY, Selection

KEPT = frozenset({"app", "function", "direction", "path", "asn", "region", "country", "network_state"})
"""Dimensions of which summaries are kept."""
DAYS = 31  # added up at a time, which bounds the memory
GROUP = 100_000  # rows that the engine gives to one core at a time
RULES = "3"  # goes up when `queries.summary` means something else
_KEY = b"ringback.summary"


class _Told(msgspec.Struct):
    rules: str = ""
    days: dict[str, str] = {}


def fitting(by: Sequence[str], selection: Selection) -> tuple[str, ...] | None:
    """The dimensions of the summary that answers exactly, or None where people would be counted twice: a dimension that
    is chosen but not asked for may have one value only."""
    chosen = queries.chosen(selection)
    dimensions = {*by, *chosen} - set(OF_DAY)
    several = [name for name, values in chosen.items() if name not in by and len(values) != 1]
    return tuple(sorted(dimensions)) if dimensions <= KEPT and not several else None


def kept(lake: Lake, dimensions: tuple[str, ...], engine: Any) -> Any:
    """The summary as an ibis table of this engine, brought up to the lake's present state. Where it can't be written it
    is made all the same, for this once."""
    file = _file(lake, dimensions)
    wanted = _signatures(lake)
    have = _days(file)
    stale = sorted(day for day in wanted if have.get(day) != wanted[day])
    if have == wanted and have:
        return opened(file, engine)
    fresh = [_made(lake, dimensions, stale[i : i + DAYS]) for i in range(0, len(stale), DAYS)]
    good = set(wanted) - set(stale)
    if have and good:
        old = pq.read_table(file)
        days = pc.strftime(old["day"], "%Y-%m-%d")
        fresh.insert(0, old.filter(pc.is_in(days, pa.array(sorted(good)))))
    if not fresh:
        fresh = [answered(queries.summary(rows_of([]), dimensions))]
    whole = _ordered(pa.concat_tables([one.cast(fresh[-1].schema) for one in fresh]), dimensions)
    if lake.folder.is_dir():
        packed = io.BytesIO()
        told = whole.replace_schema_metadata({_KEY: msgspec.json.encode(_Told(RULES, wanted))})
        pq.write_table(told, packed, compression="zstd", row_group_size=GROUP)
        try:
            listing.write(file, packed.getvalue())
            return opened(file, engine)
        except Unavailable:
            pass
    return held(whole, file.stem, engine)


def forget(lake: Lake, dimensions: tuple[str, ...]) -> None:
    """A kept summary that can't be read is made anew at the next question."""
    _file(lake, dimensions).unlink(missing_ok=True)


def _file(lake: Lake, dimensions: tuple[str, ...]) -> Path:
    return lake.folder / "summaries" / f"{'.'.join(dimensions) or 'all'}.parquet"


def _ordered(rows: pa.Table, dimensions: Sequence[str]) -> pa.Table:
    """Each kind of rows by itself, by month, dimensions, day: a question is about one kind, and the engine passes over
    what holds nothing of the days or of the values asked for."""
    keyed = rows.append_column("month", pc.strftime(rows["day"], "%Y-%m"))
    order = [(name, "ascending") for name in ("month", *dimensions, "day")]
    kinds = (pc.is_valid(rows["n"]), pc.is_null(rows["n"]))
    return pa.concat_tables([keyed.filter(kind).sort_by(order) for kind in kinds]).drop_columns("month")


def _signatures(lake: Lake) -> dict[str, str]:
    """Day to what its parts are: they are named for their content."""
    days: dict[str, list[str]] = defaultdict(list)
    for path, part in lake.manifest().parts.items():
        days[part.day].append(path)
    return {day: sha256("\0".join(sorted(paths)).encode()).hexdigest()[:16] for day, paths in sorted(days.items())}


def _days(file: Path) -> Mapping[str, str]:
    """Day to signature of a kept summary; nothing where there is none, or none that can be used."""
    try:
        told = msgspec.json.decode((pq.read_schema(file).metadata or {}).get(_KEY, b"{}"), type=_Told)
    except (OSError, ValueError, pa.ArrowException):
        return {}
    return told.days if told.rules == RULES else {}


def _made(lake: Lake, dimensions: Iterable[str], days: Sequence[str]) -> pa.Table:
    wanted = set(days)
    parts = lake.manifest().parts
    files = [lake.folder / path for path in sorted(parts) if parts[path].day in wanted]
    return answered(queries.summary(rows_of(files), list(dimensions)), lambda: files)
