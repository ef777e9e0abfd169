"""Turns, and what one network says by itself."""

import pytest

from ringback.evidence.cells import DAY, HOUR, Graded
from ringback.evidence.shares import quantile, share
from ringback.evidence.turns import turns


def test_endpoints_never_tried_are_not_failed() -> None:
    cell = turns([Graded(0, "a", 0, 0), Graded(HOUR, "a", 4, 2)])
    assert cell.score.tolist() == [0.5]


def test_one_source_speaks_once_an_hour_and_less_each_time_of_a_day() -> None:
    cell = turns([Graded(60.0 * i, "a", 1, i % 2) for i in range(60)] + [Graded(2 * HOUR, "a", 1, 1)])
    assert len(cell) == 2
    assert cell.score[0] == pytest.approx(0.5)
    assert cell.worth[1] < cell.worth[0] == 1.0


def test_turns_are_ordered_by_when_it_was_measured_not_by_when_it_came() -> None:
    early, late = Graded(0, "a", 1, 0), Graded(DAY, "b", 1, 1)
    assert turns([late, early]).at.tolist() == turns([early, late]).at.tolist() == [0, DAY]


def test_a_repeat_tester_is_not_a_crowd() -> None:
    crowd = share([i % 4 == 0 for i in range(100)], range(100))
    lone = share([i % 4 == 0 for i in range(100)], [i // 25 if i % 4 else 9 for i in range(100)])
    assert crowd.interval[1] - crowd.interval[0] < lone.interval[1] - lone.interval[0]
    assert share([True] * 50, ["net"] * 50).interval[0] < 0.1


def test_nothing_measured_leaves_everything_open() -> None:
    assert share([], []).interval == (0.0, 1.0)
    with pytest.raises(ValueError):
        quantile([], [], 0.5)


def test_a_median_lies_within_its_interval() -> None:
    found = quantile([float(i) for i in range(101)], range(101), 0.5)
    assert found.value == 50
    assert 35 < found.interval[0] < 50 < found.interval[1] < 65
