"""Kenya 2023 and Russia 2021: reported, never tuned on."""

from pathlib import Path

import pytest

from ringback.evidence.cells import DAY, HOUR, Key
from ringback.evidence.events import History, events
from ringback.evidence.shares import quantile, share
from tests.evidence import kenya, march

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def found(realdata: Path) -> dict[Key, History]:
    return events(kenya.kenya(realdata))


@pytest.fixture(scope="module")
def by_asn(found: dict[Key, History]) -> dict[int | None, History]:
    return {key.asn: history for key, history in found.items()}


def test_duplicates_are_dropped_and_endpoints_never_tried_do_not_count(realdata: Path) -> None:
    histories = kenya.kenya(realdata)
    measurements = [one for own in histories.values() for one in own]
    assert len(measurements) == 2344
    assert len(histories) == 26
    assert min(one.attempted for one in measurements) < 12


@pytest.mark.parametrize("asn", [33771, 37061, 12455])
def test_one_event_with_its_onset_and_end(by_asn: dict[int | None, History], asn: int) -> None:
    (event,) = by_asn[asn].events
    truth = kenya.TRUTH[asn]
    assert event.kind == "event"
    assert event.onset is not None
    assert event.end is not None
    assert truth.onset[0] - 3 * HOUR <= event.onset <= truth.onset[1] + 3 * HOUR
    assert truth.end[0] - DAY <= event.end <= truth.end[1] + DAY
    assert (event.schedule is not None) == truth.windows
    if event.schedule is not None:
        assert event.schedule.days == "weekdays"


def test_the_weak_one_is_at_least_a_suspicion(by_asn: dict[int | None, History]) -> None:
    assert by_asn[36926].status in {"event", "suspicion"}


def test_no_other_network_has_one_and_none_begins_before(by_asn: dict[int | None, History]) -> None:
    for asn, history in by_asn.items():
        if asn not in kenya.TRUTH:
            assert history.events == ()
            assert history.status in {"quiet", "insufficient"}
        assert all(event.windows[0][0] >= kenya.at(8, "00:00") for event in history.events)
    assert by_asn[328475].status == by_asn[329014].status == "insufficient"


@pytest.fixture(scope="module")
def tests(realdata: Path) -> list[march.Test]:
    return list(march.march(realdata))


@pytest.mark.parametrize("asn", march.SHARES)
def test_shares_of_throttled_tests_are_covered(tests: list[march.Test], asn: int) -> None:
    own = [test for test in tests if test.asn == asn and test.usable]
    found = share([test.throttled for test in own], [test.net for test in own])
    assert found.interval[0] - 0.005 <= march.SHARES[asn] <= found.interval[1] + 0.005  # given to two digits
    assert found.interval[1] - found.interval[0] < 0.25


@pytest.mark.parametrize("asn", march.CLEAR)
def test_networks_that_did_not_throttle_are_low(tests: list[march.Test], asn: int) -> None:
    own = [test for test in tests if test.asn == asn and test.usable]
    assert share([test.throttled for test in own], [test.net for test in own]).interval[1] < 0.05


def test_one_net_that_is_half_of_all_tests_leaves_a_wide_interval(tests: list[march.Test]) -> None:
    own = [test for test in tests if test.asn == 12768 and test.usable]
    low, high = share([test.throttled for test in own], [test.net for test in own]).interval
    assert high - low > 0.35


def test_throttled_goodput(tests: list[march.Test]) -> None:
    own = [test for test in tests if test.country == "RU" and test.throttled]
    median = quantile([test.test for test in own], [test.net for test in own], 0.5)
    assert median.interval[0] <= 109 <= median.interval[1]
    assert median.interval[1] - median.interval[0] < 5


def test_what_was_under_way_gets_no_onset_and_one_network_changes(tests: list[march.Test]) -> None:
    found = events(march.histories(tests))
    seen = [event for history in found.values() for event in history.events]
    assert {event.key.asn for event in seen} >= set(march.SHARES)
    assert [event for event in seen if event.onset is not None] == []
    assert {event.key.asn for event in seen if event.end is not None} == {march.CHANGES}
    assert all(found[Key("twitter", "media", asn, "RU")].events == () for asn in march.CLEAR)
