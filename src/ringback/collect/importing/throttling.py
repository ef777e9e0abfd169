"""Speed tests in CSV: one host against a control, side by side, with the tester's network.

Format and data: Russia Twitter Throttle Dataset, Andrey Viktorov and Leonid Evdokimov, CC BY 4.0. An address there is
a net already (last octet of IPv4, last 80 bits of IPv6 gone); here it becomes a digest, the cluster.
"""

import csv
import io
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import IO

from ringback.collect.importing import scrubbing
from ringback.collect.importing.files import DAMAGE
from ringback.collect.importing.outcome import Kept, Read, Refused
from ringback.record import Observation, identified

RULES = "import-1"
CONTROL_KBPS = 400.0  # from there on the tester's own line is not what is slow
SHARE = 0.5  # of the control, below which the test is slow
APP, FUNCTION, TARGET = "twitter", "media", "abs.twimg.com"  # a CDN for pictures and scripts
NEEDED = frozenset({"datetime_rounded", "anonymized_ip", "asn", "test_result", "control_result"})


def read(stream: IO[bytes], file: Path) -> Iterator[Read]:
    """One observation a row. Rows that are equal in all columns are two tests all the same: times are rounded to five
    minutes. The n-th of them has the n in its key, so that reading a file again gives the same observations."""
    text = io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline="")
    table = csv.DictReader((line.replace("\0", "\ufffd") for line in text), strict=False)
    times: dict[str, int] = {}
    try:
        if not set(table.fieldnames or []) >= NEEDED:
            yield Refused("not-csv", f"{file}:1")
            return
        for row in table:
            written = sha256("\x1f".join(map(str, row.values())).encode("utf-8", "replace")).hexdigest()[:24]
            times[written] = times.get(written, 0) + 1
            yield _test(row, f"{written}.{times[written]}", f"{file}:{table.line_num}")
    except csv.Error:
        yield Refused("not-csv", f"{file}:{table.line_num}")
    except DAMAGE:
        yield Refused("damaged-packing", f"{file}:{table.line_num}")


def _test(row: dict[str, str], key: str, where: str) -> Read:
    time = scrubbing.time(row["datetime_rounded"])
    if time is None:
        return Refused("no-time", where)
    test, control = scrubbing.number(row["test_result"]), scrubbing.number(row["control_result"])
    if test is None or control is None:
        return Refused("no-speeds", where)
    fast = control >= CONTROL_KBPS
    slow = test < SHARE * control and test < CONTROL_KBPS
    version = scrubbing.token(row.get("version"))
    seen = Observation(
        source="throttling",
        measurement=key,
        time=time,
        app=APP,
        function=FUNCTION,
        target=TARGET,
        asn=scrubbing.asn(row["asn"]),
        region=scrubbing.country(row.get("as_country")),
        attempted=int(fast),
        failed=int(fast and slow),
        unclear=int(not fast),
        test_kbps=test,
        control_kbps=control,
        second_control_kbps=scrubbing.number(row.get("control_taco_result")),
        cluster=scrubbing.digest(row["anonymized_ip"], "net"),
        test_version=version,
        status="restricted" if fast and slow else "working" if fast else "insufficient",
        mechanism="unknown" if fast and slow else "none",
        reason="slow-beside-control" if fast and slow else None if fast else "slow-line",
        rules=RULES,
    )
    return Kept((identified(seen),))
