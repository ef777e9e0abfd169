"""Statements against measurements: answered only when the interval is on one side, and otherwise what is missing."""

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest

from ringback.errors import BadInput
from ringback.evidence.cells import Count, Key
from ringback.evidence.claims import Claim, Condition, Verdicts, answer, claims, timeline
from ringback.evidence.contrasts import Difference, between, each_against_the_rest, preference_gap
from ringback.evidence.observed import histories
from ringback.evidence.prevalence import prevalence
from ringback.record import Point

NOON = 1_755_086_400.0  # 13 August 2025, 12:00 UTC
LEDGER = {claim.id: claim for claim in claims()}


def verdicts(
    app: str, function: str, restricted: float, region: str = "RU-MOW", first: int = 0, **more: object
) -> list[Verdicts]:
    """Twenty participants on each of five networks, the first `restricted` share of them restricted."""
    return [
        Verdicts(
            Key(app, function, 64500 + first + net, region),
            NOON,
            f"p{i}",
            "restricted" if i < 20 * restricted else "working",
            **more,
        )  # type: ignore[arg-type]
        for net in range(5)
        for i in range(20)
    ]


def test_every_statement_keeps_who_date_source_and_mark() -> None:
    assert len(LEDGER) == 33
    for claim in LEDGER.values():
        assert claim.who
        assert claim.statement
        assert claim.source
        assert isinstance(claim.date, date)
        assert claim.mark in {"article", "article+found", "found", "memory"}
    assert [event.date for event in timeline()] == sorted(event.date for event in timeline())


def test_without_data_every_claim_is_untested_and_says_what_is_missing() -> None:
    answers = [answer(claim, []) for claim in LEDGER.values()]
    assert {one.answer for one in answers} == {"untested"}
    assert all(one.missing for one in answers)


def test_partial_restriction_of_calls_supports_c01() -> None:
    found = answer(LEDGER["C01"], verdicts("whatsapp", "voice", 0.6) + verdicts("telegram", "voice", 0.4))
    assert found.answer == "supported"
    assert found.interval is not None
    assert 0.02 < found.interval[0] < found.interval[1] < 0.98


def test_what_is_said_of_fixed_and_mobile_networks_is_untested_as_reports_tell_neither() -> None:
    for name in ("C07", "C08"):
        found = answer(LEDGER[name], verdicts("whatsapp", "voice", 0.6))
        assert (found.answer, found.estimate, found.interval) == ("untested", None, None)
        assert "whether a network is mobile or fixed" in (found.missing or "")


def test_one_app_alone_leaves_c01_untested() -> None:
    found = answer(LEDGER["C01"], verdicts("whatsapp", "voice", 0.6))
    assert found.answer == "untested"
    assert "telegram/voice" in (found.missing or "")


def test_calls_that_work_everywhere_contradict_c01() -> None:
    assert (
        answer(LEDGER["C01"], verdicts("whatsapp", "voice", 0) * 5 + verdicts("telegram", "voice", 0)).answer
        != "supported"
    )
    many = [v for k in range(6) for v in verdicts("whatsapp", "voice", 0, first=10 * k)]
    assert answer(LEDGER["C01"], many).answer == "contradicted"


def test_restricted_text_contradicts_that_nothing_but_calls_is_restricted() -> None:
    calls = verdicts("whatsapp", "voice", 0.8) + verdicts("telegram", "voice", 0.8)
    found = answer(LEDGER["C02"], calls + verdicts("whatsapp", "text", 0.7))
    assert found.answer == "contradicted"


def test_undecided_verdicts_are_no_evidence() -> None:
    undecided = [Verdicts(v.key, v.at, v.cluster, "insufficient") for v in verdicts("whatsapp", "voice", 0.6)]
    assert answer(LEDGER["C09"], undecided).answer == "untested"


def test_people_who_measure_every_day_under_another_name_count_once() -> None:
    once = [v for app in ("whatsapp", "telegram") for v in verdicts(app, "voice", 0.5, daily=True)]
    week = [replace(v, at=v.at + day * 86400, cluster=f"{v.cluster}/{day}") for v in once for day in range(6)]
    widths = []
    for seen in (once, week, [replace(v, daily=False) for v in week]):
        low, high = answer(LEDGER["C01"], seen).interval or (0, 0)
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0], rel=0.05)
    assert widths[2] < 0.6 * widths[0]


