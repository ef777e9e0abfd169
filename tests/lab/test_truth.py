"""What a scenario makes true: the shipped ones against expectations written by hand, and the rules one by one."""

import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from ringback import catalogue
from ringback.lab import scenario, strength
from ringback.lab.operator.signatures import REALMS, recognise
from ringback.lab.operator.triggers import realms
from ringback.lab.rules import Action, Link, Scenario, Way
from ringback.lab.standing import standing
from ringback.lab.strength import Call, link_under
from ringback.lab.truth import network_truth, truth
from ringback.lab.wires import UNMARKED, cells
from ringback.record import Cell, Truth
from tests.lab.test_operator import call

KNOWN = catalogue.load()
EXPECTATIONS = Path(__file__).parent / "expectations"
SELECTS = ("network", "app", "function", "direction", "path")

VOICE = Cell("whatsapp", "voice", "outgoing", "relay")
TEXT = Cell("whatsapp", "text")
MEDIA = Cell("whatsapp", "media")
CELLS = {"voice": VOICE, "text": TEXT, "media": MEDIA}


def expected(entries: list[dict[str, Any]], network: str, cell: Cell, behind: bool) -> Truth:
    """By the first entry that selects the cell; `behind = true` selects only who sits behind the network's rules."""
    is_ = {"network": network, **msgspec.structs.asdict(cell)}
    for entry in entries:
        if all(entry[key] == is_[key] for key in SELECTS if key in entry) and entry.get("behind", behind) == behind:
            return Truth(**{key: value for key, value in entry.items() if key not in (*SELECTS, "behind")})
    return Truth(status="working")


@pytest.mark.parametrize("name", scenario.shipped())
def test_a_shipped_scenario_makes_true_what_was_written_down_by_hand(name: str) -> None:
    entries = tomllib.loads((EXPECTATIONS / f"{name}.toml").read_text("utf-8")).get("cell", [])
    read = scenario.load(name)
    for network in read.networks:
        for participant in range(network.participants):
            behind = len(standing(read, network, participant, read.seed)) == len(network.rules)
            for cell in cells(read):
                assert truth(read, network, participant, cell) == expected(entries, network.name, cell, behind), cell


def test_half_a_rule_has_one_or_two_of_three_participants_behind_it() -> None:
    read = scenario.load("2025-08-13")
    kazan = read.network("kazan-fixed")
    counts = {sum(bool(standing(read, kazan, i, seed)) for i in range(3)) for seed in range(30)}
    assert counts == {1, 2}


def ruled(
    match: str,
    trigger: str,
    action: str,
    *,
    more: str = "",
    top: str = "",
    link: str = "",
    extra: str = "",
) -> Scenario:
    """A scenario of one network with one rule at hop 2, and `extra` rules behind it."""
    text = f'name = "x"\n{top}[[network]]\nname = "n"\nasn = 64500\nregion = "RU"\nhops = 4\nlink = {{ {link} }}\n'
    text += f'[[network.rule]]\nhop = 2\nmatch = {{ {match} }}\ntrigger = "{trigger}"\naction = {{ {action} }}\n{more}'
    return scenario.parse(text + extra, "x.toml", KNOWN)


def another(match: str, trigger: str, action: str, hop: int) -> str:
    return f'[[network.rule]]\nhop = {hop}\nmatch = {{ {match} }}\ntrigger = "{trigger}"\naction = {{ {action} }}\n'


def of(read: Scenario, cell: Cell) -> Truth:
    return truth(read, read.networks[0], 0, cell)


