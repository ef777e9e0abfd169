"""Streams: connecting, carrying bytes, ending, and what boxes and closed ports do to them."""

import pytest

from ringback.sim.host import Reply
from ringback.sim.link import LinkParameters
from ringback.sim.packet import ACK, FIN, ICMP, RST, SYN, TCP, Packet
from ringback.sim.world import World
from ringback.trial.seam import Accepted, Close, Connected, Delivered, Ended, Open, Refused, Write
from tests.sim.goodput import CASES, measured
from tests.sim.hands import HERE, PEER, ROUTERS, HandBox, HandEnd, network

HOST = "198.51.100.129"
OPEN = Open(1, "tcp", PEER, 443, "direct")
BOOK = bytes(n * 7 % 251 for n in range(300_000))


def asks(event, now):
    return [Write(1, b"GET")] if isinstance(event, Connected) else []


def serves(event, now):
    return [Write(event.flow, BOOK), Close(event.flow)] if isinstance(event, Delivered) else []


def read(end):
    return b"".join(event.data for event in end.saw(Delivered))


def drops(which):
    return HandBox(lambda packet, outward, now: () if which(packet, outward) else ((now, packet, outward),))


def test_a_stream_connects_after_one_round_trip_and_carries_bytes_both_ways():
    near, far = HandEnd([OPEN], asks), HandEnd(rule=serves)
    World(near, far, network(), seed=1).run()
    (connected,) = near.saw(Connected)
    assert connected.at == pytest.approx(0.04, abs=1e-3)
    (accepted,) = far.saw(Accepted)
    assert (accepted.port, accepted.remote) == (443, HERE)
    assert read(far) == b"GET"
    assert read(near) == BOOK
    assert [ended.failure for ended in near.saw(Ended)] == [None]


@pytest.mark.parametrize(("loss", "burst"), [(0.01, 1), (0.1, 1), (0.3, 1), (0.01, 4), (0.1, 4)])
def test_bytes_arrive_whole_and_once_whatever_the_link_loses(loss, burst):
    near, far = HandEnd([OPEN], asks), HandEnd(rule=serves)
    link = LinkParameters(loss=loss, loss_burst=burst)
    World(near, far, network(link), seed=3).run(until=900)
    assert read(near) == BOOK
    assert [ended.failure for ended in near.saw(Ended)] == [None]


def test_bytes_arrive_whole_when_a_box_reorders_and_doubles_packets():
    def act(packet, outward, now):
        late = 0.03 if packet.seq // 1448 % 5 == 0 else 0.0
        twin = ((now + 0.01, packet, outward),) if packet.seq % 7 == 0 else ()
        return ((now + late, packet, outward), *twin)

    near, far = HandEnd([OPEN], asks), HandEnd(rule=serves)
    World(near, far, network(boxes={2: HandBox(act)}), seed=3).run(until=60)
    assert read(near) == BOOK


def test_a_long_upload_arrives_through_a_full_queue():
    near = HandEnd([OPEN], lambda event, now: [Write(1, BOOK), Close(1)] if isinstance(event, Connected) else [])
    far = HandEnd()
    world = World(near, far, network(LinkParameters(up_kbps=1000, queue_ms=50, loss=0, jitter_ms=0)), seed=3)
    world.run(until=60)
    assert read(far) == BOOK
    assert [ended.failure for ended in far.saw(Ended)] == [None]
    assert world.links["direct"].up.dropped > 0
    assert far.saw(Ended)[0].at < 1.5 * len(BOOK) * 8 / 1e6


def test_both_ends_let_go_of_a_closed_stream():
    near = HandEnd([OPEN], lambda event, now: [Close(1)] if isinstance(event, Ended) else asks(event, now))
    box = HandBox()
    World(near, HandEnd(rule=serves), network(boxes={1: box}), seed=1).run()
    assert [outward for _, packet, outward in box.seen if packet.flags & FIN] == [False, True]
    assert not [packet for _, packet, _ in box.seen if packet.flags & RST]


