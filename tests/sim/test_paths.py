"""NAT, tunnel, hosts by UDP, and requests to the peer."""

import dataclasses

import pytest

from ringback.errors import BadInput
from ringback.sim.link import LinkParameters
from ringback.sim.nat import Nat
from ringback.sim.net import SimNet, SimPath, Tunnel
from ringback.sim.packet import TCP, UDP, Packet
from ringback.sim.world import World
from ringback.trial.seam import (
    Accepted,
    Answer,
    Ask,
    Close,
    Connected,
    Delivered,
    Ended,
    Open,
    Received,
    Refused,
    Send,
    Write,
)
from tests.sim.hands import CLEAN, HERE, PEER, ROUTERS, HandBox, HandEnd, network

HOST, EXIT, PUBLIC = "198.51.100.129", "198.51.100.200", "192.0.2.77"
OPEN = Open(1, "udp", PEER, 3478, "direct")
BY_TUNNEL = Open(1, "udp", PEER, 3478, "vpn")


def echo(event, now):
    return [Send(event.flow, now, b"re:" + event.data, 0)] if isinstance(event, Received) else []


class Pong:
    """Answers datagrams on port 53 with who asked."""

    def listens(self, transport, port):
        return (transport, port) == ("udp", 53)

    def datagram(self, port, data, source, now):
        return [data, repr(source).encode()]

    def stream(self, port, received):
        raise AssertionError("no stream was opened")


# -- hosts ------------------------------------------------------------------------------------------------------


def test_a_host_answers_datagrams_and_refuses_closed_ports():
    near = HandEnd(
        [
            Open(1, "udp", HOST, 53, "direct"),
            Open(2, "udp", HOST, 54, "direct"),
            Send(1, 0, b"ping", 0),
            Send(2, 0, b"ping", 0),
        ]
    )
    World(near, HandEnd(), network(hosts={HOST: Pong()}), seed=1).run()
    answers = near.saw(Received)
    assert answers[0].data == b"ping"
    assert HERE.encode() in answers[1].data
    (refused,) = near.saw(Refused)
    assert (refused.flow, refused.type, refused.code, refused.source) == (2, 3, 3, HOST)


def test_the_vantage_tries_hosts_over_30_ms():
    far = HandEnd([Open(5, "udp", HOST, 53, "direct"), Open(6, "udp", HOST, 9, "direct")])
    far.first = [*far.first, Send(5, 0, b"ping", 0), Send(6, 0, b"ping", 0)]
    World(HandEnd(), far, network(hosts={HOST: Pong()}), seed=1).run()
    assert [(got.flow, got.at) for got in far.saw(Received)] == [(5, 0.03), (5, 0.03)]
    assert [(no.flow, no.type, no.code) for no in far.saw(Refused)] == [(6, 3, 3)]


# -- NAT --------------------------------------------------------------------------------------------------------


def test_behind_a_nat_the_far_end_sees_the_public_address_and_answers_come_back():
    box = HandBox()
    near, far = HandEnd([OPEN, Send(1, 0, b"x", 0)]), HandEnd(rule=echo)
    World(near, far, network(boxes={5: box}, public=PUBLIC), seed=1).run()
    assert far.saw(Received)[0].flow[1] == PUBLIC
    assert [got.data for got in near.saw(Received)] == [b"re:x"]
    assert {packet.src if outward else packet.dst for _, packet, outward in box.seen} == {HERE}


def test_a_nat_keeps_flows_apart_and_one_flow_together():
    near = HandEnd([OPEN, Open(2, "udp", PEER, 3478, "direct"), *(Send(n, 0, b"%d" % n, 0) for n in (1, 2, 1))])
    far = HandEnd(rule=echo)
    World(near, far, network(public=PUBLIC), seed=1).run()
    flows = [got.flow for got in far.saw(Received)]
    assert flows[0] == flows[2] != flows[1]
    assert [(got.flow, got.data) for got in near.saw(Received)] == [(1, b"re:1"), (2, b"re:2"), (1, b"re:1")]


def test_an_icmp_error_finds_its_flow_through_a_nat():
    near = HandEnd([Open(4, "udp", HOST, 9, "direct"), Send(4, 0, b"x", 0)])
    World(near, HandEnd(), network(hosts={HOST: Pong()}, public=PUBLIC), seed=1).run()
    assert [(no.flow, no.type, no.code) for no in near.saw(Refused)] == [(4, 3, 3)]


