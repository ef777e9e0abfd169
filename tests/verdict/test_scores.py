"""What an exchange scores is what happened to it, by what was known at each checkpoint."""

import inspect

import msgspec
import numpy as np
import pytest

from ringback.errors import BadInput
from ringback.record import DatagramOutcome, Lane, StreamOutcome
from ringback.verdict.scores import directions, score_matrix, slowness
from tests.verdict.build import CHECKPOINTS, Effect, dns_round, stream_round, voice_round


def outcomes(round_):
    return [e.outcome for e in round_.exchanges]


def struck(round_):
    return np.array([e.spec.arm.payload == "original" for e in round_.exchanges])


def lane(received, sent=None, every=1.0, corrupted=0):
    due = [i * every for i in range(len(received))]
    return Lane(due, [100] * len(due), list(due) if sent is None else sent, received, corrupted=corrupted)


def quiet(n, every=1.0):
    """A lane where everything arrived after 20 ms."""
    return lane([i * every + 0.02 for i in range(n)], every=every)


def test_scoring_takes_no_labels():
    assert list(inspect.signature(score_matrix).parameters) == ["outcomes", "checkpoints"]
    fields = {f.name for t in (DatagramOutcome, StreamOutcome) for f in msgspec.structs.fields(t)}
    assert not fields & {"arm", "spec", "payload", "label"}


def test_a_healthy_call_scores_nothing():
    scores = score_matrix(outcomes(voice_round(1, link_loss=0)), CHECKPOINTS)
    assert scores["undelivered"].shape == (4, 24)
    assert scores["undelivered"].max() == 0
    assert scores["late"].max() < 0.02


def test_dropped_calls_score_one_in_both_kinds():
    round_ = voice_round(1, effect=Effect(drop=True))
    scores = score_matrix(outcomes(round_), CHECKPOINTS)
    for kind in ("undelivered", "late"):
        assert (scores[kind][:, struck(round_)] == 1).all()
        assert (scores[kind][:, ~struck(round_)] < 0.2).all()


def test_the_worse_direction_counts():
    up = DatagramOutcome(lane([0.02, None, None, None]), quiet(4))
    down = DatagramOutcome(quiet(4), lane([0.02, 1.02, None, None]))
    assert score_matrix([up, down], [3.0])["undelivered"].tolist() == [[0.75, 0.5]]


def test_a_cut_off_shows_at_the_checkpoints_behind_it_only():
    round_ = voice_round(2, effect=Effect(after_packets=60), link_loss=0)
    hit = score_matrix(outcomes(round_), CHECKPOINTS)["undelivered"][:, struck(round_)]
    assert (hit[0] == 0).all()
    assert (np.diff(hit, axis=0)[1:] > 0).all()


def test_what_arrives_long_after_the_checkpoint_had_not_arrived():
    late = DatagramOutcome(quiet(3), lane([0.02, 1.02, 7.0]))
    calm = DatagramOutcome(quiet(3), quiet(3))
    scores = score_matrix([late, calm], [2.0, 10.0])["undelivered"]
    assert scores[:, 0].tolist() == [pytest.approx(1 / 3), 0]


def test_clocks_need_not_agree():
    round_ = voice_round(3, effect=Effect(delay_ms=150))
    before = score_matrix(outcomes(round_), CHECKPOINTS)
    for outcome in outcomes(round_):
        outcome.outward.received = [None if t is None else t - 77_000.0 for t in outcome.outward.received]
        outcome.inward.sent = [None if t is None else t - 77_000.0 for t in outcome.inward.sent]
    after = score_matrix(outcomes(round_), CHECKPOINTS)
    for kind, values in before.items():
        assert after[kind] == pytest.approx(values, abs=1e-6)


def test_delay_without_loss_shows_in_its_own_kind():
    round_ = voice_round(4, effect=Effect(delay_ms=150), link_loss=0)
    scores = score_matrix(outcomes(round_), CHECKPOINTS)
    assert scores["undelivered"].max() == 0
    assert scores["late"][-1, struck(round_)].min() > 0.35
    assert scores["late"][-1, ~struck(round_)].max() < 0.05


