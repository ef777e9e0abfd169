"""How much is restricted: intervals that cover, cells that lean on their pool, and silence that is never green."""

import numpy as np
import pytest

from ringback.evidence.cells import Count
from ringback.evidence.prevalence import ErrorRates, correlation, prevalence, worth
from tests.evidence.populations import POPULATIONS, Population, coverage

CONTINUOUS = [p for p in POPULATIONS if not p.name.startswith("none")]


def alone(restricted: int, n: int, key: object = "cell", **more: int) -> Count:
    return Count(key, tuple((float(i < restricted), 1.0) for i in range(n)), **more)


def test_a_cell_without_a_decided_report_is_missing_and_never_green() -> None:
    silent, spoken = prevalence([Count("silent", (), insufficient=9), alone(0, 30, "spoken")])
    assert (silent.restricted, silent.interval, silent.insufficient) == (None, None, 9)
    assert spoken.restricted is not None
    assert spoken.restricted < 0.05


def test_reports_that_may_be_restricted_but_are_not_decided_widen_the_interval() -> None:
    (low, high), (wide_low, wide_high) = (
        one.interval or (0, 0) for one in prevalence([alone(10, 30, "sure"), alone(10, 30, "doubtful", doubtful=10)])
    )
    assert (wide_low, wide_high) == pytest.approx((0.75 * low, 0.75 * high + 0.25))
    assert alone(0, 30).of_all((0.0, 0.1)) == (0.0, 0.1)


def test_few_reports_lean_on_the_pool_and_many_stand_alone() -> None:
    def of(share: int) -> tuple[float, float]:
        pool = [alone(share * 4, 40, i) for i in range(20)]
        few, many = prevalence([alone(0, 1, "few"), alone(40, 80, "many"), *pool])[:2]
        return few.restricted or 0.0, many.restricted or 0.0

    (few_low, many_low), (few_high, many_high) = of(2), of(8)
    assert few_high > few_low + 0.3
    assert many_low == pytest.approx(many_high, abs=0.06)


def test_pools_do_not_lend_to_each_other() -> None:
    cells = [alone(1, 2, "here", pool=1), *(alone(30, 30, i, pool=2) for i in range(10))]
    apart = prevalence(cells)[0]
    assert apart.restricted == pytest.approx(prevalence(cells[:1])[0].restricted)


def test_one_participant_repeating_itself_is_not_many() -> None:
    crowd = [alone(10 if i % 2 else 0, 10, i) for i in range(8)]
    lone = Count("lone", ((50.0, 50.0),))
    repeating = [Count(f"r{i}", ((10.0, 10.0), (0.0, 10.0))) for i in range(8)]
    assert correlation(repeating) == pytest.approx(1.0)
    low, high = prevalence([lone, *repeating, *crowd])[0].interval or (0, 0)
    assert high - low > 0.5


def test_pseudonyms_of_several_days_are_the_people_of_the_busiest_one() -> None:
    week = alone(35, 70, participants=10, visits=70)  # as ten people would leave who measure for seven days
    assert worth(week, 0.0) == pytest.approx((5, 10))
    assert worth(alone(35, 70), 0.0) == (35, 70)  # probes or nets, which last
    mixed = Count("mixed", tuple((0.0, 1.0) for _ in range(90)), participants=10, visits=70)
    assert worth(mixed, 0.0)[1] == pytest.approx(30)
    (low, high), (few_low, few_high) = (one.interval or (0, 0) for one in prevalence([week, alone(5, 10, "ten")]))
    assert (low, high) == pytest.approx((few_low, few_high))


def test_the_verdicts_own_errors_are_taken_out() -> None:
    errors = ErrorRates(false_restricted=0.1, missed=0.2)
    shown = 0.1 + 0.5 * (0.8 - 0.1)  # half of the networks restricted
    found = prevalence([alone(round(400 * shown), 400)], errors)[0]
    low, high = found.interval or (0, 0)
    assert low < 0.5 < high
    assert high - low < 0.2
    assert 0.05 not in (low, high)


def test_nothing_restricted_anywhere_reaches_down_to_none() -> None:
    found = prevalence([alone(0, 40, i) for i in range(10)])
    assert all(cell.interval is not None and cell.interval[0] == 0 for cell in found)


def test_many_unrestricted_networks_do_not_answer_for_one_of_which_few_were_heard() -> None:
    some = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    pool = [alone(0, 40, i) for i in range(50)] + [alone(round(40 * share), 40, share) for share in some]
    few = prevalence([alone(0, 4, "few"), *pool])[0]
    assert few.restricted is not None
    assert few.restricted < 0.05  # most like it are not restricted
    assert few.interval is not None
    low, high = few.interval
    assert low == 0
    assert 0.25 < high < 0.6  # but if it is, a third may be: such networks show four clear people often enough


def test_weights_sum_to_one_and_quantiles_rise() -> None:
    cell = prevalence([alone(3, 10)])[0]
    assert cell.posterior is not None
    assert np.sum(cell.posterior.weights) == pytest.approx(1)
    quantiles = cell.posterior.quantiles([0.01, 0.3, 0.6, 0.99])
    assert quantiles == sorted(quantiles)


def test_intervals_cover_in_a_seeded_slice() -> None:
    covered, _, plain = np.mean([coverage(p, range(1000, 1004)) for p in CONTINUOUS], axis=0)
    assert 0.93 <= covered <= 0.97
    assert plain < 0.9  # what no pooling, no correction and no clusters would have given


@pytest.mark.validate
@pytest.mark.parametrize("population", POPULATIONS, ids=lambda p: p.name)
def test_intervals_cover_93_to_97_percent(population: Population) -> None:
    covered, _, _ = coverage(population, range(3000, 3060))
    assert covered >= 0.93
    # A share of exactly 0 or 1 is found whole: the interval is then that point, and covers more.
    assert covered <= (0.97 if population in CONTINUOUS else 1.0)


@pytest.mark.parametrize(
    ("clusters", "participants", "visits", "sources"),
    [
        (1, 0, 0, 1),  # one probe, however often it measured
        (4, 0, 0, 4),
        (6, 2, 6, 2),  # two people on three days
        (9, 2, 6, 5),  # and three probes besides
        (3, 5, 9, 3),  # of five people three had a decided verdict
    ],
)
def test_sources_are_people_of_one_day_and_an_imports_clusters(
    clusters: int, participants: int, visits: int, sources: int
) -> None:
    count = Count("x", ((1.0, 9.0),) * clusters, participants=participants, visits=visits)
    assert (count.sources, count.enough) == (sources, sources >= 3)