STRENGTHS = [
    ("voice", 'kind = "drop"', True),
    ("voice", 'kind = "icmp"', True),
    ("voice", 'kind = "corrupt"', True),
    ("voice", 'kind = "drop-after", packets = 300', True),
    ("voice", 'kind = "drop-after", packets = 400', False),
    ("voice", 'kind = "drop-after", bytes = 25000', True),
    ("voice", 'kind = "drop-after", bytes = 60000', False),
    ("voice", 'kind = "loss", share = 0.15', True),
    ("voice", 'kind = "loss", share = 0.14', False),
    ("voice", 'kind = "delay", ms = 150', True),
    ("voice", 'kind = "delay", ms = 149', False),
    ("voice", 'kind = "police", kbps = 8, burst_kbytes = 4', True),
    ("voice", 'kind = "police", kbps = 8, burst_kbytes = 6', False),  # a burst of (15.7 - 8) x 5 / 8 = 4.8 kB at most
    ("voice", 'kind = "police", kbps = 14, burst_kbytes = 0.1', False),  # 0.8 of 15.7 is 12.6
    ("voice", 'kind = "shape", kbps = 12', True),
    ("voice", 'kind = "shape", kbps = 14', False),
    ("media", 'kind = "drop"', True),
    ("media", 'kind = "reset"', True),
    ("media", 'kind = "drop-after", bytes = 65536', True),
    ("media", 'kind = "drop-after", bytes = 70000', False),
    ("media", 'kind = "drop-after", packets = 25', True),
    ("media", 'kind = "police", kbps = 1000, burst_kbytes = 32', True),
    ("media", 'kind = "police", kbps = 1001, burst_kbytes = 32', False),
    ("media", 'kind = "police", kbps = 1000, burst_kbytes = 33', False),
    ("media", 'kind = "shape", kbps = 600', True),
    ("media", 'kind = "loss", share = 0.15', True),
    ("media", 'kind = "loss", share = 0.1', False),
    ("media", 'kind = "delay", ms = 5000', False),
    ("text", 'kind = "icmp"', True),
    ("text", 'kind = "drop-after", packets = 10', True),
    ("text", 'kind = "drop-after", packets = 11', False),
    ("text", 'kind = "drop-after", bytes = 4000', True),
    ("text", 'kind = "drop-after", bytes = 5000', False),
    ("text", 'kind = "loss", share = 0.30', True),
    ("text", 'kind = "loss", share = 0.29', False),
    ("text", 'kind = "delay", ms = 2000', True),
    ("text", 'kind = "delay", ms = 1999', False),
    ("text", 'kind = "police", kbps = 15, burst_kbytes = 2', True),
    ("text", 'kind = "police", kbps = 15, burst_kbytes = 3', False),
    ("text", 'kind = "police", kbps = 16, burst_kbytes = 2', False),
]


@pytest.mark.parametrize(("function", "action", "strong"), STRENGTHS)
def test_a_rule_is_scored_when_it_is_strong_enough(function: str, action: str, strong: bool) -> None:
    found = of(ruled(f'app = "whatsapp", function = "{function}"', "payload", action), CELLS[function])
    assert (found.status, found.scored) == (("restricted", True) if strong else ("working", False))
    assert (found.mechanism != "none") is strong


def test_a_limiter_of_media_must_be_below_half_of_the_link() -> None:
    police = ('app = "whatsapp", function = "media"', "payload", 'kind = "police", kbps = 800, burst_kbytes = 20')
    assert of(ruled(*police, link="down_kbps = 1700"), MEDIA).status == "restricted"
    assert of(ruled(*police, link="down_kbps = 1500"), MEDIA).status == "working"


TRIGGERS = [
    ('app = "whatsapp"', "payload", {"voice", "text", "media"}),
    ('app = "whatsapp", function = "voice"', "destination", {"voice"}),
    ('app = "telegram", function = "voice"', "destination", set()),
    ('app = "signal", function = "voice"', "port", {"voice"}),  # 3478 is WhatsApp's as well
    ('app = "telegram", function = "voice"', "port", set()),
    ('app = "max", function = "text"', "port", {"text", "media"}),  # 443 is everybody's
    ('app = "whatsapp", function = "text"', "sni", {"text"}),
    ('app = "whatsapp"', "sni", {"text", "media"}),
    ('app = "whatsapp"', "dns", {"text", "media"}),
    ('app = "telegram"', "sni", set()),
    ("all = true", "payload", {"voice", "text", "media"}),
    ('site = "example.org"', "sni", set()),
    ('vpn = "wireguard"', "payload", set()),
]


@pytest.mark.parametrize(("match", "trigger", "hit"), TRIGGERS)
def test_a_rule_acts_where_its_trigger_recognises_the_cells_wire(match: str, trigger: str, hit: set[str]) -> None:
    read = ruled(match, trigger, 'kind = "drop"')
    assert {name for name, cell in CELLS.items() if of(read, cell).status == "restricted"} == hit
    for name in hit:
        assert (of(read, CELLS[name]).trigger, of(read, CELLS[name]).hop_asn) == (trigger, 64500)


def test_a_reset_leaves_calls_alone() -> None:
    read = ruled('app = "whatsapp"', "payload", 'kind = "reset"')
    assert [of(read, CELLS[f]).status for f in ("voice", "text", "media")] == ["working", "restricted", "restricted"]
    assert of(read, VOICE).scored


