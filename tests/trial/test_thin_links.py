"""Links on which our own exchanges could crowd each other out: measuring must not be what makes them unusable."""

import numpy as np
import pytest

from ringback.lab.country import places
from ringback.lab.run import in_virtual_time, rows
from ringback.lab.scenario import parse
from ringback.record import Cell, Measurement, Round
from ringback.trial.cells import CellTrial
from ringback.trial.granted import IDLE_LIFE, ROUND_LIFE
from ringback.trial.plan import LONGEST_MEDIA_LIFE, SLOW_TEXT_LIFE, Patience, Sizing, form_plans, sizing
from ringback.trial.probe import MOST_PATIENCE, Link
from ringback.trial.schedule import Schedule
from tests.trial.ends import CATALOGUE
from tests.verdict.build import stream_round

APPS = ("whatsapp", "telegram", "signal", "max")
THIN = """
name = "thin"
apps = ["{apps}"]
functions = ["{function}"]
[[network]]
name = "thin"
asn = 64500
region = "RU-MOW"
hops = 4
link = {{ up_kbps = {kbps}, down_kbps = {kbps}, {link}, queue_ms = 200 }}
{rule}
"""
RULE = """
[[network.rule]]
hop = 2
match = {{ app = "whatsapp", function = "{function}" }}
trigger = "payload"
action = {{ {action} }}
"""


def measured(
    kbps: int, function: str, link: str, seed: int, apps: tuple[str, ...] = ("whatsapp",), action: str | None = None
) -> tuple[list[Measurement], list[CellTrial]]:
    rule = "" if action is None else RULE.format(function=function, action=action)
    text = THIN.format(apps='", "'.join(apps), function=function, kbps=kbps, link=link, rule=rule)
    (place,) = places(parse(text, "thin.toml"), seed)
    result = in_virtual_time(place, None, None, False)
    return [row for row in rows(place, result) if isinstance(row, Measurement)], result.trials


def texts() -> list[CellTrial]:
    return [
        CellTrial(cell, form_plans(CATALOGUE, cell, replay=False), 16_000.0, 6)
        for cell in (Cell(app, "text") for app in APPS)
    ]


def started(schedule: Schedule, size: Sizing, running: dict[int, str] | None = None) -> list[str]:
    return [start.trial.cell.app for start in schedule.next(running or {}, 0.0, size)]


def test_texts_of_a_thin_link_run_as_many_side_by_side_as_it_bears() -> None:
    trials = texts()
    schedule = Schedule(trials, ["direct"], "default", True, None)
    assert started(schedule, Sizing()) == list(APPS)
    assert started(schedule, sizing(8_000, 30_000, 35)) == list(APPS)
    assert started(schedule, sizing(180, 180, 35)) == ["whatsapp"], "of two forms, the others wait"
    assert started(schedule, sizing(180, 180, 35), {id(trials[0]): "text"}) == []


def test_forms_of_one_cell_are_further_apart_where_the_link_bears_one() -> None:
    usual, thin = sizing(8_000, 30_000, 35), sizing(70, 70, 35)
    assert usual.beside(2) == usual
    assert thin.beside(2).text_gap == 2 * thin.text_gap
    assert thin.beside(2).text_seconds > thin.text_seconds


def test_media_of_a_thin_link_waits_for_text() -> None:
    text, media = (
        CellTrial(cell, form_plans(CATALOGUE, cell, replay=False), 16_000.0, 6)
        for cell in (Cell("whatsapp", "text"), Cell("whatsapp", "media"))
    )
    schedule = Schedule([text, media], ["direct"], "default", True, None)
    for kbps, functions in ((8_000, ["text", "media"]), (400, ["text"])):
        starts = schedule.next({}, 0.0, sizing(kbps, kbps, 35))
        assert [start.trial.cell.function for start in starts] == functions


@pytest.mark.parametrize("kbps", [120, 180, 250, 300, 400])
def test_media_has_the_time_that_its_bytes_take_on_the_link(kbps: int) -> None:
    size = sizing(kbps, kbps, 35, 0.06)
    alone = (size.upload + size.download) / (kbps * 125)
    assert alone * 1.2 < size.media_life <= LONGEST_MEDIA_LIFE
    assert size.media_gap * kbps * 125 > size.upload


@pytest.mark.parametrize("kbps", [100, 180, 220, 300, 450, 600, 900])
@pytest.mark.parametrize("patience", [Patience(), MOST_PATIENCE])
def test_a_peer_keeps_the_session_while_two_rounds_of_a_thin_link_run(kbps: int, patience: Patience) -> None:
    size = sizing(kbps, kbps, 35, 0.1).beside(2).patient(patience)
    assert size.media_seconds < 0.95 * IDLE_LIFE
    assert size.text_seconds < ROUND_LIFE + 60


