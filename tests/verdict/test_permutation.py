"""The lot's own distribution: exact for every label set, with ties, whatever the scores."""

from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.record import Arm
from ringback.verdict.permutation import (
    _symmetric_of_logarithms,
    log_e_by_stratum,
    log_e_values,
    log_mix,
    log_symmetric,
    lots,
    lots_of,
    worst_half_ranks,
)
from tests.verdict.build import voice_round

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


@given(st.data())
def test_weights_however_far_apart_are_added_up_alike(data):
    """Near ones as floats, far ones in logarithms: each row by itself, next to rows of the other kind."""
    n = data.draw(st.integers(0, 12))
    k = data.draw(st.integers(0, n))
    spread = st.sampled_from([0.0, 1.0, 45.0, 55.0, 128.0, 5000.0])
    rows = [data.draw(st.lists(st.floats(-1, 1).map(data.draw(spread).__mul__), min_size=n, max_size=n)) for _ in "123"]
    weights = np.array(rows).reshape(3, n)
    assert log_symmetric(weights, k) == pytest.approx(_symmetric_of_logarithms(weights, k), rel=1e-12, abs=1e-9)


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


def test_strata_reckoned_together_are_what_each_is_by_itself():
    rng = np.random.default_rng(3)
    strata = rng.permutation(np.repeat([0, 1, 2, 7], [6, 4, 6, 6]))  # two sizes, and not in order
    chosen = np.zeros(len(strata), dtype=bool)
    for stratum, k in ((0, 3), (1, 2), (2, 3), (7, 4)):
        chosen[rng.permutation(np.flatnonzero(strata == stratum))[:k]] = True
    weights = 3 * rng.normal(size=(5, 2, len(strata)))
    together = log_e_by_stratum(weights, chosen, strata)
    for row, stratum in zip(together, (0, 1, 2, 7), strict=True):
        own = strata == stratum
        assert np.array_equal(row, log_e_by_stratum(weights[..., own], chosen[own], strata[own])[0])


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


@pytest.mark.parametrize("factor", ["payload", "port"])
def test_labels_thrown_within_pairs_are_worth_one_on_average_over_all_throws(factor):
    """Whatever the other factor does: here the exchanges on the app's port fare worse, and originals do not."""
    rng = np.random.default_rng(5)
    scores = np.clip(rng.random(8), 0, 1)
    others = rng.random(4) < 0.5  # the factor that is not exchanged stays as it was thrown
    pairs = [0, 0, 1, 1, 2, 2, 3, 3]
    values = []
    for throw in product((False, True), repeat=4):
        arms = []
        for first, other in zip(throw, others, strict=True):
            payloads, ports = (first, other) if factor == "payload" else (other, first)
            arms += [
                Arm("original" if payloads else "control", "app" if ports else "other"),
                Arm("control" if payloads else "original", "other" if ports else "app"),
            ]
        lot = lots(arms, pairs)[factor]
        values.append(np.exp(log_e_values(scores, lot.chosen, lot.strata, LAMBDAS)))
    assert np.mean(values, axis=0) == pytest.approx(np.ones(len(LAMBDAS)))
    assert np.max(values) <= 2**4 + 1e-9, "a pair is worth at most two"


def test_a_quiet_rounds_pairs_are_its_slots_two_by_two():
    planned = voice_round(1, number=1)
    assert set(lots_of(planned)["payload"].strata) == {0, 1}, "the two ports"
    planned.drawn = "pairs"
    assert lots_of(planned)["payload"].strata.tolist() == [i // 2 for i in range(len(planned.exchanges))]


def test_a_mixture_ignores_what_carries_no_weight():
    assert log_mix(np.array([1000.0, 2.0]), np.array([0.0, 1.0])) == pytest.approx(2.0)
    assert log_mix(np.array([-np.inf]), np.array([1.0])) == -np.inf
