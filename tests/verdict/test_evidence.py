"""Rounds to one e-value: it reaches the threshold where it should, and on bad networks no oftener than it may."""

import os
from dataclasses import replace

import numpy as np
import pytest

from ringback.verdict.evidence import cell_evidence, checkpoint_weights, combine, round_evidence
from tests.verdict import nulls
from tests.verdict.build import Effect, dns_round, stream_round, voice_round

THRESHOLD = 32_000  # a session of 32 tests


def voice(seed, rounds, **network):
    return cell_evidence([voice_round(seed, number=i, **network) for i in range(rounds)], working=False)


# -- power --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effect", "rounds", "network"),
    [
        (Effect(drop=True), 1, {}),
        (Effect(icmp=True), 1, {}),
        (Effect(corrupt=True), 1, {}),
        (Effect(drop=True, direction="in"), 1, {}),
        (Effect(after_packets=25), 1, {}),
        (Effect(after_packets=200), 1, {}),
        (Effect(loss=0.36), 1, {"link_loss": 0.02}),
        (Effect(loss=0.15), 2, {}),
        (Effect(loss=0.15, direction="out"), 2, {}),
        (Effect(police_kbps=9.3), 1, {}),
        (Effect(delay_ms=150), 2, {}),
        (Effect(delay_ms=150, direction="in"), 2, {}),
        (Effect(drop=True), 1, {"link_loss": 0.1, "burst": 4}),
    ],
)
@pytest.mark.parametrize("trigger", ["payload", "port"])
def test_a_restricted_call_reaches_the_threshold(effect, rounds, network, trigger):
    for seed in range(2):
        got = voice(seed, rounds, effect=replace(effect, trigger=trigger), **network)
        assert got.e_value > THRESHOLD
        assert max(got.factors, key=lambda factor: got.factors[factor]) == ("relay-call", trigger)
        other = "port" if trigger == "payload" else "payload"
        assert got.factors["relay-call", other] < 100


def test_a_drop_is_decided_at_the_first_checkpoint():
    round_ = voice_round(1, effect=Effect(drop=True))
    round_.read_to = 1.0
    early = cell_evidence([round_]).e_value
    round_.read_to = None
    assert THRESHOLD < early <= cell_evidence([round_]).e_value


@pytest.mark.parametrize(
    ("function", "effect"),
    [
        ("text", Effect(reset=True)),
        ("text", Effect(drop=True)),
        ("text", Effect(corrupt=True)),
        ("text", Effect(after_bytes=4_000)),
        ("text", Effect(delay_ms=2_000)),
        ("text", Effect(police_kbps=16)),
        ("media", Effect(after_bytes=64_000)),
        ("media", Effect(police_kbps=1_000)),
        ("media", Effect(loss=0.15)),
    ],
)
def test_a_restricted_stream_reaches_the_threshold_in_two_rounds(function, effect):
    got = cell_evidence([stream_round(1, function=function, number=i, effect=effect) for i in range(2)])
    assert got.e_value > THRESHOLD
    assert got.factors["noise" if function == "text" else "tls", "port"] < 100


def test_wrong_answers_are_told_in_one_round():
    assert cell_evidence([dns_round(1, effect=Effect(wrong_answer=True))]).e_value > THRESHOLD


def test_a_lost_partner_hides_no_drop():
    assert voice(1, 1, effect=Effect(drop=True), partner="lost").e_value > THRESHOLD


def test_an_effect_that_appears_late_is_still_found():
    calm = [voice_round(1, number=i) for i in range(4)]
    struck = [voice_round(1, number=i, effect=Effect(loss=0.36)) for i in range(4, 7)]
    assert cell_evidence(calm + struck, working=False).e_value > THRESHOLD


def test_better_originals_accuse_nobody():
    round_ = voice_round(1, effect=Effect(drop=True, trigger="port"))
    for exchange in round_.exchanges:  # what was struck is now called other port
        arm = exchange.spec.arm
        flipped = type(arm)(arm.payload, "other" if arm.port == "app" else "app")
        exchange.spec = type(exchange.spec)(
            **{f: getattr(exchange.spec, f) for f in exchange.spec.__struct_fields__ if f != "arm"}, arm=flipped
        )
    assert cell_evidence([round_]).e_value < 20


# -- structure ----------------------------------------------------------------------------------------------------


def test_checkpoint_weights_sum_to_one():
    for n in range(1, 9):
        assert checkpoint_weights(n).sum() == pytest.approx(1)
        assert (checkpoint_weights(n) > 0).all()


def test_a_cell_is_the_mean_over_the_factors_of_its_planned_forms():
    noise = [stream_round(1, effect=Effect(reset=True))]
    names = [dns_round(2)]
    alone = cell_evidence(noise)
    planned = cell_evidence(noise, forms=["noise", "tls", "dns"])
    assert len(planned.factors) == 5
    assert planned.e_value == pytest.approx((2 * alone.e_value + 3) / 5)
    assert planned.e_working <= 1
    both = cell_evidence(noise + names, forms=["noise", "dns"])
    assert both.e_value == pytest.approx(np.mean(list(both.factors.values())))
    assert set(both.factors) == {("noise", "payload"), ("noise", "port"), ("dns", "payload")}


def test_working_needs_every_form():
    healthy = [stream_round(1, number=i) for i in range(3)]
    forged = [dns_round(2, effect=Effect(wrong_answer=True))]
    assert cell_evidence(healthy).e_working > cell_evidence(healthy + forged).e_working
    assert cell_evidence(healthy + forged).working["answer"] < 1


def test_confirming_and_locating_rounds_are_no_evidence():
    rounds = [voice_round(1, number=i, effect=Effect(drop=True)) for i in range(2)]
    rounds[1].kind = "confirm"
    assert cell_evidence(rounds) == cell_evidence(rounds[:1])