def text_round(unfinished: int) -> Round:
    each = stream_round(1, function="text")
    controls = [x.outcome for x in each.exchanges if x.spec.arm.payload == "control"]
    for outcome in controls[:unfinished]:
        outcome.finished = None  # type: ignore[union-attr]
    return each


def test_text_whose_controls_were_cut_short_gets_more_time_and_on_a_thin_link_more_room() -> None:
    link = Link()
    link.fared("text", [text_round(1)], 1.0)
    assert link.patience == Patience()
    for began_with in (1.0, 2.0, 2.0):
        link.fared("text", [text_round(4)], began_with)
    assert link.patience == Patience(text=MOST_PATIENCE.text)
    for kbps, at_once_before, at_once_then in ((8_000, 3, 3), (180, 3, 2.5)):
        usual = sizing(kbps, kbps, 35)
        more = usual.patient(link.patience)
        assert more.text_life == SLOW_TEXT_LIFE
        assert usual.text_life / usual.text_gap == pytest.approx(at_once_before)
        assert more.text_life / more.text_gap == pytest.approx(at_once_then)


def test_text_of_four_apps_is_not_impaired_by_being_measured() -> None:
    found, _ = measured(180, "text", "rtt_ms = 60, loss = 0.01", 31, APPS)
    assert [row.verdict.status for row in found] == ["working"] * 4


def test_media_that_a_thin_link_bears_is_working_and_took_no_hour() -> None:
    ((row,), (trial,)) = measured(300, "media", "rtt_ms = 60, loss = 0.01", 31)
    assert row.verdict.status == "working"
    assert trial.series <= 4
    for each in trial.rounds:
        if each.form != "dns":
            starts = [x.started_at for x in each.exchanges]
            assert float(np.diff(starts).mean()) > 0.95 * each.exchanges[0].spec.seconds, "one after the other"


def test_media_that_the_link_cannot_bear_is_not_measured_on_and_on() -> None:
    ((row,), (trial,)) = measured(120, "media", "rtt_ms = 60, loss = 0.01", 31)
    assert row.verdict.status == "impaired"
    assert trial.series == 1


@pytest.mark.parametrize("action", ['kind = "drop"', 'kind = "police", kbps = 64, burst_kbytes = 8'])
def test_media_that_is_restricted_on_a_thin_link_is_told_from_the_link(action: str) -> None:
    ((row,), _) = measured(300, "media", "rtt_ms = 60, loss = 0.01", 31, action=action)
    assert row.verdict.status == "restricted"


def test_texts_of_a_thin_link_leave_a_budget_something_for_calls() -> None:
    call = Cell("whatsapp", "voice", "outgoing", "relay")
    trials = [*texts(), CellTrial(call, form_plans(CATALOGUE, call, replay=False), 16_000.0, 4)]
    for budget_s, then in ((200.0, ["voice"]), (None, ["text", "text"])):
        schedule = Schedule(trials, ["direct"], "default", True, budget_s)
        size = sizing(320, 320, 35)
        trials[0].series = 0
        assert [s.trial.cell.function for s in schedule.next({}, 0.0, size)] == ["text"] * 2
        trials[0].series = 1
        assert [s.trial.cell.function for s in schedule.next({}, 60.0, size)] == then


def test_rates_of_a_link_that_lets_no_train_through_are_those_of_the_fastest_transfers() -> None:
    link = Link()
    link.fared("text", [text_round(0)], 1.0)
    assert (link.up, link.down) == (None, None), "a message is no transfer"
    series = [stream_round(n, function="media", goodput_kbps=2_000, size=86_000, link_loss=0.02) for n in range(2)]
    link.fared("media", series, 1.0)
    assert link.up == pytest.approx(1_950, rel=0.1)
    assert link.down == pytest.approx(1_950, rel=0.1)
    link.fared("media", [stream_round(3, function="media", goodput_kbps=9_000)], 1.0)
    assert link.up < 2_200, "it is the first that is heard of it"
    assert link.sizing().upload > sizing(None, None, 35).upload


def test_media_of_a_slow_link_that_lets_no_datagrams_through_is_working() -> None:
    """Too short an upload is never ahead of the policer that is to be excluded, and the train that sizes it is UDP."""
    rule = '[[network.rule]]\nhop = 1\nmatch = { all = true }\ntrigger = "transport"\naction = { kind = "drop" }\n'
    text = THIN.format(apps="signal", function="media", kbps=2_000, link="rtt_ms = 60, loss = 0", rule=rule)
    (place,) = places(parse(text, "thin.toml"), 31)
    found = [row for row in rows(place, in_virtual_time(place, None, None, False)) if isinstance(row, Measurement)]
    assert [row.verdict.status for row in found] == ["working"]
