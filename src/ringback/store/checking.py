"""Is everything there that the lake lists, and as it was written? What to do where it is not."""

from collections.abc import Container
from pathlib import Path
from typing import Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from ringback.errors import BadInput
from ringback.store import leftovers, schema
from ringback.store.lake import Lake
from ringback.store.manifest import NAME, Lost, Manifest, Newer, checksum

Fault = Literal["missing", "damaged", "unlisted", "newer"]
Remedy = Literal["rebuild", "restore", "import", "delete", "list", "take", "foreign", "update"]
"""rebuild: `store rebuild` makes it again. restore: nothing else holds it. import: import `name` again. delete: nobody
reads it, and the lake has all of it. list: without the list of files nothing can be read; `store rebuild` makes it from
them. take: it holds what the lake lacks; `store rebuild` takes it in. foreign: no file of a lake, nobody reads it.
update: a newer Ringback wrote it."""

_OF_UNLISTED: dict[leftovers.Kind, Remedy] = {"left": "delete", "lost": "take", "foreign": "foreign"}


class Problem(msgspec.Struct, frozen=True):
    """fault: what is wrong with the file `path` (relative to the lake); remedy: what to do about it. name: of a raw
    file, the one it was imported from."""

    fault: Fault
    path: str
    remedy: Remedy
    name: str | None = None


def check(lake: Lake) -> list[Problem]:
    """Reads every byte that the lake lists. In order of path; an empty list is a sound lake. Raises BadInput where one
    may not read it."""
    try:
        manifest = lake.manifest()
    except Lost:
        return [Problem("damaged" if (lake.folder / NAME).exists() else "missing", NAME, "list")]
    except Newer:
        return [Problem("newer", NAME, "update")]
    problems = []
    for path, part in manifest.parts.items():
        if fault := _fault(lake.folder / path, part.sha256):
            problems.append(Problem(fault, path, "rebuild" if part.derived else "restore"))
        elif _newer(lake.folder / path):
            problems.append(Problem("newer", path, "update"))
    for path, raw in manifest.raw.items():
        if fault := _fault(lake.folder / path, raw.sha256):
            problems.append(Problem(fault, path, "import", raw.name))
    for path, part in manifest.lost.items():
        fault = _fault(lake.folder / path, part.sha256)
        problems.append(Problem(fault, path, "restore") if fault else Problem("unlisted", path, "take"))
    sound = manifest if not problems else _without(manifest, {one.path for one in problems})
    for path in leftovers.unlisted(lake.folder, manifest):
        problems.append(Problem("unlisted", path, _OF_UNLISTED[leftovers.kind(lake.folder, sound, path)]))
    return sorted(problems, key=lambda one: one.path)


def _without(manifest: Manifest, paths: Container[str]) -> Manifest:
    return Manifest(parts={path: part for path, part in manifest.parts.items() if path not in paths})


def _newer(file: Path) -> bool:
    try:
        schema.version(pq.read_schema(file), str(file))
    except BadInput:
        return True
    except (OSError, pa.ArrowException):
        return False
    return False


def _fault(file: Path, wanted: str) -> Fault | None:
    try:
        return None if checksum(file) == wanted else "damaged"
    except PermissionError as error:
        raise BadInput(f"can't be read: {error.strerror}", str(file)) from error
    except OSError:
        return "missing"