def test_plain_ice_from_peer_to_peer_shows_no_app_to_truth_and_signatures_alike() -> None:
    known = {**REALMS, **realms(KNOWN)}
    for app in KNOWN.apps:
        for form, route in (("relay-call", "relay"), ("p2p-call", "p2p")):
            seen = any(recognise(data, known) for _, _, data in call(app, form=form))
            assert seen is ((app, form) not in UNMARKED)
            read = ruled(f'app = "{app}", function = "voice"', "payload", 'kind = "drop"')
            status = of(read, Cell(app, "voice", "incoming", route)).status  # type: ignore[arg-type]
            assert status == ("restricted" if seen else "working")


def test_the_strongest_rule_is_named_then_the_nearest_then_the_first() -> None:
    whose = 'app = "whatsapp", function = "voice"'
    loss = (whose, "payload", 'kind = "loss", share = 0.5')
    first = of(ruled(*loss, extra=another(whose, "port", 'kind = "drop-after", packets = 9', 4)), VOICE)
    assert (first.mechanism, first.hop, first.trigger, first.loss) == ("drop-after", 4, "port", None)
    nearer = of(ruled(*loss, extra=another(whose, "port", 'kind = "loss", share = 0.4', 1)), VOICE)
    assert (nearer.hop, nearer.loss) == (1, 0.4)
    same = of(ruled(*loss, extra=another(whose, "port", 'kind = "loss", share = 0.4', 2)), VOICE)
    assert same.loss == 0.5
    weak = of(ruled(*loss, extra=another(whose, "port", 'kind = "drop-after", packets = 9999', 1)), VOICE)
    assert weak.mechanism == "loss", "a rule that is not scored names nothing"


def test_a_countrys_rule_comes_before_the_networks_at_the_same_hop() -> None:
    top = '[[rule]]\nhop = 2\nmatch = { app = "whatsapp" }\ntrigger = "payload"\n'
    top += 'action = { kind = "loss", share = 0.6 }\n'
    read = ruled('app = "whatsapp"', "payload", 'kind = "loss", share = 0.5', top=top)
    assert of(read, VOICE).loss == 0.6


# -- status, the first that applies -----------------------------------------------------------------------------


def test_a_service_that_is_down_comes_first() -> None:
    read = ruled('app = "whatsapp"', "payload", 'kind = "drop"', top='down = ["whatsapp"]\n')
    assert of(read, VOICE) == Truth(status="service-down")


def test_offline_impairs_everything_and_a_white_list_what_it_leaves_out() -> None:
    nothing = ruled("all = true", "not-listed", 'kind = "drop"', more="listed = []\n")
    some = ruled(
        "all = true",
        "not-listed",
        'kind = "drop"',
        more='listed = ["max", "peer"]\n',
        top='paths = ["direct", "vpn"]\n',
    )
    assert (of(nothing, Cell("max", "text")).status, network_truth(nothing, nothing.networks[0], 0).state) == (
        "impaired",
        "offline",
    )
    assert network_truth(nothing, nothing.networks[0], 0).udp == "blocked"
    assert of(some, TEXT) == Truth(
        status="impaired", mechanism="drop", trigger="not-listed", hop=2, hop_asn=64500, scored=True
    )
    assert of(some, Cell("max", "text")).status == "working"
    assert of(some, Cell("max", "text", path="vpn")).trigger == "not-listed", "the exit never is listed"
    closing = network_truth(some, some.networks[0], 0)
    assert (closing.state, closing.udp) == ("whitelist", "open")


def test_all_udp_refused_impairs_calls_before_any_restriction_and_leaves_text() -> None:
    extra = another('app = "whatsapp"', "payload", 'kind = "drop"', 1)
    read = ruled("all = true", "transport", 'kind = "icmp"', extra=extra)
    assert (of(read, VOICE).status, of(read, VOICE).trigger, of(read, VOICE).mechanism) == (
        "impaired",
        "transport",
        "icmp",
    )
    assert of(read, TEXT).status == "restricted"
    assert network_truth(read, read.networks[0], 0).udp == "blocked"


