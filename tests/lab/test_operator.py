"""The operator is fed packets, and what leaves its boxes is read."""

import random
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import mean

import pytest

from ringback import catalogue
from ringback.flow import DatagramScript, StreamScript, forms_of, render
from ringback.lab.operator import Operator
from ringback.lab.operator.actions import WRONG_ADDRESS
from ringback.lab.operator.opening import read_opening
from ringback.lab.operator.signatures import REALMS, recognise
from ringback.lab.operator.triggers import realms
from ringback.lab.scenario import parse
from ringback.record import Arm, ExchangeSpec
from ringback.sim.packet import ACK, ICMP, PSH, RST, SYN, TCP, UDP, Packet, Passage
from ringback.wire import dns

KNOWN = catalogue.load()
ME, PEER, RESOLVER = KNOWN.overlay.participant, KNOWN.overlay.peer, KNOWN.overlay.resolver
ROUTERS = tuple(f"192.0.2.{200 + hop}" for hop in range(1, 6))
VOICE = 'app = "whatsapp", function = "voice"'
TEXT = 'app = "whatsapp", function = "text"'


def rule(match: str, trigger: str, action: str, more: str = "", hop: int = 2) -> str:
    text = f'[[network.rule]]\nhop = {hop}\nmatch = {{ {match} }}\ntrigger = "{trigger}"\naction = {{ {action} }}\n'
    return text + more


def operator(*rules: str, seed: int = 1) -> Operator:
    text = 'name = "x"\n[[network]]\nname = "n"\nasn = 1\nregion = "RU"\nhops = 5\n' + "".join(rules)
    read = parse(text, "x.toml")
    return Operator.of(read, read.networks[0], 0, seed, KNOWN, ROUTERS)


@dataclass
class Line:
    """One UDP flow through one hop."""

    operator: Operator
    remote: str = PEER
    port: int = 3478
    local: int = 40000
    hop: int = 2
    me: str = ME
    now: float = 0.0
    left: list[Passage] = field(default_factory=list)

    def send(self, data: bytes, outward: bool = True, at: float | None = None) -> tuple[Passage, ...]:
        self.now = self.now + 0.01 if at is None else at
        ends = (self.me, self.local, self.remote, self.port)
        packet = Packet(UDP, *(ends if outward else ends[2:] + ends[:2]), data, 28 + len(data))
        return self.operator.box(self.hop).packet(packet, outward, self.now)

    def passes(self, data: bytes, outward: bool = True, at: float | None = None) -> bool:
        left = self.send(data, outward, at)
        return len(left) == 1 and left[0][1].payload == data and left[0][2] == outward


def script(app: str, function: str, form: str, payload: str = "original", number: int = 1) -> object:
    entry = KNOWN.apps[app].functions[function]
    transport = "udp" if function == "voice" or form == "dns" else "tcp"
    direction = "outgoing" if function == "voice" else None
    arm = Arm(payload, "app")  # type: ignore[arg-type]
    spec = ExchangeSpec(
        *(number, app, function, direction, None, form, arm, transport, entry.app_port[form], 10.0, 100_000),  # type: ignore[arg-type]
    )
    return render(spec, bytes(32))


def call(app: str = "whatsapp", payload: str = "original", form: str = "relay-call") -> list[tuple[float, bool, bytes]]:
    """A call's packets in order: when, outward, bytes."""
    rendered = script(app, "voice", form, payload)
    assert isinstance(rendered, DatagramScript)
    both = [(s.at, True, s.data) for s in rendered.near] + [(s.at, False, s.data) for s in rendered.far]
    return sorted(both, key=lambda one: one[0])


def carried(line: Line, packets: Iterable[tuple[float, bool, bytes]]) -> list[bool]:
    return [line.passes(data, outward, at) for at, outward, data in packets]


def opening(app: str, function: str, form: str, payload: str = "original") -> bytes:
    rendered = script(app, function, form, payload)
    assert isinstance(rendered, StreamScript)
    return rendered.turns[0].data


