"""Tables: rows of one OONI measurement put back together, and speed tests beside their control."""

import csv
import gzip
import io
from collections.abc import Mapping
from pathlib import Path

import pytest

from ringback.collect.importing import Tally, read
from ringback.record import Observation
from tests.collect.records import CENTRES, TIMED_OUT

COMMON = {
    "report_id": "20231108T114600Z_telegram_KE_33771_n1_abc",
    "input": "",
    "test_name": "telegram",
    "test_version": "0.3.1",
    "measurement_uid": "m1",
    "probe_cc": "KE",
    "probe_asn": "33771",
    "network_type": "mobile",
    "measurement_start_time": "2023-11-08 11:46:00+00:00",
}
RESULTS = (
    *("hostname", "ip", "port", "dns_engine", "dns_failure", "dns_answer"),
    *("tcp_success", "tcp_failure", "http_request_url", "http_failure"),
)


def table(rows: list[Mapping[str, str]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, [*COMMON, *RESULTS], restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def connect(address: str, port: int, **more: str) -> dict[str, str]:
    return {**COMMON, "ip": address, "port": f"{port}.0", "tcp_success": "1.0", **more}


def post(address: str, port: int, failure: str = "", **more: str) -> dict[str, str]:
    return {**COMMON, "http_request_url": f"http://{address}:{port}/", "http_failure": failure, **more}


def imported(tmp_path: Path, data: bytes, kind: str = "ooni") -> tuple[Tally, list[Observation]]:
    (tmp_path / "f.csv.gz").write_bytes(gzip.compress(data))
    tally = Tally()
    return tally, list(tally.over(read(kind, tmp_path / "f.csv.gz")))


def test_rows_of_one_measurement_are_one_observation_and_doubles_are_dropped(tmp_path: Path) -> None:
    rows = [connect(address, 80) for address in CENTRES] + [post(address, 80) for address in CENTRES]
    tally, (text,) = imported(tmp_path, table(rows + rows[:5]))
    assert (tally.read, tally.kept, tally.measurements, tally.refused) == (17, 12, 1, {"duplicate-row": 5})
    assert (text.status, text.attempted, text.failed, text.asn, text.network_kind) == ("working", 6, 0, 33771, "mobile")


def test_a_post_without_a_connection_was_never_tried(tmp_path: Path) -> None:
    rows = [connect(address, 80) for address in CENTRES[:3]] + [post(address, 80, TIMED_OUT) for address in CENTRES]
    _, (text,) = imported(tmp_path, table(rows))
    assert (text.status, text.attempted, text.failed, text.mechanism) == ("restricted", 3, 3, "drop")


def test_measurements_may_be_mixed_and_each_keeps_its_own(tmp_path: Path) -> None:
    pairs = [
        row
        for address in CENTRES
        for uid, failure in (("m1", ""), ("m2", TIMED_OUT))
        for row in (connect(address, 80, measurement_uid=uid), post(address, 80, failure, measurement_uid=uid))
    ]
    tally, found = imported(tmp_path, table(pairs))
    assert tally.measurements == 2
    assert [one.failed for one in found] == [0, 6]


def test_the_web_client_is_an_observation_of_its_own(tmp_path: Path) -> None:
    web = {**COMMON, "http_request_url": "https://web.telegram.org/", "http_failure": "connection_reset"}
    rows = [connect(CENTRES[0], 80), post(CENTRES[0], 80), web]
    _, found = imported(tmp_path, table(rows))
    assert {one.function: one.status for one in found} == {"text": "working", "web": "restricted"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({**COMMON, "measurement_uid": "", "report_id": ""}, "no-measurement"),
        ({**COMMON, "measurement_start_time": "never"}, "no-time"),
        ({**COMMON, "test_name": "tor"}, "other-test"),
        ({**COMMON, "test_name": ""}, "no-test-name"),
        (COMMON, "nothing-tried"),
    ],
)
def test_a_row_that_says_nothing_is_refused(tmp_path: Path, row: Mapping[str, str], reason: str) -> None:
    tally, found = imported(tmp_path, table([row]))
    assert (found, tally.refused) == ([], {reason: 1})


@pytest.mark.parametrize("data", [b"test_name,b\n1,2\n", b'test_name,"' + b"x" * 2_000_000 + b'"\n1\n'])
def test_another_table_is_refused(tmp_path: Path, data: bytes) -> None:
    tally, found = imported(tmp_path, data)
    assert found == []
    assert set(tally.refused) == {"not-csv"}


SPEEDS = "datetime_rounded,anonymized_ip,subnet,asn,as_country,version,test_result,control_result,control_taco_result\n"


def speeds(*rows: str) -> bytes:
    return (
        SPEEDS + "".join(f"2021-03-13 00:00:00 UTC,192.0.2.0,192.0.2.0/24,64500,RU,4,{row}\n" for row in rows)
    ).encode()


@pytest.mark.parametrize(
    ("row", "status"),
    [
        ("104.36,3787.88,3517.0", "restricted"),
        ("399.9,800,", "restricted"),
        ("400,900,", "working"),  # not below 400
        ("250,500,", "working"),  # not below half of the control
        ("249.9,500,", "restricted"),
        ("10,399.9,", "insufficient"),  # a slow line
        ("10,400,", "restricted"),
    ],
)
def test_throttled_is_slow_beside_a_fast_control(tmp_path: Path, row: str, status: str) -> None:
    _, (one,) = imported(tmp_path, speeds(row), "throttling-csv")
    assert one.status == status
    assert (one.attempted, one.failed) == (int(status != "insufficient"), int(status == "restricted"))
    assert (one.source, one.app, one.function, one.asn, one.region) == ("throttling", "twitter", "media", 64500, "RU")
    assert (one.test_kbps, one.control_kbps) == tuple(map(float, row.split(",")[:2]))


def test_the_net_is_the_cluster_and_stays_behind(tmp_path: Path) -> None:
    _, (one, other) = imported(tmp_path, speeds("100,900,", "200,900,"), "throttling-csv")
    assert one.cluster is not None
    assert one.cluster == other.cluster
    assert "192.0.2" not in repr(one)


def test_two_tests_in_the_same_five_minutes_are_two(tmp_path: Path) -> None:
    data = speeds("100,900,", "100,900,")
    first = imported(tmp_path, data, "throttling-csv")[1]
    assert len({one.id for one in first}) == 2
    assert imported(tmp_path, data, "throttling-csv")[1] == first


@pytest.mark.parametrize("row", ["100,-5,", "x,900,", ",900,", "nan,900,", "inf,900,"])
def test_speeds_that_can_not_be_are_refused(tmp_path: Path, row: str) -> None:
    tally, found = imported(tmp_path, speeds(row), "throttling-csv")
    assert (found, tally.refused) == ([], {"no-speeds": 1})
