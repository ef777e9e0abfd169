"""Datagrams between the two ends: time, order, loss of a TTL, closed ports."""

import pytest

from ringback.sim.link import LinkParameters
from ringback.sim.net import SimNet, SimPath
from ringback.sim.packet import ICMP, Packet
from ringback.sim.world import World
from ringback.trial.seam import Close, Open, Received, Refused, Send, Sent
from tests.sim.hands import HERE, PEER, ROUTERS, HandBox, HandEnd, network

OPEN = Open(1, "udp", PEER, 3478, "direct")


def echo(event, now):
    return [Send(event.flow, now, b"re:" + event.data, 0)] if isinstance(event, Received) else []


def test_three_datagrams_go_out_in_time_and_come_back_after_the_round_trip():
    near = HandEnd([OPEN, *(Send(1, at, b"%d" % at, at) for at in (1, 2, 3))])
    far = HandEnd(rule=echo)
    World(near, far, network(), seed=1).run()
    assert [(sent.index, sent.at) for sent in near.saw(Sent)] == [(1, 1), (2, 2), (3, 3)]
    assert [got.data for got in far.saw(Received)] == [b"1", b"2", b"3"]
    assert [got.at for got in far.saw(Received)] == pytest.approx([1.02, 2.02, 3.02], abs=1e-4)
    assert [got.data for got in near.saw(Received)] == [b"re:1", b"re:2", b"re:3"]
    assert [got.at for got in near.saw(Received)] == pytest.approx([1.04, 2.04, 3.04], abs=1e-4)


def test_the_far_end_names_the_flow_by_port_and_remote():
    far = HandEnd()
    World(HandEnd([OPEN, Send(1, 0, b"x", 0)]), far, network(), seed=1).run()
    port, remote, remote_port = far.saw(Received)[0].flow
    assert (port, remote) == (3478, HERE)
    assert 20_000 <= remote_port < 60_000


def test_no_local_port_is_used_twice():
    far = HandEnd()
    near = HandEnd([c for n in range(500) for c in (Open(n, "udp", PEER, 9, "direct"), Send(n, 0, b"x", 0), Close(n))])
    near.first = [c for c in near.first if not isinstance(c, Close)]
    World(near, far, network(), seed=1).run()
    assert len({got.flow for got in far.saw(Received)}) == 500


def test_a_closed_flow_hears_nothing_more_but_what_was_due_before_still_goes_out():
    near = HandEnd([OPEN, Send(1, 0, b"a", 0), Send(1, 1, b"b", 1), Send(1, 5, b"c", 2)])
    near.rule = lambda event, now: [Send(1, 1, b"last", 3), Close(1)] if event == Sent(1, 1, 1.0) else []
    far = HandEnd(rule=lambda event, now: [*echo(event, now), Close(event.flow)] if event == far.seen[0] else [])
    World(near, far, network(), seed=1).run()
    assert [got.data for got in far.saw(Received)] == [b"a"]
    assert [got.data for got in near.saw(Received)] == [b"re:a"]
    assert [sent.index for sent in near.saw(Sent)] == [0, 1, 3]


def test_sends_handed_over_at_once_go_out_in_the_order_of_time_then_of_the_list():
    times = [3, 1, 2, 1, 1, 0, 2, 1, 3, 0]
    near = HandEnd([OPEN, *(Send(1, at, b"%d" % n, n) for n, at in enumerate(times))])
    World(near, HandEnd(), network(), seed=1).run()
    assert [sent.index for sent in near.saw(Sent)] == sorted(range(10), key=lambda n: times[n])


@pytest.mark.parametrize("record", [False, True])
def test_replies_due_now_go_out_in_their_order_and_before_the_close_behind_them(record):
    def answers(event, now):
        if not isinstance(event, Received):
            return []
        return [Send(event.flow, now, b"a", 0), Send(event.flow, now, b"b", 1), Close(event.flow)]

    near, far = HandEnd([OPEN, Send(1, 1, b"x", 0)]), HandEnd(rule=answers)
    world = World(near, far, network(), seed=1, record=record)
    world.run()
    arrived = far.saw(Received)[0].at
    assert [(sent.index, sent.at) for sent in far.saw(Sent)] == [(0, arrived), (1, arrived)]
    assert [got.data for got in near.saw(Received)] == [b"a", b"b"]
    told = [event for _, name, event in world.transcript if name == "far" and isinstance(event, Sent)]
    assert told == (far.saw(Sent) if record else [])


def test_a_ttl_that_runs_out_at_hop_3_names_router_3():
    near = HandEnd([OPEN, Send(1, 0, b"x", 0, ttl=3)])
    far = HandEnd()
    World(near, far, network(), seed=1).run()
    (refused,) = near.saw(Refused)
    assert (refused.type, refused.code, refused.source) == (11, 0, ROUTERS[2])
    assert refused.at == pytest.approx(2 * (0.005 + 2 * 0.015 / 5), abs=1e-4)
    assert not far.seen