class Wire:
    """One TCP connection, the participant's segments."""

    def __init__(self, operator: Operator, remote: str = PEER, port: int = 443, local: int = 50000) -> None:
        self.box = operator.box(2)
        self.ends = (ME, local, remote, port)
        self.now = 0.0

    def segment(self, payload: bytes, seq: int, flags: int = ACK | PSH, outward: bool = True) -> tuple[Passage, ...]:
        self.now += 0.01
        ends = self.ends if outward else self.ends[2:] + self.ends[:2]
        packet = Packet(TCP, *ends, payload, 40 + len(payload), seq=seq, ack=9000, flags=flags)
        return self.box.packet(packet, outward, self.now)

    def connect(self, base: int = 1000) -> bool:
        return len(self.segment(b"", base, SYN)) == 1


# -- signatures -------------------------------------------------------------------------------------------------

FORMS = [
    (app.name, entry.name, form, route)
    for app in KNOWN.apps.values()
    for entry in app.functions.values()
    for route in (("relay", "p2p") if entry.name == "voice" else (None,))
    for form in (plan.form for plan in forms_of(KNOWN, app.name, entry.name, route))
]
PLAIN_ICE = {("telegram", "p2p-call"), ("signal", "p2p-call"), ("max", "p2p-call")}


@pytest.mark.parametrize(("app", "function", "form", "route"), FORMS)
def test_a_signature_takes_its_own_app_and_function_and_never_a_control(
    app: str, function: str, form: str, route: str | None
) -> None:
    for payload in ("original", "control"):
        for number in range(1, 9):
            rendered = script(app, function, form, payload, number)
            if isinstance(rendered, StreamScript):
                seen = read_opening(rendered.turns[0].data)
                names = () if seen is None or seen.sni is None else catalogue.functions_with_host(KNOWN, seen.sni)
                labels = set(names) | ({seen.label} if seen and seen.label else set())
            else:
                assert isinstance(rendered, DatagramScript)
                known = {**REALMS, **realms(KNOWN)}
                labels = {recognise(send.data, known) for send in (*rendered.near, *rendered.far)} - {None}
            unknown = payload == "control" or form == "dns" or (app, form) in PLAIN_ICE
            assert labels == (set() if unknown else {(app, function)})


@pytest.mark.parametrize("vpn", KNOWN.vpns)
def test_a_vpns_outer_protocol_is_known_by_its_handshake_and_its_control_is_not(vpn: str) -> None:
    box = operator(rule(f'vpn = "{vpn}"', "payload", 'kind = "drop"'))
    for payload, passes in (("original", False), ("control", True)):
        arm = Arm(payload, "app")  # type: ignore[arg-type]
        spec = ExchangeSpec(1, vpn, "outer", "outgoing", None, "outer", arm, "udp", KNOWN.vpns[vpn].app_port, 2.0)
        rendered = render(spec, bytes(32))
        assert isinstance(rendered, DatagramScript)
        line = Line(box, port=51820, local=41000 + passes)
        assert line.passes(rendered.near[0].data) is passes


def test_an_openvpn_whose_handshake_is_wrapped_is_known_by_the_session_that_the_server_repeats() -> None:
    line = Line(operator(rule('vpn = "openvpn"', "payload", 'kind = "drop"')))
    session, noise = random.Random(1).randbytes(8), random.Random(2).randbytes(60)
    assert line.passes(bytes((7 << 3,)) + session + noise[:33])
    assert not line.passes(bytes((8 << 3,)) + noise[:41] + session + noise[:4], outward=False)
    assert not line.passes(noise)


def test_random_datagrams_are_nobodys() -> None:
    draw, known = random.Random(3), {**REALMS, **realms(KNOWN)}
    assert not any(recognise(draw.randbytes(draw.randrange(0, 300)), known) for _ in range(20_000))


def test_a_neutral_stun_binding_is_nobodys() -> None:
    assert recognise(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12), REALMS) is None


# -- triggers ---------------------------------------------------------------------------------------------------


def test_payload_knows_a_call_on_any_port_and_address_and_lets_its_control_pass() -> None:
    box = operator(rule(VOICE, "payload", 'kind = "drop"'))
    assert not any(carried(Line(box, port=9999, remote="203.0.113.200"), call()))
    assert all(carried(Line(box, local=40001), call(payload="control")))
    assert all(carried(Line(box, local=40002), call("telegram")))