def test_other_days_do_not_count() -> None:
    later = [Verdicts(v.key, v.at + 30 * 86400, v.cluster, v.status) for v in verdicts("whatsapp", "voice", 0.6)]
    assert answer(LEDGER["C09"], later).answer == "untested"


def test_moscow_against_the_rest() -> None:
    here = verdicts("whatsapp", "voice", 0.9)
    assert answer(LEDGER["C05"], here + verdicts("whatsapp", "voice", 0.1, "RU-PRI", 50)).answer == "supported"
    assert (
        answer(
            LEDGER["C05"], verdicts("whatsapp", "voice", 0.1) + verdicts("whatsapp", "voice", 0.9, "RU-PRI", 50)
        ).answer
        == "contradicted"
    )
    assert answer(LEDGER["C05"], here).answer == "untested"


@pytest.mark.parametrize(("works", "said"), [(True, "supported"), (False, "contradicted"), (None, "untested")])
def test_a_tunnel_gets_around_it_or_does_not(works: bool | None, said: str) -> None:
    sessions = [v for app in ("whatsapp", "telegram") for v in verdicts(app, "voice", 1.0, bypassed=works)]
    assert answer(LEDGER["C03"], sessions).answer == said


def test_how_calls_are_restricted() -> None:
    degraded = [v for app in ("whatsapp", "telegram") for v in verdicts(app, "voice", 1.0, mechanism="loss")]
    refused = [v for app in ("whatsapp", "telegram") for v in verdicts(app, "voice", 1.0, mechanism="reset")]
    assert answer(LEDGER["C10"], degraded).answer == "supported"
    assert answer(LEDGER["C10"], refused).answer == "contradicted"


@pytest.mark.parametrize(
    ("change", "what"),
    [({"kind": "mood"}, "kind must be"), ({"abov": 1}, "unknown key"), ({"above": None}, "needs `above` or `below`")],
)
def test_a_misspelt_predicate_is_refused_with_its_place(change: dict[str, object], what: str) -> None:
    condition: dict[str, object] = {"kind": "share", "app": "whatsapp", "function": "voice", "above": 0.1} | change
    if condition["above"] is None:
        del condition["above"]
    row = {"id": "X1", "date": date(2025, 8, 13), "who": "w", "statement": "s", "source": "s", "mark": "found"}
    with pytest.raises(BadInput, match=what) as refused:
        claims({"claim": [row | {"conditions": [condition]}]})
    assert "X1" in str(refused.value)


def test_a_region_is_compared_with_another() -> None:
    cells = prevalence([Count(i, tuple((float(j < (16 if i < 4 else 2)), 1.0) for j in range(20))) for i in range(8)])
    posteriors = [cell.posterior for cell in cells if cell.posterior is not None]
    rng = np.random.default_rng(1)
    found = between(posteriors[:4], posteriors[4:], rng)
    assert found.settled
    assert found.value == pytest.approx(0.7, abs=0.15)
    assert not between(posteriors[:2], posteriors[2:4], rng).settled
    assert between([], posteriors, rng).value is None


def test_each_region_is_compared_with_all_others_and_judged_for_all_together() -> None:
    cells = prevalence([Count(i, tuple((float(j < (16 if i < 4 else 2)), 1.0) for j in range(20))) for i in range(8)])
    each = [cell.posterior for cell in cells if cell.posterior is not None]
    groups = {"a": each[:2], "b": each[2:4], "c": each[4:6], "d": each[6:]}
    found = each_against_the_rest(groups, np.random.default_rng(1))
    alone = between(groups["a"], each[2:], np.random.default_rng(1))
    assert found["a"].value == pytest.approx(alone.value, abs=0.01)
    assert (found["a"].interval or (1,))[0] < (alone.interval or (0,))[0]  # wider: four are judged
    assert [found[name].settled for name in "abcd"] == [True, True, True, True]
    assert [(found[name].value or 0) > 0 for name in "abcd"] == [True, True, False, False]
    assert each_against_the_rest({"a": each}, np.random.default_rng(1)) == {}


