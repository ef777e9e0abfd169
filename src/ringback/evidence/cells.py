"""What evidence is folded from: tallies of verdicts a cell, and single graded measurements in time.

A store hands these over; nothing here knows where they came from. Times are seconds since 1970 UTC, as float.
"""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HOUR = 3600.0
DAY = 24 * HOUR
WEEK = 7 * DAY

LEAST_SOURCES = 3  # fewer independent ones say nothing of a network's customers, whatever they met


@dataclass(frozen=True, order=True)
class Key:
    """Whose history it is: one app's function on one path of one network, and of one site where `target` names the host
    that was tested. asn and region may be unknown."""

    app: str
    function: str
    asn: int | None = None
    region: str | None = None
    path: str = "direct"
    target: str | None = None

    @property
    def country(self) -> str | None:
        """ISO 3166-1 alpha-2: that of the region, which is ISO 3166-2 or a country. None where it is unknown."""
        return self.region[:2] if self.region else None


@dataclass(frozen=True)
class Graded:
    """One measurement: of `attempted` endpoints or tries, `failed` failed.

    An endpoint that was never tried is not attempted; with attempted == 0 the measurement is `insufficient` and says
    nothing. A verdict is one try: attempted 1, failed 1 when it is `restricted`. cluster: what may share a fault or an
    author (a participant's pseudonym, a net, a report). instrument: all that may change the result without the network
    having changed: rule set, probe version, reference list, in one word.
    """

    at: float
    cluster: str
    attempted: int
    failed: int
    instrument: str = ""

    @property
    def score(self) -> float:
        """Share that failed, 0..1; 0 where nothing was attempted."""
        return self.failed / self.attempted if self.attempted else 0.0


@dataclass(frozen=True)
class Column:
    """A history as index-aligned arrays, each row a `Graded`. cluster: numbers that rise with the clusters' names;
    instrument: places in `instruments`."""

    at: NDArray[np.float64]
    cluster: NDArray[np.int64]
    attempted: NDArray[np.int64]
    failed: NDArray[np.int64]
    instrument: NDArray[np.int64]
    instruments: tuple[str, ...]


@dataclass(frozen=True)
class Count:
    """The verdicts of one cell, by cluster.

    key: whatever the caller groups by. clusters: one (restricted, usable) a participant, usable = decided at all
    (`working` or `restricted`). insufficient: reports that decided nothing; missing, never green. doubtful: those of
    them in which tries failed. participants: the largest number of distinct pseudonyms on any one day (0 for imports);
    visits: pseudonyms over all days, each day's anew. pool: cells of one pool lean on each other.
    """

    key: Hashable
    clusters: tuple[tuple[float, float], ...]
    insufficient: int = 0
    participants: int = 0
    visits: int = 0
    pool: Hashable = None
    doubtful: int = 0

    @property
    def restricted(self) -> float:
        return sum(restricted for restricted, _ in self.clusters)

    @property
    def usable(self) -> float:
        return sum(usable for _, usable in self.clusters)

    @property
    def sources(self) -> int:
        """How many are known to be independent: the people of the busiest day, as pseudonyms of other days may be the
        same ones, and every cluster of an import."""
        imported = max(len(self.clusters) - self.visits, 0)
        return min(len(self.clusters), self.participants + imported)

    @property
    def enough(self) -> bool:
        """May a share be told? With fewer sources it would be one tester's story."""
        return self.sources >= LEAST_SOURCES

    @property
    def missing(self) -> float:
        """Part 0..1 of the decided and the doubtful that is doubtful."""
        return self.doubtful / (self.usable + self.doubtful) if self.doubtful else 0.0

    def of_all(self, interval: tuple[float, float]) -> tuple[float, float]:
        """An interval of the share of what was decided, widened to that of the doubtful as well: none of them
        restricted, to all (the worst case of missing data; Manski 2003, "Partial Identification").

        What is restricted is more often left undecided: a test of one try, say, that time-outs alone never accuse.
        """
        if not self.doubtful:
            return interval
        low, high = interval
        return (1 - self.missing) * low, (1 - self.missing) * high + self.missing

    @property
    def known(self) -> float:
        """How much of the clusters is known to be different people, 0..1.

        A pseudonym lives one day, so the same people may stand behind each day's: sure are only those of the busiest
        day. Clusters that last (a probe, a net) are told apart as they are.
        """
        lasting = max(len(self.clusters) - self.visits, 0)
        return (lasting + min(self.participants, self.visits)) / (lasting + self.visits) if self.visits else 1.0
