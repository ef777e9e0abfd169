"""Is everything there that the lake lists, and as it was written? What to do where it is not."""

from pathlib import Path
from typing import Literal

import msgspec

from ringback.errors import BadInput
from ringback.store.lake import Lake
from ringback.store.manifest import NAME, checksum

Fault = Literal["missing", "damaged", "unlisted"]


class Problem(msgspec.Struct, frozen=True):
    """fault: what is wrong with the file `path` (relative to the lake); remedy: what to do, a sentence."""

    fault: Fault
    path: str
    remedy: str


REBUILD = "made from raw files: `ringback store rebuild` makes it again"
RESTORE = "nothing else holds it: restore it from a backup; `ringback store rebuild` goes on without it"
REIMPORT = "import {name} again, or restore it from a backup"
DELETE = "left from an interrupted change, nobody reads it: it may be deleted"
LIST = "restore it from a backup, or move the folder `observations` away and import the files in `raw` again"


def check(lake: Lake) -> list[Problem]:
    """Reads every byte that the lake lists. In order of path; an empty list is a sound lake."""
    try:
        manifest = lake.manifest()
    except BadInput:
        return [Problem("damaged", NAME, LIST)]
    problems = []
    for path, part in manifest.parts.items():
        if fault := _fault(lake.folder / path, part.sha256):
            problems.append(Problem(fault, path, REBUILD if part.derived else RESTORE))
    for path, raw in manifest.raw.items():
        if fault := _fault(lake.folder / path, raw.sha256):
            problems.append(Problem(fault, path, REIMPORT.format(name=raw.name)))
    listed = manifest.parts.keys() | manifest.raw.keys()
    for folder in ("observations", "raw"):
        for file in sorted((lake.folder / folder).rglob("*")):
            path = file.relative_to(lake.folder).as_posix()
            if file.is_file() and path not in listed:
                problems.append(Problem("unlisted", path, DELETE))
    return sorted(problems, key=lambda one: one.path)


def _fault(file: Path, wanted: str) -> Fault | None:
    try:
        return None if checksum(file) == wanted else "damaged"
    except OSError:
        return "missing"
