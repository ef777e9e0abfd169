"""What belongs to a lake: the list of its files with their checksums. A file that is not listed is not there.

Everything is written beside its place, synced and renamed, and the list last: a crash leaves either the old lake or
the new one, and at worst a file that nobody lists.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import ENOSPC
from hashlib import sha256
from pathlib import Path

import msgspec

from ringback.errors import BadInput, Damaged, RingbackError, Unavailable

SCHEMA = "ringback/lake/1"
NAME = "manifest.json"


class Part(msgspec.Struct, frozen=True):
    """A Parquet file of one UTC day. derived: made from `raw`, so that it can be made again."""

    day: str
    rows: int
    bytes: int
    sha256: str
    derived: bool


class Raw(msgspec.Struct, frozen=True):
    """What was imported, as it came but for its packing (zstd). kind: how it is read. name: the file's name then."""

    kind: str
    name: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct):
    """parts, raw: by path relative to the lake. retired: parts that others took the place of, to when (seconds since
    1970): who had read the list before may still read them. lost: parts that were missing or damaged when the lake was
    rebuilt, and that nothing makes again; nobody reads them, and a backup brings them back. generation: goes up with
    every change."""

    schema: str = SCHEMA
    generation: int = 0
    parts: dict[str, Part] = {}
    raw: dict[str, Raw] = {}
    retired: dict[str, float] = {}
    lost: dict[str, Part] = {}


class Lost(Damaged):
    """The list is damaged, or missing though there are parts. `Lake.rebuild` makes it again."""


class Newer(BadInput):
    """The lake is of another program's schema."""


def load(folder: Path) -> Manifest:
    """Raises Lost, Newer, or BadInput where it can't be had; an absent one is an empty lake's."""
    file = folder / NAME
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        if empty(folder):
            return Manifest()
        what = "the list of the lake's files is missing; `ringback store rebuild` makes it again"
        raise Lost(what, str(file)) from None
    except OSError as error:
        raise BadInput(f"the list of the lake's files can't be read: {error.strerror}", str(file)) from error
    try:
        schema = msgspec.json.decode(content, type=_Told).schema
        found = msgspec.json.decode(content, type=Manifest) if schema == SCHEMA else None
    except (ValueError, RecursionError) as error:
        what = "the list of the lake's files is damaged; `ringback store rebuild` makes it again"
        raise Lost(what, str(file)) from error
    if found is None:
        raise Newer(f"the lake is of schema {schema[:60]!r}, this program knows {SCHEMA!r}: update it", str(file))
    for path in (*found.parts, *found.raw, *found.retired, *found.lost):
        if path.startswith("/") or ".." in Path(path).parts:
            raise BadInput(f"lists a file outside the lake: {path[:120]!r}", str(file))
    return found


class _Told(msgspec.Struct):
    schema: str = SCHEMA


def empty(folder: Path) -> bool:
    """Has it no part, listed or not? Raises BadInput where one may not look."""
    try:
        return next(iter(sorted((folder / "observations").glob("*/*.parquet"))), None) is None
    except OSError as error:
        raise BadInput(f"can't be read: {error.strerror}", str(folder)) from error


def save(folder: Path, manifest: Manifest) -> None:
    manifest.generation += 1
    write(folder / NAME, msgspec.json.format(msgspec.json.encode(manifest), indent=1))


def write(file: Path, content: bytes) -> None:
    """At once or not at all, and on the disk before it has its name. Raises Unavailable."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        part.replace(file)
        _sync(file.parent)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise Unavailable(
            f"{file} can't be written: {error.strerror}", "check the disk and the folder's rights"
        ) from error


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def checksum(file: Path) -> str:
    """SHA-256, hex. Raises OSError."""
    found = sha256()
    with file.open("rb") as content:
        while piece := content.read(1 << 20):
            found.update(piece)
    return found.hexdigest()


def fault(error: BaseException, parts: Iterable[Path]) -> RingbackError | None:
    """What made reading these parts fail, as far as that can be found out: memory or disk ran out, one of them is
    missing or other than it was written (they are named for their content), or may not be read. None: none of this, so
    `error` is about something else."""
    if isinstance(error, MemoryError) or "Out of Memory" in str(error):
        return Unavailable("memory ran out on this question", "ask for fewer days, or end other programs")
    if getattr(error, "errno", None) == ENOSPC or "No space left" in str(error):
        return Unavailable("the disk is full", "make room on it")
    told = str(error)
    for file in sorted(parts, key=lambda one: str(one) not in told):  # what the error names, first
        try:
            whole = checksum(file).startswith(file.name.partition(".")[0])
        except FileNotFoundError:
            whole = False
        except OSError as refused:
            return Unavailable(f"{file} can't be read: {refused.strerror}", "check the disk and the folder's rights")
        if not whole:
            return Damaged("is missing or damaged; `ringback store check` says what to do", str(file))
    return None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One writer at a time, also among processes; others wait. Raises Unavailable where the folder can't be had."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Unavailable(
            f"{folder} can't be used as a store: {error.strerror}", "give another one with --data"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not (folder / NAME).exists() and empty(folder):
            save(folder, Manifest())  # from here on a list that is missing is lost
        yield
    finally:
        os.close(handle)