def test_a_flow_once_recognised_stays_recognised() -> None:
    line = Line(operator(rule(VOICE, "payload", 'kind = "drop"')))
    assert not line.passes(call()[0][2])
    assert not line.passes(b"anything at all")


def test_a_call_is_recognised_by_what_comes_back_too() -> None:
    line = Line(operator(rule('app = "signal", function = "voice"', "payload", 'kind = "drop"')))
    first, challenge = call("signal")[:2]
    assert line.passes(first[2]), "an Allocate without realm is any TURN client's"
    assert not line.passes(challenge[2], outward=False)
    assert not line.passes(first[2])


def test_destination_looks_at_the_overlays_prefix_alone() -> None:
    box = operator(rule(VOICE, "destination", 'kind = "drop"'))
    assert not Line(box, remote="203.0.113.17").passes(b"x")
    assert Line(box, remote="203.0.113.9", local=1).passes(call()[0][2]), "that is media's"
    assert Line(box, remote=PEER, local=2).passes(call()[0][2])


def test_port_looks_at_port_and_transport() -> None:
    box = operator(rule(VOICE, "port", 'kind = "drop"'))
    assert not Line(box, port=3478).passes(b"x")
    assert Line(box, port=3477, local=1).passes(b"x")
    assert Wire(box, port=3478).connect()


def test_transport_is_all_udp_and_nothing_else() -> None:
    box = operator(rule("all = true", "transport", 'kind = "drop"'))
    assert not Line(box, port=53).passes(b"x")
    assert Wire(box).connect()


def test_not_listed_lets_the_listed_and_dns_pass() -> None:
    more = 'listed = ["max", "site:example.org", "peer"]\n'
    box = operator(rule("all = true", "not-listed", 'kind = "drop"', more))
    sites = KNOWN.overlay.sites
    for i, (remote, port, passes) in enumerate(
        [(PEER, 9, True), ("203.0.113.97", 443, True), (sites["example.org"], 443, True), (RESOLVER, 53, True)]
        + [(sites["example.com"], 443, False), ("203.0.113.1", 443, False), (KNOWN.overlay.vpn_exit, 51820, False)]
    ):
        assert Line(box, remote=remote, port=port, local=100 + i).passes(b"x") is passes


@pytest.mark.parametrize("cut", [1, 5, 60, 200])
def test_a_client_hello_is_reassembled_in_whichever_order_its_segments_come(cut: int) -> None:
    hello = opening("whatsapp", "text", "tls")
    parts = [(1001 + i, hello[i : i + cut * 3]) for i in range(0, len(hello), cut * 3)]
    for order in (parts, parts[::-1]):
        wire = Wire(operator(rule(TEXT, "sni", 'kind = "drop"')))
        assert wire.connect()
        passed = [bool(wire.segment(data, seq)) for seq, data in order]
        assert passed == [True] * (len(parts) - 1) + [False]
        assert not wire.segment(b"", 7777, ACK, outward=False)


def test_sni_looks_at_exactly_the_functions_names() -> None:
    box = operator(rule(TEXT, "sni", 'kind = "drop"'))
    cases = [("whatsapp", "text", "original", False), ("whatsapp", "text", "control", True)]
    cases += [("whatsapp", "media", "original", True), ("telegram", "text", "original", True)]
    for i, (app, function, payload, passes) in enumerate(cases):
        wire = Wire(box, local=50000 + i)
        assert wire.connect()
        assert bool(wire.segment(opening(app, function, "tls", payload), 1001)) is passes


def test_payload_tells_telegrams_text_from_its_media_by_the_data_centres_sign() -> None:
    box = operator(rule('app = "telegram", function = "media"', "payload", 'kind = "drop"'))
    for i, (function, passes) in enumerate([("text", True), ("media", False)]):
        wire = Wire(box, local=50000 + i)
        wire.connect()
        assert bool(wire.segment(opening("telegram", function, "obfuscated"), 1001)) is passes


