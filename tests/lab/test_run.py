"""Whole sessions in virtual time: one network, one rule, and what the verdicts say beside the truth."""

from dataclasses import replace
from random import Random

import pytest

from ringback.lab import country, scenario
from ringback.lab.hosts import hosts_of
from ringback.lab.run import far_end, rows, run_sim, session_settings
from ringback.record import Measurement, NetworkRecord
from ringback.sim.packet import Packet, Passage
from ringback.sim.world import World
from ringback.trial.session import Session

HEAD = """
name = "story"
apps = ["{app}"]
functions = {functions}
paths = {paths}
vpn = "{vpn}"

[[network]]
name = "network"
asn = 64500
region = "RU-MOW"
hops = 3
"""
RULE = """
[[network.rule]]
hop = 2
match = {{ {match} }}
trigger = "{trigger}"
action = {{ {action} }}
{more}
"""


def told(
    rule: str = "",
    app: str = "whatsapp",
    functions: tuple[str, ...] = ("voice",),
    paths: tuple[str, ...] = ("direct",),
    vpn: str = "wireguard",
) -> tuple[dict[tuple[str, str | None, str], Measurement], NetworkRecord]:
    """Measurements by (function, direction, path), and the network's closing record."""
    text = HEAD.format(app=app, functions=list(functions), paths=list(paths), vpn=vpn) + rule
    ran = list(run_sim(scenario.parse(text, "story.toml")))
    measured = {(r.function, r.direction, r.path): r for r in ran if isinstance(r, Measurement)}
    (network,) = [r for r in ran if isinstance(r, NetworkRecord)]
    for each in measured.values():
        assert each.truth
        assert each.verdict.status == each.truth.status, each
    return measured, network


def rule(match: str, trigger: str, action: str, more: str = "") -> str:
    return RULE.format(match=match, trigger=trigger, action=action, more=more)


CALLS = 'app = "whatsapp", function = "voice"'


@pytest.mark.parametrize(
    ("action", "mechanism"),
    [
        ('kind = "drop"', "drop"),
        ('kind = "drop-after", packets = 25', "drop-after"),
        ('kind = "loss", share = 0.25', "loss"),
        ('kind = "police", kbps = 8, burst_kbytes = 2', "police"),
        ('kind = "delay", ms = 200', "delay"),
        ('kind = "icmp"', "icmp"),
        ('kind = "corrupt"', "corrupt"),
    ],
)
def test_calls_known_by_their_bytes_are_found_restricted_and_how(action: str, mechanism: str) -> None:
    measured, network = told(rule(CALLS, "payload", action))
    for direction in ("outgoing", "incoming"):
        verdict = measured["voice", direction, "direct"].verdict
        assert (verdict.status, verdict.mechanism, verdict.trigger) == ("restricted", mechanism, "payload")
        assert verdict.basis == "randomised"
    assert network.state == "normal"


def test_a_network_without_rules_works_as_far_as_was_seen() -> None:
    measured, network = told(functions=("text", "media", "voice"))
    assert len(measured) == 4
    for each in measured.values():
        assert each.verdict.clear_to is not None
    assert (network.state, network.udp) == ("normal", "open")


def test_one_direction_of_a_call_is_enough() -> None:
    measured, _ = told(rule(CALLS, "payload", 'kind = "drop"', 'direction = "in"'))
    assert measured["voice", "outgoing", "direct"].verdict.mechanism == "drop"


def test_a_vpn_gets_around_it() -> None:
    measured, _ = told(rule(CALLS, "payload", 'kind = "drop"'), paths=("direct", "vpn"))
    assert measured["voice", "outgoing", "direct"].verdict.bypassed_by == ["vpn"]


def test_a_blocked_vpn_protocol_holds_for_every_cell_of_its_path() -> None:
    measured, _ = told(rule('vpn = "wireguard"', "payload", 'kind = "drop"'), paths=("direct", "vpn"))
    assert measured["voice", "incoming", "vpn"].verdict.status == "restricted"
    assert measured["voice", "incoming", "direct"].verdict.status == "working"


@pytest.mark.parametrize(
    ("action", "mechanism"),
    [('kind = "drop"', "drop"), ('kind = "icmp"', "icmp"), ('kind = "loss", share = 0.15', "loss")],
)
@pytest.mark.parametrize("paths", [("direct", "vpn"), ("vpn",)])
def test_a_blocked_exit_is_told_by_contrast_and_holds_for_every_cell_of_its_path(
    action: str, mechanism: str, paths: tuple[str, ...]
) -> None:
    measured, network = told(rule('vpn = "wireguard"', "destination", action), functions=("text",), paths=paths)
    verdict = measured["text", None, "vpn"].verdict
    assert (verdict.mechanism, verdict.trigger, verdict.basis) == (mechanism, "destination", "contrast")
    assert verdict.e_value is None
    assert network.state == "normal"


