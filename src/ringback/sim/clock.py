"""Virtual time: a heap of things to do, each at its second."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any

Call = Callable[[Any], None]


class Clock:
    """Seconds since the run began. Things due at the same instant happen in the order in which they were planned.

    `heap` and `order` are open to the hot paths, which push `(when, order(), call, what)` themselves.
    """

    __slots__ = ("_until", "heap", "now", "order", "stopped")

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Call, Any]] = []
        self.now = 0.0
        self.order = count().__next__
        self.stopped = False
        self._until = 0.0

    def at(self, when: float, call: Call, what: Any = None) -> None:
        """Plan `call(what)`. A time that is already past means: as soon as possible."""
        heappush(self.heap, (when if when > self.now else self.now, self.order(), call, what))

    def reaches(self, when: float) -> bool:
        """Whether `when` is now; or goes on to it without an event of its own, where nothing else is due until then
        and the run does not end before."""
        if when > self.now:
            heap = self.heap
            if when > self._until or self.stopped or (heap and heap[0][0] <= when):
                return False
            self.now = when
        return True

    def run(self, until: float) -> None:
        """Do what is due up to and including `until`, or until something sets `stopped`."""
        heap, self._until = self.heap, until
        while heap and not self.stopped:
            due = heappop(heap)
            when, _, call, what = due
            if when > until:
                heappush(heap, due)
                return
            self.now = when
            call(what)
