"""Is everything there that the lake lists, and as it was written? What to do where it is not."""

from pathlib import Path
from typing import Literal

import msgspec

from ringback.errors import BadInput
from ringback.store.lake import Lake
from ringback.store.manifest import NAME, checksum

Fault = Literal["missing", "damaged", "unlisted"]
Remedy = Literal["rebuild", "restore", "import", "delete", "list"]
"""rebuild: `store rebuild` makes it again. restore: nothing else holds it. import: import `name` again. delete: nobody
reads it. list: without the list of files nothing can be read; restore it, or import what lies in `raw` again."""


class Problem(msgspec.Struct, frozen=True):
    """fault: what is wrong with the file `path` (relative to the lake); remedy: what to do about it. name: of a raw
    file, the one it was imported from."""

    fault: Fault
    path: str
    remedy: Remedy
    name: str | None = None


def check(lake: Lake) -> list[Problem]:
    """Reads every byte that the lake lists. In order of path; an empty list is a sound lake."""
    try:
        manifest = lake.manifest()
    except BadInput:
        return [Problem("damaged", NAME, "list")]
    problems = []
    for path, part in manifest.parts.items():
        if fault := _fault(lake.folder / path, part.sha256):
            problems.append(Problem(fault, path, "rebuild" if part.derived else "restore"))
    for path, raw in manifest.raw.items():
        if fault := _fault(lake.folder / path, raw.sha256):
            problems.append(Problem(fault, path, "import", raw.name))
    listed = manifest.parts.keys() | manifest.raw.keys()
    for folder in ("observations", "raw"):
        for file in sorted((lake.folder / folder).rglob("*")):
            path = file.relative_to(lake.folder).as_posix()
            if file.is_file() and path not in listed:
                problems.append(Problem("unlisted", path, "delete"))
    return sorted(problems, key=lambda one: one.path)


def _fault(file: Path, wanted: str) -> Fault | None:
    try:
        return None if checksum(file) == wanted else "damaged"
    except OSError:
        return "missing"
