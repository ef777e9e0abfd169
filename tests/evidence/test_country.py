"""A country file's people measure, and the observatory says what the file makes true; other files, other answers.

The whole of it is `tests/evidence/country_run.py`; here on fewer networks and days, and in full under `validate`.
"""

from pathlib import Path

import msgspec
import pytest

from ringback.evidence.cells import DAY
from ringback.lab.nation import Nation
from tests.evidence.country import EDITS, country, recorded
from tests.evidence.country_run import drawn, judged, others, quiet, run

SOME = {"RU-MOW", "RU-KDA", "RU-ROS", "RU-IRK"}
"""A capital, where a device stands before a part of a network, a mobile shutdown, and a slow network."""
SEEDS = range(11, 21)
DIFFERENT = {
    "as shipped": {"C02": "supported", "C03": "supported", "C05": "supported", "C12": "supported"},
    "two regions": {"C02": "supported", "C05": "contradicted", "C06": "contradicted"},
    "text cut as well": {"C01": "supported", "C02": "contradicted"},
    "VPN blocked too": {"C01": "supported", "C03": "contradicted", "C12": "contradicted"},
    "nothing restricted": {"C01": "contradicted", "C05": "contradicted", "C06": "contradicted"},
}
"""What sets the files apart, of all that is answered."""


def smaller(whole: Nation) -> Nation:
    some = tuple(one for one in whole.providers if one.region in SOME)
    return msgspec.structs.replace(whole, providers=some, since=whole.since + 4 * DAY, until=whole.until - 6 * DAY)


def test_every_situation_of_the_files_is_recorded() -> None:
    known = recorded()
    assert [name for name in EDITS if known.missing(country(name))] == [], "python -m tests.evidence.country"


def test_a_part_of_the_country_is_found_again_from_its_reports(tmp_path: Path) -> None:
    told = run("text cut as well", smaller(country("text cut as well")), recorded(), tmp_path / "lake")
    assert (told["missed"], told["false"], told["false_suspicions"]) == (0, 0, 0)
    assert told["allowed_h"]["most"] < 6  # type: ignore[index]
    # Fewer networks leave more untested, but nothing is answered otherwise than it is.
    assert {said for said, _ in told["claims_otherwise"].values()} <= {"untested"}  # type: ignore[attr-defined]
    assert DIFFERENT["text cut as well"].items() <= told["claims"].items()  # type: ignore[attr-defined]
    for kind, (covered, cells) in told["shares"].items():  # type: ignore[attr-defined]
        assert covered >= 0.93 * cells, kind


def test_false_verdicts_but_no_restriction_make_no_event() -> None:
    assert quiet(1, days=12)["events"] == 0


def test_intervals_cover_what_customers_meet_though_the_same_people_measure_every_day() -> None:
    shares = drawn(range(20))["shares"]
    assert shares["all"][0] >= 0.93  # type: ignore[index]
    assert shares["some"][0] >= 0.93  # type: ignore[index]


@pytest.mark.validate
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", EDITS)
def test_each_file_is_found_again_and_every_claim_answered_as_it_has_it(name: str, tmp_path: Path) -> None:
    told = run(name, country(name), recorded(), tmp_path / "lake")
    assert (told["missed"], told["false"], told["false_suspicions"]) == (0, 0, 0)
    assert told.get("allowed_h", {"most": 0.0})["most"] < 6  # type: ignore[index]
    assert told["claims_otherwise"] == {}
    assert DIFFERENT[name].items() <= told["claims"].items()  # type: ignore[attr-defined]


@pytest.mark.validate
@pytest.mark.timeout(1200)
def test_ten_quiet_months_have_one_false_event_at_most() -> None:
    assert sum(quiet(seed)["events"] for seed in SEEDS) <= 1  # type: ignore[misc]


@pytest.mark.validate
@pytest.mark.timeout(1200)
def test_other_people_find_the_same_events() -> None:
    for seed in SEEDS:
        told = others(seed)
        assert (told["false"], told["false_suspicions"]) == (0, 0)
        assert told["missed"] <= 1  # type: ignore[operator]
        assert told["allowed_h"]["most"] < 6  # type: ignore[index]


def test_only_calls_of_two_apps_are_ever_accused() -> None:
    found, facts = judged(smaller(country("as shipped")))
    assert {(event.key.app, event.key.function) for event in found} == {("whatsapp", "voice"), ("telegram", "voice")}
    assert {event.key for event in found} <= facts.onsets().keys()
    assert not {event.key.region for event in found} & {"RU-ROS", "RU-IRK"}
