"""A call's MOS against published values of the E-model, and measured figures against analytic ones."""

from dataclasses import dataclass

import numpy as np
import pytest

from ringback.record import DatagramOutcome, Lane
from ringback.verdict import quality


@dataclass(frozen=True)
class Codec:
    ie: float
    bpl: float


G711_PLC = Codec(0.0, 25.1)  # G.113 appendix I
OPUS = Codec(0.0, 20.0)


@pytest.mark.parametrize(
    ("r", "expected"),
    [(93.2, 4.41), (90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58), (0, 1.0), (-5, 1.0), (4, 1.0)],
)
def test_mos_of_a_rating_is_that_of_annex_b(r: float, expected: float) -> None:
    assert quality.mos_of_r(r) == pytest.approx(expected, abs=0.007)  # the table has two digits


@pytest.mark.parametrize(("delay", "expected"), [(0, 0.0), (100, 0.0), (200, 3.04), (400, 24.2), (500, 30.6)])
def test_delay_hurts_from_100_ms_on(delay: float, expected: float) -> None:
    assert quality.delay_impairment(delay) == pytest.approx(expected, abs=0.7)


def test_a_perfect_line_has_the_models_best_mos() -> None:
    assert quality.mos(0, 1, 50, 0, 20) == pytest.approx(4.41, abs=0.005)


def test_g729a_at_two_percent_random_loss_is_what_g113_says() -> None:
    assert quality.loss_impairment(2, 1, 11, 19) == pytest.approx(19.0, abs=0.01)
    assert quality.loss_impairment(0, 1, 11, 19) == 11


def test_bursts_hurt_more_than_the_same_loss_spread_out() -> None:
    assert quality.mos(5, 4, 50, 0, 20) < quality.mos(5, 1, 50, 0, 20)


def test_a_pattern_of_single_losses_has_burst_ratio_near_one_and_runs_have_more() -> None:
    rng = np.random.default_rng(1)
    assert quality.burst_ratio((rng.random(20_000) > 0.1).tolist()) == pytest.approx(1.0, abs=0.05)
    runs = ([True] * 27 + [False] * 3) * 50
    assert quality.burst_ratio(runs) == pytest.approx(3 * 0.9)
    assert quality.burst_ratio([True] * 5) == 1.0
    assert quality.burst_ratio([False] * 5) == 1.0


def call(
    arrived: np.ndarray, rtt_ms: float, jitter_ms: float, rng: np.random.Generator, offset: float
) -> DatagramOutcome:
    """One call, 50 packets a second each way, the far clock `offset` seconds ahead."""

    def lane(got: np.ndarray, sender: float, receiver: float) -> Lane:
        at = [i / 50 for i in range(len(got))]
        delay = rtt_ms / 2000 + rng.normal(0, jitter_ms / 1000, len(got))
        return Lane(
            scheduled=at,
            sizes=[120] * len(got),
            sent=[t + sender for t in at],
            received=[t + receiver + float(d) if ok else None for t, d, ok in zip(at, delay, got, strict=True)],
        )

    return DatagramOutcome(outward=lane(arrived, 0.0, offset), inward=lane(arrived, offset, 0.0))


def gilbert(count: int, loss: float, burst: float, rng: np.random.Generator) -> np.ndarray:
    leave, enter = 1 / burst, loss / (1 - loss) / burst
    bad, out = False, []
    for draw in rng.random(count):
        bad = draw >= leave if bad else draw < enter
        out.append(not bad)
    return np.array(out)


@pytest.mark.parametrize(("rtt", "jitter", "loss", "burst"), [(40, 5, 0.005, 3), (60, 5, 0.05, 1), (300, 10, 0.1, 2)])
def test_a_measured_call_is_as_good_as_its_link_says(rtt: float, jitter: float, loss: float, burst: float) -> None:
    rng = np.random.default_rng(2)
    scores = [
        quality.call_mos(call(gilbert(1000, loss, burst, rng), rtt, jitter, rng, offset=17.0), OPUS) for _ in range(30)
    ]
    assert np.mean(scores) == pytest.approx(quality.link_mos(rtt, jitter, loss, burst, OPUS), abs=0.1)


def test_bursts_are_seen_whole_although_parallel_flows_share_them() -> None:
    rng = np.random.default_rng(3)
    pattern = gilbert(12_000, 0.05, 4, rng)
    lanes = [
        Lane(
            scheduled=[(24 * i + k) / 1000 for i in range(500)],
            sizes=[100] * 500,
            sent=[(24 * i + k) / 1000 for i in range(500)],
            received=[1.0 if ok else None for ok in pattern[k::24]],
        )
        for k in range(24)
    ]
    alone = quality.loss_burst_ratio(0.05, 4)
    assert quality.shared_burst_ratio(lanes) == pytest.approx(alone, rel=0.15)
    assert np.mean([quality.burst_ratio([r is not None for r in lane.received]) for lane in lanes]) < 1.6


def test_a_direction_in_which_nothing_comes_is_a_call_of_one() -> None:
    rng = np.random.default_rng(4)
    outcome = call(np.ones(100, dtype=bool), 40, 5, rng, 0.0)
    outcome.inward.received = [None] * 100
    assert quality.call_mos(outcome, G711_PLC) == 1.0
    outcome.partner = "lost"
    assert quality.call_mos(outcome, G711_PLC) == 1.0


def test_late_packets_are_lost_to_the_listener() -> None:
    rng = np.random.default_rng(5)
    steady = call(np.ones(400, dtype=bool), 40, 2, rng, 0.0)
    before = quality.call_mos(steady, OPUS)
    steady.inward.received = [
        at + 0.5 if at is not None and i % 5 == 0 else at for i, at in enumerate(steady.inward.received)
    ]
    assert quality.call_mos(steady, OPUS) < before - 0.5


def test_a_direction_in_which_nothing_was_due_yet_is_not_held_against_a_call() -> None:
    """A captured call of two questions, both answered after the second one."""
    first = Lane(scheduled=[0.0, 0.25], sizes=[20, 20], sent=[0.0, 0.25], received=[17.02, 17.27])
    back = Lane(scheduled=[0.37, 0.63], sizes=[32, 32], sent=[17.37, 17.63], received=[0.39, 0.65])
    assert quality.call_mos(DatagramOutcome(first, back), OPUS) > 4
    lost = Lane(scheduled=[0.0, 0.25], sizes=[20, 20], sent=[0.0, 0.25], received=[None, None])
    assert quality.call_mos(DatagramOutcome(lost, back), OPUS) == 1.0


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 100, 331])
def test_quartiles_of_delays_are_numpys_own_to_the_bit(count):
    delays = sorted(np.random.default_rng(count).normal(size=count).tolist())
    found = [quality._quantile(delays, share) for share in (0.25, 0.5, 0.75)]
    assert found == np.percentile(delays, [25, 50, 75]).tolist()
