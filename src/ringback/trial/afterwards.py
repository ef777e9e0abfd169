"""What a session does on its first path once the cells there have had their rounds: it asks for penalties, and then, if
that is wanted, where on the path it happens."""

from collections.abc import Sequence

import msgspec

from ringback.record import Round
from ringback.trial import limited
from ringback.trial.cells import CellTrial
from ringback.trial.control import Grant
from ringback.trial.locating import Located, Locating
from ringback.trial.penalties import Penalties
from ringback.trial.plan import THIN_PER_ARM, Chance, Planned
from ringback.trial.probe import Link
from ringback.trial.terms import Settings

REPORTING_S = 5.0  # that the opening and the report of a round take beside it
SLOT, LOCATE = "slot", "locate"


class Wanted(msgspec.Struct, frozen=True):
    """trial: whose evidence the round is; None where it is nobody's. lane: `SLOT` or `LOCATE`."""

    planned: Planned
    trial: CellTrial | None
    lane: str


class Afterwards:
    """A quiet session does neither, as both need more flows than it may have; a quick one has no time for penalties."""

    def __init__(
        self, settings: Settings, trials: Sequence[CellTrial], grant: Grant, random: Chance, link: Link
    ) -> None:
        self._settings, self._trials = settings, trials
        self._grant, self._random, self._link = grant, random, link
        self._penalties: Penalties | None = None
        self._locating: Locating | None = None

    def next(self, number: int, first_exchange: int) -> Wanted | None:
        """The round to run now; None when all is done."""
        settings, path = self._settings, self._settings.paths[0]
        if settings.mode == "default":
            if self._penalties is None:
                self._penalties = Penalties(self._trials, path, self._grant, self._random, self._link.sizing())
            asked = self._penalties.next(number, first_exchange)
            if asked is not None:
                return Wanted(*asked, SLOT)
        if not settings.locate or path != "direct" or settings.mode == "quiet":
            return None
        if self._locating is None:
            per_arm = max(THIN_PER_ARM, self._link.sizing(limited.FASTER).per_arm)
            self._locating = Locating(self._trials, path, self._grant, self._random, per_arm)
        planned = self._locating.next(number, first_exchange)
        return None if planned is None else Wanted(planned, None, LOCATE)

    def take(self, finished: Round | None, lane: str) -> None:
        """The round that `next` gave is over; None where it never began."""
        if lane == LOCATE and self._locating is not None:
            self._locating.take(finished)
        elif lane == SLOT and self._penalties is not None:
            self._penalties.take(finished)

    @property
    def locating(self) -> list[Round]:
        return self._locating.rounds if self._locating else []

    @property
    def located(self) -> list[Located]:
        return self._locating.found if self._locating else []
