"""Tries at hosts without a script: how far each gets, what is written down, and what waits for what."""

import dataclasses
import itertools
import math
from random import Random

import pytest

from ringback import catalogue
from ringback.flow import tries as bytes_of
from ringback.lab import scenario
from ringback.lab.country import places, sim_net
from ringback.lab.hosts import hosts_of
from ringback.lab.run import far_end, session_settings
from ringback.record import Transport, Try
from ringback.sim.packet import Packet, Passage
from ringback.sim.world import World
from ringback.trial import control
from ringback.trial.contrast import CALL_PINGS, MOST_LOST, PINGS, TriesActivity, bearable, exit_tries, heaviest, targets
from ringback.trial.control import TrySpec
from ringback.trial.granted import Granted
from ringback.trial.seam import Answer, Ask, Close, Connected, Delivered, Ended, Open, Received, Send, Sent, Write
from ringback.trial.session import Session
from ringback.trial.tries import TRAIN, TryRun
from ringback.verdict import tried

KNOWN = catalogue.load()
OVERLAY = KNOWN.overlay
HOSTS = hosts_of(KNOWN)
NAME = KNOWN.apps["signal"].functions["text"].name_of["tls"]
WEB = TrySpec("app", NAME, OVERLAY.hosts[NAME], 443, "tcp", "tls", "signal", "text", NAME, patience=10.0)
RELAY = TrySpec("app", "r", OVERLAY.relays["signal"][0], 3478, "udp", "relay-call", "signal", "voice", pings=25)


def run(spec: TrySpec) -> TryRun:
    counter = itertools.count(1)
    return TryRun([spec], "here", "direct", lambda: next(counter), bytes(32))


def stream(steps: int, damage: bool = False) -> Try:
    """One stream to a host that answers as the lab's do, 50 ms away, cut after so many steps."""
    trying, now, said = run(WEB), 0.0, b""
    assert isinstance(trying.start(now)[0], Open)
    happenings = [Connected(1, 0.05)] if steps else []
    while happenings:
        now += 0.05
        for command in trying.handle(happenings.pop(0), now):
            if isinstance(command, Write):
                said += command.data
                steps -= 1
                reply = HOSTS[WEB.address].stream(443, said)
                sent = bytes(byte ^ 0x55 for byte in reply.send) if damage else reply.send
                if steps > 0 and sent:
                    happenings.append(Delivered(1, sent, now + 0.05))
                if steps > 0 and reply.close:
                    happenings.append(Ended(1, now + 0.05, None))
    while not trying.finished:
        assert trying.wake_at is not None
        trying.wake(trying.wake_at)
    return trying.results()[0]


def test_a_stream_is_seen_through_to_the_servers_refusal_of_what_it_could_not_accept() -> None:
    seen = stream(9)
    assert (seen.answered, seen.through, seen.damaged, seen.failure) == (1, True, 0, None)
    assert seen.rtt_ms == pytest.approx(50)
    assert seen.flight_ms == pytest.approx(50)
    assert seen.received > 4000


@pytest.mark.parametrize(("steps", "answered", "failure"), [(0, 0, True), (1, 0, True), (2, 1, False)])
def test_a_stream_that_is_cut_says_how_far_it_got(steps: int, answered: int, failure: bool) -> None:
    seen = stream(steps)
    assert (seen.answered, seen.through, seen.failure is not None) == (answered, False, failure)
    assert (seen.rtt_ms is not None) == (steps > 0)


def test_a_flight_that_no_server_sends_is_damaged_and_an_answer_all_the_same() -> None:
    seen = stream(9, damage=True)
    assert (seen.answered, seen.damaged, seen.through) == (1, 1, False)


def test_a_train_keeps_each_pings_round_trip_and_counts_what_came_back_changed() -> None:
    trying = run(RELAY)
    pings = [command for command in trying.start(0.0) if isinstance(command, Send)]
    for ping in pings:
        trying.handle(Sent(1, ping.index, ping.at), ping.at)
        pong = bytes_of.pong(ping.data)
        assert pong is not None
        if ping.index % 5 == 0:
            pong = pong[:12] + bytes(byte ^ 1 for byte in pong[12:])  # another transaction
        if ping.index != 7:
            trying.handle(Received(1, pong, ping.at + 0.08), ping.at + 0.08)
            trying.handle(Received(1, pong, ping.at + 0.09), ping.at + 0.09)  # a duplicate counts no second time
    assert isinstance(trying.wake(10.0)[0], Close)
    (seen,) = trying.results()
    assert seen.answered_indices == [i for i in range(25) if i % 5 and i != 7]
    assert set(seen.rtts_ms) == {80.0}
    assert (seen.sent, seen.damaged, seen.size) == (25, 10, 60)


def everything() -> list[TrySpec]:
    return targets(
        KNOWN, list(KNOWN.apps), ["text", "media", "voice"], {**OVERLAY.hosts, **OVERLAY.sites}.get,
        lambda app: OVERLAY.relays[app], OVERLAY.neutral, list(OVERLAY.sites), OVERLAY.resolver,
    )  # fmt: skip


def test_neutral_hosts_are_tried_in_every_way_in_which_apps_are() -> None:
    def ways(kind: str) -> set[tuple[Transport, bool, bool]]:
        return {(t.transport, t.form == "dns", t.pings >= CALL_PINGS) for t in everything() if t.kind == kind}

    assert ways("neutral") == ways("app")