def test_a_new_connection_on_the_same_ports_is_a_new_flow_but_a_repeated_syn_is_not() -> None:
    box = operator(rule(TEXT, "payload", 'kind = "drop-after", packets = 4'))
    wire = Wire(box)
    wire.connect()
    wire.connect()
    assert wire.segment(opening("whatsapp", "text", "noise"), 1001)
    assert wire.segment(b"more", 1200)
    assert not wire.segment(b"more", 1204), "two SYNs and three segments are five"
    wire.connect(base=5000)
    assert wire.segment(opening("whatsapp", "text", "noise", "control"), 5001)


# -- actions ----------------------------------------------------------------------------------------------------


def test_drop_after_counts_both_ways_from_the_flows_first_packet() -> None:
    box = operator(rule(VOICE, "payload", 'kind = "drop-after", packets = 25'))
    passed = carried(Line(box), call())
    assert passed == [True] * 25 + [False] * (len(passed) - 25)


def test_drop_after_bytes_counts_ip_payload() -> None:
    line = Line(operator(rule(VOICE, "port", 'kind = "drop-after", bytes = 1000')))
    passed = [line.passes(bytes(92), outward=i % 2 == 0) for i in range(12)]
    assert passed == [True] * 10 + [False] * 2, "10 datagrams of 92 + 8 bytes"


def test_direction_is_whose_packets_are_hit_while_both_are_counted() -> None:
    box = operator(rule(VOICE, "payload", 'kind = "drop-after", packets = 10', 'direction = "in"\n'))
    packets = call()
    passed = carried(Line(box), packets)
    for i, (outward, ok) in enumerate(zip((p[1] for p in packets), passed, strict=True)):
        assert ok is (outward or i < 10)


def test_loss_drops_its_share_repeatably() -> None:
    def run(seed: int) -> list[bool]:
        line = Line(operator(rule(VOICE, "port", 'kind = "loss", share = 0.3'), seed=seed))
        return [line.passes(b"x") for _ in range(4000)]

    assert mean(run(1)) == pytest.approx(0.7, abs=0.03)
    assert run(1) == run(1)
    assert run(1) != run(2)


def rate(line: Line, outward: bool, seconds: float = 10.0) -> float:
    """kbit/s that pass of 100 packets a second of 1,000 IP bytes (800 kbit/s)."""
    count = sum(line.passes(bytes(972), outward, i / 100) for i in range(int(seconds * 100)))
    return count * 8 / seconds


def test_police_lets_burst_and_rate_pass_in_each_direction_and_flow() -> None:
    box = operator(rule(VOICE, "port", 'kind = "police", kbps = 160, burst_kbytes = 20'))
    for local in (1, 2):
        assert rate(Line(box, local=local), True) == pytest.approx(160 + 16, abs=2)
        assert rate(Line(box, local=local), False) == pytest.approx(160 + 16, abs=2)


@pytest.mark.parametrize(("per", "second_host"), [("host", 20.0), ("network", 1.0)])
def test_police_may_hold_for_a_host_or_the_network_as_a_whole(per: str, second_host: float) -> None:
    box = operator(rule(VOICE, "port", f'kind = "police", kbps = 8, burst_kbytes = 20, per = "{per}"'))
    assert sum(Line(box).passes(bytes(972), at=0.0) for _ in range(30)) == 20
    assert sum(Line(box, local=2).passes(bytes(972), at=0.0) for _ in range(30)) == 0
    other = Line(box, local=3, me="192.0.2.11")
    assert sum(other.passes(bytes(972), at=1.0) for _ in range(30)) == second_host


def test_shape_spaces_packets_and_drops_what_would_wait_too_long() -> None:
    line = Line(operator(rule(VOICE, "port", 'kind = "shape", kbps = 80, queue_ms = 300')))
    left = [line.send(bytes(972), at=0.0) for _ in range(10)]
    assert [round(p[0][0], 3) for p in left if p] == [0.1, 0.2, 0.3, 0.4]


