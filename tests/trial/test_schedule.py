"""What runs next, from nothing but how far each cell is."""

from collections.abc import Mapping
from typing import Any

import pytest

from ringback.record import Cell
from ringback.trial.cells import CellTrial
from ringback.trial.plan import Patience, form_plans, sizing
from ringback.trial.schedule import Schedule, most_calls, most_series
from ringback.verdict.evidence import CellEvidence
from tests.trial.ends import CATALOGUE
from tests.verdict.build import dns_round, stream_round

TEXT, MEDIA = Cell("whatsapp", "text"), Cell("whatsapp", "media")
OUTGOING = Cell("whatsapp", "voice", "outgoing", "relay")
INCOMING = Cell("whatsapp", "voice", "incoming", "relay")


def on_trial(*cells: Cell) -> list[CellTrial]:
    return [CellTrial(cell, form_plans(CATALOGUE, cell, replay=False), 16_000.0, 4) for cell in cells]


def scheduled(trials: list[CellTrial], **changes: Any) -> Schedule:
    usual: dict[str, Any] = {"paths": ["direct"], "mode": "default", "everywhere": True, "budget_s": None}
    return Schedule(trials, **{**usual, **changes})


def lanes(schedule: Schedule, running: Mapping[int, str] | None = None, elapsed: float = 0.0) -> list[tuple[Cell, str]]:
    return [(start.trial.cell, start.lane) for start in schedule.next(running or {}, elapsed)]


def decide(trial: CellTrial) -> None:
    trial.evidence = CellEvidence(1.0, {}, 500.0, {})


def test_texts_run_beside_one_call_at_a_time_and_downloads_wait_for_the_calls() -> None:
    text, out, inward, media = trials = on_trial(TEXT, OUTGOING, INCOMING, MEDIA)
    schedule = scheduled(trials)
    assert lanes(schedule) == [(TEXT, "text"), (OUTGOING, "voice")]
    out.series = text.series = 1
    assert lanes(schedule, {id(text): "text", id(out): "voice"}) == []
    decide(out)
    assert lanes(schedule, {id(text): "text"}) == [(INCOMING, "voice")]
    inward.series = 1
    decide(text)
    assert lanes(schedule) == [(MEDIA, "media")], "a second round of calls waits until all had their first"
    media.series = 1
    assert lanes(schedule) == [(INCOMING, "voice")]


def test_nothing_starts_that_the_budget_does_not_hold() -> None:
    schedule = scheduled(on_trial(TEXT, OUTGOING), budget_s=30.0)
    assert lanes(schedule, elapsed=0.0) == [(OUTGOING, "voice")], "a text series may take forty seconds"
    assert lanes(schedule, elapsed=20.0) == []
    assert schedule.affords(10.0, 20.0)
    assert not schedule.affords(10.1, 20.0)


@pytest.mark.parametrize(("everywhere", "again"), [(False, []), (True, [("vpn", "voice")])])
def test_a_later_path_measures_what_does_not_work_on_the_first(everywhere: bool, again: list[tuple[str, str]]) -> None:
    direct, over = trials = on_trial(OUTGOING, Cell("whatsapp", "voice", "outgoing", "relay", "vpn"))
    schedule = scheduled(trials, paths=["direct", "vpn"], everywhere=everywhere)
    direct.series = 1
    decide(direct)
    assert lanes(schedule) == []
    assert schedule.path == "direct"
    assert schedule.advance()
    assert [(cell.path, lane) for cell, lane in lanes(schedule)] == again
    assert not schedule.advance(), "that was the last path"
    direct.evidence = CellEvidence(50_000.0, {}, 0.0, {})
    assert lanes(schedule) == [(over.cell, "voice")], "what is restricted directly is of interest there"


def test_a_quick_session_hears_one_cell_of_calls_in_full_and_of_several_a_sample() -> None:
    def length(*cells: Cell) -> str:
        return scheduled(on_trial(*cells), mode="quick").next({}, 0.0)[-1].length

    assert length(OUTGOING) == "full"
    assert length(OUTGOING, INCOMING) == "sample"
    assert [most_series("quick", "voice", calls) for calls in (1, 2)] == [2, 1]
    assert most_series("default", "voice", 8) == 4


@pytest.mark.parametrize(("kbps", "width"), [(800, "usual"), (300, "usual"), (128, "pair")])
def test_on_a_thin_link_calls_run_alone_and_more_often(kbps: float, width: str) -> None:
    text, out, *_ = trials = on_trial(TEXT, OUTGOING, INCOMING, MEDIA)
    schedule, size = scheduled(trials), sizing(kbps, 30_000, 35)
    assert [start.lane for start in schedule.next({}, 0.0, size)] == ["text"]
    assert schedule.next({id(text): "text"}, 0.0, size) == []
    decide(text)
    [start] = schedule.next({}, 0.0, size)
    assert (start.trial, start.lane, start.width) == (out, "alone", width)
    assert schedule.next({id(out): "alone"}, 0.0, size) == [], "nor does anything start beside them"
    out.series = 1
    assert [start.trial for start in schedule.next({}, 0.0, size)] == [out], "a budget may hold one cell's rounds"
    assert most_calls(4, size) > 4 == most_calls(4, sizing(850, 30_000, 35))
    quick = scheduled(on_trial(TEXT, OUTGOING), mode="quick").next({}, 0.0, size)
    assert [(start.lane, start.width) for start in quick] == [("text", "usual"), ("voice", "usual")]


def test_a_budget_knows_that_rounds_beside_each_other_take_longer_on_a_thin_link() -> None:
    media, thin = Cell("telegram", "media"), sizing(500, 4_000, 35)
    assert (thin.media_rounds, on_trial(media)[0].streams) == (1, 2)
    for budget, starts in ((1.5 * thin.media_seconds, 0), (2 * thin.media_seconds, 1)):
        assert len(scheduled(on_trial(media), budget_s=budget).next({}, 0.0, thin)) == starts


@pytest.mark.parametrize(("mode", "budget"), [("default", 100.0), ("quiet", 100.0)])
def test_a_budget_knows_that_patience_takes_longer(mode: str, budget: float) -> None:
    size = sizing(4_000, 4_000, 35, 0.5)
    for patience, starts in ((1.0, 1), (4.0, 0)):
        schedule = scheduled(on_trial(MEDIA), mode=mode, budget_s=budget)
        assert len(schedule.next({}, 0.0, size, Patience(patience))) == starts


def test_a_cell_costs_the_time_in_which_any_of_its_rounds_ran() -> None:
    [text] = on_trial(TEXT)
    assert text.seconds == 0
    for began, ended in ((10.0, 50.0), (8.0, 13.0), (12.0, 20.0), (60.0, 61.5)):
        text.ran(began, ended)
    assert text.seconds == (50.0 - 8.0) + 1.5


def test_where_most_questions_for_names_die_text_is_judged_by_its_streams() -> None:
    """All UDP may lose half, each way: what is then known of names is known of UDP."""
    for loss, streams_alone in ((0.5, True), (0.02, False)):
        trial = on_trial(TEXT)[0]
        for number in range(3):
            trial.add(stream_round(3, form="noise", number=3 * number))
            trial.add(stream_round(4, form="tls", number=3 * number + 1))
            trial.add(dns_round(5, number=3 * number + 2, link_loss=loss))
        trial.weigh()
        assert trial.evidence is not None
        assert ("answer" not in trial.evidence.working) is streams_alone
