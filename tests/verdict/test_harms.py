"""`working` is bet on: easily won by healthy networks, not by the declared harms nor by what the data can't show."""

import os
from math import comb

import numpy as np
import pytest

from ringback.record import Cell, Lane, Outcome, Round, StreamOutcome
from ringback.verdict.evidence import cell_evidence, round_evidence
from ringback.verdict.harms import ANSWER_SHARE, CALL_CUT, CALL_LOSS, DECLARED, FLOW_SHARE
from ringback.verdict.stream_harms import FAIL_SHARE
from tests.verdict.build import CHECKPOINTS, NOTHING, Effect, a_round, arms, dns_round, stream_round, voice_round


def voice(seed, rounds, **network):
    return cell_evidence([voice_round(seed, number=i, **network) for i in range(rounds)])


@pytest.mark.parametrize(("loss", "burst"), [(0.005, 3), (0.02, 3), (0.02, 6)])
def test_a_healthy_call_is_working_after_two_rounds(loss, burst):
    values = [voice(seed, 2, link_loss=loss, burst=burst).e_working for seed in range(6)]
    assert np.mean(np.array(values) >= 100) >= 5 / 6


def test_and_at_five_percent_of_bursty_loss_a_little_later():
    values = [voice(seed, 4, link_loss=0.05, burst=6).e_working for seed in range(4)]
    assert np.median(values) >= 100


def test_every_declared_harm_is_named():
    assert set(voice(1, 1).working) == set(DECLARED["calls"])
    assert set(cell_evidence([stream_round(1)]).working) == set(DECLARED["text"])
    assert set(cell_evidence([stream_round(1, function="media")]).working) == set(DECLARED["media"])
    assert set(cell_evidence([dns_round(1)]).working) == set(DECLARED["names"])


@pytest.mark.parametrize(
    ("harm", "effect"),
    [
        ("loss-out", Effect(loss=0.10, direction="out")),
        ("loss-in", Effect(loss=0.10, direction="in")),
        ("loss-both", Effect(loss=0.10)),
        ("cut-off", Effect(after_packets=300)),
        ("police", Effect(police_kbps=0.85 * 140 * 8 / 0.06 / 1000, burst_kbytes=1.5)),
        ("delay-out", Effect(delay_ms=110, direction="out")),
        ("delay-in", Effect(delay_ms=110, direction="in")),
    ],
)
@pytest.mark.parametrize("trigger", ["payload", "port"])
def test_a_harmed_call_is_not_working(harm, effect, trigger):
    effect = Effect(**{**effect.__dict__, "trigger": trigger})
    for seed in range(3):
        got = voice(seed, 2, effect=effect)
        assert got.working[harm] < 100
        assert got.e_working < 100


def test_the_bets_are_fair_to_the_harm_itself():
    """Originals that suffer a declared harm as declared: the e-value against it is at most 1 on average."""
    count = 3000 if os.environ.get("RINGBACK_VALIDATE") else 25
    families = {
        "loss-both": Effect(loss=CALL_LOSS),
        "loss-third": Effect(loss=CALL_LOSS, share=FLOW_SHARE),
        "delay-out": Effect(delay_ms=100, direction="out"),
    }
    for harm, effect in families.items():
        struck = (voice_round(9, number=i, every=0.12, link_loss=0.03, effect=effect) for i in range(count))
        values = np.array([np.exp(round_evidence(round_).working["payload", harm]).mean() for round_ in struck])
        assert values.mean() <= 1 + 4 * values.std() / np.sqrt(count), harm
        assert np.mean(values >= 100) <= 0.05, harm


