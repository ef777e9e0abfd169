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

    __slots__ = ("heap", "now", "order", "stopped")

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Call, Any]] = []
        self.now = 0.0
        self.order = count().__next__
        self.stopped = False

    def at(self, when: float, call: Call, what: Any = None) -> None:
        """Plan `call(what)`. A time that is already past means: as soon as possible."""
        heappush(self.heap, (when if when > self.now else self.now, self.order(), call, what))

    def run(self, until: float) -> None:
        """Do what is due up to and including `until`, or until something sets `stopped`."""
        heap = self.heap
        while heap and heap[0][0] <= until and not self.stopped:
            self.now, _, call, what = heappop(heap)
            call(what)
