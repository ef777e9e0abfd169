"""Many tests in one session share one alpha."""

import pytest

from ringback.errors import BadInput
from ringback.verdict.weights import thresholds


def test_equal_weights_when_none_are_given():
    got = thresholds([f"cell{i}" for i in range(32)])
    assert got["cell0"] == pytest.approx(32_000)
    assert sum(1 / t for t in got.values()) == pytest.approx(0.001)


def test_a_heavier_test_has_a_lower_threshold():
    assert thresholds(["a", "b"], 0.01, {"a": 0.8, "b": 0.2}) == pytest.approx({"a": 125, "b": 500})


def test_no_tests_no_thresholds():
    assert thresholds([]) == {}


@pytest.mark.parametrize(
    ("tests", "alpha", "weights", "where"),
    [
        (["a", "b"], 0.001, {"a": 0.8, "b": 0.3}, "weights"),
        (["a", "b"], 0.001, {"a": 0.8}, "b"),
        (["a"], 0.001, {"a": -0.5}, "a"),
        (["a", "a"], 0.001, None, "tests"),
        (["a"], 0.0, None, "0.0"),
    ],
)
def test_what_would_break_the_guarantee_is_refused(tests, alpha, weights, where):
    with pytest.raises(BadInput) as caught:
        thresholds(tests, alpha, weights)
    assert caught.value.where == where
