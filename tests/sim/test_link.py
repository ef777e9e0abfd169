"""The link alone: loss, bursts, rate, queue, jitter, competing traffic."""

from itertools import groupby

import numpy as np
import pytest

from ringback.errors import BadInput
from ringback.sim.link import LOST, Link, LinkParameters, OneWay


def one_way(kbps=8000.0, seed=1, **parameters):
    defaults = {"loss": 0.0, "jitter_ms": 0.0} | parameters
    return OneWay(LinkParameters(**defaults), kbps, np.random.default_rng(seed))


def fates(way, count=400_000):
    return [way.admit(n * 0.01, 100) == LOST for n in range(count)]


@pytest.mark.parametrize(("loss", "burst"), [(0.02, 3), (0.1, 6), (0.3, 2), (0.5, 4)])
def test_loss_has_the_long_run_share_and_the_mean_burst_of_the_scenario(loss, burst):
    lost = fates(one_way(loss=loss, loss_burst=burst))
    bursts = [sum(1 for _ in run) for bad, run in groupby(lost) if bad]
    assert np.mean(lost) == pytest.approx(loss, rel=0.08)
    assert np.mean(bursts) == pytest.approx(burst, rel=0.05)


def test_a_burst_of_one_means_independent_losses():
    lost = np.array(fates(one_way(loss=0.2, loss_burst=1)))
    after_a_loss = lost[1:][lost[:-1]]
    assert lost.mean() == pytest.approx(0.2, rel=0.03)
    assert after_a_loss.mean() == pytest.approx(0.2, rel=0.05)


def test_no_loss_and_all_loss():
    assert not any(fates(one_way(loss=0.0), 10_000))
    assert all(fates(one_way(loss=1.0), 10_000))


def test_the_two_directions_lose_on_their_own():
    link = Link(LinkParameters(loss=0.3, jitter_ms=0), np.random.default_rng(1))
    assert fates(link.up, 1000) != fates(link.down, 1000)


def test_packets_queue_at_the_links_rate():
    way = one_way(kbps=80, rtt_ms=0)  # 1000 bytes take 0.1 s
    assert [way.admit(0.0, 1000) for _ in range(3)] == pytest.approx([0.1, 0.2, 0.3])
    assert way.admit(5.0, 500) == pytest.approx(5.05)


def test_the_full_queue_drops_the_newest_and_counts_it():
    way = one_way(kbps=80, rtt_ms=0, queue_ms=250)
    out = [way.admit(0.0, 1000) for _ in range(5)]
    assert out == pytest.approx([0.1, 0.2, 0.3, LOST, LOST])
    assert (way.dropped, way.lost, way.admitted) == (2, 0, 5)
    assert way.admit(0.06, 1000) == pytest.approx(0.4)  # room again


def test_the_mean_delay_is_half_the_round_trip_and_the_jitter_has_the_deviation_of_the_scenario():
    parameters = LinkParameters(rtt_ms=60, jitter_ms=5, loss=0, loss_burst=1)
    way = OneWay(parameters, 1e9, np.random.default_rng(1))
    delays = np.array([way.admit(n * 1.0, 100) - n for n in range(20_000)]) * 1e3
    assert delays.mean() + parameters.beyond_ms == pytest.approx(30, abs=0.2)
    assert delays.std() == pytest.approx(5, rel=0.05)
    assert delays.min() >= 0


def test_jitter_never_overtakes():
    way = one_way(jitter_ms=20, kbps=1e6)
    out = [way.admit(n * 0.001, 100) for n in range(10_000)]
    assert out == sorted(out)
    assert len(set(out)) < 9_000  # some waited behind a late one


def test_competing_traffic_fills_the_queue_in_turns():
    way = one_way(kbps=1000, rtt_ms=0, cross_kbps=900, queue_ms=1000)
    waits = np.array([way.admit(n * 0.02, 100) - n * 0.02 - 0.0008 for n in range(20_000)])
    assert 0.3 < (waits > 1e-6).mean() < 0.7
    full = one_way(kbps=1000, rtt_ms=0, cross_kbps=3000, queue_ms=50)
    assert 0.1 < np.mean([full.admit(n * 0.02, 100) == LOST for n in range(20_000)]) < 0.6


def test_the_same_seed_has_the_same_luck():
    assert fates(one_way(loss=0.1, seed=5), 5000) == fates(one_way(loss=0.1, seed=5), 5000)
    assert fates(one_way(loss=0.1, seed=5), 5000) != fates(one_way(loss=0.1, seed=6), 5000)


@pytest.mark.parametrize(
    "wrong", [{"loss": 1.5}, {"loss_burst": 0.5}, {"up_kbps": 0}, {"rtt_ms": -1}, {"queue_ms": -1}]
)
def test_parameters_that_mean_nothing_are_refused(wrong):
    with pytest.raises(BadInput):
        LinkParameters(**wrong)
