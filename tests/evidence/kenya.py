"""Kenya, October and November 2023: OONI's Telegram observations as graded measurements, and the truth beside them.

For reporting alone. The detector and its numbers come from `worlds`; nothing here may feed back into them.
"""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ringback.evidence.cells import Graded, Key

PATH = "kenya-telegram-2023/2023-KE-telegram.csv.gz"
CENTRES = ("http://149.154.", "http://95.161.")  # data-centre POSTs; the web client is another host


@dataclass
class _Seen:
    row: dict[str, str]
    tried: set[tuple[str, str]]  # (ip, port) with a TCP row: really attempted
    asked: dict[tuple[str, str], bool]  # POST by (ip, port): whether it failed


def _rows(data: Path) -> Iterator[dict[str, str]]:
    with gzip.open(data / PATH, "rt", newline="") as file:
        yield from csv.DictReader(file)


def kenya(data: Path) -> dict[Key, list[Graded]]:
    """Duplicates dropped; an endpoint counts as attempted only where a connection was tried."""
    seen: dict[str, _Seen] = {}
    for row in _rows(data):
        one = seen.setdefault(row["measurement_uid"], _Seen(row, set(), {}))
        endpoint = (row["ip"], row["port"].removesuffix(".0"))
        if row["http_request_url"].startswith(CENTRES):
            host = row["http_request_url"].removeprefix("http://").strip("/")
            ip, _, port = host.partition(":")
            endpoint = (ip, port or "80")
            one.asked[endpoint] = one.asked.get(endpoint, False) or bool(row["http_failure"])
        elif row["tcp_success"]:
            one.tried.add(endpoint)
    histories: dict[Key, list[Graded]] = {}
    for one in seen.values():
        at = datetime.fromisoformat(one.row["measurement_start_time"]).astimezone(UTC).timestamp()
        attempted = [failed for endpoint, failed in one.asked.items() if endpoint in one.tried]
        key = Key("telegram", "text", int(one.row["probe_asn"]), "KE")
        graded = Graded(at, one.row["report_id"], len(attempted), sum(attempted), one.row["test_version"])
        histories.setdefault(key, []).append(graded)
    return histories


def at(day: int, clock: str, month: int = 11) -> float:
    hour, minute = map(int, clock.split(":"))
    return datetime(2023, month, day, hour, minute, tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class Truth:
    onset: tuple[float, float]
    end: tuple[float, float]
    windows: bool


TRUTH = {
    33771: Truth((at(8, "10:46"), at(8, "11:59")), (at(24, "11:33"), at(24, "16:25")), True),
    37061: Truth((at(8, "10:09"), at(8, "11:45")), (at(24, "12:38"), at(25, "12:45")), True),
    12455: Truth((at(8, "07:35"), at(9, "19:36")), (at(24, "18:45"), at(26, "11:41")), False),
    36926: Truth((at(8, "14:25"), at(9, "06:31")), (at(24, "07:45"), at(28, "13:35")), True),
}
QUIET = (30844, 36866, 15399)
