"""One end of a session at work: events in, commands out, and its wish to be woken."""

from collections.abc import Callable, Mapping, Sequence
from heapq import heappush
from math import inf
from operator import attrgetter

from ringback.sim.clock import Clock
from ringback.trial.seam import Close, Command, End, Event, Flow, Send

DUE = attrgetter("at")
MANY = 8  # commands at once from which on their sends are queued apart
STUCK = 10_000  # wakes at one instant after which an end must be broken


def _not_noted(flow: Flow, index: int, at: float) -> bool:
    """Instead of an end's own, so that every `Sent` is told and stands in the transcript."""
    return False


class Side:
    """Runs `end`. `send` takes each `Send` at its time; `table` holds what to do with the other commands, by class.

    decides: the run stops when this end has finished. transcript: where (time, name, command or event) is written
    down, if anywhere.
    """

    def __init__(
        self,
        name: str,
        end: End,
        clock: Clock,
        send: Callable[[Send], None],
        table: Mapping[type, Callable[..., None]],
        transcript: list[tuple[float, str, Command | Event]] | None,
        decides: bool = False,
    ) -> None:
        self._name = name
        self._end = end
        self._handle = end.handle
        self.note = _not_noted if transcript is not None else end.note
        """Asked of each datagram that went out; where it says no, the end is told `Sent`."""
        self._decides = decides
        self._clock = clock
        self._send = send
        self._table = table
        self._transcript = transcript
        self._wake_at = inf
        self._wakes = 0
        self._woken = -inf

    def start(self) -> None:
        self._obey(self._end.start(self._clock.now))
        self._settle()

    def tell(self, event: Event) -> None:
        """Hand over one event now."""
        now, end = self._clock.now, self._end
        if self._transcript is not None:
            self._transcript.append((now, self._name, event))
        commands = self._handle(event, now)
        if commands:
            self._obey(commands)
        wake = end.wake_at
        if wake is not None and wake < self._wake_at:
            self.plan()
        if self._decides and end.finished:
            self._clock.stopped = True

    def _settle(self) -> None:
        self.plan()
        if self._decides and self._end.finished:
            self._clock.stopped = True

    def _obey(self, commands: Sequence[Command]) -> None:
        clock = self._clock
        now, heap, order, send = clock.now, clock.heap, clock.order, self._send
        if self._transcript is not None:
            self._transcript += [(now, self._name, command) for command in commands]
        due = False
        if len(commands) >= MANY:
            commands, due = self._take_sends(commands)
        for command in commands:
            if type(command) is Send:
                if command.at <= now:
                    due = True
                    heappush(heap, (now, order(), send, command))
                else:
                    heappush(heap, (command.at, order(), send, command))
            elif due and type(command) is Close:
                clock.at(now, self._table[Close], command)  # after the sends before it
            else:
                self._table[type(command)](command)

    def _take_sends(self, commands: Sequence[Command]) -> tuple[list[Command], bool]:
        """Queue the sends among many commands by themselves, which keeps the clock's heap small.

        Returns the other commands, and whether some sends are due now."""
        sends = [command for command in commands if type(command) is Send]
        sends.sort(key=DUE)
        sends.reverse()
        if sends:
            self._clock.at(sends[-1].at, self._send_next, sends)
        due = bool(sends) and sends[-1].at <= self._clock.now
        return [command for command in commands if type(command) is not Send], due

    def _send_next(self, sends: list[Send]) -> None:
        """Send the last of the list, and what is due before anything else happens, and plan the next."""
        clock, send = self._clock, self._send
        send(sends.pop())
        while sends and clock.reaches(sends[-1].at):
            send(sends.pop())
        if sends:
            heappush(clock.heap, (sends[-1].at, clock.order(), self._send_next, sends))

    def plan(self) -> None:
        """Take the end's wish to be woken, which may have changed."""
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
        self._settle()