def test_a_stream_passes_a_nat():
    near = HandEnd([Open(1, "tcp", PEER, 443, "direct")])
    near.rule = lambda event, now: [Write(1, b"hi")] if isinstance(event, Connected) else []
    far = HandEnd(rule=lambda event, now: [Write(event.flow, event.data)] if isinstance(event, Delivered) else [])
    World(near, far, network(public=PUBLIC), seed=1).run()
    assert far.saw(Accepted)[0].remote == PUBLIC
    assert [got.data for got in near.saw(Delivered)] == [b"hi"]


# -- tunnel -----------------------------------------------------------------------------------------------------

WIREGUARD = Tunnel(
    EXIT, 51820, wrap=lambda size, counter: b"\x04\0\0\0" + counter.to_bytes(12, "little") + bytes(size + 16),
    initiation=b"\x01\0\0\0" + bytes(144), response=b"\x02\0\0\0" + bytes(88),
)  # fmt: skip


def tunnelled(box):
    paths = {"direct": SimPath(CLEAN, ROUTERS, {2: box}), "vpn": SimPath(CLEAN, ROUTERS, {2: box}, tunnel=WIREGUARD)}
    return SimNet(HERE, PEER, paths, {HOST: Pong()})


def test_a_tunnel_shakes_hands_first_and_boxes_see_outer_packets_only():
    box = HandBox()
    near, far = HandEnd([BY_TUNNEL, Send(1, 0, b"secret", 0)]), HandEnd(rule=echo)
    World(near, far, tunnelled(box), seed=1).run()
    assert [(packet.payload[0], packet.size, outward) for _, packet, outward in box.seen] == [
        (1, 176, True),
        (2, 120, False),
        (4, 20 + 8 + 6 + 60, True),
        (4, 20 + 8 + 9 + 60, False),
    ]
    assert {(p.proto, p.dst if out else p.src, p.dport if out else p.sport) for _, p, out in box.seen} == {
        (UDP, EXIT, 51820)
    }
    assert far.saw(Received)[0].flow[1] == EXIT
    (answer,) = near.saw(Received)
    assert answer.data == b"re:secret"
    assert answer.at == pytest.approx(0.04 + 0.04 + 0.01, abs=1e-3)


class Exit(Pong):
    """Says back what it hears, on the tunnel's port."""

    def listens(self, transport, port):
        return (transport, port) == ("udp", 51820)

    def datagram(self, port, data, source, now):
        return [data]


def test_an_exit_answers_on_its_own_port_outside_of_the_tunnel_and_to_the_vantage():
    net = tunnelled(HandBox())
    tunnel = dataclasses.replace(WIREGUARD, host=Exit())
    paths = {**net.paths, "vpn": dataclasses.replace(net.paths["vpn"], tunnel=tunnel)}
    near = HandEnd([Open(2, "udp", EXIT, 51820, "direct"), Send(2, 0, b"hello", 0), BY_TUNNEL, Send(1, 0, b"in", 0)])
    far = HandEnd([Open(5, "udp", EXIT, 51820, "direct"), Send(5, 0, b"hello", 0)])
    far.rule = lambda event, now: [] if event.flow == 5 else echo(event, now)
    World(near, far, dataclasses.replace(net, paths=paths), seed=1).run()
    assert {got.flow: got.data for got in near.saw(Received)} == {1: b"re:in", 2: b"hello"}
    assert [got.data for got in far.saw(Received) if got.flow == 5] == [b"hello"]


def test_a_nat_keeps_a_port_on_which_its_address_listens():
    nat = Nat("203.0.113.7", 51_819, kept=51_820)
    sent = [nat.outward(Packet(UDP, HERE, 1000 + i, PEER, 53, b"", 28)) for i in range(3)]
    assert [packet.sport for packet in sent] == [51_819, 51_821, 51_822]


def test_the_handshake_is_repeated_every_5_s_and_what_waited_goes_out_then():
    box = HandBox(lambda packet, outward, now: () if now < 11 else ((now, packet, outward),))
    near, far = HandEnd([BY_TUNNEL, *(Send(1, n / 10, b"%d" % n, n) for n in range(100))]), HandEnd()
    World(near, far, tunnelled(box), seed=1).run(until=60)
    assert [round(at) for at, packet, outward in box.seen if packet.payload[0] == 1] == [0, 5, 10, 15]
    assert len(far.saw(Received)) == 100


def test_more_than_the_queue_holds_is_dropped_while_the_tunnel_is_down():
    box = HandBox(lambda packet, outward, now: () if now < 4 else ((now, packet, outward),))
    near, far = HandEnd([BY_TUNNEL, *(Send(1, n / 1000, b"%d" % n, n) for n in range(500))]), HandEnd()
    World(near, far, tunnelled(box), seed=1).run(until=60)
    assert [got.data for got in far.saw(Received)] == [b"%d" % n for n in range(WIREGUARD.queue)]


