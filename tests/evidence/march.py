"""Russia, March 2021: speed tests of Twitter's host against a control, as graded measurements.

Source: "Russia Twitter Throttle Dataset" by Andrey Viktorov and Leonid Evdokimov (CC BY 4.0).
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ringback.evidence.cells import Graded, Key

FOLDER = "throttling/2021-03"
ENOUGH_KBPS = 400.0  # a control slower than this says nothing about the test


@dataclass(frozen=True)
class Test:
    """One speed test. at: seconds UTC (rounded down to 5 minutes at the source); net: who tested; kbit/s."""

    at: float
    net: str
    asn: int
    country: str
    version: str
    test: float
    control: float

    @property
    def usable(self) -> bool:
        return self.control >= ENOUGH_KBPS

    @property
    def throttled(self) -> bool:
        """The rule that the data's own description gives."""
        return self.usable and self.test < self.control / 2 and self.test < ENOUGH_KBPS


def march(data: Path) -> Iterator[Test]:
    for path in sorted((data / FOLDER).glob("*.csv")):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                try:
                    asn, test, control = int(row["asn"]), float(row["test_result"]), float(row["control_result"])
                except ValueError:  # no network, or a test that gave no number
                    continue
                at = datetime.fromisoformat(row["datetime_rounded"].removesuffix(" UTC")).replace(tzinfo=UTC)
                seconds = at.timestamp()
                yield Test(seconds, row["anonymized_ip"], asn, row["as_country"], row["version"], test, control)


def histories(tests: list[Test]) -> dict[Key, list[Graded]]:
    """Russia's networks; the version names the control's servers, so it is the instrument."""
    found: dict[Key, list[Graded]] = {}
    for test in tests:
        if test.country == "RU":
            key = Key("twitter", "media", test.asn, "RU")
            graded = Graded(test.at, test.net, int(test.usable), int(test.throttled), test.version)
            found.setdefault(key, []).append(graded)
    return found


SHARES = {31213: 0.99, 12958: 0.97, 25159: 0.93, 16345: 0.77, 8359: 0.69, 31133: 0.65, 12389: 0.35}
CLEAR = (25513, 42610, 8402, 3216, 35807, 12714)
CHANGES = 29497
