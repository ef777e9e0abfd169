"""A session: the near end. It opens, tries what needs no script, sizes the link, runs what is scheduled, closes."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import msgspec

from ringback.catalogue import Catalogue
from ringback.errors import BadInput
from ringback.flow.script import Script
from ringback.record import ExchangeSpec, Round, StreamOutcome, Transport, Try
from ringback.trial import control, probe
from ringback.trial.activity import ATTEMPTS, Owner, RoundActivity
from ringback.trial.afterwards import LOCATE, SLOT, Afterwards
from ringback.trial.cells import CellTrial
from ringback.trial.contrast import TriesActivity, bearable
from ringback.trial.datagrams import NearDatagram
from ringback.trial.pairs import FLOWS_OF_A_PAIR, draw_pairs
from ringback.trial.plan import MEDIA_PHASE, Chance, Planned, draw_round
from ringback.trial.rendering import Renderer, render
from ringback.trial.schedule import CALLS, Schedule, Start, cell_trials, most_calls
from ringback.trial.seam import Answer, Ask, Command, Event, Flow, Received, Sent
from ringback.trial.terms import Result, Settings

Activity = RoundActivity | TriesActivity

MOST_OPENINGS = 3  # requests for a session: on a link with long bursts of loss they may die whole; one more after tries


class Session:
    """`trial.seam.End`. random draws plans and labels (a CSPRNG on real networks); progress hears (done, of) cells;
    renderer None: its own."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        random: Chance,
        progress: Callable[[str, int, int], None] | None = None,
        renderer: Renderer | None = None,
    ) -> None:
        self._settings, self._random, self._progress = settings, random, progress
        self._renderer = renderer or partial(render, catalogue=catalogue)
        self.session = ""
        self._grant: control.Grant | None = None
        self._flows = self._asks = self._attempts = 0
        self._owners: dict[int, Owner] = {}
        self._activities: list[Activity] = []
        self._by_flow: dict[Flow, Activity] = {}
        self._calls: dict[Flow, NearDatagram] = {}  # flows of the rounds that run
        self._rounds = self._media_rounds = self._exchanges = 0
        self._link = probe.Link()
        self._stage = "new"
        self._after: Afterwards | None = None
        self._began = self._ended = 0.0
        self._trials = cell_trials(settings, catalogue)
        self._schedule = Schedule(self._trials, settings.paths, settings.mode, settings.everywhere, settings.budget_s)
        self._outside = settings.outside or settings.paths[0]
        self._prelude: list[Activity] = []
        self._untried: list[str] = []
        self._knocked_again: set[str] = set()
        self._quiet = settings.mode == "quiet"
        self._tries: list[Try] = []
        self._later: list[Try] = []  # once a device was found that punishes, and nothing was blocked
        self._transcript: control.Transcript | None = None
        self._partner: Literal["reported", "unreachable", "vanished"] = "reported"
        self._silent: list[int] = []  # the last rounds, by number, where the partner told nothing of them
        self._notes: list[str] = []
        self.wake_at: float | None = None
        self.finished = False

    # -- Desk -----------------------------------------------------------------------------------------------------

    def claim(self) -> int:
        self._flows += 1
        return self._flows

    def ask(self, owner: Owner, what: str, body: msgspec.Struct) -> Ask:
        self._asks += 1
        self._owners[self._asks] = owner
        return Ask(self._asks, what, control.encode(body))

    # -- End ------------------------------------------------------------------------------------------------------

    def start(self, now: float) -> Sequence[Command]:
        self._began = now
        if self._settings.peer is None:
            self._partner = "unreachable"
            return self._settle(self._start_tries(now), now)
        self._stage = "opening"
        return (self._open(),)

    def _open(self) -> Ask:
        self._attempts += 1
        ports = sorted({f"{p.transport}/{p.app_port}" for trial in self._trials for p in trial.plans})
        return self.ask(self, "open", control.OpenRequest(control.VERSION, ports, list(self._settings.replays)))

    def answered(self, answer: Answer, now: float) -> Sequence[Command]:
        if self._stage == "opening":
            if answer.failure is None:
                try:
                    self._grant = control.decode(answer.body, control.Grant, "grant")
                    self.session = self._grant.session
                except BadInput as error:
                    self._notes.append(str(error))
                self._tries.append(self._peer_try(now))
            elif self._attempts < MOST_OPENINGS and self._schedule.left(now - self._began) > 0:
                return (self._open(),)
            self._partner = "unreachable" if self._grant is None else "reported"
            if self._attempts <= MOST_OPENINGS or self._grant is not None:
                return self._start_tries(now)
            self._finish(now)
        if self._stage == "closing":
            try:
                self._transcript = control.decode(answer.body, control.Transcript, "transcript")
            except BadInput:  # no answer is none either
                self._partner = "vanished" if self._silent else "reported"
            self._finish(now)
        return ()

    def _open_once_more(self, now: float) -> Sequence[Command]:
        """After the tries, whose time and packets may have outlasted what swallowed the first requests."""
        if self._settings.peer is None or self._attempts > MOST_OPENINGS or self._schedule.left(now - self._began) <= 0:
            self._finish(now)
            return ()
        self._stage = "opening"
        return (self._open(),)

    def _peer_try(self, now: float) -> Try:
        peer = self._settings.peer or ""
        return Try("here", self._outside, "peer", peer, None, None, "control", "tcp", 0, self._began, 1, 1)

    def _start_tries(self, now: float) -> Sequence[Command]:
        """What sizes the link and shows that a path carries anything comes first: tries over a tunnel that is not up
        yet would tell of the tunnel."""
        self._stage = "tries"
        self._untried = list(dict.fromkeys((self._outside, *self._settings.paths)))
        if self._grant is not None:
            self._prelude.append(self._probe_round(probe.FORM, "udp", self._outside))
            for path in self._untried:
                self._prelude.append(self._probe_round(probe.KNOCK, "tcp", path))
        return self._go_on_trying(now)

    def _go_on_trying(self, now: float) -> list[Command]:
        """Side by side, in a quiet session one after the other."""
        commands: list[Command] = []
        while self._prelude and not (self._quiet and self._activities):
            commands += self._begin(self._prelude.pop(0), now)
        sized = not any(isinstance(activity, RoundActivity) for activity in self._activities)
        while self._untried and sized and not (self._quiet and self._activities):
            commands += self._begin(self._tries_over(self._untried.pop(0)), now)
        return commands

    def _tries_over(self, path: str) -> TriesActivity:
        first = path == self._outside and self._grant is not None
        at_length = first and self._settings.mode == "default"
        wanted = [*self._settings.tries, *(self._settings.exits if path == self._outside else ())]
        specs = bearable(wanted, (self._link.up, self._link.down) if at_length else ())
        self._random.shuffle(specs)
        at_once = FLOWS_OF_A_PAIR if self._quiet else None
        return TriesActivity(specs, path, self, self._random.randbytes(32), first, at_once)

    def _knocked(self, seen: Round, path: str) -> None:
        """A path that carried nothing in that time is asked once more: a tunnel may have been about to open."""
        outcome = seen.exchanges[0].outcome
        connected = outcome.connected if isinstance(outcome, StreamOutcome) else None
        if connected is not None:
            assert isinstance(outcome, StreamOutcome)
            trips = [connected, *(at - connected for at, _ in outcome.arrivals[:1])]
            peer = self._settings.peer or ""
            known = Try("here", path, "peer", peer, None, None, "control", "tcp", 0, self._began, 1, 1)
            self._tries.append(msgspec.structs.replace(known, rtt_ms=1000 * min(trips)))
        elif path != self._outside and path not in self._knocked_again:
            self._knocked_again.add(path)
            self._prelude.append(self._probe_round(probe.KNOCK, "tcp", path))

    def _probe_round(self, form: str, transport: Transport, path: str) -> RoundActivity:
        assert self._grant is not None
        port = self._random.choice(self._grant.other[transport])
        self._rounds += 1
        planned = probe.planned(self._rounds, self._next_exchange(1), form, transport, port, path)
        return self._activity(planned, None, path, form)

    def _next_exchange(self, n: int) -> int:
        first = self._exchanges + 1
        self._exchanges += n
        return first

    def _activity(
        self, planned: Planned, trial: CellTrial | None, path: str, lane: str, attempts: int = ATTEMPTS
    ) -> RoundActivity:
        assert self._settings.peer is not None
        return RoundActivity(planned, trial, self, self._settings.peer, path, self._render, lane, attempts)

    def _render(self, spec: ExchangeSpec) -> Script:
        assert self._grant is not None
        return self._renderer(spec, self._grant.seed, self._settings.replays)

    def _begin(self, activity: Activity, now: float) -> list[Command]:
        self._activities.append(activity)
        first = self._flows + 1
        commands = list(activity.start(now))
        self._note_flows(activity, first)
        return commands

    def _note_flows(self, activity: Activity, first: int) -> None:
        for number in range(first, self._flows + 1):
            self._by_flow[number] = activity
        if isinstance(activity, RoundActivity):
            self._calls.update(activity.running.datagrams)

    def handle(self, event: Event, now: float) -> Sequence[Command]:
        if type(event) is Received or type(event) is Sent:
            call = self._calls.get(event.flow)
            if call is not None:
                return call.take(event)  # most events are these, and they move no deadline and end nothing
        if type(event) is Answer:
            owner = self._owners.pop(event.number, None)
            if owner is None:
                return ()
            first = self._flows + 1
            commands = owner.answered(event, now)
            if owner is not self:
                self._note_flows(owner, first)  # type: ignore[arg-type]
            return self._settle(commands, now)
        activity = self._by_flow.get(event.flow)  # type: ignore[union-attr]
        if activity is None or not (commands := activity.handle(event, now)):
            return ()  # where it wants nothing it ends nothing and moves no deadline either
        if activity.finished:
            return self._settle(commands, now)
        self._time()
        return commands

    def note(self, flow: Flow, index: int, at: float) -> bool:
        call = self._calls.get(flow)
        if call is None:
            return False
        call.sent[index] = at
        return True

    def wake(self, now: float) -> Sequence[Command]:
        commands: list[Command] = []
        for activity in self._activities:
            at = activity.wake_at
            if at is not None and at <= now + 1e-9:
                commands += activity.wake(now)
        return self._settle(commands, now)

    def _time(self) -> None:
        self.wake_at = min((at for activity in self._activities if (at := activity.wake_at) is not None), default=None)

    # -- what runs next -------------------------------------------------------------------------------------------

    def _settle(self, commands: Sequence[Command], now: float) -> Sequence[Command]:
        commands = self._go_on(commands, now)
        self._time()
        return commands

    def _go_on(self, commands: Sequence[Command], now: float) -> Sequence[Command]:
        """Take in what has finished and start what may run now."""
        done = [activity for activity in self._activities if activity.finished]
        for activity in done:
            self._activities.remove(activity)
            self._by_flow = {flow: owner for flow, owner in self._by_flow.items() if owner is not activity}
            self._calls = {flow: call for flow, call in self._calls.items() if flow in self._by_flow}
            self._take(activity)
        if not done and self._activities:
            return commands
        more = [*commands, *self._go_on_trying(now)]
        if self._stage == "tries" and self._may_go_on:
            if self._grant is None:
                return [*more, *self._open_once_more(now)]
            self._stage = "trials"
        if self._stage == "trials":
            more += self._fill(now)
            if not self._activities and self._stage == "trials":
                self._stage = "closing"
                more.append(self.ask(self, "close", control.CloseRequest(self.session)))
        return more

    @property
    def _may_go_on(self) -> bool:
        """Whether rounds may start. A quick session does not wait for its tries, only for the link's size."""
        if self._settings.mode == "quick" and self._grant is not None:
            return all(isinstance(activity, TriesActivity) for activity in self._activities)
        return not self._activities

    def _take(self, activity: Activity) -> None:
        if isinstance(activity, TriesActivity):
            (self._tries if self._after is None else self._later).extend(activity.results)
            return
        trial = activity.trial
        if activity.round is not None:
            self._silent = [*self._silent, activity.round.number] if activity.round.partner == "lost" else []
        if trial is None:
            if self._after is not None and activity.lane in (SLOT, LOCATE):
                self._after.take(activity.round, activity.lane)
                if activity.lane == SLOT and activity.round is not None and not any(t.answered for t in self._later):
                    again = self._after.neutral
                    self._prelude.append(TriesActivity(again, self._outside, self, self._random.randbytes(32), False))
            elif activity.round is not None:
                self._link.take(activity.round, self._outside)
                if activity.planned.form == probe.KNOCK:
                    self._knocked(activity.round, activity.planned.cell.path)
            return
        if activity.ran is not None:
            trial.ran(*activity.ran)
        trial.bytes += activity.bytes
        if activity.round is not None:
            trial.add(activity.round)
        if not any(isinstance(a, RoundActivity) and a.trial is trial for a in self._activities):
            if trial.rounds:
                trial.weigh()
            if self._after is not None and activity.lane == SLOT:
                self._after.take(activity.round, SLOT)
            if trial.cell.function in ("media", "text"):
                self._link.fared(trial.cell.function, trial.latest, trial.patience)
            if self._progress is not None and not trial.wants_more:
                self._progress(repr(trial.cell), sum(not t.wants_more for t in self._trials), len(self._trials))

    def _fill(self, now: float) -> list[Command]:
        commands: list[Command] = []
        while True:
            running = {id(a.trial): a.lane for a in self._activities if isinstance(a, RoundActivity)}
            size, patience = self._link.sizing(), self._link.patience
            for start in self._schedule.next(running, now - self._began, size, patience):
                commands += self._series(start, now)
            if not self._activities and self._schedule.path == self._settings.paths[0]:
                commands += self._afterwards(now)
            if self._activities or not self._schedule.advance():
                return commands

    def _afterwards(self, now: float) -> list[Command]:
        """Once the first path's cells have had their rounds: what asks for penalties, and where it happens."""
        if self._after is None:
            assert self._grant is not None
            self._after = Afterwards(self._settings, self._trials, self._grant, self._random, self._link)
        wanted = self._after.next(self._rounds + 1, self._exchanges + 1, self._schedule.left(now - self._began))
        if wanted is None:
            return []
        self._rounds += 1
        self._next_exchange(len(wanted.planned.specs))
        outer = wanted.trial is not None and wanted.trial.cell.function == "outer"
        path = self._outside if outer else self._schedule.path
        return self._begin(self._activity(wanted.planned, wanted.trial, path, wanted.lane, wanted.attempts), now)

    def _series(self, start: Start, now: float) -> list[Command]:
        trial = start.trial
        trial.begin(start.series, self._link.patience.of(trial.cell.function))
        commands: list[Command] = []
        assert self._grant is not None
        path = self._outside if trial.cell.function == "outer" else trial.cell.path
        size = self._link.sizing().beside(trial.streams).patient(self._link.patience)
        if trial.cell.function in CALLS and self._settings.mode == "default":
            trial.most_rounds = most_calls(trial.most_rounds, size)
        replay = self._settings.replay
        for plan in start.plans:
            self._rounds += 1
            number, first = self._rounds, self._exchanges + 1
            if self._quiet or start.width != "usual":
                planned = draw_pairs(
                    trial.cell, plan, number, first, self._grant, self._random, size, replay, start.length,
                    start.width == "alone",
                )  # fmt: skip
            else:
                media = trial.cell.function == "media" and plan.transport == "tcp"
                self._media_rounds += media
                phase = self._media_rounds * MEDIA_PHASE % 1 if media else 0.0
                planned = draw_round(
                    trial.cell, plan, number, first, self._grant, self._random, size, self._settings.mode, replay,
                    start.length, phase,
                )  # fmt: skip
            self._next_exchange(len(planned.specs))
            commands += self._begin(self._activity(planned, trial, path, start.lane), now)
        return commands

    def _finish(self, now: float) -> None:
        self._stage = "finished"
        self.finished = True
        self._ended = now

    def result(self) -> Result:
        """What was measured so far; complete once `finished`."""
        transcript = self._transcript
        return Result(
            trials=self._trials,
            tries=self._tries,
            later=self._later,
            digests=transcript.digests if transcript else [],
            signature=transcript.signature if transcript else None,
            peer_key=transcript.key if transcript else None,
            partner=self._partner,
            silent=self._silent if self._partner == "vanished" else [],
            seconds=self._ended - self._began,
            notes=self._notes,
            everywhere=self._settings.everywhere,
            locating=self._after.locating if self._after else [],
            located=self._after.located if self._after else [],
        )
