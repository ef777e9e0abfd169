"""A quiet session: one pair at a time, and what it still finds out."""

from collections import Counter
from random import Random
from typing import Any

import pytest

from ringback.lab.country import Place, sim_net
from ringback.lab.run import far_end as lab_peer
from ringback.lab.run import session_settings
from ringback.lab.scenario import parse
from ringback.record import Cell, Verdict
from ringback.sim.world import World
from ringback.trial.cells import CellTrial
from ringback.trial.conclude import Where, conclude
from ringback.trial.pairs import FLOWS_OF_A_PAIR, draw_pairs, next_length
from ringback.trial.plan import Planned, Sizing, form_plans
from ringback.trial.seam import Close, Command, Ended, Event, Open
from ringback.trial.session import Session
from ringback.trial.terms import Result, Settings
from ringback.verdict.evidence import CellEvidence
from tests.trial.ends import CATALOGUE, far_end, open_session

GRANT = open_session(far_end())
CALL = Cell("whatsapp", "voice", "outgoing", "relay")

# -- how a round is drawn -----------------------------------------------------------------------------------------


def drawn(cell: Cell = CALL, form: str = "relay-call", seed: int = 1, rtt: float | None = 0.06) -> Planned:
    (plan,) = [p for p in form_plans(CATALOGUE, cell, replay=False) if p.form == form]
    return draw_pairs(cell, plan, 1, 1, GRANT, Random(seed), Sizing(rtt=rtt))


def pairs_of(planned: Planned) -> list[tuple[Any, Any]]:
    arms = [spec.arm for spec in planned.specs]
    return list(zip(arms[::2], arms[1::2], strict=True))


def test_each_pair_has_one_original_and_one_exchange_on_the_apps_port() -> None:
    planned = drawn()
    assert planned.drawn == "pairs"
    for one, other in pairs_of(planned):
        assert {one.payload, other.payload} == {"original", "control"}
        assert {one.port, other.port} == {"app", "other"}
    names = drawn(Cell("whatsapp", "text"), "dns")
    assert {(a.port, b.port) for a, b in pairs_of(names)} == {("app", "app")}, "a resolver is asked on port 53"


def test_both_labels_are_fair_throws_apart_from_each_other_and_from_the_other_pairs() -> None:
    rounds = [pairs_of(drawn(seed=seed)) for seed in range(2000)]
    seen = Counter((r[0][0].payload, r[0][0].port) for r in rounds)
    assert all(count == pytest.approx(500, abs=4 * 20) for count in seen.values())
    assert len(seen) == 4
    first_two = sum(r[0][0].payload == r[1][0].payload for r in rounds)
    assert first_two == pytest.approx(1000, abs=4 * 23)


@pytest.mark.parametrize(
    ("function", "form"), [("voice", "relay-call"), ("text", "noise"), ("text", "dns"), ("media", "tls")]
)
@pytest.mark.parametrize("rtt", [None, 0.005, 0.06, 0.6])
def test_a_pair_is_over_before_the_next_begins(function: str, form: str, rtt: float | None) -> None:
    cell = CALL if function == "voice" else Cell("whatsapp", function)
    planned = drawn(cell, form, rtt=rtt)
    ends = [start + spec.seconds for start, spec in zip(planned.starts, planned.specs, strict=True)]
    assert planned.starts == sorted(planned.starts)
    for slot in range(2, len(ends)):
        assert planned.starts[slot] > max(ends[: slot - slot % 2])


def test_calls_are_heard_in_full_until_only_what_strikes_here_and_there_is_left() -> None:
    trial = CellTrial(CALL, form_plans(CATALOGUE, CALL, replay=False), 16_000.0, 7)
    assert next_length(trial) == "full"
    trial.evidence = CellEvidence(1.0, {}, 3.0, {"police": 80.0, "loss-third": 3.0})
    assert next_length(trial) == "full"
    trial.evidence = CellEvidence(1.0, {}, 3.0, {"police": 180.0, "loss-third": 3.0})
    assert next_length(trial) == "sample"
    trial.evidence = CellEvidence(40.0, {}, 3.0, {"police": 180.0, "loss-third": 3.0})
    assert next_length(trial) == "full", "what is not seen early needs calls in full"


