"""A country file: what it must hold, what is refused, and that the recorded sessions are what the engine does now."""

from collections import Counter

import pytest

from ringback.errors import BadInput
from ringback.lab import nation, recordings

DAY = 86_400.0
SMALL = """
name = "small"
country = "RU"
from = "2025-08-10T00:00:00Z"
until = "2025-08-13T00:00:00Z"

[rule.cut]
hop = 1
match = { app = "whatsapp", function = "voice" }
trigger = "payload"
action = { kind = "drop" }
from = "2025-08-11T00:00:00Z"

[[network]]
name = "one"
asn = 64500
region = "RU-MOW"
participants = 4
rules = ["cut"]
share = 0.5
"""


def test_the_shipped_country_is_as_wide_as_it_says() -> None:
    country = nation.load("ru-2025-08")
    assert len({one.region for one in country.providers}) >= 30
    assert len(country.providers) >= 60
    documentation = {*range(64496, 64512), *range(65536, 65552), *range(64512, 65535)}
    assert {one.asn for one in country.providers} <= documentation
    begins = {rule.since for one in country.providers for rule in one.rules if rule.match.function == "voice"}
    assert all(since is not None and since // DAY == 1754870400 // DAY for since in begins), "11 August 2025"
    people = Counter({one.region: 0 for one in country.providers})
    for one in country.providers:
        people[one.region] += one.participants
    assert people.most_common(1)[0][0] == "RU-MOW"
    assert not any(rule.match.app == "max" for one in country.providers for rule in one.rules)


def test_every_situation_of_the_shipped_country_is_recorded() -> None:
    known = recordings.shipped()
    assert not known.missing(nation.load("ru-2025-08"))
    assert all(len(sessions) >= 3 for sessions in known.by.values())


def test_a_device_stands_before_the_same_part_of_a_network_and_from_its_day_on() -> None:
    country = nation.parse(SMALL, "small.toml")
    met = {(visit.participant, visit.at // DAY): bool(visit.situation.rules) for visit in nation.visits(country)}
    first = country.since // DAY
    assert not any(acting for (_, day), acting in met.items() if day == first)
    behind = {who for (who, _), acting in met.items() if acting}
    assert len(behind) == 2
    assert all(acting == (who in behind) for (who, day), acting in met.items() if day > first)


def test_reports_say_nothing_of_the_truth_and_a_pseudonym_lives_for_a_day() -> None:
    country = nation.load("ru-2025-08")
    reports = []
    for report in recordings.reports(country, recordings.shipped()):
        reports.append(report)
        if len(reports) == 1000:
            break
    days: dict[str, set[str]] = {}
    for report in reports:
        assert report.pseudonym is not None
        days.setdefault(report.pseudonym, set()).add(report.created_at[:10])
        assert not any(hasattr(one.truth, "status") for one in report.measurements)
        assert all(one.network == "home" for one in report.measurements)
    assert all(len(seen) == 1 for seen in days.values())
    assert len({report.id for report in reports}) == len(reports)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('rules = ["cut"]', 'rules = ["cutt"]', "did you mean `cut`"),
        ("share = 0.5", "share = 1.5", "at most 1"),
        ("participants = 4", "people = 4", "unknown key"),
        ('until = "2025-08-13T00:00:00Z"', 'until = "2025-08-09T00:00:00Z"', "not after `from`"),
        ('region = "RU-MOW"', 'region = "Moscow"', "ISO 3166-2"),
        ('name = "small"', 'name = "../../small"', "`name`"),
        ('name = "small"', 'name = ".."', "`name`"),
        ('country = "RU"', 'country = "XQ"', "ISO 3166-1"),
        ('country = "RU"', 'country = "../../etc"', "ISO 3166-1"),
        ('region = "RU-MOW"', 'region = "US-CA"', "not in the country RU"),
        ('until = "2025-08-13T00:00:00Z"', 'until = "2095-08-13T00:00:00Z"', "more than a year"),
        ("hop = 1", 'until = "2095-08-13T00:00:00Z"\nhop = 1', "more than a year"),
        ("hop = 1", "share = 0.5\nhop = 1", "a country's rule has no `share`"),
        ("share = 0.5", '[[network]]\nname = "one"\nasn = 64501\nregion = "RU-SPE"', "a second network `one`"),
        ("participants = 4", "sessions = 25", "at most 24"),
        ('name = "small"', 'name = "/tmp/small"', "`name`"),
        ('action = { kind = "drop" }', 'action = { kind = "loss" }', "lacks its number"),
    ],
)
def test_what_can_not_be_meant_is_refused_with_its_line(old: str, new: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        nation.parse(SMALL.replace(old, new), "small.toml")
    assert said in refused.value.what
    assert (refused.value.where or "").startswith("small.toml:")


def test_who_measures_several_times_a_day_is_one_person_of_that_day() -> None:
    country = nation.parse(SMALL.replace("share = 0.5", "sessions = 2.5"), "small.toml")
    visits = list(nation.visits(country))
    a_day = Counter((visit.participant, visit.at // DAY) for visit in visits)
    assert set(a_day.values()) == {2, 3}
    assert len({visit.at for visit in visits}) == len(visits)
    some = next(iter(recordings.shipped().by.values()))
    known = recordings.Recordings(dict.fromkeys(nation.situations(country), some))
    assert len({report.pseudonym for report in recordings.reports(country, known)}) == len(a_day)


def test_every_assigned_code_is_a_country() -> None:
    assert len(nation.COUNTRIES) == 249
    assert {"RU", "KE", "US", "GB", "DE", "IR", "CN", "TM", "UZ", "ZW"} <= nation.COUNTRIES
    assert not {"UK", "EU", "SU", "ZZ", "XX", "AA"} & nation.COUNTRIES


def test_what_is_published_is_a_fresh_session_that_meets_the_networks_rules() -> None:
    reports = list(recordings.opened(nation.load("ru-2025-08")))
    assert len(reports) == 3
    for report in reports:
        assert report.open
        assert report.rounds
        assert {one.verdict.status for one in report.measurements} == {"restricted"}


@pytest.mark.slow
def test_a_fresh_session_of_the_engine_is_like_the_recorded_ones() -> None:
    """The recorded sessions are the engine's: one of a new seed agrees with them in what it decides."""
    known = recordings.shipped()
    country = nation.load("ru-2025-08")
    met = next(one for one in nation.situations(country).values() if one.rules and not one.silent)
    fresh = recordings.session(met, 77)
    for cell in fresh.measurements:
        statuses = {
            one.verdict.status
            for session in known.by[met.key]
            for one in session.measurements
            if (one.app, one.function, one.direction, one.path) == (cell.app, cell.function, cell.direction, cell.path)
        }
        assert cell.verdict.status in statuses | {"insufficient"}, cell.id