def test_syn_is_repeated_after_1_and_3_seconds_and_the_driver_gives_up_after_127():
    box = drops(lambda packet, outward: True)
    near = HandEnd([OPEN])
    World(near, HandEnd(), network(boxes={1: box}), seed=1).run()
    assert [round(at) for at, _, _ in box.seen] == [0, 1, 3, 7, 15, 31, 63]
    assert [(round(ended.at), ended.failure) for ended in near.saw(Ended)] == [(127, "generic_timeout_error")]


def test_a_lost_syn_ack_costs_a_second():
    lost = []

    def first_syn_ack(packet, outward):
        if packet.flags == SYN | ACK and not lost:
            lost.append(packet)
            return True
        return False

    near, far = HandEnd([OPEN], asks), HandEnd(rule=serves)
    World(near, far, network(boxes={1: drops(first_syn_ack)}), seed=1).run()
    assert near.saw(Connected)[0].at == pytest.approx(1.04, abs=0.02)
    assert read(near) == BOOK


def test_a_peer_that_never_hears_the_final_ack_does_not_accept():
    near, far = HandEnd([OPEN]), HandEnd()
    box = drops(lambda packet, outward: outward and not packet.flags & SYN)
    World(near, far, network(boxes={1: box}), seed=1).run()
    assert near.saw(Connected)
    assert not far.seen


def test_a_forged_reset_ends_the_stream_at_the_end_that_gets_it():
    def act(packet, outward, now):
        if outward and packet.payload:
            reset = Packet(TCP, PEER, 443, HERE, packet.sport, b"", 40, 64, packet.ack, 0, RST)
            return ((now, reset, False),)
        return ((now, packet, outward),)

    near, far = HandEnd([OPEN], asks), HandEnd()
    World(near, far, network(boxes={2: HandBox(act)}), seed=1).run(until=10)
    assert [ended.failure for ended in near.saw(Ended)] == ["connection_reset"]
    assert not read(far)


def test_a_reset_with_a_number_that_is_not_the_next_is_only_asked_about():
    def act(packet, outward, now):
        if outward and packet.payload:
            reset = Packet(TCP, PEER, 443, HERE, packet.sport, b"", 40, 64, packet.ack + 5, 0, RST)
            return ((now, reset, False), (now, packet, True))
        return ((now, packet, outward),)

    near, far = HandEnd([OPEN], asks), HandEnd(rule=serves)
    World(near, far, network(boxes={2: HandBox(act)}), seed=1).run()
    assert read(near) == BOOK


def test_an_abort_reaches_the_other_end_as_a_reset():
    near = HandEnd([OPEN], lambda event, now: [Close(1, reset=True)] if isinstance(event, Connected) else [])
    far = HandEnd()
    World(near, far, network(), seed=1).run()
    assert [type(event) for event in far.seen] in ([Accepted, Ended], [])
    far_talks = HandEnd(rule=lambda event, now: [Close(event.flow, reset=True)] if isinstance(event, Delivered) else [])
    near = HandEnd([OPEN], asks)
    World(near, far_talks, network(), seed=1).run()
    assert [ended.failure for ended in near.saw(Ended)] == ["connection_reset"]


@pytest.mark.parametrize(
    ("type", "code", "failure"),
    [
        (3, 3, "connection_refused"),
        (3, 1, "host_unreachable"),
        (3, 0, "network_unreachable"),
        (3, 13, "host_unreachable"),
        (11, 0, "host_unreachable"),
    ],
)
def test_an_icmp_error_ends_a_stream_that_is_connecting(type, code, failure):
    def act(packet, outward, now):
        return ((now, Packet(ICMP, ROUTERS[1], type, HERE, code, b"", 56, quoted=packet), False),)

    near = HandEnd([OPEN])
    World(near, HandEnd(), network(boxes={2: HandBox(act)}), seed=1).run()
    assert [ended.failure for ended in near.saw(Ended)] == [failure]


