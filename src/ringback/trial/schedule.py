"""What runs next: pure bookkeeping over cells on trial, without a socket, a clock or a draw.

Lanes: text cells side by side, calls one cell at a time, media of as many apps side by side as the link bears,
but never beside calls. On a thin link calls have no text beside them either, and a cell of them runs until it is
decided: a budget that holds one cell's rounds would decide none if it gave each of them one.
A series is one round of every form of a cell; undecided cells get another as long as the budget lasts, of text and
media only in the forms that are not decided. Paths are measured one after the other. A quiet session runs one round at
a time, and a cell until it is decided.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import inf
from typing import Literal

import msgspec

from ringback.catalogue import Catalogue
from ringback.flow import FormPlan
from ringback.record import Cell
from ringback.trial import pairs
from ringback.trial.cells import CellTrial
from ringback.trial.crowding import Heard, codec_of
from ringback.trial.plan import Length, Mode, Patience, Sizing, Width, cells_of, form_plans
from ringback.trial.terms import Settings
from ringback.verdict.weights import thresholds

Lane = Literal["text", "voice", "alone", "media", "quiet"]
"""`alone`: what no other function may run beside."""

MOST_SERIES: Mapping[str, int] = {"voice": 4, "text": 6, "media": 6, "outer": 2}
THIN_SERIES: Mapping[int, int] = {1: 14, 2: 8}  # of calls, by exchanges of an arm: as much evidence, in smaller rounds
PAIR_SERIES = 10  # likewise, where they run as pairs
MOST_QUIET_SERIES: Mapping[str, int] = {"voice": 7, "text": 5, "media": 4, "outer": 7}
SERIES_SECONDS: Mapping[str, float] = {"voice": 12.0, "outer": 12.0, "text": 40.0}
QUIET_MEDIA_LIFE = 12.0  # of an exchange, for which QUIET_SECONDS were meant
QUIET_SECONDS: Mapping[str, float] = {"text": 75.0, "media": 75.0}  # of a round, at most; of impatient media
QUIET_CALL_SECONDS: Mapping[Length, float] = {"full": 48.0, "sample": 22.0}
ALONE_LONGER = 2.0  # than these, at most, where the two of a pair run one after the other
CALLS = ("voice", "outer")
USUAL = Sizing()
NO_PATIENCE = Patience()


class Start(msgspec.Struct, frozen=True):
    """Rounds of a cell to start now, one of each form given. series: which of the cell's it is, from 1 on."""

    trial: CellTrial
    lane: Lane
    length: Length
    plans: Sequence[FormPlan]
    series: int
    width: Width = "usual"