def test_all_udp_throttled_impairs_calls_only_where_nothing_singles_them_out() -> None:
    throttle = ("all = true", "transport", 'kind = "loss", share = 0.4')
    assert of(ruled(*throttle), VOICE).status == "impaired"
    assert of(ruled(*throttle), VOICE).loss == 0.4
    both = ruled(*throttle, extra=another('app = "whatsapp"', "payload", 'kind = "drop"', 3))
    assert (of(both, VOICE).status, of(both, VOICE).mechanism) == ("restricted", "drop")
    assert network_truth(both, both.networks[0], 0).udp == "limited"
    for short in ('kind = "loss", share = 0.05', 'kind = "delay", ms = 200'):  # bad, and yet one can talk
        found = of(ruled("all = true", "transport", short), VOICE)
        assert (found.status, found.scored) == ("working", False)


@pytest.mark.parametrize(
    "action",
    [
        'kind = "drop-after", packets = 30',
        'kind = "police", kbps = 6, burst_kbytes = 2',
        'kind = "shape", kbps = 6',
        'kind = "delay", ms = 1500',
    ],
)
@pytest.mark.parametrize("way", ["both", "in"])
def test_what_leaves_no_call_usable_impairs_all_of_them(action: str, way: str) -> None:
    read = ruled("all = true", "transport", action, more=f'direction = "{way}"\n')
    found = of(read, VOICE)
    wanted = "working" if way == "in" and "delay" in action else "impaired"
    assert found.status == wanted


@pytest.mark.parametrize(
    ("link", "impaired"),
    [
        ("loss = 0.02, loss_burst = 6, rtt_ms = 60", set()),
        ("loss = 0.35, loss_burst = 1", {"voice", "media"}),
        ("loss = 0.5, loss_burst = 4", {"voice", "media", "text"}),
        ("down_kbps = 150, up_kbps = 100", {"media"}),
        ("rtt_ms = 2400, loss = 0", {"voice"}),
    ],
)
def test_a_link_may_leave_a_function_unusable_alone_and_then_nothing_is_scored(link: str, impaired: set[str]) -> None:
    read = ruled('app = "telegram"', "payload", 'kind = "drop"', link=link)
    found = {name: of(read, cell) for name, cell in CELLS.items()}
    assert {name for name, one in found.items() if one.status == "impaired"} == impaired
    assert {name for name, one in found.items() if not one.scored} == impaired
    telegram = of(read, Cell("telegram", "voice", "outgoing", "relay"))
    assert (telegram.status, telegram.scored) == ("restricted", "voice" not in impaired)


def test_a_longer_burst_makes_a_text_try_fail_sooner() -> None:
    assert not strength.text_unusable(Link(loss=0.3, loss_burst=1))
    assert strength.text_unusable(Link(loss=0.3, loss_burst=20))


# -- paths, residuals, time -------------------------------------------------------------------------------------

BOTH = 'paths = ["direct", "vpn"]\n'


def test_a_vpn_path_sees_rules_on_its_outer_protocol_alone() -> None:
    hidden = ruled('app = "whatsapp"', "payload", 'kind = "drop"', top=BOTH)
    assert of(hidden, Cell("whatsapp", "text", path="vpn")) == Truth(status="working")
    for trigger in ("payload", "port", "destination"):
        seen = ruled('vpn = "wireguard"', trigger, 'kind = "loss", share = 0.2', top=BOTH)
        for cell in cells(seen):
            found = of(seen, cell)
            wanted = ("restricted", trigger) if cell.path == "vpn" else ("working", None)
            assert (found.status, found.trigger) == wanted, "also of text, for which a loss of 0.2 alone is too weak"
    other = ruled('vpn = "openvpn"', "payload", 'kind = "drop"', top=BOTH)
    assert of(other, Cell("whatsapp", "text", path="vpn")).status == "working"


@pytest.mark.parametrize(
    ("residual", "trigger", "unscored"),
    [
        ("flow", "payload", set()),
        ("pair", "payload", {"direct"}),
        ("pair", "destination", set()),
        ("host", "payload", {"direct", "vpn"}),
        ("host", "destination", {"direct", "vpn"}),
    ],
)
def test_what_a_residual_block_can_reach_is_not_scored(residual: str, trigger: str, unscored: set[str]) -> None:
    more = f'residual_s = 60\nresidual = "{residual}"\n'
    read = ruled('app = "whatsapp", function = "voice"', trigger, 'kind = "drop"', more=more, top=BOTH)
    assert of(read, VOICE).scored, "its own traffic is what the rule is about"
    for path in ("direct", "vpn"):
        assert of(read, Cell("telegram", "text", path=path)).scored is (path not in unscored)


