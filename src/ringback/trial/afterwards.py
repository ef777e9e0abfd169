"""What a session does on its first path once the cells there have had their rounds: it asks for penalties, and then, if
that is wanted, where on the path it happens."""

from collections.abc import Sequence

import msgspec

from ringback.record import Round
from ringback.trial import limited
from ringback.trial.activity import ATTEMPT_S, ATTEMPTS
from ringback.trial.cells import CellTrial
from ringback.trial.control import Grant, TrySpec
from ringback.trial.locating import Located, Locating
from ringback.trial.penalties import Penalties
from ringback.trial.plan import THIN_PER_ARM, Chance, Planned
from ringback.trial.probe import Link
from ringback.trial.terms import Settings

REPORTING_S = 5.0  # that the opening and the report of a round take beside it
PATIENT_ATTEMPTS = 14  # at the report of a round that asks for penalties: some 200 s, within which most blocks pass
SLOT, LOCATE = "slot", "locate"


class Wanted(msgspec.Struct, frozen=True):
    """trial: whose evidence the round is; None where it is nobody's. lane: `SLOT` or `LOCATE`."""

    planned: Planned
    trial: CellTrial | None
    lane: str
    attempts: int = ATTEMPTS  # at the report, which a block may hold up


class Afterwards:
    """A quiet session does neither, as both need more flows than it may have; a quick one has no time for penalties."""

    def __init__(
        self, settings: Settings, trials: Sequence[CellTrial], grant: Grant, random: Chance, link: Link
    ) -> None:
        self._settings, self._trials = settings, trials
        self._grant, self._random, self._link = grant, random, link
        self._penalties: Penalties | None = None
        self._locating: Locating | None = None
        self._no_time = False  # for what asks for penalties

    def next(self, number: int, first_exchange: int, left: float) -> Wanted | None:
        """The round to run now, in `left` seconds at most; None when all is done."""
        settings, path = self._settings, self._settings.paths[0]
        if settings.mode == "default" and not self._no_time:
            if self._penalties is None:
                self._penalties = Penalties(self._trials, path, self._grant, self._random, self._link.sizing())
            asked = self._penalties.next(number, first_exchange)
            if asked is not None and asked[0].seconds + REPORTING_S <= left:
                spare = min((left - asked[0].seconds) / ATTEMPT_S, float(PATIENT_ATTEMPTS))
                return Wanted(*asked, SLOT, max(ATTEMPTS, int(spare)))
            self._no_time = asked is not None
        if not settings.locate or path != "direct" or settings.mode == "quiet":
            return None
        if self._locating is None:
            per_arm = max(THIN_PER_ARM, self._link.sizing(limited.FASTER).per_arm)
            self._locating = Locating(self._trials, path, self._grant, self._random, per_arm)
        planned = self._locating.next(number, first_exchange)
        if planned is None or planned.seconds + REPORTING_S > left:
            return None
        return Wanted(planned, None, LOCATE)

    def take(self, finished: Round | None, lane: str) -> None:
        """The round that `next` gave is over; None where it never began."""
        if lane == LOCATE and self._locating is not None:
            self._locating.take(finished)
        elif lane == SLOT and self._penalties is not None:
            self._penalties.take(finished)

    @property
    def neutral(self) -> list[TrySpec]:
        """Tries at neutral hosts over a transport on which no cell is accused, so that what is punished is no part of
        them; where there is none, all of them."""
        struck = {
            plan.transport for trial in self._trials if trial.accused for plan in trial.plans if plan.form != "dns"
        }
        every = [spec for spec in self._settings.tries if spec.kind == "neutral"]
        return [spec for spec in every if spec.transport not in struck] or every

    @property
    def locating(self) -> list[Round]:
        return self._locating.rounds if self._locating else []

    @property
    def located(self) -> list[Located]:
        return self._locating.found if self._locating else []
