"""The lake's writer as a process of its own: `python -m ringback.store.receiving LAKE FOLDER [PEER_KEY ...]`.

Turning reports into rows takes the interpreter for seconds at a time. In the process that answers HTTP, and sends the
measuring packets of a peer, it would hold both up; so that process hands what it has spooled to this one.

Standard input: batches, each its length (8 bytes, big-endian) and spool frames. Standard output: for each batch an
answer, one JSON object a line, once all of it is on the disk. It ends when its input does, so it never outlives its
starter by more than a batch; to get the same batch again after that changes nothing.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import IO, cast

from ringback.collect.attestation import NOBODY, Keys
from ringback.collect.intake import sink
from ringback.collect.spool import Entry, Sink, frame, frames
from ringback.errors import RingbackError, Unavailable
from ringback.store.lake import Lake

LENGTH = 8
CLOSED = timedelta(hours=6)  # after a day's end, from which its parts are joined
EVERY_S = 3600.0  # between two looks for such days
NICE = 5  # steps behind the process that answers


@contextmanager
def receiving(lake: Path, folder: Path, known: Keys = NOBODY) -> Iterator[Sink]:
    """Where a collector's entries go: the lake in `lake`, written by a process that starts with the first of them and
    ends with the context. folder: the collector's own, for published reports; known: see `intake.sink`. The sink raises
    Unavailable where the lake can't be had or the process ended; it starts again with the next entries."""
    process: subprocess.Popen[bytes] | None = None
    turn = Lock()

    def take(entries: Sequence[Entry]) -> None:
        nonlocal process
        with turn:
            if process is None or process.poll() is not None:
                process = _started([str(lake), str(folder), *(key.hex() for key in sorted(known))])
            _asked(process, entries)

    try:
        yield take
    finally:
        if process is not None:
            with process:  # closes its input, and waits
                pass


def _started(arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "ringback.store.receiving", *arguments]
    try:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, cwd=Path.cwd()
        )
    except OSError as error:
        raise Unavailable(f"the lake's writer can't be started: {error.strerror}") from error


def _asked(process: "subprocess.Popen[bytes]", entries: Sequence[Entry]) -> None:
    content = b"".join(map(frame, entries))
    to, answers = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
    try:
        to.write(len(content).to_bytes(LENGTH, "big"))
        to.write(content)
        to.flush()
        answer = answers.readline()
    except OSError:
        answer = b""
    if not answer:
        raise Unavailable(f"the lake's writer ended with {process.wait()}", "it is started again")
    if refusal := json.loads(answer).get("refused"):
        raise Unavailable(refusal)


def _batches(source: IO[bytes]) -> Iterator[list[Entry]]:
    """Whole ones only: where the starter died in the middle of one, it was not acknowledged to anybody."""
    while len(head := source.read(LENGTH)) == LENGTH:
        size = int.from_bytes(head, "big")
        if len(content := source.read(size)) < size:
            return
        yield [one for one in frames(content) if isinstance(one, Entry)]


def receive(lake: Lake, into: Sink, source: IO[bytes], answers: IO[bytes]) -> None:
    """Until the source ends; between batches, days that are over are joined."""
    looked = -EVERY_S
    for entries in _batches(source):
        refused = ""
        try:
            into(entries)
        except (RingbackError, OSError) as error:
            refused = str(error)
        answers.write(json.dumps({"taken": len(entries)} if not refused else {"refused": refused}).encode() + b"\n")
        answers.flush()
        if monotonic() - looked >= EVERY_S and not refused:
            looked = monotonic()
            _joined(lake)


def _joined(lake: Lake) -> None:
    try:
        lake.compact(before=(datetime.now(UTC) - CLOSED).date())
    except (RingbackError, OSError) as error:
        print(f"days can't be joined: {error}", file=sys.stderr)  # noqa: T201 - the collector's log


def _main(lake: str, folder: str, *keys: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it ends with its input, when its batch is done
    os.nice(NICE)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nobody else's words between the answers
    place = Lake(Path(lake))
    try:
        receive(place, sink(place.extend, Path(folder), frozenset(map(bytes.fromhex, keys))), sys.stdin.buffer, answers)
    except BrokenPipeError:  # whoever asked is gone
        os._exit(0)


if __name__ == "__main__":
    _main(*sys.argv[1:])
