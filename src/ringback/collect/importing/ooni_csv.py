"""OONI observations in CSV (OONI data, as published): several rows a measurement, one for each endpoint's DNS,
TCP and TLS, and one for each HTTP request.

Rows are put back together by measurement and counted as the measurement itself would be. Exact duplicates of rows are
dropped. An endpoint without a TCP row was never tried, whatever its HTTP row says (the probe stops at 60 s).
"""

import csv
import io
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import IO

from ringback.collect.importing import ooni, scrubbing
from ringback.collect.importing.files import DAMAGE
from ringback.collect.importing.ooni_shapes import (
    Answer,
    Answered,
    Asked,
    Query,
    Request,
    Tcp,
    TcpStatus,
    TestKeys,
)
from ringback.collect.importing.outcome import Kept, Read, Refused
from ringback.record import Observation

FIRST = b"report_id"
"""What a file begins with: its first column, or `measurement_uid`."""
NEEDED = frozenset({"test_name", "measurement_start_time", "probe_asn", "http_request_url", "http_failure"})
FIELD = 1 << 20  # characters of one field


class _Gathered:
    """Rows of one measurement. Everything but its results is the first row's."""

    def __init__(self, row: dict[str, str], where: str) -> None:
        self.row, self.where = row, where
        self.rows = 0
        self.keys = TestKeys(queries=[], tcp_connect=[], requests=[], failure=None)

    def add(self, row: dict[str, str]) -> None:
        self.rows += 1
        if row.get("http_request_url"):
            asked = Asked(url=row["http_request_url"])
            self._list("requests").append(Request(row.get("http_failure") or None, asked, Answered()))
        elif row.get("tcp_success") or row.get("tcp_failure"):
            status = TcpStatus(row.get("tcp_failure") or None, row.get("tcp_success") in _TRUE)
            self._list("tcp_connect").append(Tcp(row.get("ip"), row.get("port"), status))
        if row.get("dns_engine") or row.get("dns_failure") or row.get("dns_answer"):
            answers: list[Answer | None] = [Answer(ipv4=row["dns_answer"])] if row.get("dns_answer") else []
            self._list("queries").append(Query(row.get("dns_failure") or None, row.get("hostname"), answers))

    def _list(self, name: str) -> "list[object]":
        found: list[object] = getattr(self.keys, name)
        return found

    def read(self) -> Read:
        row = self.row
        name = row.get("test_name", "")
        if name not in ooni.TESTS:
            return Refused("other-test" if name else "no-test-name", self.where, self.rows)
        time = scrubbing.time(row.get("measurement_start_time"))
        if time is None:
            return Refused("no-time", self.where, self.rows)
        base = ooni.base(
            time=time,
            report=row.get("report_id"),
            url=row.get("input") or None,
            asn=row.get("probe_asn"),
            country=row.get("probe_cc"),
            network_type=row.get("network_type"),
            probe=row.get("probe_id"),
            version=row.get("test_version"),
            software=None,
        )
        observations = self._observations(base, name)
        return Kept(observations, self.rows) if observations else Refused("nothing-tried", self.where, self.rows)

    def _observations(self, base: Observation, name: str) -> tuple[Observation, ...]:
        app, count = ooni.TESTS[name]
        tested = ((one, one.tries.counts()) for one in count(self.keys))
        return tuple(ooni.observation(base, app, one, n) for one, n in tested if n.attempted or n.unclear)


_TRUE = frozenset({"1", "1.0", "true", "True", "t"})


def read(stream: IO[bytes], file: Path) -> Iterator[Read]:
    """Every measurement of a file, in order of its first row, after what was refused. Memory grows with the file."""
    table = csv.DictReader(_text(stream), strict=False)
    seen: set[bytes] = set()
    gathered: dict[str, _Gathered] = {}
    csv.field_size_limit(FIELD)
    try:
        if not set(table.fieldnames or []) >= NEEDED:
            yield Refused("not-csv", f"{file}:1")
            return
        for row in table:
            where = f"{file}:{table.line_num}"
            key = row.get("measurement_uid") or row.get("report_id")
            mark = blake2b("\x1f".join(map(str, row.values())).encode("utf-8", "replace"), digest_size=16).digest()
            if mark in seen:
                yield Refused("duplicate-row", where)
            elif not key:
                yield Refused("no-measurement", where)
            else:
                seen.add(mark)
                if key not in gathered:
                    gathered[key] = _Gathered(row, where)
                gathered[key].add(row)
    except csv.Error:
        yield Refused("not-csv", f"{file}:{table.line_num}")
    except DAMAGE:
        yield Refused("damaged-packing", f"{file}:{table.line_num}")
    for measurement in gathered.values():
        yield measurement.read()


def _text(stream: IO[bytes]) -> Iterator[str]:
    for line in io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline=""):
        yield line.replace("\0", "\ufffd")