def test_delay_is_later_jittered_and_keeps_the_order() -> None:
    line = Line(operator(rule(VOICE, "port", 'kind = "delay", ms = 200, jitter_ms = 30')))
    sent = [i / 50 for i in range(2000)]
    out = [line.send(b"x", at=at)[0][0] for at in sent]
    assert mean(o - s for o, s in zip(out, sent, strict=True)) == pytest.approx(0.21, abs=0.02)
    assert out == sorted(out)


def test_reset_answers_both_sides_and_drops() -> None:
    wire = Wire(operator(rule(TEXT, "payload", 'kind = "reset"')))
    wire.connect()
    hello = opening("whatsapp", "text", "noise")
    back, forth = wire.segment(hello, 1001)
    assert (back[2], back[1].dst, back[1].seq, back[1].ack) == (False, ME, 9000, 1001 + len(hello))
    assert (forth[2], forth[1].dst, forth[1].seq) == (True, PEER, 1001)
    assert back[1].flags & RST
    assert forth[1].flags & RST
    assert not wire.segment(b"", 1001, RST), "and a reset of its own is dropped in silence"


def test_a_port_rule_refuses_the_connection_at_its_syn() -> None:
    wire = Wire(operator(rule(TEXT, "port", 'kind = "reset"')))
    (passage,) = wire.segment(b"", 1000, SYN)
    assert (passage[1].flags, passage[1].seq, passage[1].ack) == (RST | ACK, 0, 1001)


def test_icmp_answers_the_sender_from_the_routers_address() -> None:
    line = Line(operator(rule(VOICE, "port", 'kind = "icmp"')))
    for outward, to in ((True, ME), (False, PEER)):
        (passage,) = line.send(b"x", outward)
        error = passage[1]
        assert (error.proto, error.src, error.dst, error.sport, error.dport) == (ICMP, ROUTERS[1], to, 3, 3)
        assert error.quoted is not None
        assert passage[2] is not outward


@pytest.mark.parametrize(("kind", "rcode", "addresses"), [("nxdomain", 3, []), ("forge", 0, [WRONG_ADDRESS])])
def test_a_lookup_of_the_apps_name_is_answered_wrongly(kind: str, rcode: int, addresses: list[str]) -> None:
    line = Line(operator(rule(TEXT, "dns", f'kind = "{kind}"')), remote=RESOLVER, port=53)
    (passage,) = line.send(dns.encode(dns.query(77, "Web.WhatsApp.com", cookie=bytes(8))))
    answer = dns.decode(passage[1].payload)
    assert isinstance(answer, dns.Message)
    assert (answer.id, answer.rcode, [r.address for r in answer.answers]) == (77, rcode, addresses)
    assert (passage[2], passage[1].src, passage[1].dst) == (False, RESOLVER, ME)
    other = Line(line.operator, remote=RESOLVER, port=53, local=7)
    assert other.passes(dns.encode(dns.query(78, "mmg.whatsapp.net"))), "media's name"


def test_on_the_way_in_the_resolvers_answer_is_replaced() -> None:
    box = operator(rule(TEXT, "dns", 'kind = "forge"', 'direction = "in"\n'))
    line = Line(box, remote=RESOLVER, port=53)
    query = dns.query(5, "web.whatsapp.com")
    assert line.passes(dns.encode(query))
    (passage,) = line.send(dns.encode(dns.answer(query, ("203.0.113.1",))), outward=False)
    answer = dns.decode(passage[1].payload)
    assert isinstance(answer, dns.Message)
    assert [r.address for r in answer.answers] == [WRONG_ADDRESS]
    assert passage[1].size == 28 + len(passage[1].payload)


def test_corrupt_changes_bytes_and_keeps_sizes() -> None:
    line = Line(operator(rule(VOICE, "port", 'kind = "corrupt"')))
    for size in (1, 20, 1200):
        (passage,) = line.send(bytes(size))
        assert passage[1].payload != bytes(size)
        assert len(passage[1].payload) == size


# -- order, residuals, time, share ------------------------------------------------------------------------------