def test_nothing_measured_is_worth_one_and_not_working():
    empty = cell_evidence([])
    assert (empty.e_value, empty.e_working, empty.factors) == (1.0, 0.0, {})


def test_rounds_of_another_plan_multiply():
    first, second = voice_round(1, effect=Effect(drop=True)), voice_round(2, number=1, effect=Effect(drop=True))
    second.checkpoints = [2.0, 10.5]
    evidence = [round_evidence(r, working=False) for r in (first, second)]
    assert combine(evidence).e_value > 1e9


def test_evidence_does_not_depend_on_the_order_of_the_exchanges():
    round_ = voice_round(1, effect=Effect(loss=0.15))
    before = round_evidence(round_, working=False).e_value
    round_.exchanges.reverse()
    assert round_evidence(round_, working=False).e_value == pytest.approx(before)


# -- error rate ---------------------------------------------------------------------------------------------------


def assert_error_rate(first, largest):
    """The mean e-value is at most 1, and so is the rate of false accusations at x at most 1 / x."""
    assert first.mean() <= 1 + 4 * first.std() / np.sqrt(len(first))
    for threshold in (20, 100, 1000):
        assert nulls.at_most(int((largest >= threshold).sum()), len(largest), 1 / threshold), threshold


def test_bad_networks_are_not_accused():
    assert_error_rate(*nulls.sessions(seed=11, count=300))


@pytest.mark.validate
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not os.environ.get("RINGBACK_VALIDATE"), reason="a long proof: RINGBACK_VALIDATE=1")
@pytest.mark.parametrize("seed", range(10))
def test_bad_networks_are_not_accused_in_thousands_of_sessions(seed):
    assert_error_rate(*nulls.sessions(seed=1000 + seed, count=3000, rounds=3))


def test_whole_rounds_on_bad_networks_are_not_accused():
    largest = []
    for seed in range(40):
        rounds = [
            voice_round(seed, number=i, every=0.25, link_loss=0.3, burst=4, jitter_ms=40, rtt_ms=160) for i in range(2)
        ]
        evidence = [round_evidence(r, working=False) for r in rounds]
        largest.append(max(combine(evidence[:1]).e_value, combine(evidence).e_value))
    assert nulls.at_most(int((np.array(largest) >= 20).sum()), len(largest), 1 / 20)


# -- mutants: bugs planted in how rounds are run or read must show in the error rate -------------------------------


def accused(mutant, threshold=20, seeds=40, rounds=6):
    """How many neutral networks a mutant accuses at `threshold`, of how many."""
    count = 0
    for seed in range(seeds):
        rng = np.random.default_rng([77, seed])
        count += max(mutant(rng, rounds)) >= threshold
    return count, seeds


def test_the_unharmed_engine_passes_where_the_mutants_fail():
    for family in (nulls.drift, nulls.nat_deaths):
        count, trials = accused(
            lambda rng, n, family=family: nulls.running([nulls.calls(family, rng) for _ in range(n)])
        )
        assert nulls.at_most(count, trials, 1 / 20)


def test_mutant_labels_leak_into_the_start_order():
    def originals_last(rng, rounds):
        drawn = []
        for _ in range(rounds):
            one = nulls.calls(nulls.drift, rng)
            drawn.append(replace(one, labels=sorted(one.labels)))  # controls first: they meet the better network
        return nulls.running(drawn)

    count, trials = accused(originals_last)
    assert not nulls.at_most(count, trials, 1 / 20)


def test_mutant_starts_each_pair_with_its_control():
    def originals_second(rng, rounds):
        drawn = []
        for _ in range(rounds):
            one = nulls.in_pairs(lambda rng: nulls.calls(nulls.drift, rng))(rng)
            pairs = [sorted(one.labels[i : i + 2]) for i in range(0, nulls.FLOWS, 2)]
            drawn.append(replace(one, labels=[arm for pair in pairs for arm in pair]))
        return nulls.running(drawn)

    count, trials = accused(originals_second)
    assert not nulls.at_most(count, trials, 1 / 20)


def test_mutant_discards_rounds_in_which_a_control_failed():
    def discard(rng, rounds):
        kept = []
        while len(kept) < rounds:
            one = nulls.calls(nulls.nat_deaths, rng)
            controls = np.array([arm.payload == "control" for arm in one.labels])
            if not (one.missing[controls] > 0.5).any():
                kept.append(one)
        return nulls.running(kept)

    count, trials = accused(discard, rounds=6)
    assert not nulls.at_most(count, trials, 1 / 20)


def test_mutant_repeats_exchanges_of_the_control_that_failed():
    def retry(rng, rounds):
        drawn = []
        for _ in range(rounds):
            one, again = nulls.calls(nulls.nat_deaths, rng), nulls.calls(nulls.nat_deaths, rng)
            control = np.array([arm.payload == "control" for arm in one.labels])
            scores = {
                kind: np.where(control, np.minimum(one.scores[kind], again.scores[kind]), one.scores[kind])
                for kind in one.scores
            }
            drawn.append(replace(one, scores=scores))
        return nulls.running(drawn)

    count, trials = accused(retry)
    assert not nulls.at_most(count, trials, 1 / 20)


def test_mutant_chooses_checkpoint_and_bet_afterwards():
    def best_seen(rng, rounds):
        total, history = 0.0, []
        for _ in range(rounds):
            bets = nulls.calls(nulls.heavy_bursts, rng).bets()
            total += max(b.raw.max() for b in bets.values())
            history.append(float(np.exp(min(total, 700))))
        return history

    count, trials = accused(best_seen)
    assert not nulls.at_most(count, trials, 1 / 20)
