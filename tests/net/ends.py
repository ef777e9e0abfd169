"""Small hand-made ends: what they are told to do at the start, what they answer, and a diary of all they heard."""

from collections.abc import Callable, Sequence

from ringback.trial.seam import Command, Event


class Diarist:
    """Starts with `commands`; answers each event with `reply(event)`; is finished when `until(diary)` holds."""

    def __init__(
        self,
        commands: Sequence[Command] = (),
        reply: Callable[[Event], Sequence[Command]] = lambda event: (),
        until: Callable[[list[Event]], bool] = lambda diary: False,
        wake_at: float | None = None,
        on_wake: Sequence[Command] = (),
    ) -> None:
        self.commands, self.reply, self.until = commands, reply, until
        self.wake_at = wake_at
        self.on_wake = on_wake
        self.diary: list[Event] = []
        self.woken: list[float] = []
        self.questions: list[tuple[str, bytes, str]] = []

    def start(self, now: float) -> Sequence[Command]:
        return self.commands

    def handle(self, event: Event, now: float) -> Sequence[Command]:
        self.diary.append(event)
        return self.reply(event)

    def note(self, flow: object, index: int, at: float) -> bool:
        return False

    def wake(self, now: float) -> Sequence[Command]:
        self.wake_at = None
        self.woken.append(now)
        return self.on_wake

    @property
    def finished(self) -> bool:
        return self.until(self.diary)

    def answer(self, what: str, body: bytes, source: str, now: float) -> bytes:
        self.questions.append((what, body, source))
        return b"answered " + body

    def heard(self, kind: type) -> list:
        return [event for event in self.diary if type(event) is kind]
