"""Ends, peer, requests and the operator itself in namespaces: what runs in virtual time runs over real kernels."""

from pathlib import Path

import pytest

from ringback import catalogue
from ringback.errors import BadInput
from ringback.lab import namespaces, scenario
from ringback.lab.namespaces import wireguard
from ringback.lab.namespaces.session import converse
from ringback.lab.operator import Operator
from ringback.sim.link import LinkParameters
from ringback.sim.net import SimNet, SimPath, Tunnel
from ringback.sim.packet import Packet, Passage
from ringback.trial.seam import Answer, Ask, Delivered, Event, Open, Received, Refused, Send, Sent, Write
from tests.net.ends import Diarist

pytestmark = [
    pytest.mark.namespaces,
    pytest.mark.skipif(namespaces.supported() is not None, reason=str(namespaces.supported())),
]

KNOWN = catalogue.load()
PEER = KNOWN.overlay.peer
ROUTERS = ("192.0.2.201", "192.0.2.202", "192.0.2.203")

SCENARIO = """
name = "refused"
[[network]]
name = "somewhere"
asn = 64500
region = "RU-MOW"
hops = 3
[[network.rule]]
hop = 2
match = { app = "whatsapp", function = "voice" }
trigger = "port"
action = { kind = "icmp" }
"""


def net(boxes: dict | None = None) -> SimNet:
    link = LinkParameters(rtt_ms=10, jitter_ms=0, loss=0)
    return SimNet(KNOWN.overlay.participant, PEER, {"direct": SimPath(link, ROUTERS, boxes or {})})


class Answering(Diarist):
    def answer(self, what: str, body: bytes, source: str, now: float) -> bytes:
        if what == "bad":
            raise BadInput("not like this", "body")
        return b"%b %b %b" % (what.encode(), body, source.encode())


def echoing(event: Event) -> list:
    if type(event) is Received:
        return [Send(event.flow, event.at, b"far " + event.data, 0)]
    return [Write(event.flow, b"far " + event.data)] if type(event) is Delivered else []


def test_a_session_asks_sends_and_streams_through_real_kernels() -> None:
    near = Diarist(
        [
            Ask(1, "open", b"me"),
            Ask(2, "bad", b"me"),
            Open(1, "udp", PEER, 3478, "direct"),
            Send(1, 0.0, b"datagram", 0),
            Open(2, "tcp", PEER, 443, "direct"),
            Write(2, b"stream"),
        ],
        until=lambda diary: sum(type(e) in (Answer, Received, Delivered) for e in diary) == 4,
    )
    diary = converse(near, Answering(reply=echoing), net(), 1, {"udp": [3478], "tcp": [443]}, {}, lambda end: end.diary)
    answers = {e.number: (e.body, e.failure) for e in diary if type(e) is Answer}
    assert answers == {1: (f"open me {KNOWN.overlay.participant}".encode(), None), 2: (b"", "unknown_failure")}
    assert [e.data for e in diary if type(e) is Received] == [b"far datagram"]
    assert [e.data for e in diary if type(e) is Delivered] == [b"far stream"]


def test_a_peer_that_fails_in_itself_ends_the_session_with_what_failed() -> None:
    """Else its silence would pass for a partner's that is gone, and a run for one whose cells had too little."""

    class Broken(Answering):
        def answer(self, what: str, body: bytes, source: str, now: float) -> bytes:
            raise ZeroDivisionError("in the peer")

    near = Diarist([Ask(1, "open", b"me")], until=lambda diary: any(type(e) is Answer for e in diary))
    with pytest.raises(ZeroDivisionError, match="in the peer"):
        converse(near, Broken(), net(), 1, {}, {}, lambda end: end.diary)