def test_a_changed_outer_packet_is_not_released():
    def act(packet, outward, now):
        changed = packet.copy(payload=packet.payload[:-1] + b"!") if packet.payload[0] == 4 else packet
        return ((now, changed, outward),)

    near, far = HandEnd([BY_TUNNEL, Send(1, 0, b"x", 0)]), HandEnd()
    World(near, far, tunnelled(HandBox(act)), seed=1).run(until=60)
    assert not far.seen


def test_streams_and_refusals_travel_inside_the_tunnel():
    near = HandEnd([Open(1, "tcp", PEER, 443, "vpn"), Open(2, "udp", HOST, 9, "vpn"), Send(2, 0, b"x", 0)])
    near.rule = lambda event, now: [Write(1, bytes(5000))] if isinstance(event, Connected) else []
    far = HandEnd(rule=lambda event, now: [Write(event.flow, event.data)] if isinstance(event, Delivered) else [])
    box = HandBox()
    World(near, far, tunnelled(box), seed=1).run()
    assert sum(len(got.data) for got in near.saw(Delivered)) == 5000
    assert [(no.flow, no.type, no.code, no.source) for no in near.saw(Refused)] == [(2, 3, 3, HOST)]
    assert not [packet for _, packet, _ in box.seen if packet.proto == TCP]


# -- requests ---------------------------------------------------------------------------------------------------


def test_a_request_reaches_the_far_end_and_its_answer_comes_back_two_round_trips_later():
    near = HandEnd([Ask(3, "open", b"who am I?")])
    far = HandEnd(answering=lambda what, body, source: f"{what}|{body.decode()}|{source}".encode())
    box = HandBox()
    World(near, far, network(public=PUBLIC, boxes={3: box}), seed=1).run()
    (answer,) = near.saw(Answer)
    assert (answer.number, answer.failure) == (3, None)
    assert answer.body == f"open|who am I?|{PUBLIC}".encode()
    assert answer.at == pytest.approx(0.08, abs=2e-3)
    assert far.asked_by == [PUBLIC]
    assert not far.seen  # the far end's own streams are others
    assert {packet.dport if outward else packet.sport for _, packet, outward in box.seen} == {8443}
    assert not any(b"who am I?" in packet.payload for _, packet, _ in box.seen)


def test_large_requests_and_answers_cross_a_lossy_link():
    near = HandEnd([Ask(n, "round", bytes(20_000)) for n in range(5)])
    far = HandEnd(answering=lambda what, body, source: body * 5)
    World(near, far, network(LinkParameters(loss=0.05)), seed=1).run()
    assert sorted((answer.number, len(answer.body), answer.failure) for answer in near.saw(Answer)) == [
        (n, 100_000, None) for n in range(5)
    ]


def test_a_request_through_a_box_that_drops_all_fails_after_15_s():
    near = HandEnd([Ask(1, "open", b"")])
    World(near, HandEnd(), network(boxes={1: HandBox(lambda *_: ())}), seed=1).run()
    assert near.saw(Answer) == [Answer(1, 15.0, b"", "generic_timeout_error")]


def test_a_request_that_the_far_end_refuses_says_why():
    def refuse(what, body, source):
        raise BadInput("no such session", "session")

    near = HandEnd([Ask(1, "round", b"")])
    World(near, HandEnd(answering=refuse), network(), seed=1).run()
    (answer,) = near.saw(Answer)
    assert answer.failure == "unknown_failure: session: no such session"


# -- descriptions that can't be ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "build",
    [
        lambda: SimPath(CLEAN, ROUTERS, {6: HandBox()}),
        lambda: SimNet(HERE, PEER, {"vpn": SimPath(CLEAN, ROUTERS)}),
        lambda: SimNet(HERE, PEER, {"direct": SimPath(CLEAN, ROUTERS, tunnel=WIREGUARD)}),
        lambda: SimNet(HERE, PEER, {"direct": SimPath(CLEAN, ROUTERS)}, {PEER: Pong()}),
    ],
)
def test_a_network_that_cannot_be_is_refused(build):
    with pytest.raises(BadInput):
        build()


def test_a_path_that_does_not_exist_is_refused():
    near = HandEnd([Open(1, "udp", PEER, 9, "satellite")])
    with pytest.raises(BadInput, match="satellite"):
        World(near, HandEnd(), network(), seed=1).run()


def test_closing_a_stream_that_is_still_connecting_is_quiet():
    near = HandEnd([Open(1, "tcp", PEER, 443, "direct"), Close(1)])
    far = HandEnd()
    World(near, far, network(), seed=1).run(until=30)
    assert not near.seen
    assert not far.saw(Delivered)
    assert all(ended.failure for ended in far.saw(Ended))
