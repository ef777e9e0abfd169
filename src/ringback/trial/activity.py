"""One round from request to record: told to the peer, run, read at its checkpoints, reported, revealed."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from ringback.errors import BadInput
from ringback.flow.script import Script
from ringback.record import ExchangeSpec, Round
from ringback.trial import control, limited
from ringback.trial.cells import CellTrial, reveal, stone_dead
from ringback.trial.plan import Planned
from ringback.trial.running import Blind, Running
from ringback.trial.seam import Answer, Ask, Command, Event
from ringback.verdict.arrivals import GRACE

ATTEMPTS = 3  # at any request to the peer
ATTEMPT_S = 15.0  # that one of them may take
LISTEN_S = 2.0  # for what is late where a round is over early: what seems dropped may be delayed
REPORT_BYTES = 12_000  # a round's report, roughly, for the cost that is shown


class Owner(Protocol):
    """Who gets an `Answer`."""

    def answered(self, answer: Answer, now: float) -> Sequence[Command]: ...


class Desk(Protocol):
    """What a session offers to what runs in it."""

    session: str

    def claim(self) -> int:
        """A fresh flow number."""
        ...

    def ask(self, owner: Owner, what: str, body: msgspec.Struct) -> Ask: ...


class RoundActivity:
    """`render`: spec -> script, done before anything runs; from then on the running half is blind."""

    def __init__(
        self,
        planned: Planned,
        trial: CellTrial | None,
        desk: Desk,
        host: str,
        path: str,
        render: Callable[[ExchangeSpec], Script],
        lane: str,
        attempts: int = ATTEMPTS,
    ) -> None:
        self.planned = planned
        self.trial = trial
        self.lane = lane
        self.round: Round | None = None
        self.finished = False
        self.ran: tuple[float, float] | None = None  # from when to when, on the session's clock
        self._desk = desk
        blind = []
        for spec, start in zip(planned.specs, planned.starts, strict=True):
            script = render(spec)
            blind.append(Blind(spec.number, spec.port, start, script, limited.ttls(planned.form, planned.ttl, script)))
        apart = planned.drawn != "arms"
        self.running = Running(blind, host, path, desk.claim, apart)
        self._checkpoints = [] if apart else list(planned.checkpoints[:-1])  # others are read when the last is over
        self._slot = planned.drawn == "slot"
        self._most_attempts = attempts  # at its report
        self._read_at: float | None = None
        self._stage = "opening"
        self._attempts = 0
        self._started = 0.0
        self._reading: tuple[int, float] | None = None  # request and checkpoint, until that is answered
        self._read_to: float | None = None

    @property
    def bytes(self) -> int:
        return self.running.bytes + REPORT_BYTES

    def start(self, now: float) -> Sequence[Command]:
        self._started = now
        return (self._request_round(),)

    def _request_round(self) -> Ask:
        self._attempts += 1
        body = control.RoundRequest(self._desk.session, self.planned.number, self.planned.specs)
        return self._desk.ask(self, "round", body)

    def _request_outcome(self, final: bool) -> Ask:
        return self._desk.ask(self, "outcome", control.OutcomeRequest(self._desk.session, self.planned.number, final))

    def answered(self, answer: Answer, now: float) -> Sequence[Command]:
        if self._stage == "opening":
            return self._opened(answer, now)
        far: control.FarRound | None = None
        if answer.failure is None:
            try:
                far = control.decode(answer.body, control.FarRound, f"round {self.planned.number}")
            except BadInput:
                far = None
        if self._reading is not None and answer.number == self._reading[0]:
            read_to, self._reading = self._reading[1], None  # it tells of that time, even where the round is over since
            return self._checkpoint(far, read_to, now) if far is not None else ()
        if far is None and self._attempts < self._most_attempts:
            self._attempts += 1
            return (self._request_outcome(final=True),)
        self._finish(far, now)
        return ()

    def _opened(self, answer: Answer, now: float) -> Sequence[Command]:
        if answer.failure is not None:
            if self._attempts < ATTEMPTS:
                return (self._request_round(),)
            if self.trial is not None and not self._slot:
                self.trial.lost += 1
            self.finished = True
            return ()
        self._stage = "running"
        commands = self.running.start(now)
        self._next_checkpoint()
        return commands

    def _next_checkpoint(self) -> None:
        if self._checkpoints:
            last = self.planned.starts[-1]
            self._read_at = self.running.epoch + last + self._checkpoints[0] + GRACE
        else:
            self._read_at = None

    def _checkpoint(self, far: control.FarRound, read_to: float, now: float) -> Sequence[Command]:
        if self.running.stopped or self._read_to is not None or self.trial is None:
            return ()
        if not stone_dead(self._reveal(None, read_to), read_to):  # the far half could only show more life
            return ()
        if self.trial.would_accuse(self._reveal(far, read_to)):
            self._read_to, self._read_at = read_to, None
            self._checkpoints.clear()
            return self._after(self.running.hush(now, now + LISTEN_S), now)
        return ()

    def _report(self) -> Sequence[Command]:
        self._stage = "reporting"
        self._attempts = 1
        return (self._request_outcome(final=True),)

    def _reveal(self, far: control.FarRound | None, read_to: float | None) -> Round:
        outcomes = self.running.outcomes(far.exchanges if far else ())
        return reveal(self.planned, outcomes, self.running.epoch, far is None, read_to)

    def _finish(self, far: control.FarRound | None, now: float) -> None:
        try:
            self.round = self._reveal(far, self._read_to)
        except BadInput:  # the peer's report does not fit what was agreed: as good as none
            self.round = self._reveal(None, self._read_to)
        self.ran = (self._started, now)
        self.finished = True

    def owns(self, flow: object) -> bool:
        return self.running.owns(flow)

    def handle(self, event: Event, now: float) -> Sequence[Command]:
        commands = self.running.handle(event, now)
        return self._after(commands, now) if self.running.stopped else commands

    def _after(self, commands: Sequence[Command], now: float) -> Sequence[Command]:
        if self._stage == "running" and self.running.stopped:
            return [*commands, *self._report()]
        return commands

    def wake(self, now: float) -> Sequence[Command]:
        if self._stage != "running":
            return ()
        commands = list(self.running.wake(now))
        if self._read_at is not None and now >= self._read_at - 1e-9 and not self.running.stopped:
            checkpoint = self._checkpoints.pop(0)
            self._next_checkpoint()
            if self._reading is None and self.trial is not None:
                asked = self._request_outcome(final=False)
                self._reading = asked.number, checkpoint
                commands.append(asked)
        return self._after(commands, now)

    @property
    def wake_at(self) -> float | None:
        if self._stage != "running":
            return None
        at = self.running.wake_at
        if self._read_at is not None and (at is None or self._read_at < at):
            return self._read_at
        return at