def test_at_one_hop_every_rule_acts_in_order_and_a_dropped_packet_meets_no_later_one() -> None:
    slow = rule(VOICE, "port", 'kind = "delay", ms = 100')
    corrupt = rule(VOICE, "port", 'kind = "corrupt"')
    drop = rule(VOICE, "port", 'kind = "drop-after", packets = 1')
    refuse = rule(VOICE, "port", 'kind = "icmp"', 'direction = "in"\n')
    line = Line(operator(slow, corrupt, drop, refuse))
    ((at, packet, _),) = line.send(b"hello", at=1.0)
    assert at == pytest.approx(1.1)
    assert packet.payload != b"hello"
    assert line.send(b"hello", outward=False) == (), "dropped before anybody could refuse it"


def test_country_wide_rules_come_before_the_networks_own() -> None:
    country = '[[rule]]\nhop = 2\nmatch = { all = true }\ntrigger = "transport"\naction = { kind = "drop" }\n'
    text = 'name = "x"\n' + country + '[[network]]\nname = "n"\nasn = 1\nregion = "RU"\nhops = 5\n'
    read = parse(text + rule(VOICE, "port", 'kind = "icmp"'), "x.toml")
    box = Operator.of(read, read.networks[0], 0, 1, KNOWN, ROUTERS)
    assert Line(box).send(b"x") == ()


@pytest.mark.parametrize(
    ("residual", "same_pair", "same_host"), [("flow", True, True), ("pair", False, True), ("host", False, False)]
)
def test_after_a_match_flow_pair_or_host_stays_blocked_for_a_while(
    residual: str, same_pair: bool, same_host: bool
) -> None:
    box = operator(rule(VOICE, "payload", 'kind = "drop"', f'residual_s = 60\nresidual = "{residual}"\n'))
    other, far = Line(box, local=2), Line(box, local=3, remote="198.51.100.129")
    assert other.passes(b"x", at=0.0)
    assert not Line(box).passes(call()[0][2], at=1.0)
    assert other.passes(b"x", at=2.0) is same_pair
    assert far.passes(b"x", at=2.0) is same_host
    assert other.passes(b"x", at=61.5)
    assert far.passes(b"x", at=61.5)
    assert Line(box, local=4, me="192.0.2.11").passes(b"x", at=2.0), "somebody else's"


def test_a_rule_holds_from_and_until() -> None:
    more = 'from = "2025-08-13T09:00:10Z"\nuntil = "2025-08-13T09:00:20Z"\n'
    line = Line(operator(rule(VOICE, "port", 'kind = "drop"', more)))
    assert [line.passes(b"x", at=at) for at in (0.0, 9.9, 10.0, 19.9, 20.0)] == [True, True, False, False, True]


def test_share_is_that_part_of_the_participants_and_the_seeds_choice() -> None:
    text = 'name = "x"\n[[network]]\nname = "n"\nasn = 1\nregion = "RU"\nhops = 5\nparticipants = 10\n'
    read = parse(text + rule(VOICE, "port", 'kind = "drop"', "share = 0.3\n"), "x.toml")

    def behind(seed: int) -> list[int]:
        return [i for i in range(10) if Operator.of(read, read.networks[0], i, seed, KNOWN, ROUTERS).hops]

    assert [len(behind(seed)) for seed in range(5)] == [3] * 5
    assert behind(1) == behind(1)
    assert len({tuple(behind(seed)) for seed in range(10)}) > 3


def test_icmp_passes_and_nobodys_flow_is_fast() -> None:
    box = operator(rule(VOICE, "payload", 'kind = "drop"')).box(2)
    error = Packet(ICMP, "192.0.2.201", 11, ME, 0, b"", 56)
    assert box.packet(error, False, 0.0) == ((0.0, error, False),)
    packet = Packet(UDP, ME, 1, PEER, 2, random.Random(1).randbytes(100), 128)
    for i in range(100):
        box.packet(packet, True, i / 1000)
    best = 1.0
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(2000):
            box.packet(packet, True, 1.0)
        best = min(best, (time.perf_counter() - began) / 2000)
    assert best < 5e-6, "0.5 us on an idle machine; the bound leaves room for a busy one"


def test_the_operator_knows_neither_wire_nor_flow() -> None:
    code = (
        "import sys; import ringback.lab.operator;"
        "print([m for m in sys.modules if m.startswith(('ringback.wire', 'ringback.flow'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
