"""Kept summaries: what the overview asks again and again, added up once a day that changed.

    summaries/app.function.region.whole.2025-08.parquet      `queries.whole` by these dimensions, of a month's days
    summaries/app.function.region.alike.2025-08.parquet      `queries.alike`

Counting distinct people among millions takes seconds; a day's sums never change once its parts don't. So a month is
added up when a question first needs it, and each kind of rows by itself: most questions are about a week, and many have
no interval. A file names in its metadata the parts that each of its days was made from, so that it is known which
days to make again. All of it can be deleted at any time.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ringback.errors import Unavailable
from ringback.store import manifest as listing
from ringback.store import queries
from ringback.store.engine import answered, held, opened, rows_of
from ringback.store.lake import Lake
from ringback.store.manifest import Part
from ringback.store.queries import OF_DAY, Selection

KEPT = frozenset({"app", "function", "direction", "path", "asn", "region", "country", "network_state"})
"""Dimensions of which summaries are kept."""
ROWS = 1_000_000  # observations added up at a time, or a day's, which bounds the memory
GROUP = 100_000  # rows that the engine gives to one core at a time
RULES = "5"  # goes up when `queries.whole` or `queries.alike` mean something else
_KEY = b"ringback.summary"

Kind = Literal["whole", "alike"]
_MADE: dict[Kind, Callable[[Any, Sequence[str]], Any]] = {"whole": queries.whole, "alike": queries.alike}


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


def months(lake: Lake, since: date | None, until: date | None) -> frozenset[str]:
    """Those of the lake that have a day within [since, until]."""
    return frozenset(day.isoformat()[:7] for day in lake.days(since, until))


def kept(lake: Lake, dimensions: tuple[str, ...], kind: Kind, wanted: Iterable[str], engine: Any) -> Any:
    """These months of the summary as an ibis table of this engine, brought up to the lake's present state. Where they
    can't be written they are made all the same, for this once."""
    parts = _parts(lake, wanted)
    files = {month: _file(lake, dimensions, kind, month) for month in sorted(parts)}
    fresh = _fresh(lake, dimensions, kind, parts, files)
    name = f"{'.'.join(dimensions) or 'all'}.{kind}"
    unwritten = {month: rows for month, rows in fresh.items() if not _written(lake, files[month], rows, parts[month])}
    if files and not unwritten:
        return opened(list(files.values()), name, engine)
    tables = [unwritten[month] if month in unwritten else pq.read_table(file) for month, file in files.items()]
    empty = answered(_MADE[kind](rows_of([]), dimensions))
    return held(pa.concat_tables([one.cast(empty.schema) for one in (*tables, empty)]), name, engine)


def forget(lake: Lake, dimensions: tuple[str, ...]) -> None:
    """A kept summary that can't be read is made anew at the next question."""
    for kind in _MADE:
        for file in (lake.folder / "summaries").glob(_file(lake, dimensions, kind, "*").name):
            file.unlink(missing_ok=True)


_Parts = dict[str, dict[str, dict[str, Part]]]
"""Month to day to path to part."""


def _parts(lake: Lake, wanted: Iterable[str]) -> _Parts:
    found: _Parts = {month: {} for month in wanted}
    for path, part in sorted(lake.manifest().parts.items()):
        if part.day[:7] in found:
            found[part.day[:7]].setdefault(part.day, {})[path] = part
    return {month: days for month, days in found.items() if days}


def _fresh(
    lake: Lake, dimensions: tuple[str, ...], kind: Kind, parts: _Parts, files: Mapping[str, Path]
) -> dict[str, pa.Table]:
    """The months that must be written anew, as they are now."""
    stale: dict[str, dict[str, Part]] = {}  # day to its parts
    good: dict[str, list[str]] = {}
    for month, days in parts.items():
        have = _days(files[month])
        signed = {day: _signature(own) for day, own in days.items()}
        if have != signed:
            good[month] = [day for day in days if have.get(day) == signed[day]]
            stale |= {day: own for day, own in days.items() if have.get(day) != signed[day]}
    made: dict[str, list[pa.Table]] = {month: [] for month in good}
    for several in _batches(stale):
        rows = _added_up(lake, dimensions, kind, several)
        of = pc.strftime(rows["day"], "%Y-%m")
        for month in sorted({day[:7] for day in several}):
            made[month].append(rows.filter(pc.equal(of, month)))
    for month, still in good.items():
        if still:
            old = pq.read_table(files[month])
            made[month].append(old.filter(pc.is_in(pc.strftime(old["day"], "%Y-%m-%d"), pa.array(still))))
    return {
        month: _ordered(pa.concat_tables([one.cast(own[0].schema) for one in own]), dimensions)
        for month, own in made.items()
    }


def _batches(days: Mapping[str, Mapping[str, Part]]) -> Iterator[dict[str, Mapping[str, Part]]]:
    """A day or more at a time."""
    batch: dict[str, Mapping[str, Part]] = {}
    rows = 0
    for day, parts in sorted(days.items()):
        own = sum(part.rows for part in parts.values())
        if batch and rows + own > ROWS:
            yield batch
            batch, rows = {}, 0
        batch[day] = parts
        rows += own
    if batch:
        yield batch


def _added_up(lake: Lake, dimensions: tuple[str, ...], kind: Kind, days: Mapping[str, Mapping[str, Part]]) -> pa.Table:
    files = [lake.folder / path for parts in days.values() for path in parts]
    return answered(_MADE[kind](rows_of(files), dimensions), lambda: files)


def _written(lake: Lake, file: Path, rows: pa.Table, days: Mapping[str, Mapping[str, Part]]) -> bool:
    if not lake.folder.is_dir():
        return False
    told = _Told(RULES, {day: _signature(parts) for day, parts in days.items()})
    packed = io.BytesIO()
    signed = rows.replace_schema_metadata({_KEY: msgspec.json.encode(told)})
    pq.write_table(signed, packed, compression="zstd", row_group_size=GROUP)
    try:
        listing.write(file, packed.getvalue())
    except Unavailable:
        return False
    return True


def _file(lake: Lake, dimensions: tuple[str, ...], kind: Kind, month: str) -> Path:
    return lake.folder / "summaries" / f"{'.'.join(dimensions) or 'all'}.{kind}.{month}.parquet"


def _ordered(rows: pa.Table, dimensions: Sequence[str]) -> pa.Table:
    """By dimensions, then day: the engine passes over what holds nothing of the days or of the values asked for."""
    places = [_places(rows[name]) for name in (*dimensions, "day")]
    return rows.take(pa.array(np.lexsort(places[::-1])))


def _places(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Of each value its place among those that there are: to compare these is much faster than words."""
    coded = pa.concat_arrays(column.chunks or [pa.array([], column.type)]).dictionary_encode()
    apart = coded.dictionary.to_pylist()
    place = {value: at for at, value in enumerate(sorted(apart))}
    places = np.array([*(place[value] for value in apart), len(apart)], dtype=np.int64)
    found: NDArray[np.int64] = places[coded.indices.fill_null(len(apart)).to_numpy()]
    return found


def _signature(parts: Iterable[str]) -> str:
    """What a day's parts are: they are named for their content."""
    return sha256("\0".join(sorted(parts)).encode()).hexdigest()[:16]


def _days(file: Path) -> Mapping[str, str]:
    """Day to signature of a kept summary; nothing where there is none, or none that can be used."""
    try:
        told = msgspec.json.decode((pq.read_schema(file).metadata or {}).get(_KEY, b"{}"), type=_Told)
    except (OSError, ValueError, pa.ArrowException):
        return {}
    return told.days if told.rules == RULES else {}
