"""Between an end and its sockets: events go in one at a time, datagrams go out when they are due, the end is woken.

Everything runs in callbacks of one loop; nothing here waits.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count
from time import monotonic
from typing import Any

from ringback.trial.seam import Command, End, Event, Send

TICK = 0.001  # seconds; epoll waits in whole milliseconds, and uvloop's timers count in them


class Pump:
    """perform: what to do for each command but `Send`; transmit: put a datagram on the wire now (it answers by a
    `Sent` event, or not at all). Errors raised by the end go to `fail`, and the pump goes on."""

    def __init__(
        self,
        end: End,
        perform: Mapping[type, Callable[[Any], None]],
        transmit: Callable[[Send], None],
        fail: Callable[[Exception], None],
        finish: Callable[[], None] | None = None,
    ) -> None:
        self.end = end
        self._perform = perform
        self._transmit = transmit
        self._fail = fail
        self._finish = finish
        self._loop = asyncio.get_running_loop()
        self.origin = monotonic()
        self._events: deque[Event] = deque()
        self._heap: list[tuple[float, int, Send]] = []
        self._order = count().__next__
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._closed = False

    def now(self) -> float:
        return monotonic() - self.origin

    def when(self, instant: float) -> float:
        """An instant of `time.monotonic` on the end's clock."""
        return instant - self.origin

    def start(self) -> None:
        self._turn(lambda: self.end.start(self.now()))

    def feed(self, event: Event) -> None:
        """Tell the end. Safe to call from within `perform` and `transmit`: the event then waits for its turn."""
        self._events.append(event)
        if not self._busy:
            self._turn(None)

    def feed_all(self, events: Iterable[Event]) -> None:
        """The same for several that came together: the timer is looked at once."""
        self._events.extend(events)
        if not self._busy:
            self._turn(None)

    def close(self) -> None:
        """Nothing reaches the end any more, and nothing of what it planned is sent."""
        self._closed = True
        self._events.clear()
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()

    def settle(self) -> None:
        """Look again when the end wants to be woken: something outside the pump changed it."""
        if not self._busy and not self._closed:
            self._arm()

    def _turn(self, first: Callable[[], Sequence[Command]] | None) -> None:
        if self._closed:
            return
        self._busy = True
        end, events = self.end, self._events
        try:
            if first is not None:
                self._attempt(first)
            while events:
                event = events.popleft()
                try:
                    commands = end.handle(event, monotonic() - self.origin)
                    if commands:
                        self._do(commands)
                except Exception as error:
                    self._fail(error)
        finally:
            self._busy = False
        if not self._closed:
            if self._finish is not None and end.finished:
                self._finish()
            else:
                self._arm()

    def _attempt(self, step: Callable[[], Sequence[Command]]) -> None:
        try:
            self._do(step())
        except Exception as error:
            self._fail(error)

    def _do(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if type(command) is Send:
                if command.at <= monotonic() - self.origin:
                    self._transmit(command)
                else:
                    heappush(self._heap, (command.at, self._order(), command))
            else:
                self._perform[type(command)](command)

    def _arm(self) -> None:
        due = self._heap[0][0] if self._heap else None
        wake = self.end.wake_at
        at = due if wake is None else wake if due is None else min(due, wake)
        if at is None or (self._timer is not None and self._timer_at <= at):
            return  # a timer that goes off too early does no harm, and moving it costs more
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_later(max(at - self.now(), TICK), self._due)

    def _due(self) -> None:
        self._timer = None
        self._turn(self._send_due)

    def _send_due(self) -> Sequence[Command]:
        heap, now = self._heap, self.now()
        while heap and heap[0][0] <= now:
            self._transmit(heappop(heap)[2])
        wake = self.end.wake_at
        return self.end.wake(now) if wake is not None and wake <= now else ()