@pytest.mark.parametrize("kind", ["region", "two groups", "preference"])
def test_undecided_failures_may_all_or_none_have_been_restricted_in_a_contrast(kind: str) -> None:
    def contrast(doubtful: int) -> Difference:
        """Two in five restricted on each of four networks, and nothing on four others with so many in doubt."""
        some = [Count(i, ((1.0, 1.0),) * 16 + ((0.0, 1.0),) * 24) for i in range(4)]
        none = [Count(i + 4, ((0.0, 1.0),) * 40, doubtful=doubtful) for i in range(4)]
        own = [one.posterior for one in prevalence([*some, *none]) if one.posterior is not None]
        rng = np.random.default_rng(1)
        if kind == "region":
            return each_against_the_rest({"some": own[:4], "none": own[4:]}, rng)["some"]
        if kind == "two groups":
            return between(own[:4], own[4:], rng)
        return preference_gap(dict(enumerate(own[4:])), dict(enumerate(own[:4])), rng, verified=True)

    sure, doubted = contrast(0), contrast(40)
    assert sure.interval is not None
    assert doubted.interval is not None
    assert doubted.value == sure.value
    assert doubted.interval[0] == pytest.approx(sure.interval[0] - 0.5, abs=0.03)
    assert doubted.interval[1] == pytest.approx(sure.interval[1], abs=0.03)
    assert (sure.settled, doubted.settled) == (True, False)


@pytest.mark.parametrize("kind", ["region", "two groups", "preference"])
def test_networks_whose_failures_were_all_left_undecided_stand_in_a_contrast_too(kind: str) -> None:
    """A network on which every test timed out on its one try is the most doubtful of all, and decides nothing."""

    def contrast(undecided: int, *, here: bool = False) -> Difference:
        some = [Count(i, ((1.0, 1.0),) * 16 + ((0.0, 1.0),) * 24) for i in range(4)]
        none = [Count(i + 4, ((0.0, 1.0),) * 40) for i in range(4)]
        own = [one.posterior for one in prevalence([*some, *none])]
        blocked, spared = own[:4] + [None] * (undecided * here), own[4:] + [None] * (undecided * (not here))
        rng = np.random.default_rng(1)
        if kind == "region":
            return each_against_the_rest({"some": blocked, "none": spared}, rng)["some"]
        if kind == "two groups":
            return between(blocked, spared, rng)
        # on the same networks, of which the undecided ones decided the other app
        decided = own[4:5] * undecided
        blocked, spared = (blocked, spared + decided) if here else (blocked + decided, spared)
        return preference_gap(dict(enumerate(spared)), dict(enumerate(blocked)), rng, verified=True)

    sure = contrast(0)
    assert sure.interval is not None
    assert sure.settled
    for here in (False, True):
        doubted = contrast(12, here=here)
        assert doubted.interval is not None
        assert (doubted.value, doubted.n) == (sure.value, sure.n)
        if here:
            assert doubted.interval[1] == pytest.approx(0.25 * sure.interval[1] + 0.75, abs=0.03)
        else:
            share = 0.25 if kind == "preference" else 1.0  # of the networks where any is known to be restricted
            assert doubted.interval[0] == pytest.approx(share * sure.interval[0] - 0.75, abs=0.03)
            assert not doubted.settled


def test_a_region_of_undecided_failures_has_no_contrast_but_stands_among_the_others() -> None:
    some = [Count(i, ((1.0, 1.0),) * 16 + ((0.0, 1.0),) * 24) for i in range(4)]
    none = [Count(i + 4, ((0.0, 1.0),) * 40) for i in range(4)]
    own = [one.posterior for one in prevalence([*some, *none])]
    rng = np.random.default_rng(1)
    found = each_against_the_rest({"some": own[:4], "none": own[4:], "lost": [None] * 12}, rng)
    assert found.keys() == {"some", "none"}
    assert not found["some"].settled
    assert each_against_the_rest({"some": own[:4], "lost": [None]}, rng) == {}
    assert between(own[:4], [None], rng).withheld is not None
    assert preference_gap({1: None}, {1: own[0]}, rng, verified=True).withheld is not None


