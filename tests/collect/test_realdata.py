"""Real files that nobody here made: OONI's samples against the list written beforehand, Kenya 2023, Russia 2021."""

import tomllib
from collections import Counter
from pathlib import Path

import pytest

from ringback.collect.importing import Kept, Refused, Tally, read
from ringback.record import Observation
from tests.conftest import ROOT

pytestmark = pytest.mark.realdata

EXPECTED = tomllib.loads((ROOT / "tests" / "collect" / "ooni_expectations.toml").read_text())


@pytest.mark.parametrize("name", EXPECTED["imported"])
def test_a_sample_is_imported_as_was_foreseen(realdata: Path, name: str) -> None:
    found = list(read("ooni", realdata / "ooni" / name))
    kept = [one for one in found if isinstance(one, Kept)]
    assert kept == found
    assert {o.function: o.status for one in kept for o in one.observations} == EXPECTED["imported"][name]


@pytest.mark.parametrize("name", EXPECTED["refused"])
def test_a_sample_is_refused_for_the_reason_that_was_foreseen(realdata: Path, name: str) -> None:
    found = list(read("ooni", realdata / "ooni" / name))
    assert {one.reason if isinstance(one, Refused) else "kept" for one in found} == {EXPECTED["refused"][name]}


def test_the_list_names_every_sample(realdata: Path) -> None:
    files = {f"{path.parent.name}/{path.name}" for path in (realdata / "ooni").glob("*/*")}
    assert files == EXPECTED["imported"].keys() | EXPECTED["refused"].keys()


@pytest.fixture(scope="module")
def kenya(realdata: Path) -> tuple[Tally, list[Observation]]:
    tally = Tally()
    return tally, list(tally.over(read("ooni", realdata / "kenya-telegram-2023" / "2023-KE-telegram.csv.gz")))


def test_kenyas_rows_become_measurements(kenya: tuple[Tally, list[Observation]]) -> None:
    tally, found = kenya
    assert (tally.read, tally.measurements, tally.refused) == (125_441, 2344, {"duplicate-row": 63_385})
    assert len({one.asn for one in found}) == 26
    assert Counter(one.function for one in found) == {"text": 2344, "web": 2344}


def test_kenyas_accused_measurements_lie_where_the_event_was(kenya: tuple[Tally, list[Observation]]) -> None:
    _, found = kenya
    accused = [one for one in found if one.function == "text" and one.status == "restricted"]
    networks = Counter(one.asn for one in accused)
    assert networks.keys() <= {33771, 37061, 12455, 36926} | {one.asn for one in accused if 8 <= one.time.day <= 24}
    assert networks[33771] >= 90
    assert networks[37061] >= 45
    assert all((11, 8) <= (one.time.month, one.time.day) <= (11, 26) for one in accused)


def test_russias_speeds_show_the_throttling_by_network(realdata: Path) -> None:
    tally = Tally()
    files = sorted((realdata / "throttling" / "2021-03").glob("*.csv"))
    found = [one for file in files for one in tally.over(read("throttling-csv", file))]
    assert (tally.read, tally.refused) == (30_471, {"no-speeds": 1})
    assert len({one.id for one in found}) == len(found)

    def share(chosen: list[Observation]) -> float:
        return sum(one.failed or 0 for one in chosen) / sum(one.attempted or 0 for one in chosen)

    assert share([one for one in found if one.region == "RU"]) == pytest.approx(0.35, abs=0.005)
    assert share([one for one in found if one.region != "RU"]) == pytest.approx(0.02, abs=0.005)
    for asn, told in ((31213, 0.99), (12958, 0.97), (25159, 0.93), (16345, 0.77), (12389, 0.35), (25513, 0.01)):
        assert share([one for one in found if one.asn == asn]) == pytest.approx(told, abs=0.011)