def test_a_share_of_failures_is_bet_on_exactly_in_every_round():
    """Over how many originals fail by the harm's own chance, the e-value's mean is 1: no luck in the draws."""
    for number in range(3):
        round_ = dns_round(3, number=number, link_loss=0.0)
        originals = [e for e in round_.exchanges if e.spec.arm.payload == "original"]
        mean = 0.0
        for failed in range(len(originals) + 1):
            for i, exchange in enumerate(originals):
                exchange.outcome.inward.corrupted = int(i < failed)
            chance = comb(12, failed) * ANSWER_SHARE**failed * (1 - ANSWER_SHARE) ** (12 - failed)
            mean += chance * np.exp(round_evidence(round_).working["payload", "answer"]).mean()
        assert mean == pytest.approx(1, rel=1e-6)


def test_a_cut_off_is_ruled_out_as_far_as_the_call_went():
    """One that comes behind the call's end is unseen, one that comes before nine tenths of it is not ruled out."""
    packets = 2 * 175
    assert voice(1, 1, effect=Effect(after_packets=packets)).working["cut-off"] > 100
    assert voice(1, 1, effect=Effect(after_packets=int(0.8 * CALL_CUT * packets))).working["cut-off"] <= 1 + 1e-6


def test_a_call_of_two_packets_can_rule_out_no_loss():
    got = voice(1, 2, seconds=10.5, every=6.0)
    assert got.e_working < 100


def test_text_and_media_are_working_after_a_few_rounds():
    for function in ("text", "media"):
        values = [
            cell_evidence([stream_round(s, function=function, number=i) for i in range(3)]).e_working for s in range(5)
        ]
        assert np.median(values) >= 100, function
    assert cell_evidence([dns_round(1)]).e_working >= 100


@pytest.mark.parametrize(
    ("function", "harm", "effect"),
    [
        ("text", "failure", Effect(reset=True, share=FAIL_SHARE)),
        ("text", "delay", Effect(delay_ms=1300)),
        ("text", "cut-off", Effect(after_bytes=9_000)),
        ("text", "police-in", Effect(police_kbps=16)),
        ("media", "failure", Effect(drop=True, share=FAIL_SHARE)),
        ("media", "cut-off", Effect(after_bytes=64_000)),
        ("media", "police-out", Effect(police_kbps=1_000)),
        ("media", "police-in", Effect(police_kbps=1_000)),
        ("media", "loss-out", Effect(loss=0.15)),
        ("media", "loss-in", Effect(loss=0.15)),
    ],
)
def test_a_harmed_stream_is_not_working(function, harm, effect):
    for seed in range(3):
        got = cell_evidence([stream_round(seed, function=function, number=i, effect=effect) for i in range(2)])
        assert got.working[harm] < 100


def afar(seed: int, number: int, rtt_ms: float, kbps: float | None = None) -> Round:
    """A round of TLS chats whose one long answer is the first: 3,500 bytes of certificate. kbps: see `chat`."""
    rng = np.random.default_rng([seed, number])
    labels = arms(rng, 6)
    outcomes: list[Outcome] = []
    for arm in labels:
        trip = rtt_ms / 1000 + abs(rng.normal(0, 0.03, 4))
        held = 0.0 if kbps is None or arm.payload == "control" else (3_500 * 1.03 - 2_000) / (kbps * 125)
        first, last = trip[:2].sum() + held, trip.sum() + held
        arrivals = [(first - held, 1_448), (first, 3_500), (last, 3_700)]
        outcomes.append(
            StreamOutcome(connected=trip[0], finished=last, arrivals=arrivals, up_expected=1_000, up_received=1_000,
                          down_expected=3_700, down_last=200, up_last=300, partner="reported")
        )  # fmt: skip
    return a_round(
        Cell("max", "text"), "tls", "tcp", labels, outcomes, np.arange(24) * 3.0, number, [10.0], 10.0, 3_700
    )


@pytest.mark.parametrize("rtt_ms", [60.0, 450.0, 600.0, 800.0])
def test_a_long_round_trip_does_not_look_like_a_policer(rtt_ms: float) -> None:
    for seed in range(3):
        rounds = [afar(seed, number, rtt_ms) for number in range(2)]
        assert cell_evidence(rounds).working["police-in"] >= 100
        slowed = [afar(seed, number, rtt_ms, kbps=24.0) for number in range(2)]
        assert cell_evidence(slowed).working["police-in"] < 2


