"""A round and its requests to the peer: what a checkpoint asked is never taken for the round's end."""

from ringback.record import Arm, Cell, ExchangeSpec
from ringback.trial import control
from ringback.trial.activity import RoundActivity
from ringback.trial.cells import CellTrial
from ringback.trial.plan import Planned, form_plans
from ringback.trial.rendering import render
from ringback.trial.seam import Answer, Ask, Command
from tests.trial.ends import CATALOGUE

CELL = Cell("whatsapp", "voice", "outgoing", "relay")
CHECKPOINTS = (1.0, 2.5)


class Desk:
    session = "a session"

    def __init__(self) -> None:
        self.asked: list[Ask] = []
        self._flows = 0

    def claim(self) -> int:
        self._flows += 1
        return self._flows

    def ask(self, owner: object, what: str, body: object) -> Ask:
        self.asked.append(Ask(len(self.asked) + 1, what, control.encode(body)))  # type: ignore[arg-type]
        return self.asked[-1]


def running() -> tuple[RoundActivity, Desk]:
    """A round of two calls, the first of whose checkpoints has just been asked about."""
    arms = [Arm("original", "app"), Arm("control", "app")]
    specs = [
        ExchangeSpec(i, "whatsapp", "voice", "outgoing", "relay", "relay-call", arm, "udp", 3478, 2.5)
        for i, arm in enumerate(arms)
    ]
    planned = Planned(1, CELL, "relay-call", specs, [0.0, 0.0], CHECKPOINTS, 2.5)
    trial = CellTrial(CELL, form_plans(CATALOGUE, CELL, False), 1000.0, 4)
    desk = Desk()
    activity = RoundActivity(
        planned, trial, desk, "198.51.100.10", "direct", lambda spec: render(spec, b"key", (), CATALOGUE), "voice"
    )
    activity.start(0.0)
    answer(activity, desk, "round", 0.0)
    while activity.wake_at is not None and not any(one.what == "outcome" for one in desk.asked):
        activity.wake(activity.wake_at)
    return activity, desk


def answer(activity: RoundActivity, desk: Desk, what: str, now: float, failure: str | None = None) -> list[Command]:
    """To the first request of this kind."""
    asked = next(one for one in desk.asked if one.what == what)
    body = b"{}" if what == "round" else control.encode(control.FarRound(1, [], b""))
    return list(activity.answered(Answer(asked.number, now, body, failure), now))


def to_the_end(activity: RoundActivity) -> float:
    now = 0.0
    while activity.wake_at is not None:
        now = activity.wake_at
        activity.wake(now)
    return now


def test_a_checkpoint_that_was_not_answered_does_not_end_the_reading_there() -> None:
    activity, desk = running()
    assert not answer(activity, desk, "outcome", 3.0, "generic_timeout_error")
    now = to_the_end(activity)
    last = desk.asked[-1]
    activity.answered(Answer(last.number, now, control.encode(control.FarRound(1, [], b""))), now)
    assert activity.round is not None
    assert activity.round.read_to is None


def test_a_checkpoints_late_answer_is_not_the_report() -> None:
    activity, desk = running()
    now = to_the_end(activity)
    assert [one.what for one in desk.asked] == ["round", "outcome", "outcome"]
    answer(activity, desk, "outcome", now)
    assert not activity.finished, "its report is still to come"
    activity.answered(Answer(desk.asked[-1].number, now, control.encode(control.FarRound(1, [], b""))), now)
    assert activity.finished
    assert activity.round is not None
    assert activity.round.read_to is None
