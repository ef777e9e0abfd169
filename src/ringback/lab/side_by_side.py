"""Pieces of a run in processes of their own, some at a time, their results told in order. Linux only."""

import os
import select
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from ringback.lab.namespaces.processes import Child, launch

T = TypeVar("T")
STEP = struct.Struct("=HHH")  # which piece, done, of how many: small enough for a pipe to keep in one piece
STEPS_AT_ONCE = 512

Progress = Callable[[str, int, int], None]
Work = Callable[[Progress], T]


def side_by_side(pieces: Sequence[tuple[str, Work[T]]], parallel: int, progress: Progress | None = None) -> Iterator[T]:
    """What each (name, work) returns, pickled, in their order; so many as `parallel` are at work at a time.

    Work is handed a progress of its own; `progress` hears the sum. All processes end when this does or is closed,
    also when our own is killed. Raises what work raises.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    running: dict[int, Child] = {}
    results: dict[int, T] = {}
    steps: dict[int, tuple[int, int]] = {}
    begun = 0
    try:
        for number in range(len(pieces)):
            while number not in results:
                while begun < len(pieces) and len(running) < parallel:
                    running[begun] = _start(*pieces[begun], begun, writing)
                    begun += 1
                by_pipe = {child.fileno(): which for which, child in running.items()}
                ready = select.select([reading, *by_pipe], (), ())[0]
                if reading in ready:
                    said = os.read(reading, STEPS_AT_ONCE * STEP.size)
                    steps |= {which: (done, of) for which, done, of in STEP.iter_unpack(said)}
                    _tell(steps, len(pieces), progress)
                for which in [by_pipe[pipe] for pipe in ready if pipe in by_pipe]:
                    results[which] = running[which].result()
                    del running[which]
            yield results.pop(number)
    finally:
        for child in running.values():
            child.stop()
        os.close(reading)
        os.close(writing)


def _start(name: str, work: Work[T], number: int, writing: int) -> Child:
    def step(_: str, done: int, of: int) -> None:
        try:
            os.write(writing, STEP.pack(number, done, of))
        except OSError:  # nobody listens any more, or not now: the next one says more
            return

    return launch(name, lambda _: work(step), lambda: None)


def _tell(steps: dict[int, tuple[int, int]], pieces: int, progress: Progress | None) -> None:
    if progress is not None and steps:
        most = max(of for _, of in steps.values())
        of = sum(of for _, of in steps.values()) + most * (pieces - len(steps))  # of others we know nothing yet
        progress("", sum(done for done, _ in steps.values()), of)