def test_a_few_milliseconds_of_our_own_making_are_no_delay():
    round_ = voice_round(4, effect=Effect(delay_ms=8), link_loss=0)
    assert score_matrix(outcomes(round_), CHECKPOINTS)["late"].max() == 0


def test_corrupted_packets_were_not_delivered():
    round_ = voice_round(5, effect=Effect(corrupt=True))
    assert (score_matrix(outcomes(round_), CHECKPOINTS)["undelivered"][-1, struck(round_)] == 1).all()


def test_a_far_half_that_never_started_is_the_worst():
    mute = DatagramOutcome(lane([None] * 3), lane([None] * 3, sent=[None] * 3))
    assert score_matrix([mute, DatagramOutcome(quiet(3), quiet(3))], [5.0])["undelivered"].tolist() == [[1, 0]]


def test_replies_that_were_never_due_are_not_missing():
    asked = DatagramOutcome(lane([0.02, None]), lane([0.05, None], sent=[0.03, None]))
    _, inward = directions([asked])
    assert inward.counted.tolist() == [[True, False]]


def test_without_the_far_record_the_near_half_still_counts():
    round_ = voice_round(6, effect=Effect(drop=True), partner="lost", link_loss=0)
    scores = score_matrix(outcomes(round_), CHECKPOINTS)
    assert (scores["undelivered"][-1, struck(round_)] == 1).all()
    assert (scores["undelivered"][-1, ~struck(round_)] == 0).all()


def test_a_wrong_answer_is_no_answer():
    round_ = dns_round(1, effect=Effect(wrong_answer=True), link_loss=0)
    assert (score_matrix(outcomes(round_), [2.0])["undelivered"][0] == struck(round_)).all()


def test_a_wrong_answer_that_overtakes_the_right_one_counts():
    raced = DatagramOutcome(quiet(1), lane([0.02], corrupted=1), answers=[b"forged"])
    assert score_matrix([raced, DatagramOutcome(quiet(1), quiet(1))], [2.0])["undelivered"].tolist() == [[1, 0]]


def test_streams_are_worse_the_less_of_them_came_and_worst_without_set_up():
    done = StreamOutcome(0.04, None, None, 0.5, 100, 100, 1000, [(0.5, 1000)])
    slow = StreamOutcome(0.04, None, None, None, 100, 100, 1000, [(0.5, 500)])
    cut = StreamOutcome(0.04, "connection_reset", 0.6, None, 100, 100, 1000, [(0.5, 500)])
    reset = StreamOutcome(0.04, "connection_reset", 0.1, None, 100, 100, 1000)
    dead = StreamOutcome(None, "generic_timeout_error", 10.0, None, 100, 0, 1000)
    wrong = StreamOutcome(0.04, None, None, 0.5, 100, 100, 1000, [(0.5, 1000)], unexpected=True)
    scores = score_matrix([done, slow, cut, reset, dead, wrong], [10.0])
    assert scores["undone"].tolist() == [[0, 0.25, 0.75, 1, 1, 1]]
    assert scores["slow"].tolist() == [[0, 1, 1, 1, 1, 1]]


def test_slowness_is_relative_to_the_best_of_the_round():
    assert slowness(np.array([0.5, 0.55, 4.0, 50.0, np.inf])) == pytest.approx([0, 0, 0.916, 1, 1], abs=0.001)
    assert slowness(np.array([np.inf, np.inf])).tolist() == [1, 1]


def test_a_policed_download_is_slow_and_not_undone():
    round_ = stream_round(1, function="media", effect=Effect(police_kbps=1000))
    scores = score_matrix(outcomes(round_), [20.0])
    assert scores["undone"].max() == 0
    assert scores["slow"][0, struck(round_)].min() > scores["slow"][0, ~struck(round_)].max() + 0.2


def test_a_round_of_two_transports_or_none_is_refused():
    with pytest.raises(BadInput):
        score_matrix([], [1.0])
    with pytest.raises(BadInput):
        score_matrix([StreamOutcome(), DatagramOutcome(quiet(1), quiet(1))], [1.0])