def test_a_box_sees_a_packet_whose_ttl_runs_out_at_its_hop_but_not_one_before():
    box = HandBox()
    near = HandEnd([OPEN, Send(1, 0, b"2", 0, ttl=2), Send(1, 0, b"3", 1, ttl=3)])
    World(near, HandEnd(), network(boxes={3: box}), seed=1).run()
    assert [packet.payload for _, packet, _ in box.seen] == [b"3"]
    assert [refused.source for refused in near.saw(Refused)] == [ROUTERS[1], ROUTERS[2]]


def test_the_far_ends_ttl_runs_out_seen_from_its_side():
    box = HandBox()
    reply = lambda event, now: (  # noqa: E731
        [Send(event.flow, now, b"y", 0, ttl=2)] if isinstance(event, Received) else []
    )
    far = HandEnd(rule=reply)
    World(HandEnd([OPEN, Send(1, 0, b"x", 0)]), far, network(boxes={3: box}), seed=1).run()
    assert [(refused.type, refused.source) for refused in far.saw(Refused)] == [(11, ROUTERS[3])]
    assert [outward for _, _, outward in box.seen] == [True]


def test_boxes_see_every_packet_in_the_order_of_time_and_hops():
    inner, outer = HandBox(), HandBox()
    near = HandEnd([OPEN, *(Send(1, n / 500, b"%d" % n, n) for n in range(200))])
    link = LinkParameters(jitter_ms=5, loss=0)
    World(near, HandEnd(rule=echo), network(link, {1: inner, 4: outer}), seed=1).run()
    for box in (inner, outer):
        times = [at for at, _, _ in box.seen]
        assert times == sorted(times)
        assert len(times) == 400
    out_at = {packet.payload: at for at, packet, outward in inner.seen if outward}
    assert all(at > out_at[packet.payload] for at, packet, outward in outer.seen if outward)


def test_a_box_drops_delays_and_injects():
    refusal = Packet(ICMP, ROUTERS[1], 3, HERE, 3, b"", 56)

    def act(packet, outward, now):
        if packet.payload == b"drop":
            return ()
        if packet.payload == b"late":
            return ((now + 0.5, packet, outward),)
        if packet.payload == b"icmp":
            return ((now, refusal.copy(quoted=packet), False),)
        return ((now, packet, outward), (now, packet.copy(payload=b"twin"), outward))

    datagrams = [b"drop", b"late", b"icmp", b"pass"]
    near = HandEnd([OPEN, *(Send(1, 0, data, n) for n, data in enumerate(datagrams))])
    far = HandEnd()
    World(near, far, network(boxes={2: HandBox(act)}), seed=1).run()
    assert [got.data for got in far.saw(Received)] == [b"pass", b"twin", b"late"]
    assert far.saw(Received)[-1].at == pytest.approx(0.52, abs=1e-3)
    assert [(refused.type, refused.code, refused.source) for refused in near.saw(Refused)] == [(3, 3, ROUTERS[1])]


def test_an_end_is_woken_when_it_wished():
    near = HandEnd(wakes=[0.5, 2.0], done=lambda end: len(end.woken) == 2)
    World(near, HandEnd(), network(), seed=1).run()
    assert near.woken == [0.5, 2.0]


def test_an_end_that_never_lets_go_is_an_error():
    near = HandEnd(wakes=[1.0] * 20_000)
    with pytest.raises(RuntimeError, match="again and again"):
        World(near, HandEnd(), network(), seed=1).run()


def test_the_run_stops_when_the_near_end_has_finished_or_the_time_is_up():
    near = HandEnd([OPEN, *(Send(1, n, b"x", n) for n in range(10))], done=lambda end: len(end.seen) == 4)
    world = World(near, HandEnd(), network(), seed=1)
    world.run(until=1.5)
    assert len(near.seen) == 2
    world.run()
    assert len(near.seen) == 4


def test_the_same_seed_gives_the_same_story_and_another_seed_another():
    def story(seed):
        near = HandEnd([OPEN, *(Send(1, n / 100, b"%d" % n, n) for n in range(300))])
        world = World(near, HandEnd(rule=echo), network(LinkParameters(loss=0.1)), seed, record=True)
        world.run()
        return world.transcript

    assert story(7) == story(7)
    assert story(7) != story(8)


def test_two_paths_given_one_link_object_share_its_queue():
    slow = LinkParameters(jitter_ms=0, loss=0, up_kbps=80)  # 1000 bytes take 0.1 s
    paths = {
        "direct": SimPath(slow, ROUTERS),
        "other": SimPath(slow, ROUTERS, public="192.0.2.99"),
    }
    near = HandEnd(
        [
            OPEN,
            Open(2, "udp", PEER, 9, "other"),
            Send(1, 0, bytes(972), 0),
            Send(2, 0, bytes(972), 0),
        ]
    )
    far = HandEnd()
    World(near, far, SimNet(HERE, PEER, paths), seed=1).run()
    assert [got.at for got in far.saw(Received)] == pytest.approx([0.12, 0.22])
    assert far.saw(Received)[1].flow[1] == "192.0.2.99"
