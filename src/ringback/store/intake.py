"""Other tools' files into the lake, and everything made from them once more."""

from pathlib import Path

from ringback.collect.importing import Tally, read
from ringback.collect.importing.files import opened
from ringback.store.lake import Lake


def intake(lake: Lake, kind: str, file: Path, tally: Tally) -> None:
    """Keeps the raw file, then adds its observations; counts in `tally`. A file of which nothing can be kept leaves
    nothing. Raises BadInput where it can't be opened, or its kind is unknown."""
    before = tally.kept
    with opened(file) as content:
        raw = lake.keep_raw(kind, file.name, content)
    tally.new += lake.extend(tally.over(read(kind, file)), derived=True)
    if tally.kept == before:
        lake.drop_raw(raw)


def rebuild(lake: Lake) -> int:
    """Everything derived, from the raw files, by the rules of this version; how many observations that are."""
    return lake.rebuild(lambda kind, file: Tally().over(read(kind, file)))
