"""The lot's own distribution: exact for every label set, with ties, whatever the scores."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.record import Arm
from ringback.verdict.permutation import log_e_values, log_mix, log_symmetric, lots, worst_half_ranks

LAMBDAS = (0.0, 1.0, 7.5, 60.0, 160.0)
SCORES = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]) | st.floats(0, 1), min_size=2, max_size=7)


def label_sets(n: int, k: int):
    for chosen in combinations(range(n), k):
        flags = np.zeros(n, bool)
        flags[list(chosen)] = True
        yield flags


@given(SCORES, st.data())
@settings(deadline=None)
def test_the_mean_over_all_label_sets_is_one(scores, data):
    n = len(scores)
    k = data.draw(st.integers(1, n - 1))
    s, one = np.array(scores), np.zeros(n, int)
    values = [np.exp(log_e_values(s, flags, one, LAMBDAS)) for flags in label_sets(n, k)]
    assert np.mean(values, axis=0) == pytest.approx(np.ones(len(LAMBDAS)), rel=1e-9)


@given(SCORES, SCORES)
@settings(deadline=None, max_examples=40)
def test_so_it_is_over_all_label_sets_of_two_strata(first, second):
    s = np.array(first + second)
    strata = np.array([0] * len(first) + [1] * len(second))
    values = [
        np.exp(log_e_values(s, np.concatenate([a, b]), strata, LAMBDAS))
        for a in label_sets(len(first), len(first) // 2)
        for b in label_sets(len(second), len(second) // 2)
    ]
    assert np.mean(values, axis=0) == pytest.approx(np.ones(len(LAMBDAS)), rel=1e-9)


@given(SCORES)
@settings(deadline=None, max_examples=40)
def test_and_for_ranks_of_the_worst_half(scores):
    n, one = len(scores), np.zeros(len(scores), int)
    ranks = worst_half_ranks(np.array(scores), one)
    values = [np.exp(log_e_values(ranks, flags, one, LAMBDAS)) for flags in label_sets(n, n // 2)]
    assert np.mean(values, axis=0) == pytest.approx(np.ones(len(LAMBDAS)), rel=1e-9)


@given(SCORES, st.floats(-1, 1))
@settings(deadline=None)
def test_a_constant_added_to_a_stratum_changes_nothing(scores, shift):
    s, strata = np.array(scores), np.arange(len(scores)) % 2
    chosen = np.arange(len(scores)) % 3 == 0
    moved = log_e_values(s + shift * strata, chosen, strata, LAMBDAS)
    assert moved == pytest.approx(log_e_values(s, chosen, strata, LAMBDAS), abs=1e-6)


def test_the_symmetric_polynomial_is_the_sum_over_all_sets():
    w = np.array([0.3, 2.0, 1.5, 0.0, 7.0])
    with np.errstate(divide="ignore"):
        got = np.exp(log_symmetric(np.log(w), 3))
    assert got == pytest.approx(sum(np.prod(c) for c in combinations(w, 3)))
    with pytest.raises(ValueError, match="choose 6 of 5"):
        log_symmetric(w, 6)


def test_perfect_separation_is_worth_nearly_every_label_set():
    chosen = np.arange(24) < 12
    strata = np.arange(24) % 2
    worth = np.exp(log_e_values(chosen.astype(float), chosen, strata, (8.0, 160.0)))
    assert worth[0] > 0.97 * comb(12, 6) ** 2
    assert worth[1] == pytest.approx(comb(12, 6) ** 2)


def test_the_wrong_way_round_is_worth_next_to_nothing():
    chosen = np.arange(12) < 6
    assert log_e_values((~chosen).astype(float), chosen, np.zeros(12, int), (8.0,))[0] < -30


def test_all_alike_is_worth_one():
    chosen = np.arange(12) < 6
    assert log_e_values(np.full(12, 0.7), chosen, np.zeros(12, int), LAMBDAS) == pytest.approx(np.zeros(5), abs=1e-9)


def test_a_stratum_without_a_choice_says_nothing():
    s, chosen = np.array([1.0, 1.0, 0.0, 0.0]), np.array([True, True, False, False])
    assert log_e_values(s, chosen, np.array([0, 0, 1, 1]), (8.0,)) == pytest.approx([0.0])


def test_ties_share_their_rank_and_the_better_half_has_none():
    ranks = worst_half_ranks(np.array([0.0, 0.0, 0.0, 0.2, 0.9]), np.zeros(5, int))
    assert ranks == pytest.approx([0, 0, 0, 0.5, 1.0])
    assert worst_half_ranks(np.array([3.0, 3.0]), np.array([0, 1])) == pytest.approx([0, 0])


def test_each_factor_is_drawn_within_the_other():
    four = [Arm(p, q) for p in ("original", "control") for q in ("app", "other")]
    drawn = lots(four)
    assert list(drawn) == ["payload", "port"]
    assert drawn["payload"].strata.tolist() == drawn["port"].chosen.tolist()
    assert list(lots([Arm("original", "app"), Arm("control", "app")])) == ["payload"]


def test_a_mixture_ignores_what_carries_no_weight():
    assert log_mix(np.array([1000.0, 2.0]), np.array([0.0, 1.0])) == pytest.approx(2.0)
    assert log_mix(np.array([-np.inf]), np.array([1.0])) == -np.inf
