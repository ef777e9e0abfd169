"""How a rule knows its traffic: by address and port at once, or by what a flow has shown so far."""

import ipaddress
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from functools import cache

from ringback.catalogue import Catalogue, PortRange
from ringback.lab.check import matched_functions
from ringback.lab.operator.flows import Flow
from ringback.lab.operator.opening import Label
from ringback.lab.rules import Rule
from ringback.sim.packet import TCP, UDP

PROTOCOLS = {"udp": UDP, "tcp": TCP}
DNS_PORT = 53

Known = Callable[[Flow], bool]
"""Whether the flow, as far as it is known, is the rule's."""

SHOWN = ("payload", "sni", "dns")
"""Triggers that need to see a flow's bytes; the others know it from its first packet."""


def known(rule: Rule, catalogue: Catalogue) -> Known:
    return {
        "payload": _payload,
        "sni": _sni,
        "dns": _dns,
        "destination": _destination,
        "port": _port,
        "transport": _transport,
        "not-listed": _not_listed,
    }[rule.trigger](rule, catalogue)


def realms(catalogue: Catalogue) -> dict[str, Label]:
    """TURN realms that the catalogue marks as an app's own (Max's exists in the lab alone)."""
    voices = ((app.name, app.functions["voice"].marks.get("realm")) for app in catalogue.apps.values())
    return {realm.lower(): (app, "voice") for app, realm in voices if realm}


def _payload(rule: Rule, catalogue: Catalogue) -> Known:
    functions = matched_functions(rule.match, catalogue)
    labels = {*functions, *((vpn, "outer") for vpn in _vpns(rule, catalogue))}
    named = _names(rule, catalogue, [(app, f) for app, f in functions if f != "voice"])

    def test(flow: Flow) -> bool:
        if flow.label is not None:
            return flow.label in labels
        return (flow.sni is not None and named(flow.sni)) or (flow.host is not None and named(flow.host))

    return test


def _sni(rule: Rule, catalogue: Catalogue) -> Known:
    named = _names(rule, catalogue, matched_functions(rule.match, catalogue))
    return lambda flow: flow.sni is not None and named(flow.sni)


def _dns(rule: Rule, catalogue: Catalogue) -> Known:
    named = _names(rule, catalogue, matched_functions(rule.match, catalogue))
    return lambda flow: any(map(named, flow.names))


def _names(rule: Rule, catalogue: Catalogue, functions: Iterable[Label]) -> Callable[[str], bool]:
    """Whether a host name is one of the functions' or the site's own."""
    patterns = [pattern for app, f in functions for pattern in catalogue.apps[app].functions[f].hosts]
    patterns += _sites(rule, catalogue)

    @cache
    def named(name: str) -> bool:
        name = name.rstrip(".")
        return any(fnmatchcase(name, pattern) for pattern in patterns)

    return named


def _sites(rule: Rule, catalogue: Catalogue) -> tuple[str, ...]:
    if rule.match.all:
        return catalogue.sites
    return (rule.match.site,) if rule.match.site else ()


def _vpns(rule: Rule, catalogue: Catalogue) -> tuple[str, ...]:
    if rule.match.all:
        return tuple(catalogue.vpns)
    return (rule.match.vpn,) if rule.match.vpn else ()


def _destination(rule: Rule, catalogue: Catalogue) -> Known:
    overlay = catalogue.overlay
    ranges = [overlay.prefixes[pair] for pair in matched_functions(rule.match, catalogue) if pair in overlay.prefixes]
    ranges += [overlay.sites[site] for site in _sites(rule, catalogue)]
    ranges += [overlay.vpn_exit for _ in _vpns(rule, catalogue)[:1]]
    inside = _inside(ranges)
    return lambda flow: inside(flow.remote)


def _inside(ranges: Iterable[str]) -> Callable[[str], bool]:
    networks = tuple(map(ipaddress.ip_network, ranges))

    @cache
    def inside(address: str) -> bool:
        return any(ipaddress.ip_address(address) in network for network in networks)

    return inside


def _port(rule: Rule, catalogue: Catalogue) -> Known:
    ranges: list[PortRange] = []
    for app, function in matched_functions(rule.match, catalogue):
        ranges += catalogue.apps[app].functions[function].ports
    for vpn in _vpns(rule, catalogue):
        ranges += catalogue.vpns[vpn].ports
    wanted = frozenset((PROTOCOLS[r.transport], port) for r in ranges for port in range(r.first, r.last + 1))
    return lambda flow: (flow.key[0], flow.key[4]) in wanted


def _transport(rule: Rule, catalogue: Catalogue) -> Known:
    return lambda flow: flow.key[0] == UDP


def _not_listed(rule: Rule, catalogue: Catalogue) -> Known:
    """All but the listed and DNS."""
    overlay = catalogue.overlay
    ranges = [overlay.peer] if "peer" in rule.listed else []
    ranges += [overlay.sites[entry.removeprefix("site:")] for entry in rule.listed if entry.startswith("site:")]
    ranges += [prefix for (app, _), prefix in overlay.prefixes.items() if app in rule.listed]
    inside = _inside(ranges)
    return lambda flow: flow.key[4] != DNS_PORT and not inside(flow.remote)