def test_a_residual_whose_trigger_nobody_pulls_reaches_nothing() -> None:
    more = 'residual_s = 60\nresidual = "host"\n'
    read = ruled('app = "signal"', "payload", 'kind = "drop"', more=more, top='apps = ["whatsapp"]\n')
    assert of(read, TEXT).scored


@pytest.mark.parametrize("action", ['kind = "loss", share = 0.02', 'kind = "delay", ms = 10', 'kind = "corrupt"'])
def test_a_block_that_matches_leave_is_a_drop_and_scored_only_where_the_action_itself_is(action: str) -> None:
    found = of(ruled('app = "whatsapp"', "payload", action, more="residual_s = 5\n"), VOICE)
    assert (found.status, found.mechanism, found.loss, found.delay_ms) == ("restricted", "drop", None, None)
    assert found.scored is ("corrupt" in action)
    gap = of(ruled('app = "whatsapp"', "payload", action, more="residual_s = 0.1\n"), VOICE)
    assert gap.status == ("restricted" if "corrupt" in action else "working")


def test_a_block_that_no_match_sets_off_is_none() -> None:
    for action in ('kind = "loss", share = 0.001', 'kind = "police", kbps = 500, burst_kbytes = 1'):
        found = of(ruled('app = "whatsapp"', "payload", action, more="residual_s = 5\n"), VOICE)
        assert (found.status, found.scored) == ("working", False), action
    everything = of(ruled("all = true", "transport", 'kind = "loss", share = 0.02', more="residual_s = 5\n"), VOICE)
    assert (everything.status, everything.mechanism, everything.scored) == ("impaired", "drop", False)


def test_a_rule_out_of_its_time_makes_nothing_true() -> None:
    over = ruled('app = "whatsapp"', "payload", 'kind = "drop"', more='until = "2025-08-13T09:00:00Z"\n')
    now = ruled('app = "whatsapp"', "payload", 'kind = "drop"', more='from = "2025-08-13T09:00:00Z"\n')
    assert (of(over, VOICE), of(now, VOICE).status) == (Truth(status="working"), "restricted")


def test_a_participant_who_is_not_behind_the_rule_is_not_restricted() -> None:
    read = ruled('app = "whatsapp"', "payload", 'kind = "drop"', more="share = 0.5\n")
    found = {bool(standing(read, read.networks[0], 0, seed)): seed for seed in range(20)}
    for behind, seed in found.items():
        told = truth(msgspec.structs.replace(read, seed=seed), read.networks[0], 0, VOICE)
        assert told.status == ("restricted" if behind else "working")
    assert set(found) == {True, False}


def test_a_policer_keeps_nothing_waiting_as_a_queue_does() -> None:
    """A quarter of WhatsApp's calls lost leaves a MOS over 2.5; the queue of a full link beside it does not."""
    for kind, status in (("police", "working"), ("shape", "impaired")):
        action = f'kind = "{kind}", kbps = 12'
        assert of(ruled("all = true", "transport", action, extra="[link]\nqueue_ms = 400\n"), VOICE).status == status


def queued(kind: Literal["police", "shape"], way: Way, kbps: float, **link: float) -> float:
    """ms that a call of 15 kbit/s each way waits where a rule of this rate and direction acts on all of it."""
    call = Call(15.0, 15.0, 1000, 100_000)
    action = Action(kind=kind, kbps=kbps, burst_kbytes=1.0, queue_ms=250.0 if kind == "shape" else None)
    return link_under(action, way, Link(queue_ms=400.0, **link), call).queue_ms


def test_a_limit_of_one_direction_leaves_the_others_queue() -> None:
    assert queued("police", "in", 12, up_kbps=14, down_kbps=30_000) == 400
    assert queued("police", "out", 12, up_kbps=14, down_kbps=30_000) == 0
    assert queued("police", "both", 12, up_kbps=14, down_kbps=13) == 0
    assert queued("police", "both", 12, up_kbps=10, down_kbps=30_000) == 400  # the link itself is narrower there
    assert queued("police", "in", 200, up_kbps=8000, down_kbps=100) == 400
    assert queued("shape", "in", 12, up_kbps=8000, down_kbps=30_000) == 250
    assert queued("shape", "in", 12, up_kbps=14, down_kbps=30_000) == 400
    assert queued("shape", "both", 12, up_kbps=10, down_kbps=11) == 400
