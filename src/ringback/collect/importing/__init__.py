"""Other tools' data, and our own, become observations: `read` goes through files of one kind, a `Tally` counts.

Each format is a module that yields `Kept` or `Refused` for every record and never raises for what is in a file.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from ringback.collect.importing import ooni, ooni_csv, ringback, throttling
from ringback.collect.importing.files import DAMAGE, opened
from ringback.collect.importing.outcome import REASONS, Kept, Read, Refused, Tally
from ringback.collect.importing.ringback import from_report
from ringback.errors import BadInput

__all__ = ["KINDS", "REASONS", "Kept", "Read", "Refused", "Tally", "from_report", "read"]

AHEAD = timedelta(days=1)  # by which a clock may be wrong


def _ooni(stream: IO[bytes], file: Path) -> Iterator[Read]:
    """A table where the first line is its header, else JSON."""
    try:
        head: bytes = stream.peek(4096)[:4096]  # type: ignore[attr-defined]
    except DAMAGE:
        head = b""  # the reader says so
    table = head.lstrip()[:1] not in (b"{", b"[") and b"test_name" in head.partition(b"\n")[0].split(b",")
    yield from (ooni_csv if table else ooni).read(stream, file)


KINDS: dict[str, Callable[[IO[bytes], Path], Iterator[Read]]] = {
    "ooni": _ooni,
    "throttling-csv": throttling.read,
    "ndjson": ringback.read,
}


def read(kind: str, file: Path) -> Iterator[Read]:
    """Every record of a file, packed or not. Raises BadInput for another kind, or where the file can't be opened."""
    if kind not in KINDS:
        raise BadInput(f"nothing is known of {kind!r}; there are {', '.join(KINDS)}", "kind")
    latest = datetime.now(UTC) + AHEAD
    with opened(file) as stream:
        for found in KINDS[kind](stream, file):
            future = isinstance(found, Kept) and any(one.time > latest for one in found.observations)
            yield Refused("no-time", str(file), found.records) if future else found