def test_a_peer_that_fails_on_a_packet_ends_the_session_with_what_failed() -> None:
    def reply(event: Event) -> list:
        if type(event) is Received:
            raise ZeroDivisionError("on a packet")
        return []

    near = Diarist(
        [Open(1, "udp", PEER, 3478, "direct"), Send(1, 0.0, b"datagram", 0), Send(1, 1.0, b"another", 1)],
        until=lambda diary: sum(type(e) is Sent for e in diary) == 2,
    )
    with pytest.raises(ZeroDivisionError, match="on a packet"):
        converse(near, Answering(reply=reply), net(), 1, {"udp": [3478]}, {}, lambda end: end.diary)


def test_the_operator_of_a_scenario_stands_in_the_router() -> None:
    read = scenario.parse(SCENARIO, "refused.toml", KNOWN)
    operator = Operator.of(read, read.networks[0], 0, 1, KNOWN, ROUTERS)
    near = Diarist(
        [
            Open(1, "udp", PEER, 3478, "direct"),
            Open(2, "udp", PEER, 42_000, "direct"),
            Send(1, 0.0, b"a call, by its port", 0),
            Send(2, 0.0, b"the same elsewhere", 0),
        ],
        until=lambda diary: sum(type(e) in (Refused, Received) for e in diary) == 2,
    )
    far = Answering(reply=echoing)
    boxes = {hop: operator.box(hop) for hop in operator.hops}
    diary = converse(near, far, net(boxes), 1, {"udp": [3478, 42_000]}, {}, lambda end: end.diary)
    refused = [e for e in diary if type(e) is Refused]
    assert [(e.flow, e.type, e.code, e.source) for e in refused] == [(1, 3, 3, "192.0.2.202")]
    assert [e.flow for e in diary if type(e) is Received] == [2]


class Watching:
    """Writes down who speaks to whom, and the first bytes."""

    def __init__(self, heard: Path) -> None:
        self.heard = heard

    def packet(self, packet: Packet, outward: bool, now: float) -> tuple[Passage, ...]:
        with self.heard.open("a") as file:
            print(packet.dst if outward else packet.src, packet.proto, packet.payload[:1].hex(), file=file)
        return ((now, packet, outward),)


def tunnelled(boxes: dict | None = None) -> SimNet:
    plain = net(boxes)
    tunnel = Tunnel(
        KNOWN.overlay.vpn_exit, 51820, lambda size, counter: bytes(size + 32), b"\1\0\0\0" + bytes(144), b""
    )
    path = SimPath(LinkParameters(), ROUTERS, tunnel=tunnel)
    return SimNet(plain.participant, plain.peer, {**plain.paths, "vpn": path})


@pytest.mark.vpn
@pytest.mark.skipif(wireguard.missing() is not None, reason=str(wireguard.missing()))
def test_a_vpn_path_is_a_real_tunnel_of_which_the_operator_sees_the_outside(tmp_path: Path) -> None:
    near = Diarist(
        [
            Open(1, "udp", PEER, 3478, "vpn"),
            Send(1, 0.0, b"inside", 0),
            Open(2, "tcp", PEER, 443, "vpn"),
            Write(2, b"inside too"),
        ],
        until=lambda diary: sum(type(e) in (Received, Delivered) for e in diary) == 2,
    )
    far = Answering(reply=echoing)
    heard = tmp_path / "heard"
    diary = converse(
        near, far, tunnelled({2: Watching(heard)}), 1, {"udp": [3478], "tcp": [443]}, {}, lambda end: end.diary
    )
    assert {e.data for e in diary if type(e) in (Received, Delivered)} == {b"far inside", b"far inside too"}
    lines = [line.split() for line in heard.read_text().splitlines()]
    assert {(address, proto) for address, proto, *_ in lines} == {(KNOWN.overlay.vpn_exit, "17")}
    assert {"01", "02", "04"} == {first for _, _, first in lines}  # initiation, response, transport data


def test_a_path_that_has_no_real_counterpart_is_refused_in_words() -> None:
    other = SimPath(LinkParameters(), ROUTERS, public="192.0.2.77")
    more = SimNet(KNOWN.overlay.participant, PEER, {**net().paths, "vpn": other})
    with pytest.raises(BadInput, match="is a tunnel"):
        converse(Diarist(), Answering(), more, 1, {}, {}, lambda end: None)