class Schedule:
    """everywhere, budget_s: see `terms.Settings`. Reads the trials, changes none of them."""

    def __init__(
        self, trials: Sequence[CellTrial], paths: Sequence[str], mode: Mode, everywhere: bool, budget_s: float | None
    ) -> None:
        self._trials, self._paths, self._mode = trials, paths, mode
        self._everywhere, self._budget_s = everywhere, budget_s
        self._path = 0
        self._rest: list[Start] = []  # of a quiet series
        calls = sum(trial.cell.function in CALLS for trial in trials)
        self._sample = mode == "quick" and most_series(mode, "voice", calls) == 1

    @property
    def path(self) -> str:
        """The path that is measured now."""
        return self._paths[self._path]

    def advance(self) -> bool:
        """On to the next path; False where this was the last."""
        if self._path + 1 >= len(self._paths):
            return False
        self._path += 1
        return True

    def left(self, elapsed: float) -> float:
        """Seconds of the budget, so long after the session's start."""
        return inf if self._budget_s is None else self._budget_s - elapsed

    def affords(self, seconds: float, elapsed: float) -> bool:
        """Whether what takes so long, started so long after the session's start, ends within the budget."""
        return seconds <= self.left(elapsed)

    def next(
        self, running: Mapping[int, str], elapsed: float, size: Sizing = USUAL, patience: Patience = NO_PATIENCE
    ) -> list[Start]:
        """The rounds to start beside those that run on this path. running: lane by `id` of the trial. size: what the
        link bears; one cell's media in any case. patience: see `probe.Link`."""
        wanted = [t for t in self._trials if t.cell.path == self.path and self._wanted(t, elapsed, size, patience)]
        if self._mode == "quiet":
            return [] if running else self._next_quiet(wanted, elapsed, size.patient(patience))
        lanes = set(running.values())
        if "alone" in lanes:
            return []
        starts = [self._start(t, "text") for t in self._texts(wanted, running, size)]
        if not lanes & {"voice", "media"}:
            beside = bool(starts or running)
            starts += [s for s in self._call_or_media(wanted, size) if not (beside and s.lane == "alone")]
        return starts

    def _texts(self, wanted: Sequence[CellTrial], running: Mapping[int, str], size: Sizing) -> list[CellTrial]:
        """Those to start now: as many rounds side by side as the link bears, one cell's in any case."""
        texts = [t for t in wanted if t.cell.function == "text" and id(t) not in running]
        if self._mode != "default":
            return texts
        if self._calls_turn(wanted, size):
            return []
        room = size.text_rounds - sum(t.streams for t in self._trials if running.get(id(t)) == "text")
        found: list[CellTrial] = []
        for trial in texts:
            if trial.streams <= room or not (found or "text" in running.values()):
                found.append(trial)
                room -= trial.streams
        return found

    def _calls_turn(self, wanted: Sequence[CellTrial], size: Sizing) -> bool:
        """Whether texts wait for the first cell of calls: on a thin link those of several apps would take all of a
        budget, and nothing at all would be known of calls. Where these run as pairs they would take it all themselves.
        """
        if self._budget_s is None or not size.thin or size.width == "pair":
            return False
        here = [t for t in self._trials if t.cell.path == self.path]
        first = next((t for t in here if t.cell.function in CALLS), None)
        return first in wanted and any(t.series for t in here if t.cell.function == "text")

    def _next_quiet(self, wanted: Sequence[CellTrial], elapsed: float, size: Sizing) -> list[Start]:
        self._rest = [start for start in self._rest if not start.trial.settled]
        if not self._rest and wanted:
            trial = wanted[0]
            length = pairs.next_length(trial)
            self._rest = [Start(trial, "quiet", length, (plan,), trial.series + 1) for plan in trial.open_plans]
        if not self._rest:
            return []
        first = self._rest[0]
        seconds = QUIET_SECONDS.get(first.trial.cell.function) or QUIET_CALL_SECONDS[first.length]
        if first.trial.cell.function == "media":
            seconds *= max(1.0, size.media_life / QUIET_MEDIA_LIFE)
        return [self._rest.pop(0)] if self.affords(seconds, elapsed) else []

    def _call_or_media(self, wanted: Sequence[CellTrial], size: Sizing) -> list[Start]:
        calls = [t for t in wanted if t.cell.function in CALLS]
        media = [t for t in wanted if t.cell.function == "media"]
        if calls and size.thin and self._mode == "default":
            return [self._call(calls[0], size)]
        least = min((t.series for t in [*calls, *media]), default=0)
        for trial in calls:
            if trial.series == least:
                return [self._call(trial, size)]
        media = [trial for trial in media if trial.series == least]
        rounds = list(accumulate(trial.streams for trial in media))
        lane: Lane = "alone" if size.thin and self._mode == "default" else "media"
        return [self._start(t, lane) for i, t in enumerate(media) if i == 0 or rounds[i] <= size.media_rounds]

    def _call(self, trial: CellTrial, size: Sizing) -> Start:
        width = self._width(trial, size)
        if width == "usual":
            return self._start(trial, "alone" if size.thin and self._mode == "default" else "voice")
        return Start(trial, "alone", self._small_length(trial, width), trial.plans, trial.series + 1, width)

    def _width(self, trial: CellTrial, size: Sizing) -> Width:
        if self._mode != "default":
            return "usual"
        return size.width if trial.heard is None else trial.heard.width(size.width)

    def _small_length(self, trial: CellTrial, width: Width) -> Length:
        """Of a round with at most two calls at once."""
        if width == "alone" and trial.heard is not None and not trial.heard.crowded:
            return "full"
        return pairs.next_length(trial)

    def _start(self, trial: CellTrial, lane: Lane) -> Start:
        """A quick session of several cells of calls has no time to hear any in full. Text and media run again only in
        the forms that are not decided."""
        length = "sample" if self._sample else trial.next_length
        plans = trial.open_plans if trial.cell.function in ("text", "media") else trial.plans
        return Start(trial, lane, length, plans, trial.series + 1)

    def _wanted(self, trial: CellTrial, elapsed: float, size: Sizing, patience: Patience) -> bool:
        if not trial.wants_more:
            return False
        if not self._everywhere and trial.cell.path != self._paths[0] and self._clear(trial.cell):
            return False
        return self._mode == "quiet" or self.affords(self._seconds(trial, size, patience), elapsed)

    def _seconds(self, trial: CellTrial, size: Sizing, patience: Patience) -> float:
        """Of the trial's next series, at most."""
        width = self._width(trial, size) if trial.cell.function in CALLS else "usual"
        if width != "usual":
            return QUIET_CALL_SECONDS[self._small_length(trial, width)] * (ALONE_LONGER if width == "alone" else 1)
        if trial.cell.function == "media":
            return size.beside(trial.streams).patient(patience).media_seconds
        seconds = SERIES_SECONDS[trial.cell.function]
        if trial.cell.function == "text" and self._mode == "default":
            seconds *= size.beside(trial.streams).patient(patience).text_seconds / USUAL.text_seconds
        return seconds

    def _clear(self, cell: Cell) -> bool:
        """Whether the same cell is shown to work on the first path."""
        first = msgspec.structs.replace(cell, path=self._paths[0])
        return any(trial.decided and not trial.accused for trial in self._trials if trial.cell == first)


