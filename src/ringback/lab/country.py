"""A scenario's networks as places to measure from: who sits where, behind which devices, on which link."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address
from itertools import cycle
from random import Random
from typing import Literal

import msgspec

from ringback import catalogue
from ringback.catalogue import Catalogue
from ringback.flow import DatagramScript, render
from ringback.lab.hosts import exit_of, hosts_of
from ringback.lab.operator import Operator
from ringback.lab.scenario import SITE, Network, Scenario
from ringback.record import Arm, ExchangeSpec
from ringback.sim.link import LinkParameters
from ringback.sim.net import SimNet, SimPath, Tunnel
from ringback.sim.packet import Box

KNOWN = catalogue.load()
HEADERS: Mapping[str, tuple[int, int, Literal["little", "big"], int]] = {
    "wireguard": (8, 8, "little", 32),  # type and receiver, counter; with the tag 32 B beside the inner packet
    "openvpn": (4, 4, "big", 24),  # opcode and peer id, packet id; with the tag of AES-GCM 24 B
}
"""Of a transport packet: bytes of the header before the counter, of the counter, its byte order, all overhead."""
FILLER = hashlib.shake_128(b"ciphertext").digest(2000)


@dataclass(frozen=True)
class Place:
    """One participant of one network, and the seed from which everything random there is drawn."""

    scenario: Scenario
    network: Network
    participant: int
    seed: int

    def number(self, purpose: str) -> int:
        """A seed of its own for each purpose, the same for the same place."""
        text = f"{self.seed}/{self.network.name}/{self.participant}/{purpose}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")

    def random(self, purpose: str) -> Random:
        return Random(self.number(purpose))


def known_in(scenario: Scenario) -> Catalogue:
    """The catalogue, with the sites that this scenario's rules name besides its own: each has an address of the lab's
    next to those of the others, or that of the app's or neutral host whose name it is."""
    rules = [*scenario.rules, *(rule for network in scenario.networks for rule in network.rules)]
    named = [rule.match.site for rule in rules if rule.match.site is not None]
    named += [entry.removeprefix(SITE) for rule in rules for entry in rule.listed if entry.startswith(SITE)]
    return _with_sites(tuple(dict.fromkeys(name for name in named if name not in KNOWN.sites)))


@cache
def _with_sites(names: tuple[str, ...]) -> Catalogue:
    if not names:
        return KNOWN
    overlay = KNOWN.overlay
    first = max(map(IPv4Address, overlay.sites.values())) + 1
    free = cycle(str(first + i) for i in range(int(IPv4Address(overlay.vpn_exit)) - int(first)))
    added = {name: overlay.hosts.get(name) or next(free) for name in names}
    sites, hosts = {**overlay.sites, **added}, {**overlay.hosts, **added}
    return msgspec.structs.replace(
        KNOWN,
        sites=(*KNOWN.sites, *names),
        overlay=msgspec.structs.replace(overlay, sites=sites, hosts=hosts),
    )


def places(scenario: Scenario, seed: int) -> Iterator[Place]:
    for network in scenario.networks:
        for participant in range(network.participants):
            yield Place(scenario, network, participant, seed)


def routers(hops: int) -> tuple[str, ...]:
    """Addresses of the hops' routers, of a documentation range that nothing else in the lab uses."""
    return tuple(f"192.0.2.{200 + hop}" for hop in range(1, hops + 1))


def link_of(network: Network) -> LinkParameters:
    link = network.link
    return LinkParameters(
        rtt_ms=link.rtt_ms,
        jitter_ms=link.jitter_ms,
        loss=link.loss,
        loss_burst=link.loss_burst,
        up_kbps=link.up_kbps,
        down_kbps=link.down_kbps,
        queue_ms=link.queue_ms,
        cross_kbps=link.cross_kbps,
    )


def boxes_of(place: Place) -> dict[int, Box]:
    """One operator stands behind all hops of a network; hops without a rule have no box."""
    known, addresses = known_in(place.scenario), routers(place.network.hops)
    operator = Operator.of(place.scenario, place.network, place.participant, place.seed, known, addresses)
    return {hop: operator.box(hop) for hop in operator.hops}


def sim_net(place: Place) -> SimNet:
    known = known_in(place.scenario)
    overlay = known.overlay
    link, addresses, boxes = link_of(place.network), routers(place.network.hops), boxes_of(place)
    paths = {
        name: SimPath(link, addresses, boxes, tunnel=None if name == "direct" else tunnel(place))
        for name in dict.fromkeys(("direct", *place.scenario.paths))
    }
    return SimNet(overlay.participant, overlay.peer, paths, hosts_of(known, frozenset(place.scenario.down)))


def tunnel(place: Place) -> Tunnel:
    """The scenario's VPN protocol seen from outside: handshake and headers as in an exchange of its `outer` form."""
    vpn = KNOWN.vpns[place.scenario.vpn]
    spec = ExchangeSpec(
        1, vpn.name, "outer", "outgoing", None, "outer", Arm("original", "app"), "udp", vpn.app_port, 2.0
    )
    script = render(spec, place.random("tunnel").randbytes(32))
    assert isinstance(script, DatagramScript)
    kept, counter_bytes, order, overhead = HEADERS[vpn.name]
    head = script.near[-1].data[:kept]

    def wrap(size: int, counter: int) -> bytes:
        number = (counter & 0xFFFFFFFF).to_bytes(counter_bytes, order)
        return head + number + FILLER[: size + overhead - kept - counter_bytes]

    ends = script.near[0].data, script.far[0].data
    return Tunnel(KNOWN.overlay.vpn_exit, vpn.app_port, wrap, *ends, host=exit_of(vpn))
