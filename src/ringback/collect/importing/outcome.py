"""What reading gives, record by record, and the count of it."""

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from ringback.record import Observation


class Kept(msgspec.Struct, frozen=True):
    """One measurement, become observations; none where the record only says something of others'.

    records: the records of the file (rows, lines) that it was made of.
    """

    observations: tuple[Observation, ...]
    records: int = 1


class Refused(msgspec.Struct, frozen=True):
    """Records that become nothing. reason: one token of `REASONS`. where: the first one's place in its file."""

    reason: str
    where: str
    records: int = 1


Read = Kept | Refused

REASONS = (
    "not-json",
    "not-csv",
    "damaged-packing",
    "too-large",
    "too-deep",
    "not-an-object",
    "bad-shape",
    "no-test-name",
    "other-test",
    "no-test-keys",
    "nothing-tried",
    "no-time",
    "no-measurement",
    "duplicate-row",
    "no-speeds",
    "other-schema",
)
"""Why a record is refused: tokens, each with its words in both languages under `refused`."""


class Tally(msgspec.Struct):
    """read = kept + refused, in records. measurements became observations; of those `new` were not in the store."""

    read: int = 0
    kept: int = 0
    measurements: int = 0
    observations: int = 0
    new: int = 0
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    first: dict[str, str] = {}

    @property
    def doubled(self) -> int:
        """Observations that the store had already."""
        return self.observations - self.new

    def over(self, outcomes: Iterable[Read]) -> Iterator[Observation]:
        """Hands on what was kept, and counts everything."""
        for outcome in outcomes:
            self.read += outcome.records
            if isinstance(outcome, Refused):
                self.refused[outcome.reason] += outcome.records
                self.first.setdefault(outcome.reason, outcome.where)
            else:
                self.kept += outcome.records
                self.measurements += bool(outcome.observations)
                self.observations += len(outcome.observations)
                yield from outcome.observations