# -- whole sessions -----------------------------------------------------------------------------------------------

NETWORK = """
name = "quiet"
apps = ["{app}"]
[[network]]
name = "plain"
asn = 64500
region = "RU-MOW"
hops = 4
link = {{ rtt_ms = 60, loss = 0.005, up_kbps = 8000 }}
"""
RULE = """
[[network.rule]]
hop = 2
match = {{ app = "{app}", function = "{function}" }}
trigger = "{trigger}"
action = {{ {action} }}
"""


def quiet(
    app: str, functions: tuple[str, ...], rule: str = "", seed: int = 1, **more: Any
) -> tuple[Result, list[Verdict], list[tuple[float, str, Command | Event]]]:
    on = parse(NETWORK.format(app=app) + rule, "quiet.toml")
    place = Place(on, on.networks[0], 0, seed)
    base = session_settings(place, None, False)
    usual = {name: getattr(base, name) for name in Settings.__struct_fields__}
    near = Session(Settings(**{**usual, "functions": functions, "mode": "quiet", **more}), CATALOGUE, Random(seed))
    world = World(near, lab_peer(Random(seed + 1)), sim_net(place), seed, record=True)
    world.run(7200)
    result = near.result()
    found, _ = conclude(result, CATALOGUE, Where("plain", 0, None, None, "2025-08-13T09:00:00Z"), {})
    return result, [each.verdict for each in found], world.transcript


def most_open(transcript: list[tuple[float, str, Command | Event]]) -> int:
    """How many flows the participant ever had open at once."""
    flows: set[object] = set()
    most = 0
    for _, who, what in transcript:
        if who == "near" and isinstance(what, Open):
            flows.add(what.flow)
            most = max(most, len(flows))
        elif who == "near" and isinstance(what, (Close, Ended)):
            flows.discard(what.flow)
    return most


def test_never_more_than_two_flows_are_open_and_every_cell_is_decided_in_half_an_hour() -> None:
    apps = tuple(CATALOGUE.apps)
    result, verdicts, transcript = quiet("whatsapp", ("text", "media", "voice"), apps=apps, budget_s=1800.0)
    assert most_open(transcript) == FLOWS_OF_A_PAIR
    assert [v.status for v in verdicts] == ["working"] * 16
    assert result.seconds < 1800
    assert sum(trial.bytes for trial in result.trials) < 40e6


@pytest.mark.parametrize(
    ("function", "trigger", "action", "mechanism"),
    [
        ("voice", "payload", 'kind = "drop"', "drop"),
        ("voice", "payload", 'kind = "drop-after", packets = 25', "drop-after"),
        ("voice", "payload", 'kind = "loss", share = 0.3', "loss"),
        ("voice", "payload", 'kind = "police", kbps = 8, burst_kbytes = 4', "police"),
        ("voice", "port", 'kind = "drop"', "drop"),
        ("text", "sni", 'kind = "reset"', "reset"),
        ("text", "dns", 'kind = "nxdomain"', "dns"),
        ("media", "payload", 'kind = "police", kbps = 500, burst_kbytes = 16', "police"),
    ],
)
def test_what_is_restricted_is_found(function: str, trigger: str, action: str, mechanism: str) -> None:
    rule = RULE.format(app="whatsapp", function=function, trigger=trigger, action=action)
    _, verdicts, transcript = quiet("whatsapp", (function,), rule, directions=("outgoing",), tries=())
    assert most_open(transcript) == FLOWS_OF_A_PAIR
    (verdict,) = verdicts
    assert (verdict.status, verdict.basis, verdict.mechanism) == ("restricted", "randomised", mechanism)
    if mechanism == "drop-after":
        assert verdict.after_packets is not None
        assert abs(verdict.after_packets - 25) <= 1


def test_no_round_starts_that_the_budget_does_not_hold() -> None:
    result, verdicts, _ = quiet("signal", ("voice",), tries=(), budget_s=200.0)
    assert result.seconds < 200
    assert verdicts[0].status == "working", "one cell after the other, not all of them half"
    assert verdicts[1].status == "insufficient"
