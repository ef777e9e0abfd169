"""Networks that are bad in many ways and look at nobody's payload: what the full engine must not accuse.

Links are the public presets of networks that are only bad, and worse ones; before some stand boxes that treat packets
by time, by flow or by order of opening, always blind to bytes and ports.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import sin
from random import Random

import msgspec

from ringback import catalogue
from ringback.lab.country import routers
from ringback.lab.hosts import hosts_of
from ringback.lab.run import far_end
from ringback.sim.link import LinkParameters
from ringback.sim.net import SimNet, SimPath
from ringback.sim.packet import Box, Packet, Passage
from ringback.sim.world import World
from ringback.trial.cells import CellTrial
from ringback.trial.session import Session
from ringback.trial.terms import Result, Settings

KNOWN = catalogue.load()
HOPS = 4
LONGEST_S = 3600.0


def _link(
    one_way_ms: float, jitter_ms: float, loss: float, mbit: float, buffer_kb: float, **more: float
) -> LinkParameters:
    """A public preset's own numbers: one way delay, jitter, loss in bursts of two, rate and buffer."""
    rate = mbit * 1000
    return LinkParameters(
        rtt_ms=2 * one_way_ms, jitter_ms=jitter_ms, loss=loss, loss_burst=more.pop("burst", 2.0), up_kbps=rate,
        down_kbps=rate, queue_ms=buffer_kb * 8 / mbit, **more,
    )  # fmt: skip


LINKS: Mapping[str, LinkParameters] = {
    "wifi": _link(5, 2, 0.01, 100, 200),
    "weak-wifi": _link(15, 10, 0.05, 50, 100),
    "crowded-wifi": _link(10, 20, 0.10, 5, 30),
    "cellular": _link(50, 15, 0.02, 30, 100),
    "satellite": _link(300, 30, 0.03, 15, 500),
    "congested": _link(80, 40, 0.10, 10, 50),
    "bursty-10": _link(30, 5, 0.10, 20, 200, burst=1.5),
    "bursty-25": _link(30, 5, 0.25, 20, 200, burst=3.0),
    "bursty-50": _link(30, 5, 0.50, 20, 200, burst=4.0),
    "cross-traffic": _link(20, 5, 0.01, 4, 100, cross_kbps=6000),
}


class Weather:
    """Loss that comes and goes over seconds, from nothing to `worst`."""

    def __init__(self, random: Random, worst: float = 0.7) -> None:
        self._random, self._worst = random, worst
        self._speed, self._phase = random.uniform(0.3, 2.0), random.uniform(0, 6.3)

    def packet(self, packet: Packet, outward: bool, now: float) -> tuple[Passage, ...]:
        chance = self._worst * max(0.0, sin(self._speed * now + self._phase))
        return () if self._random.random() < chance else ((now, packet, outward),)


class BadLeg:
    """A bundle of lines, some dead: a flow's addresses and ports decide its line, its bytes do not."""

    def __init__(self, random: Random, share: float = 0.15) -> None:
        self._share, self._salt = share, random.getrandbits(32)

    def packet(self, packet: Packet, outward: bool, now: float) -> tuple[Passage, ...]:
        ends = sorted(((packet.src, packet.sport), (packet.dst, packet.dport)))
        dead = Random(f"{self._salt}{packet.proto}{ends}").random() < self._share and 8443 not in (
            packet.sport, packet.dport
        )  # fmt: skip
        return () if dead else ((now, packet, outward),)