def test_the_preference_gap_is_withheld_while_the_comparators_wire_is_unverified() -> None:
    cells = prevalence([Count(i, tuple((float(j < 18 * (i % 2)), 1.0) for j in range(20))) for i in range(8)])
    posterior = [cell.posterior for cell in cells if cell.posterior is not None]
    free, blocked = dict(enumerate(posterior[::2])), dict(enumerate(posterior[1::2]))
    rng = np.random.default_rng(1)
    assert preference_gap(free, blocked, rng, verified=False).withheld == "the comparator's wire is unverified"
    gap = preference_gap(free, blocked, rng, verified=True)
    assert gap.value is not None
    assert gap.value > 0.6
    assert preference_gap(free, {}, rng, verified=True).value is None


def test_a_claim_of_events_counts_networks_with_an_onset_in_its_days() -> None:
    condition = Condition("event", "telegram", "text", above=0.1)
    claim = Claim("X", date(2026, 3, 20), "w", "s", "s", "found", (condition,), country="RU")
    watched = [Key("telegram", "text", asn, "RU") for asn in range(40)]
    assert answer(claim, [], [], watched).answer == "contradicted"
    assert answer(claim, [], [], watched[:2]).answer == "untested"
    assert answer(claim, [], [], [replace(key, region="US-CA") for key in watched]).answer == "untested"


@pytest.mark.parametrize("region", ["US-CA", "US", None])
def test_networks_elsewhere_or_of_unknown_country_say_nothing_of_a_country(region: str | None) -> None:
    both = [v for app in ("whatsapp", "telegram") for v in verdicts(app, "voice", 0.5)]
    here = answer(LEDGER["C01"], both)
    assert here.answer == "supported"
    assert here.elsewhere == 0
    abroad = [replace(v, key=replace(v.key, asn=(v.key.asn or 0) + 100, region=region), status="working") for v in both]
    mixed = answer(LEDGER["C01"], both + abroad)
    assert (mixed.estimate, mixed.interval, mixed.n) == (here.estimate, here.interval, here.n)
    alone = answer(LEDGER["C01"], [replace(v, key=replace(v.key, region=region)) for v in both])
    assert (alone.answer, alone.elsewhere) == ("untested", len(both))
    assert (alone.missing or "").startswith("in RU: ")
    assert f"{len(both)} verdicts of networks elsewhere or of unknown country don't count" in (alone.missing or "")


def test_every_network_known_to_be_in_the_country_counts_for_it_but_not_for_a_region() -> None:
    somewhere = verdicts("whatsapp", "voice", 0.5, "RU")
    assert answer(LEDGER["C09"], somewhere).answer == "supported"
    assert answer(LEDGER["C05"], verdicts("whatsapp", "voice", 0.9) + somewhere).answer == "untested"


def test_a_network_of_several_regions_is_in_the_country_they_share() -> None:
    def seen(region: str | None) -> Point:
        told = dict.fromkeys(Point.__struct_fields__) | {"time": datetime(2025, 8, 13, tzinfo=UTC), "id": str(region)}
        return Point(
            **told | {"status": "working", "source": "ringback", "rules": "1", "path": "direct", "region": region}
        )  # type: ignore[arg-type]

    series = {
        ("telegram", "text", asn): [seen(region) for region in regions]
        for asn, regions in enumerate([("RU-MOW", "RU-MOW", None), ("RU-MOW", "RU-SPE"), ("RU-MOW", "KZ-ALA"), (None,)])
    }
    keys = histories(series)[0]
    assert [(key.region, key.country) for key in keys] == [("RU-MOW", "RU"), ("RU", "RU"), (None, None), (None, None)]


@pytest.mark.parametrize("country", [None, "ru", "RUS"])
def test_a_claim_without_its_country_is_refused(country: str | None) -> None:
    row = {"id": "X1", "date": date(2025, 8, 13), "who": "w", "statement": "s", "source": "s", "mark": "found"}
    whole = {"claim": [row | {"not_measurable": "n"}]} | ({"country": country} if country else {})
    with pytest.raises(BadInput, match="country"):
        claims(whole)
