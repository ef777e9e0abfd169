"""Devices that punish the host or the address pair: found from the slot that was drawn, and nobody else accused."""

import pytest

from ringback.lab.run import run_sim
from ringback.lab.scenario import parse
from ringback.record import Measurement, NetworkRecord

HEAD = """
name = "penalty"
apps = ["whatsapp"]
functions = {functions}
[[network]]
name = "network"
asn = 64500
region = "RU-MOW"
hops = 3
"""
RULE = """
[[network.rule]]
hop = 2
match = {{ app = "whatsapp", function = "{function}" }}
trigger = "{trigger}"
action = {{ {action} }}
residual_s = {seconds}
residual = "{what}"
"""


def told(text: str, seed: int) -> tuple[list[Measurement], NetworkRecord]:
    *measured, closing = run_sim(parse(text, "penalty.toml"), seed)
    return measured, closing  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("function", "trigger", "action", "what", "seconds", "mechanism"),
    [
        ("voice", "payload", 'kind = "drop"', "host", 60, "drop"),
        ("voice", "payload", 'kind = "drop-after", packets = 25', "pair", 20, "drop-after"),
        ("voice", "port", 'kind = "drop"', "host", 20, "drop"),
        ("text", "payload", 'kind = "drop"', "pair", 20, "drop"),
        ("media", "sni", 'kind = "reset"', "host", 180, "reset"),
    ],
)
def test_what_is_punished_is_found_and_named(
    function: str, trigger: str, action: str, what: str, seconds: int, mechanism: str
) -> None:
    rule = RULE.format(function=function, trigger=trigger, action=action, what=what, seconds=seconds)
    functions = '["text", "media", "voice"]' if what == "host" else f'["{function}"]'
    measured, closing = told(HEAD.format(functions=functions) + rule, 3)
    assert closing.state == "normal"
    for each in measured:
        assert each.truth is not None
        if each.truth.scored:
            assert (each.verdict.status, each.verdict.basis) == ("restricted", "randomised")
            assert (each.verdict.mechanism, each.verdict.trigger) == (mechanism, trigger)
            assert each.verdict.e_value is not None
            assert each.verdict.threshold is not None
            assert each.verdict.e_value >= each.verdict.threshold
            assert each.verdict.spillover
        else:  # what a block that others set off can reach
            assert each.verdict.status in ("working", "insufficient"), each.id


def test_where_nothing_but_udp_is_blocked_few_rounds_ask() -> None:
    rule = """
[[network.rule]]
hop = 1
match = { all = true }
trigger = "transport"
action = { kind = "drop" }
"""
    measured, _ = told(HEAD.format(functions='["voice"]') + rule, 3)
    assert {(m.verdict.status, m.verdict.trigger) for m in measured} == {("impaired", "transport")}
    assert not any(m.verdict.spillover for m in measured)


LISTED = """
[[network.rule]]
hop = 1
match = { all = true }
trigger = "not-listed"
action = { kind = "drop" }
listed = ["max", "peer"]
[[network.rule]]
hop = 2
match = { app = "max", function = "text" }
trigger = "sni"
action = { kind = "drop" }
residual_s = 20
residual = "pair"
"""


def test_a_penalty_beside_a_white_list_hides_no_white_list() -> None:
    head = HEAD.format(functions='["text", "voice"]').replace('["whatsapp"]', '["whatsapp", "max"]')
    measured, closing = told(head + LISTED, 4)
    assert closing.state == "whitelist"
    told_of = {(m.app, m.function): (m.verdict.status, m.verdict.trigger) for m in measured}
    assert told_of == {
        ("whatsapp", "text"): ("impaired", "not-listed"),
        ("whatsapp", "voice"): ("impaired", "not-listed"),
        ("max", "text"): ("restricted", "sni"),
        ("max", "voice"): ("working", None),
    }