@pytest.mark.parametrize("trigger", ["payload", "port"])
def test_a_vpn_path_alone_tells_its_protocols_bytes_and_port_as_well(trigger: str) -> None:
    measured, _ = told(rule('vpn = "openvpn"', trigger, 'kind = "drop"'), functions=("text",), paths=("vpn",),
                       vpn="openvpn")  # fmt: skip
    verdict = measured["text", None, "vpn"].verdict
    assert (verdict.trigger, verdict.basis) == (trigger, "randomised")


@pytest.mark.parametrize(
    ("trigger", "more", "why"),
    [("transport", "", "transport"), ("not-listed", 'listed = ["max", "peer"]', "not-listed")],
)
def test_what_strikes_others_too_is_not_laid_at_the_exits_door(trigger: str, more: str, why: str) -> None:
    measured, _ = told(rule("all = true", trigger, 'kind = "drop"', more), functions=("text",), paths=("vpn",))
    assert measured["text", None, "vpn"].verdict.trigger == why


class Gone:
    """Nothing comes to the exit."""

    def packet(self, packet: Packet, outward: bool, now: float) -> tuple[Passage, ...]:
        return () if packet.dst == country.KNOWN.overlay.vpn_exit else ((now, packet, outward),)


def test_an_exit_that_answers_nowhere_accuses_nobody() -> None:
    text = HEAD.format(app="max", functions=["text"], paths=["direct", "vpn"], vpn="wireguard")
    (place,) = country.places(scenario.parse(text, "story.toml"), 1)
    net = country.sim_net(place)
    vpn = net.paths["vpn"]
    assert vpn.tunnel is not None
    dead = replace(vpn, boxes={1: Gone()}, tunnel=replace(vpn.tunnel, host=None))
    paths = {"direct": replace(net.paths["direct"], boxes={1: Gone()}), "vpn": dead}
    near = Session(session_settings(place, None, False), country.KNOWN, Random(1))
    World(near, far_end(Random(2)), replace(net, paths=paths), 1).run(7200.0)
    for row in rows(place, near.result()):
        if isinstance(row, Measurement):
            assert (row.path, row.verdict.status) in (("direct", "working"), ("vpn", "impaired"))


def test_a_dead_prefix_is_told_by_contrast_and_says_so() -> None:
    measured, _ = told(rule('app = "whatsapp"', "destination", 'kind = "drop"'), functions=("media", "voice"))
    for each in measured.values():
        assert (each.verdict.basis, each.verdict.trigger) == ("contrast", "destination")


def test_a_forged_name_is_a_restriction_by_dns() -> None:
    measured, _ = told(rule('app = "whatsapp"', "dns", 'kind = "nxdomain"'), functions=("text",))
    verdict = measured["text", None, "direct"].verdict
    assert (verdict.mechanism, verdict.trigger) == ("dns", "dns")


def test_without_udp_calls_are_impaired_and_text_goes_on() -> None:
    measured, network = told(rule("all = true", "transport", 'kind = "drop"'), functions=("text", "voice"))
    assert measured["voice", "outgoing", "direct"].verdict.trigger == "transport"
    assert measured["text", None, "direct"].verdict.status == "working"
    assert network.udp == "blocked"


def test_a_white_list_is_no_restriction_of_this_app() -> None:
    listed = rule("all = true", "not-listed", 'kind = "drop"', 'listed = ["max", "peer"]')
    measured, network = told(listed, functions=("media", "voice"))
    assert network.state == "whitelist"
    assert {each.verdict.trigger for each in measured.values()} == {"not-listed"}


def test_offline_is_offline() -> None:
    _, network = told(rule("all = true", "not-listed", 'kind = "drop"', "listed = []"))
    assert network.state == "offline"


def test_the_same_seed_gives_the_same_session() -> None:
    assert told() == told()


def test_a_site_that_the_catalogue_does_not_know_is_a_host_of_the_lab_like_any_other() -> None:
    listed = rule("all = true", "not-listed", 'kind = "drop"', 'listed = ["site:my-news.example"]')
    _, network = told(listed, functions=("text",))
    assert network.state == "whitelist"  # it answers, so the network is not offline
    _, network = told(listed + rule('site = "my-news.example"', "destination", 'kind = "drop"'), functions=("text",))
    assert network.state == "offline"
    _, network = told(listed + rule('site = "my-news.example"', "sni", 'kind = "drop"'), functions=("text",))
    assert network.state == "offline"
    read = scenario.parse(
        HEAD.format(app="max", functions=["text"], paths=["direct"], vpn="openvpn") + listed, "story.toml"
    )
    known = country.known_in(read)
    address = known.overlay.sites["my-news.example"]
    assert address not in {*country.KNOWN.overlay.hosts.values(), known.overlay.vpn_exit, known.overlay.peer}
    assert hosts_of(known)[address].listens("tcp", 443)
