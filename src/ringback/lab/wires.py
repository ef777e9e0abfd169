"""What a cell puts on the wire, and whether a rule's trigger recognises it (docs: contracts, "Truth").

A cell's wire is its exchanges with the peer and its tries at the app's own relay or hosts; on a VPN path it is the
outer protocol alone.
"""

import ipaddress
from collections.abc import Iterable

from ringback.catalogue import Catalogue, matches_host
from ringback.flow import FormPlan, forms_of
from ringback.lab.check import matched_functions
from ringback.lab.rules import Rule, Scenario
from ringback.record import Cell

UNMARKED = frozenset((("telegram", "p2p-call"), ("signal", "p2p-call"), ("max", "p2p-call")))
"""Forms in which nothing tells the app: plain ICE and SRTP from peer to peer."""

OWN_OPENING = ("noise", "obfuscated")
"""Forms that no other function's can be mistaken for; `tls` is known by its name."""


def cells(scenario: Scenario) -> tuple[Cell, ...]:
    """What `lab run` measures on each network, by relay."""
    return tuple(
        Cell(app, function, direction, "relay" if function == "voice" else None, path)
        for path in scenario.paths
        for app in scenario.apps
        for function in scenario.functions
        for direction in (("outgoing", "incoming") if function == "voice" else (None,))
    )


def recognises(rule: Rule, cell: Cell, scenario: Scenario, catalogue: Catalogue) -> bool:
    """Whether the rule's trigger knows the cell's wire, and its action can do something to it."""
    if cell.path != "direct":
        return _outer(rule, scenario, catalogue)
    forms = forms_of(catalogue, cell.app, cell.function, cell.route)
    kind = rule.action.kind
    if kind == "reset":
        forms = tuple(form for form in forms if form.transport == "tcp")
    matched = matched_functions(rule.match, catalogue)
    entry = catalogue.apps[cell.app].functions[cell.function]

    def named(form: str, functions: Iterable[tuple[str, str]]) -> bool:
        name = entry.name_of[form]
        return any(matches_host(catalogue.apps[app].functions[f], name) for app, f in functions)

    def shown(form: FormPlan) -> bool:
        if form.form == "dns":
            return False
        if form.form == "tls":
            return named("tls", [(app, f) for app, f in matched if f != "voice"])
        return (cell.app, cell.function) in matched and (cell.app, form.form) not in UNMARKED

    if rule.trigger == "payload":
        return any(map(shown, forms))
    if rule.trigger == "sni":
        return any(form.form == "tls" and named("tls", matched) for form in forms)
    if rule.trigger == "dns":
        return any(form.form == "dns" and named("dns", matched) for form in forms)
    if rule.trigger == "port":
        ports = [ports for app, f in matched for ports in catalogue.apps[app].functions[f].ports]
        return any(p.transport == form.transport and form.app_port in p for form in forms for p in ports)
    if rule.trigger == "destination":
        own = ipaddress.ip_network(catalogue.overlay.prefixes[cell.app, cell.function])
        hit = any(own.overlaps(ipaddress.ip_network(catalogue.overlay.prefixes[pair])) for pair in matched)
        return hit and bool(forms)
    if rule.trigger == "transport":
        return any(form.transport == "udp" and form.form != "dns" for form in forms)
    return cell.app not in rule.listed


def _outer(rule: Rule, scenario: Scenario, catalogue: Catalogue) -> bool:
    """Whether the rule knows the VPN path's outer packets."""
    vpn = catalogue.vpns[scenario.vpn]
    if rule.action.kind == "reset" and vpn.transport == "udp":
        return False
    meant = rule.match.all or rule.match.vpn == vpn.name
    if rule.trigger == "payload":
        return meant
    if rule.trigger == "destination":
        return rule.match.all or rule.match.vpn is not None  # every VPN of the lab ends at the one exit
    if rule.trigger == "port":
        ports = [
            p for app, f in matched_functions(rule.match, catalogue) for p in catalogue.apps[app].functions[f].ports
        ]
        others = catalogue.vpns if rule.match.all else (rule.match.vpn,) if rule.match.vpn else ()
        ports += [p for name in others for p in catalogue.vpns[name].ports]
        return any(p.transport == vpn.transport and vpn.app_port in p for p in ports)
    if rule.trigger == "transport":
        return vpn.transport == "udp"
    return rule.trigger == "not-listed"  # the exit never is listed