def test_an_icmp_error_does_not_end_a_stream_that_is_open():
    def act(packet, outward, now):
        error = Packet(ICMP, ROUTERS[1], 3, HERE, 3, b"", 56, quoted=packet)
        passed = ((now, packet, outward),)
        return (*passed, (now, error, False)) if outward and packet.payload else passed

    near = HandEnd([OPEN], asks)
    World(near, HandEnd(rule=serves), network(boxes={2: HandBox(act)}), seed=1).run()
    assert read(near) == BOOK
    assert [(told.type, told.code, told.source) for told in near.saw(Refused)] == [(3, 3, ROUTERS[1])]


def test_an_icmp_error_for_what_the_peer_sent_is_told_to_the_peer():
    def act(packet, outward, now):
        error = Packet(ICMP, ROUTERS[1], 3, PEER, 3, b"", 56, quoted=packet)
        refused = not outward and packet.payload
        return ((now, error, True),) if refused else ((now, packet, outward),)

    near, far = HandEnd([OPEN], asks), HandEnd(rule=lambda event, now: serves(event, now)[:1])
    World(near, far, network(boxes={2: HandBox(act)}), seed=1).run(until=3)
    assert (near.saw(Refused), read(near)) == ([], b"")
    assert {(told.flow, told.code, told.source) for told in far.saw(Refused)} == {(-1, 3, ROUTERS[1])}


def test_a_syn_whose_ttl_runs_out_never_connects():
    near = HandEnd([Open(1, "tcp", PEER, 443, "direct", ttl=2)])
    World(near, HandEnd(), network(), seed=1).run()
    assert [ended.failure for ended in near.saw(Ended)] == ["host_unreachable"]


class Greeter:
    """Listens on TCP 443 and answers a line; closes after `bye`."""

    def listens(self, transport, port):
        return (transport, port) == ("tcp", 443)

    def datagram(self, port, data, source, now):
        return []

    def stream(self, port, received):
        return Reply(b"hello", received.endswith(b"bye")) if received[-3:] in (b"GET", b"bye") else Reply()


def test_a_host_answers_from_everything_received_so_far_and_closes():
    def talk(event, now):
        if isinstance(event, Connected):
            return [Write(1, b"GET")]
        return [Write(1, b"bye")] if isinstance(event, Delivered) and len(read(near)) == 5 else []

    near = HandEnd([Open(1, "tcp", HOST, 443, "direct")], talk)
    World(near, HandEnd(), network(hosts={HOST: Greeter()}), seed=1).run()
    assert read(near) == b"hellohello"
    assert [ended.failure for ended in near.saw(Ended)] == [None]


def test_a_host_refuses_a_port_on_which_it_does_not_listen():
    near = HandEnd([Open(1, "tcp", HOST, 80, "direct")])
    World(near, HandEnd(), network(hosts={HOST: Greeter()}), seed=1).run()
    assert [ended.failure for ended in near.saw(Ended)] == ["connection_refused"]
    assert near.saw(Ended)[0].at == pytest.approx(0.04, abs=1e-3)


def test_nobody_answers_at_an_address_where_nobody_lives():
    near = HandEnd([Open(1, "tcp", "198.51.100.99", 80, "direct")])
    World(near, HandEnd(), network(), seed=1).run(until=100)
    assert not near.seen


def test_the_vantage_reaches_hosts_itself():
    far = HandEnd([Open(7, "tcp", HOST, 443, "direct")])
    far.rule = lambda event, now: [Write(7, b"GET")] if isinstance(event, Connected) else []
    World(HandEnd(), far, network(hosts={HOST: Greeter()}), seed=1).run()
    assert far.saw(Connected)[0].at == pytest.approx(0.03, abs=1e-3)
    assert read(far) == b"hello"


@pytest.mark.parametrize(
    ("case", "low", "high"),
    [(CASES[0], 22, 30), (CASES[1], 1.6, 4.0), (CASES[3], 0.140, 0.155)],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_goodput_is_that_of_a_kernel(case, low, high):
    values = measured(case, 9)
    assert low <= values[4] <= high
