"""One engine, two worlds: from one seed a session says the same in virtual time and over real kernels."""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import pytest

from ringback.lab import namespaces, scenario
from ringback.lab.country import Place, places, sim_net
from ringback.lab.kernel_run import peer_ports, ports_of_tries
from ringback.lab.namespaces.session import converse
from ringback.lab.run import KNOWN, far_end, session_settings
from ringback.record import Measurement
from ringback.sim.world import World
from ringback.trial.conclude import Where, conclude
from ringback.trial.seam import Ask, Close, Command, Event, Open, Send, Sent, Write
from ringback.trial.session import Session
from ringback.trial.terms import Result

pytestmark = [
    pytest.mark.namespaces,
    pytest.mark.skipif(namespaces.supported() is not None, reason=str(namespaces.supported())),
]

TOLERANCE_S, SHARE = 0.025, 0.99
STAGES_S = 1.0
"""What the far end's own computing may add between a session's stages; virtual time has none of it."""
STILL = """
name = "still"
apps = ["whatsapp"]
functions = ["voice"]
link = { jitter_ms = 0, loss = 0 }
[[network]]
name = "anywhere"
asn = 64500
region = "RU-MOW"
hops = 5
"""


class Said(NamedTuple):
    at: float  # seconds; of a `Send` when it is to go
    command: Command


class Scribe:
    """An end that writes down what the end within commands, and when each datagram left."""

    def __init__(self, end: Session) -> None:
        self.end = end
        self.said: list[Said] = []
        self.left: dict[tuple[Hashable, int], float] = {}

    def _write(self, commands: Sequence[Command], now: float) -> Sequence[Command]:
        self.said += [Said(c.at if isinstance(c, Send) else now, c) for c in commands]
        return commands

    def start(self, now: float) -> Sequence[Command]:
        return self._write(self.end.start(now), now)

    def handle(self, event: Event, now: float) -> Sequence[Command]:
        if isinstance(event, Sent):
            self.left[event.flow, event.index] = event.at
        return self._write(self.end.handle(event, now), now)

    def note(self, flow: object, index: int, at: float) -> bool:
        return False

    def wake(self, now: float) -> Sequence[Command]:
        return self._write(self.end.wake(now), now)

    @property
    def wake_at(self) -> float | None:
        return self.end.wake_at

    @property
    def finished(self) -> bool:
        return self.end.finished

    def written(self) -> "Writing":
        return Writing(self.said, self.left, self.end.result())


class Writing(NamedTuple):
    said: list[Said]
    left: dict[tuple[Hashable, int], float]
    result: Result


def session(place: Place) -> Scribe:
    settings = msgspec.structs.replace(session_settings(place, None, False), mode="quick", directions=("outgoing",))
    return Scribe(Session(settings, KNOWN, place.random("session")))


@pytest.fixture(scope="module")
def place() -> Place:
    return next(places(scenario.parse(STILL, "still.toml"), 1))


@pytest.fixture(scope="module")
def virtual(place: Place) -> Writing:
    near = session(place)
    World(near, far_end(place.random("peer")), sim_net(place), 1).run()
    return near.written()


@pytest.fixture(scope="module")
def real(place: Place) -> Writing:
    near = session(place)
    tries = ports_of_tries(session_settings(place, None, False).tries)
    return converse(near, far_end(place.random("peer")), sim_net(place), 1, peer_ports(), tries, Scribe.written)


def by_flow(writing: Writing) -> dict[Hashable, list[Said]]:
    """What was said on each flow, and each kind of request to the peer."""
    flows: dict[Hashable, list[Said]] = defaultdict(list)
    for said in writing.said:
        flows[said.command.what if isinstance(said.command, Ask) else said.command.flow].append(said)
    return flows


def timeless(command: Command) -> object:
    """A command without times: the sizes of requests stand for them, as they tell of arrival times."""
    match command:
        case Ask(what=what, body=body):
            return what, len(body)
        case Send(index=index, data=data, ttl=ttl):
            return index, data, ttl
        case _:
            return command


def since_opening(flows: dict[Hashable, list[Said]]) -> Iterator[float]:
    """Seconds from the first thing said on a flow to each later one, flow by flow in one order."""
    for flow in sorted(flows, key=str):
        first, *rest = flows[flow]
        yield from (said.at - first.at for said in rest)


def test_every_flow_is_told_the_same_in_the_same_order(virtual: Writing, real: Writing) -> None:
    expected, seen = by_flow(virtual), by_flow(real)
    assert set(expected) == set(seen)
    for flow, said in expected.items():
        assert [timeless(each.command) for each in said] == [timeless(each.command) for each in seen[flow]]
    kinds = {type(said.command) for said in virtual.said}
    assert kinds == {Open, Send, Write, Close, Ask}
    assert len(virtual.said) > 2000


def test_what_is_said_on_a_flow_is_said_at_the_same_times(virtual: Writing, real: Writing) -> None:
    gaps = [abs(a - b) for a, b in zip(since_opening(by_flow(virtual)), since_opening(by_flow(real)), strict=True)]
    assert sum(gap <= TOLERANCE_S for gap in gaps) >= SHARE * len(gaps)
    assert abs(virtual.result.seconds - real.result.seconds) < STAGES_S


def test_datagrams_leave_when_they_are_told_to(virtual: Writing, real: Writing) -> None:
    assert set(virtual.left) == set(real.left)
    planned = {(s.command.flow, s.command.index): s.at for s in real.said if isinstance(s.command, Send)}
    late = [real.left[key] - at for key, at in planned.items()]
    assert min(late) > -0.001
    assert sum(each <= TOLERANCE_S for each in late) >= SHARE * len(late)


def test_the_verdict_is_the_same(virtual: Writing, real: Writing) -> None:
    def verdicts(writing: Writing) -> list[Measurement]:
        where = Where("anywhere", 0, 64500, "RU-MOW", "2025-08-13T09:00:00Z")
        return conclude(writing.result, KNOWN, where, {})[0]

    for a, b in zip(verdicts(virtual), verdicts(real), strict=True):
        assert (a.app, a.function, a.verdict.status, a.verdict.mechanism) == (
            b.app,
            b.function,
            b.verdict.status,
            b.verdict.mechanism,
        )
        assert a.verdict.mos == pytest.approx(b.verdict.mos, abs=0.1)
