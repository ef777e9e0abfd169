"""Whether a rule can act at all. A scenario whose rule never could is refused, so that no run tests nothing."""

from collections.abc import Callable

from ringback.catalogue import App, Catalogue
from ringback.lab.rules import Match, Rule

Fault = tuple[str, str]
"""(key of the rule that is at fault, reason)"""

DNS_ACTIONS = ("nxdomain", "forge")


def fault(rule: Rule, catalogue: Catalogue) -> Fault | None:
    """The first reason why this rule can't act, or None. The match's names are known to exist."""
    for check in CHECKS:
        found = check(rule, catalogue)
        if found is not None:
            return found
    return None


def matched_functions(match: Match, catalogue: Catalogue) -> tuple[tuple[str, str], ...]:
    """(app, function) of all that a match names."""
    if match.all:
        return tuple((app.name, f) for app in catalogue.apps.values() for f in app.functions)
    if match.app is None:
        return ()
    return tuple((match.app, f) for f in _functions(match, catalogue.apps[match.app]))


def _functions(match: Match, app: App) -> tuple[str, ...]:
    return (match.function,) if match.function else tuple(app.functions)


def _names(rule: Rule, catalogue: Catalogue) -> Fault | None:
    if rule.trigger not in ("sni", "dns"):
        return None
    if rule.match.vpn:
        return "trigger", f"`{rule.trigger}` can't act on a VPN: its outer protocol shows no names"
    if rule.trigger == "sni" and rule.match.function == "voice":
        return "trigger", "`sni` can't act on voice: calls show no names"
    named = matched_functions(rule.match, catalogue)
    if named and not any(catalogue.apps[app].functions[f].hosts for app, f in named):
        return "trigger", f"`{rule.trigger}` can't act on {' '.join(named[0])}: it has no host names"
    return None


def _ports(rule: Rule, catalogue: Catalogue) -> Fault | None:
    if rule.trigger == "port" and rule.match.site:
        return "trigger", "`port` can't act on a site: the catalogue gives it no ports of its own"
    return None


def _listed(rule: Rule, catalogue: Catalogue) -> Fault | None:
    if rule.trigger != "not-listed":
        return None
    if not rule.match.all:
        return "match", "`not-listed` acts on everything: match must be { all = true }"
    if rule.action.kind not in ("drop", "icmp"):
        return "action", f"`not-listed` drops: it can't `{rule.action.kind}`"
    return None


def _reset(rule: Rule, catalogue: Catalogue) -> Fault | None:
    if rule.action.kind != "reset":
        return None
    if rule.match.function == "voice":
        return "action", "`reset` can't act on voice: calls are UDP"
    if rule.trigger in ("transport", "dns"):
        return "action", f"`reset` can't act with trigger `{rule.trigger}`: that is UDP"
    if rule.match.vpn and catalogue.vpns[rule.match.vpn].transport == "udp":
        return "action", f"`reset` can't act on {rule.match.vpn}: it is UDP"
    return None


def _dns(rule: Rule, catalogue: Catalogue) -> Fault | None:
    if rule.action.kind in DNS_ACTIONS and rule.trigger != "dns":
        return "action", f"`{rule.action.kind}` can't act with trigger `{rule.trigger}`: it needs `dns`"
    return None


CHECKS: tuple[Callable[[Rule, Catalogue], Fault | None], ...] = (_names, _ports, _listed, _reset, _dns)