def test_no_apps_trains_are_heavier_than_those_at_neutral_hosts() -> None:
    """Else a limit on all UDP would strike them first, and look like one on their destination."""

    def rates(kind: str, long: bool) -> list[tuple[float, float]]:
        """Of questions and of answers, bytes of IP payload a second."""
        trains = [t for t in everything() if t.kind == kind and t.transport == "udp" and t.form != "dns"]
        asked = [(t, bytes_of.ping(t.app or "", bytes(32), 0)) for t in trains if (t.pings >= CALL_PINGS) == long]
        return [((len(ping) + 8) / t.every, (len(bytes_of.pong(ping) or b"") + 8) / t.every) for t, ping in asked]

    for long in (False, True):
        app, neutral = rates("app", long), rates("neutral", long)
        for way in (0, 1):
            assert max(rate[way] for rate in app) <= 1.001 * min(rate[way] for rate in neutral)


def test_no_short_train_passes_for_one_as_long_as_a_call() -> None:
    """Neither at the heaviest neutral host, nor where the vantage's trains lose each ping's fate for being long."""
    assert TRAIN == tried.TRAIN
    for apps in [[app] for app in KNOWN.apps] + [list(KNOWN.apps)]:
        assert math.ceil(PINGS * heaviest(apps)) <= TRAIN
    assert max(t.pings for t in everything() if t.pings < CALL_PINGS) <= TRAIN < CALL_PINGS


def test_trains_as_long_as_calls_run_where_the_link_bears_all_of_them() -> None:
    long = [t for t in everything() if t.pings >= CALL_PINGS]
    assert [t for t in bearable(everything(), (8000.0, 30000.0)) if t.pings >= CALL_PINGS] == long
    assert len(bearable(everything(), ())) == len(bearable(everything(), (500.0, 30000.0)))
    assert not [t for t in bearable(everything(), (500.0, 30000.0)) if t.pings >= CALL_PINGS]


def test_long_trains_at_exits_are_given_up_before_those_at_relays() -> None:
    exits = exit_tries("vpn", KNOWN.vpns["wireguard"], OVERLAY.vpn_exit)
    borne = bearable([*everything(), *exits], (800.0, 30000.0))
    assert borne == [*everything(), *(t for t in exits if t.pings < 50)]
    assert bearable([*everything(), *exits], (8000.0, 30000.0)) == [*everything(), *exits]


LATE_TUNNEL = """
name = "late"
apps = ["max"]
functions = ["media"]
paths = ["direct", "vpn"]
[[network]]
name = "n"
asn = 64500
region = "RU-PRI"
hops = 3
"""


class Late:
    """Loses all that goes to the tunnel's exit in the first four seconds: the first handshake of two."""

    def packet(self, packet: Packet, outward: bool, now: float) -> tuple[Passage, ...]:
        return () if now < 4.0 and packet.dst == OVERLAY.vpn_exit else ((now, packet, outward),)


def test_tries_over_a_path_wait_until_it_carries_anything() -> None:
    place = next(iter(places(scenario.parse(LATE_TUNNEL, "late.toml"), 1)))
    net = sim_net(place)
    late = dataclasses.replace(net.paths["vpn"], boxes={1: Late()})
    net = dataclasses.replace(net, paths={**net.paths, "vpn": late})
    world = World(Session(session_settings(place, None, False), KNOWN, Random(1)), far_end(Random(2)), net, 1, True)
    world.run(until=20.0)
    near = [(at, event) for at, side, event in world.transcript if side == "near"]
    opened = {e.flow: (at, e) for at, e in near if isinstance(e, Open) and e.path == "vpn"}
    first = min(at for at, e in near if isinstance(e, Connected) and e.flow in opened)
    tries = [at for at, e in opened.values() if e.host != OVERLAY.peer]
    assert first > 4.0
    assert len(tries) > 20
    assert min(tries) >= first


class Asking:
    """A session's desk that counts flows and takes requests down."""

    session = "s"

    def __init__(self) -> None:
        self.claim = itertools.count(1).__next__
        self.asked: list[tuple[str, object]] = []

    def ask(self, owner: object, what: str, body: object) -> Ask:
        self.asked.append((what, body))
        return Ask(len(self.asked), what, b"")


def at_vantage(*answers: control.VantageAnswer | control.Done | None) -> tuple[TriesActivity, list[tuple[str, object]]]:
    """One try here and there, and what the peer answers to each request; None: nothing."""
    desk = Asking()
    activity = TriesActivity([RELAY], "direct", desk, bytes(32), True)  # type: ignore[arg-type]
    now = 0.0
    activity.start(now)
    for answer in answers:
        number, now = len(desk.asked), now + 2.0
        failure = "generic_timeout_error" if answer is None else None
        activity.answered(Answer(number, now, b"" if answer is None else control.encode(answer), failure), now)
        activity.wake(now + 1.5)
    return activity, desk.asked


def test_a_lost_request_to_the_vantage_is_put_again_under_its_number():
    told = [Try("vantage", "direct", "app", "r", "signal", "voice", "relay-call", "udp", 3478, 0.0, 25, 25)]
    activity, asked = at_vantage(None, control.Done(), None, control.VantageAnswer(True, told))
    assert [what for what, _ in asked] == ["vantage", "vantage", "vantage-result", "vantage-result"]
    first, again = asked[0][1], asked[1][1]
    assert first == again
    assert first.number > 0
    assert activity.results[1:] == told


def test_a_vantage_that_never_answers_is_done_without():
    activity, asked = at_vantage(*[None] * (MOST_LOST + 1))
    assert len(asked) == MOST_LOST + 1
    assert activity.results[1:] == []
    activity.wake(100.0)
    assert activity.finished


def test_a_peer_grants_what_is_asked_of_it_as_a_vantage() -> None:
    desk = Asking()
    TriesActivity(everything(), "direct", desk, bytes(32), True).start(0.0)  # type: ignore[arg-type]
    ((_, request),) = desk.asked
    assert isinstance(request, control.VantageRequest)
    Granted(bytes(32), "192.0.2.10", [], 0.0).take_tries(request.tries)
