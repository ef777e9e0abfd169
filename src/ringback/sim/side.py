"""One end of a session at work: events in, commands out, and its wish to be woken."""

from collections.abc import Callable, Mapping, Sequence
from heapq import heappush
from math import inf

from ringback.sim.clock import Clock
from ringback.trial.seam import Command, End, Event, Send

STUCK = 10_000  # wakes at one instant after which an end must be broken


class Side:
    """Runs `end`. `send` takes each `Send` at its time; `table` holds what to do with the other commands, by class.

    transcript: where (time, name, command or event) is written down, if anywhere.
    """

    def __init__(
        self,
        name: str,
        end: End,
        clock: Clock,
        send: Callable[[Send], None],
        table: Mapping[type, Callable[..., None]],
        transcript: list[tuple[float, str, Command | Event]] | None,
    ) -> None:
        self._name = name
        self._end = end
        self._handle = end.handle
        self._clock = clock
        self._send = send
        self._table = table
        self._transcript = transcript
        self._wake_at = inf
        self._wakes = 0
        self._woken = -inf

    def start(self) -> None:
        self._obey(self._end.start(self._clock.now))
        self._plan()

    def tell(self, event: Event) -> None:
        """Hand over one event now."""
        if self._transcript is not None:
            self._transcript.append((self._clock.now, self._name, event))
        commands = self._handle(event, self._clock.now)
        if commands:
            self._obey(commands)
        wake = self._end.wake_at
        if wake is not None and wake < self._wake_at:
            self._plan()

    def _obey(self, commands: Sequence[Command]) -> None:
        clock = self._clock
        now, heap, order, send = clock.now, clock.heap, clock.order, self._send
        if self._transcript is not None:
            self._transcript += [(now, self._name, command) for command in commands]
        for command in commands:
            if type(command) is Send:
                heappush(heap, (command.at if command.at > now else now, order(), send, command))
            else:
                self._table[type(command)](command)

    def _plan(self) -> None:
        wake = self._end.wake_at
        if wake is not None and wake < self._wake_at:
            self._wake_at = wake
            self._clock.at(wake, self._wake, wake)

    def _wake(self, planned: float) -> None:
        if planned != self._wake_at:
            return  # an earlier wish came in between
        self._wake_at = inf
        now = self._clock.now
        wake = self._end.wake_at
        if wake is not None and wake <= now:
            self._wakes = self._wakes + 1 if self._woken == now else 0
            self._woken = now
            if self._wakes > STUCK:
                raise RuntimeError(f"the {self._name} end wants to be woken at {now} s again and again")
            self._obey(self._end.wake(now))
        self._plan()
