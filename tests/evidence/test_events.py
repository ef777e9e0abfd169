"""Onset, windows and end on simulated histories; what makes an event, and what never does."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Literal

import numpy as np
import pytest

from ringback.evidence.cells import DAY, HOUR, Graded, Key
from ringback.evidence.events import Event, History, events
from ringback.evidence.observed import histories
from ringback.record import Point
from tests.evidence.proof import PLAIN, TUNED, WATCHED, bans, companions, cusum, false_alarms, forged, ours
from tests.evidence.worlds import KINDS, NULLS, START, Ban, Noise, always, history, hours


def judged(ban: Ban | None, noise: Noise = PLAIN, rate: float = 30, seed: int = 5) -> tuple[History, list[Graded]]:
    rng = np.random.default_rng([TUNED + seed, 3])
    country = companions(rng) | {WATCHED: history(rng, rate, noise, ban)}
    return events(country)[WATCHED], country[WATCHED]


def only_event(found: History) -> Event:
    assert [event.kind for event in found.events] == ["event"]
    return found.events[0]


def test_an_unbroken_ban_is_one_event_with_its_onset_and_end() -> None:
    event = only_event(judged(Ban(20, 30, always))[0])
    assert event.onset is not None
    assert event.end is not None
    assert event.onset == pytest.approx(START + 20 * DAY, abs=6 * HOUR)
    assert event.end == pytest.approx(START + 30 * DAY, abs=6 * HOUR)
    assert event.onset_interval is not None
    assert event.onset_interval[0] < START + 20 * DAY <= event.onset_interval[1]
    assert event.schedule is None


def test_bans_by_weekday_mornings_are_one_event_with_windows() -> None:
    event = only_event(judged(Ban(14, 28, hours((4, 9), days=(0, 1, 2, 3, 4))), rate=60)[0])
    assert len(event.windows) >= 8
    assert event.schedule is not None
    assert event.schedule.days == "weekdays"
    assert {5, 6, 7} <= set(event.schedule.hours) <= {3, 4, 5, 6, 7, 8, 9}


def test_what_was_under_way_at_the_start_has_no_onset() -> None:
    event = only_event(judged(Ban(-1, 25, always))[0])
    assert event.onset is None
    assert event.onset_interval is None
    assert event.end is not None


def test_what_still_lasts_has_no_end() -> None:
    event = only_event(judged(Ban(30, 99, always))[0])
    assert event.onset is not None
    assert event.end is None


def test_a_new_probe_version_makes_no_event_by_itself() -> None:
    found, own = judged(None, Noise(upgrade=20))
    assert found.events == ()
    same = [replace(one, instrument="1") for one in own]  # the same scores, were they the network's doing
    rng = np.random.default_rng(3)
    assert events(companions(rng) | {WATCHED: same})[WATCHED].events


def test_a_version_that_only_one_network_runs_and_that_always_fails_makes_none_either() -> None:
    rng = np.random.default_rng(4)
    own = [
        replace(one, failed=one.attempted, instrument="new") if one.at > START + 20 * DAY else one
        for one in history(rng, 30)
    ]
    assert events(companions(rng) | {WATCHED: own})[WATCHED].events == ()


def test_a_collapse_of_reports_is_no_event_but_strengthens_one() -> None:
    assert judged(None, Noise(collapse=22))[0].events == ()
    event = only_event(judged(Ban(20, 32, always, silenced=0.85), rate=40)[0])
    assert event.volume.collapsed
    assert event.volume.seen < event.volume.usual / 3


def test_late_reports_complete_an_event_and_their_order_does_not_matter() -> None:
    rng = np.random.default_rng(6)
    others, own = companions(rng), history(rng, 30, Noise(), Ban(20, 30, always))
    in_time = [one for i, one in enumerate(own) if i % 3]
    early = events(others | {WATCHED: in_time})[WATCHED].events[0]
    late = events(others | {WATCHED: in_time + [one for i, one in enumerate(own) if not i % 3]})[WATCHED].events[0]
    assert late.n > early.n
    assert (late.onset, late.end) == pytest.approx((early.onset, early.end), abs=6 * HOUR)
    assert events(others | {WATCHED: own[::-1]})[WATCHED].events[0] == late


def test_few_measurements_are_insufficient_and_not_quiet() -> None:
    assert judged(None, rate=0.6)[0].status == "insufficient"
    assert judged(None, rate=30)[0].status == "quiet"


def test_two_sources_alone_raise_a_suspicion_at_most() -> None:
    found, _ = judged(Ban(20, 40, always), Noise(clusters=2))
    assert {event.kind for event in found.events} <= {"suspicion"}


def test_who_says_the_contrary_is_no_third_witness() -> None:
    """Two sources see a ban of ten days; when it has ended many others measure again."""
    days = [Graded(START + n * 6 * HOUR, f"s{n}", 12, 0, "1") for n in range(160)]
    told = [replace(one, cluster=str(n % 2), failed=12) if 80 <= n < 120 else one for n, one in enumerate(days)]
    found = events({WATCHED: told}, declared={"1": 0.01})[WATCHED].events
    assert [event.kind for event in found] == ["suspicion"]


def test_more_networks_watched_need_more_evidence_each() -> None:
    rng = np.random.default_rng(8)
    own = history(rng, 10, Noise(), Ban(20, 40, always))
    few = events({WATCHED: own} | companions(rng))[WATCHED].events[0]
    many = events({WATCHED: own} | companions(rng, many=60))[WATCHED].events[0]
    assert many.alarmed_at >= few.alarmed_at
    assert many.e_value > few.e_value


def test_apps_are_judged_apart() -> None:
    rng = np.random.default_rng(9)
    voice = {
        replace(key, function="voice"): [replace(o, failed=o.attempted) for o in own]
        for key, own in companions(rng).items()
    }
    found = events(companions(rng) | voice | {WATCHED: history(rng, 30)})
    assert found[WATCHED].status == "quiet"
    assert isinstance(next(iter(voice)), Key)


def test_a_seeded_slice_of_the_proof() -> None:
    unbroken = KINDS[0]
    scores = bans({"ours": ours, "cusum": cusum(7.0)}, unbroken, (20,), range(TUNED, TUNED + 3))
    assert (scores["ours"].found, scores["ours"].false, scores["ours"].split) == (3, 0, 0)
    assert np.median(scores["ours"].onset_h) < np.median(scores["cusum"].onset_h)
    windows = bans({"ours": ours, "cusum": cusum(1.5)}, KINDS[2], (60,), range(TUNED, TUNED + 2))
    assert windows["ours"].split == 0 < windows["cusum"].split


def test_a_tenth_of_forged_sources_invents_nothing() -> None:
    assert forged(0.1, range(TUNED, TUNED + 3)) == {"share": 0.1, "invented": 0.0, "hidden": 0.0}


def test_a_tenth_that_lies_at_the_same_hour_of_every_day_invents_nothing() -> None:
    """Who lies chooses when. At that hour the liars are more than a tenth of those who speak, of all they are not."""
    rng = np.random.default_rng(3)
    honest = [
        Graded(START + day * DAY + int(hour) * HOUR, f"{day}-{n}", 12, 0, "1")
        for day in range(28)
        for n, hour in enumerate(rng.choice([7, 9, 15, 17, 19, 21, 23], 10))
    ]
    lies = [Graded(START + day * DAY + 12 * HOUR, f"{day}-liar", 12, 12, "1") for day in range(10, 28)]
    found = events({WATCHED: honest + lies}, declared={"1": 0.01})[WATCHED].events
    assert [event.kind for event in found] == ["suspicion"]


@pytest.mark.validate
def test_hostile_but_unrestricted_networks_keep_the_stated_run_length() -> None:
    seeds = range(TUNED, TUNED + 40)
    years = len(NULLS) * len(seeds) * 3 * 45 / 365
    assert false_alarms({"ours": ours}, seeds)["ours"] <= years / 4 + 2 * (years / 4) ** 0.5


@pytest.mark.validate
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_bans_are_found_once_where_there_are_reports_enough(kind: object) -> None:
    scores = bans({"ours": ours}, kind, (60,), range(TUNED, TUNED + 20))["ours"]  # type: ignore[arg-type]
    assert scores.found >= 18
    assert scores.false <= 1
    assert scores.split <= 2
    assert np.median(scores.onset_h) < 6


def test_a_device_before_a_part_of_the_sources_is_no_schedule() -> None:
    rng = np.random.default_rng(41)
    part = Ban(15, 40, always, share=0.5)
    country = companions(rng) | {WATCHED: history(rng, 40, PLAIN, part)}
    (event,) = events(country)[WATCHED].events
    assert event.schedule is None
    assert all(after[0] - before[1] >= DAY for before, after in pairwise(event.windows))


def test_what_is_told_of_an_events_inside_is_of_all_that_its_windows_hold() -> None:
    """A device before three fifths of the sources: what worked between two who were restricted counts too."""
    found, graded = judged(Ban(20, 99, always, share=0.6, failing=(12, 12)))
    event = only_event(found)
    within = [one for one in graded if one.attempted and any(a <= one.at <= b for a, b in event.windows)]
    assert event.n == len(within)
    assert event.level == pytest.approx(np.mean([one.failed / one.attempted for one in within]))
    assert event.clusters == len({one.cluster for one in within})


def web(site: str, first: int, last: int, status: Literal["working", "restricted"]) -> list[Point]:
    """A site tested every two hours by a probe of its own each time, on days first..last - 1."""
    told = dict.fromkeys(Point.__struct_fields__) | {"source": "ooni", "rules": "1", "path": "direct", "target": site}
    return [
        Point(
            **told
            | {
                "time": datetime.fromtimestamp(START + day * DAY + hour * HOUR, UTC),
                "id": f"{site} {day} {hour}",
                "status": status,
            }
        )  # type: ignore[arg-type]
        for day in range(first, last)
        for hour in range(0, 24, 2)
    ]


@pytest.mark.parametrize("elsewhere", ["working", "restricted"])
def test_a_list_that_turns_to_another_site_makes_no_event_by_itself(
    elsewhere: Literal["working", "restricted"],
) -> None:
    changed = web("a.example", 0, 28, "working") + web("b.example", 28, 40, "restricted")
    others = {("web", "web", 64500 + n): web("b.example", 0, 40, elsewhere) for n in range(1, 4)}
    told = events(histories({("web", "web", 64500): changed} | others)[0])
    found = [(event.key, event) for history in told.values() for event in history.events]
    if elsewhere == "restricted":
        assert found == []
    for key, event in found:  # a site that works elsewhere is restricted here, from the first time it was looked at
        assert (key.asn, key.target) == (64500, "b.example")
        assert event.onset is None
        assert event.under_way


def test_a_site_that_worked_and_then_is_blocked_makes_an_event() -> None:
    blocked = web("a.example", 0, 28, "working") + web("a.example", 28, 40, "restricted")
    told = events(histories({("web", "web", 64500): blocked + web("b.example", 0, 40, "working")})[0])
    assert {key.target: history.status for key, history in told.items()} == {"a.example": "event", "b.example": "quiet"}
    (event,) = next(history.events for key, history in told.items() if key.target == "a.example")
    assert event.onset == START + 28 * DAY