def chat(rng: np.random.Generator, loss: float, kbps: float | None = None) -> StreamOutcome:
    """Eight messages of 300 bytes and their answers, the last one of 5,600, at a round trip of 130 ms. loss: of a
    message or its answer, which is sent again after 0.2 s and twice that each further time. kbps: behind a policer."""
    at, arrivals = 0.13 + (rng.random() < loss), []
    connected = at
    for turn, size in enumerate([300] * 7 + [5_600], 1):
        at += 0.13 + 0.2 * (2.0 ** (rng.geometric(1 - loss) - 1) - 1)
        if size > 2_000 and kbps is not None:
            at += (size - 2_000) / (kbps * 125)
        arrivals.append((at, 300 * min(turn, 7) + (5_600 if turn == 8 else 0)))
    got = arrivals[-1][1]
    return StreamOutcome(connected=connected, finished=at, arrivals=arrivals, up_expected=2_400, up_received=2_400,
                         down_expected=got, down_last=5_600, up_last=300, partner="reported")  # fmt: skip


def chats(seed: int, number: int, original: float = 0.1, kbps: float | None = None) -> Round:
    """A round of chats on a link that loses a tenth. original, kbps: what those of the app suffer."""
    rng = np.random.default_rng([seed, number])
    labels = arms(rng, 6)
    outcomes: list[Outcome] = [
        chat(rng, original, kbps) if arm.payload == "original" else chat(rng, 0.1) for arm in labels
    ]
    return a_round(Cell("whatsapp", "text"), "noise", "tcp", labels, outcomes, np.arange(24) * 2.0, number, [6.0], 6.0,
                   outcomes[0].down_expected)  # type: ignore[union-attr]  # fmt: skip


def test_a_chat_counts_its_waits_so_that_a_link_that_loses_much_does_not_hide_that_it_works() -> None:
    found = [cell_evidence([chats(seed, number) for number in range(3)]).working for seed in range(10)]
    for harm in ("loss", "police-in"):
        assert sum(each[harm] >= 100 for each in found) >= 8, harm


def test_a_chat_that_loses_a_fifth_more_or_is_policed_does_not_pass_for_a_working_one() -> None:
    for seed in range(10):
        lossy = cell_evidence([chats(seed, number, original=0.3) for number in range(3)]).working
        slowed = cell_evidence([chats(seed, number, kbps=24.0) for number in range(3)]).working
        assert lossy["loss"] < 100
        assert slowed["police-in"] < 100


def hurried(seed: int, effect: Effect = NOTHING) -> Round:
    """Media over the loopback interface, where our own two programs, on processors with other work, are all there is to
    wait for: up to 10 ms here and there."""
    rng = np.random.default_rng(seed)
    round_ = stream_round(
        seed, function="media", size=86_000, rtt_ms=0.4, goodput_kbps=200_000, link_loss=0.0, effect=effect
    )
    for exchange in round_.exchanges:
        o = exchange.outcome
        up, down = rng.choice([0.0, 0.002, 0.01], 2, p=[0.5, 0.3, 0.2])
        o.up_arrivals = [*o.up_arrivals[:-1], *((at + up, n) for at, n in o.up_arrivals[-1:])]
        if o.finished is not None:
            o.finished += up + down
            o.arrivals = [*o.arrivals[:-1], (o.finished, o.arrivals[-1][1])]
    return round_


def test_where_all_is_far_faster_than_any_harm_the_pace_of_our_own_programs_hides_nothing() -> None:
    assert all(cell_evidence([hurried(seed)]).e_working >= 100 for seed in range(8))
    for loss in (0.15, 0.3):
        harmed = [cell_evidence([hurried(seed, Effect(loss=loss))]).e_working for seed in range(8)]
        assert max(harmed) < 1


