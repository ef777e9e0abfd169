"""The first page ahead of whoever asks for it: `python -m ringback.view.warming FOLDER LAKE`.

The first view of a large store adds up its months, which then are kept beside the lake: seconds of a processor in which
nobody is shown anything. A process of its own, behind all others, asks for that page once and throws it away; the
server, whose loop may be carrying a measurement's packets, takes no part. It ends by itself, or with the server.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ringback.errors import RingbackError
from ringback.store import Lake
from ringback.view.address import START
from ringback.view.pages import Pages

LEAST = 200_000  # observations; fewer are added up within a second or two, while somebody waits
NICE = 10  # steps behind the processes that answer and write


def warm(folder: Path, lake: Path) -> None:
    """What the first page asks is added up; nothing else is kept of it."""
    Pages.of(folder, lake).overview("en", START)


@contextmanager
def warming(folder: Path, lake: Path) -> Iterator["subprocess.Popen[bytes] | None"]:
    """While the context lasts, at most; None where there is nothing to be gained or no process to be had. A page that
    can't be made is left to those who ask for it, who are told."""
    process = _started(folder, lake) if _large(lake) else None
    try:
        yield process
    finally:
        if process is not None:
            process.kill()  # its files have their names when they are whole
            process.wait()


def _large(lake: Path) -> bool:
    with suppress(RingbackError):
        return sum(part.rows for part in Lake(lake).manifest().parts.values()) >= LEAST
    return False


def _started(folder: Path, lake: Path) -> "subprocess.Popen[bytes] | None":
    command = [sys.executable, "-m", "ringback.view.warming", str(folder), str(lake)]
    quiet = subprocess.DEVNULL
    with suppress(OSError):
        return subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    return None


if __name__ == "__main__":
    os.nice(NICE)
    with suppress(RingbackError):
        warm(Path(sys.argv[1]), Path(sys.argv[2]))