class Crowd:
    """How a flow fares depends on how many others were opened before it; after a rest all begins anew."""

    def __init__(self, random: Random, worst: float = 0.8, most: int = 24, rest_s: float = 4.0) -> None:
        self._random, self._worst, self._most, self._rest = random, worst, most, rest_s
        self._order: dict[object, int] = {}
        self._opened, self._last = 0, 0.0

    def share(self, before: int) -> float:
        """Loss of a flow with so many before it, as a share of the worst."""
        return min(1.0, before / self._most)

    def packet(self, packet: Packet, outward: bool, now: float) -> tuple[Passage, ...]:
        key = frozenset(((packet.src, packet.sport), (packet.dst, packet.dport)))
        if key not in self._order:
            if now - self._last > self._rest:
                self._opened = 0
            self._order[key] = self._opened
            self._opened, self._last = self._opened + 1, now
        chance = self._worst * self.share(self._order[key])
        spared = 8443 in (packet.sport, packet.dport)
        return () if not spared and self._random.random() < chance else ((now, packet, outward),)


class Waking(Crowd):
    """The other way round: the first flows after a rest find a network that is not quite awake."""

    def share(self, before: int) -> float:
        return max(0.0, 1.0 - before / self._most)


class Blackouts:
    """Nothing passes, the partner's answers least of all, for seconds at a time and at any moment: what a device that
    punishes makes, and an outage just as well."""

    def __init__(self, random: Random, every_s: float = 25.0, longest_s: float = 15.0) -> None:
        self._random, self._every, self._longest = random, every_s, longest_s
        self._from = self._until = 0.0
        self._next()

    def _next(self) -> None:
        self._from = self._until + self._random.expovariate(1 / self._every)
        self._until = self._from + self._random.uniform(2.0, self._longest)

    def packet(self, packet: Packet, outward: bool, now: float) -> tuple[Passage, ...]:
        while now >= self._until:
            self._next()
        return () if now >= self._from else ((now, packet, outward),)


BOXES: Mapping[str, Callable[[Random], Box] | None] = {
    "plain": None,
    "weather": Weather,
    "bad-leg": BadLeg,
    "tiring": Crowd,
    "waking": Waking,
    "blackouts": Blackouts,
}


@dataclass(frozen=True)
class Neutral:
    """One network: a link, what stands before it, and whether a NAT does."""

    link: str
    box: str = "plain"
    nat: bool = False
    settings: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.link}, {self.box}{', NAT' if self.nat else ''}"


Making = Callable[[Settings, Random], Session]


def shipped(settings: Settings, random: Random) -> Session:
    return Session(settings, KNOWN, random)


def measured(network: Neutral, seed: int, settings: Settings, making: Making = shipped) -> Result:
    """A whole session of the full engine on that network."""
    random = Random(f"{network}/{seed}")
    box = BOXES[network.box]
    boxes = {} if box is None else {2: box(Random(random.random()))}
    overlay = KNOWN.overlay
    path = SimPath(LINKS[network.link], routers(HOPS), boxes, public="192.0.2.99" if network.nat else None)
    net = SimNet(overlay.participant, overlay.peer, {"direct": path}, hosts_of(KNOWN, frozenset()))
    near = making(settings, Random(random.random()))
    world = World(near, far_end(Random(random.random())), net, random.getrandbits(48))
    world.run(LONGEST_S)
    return near.result()


def quick(app: str, function: str) -> Settings:
    """The short session of one cell (voice: outgoing)."""
    return Settings(
        apps=(app,), functions=(function,), paths=("direct",), peer=KNOWN.overlay.peer, tries=(), mode="quick",
        directions=("outgoing",),
    )  # fmt: skip


def quiet(app: str, function: str) -> Settings:
    """The same cell, one pair at a time."""
    return msgspec.structs.replace(quick(app, function), mode="quiet")


def default(app: str, _: str) -> Settings:
    """The session that nobody asked to be shorter: everything of one app, calls both ways."""
    return msgspec.structs.replace(
        quick(app, "voice"), mode="default", functions=("text", "media", "voice"), directions=("outgoing", "incoming")
    )


MODES: Mapping[str, Callable[[str, str], Settings]] = {"quick": quick, "quiet": quiet, "default": default}


def e_values(result: Result) -> list[tuple[CellTrial, float]]:
    return [(trial, trial.evidence.e_value if trial.evidence else 1.0) for trial in result.trials]
