"""What reading gives, record by record, and the count of it."""

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from ringback.record import Observation


class Kept(msgspec.Struct, frozen=True):
    """One measurement, become observations; none where the record says something of others'. records: the records of the file (rows, lines) that it was made of."""

    observations: tuple[Observation, ...]
    records: int = 1


class Refused(msgspec.Struct, frozen=True):
    """Records that become nothing. reason: one token of `REASONS`. where: the first one's place in its file."""

    reason: str
    where: str
    records: int = 1


Read = Kept | Refused

REASONS = {
    "not-json": "no JSON",
    "not-csv": "no table with the columns that are needed",
    "damaged-packing": "what follows is damaged in its packing",
    "too-large": "longer than a record may be",
    "too-deep": "nested deeper than a record may be",
    "not-an-object": "JSON, but no object",
    "bad-shape": "a key that is needed holds another kind of value than it should",
    "no-test-name": "does not say which test it is of",
    "other-test": "of a test that says nothing about a messenger's functions or a site",
    "no-test-keys": "holds no results",
    "nothing-tried": "holds no try that was made",
    "no-time": "holds no time between 2000 and 2099",
    "no-measurement": "a row that names no measurement",
    "duplicate-row": "a row that is there before",
    "no-speeds": "holds no pair of possible speeds",
    "other-schema": "of a schema that is not known",
}
"""Why a record is refused, and what that says to people."""


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