def most_series(mode: Mode, function: str, call_cells: int) -> int:
    """How often a cell's forms run at most. A quick session has a second round for calls if it has one cell of them."""
    if mode != "quick":
        return (MOST_SERIES if mode == "default" else MOST_QUIET_SERIES)[function]
    return 2 if function == "voice" and call_cells == 1 else 1


def most_calls(usual: int, size: Sizing) -> int:
    """How often a cell of calls runs at most where the link bears fewer at once than `usual` series were meant for. It
    hangs on the link's size alone, and on nothing that an exchange met."""
    return max(usual, THIN_SERIES.get(size.per_arm, 0) if size.width == "usual" else PAIR_SERIES)


def cell_trials(settings: Settings, catalogue: Catalogue) -> list[CellTrial]:
    """Every cell that a session may measure, in the order in which it does, each with its share of alpha: protocols of
    VPN paths first, since what is done to them is done to all that goes over that path."""
    cells = [Cell(vpn, "outer", path=path) for path, vpn in settings.outer.items()]
    cells += [
        cell
        for cell in cells_of(catalogue, settings.apps, settings.functions, settings.paths, settings.route)
        if cell.direction is None or cell.direction in settings.directions
    ]
    calls = sum(cell.function in CALLS for cell in cells)
    bars = thresholds([repr(cell) for cell in cells])
    trials = [
        CellTrial(
            cell,
            form_plans(catalogue, cell, settings.replay is not None and settings.replay_app in (None, cell.app)),
            bars[repr(cell)],
            most_series(settings.mode, cell.function, calls),
        )
        for cell in cells
    ]
    for trial in trials:
        if settings.mode == "default" and trial.cell.function in CALLS:
            trial.heard = Heard(codec_of(catalogue, trial.cell.app))
    return trials
