"""Where things stand in the pictures: squares of one size, marks that do not cover each other, days in their places."""

from datetime import UTC, date, datetime, timedelta

import pytest

from ringback.view.drawing import (
    APART,
    GAP,
    MOST_DOTS,
    TILE,
    Axis,
    Mark,
    chart,
    gathered,
    shade,
    stacked,
    stretches,
    tile_map,
)
from ringback.view.figures import DayShare, RegionShare, Share

WEEK = Axis(date(2025, 8, 10), date(2025, 8, 16))


def days(*shares: float | None) -> list[DayShare]:
    return [
        DayShare(date(2025, 8, 10 + n), Share(one, None if one is None else (max(0, one - 0.1), min(1, one + 0.1)), 9))
        for n, one in enumerate(shares)
    ]


def test_the_halves_of_a_map_hold_every_region_once_on_one_grid() -> None:
    found = tile_map("RU", [RegionShare("RU-MOW", Share(0.8, (0.7, 0.9), 40, 9, 0, True)), RegionShare("XX", Share())])
    tiles = [tile for half in found.halves for tile in half.tiles]
    assert len({tile.code for tile in tiles}) == len(tiles) == 83
    assert sum(half.columns for half in found.halves) == found.columns
    for half in found.halves:
        places = {(tile.x, tile.y) for tile in half.tiles}
        assert len(places) == len(half.tiles)
        assert all(x % (TILE + GAP) == 0 and x + TILE <= half.width and y + TILE <= found.height for x, y in places)
    assert {tile.code: tile.shade for tile in tiles}["RU-MOW"] == "s5"
    assert {tile.shade for tile in tiles} == {"s5", "few"}
    assert [one.region for one in found.elsewhere] == ["XX"]


def test_little_seen_by_few_is_no_clear_square() -> None:
    sure, unsure = Share(0.02, (0.0, 0.06), 400, 40, 0, True), Share(0.02, (0.0, 0.2), 12, 6, 0, True)
    assert (shade(sure), shade(unsure), shade(Share())) == ("s0", "unsure", "few")
    assert shade(Share(0.3, (0.01, 0.6), 12, 6, 0, True)) == "s2", "what was seen is shown, however unsure"


def test_a_country_without_a_grid_has_no_tiles_and_loses_no_region() -> None:
    found = tile_map("KE", [RegionShare("KE-30", Share())])
    assert sum(len(half.tiles) for half in found.halves) == 0
    assert [one.region for one in found.elsewhere] == ["KE-30"]


def test_a_day_has_its_middle_and_a_time_its_place_within_the_day() -> None:
    assert WEEK.x(date(2025, 8, 13)) == pytest.approx(50)
    assert WEEK.x(datetime(2025, 8, 13, 12, tzinfo=UTC)) == pytest.approx(50)
    assert WEEK.x(datetime(2025, 8, 13, tzinfo=UTC)) == WEEK.edges()[3]
    assert (WEEK.edges()[0], WEEK.edges()[-1]) == (0, 100)
    assert Axis(date(2025, 1, 1), date(2025, 12, 31)).edges() == []


def test_of_many_days_only_those_have_a_dot_that_no_line_goes_through() -> None:
    def of(n: int, *gaps: int) -> list[DayShare]:
        first, share = date(2025, 1, 1), Share(0.4, (0.3, 0.5), 9)
        return [DayShare(first + timedelta(days=day), share) for day in range(n) if day not in gaps]

    def dots(days: list[DayShare]) -> int:
        axis = Axis(days[0].day, days[-1].day)
        return len(chart(axis, days, str, lambda share: "").dots)

    assert dots(of(MOST_DOTS)) == MOST_DOTS
    assert dots(of(365)) == 0
    assert dots(of(365, 100, 102)) == 1


def test_days_that_lasted_are_drawn_whole_and_cut_at_the_edge() -> None:
    span = WEEK.span(date(2025, 8, 10), date(2025, 8, 11), "off", "offline")
    assert (span.x, span.width) == (0, pytest.approx(200 / 7, abs=0.02))
    late = WEEK.span(datetime(2025, 8, 16, 12, tzinfo=UTC), datetime(2025, 9, 1, tzinfo=UTC), "", "window")
    assert late.x + late.width == pytest.approx(100, abs=0.02)


def test_onsets_that_would_cover_each_other_are_one_mark_with_their_number() -> None:
    marks = [Mark(10.0, "first", 1), Mark(10.9, "second", 1), Mark(40.0, "alone", 1)]
    found = gathered(marks, lambda n, first: f"{n} from {first}")
    assert [(one.label, one.number) for one in found] == [("2 from first", 2), ("alone", 1)]
    assert gathered([], lambda n, first: "") == []


def test_policy_events_of_neighbouring_days_stand_below_each_other() -> None:
    placed, rows = stacked([Mark(50.0, "a", 1), Mark(50.0, "b", 2), Mark(50 + APART, "c", 3)], 300)
    assert rows == 2
    assert placed[0].y == placed[2].y == 300 < placed[1].y


def test_days_without_a_public_number_cut_the_line() -> None:
    assert [len(run) for run in stretches(days(0.1, 0.2, None, 0.4))] == [2, 1]
    drawn = chart(WEEK, days(0.1, 0.2, None, 0.4), str, lambda share: str(share.n))
    assert (len(drawn.lines), len(drawn.bands), len(drawn.dots)) == (2, 2, 3)
    tall = chart(WEEK, days(0.1), str, lambda share: "", [Mark(9.0, "x", 1)], [Mark(5.0, "y", 1)])
    assert tall.height > drawn.height
    assert tall.onsets[0].y < tall.policies[0].y < tall.height