def test_names_with_wrong_answers_are_not_working():
    got = cell_evidence(
        [dns_round(1, number=i, effect=Effect(wrong_answer=True, share=ANSWER_SHARE)) for i in range(2)]
    )
    assert got.e_working < 100


def test_what_the_data_cant_show_is_not_claimed():
    """A text shorter than the policer's bucket and the cut-off; a download that the policer would hardly slow."""
    tiny = [stream_round(1, number=i, size=400) for i in range(3)]
    for round_ in tiny:
        for exchange in round_.exchanges:
            exchange.outcome.up_expected = exchange.outcome.up_received = 400
    got = cell_evidence(tiny)
    assert got.working["delay"] > 100
    assert got.working["police-out"] < 100
    assert got.working["police-in"] < 100
    assert got.working["cut-off"] < 100
    small = cell_evidence([stream_round(1, function="media", size=40_000, number=i) for i in range(3)])
    assert small.working["police-out"] < 100
    assert small.working["police-in"] < 100
    assert small.e_working < 100


def test_a_call_with_packets_one_way_only_is_bet_on_that_way():
    rounds = [voice_round(1, number=i) for i in range(2)]
    for exchange in (e for r in rounds for e in r.exchanges):
        exchange.outcome.inward = Lane()
    got = cell_evidence(rounds)
    assert got.working["loss-out"] > 100
    assert got.working["loss-in"] == pytest.approx(1)


def test_a_round_without_the_far_record_claims_nothing_of_the_way_out():
    got = voice(1, 2, partner="lost")
    assert got.working["loss-out"] == pytest.approx(1)
    assert got.working["loss-in"] > 100
    assert got.e_working <= 1


def test_the_same_round_gives_the_same_numbers():
    round_ = voice_round(3)
    assert cell_evidence([round_]) == cell_evidence([round_])
    assert CHECKPOINTS[-1] == round_.checkpoints[-1]


@pytest.mark.parametrize("function", ["text", "media"])
def test_a_round_in_which_nothing_connected_is_joined_with_others(function):
    """On a network that is dead at first, also for the few connections of a quiet round."""
    dead, alive = (stream_round(3, 2, function=function, number=number) for number in range(2))
    for x in dead.exchanges:
        x.outcome.connected = x.outcome.finished = None
        x.outcome.failure, x.outcome.failed_at, x.outcome.arrivals = "generic_timeout_error", 10.0, []
    seen = cell_evidence([dead, alive])
    assert set(seen.working) >= set(DECLARED[function])


def crawling(seed: int, number: int, lost: float) -> Round:
    """Media at 300 kbit/s, where each segment of an original's download is lost with that chance: it and the two after
    it are delivered a fifth of a second later, and together, so that its time grows by next to nothing."""
    round_ = stream_round(seed, number=number, function="media", size=120_000, rtt_ms=60, goodput_kbps=300, link_loss=0)
    rng = np.random.default_rng([seed, number])
    for exchange in round_.exchanges:
        outcome = exchange.outcome
        if exchange.spec.arm.payload == "original":
            rows = outcome.arrivals[1:]
            for i in np.flatnonzero(rng.random(len(rows)) < lost):
                for j in range(i, min(i + 4, len(rows))):
                    rows[j] = (max(rows[j][0], rows[i][0] + 0.12), rows[j][1])
            rows = [(max(at for at, _ in rows[: i + 1]), n) for i, (_, n) in enumerate(rows)]
            outcome.arrivals = [outcome.arrivals[0], *rows]
            outcome.finished = rows[-1][0]
    return round_


def test_on_a_slow_link_losses_show_by_the_pauses_that_they_make():
    for lost, decided in ((0.0, True), (0.1, False)):
        for seed in range(3):
            got = cell_evidence([crawling(seed, number, lost) for number in range(2)])
            assert (got.working["loss-in"] >= 100) is decided
