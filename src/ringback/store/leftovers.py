"""Files in a lake that its list does not name: left by an interrupted change, lost with the list, or foreign."""

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ringback.collect.importing import KINDS
from ringback.collect.importing.files import DAMAGE, opened
from ringback.errors import BadInput
from ringback.store import manifest as listing
from ringback.store import schema
from ringback.store.manifest import Manifest, Part, Raw

Kind = Literal["left", "lost", "foreign"]
"""left: everything in it is in the lake besides. lost: it holds what the lake lacks. foreign: no file of a lake."""

_PART = re.compile(r"observations/date=(\d{4}-\d\d-\d\d)/([0-9a-f]{24})(?:\.\d+)?\.parquet")
_RAW = re.compile(r"raw/([a-z-]+)/([0-9a-f]{32})\.zst")
_HALF = re.compile(r"\..+\.part")  # written beside its place, see `manifest.write`


def unlisted(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Paths relative to the lake, in order."""
    for room in ("observations", "raw"):
        for file in sorted((folder / room).rglob("*")):
            path = file.relative_to(folder).as_posix()
            lists = (manifest.parts, manifest.raw, manifest.retired, manifest.lost)
            if not any(path in known for known in lists) and file.is_file():
                yield path


def kind(folder: Path, manifest: Manifest, path: str) -> Kind:
    """What a file is that the list does not name."""
    if _HALF.fullmatch(Path(path).name):
        return "left"
    if raw(folder, path) is not None:
        return "lost"
    rows = part(folder, path)
    if rows is None:
        return "foreign"
    return "lost" if missing(folder, manifest, path, rows).num_rows else "left"


def part(folder: Path, path: str) -> pa.Table | None:
    """The rows of a whole part, None where this is none."""
    named = _PART.fullmatch(path)
    try:
        if named is None or not listing.checksum(folder / path).startswith(named[2]):
            return None
        with pq.ParquetFile(folder / path) as file:
            schema.version(file.schema_arrow, path)
            return schema.current(file.read())
    except (OSError, pa.ArrowException, BadInput):
        return None


def missing(folder: Path, manifest: Manifest, path: str, rows: pa.Table) -> pa.Table:
    """Those of an unlisted part's rows that no listed part of its day has; of one that can't be read none are known."""
    for other in listed(manifest, day_of(path)):
        if not rows.num_rows:
            break
        try:
            known = pq.read_table(folder / other, columns=["id"], partitioning=None).column("id")
        except (OSError, pa.ArrowException):
            continue
        rows = rows.filter(pc.invert(pc.is_in(rows.column("id"), known)))
    return rows


def listed(manifest: Manifest, day: str) -> list[str]:
    return sorted(path for path, part in manifest.parts.items() if part.day == day)


def day_of(path: str) -> str:
    """Of a part's path."""
    return path.split("/")[1].removeprefix("date=")


def as_listed(folder: Path, path: str, rows: pa.Table) -> Part:
    """How the list would name it, as something that nothing else makes."""
    file = folder / path
    return Part(day_of(path), rows.num_rows, file.stat().st_size, listing.checksum(file), False)


def raw(folder: Path, path: str) -> Raw | None:
    """How the list would name this raw file; None where it is none, or not whole. Its first name is lost."""
    named = _RAW.fullmatch(path)
    if named is None or named[1] not in KINDS:
        return None
    digest = sha256()
    try:
        with opened(folder / path) as content:
            while piece := content.read(1 << 20):
                digest.update(piece)
        whole = digest.hexdigest().startswith(named[2])
        size, checksum = (folder / path).stat().st_size, listing.checksum(folder / path)
    except (*DAMAGE, BadInput):
        return None
    return Raw(named[1], Path(path).name, size, checksum) if whole else None
