"""Reads a scenario file and refuses, with file, line and reason, what is misspelt, out of range or can't act."""

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from ringback import catalogue as catalogue_room
from ringback.catalogue import Catalogue
from ringback.errors import BadInput
from ringback.lab.check import fault
from ringback.lab.reading import REQUIRED, Table, decoded, read
from ringback.lab.rules import FUNCTIONS, Action, Link, Match, Network, Rule, Scenario

__all__ = [
    "Action",
    "Link",
    "Match",
    "Network",
    "Rule",
    "Scenario",
    "load",
    "parse",
    "read_link",
    "read_rule",
    "shipped",
]

AT = 1755075600.0  # 2025-08-13T09:00:00Z
REGION = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")  # ISO 3166-2
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # of a host name
LONGEST_NAME = 253
SITE = "site:"
TRIGGERS = ("payload", "destination", "port", "sni", "dns", "transport", "not-listed")
MOST_HOPS = 30
DEFAULTS = Link()
LONGEST_MS, FASTEST_KBPS, LONGEST_S = 3.6e6, 1e7, 1e8  # an hour, 10 Gbit/s, three years: beyond lie slips of the hand

LINK_KEYS = Link.__dataclass_fields__
NETWORK_KEYS = ("name", "asn", "region", "kind", "participants", "hops", "hop_asn", "link", "rule")
RULE_KEYS = (
    "hop",
    "match",
    "trigger",
    "action",
    "direction",
    "residual_s",
    "residual",
    "share",
    "from",
    "until",
    "listed",
)
TOP_KEYS = ("name", "seed", "at", "apps", "functions", "paths", "vpn", "down", "link", "rule", "network")

BURST_KBYTES, QUEUE_MS, JITTER_MS = 16.0, 200.0, 0.0  # an action's second number where the file gives none


def shipped() -> list[str]:
    """Names of the scenarios that come along, sorted."""
    folder = files("ringback.lab").joinpath("scenarios")
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


def load(path_or_name: str | Path, catalogue: Catalogue | None = None) -> Scenario:
    """A shipped scenario by name, or any by path. Raises BadInput with file, line and reason."""
    name = str(path_or_name)
    if name in shipped():
        file = f"{name}.toml"
        return parse(files("ringback.lab").joinpath("scenarios", file).read_text("utf-8"), file, catalogue)
    try:
        text = decoded(Path(path_or_name).read_bytes(), name)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        known = ", ".join(shipped())
        raise BadInput(f"no scenario: neither a shipped one ({known}) nor a file: {reason}", name) from error
    return parse(text, name, catalogue)


def parse(text: str, file: str, catalogue: Catalogue | None = None) -> Scenario:
    """The scenario in `text`; `file` is what messages call it. Raises BadInput with file, line and reason."""
    known = catalogue or catalogue_room.load()
    top = read(text, file).only(*TOP_KEYS)
    link = read_link(top.table("link", {}), DEFAULTS)
    apps = top.strings("apps", tuple(known.apps), known.apps, "app")
    functions = top.strings("functions", FUNCTIONS, FUNCTIONS, "function")
    paths = top.strings("paths", ("direct",), ("direct", "vpn"), "path")
    for key, value in (("apps", apps), ("functions", functions), ("paths", paths)):
        if not value:
            top.fail(f"`{key}` is empty", key)
    country = [(table, read_rule(table, known, None)) for table in top.tables("rule")]
    networks = _networks(top, known, link)
    for table, rule in country:
        for network in networks:
            if rule.hop > network.hops:
                table.fail(f"no hop {rule.hop} in {network.name}, which has {network.hops}", "hop")
    return Scenario(
        name=top.string("name"),
        networks=networks,
        seed=top.integer("seed", 1),
        at=top.time("at", AT),
        apps=apps,
        functions=functions,
        paths=paths,
        vpn=top.string("vpn", "wireguard", known.vpns, "VPN"),
        down=top.strings("down", (), known.apps, "app"),
        link=link,
        rules=tuple(rule for _, rule in country),
    )


def read_link(table: Table, base: Link) -> Link:
    table.only(*LINK_KEYS)
    return Link(
        rtt_ms=table.number("rtt_ms", base.rtt_ms, high=LONGEST_MS),
        jitter_ms=table.number("jitter_ms", base.jitter_ms, high=LONGEST_MS),
        loss=table.number("loss", base.loss, 0, 1),
        loss_burst=table.number("loss_burst", base.loss_burst, 1, 1e6),
        up_kbps=table.number("up_kbps", base.up_kbps, high=FASTEST_KBPS, above=0),
        down_kbps=table.number("down_kbps", base.down_kbps, high=FASTEST_KBPS, above=0),
        queue_ms=table.number("queue_ms", base.queue_ms, high=LONGEST_MS),
        cross_kbps=table.number("cross_kbps", base.cross_kbps, high=FASTEST_KBPS),
    )


def _networks(top: Table, catalogue: Catalogue, link: Link) -> tuple[Network, ...]:
    networks: dict[str, Network] = {}
    for table in top.tables("network"):
        network = _network(table, catalogue, link)
        if network.name in networks:
            table.fail(f"a second network named `{network.name}`", "name")
        networks[network.name] = network
    if not networks:
        top.fail("no network: a scenario needs at least one [[network]]")
    return tuple(networks.values())


def _network(table: Table, catalogue: Catalogue, link: Link) -> Network:
    name = table.only(*NETWORK_KEYS).string("name")
    asn = table.integer("asn", low=1, high=2**32 - 1)
    region = table.string("region")
    if not REGION.fullmatch(region):
        table.fail(f"`region`: `{region}` is no ISO 3166-2 code like RU-MOW", "region")
    hops = table.integer("hops", low=1, high=MOST_HOPS)
    hop_asn = table.integers("hop_asn", (asn,) * hops, 1, 2**32 - 1)
    if len(hop_asn) != hops:
        table.fail(f"`hop_asn` has {len(hop_asn)} entries for {hops} hops", "hop_asn")
    return Network(
        name=name,
        asn=asn,
        region=region,
        hops=hops,
        hop_asn=hop_asn,
        link=read_link(table.table("link", {}), link),
        kind=table.string("kind", "fixed", ("fixed", "mobile"), "kind"),
        participants=table.integer("participants", 1, low=1, high=100_000),
        rules=tuple(read_rule(rule, catalogue, hops) for rule in table.tables("rule")),
    )


def read_rule(table: Table, catalogue: Catalogue, hops: int | None) -> Rule:
    """`hops`: of its network; None for a country-wide rule. It stands at hop 1 unless it says otherwise."""
    table.only(*RULE_KEYS)
    hop = table.integer("hop", 1, low=1)
    if hops is not None and hop > hops:
        table.fail(f"no hop {hop}: the network has {hops}", "hop")
    rule = Rule(
        hop=hop,
        match=_match(table.table("match"), catalogue),
        trigger=table.string("trigger", among=TRIGGERS, what="trigger"),
        action=_action(table.table("action")),
        direction=table.string("direction", "both", ("out", "in", "both"), "direction"),
        residual_s=table.number("residual_s", 0.0, high=LONGEST_S),
        residual=table.string("residual", "flow", ("flow", "pair", "host"), "residual"),
        share=table.number("share", 1.0, high=1, above=0),
        since=table.time("from", None),
        until=table.time("until", None),
        listed=_listed(table, catalogue),
        line=table.line,
    )
    if rule.since is not None and rule.until is not None and rule.since >= rule.until:
        table.fail("`until` is not after `from`: the rule would never hold", "until")
    reason = fault(rule, catalogue)
    if reason is not None:
        table.fail(reason[1], reason[0])
    return rule


def _listed(table: Table, catalogue: Catalogue) -> tuple[str, ...]:
    not_listed = table.string("trigger") == "not-listed"
    if "listed" in table and not not_listed:
        table.fail("`listed` belongs to trigger `not-listed` alone", "listed")
    named: tuple[str, ...] = table.strings("listed", REQUIRED if not_listed else (), None, "")
    known = (*catalogue.apps, "peer", SITE)
    for i, entry in enumerate(named):
        if entry.startswith(SITE):
            _host(table, entry.removeprefix(SITE), "listed", i)
        elif entry not in known:
            table.fail(f"`listed`: no app, {SITE}NAME or peer `{entry}`; known: {', '.join(known)}", "listed", i)
    return tuple(entry.lower() if entry.startswith(SITE) else entry for entry in named)


def _host(table: Table, name: str, *keys: str | int) -> str:
    """A site's name: any host's, in small letters. Raises BadInput for what can't be one (RFC 1123, 2.1)."""
    labels = name.lower().split(".")
    if len(name) > LONGEST_NAME or not all(LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        table.fail(f"no site `{name}`: that is no name of a host, like example.org", *keys)
    return name.lower()


def _match(table: Table, catalogue: Catalogue) -> Match:
    table.only("app", "function", "site", "vpn", "all")
    match = Match(
        app=table.string("app", None, catalogue.apps, "app"),
        function=table.string("function", None, FUNCTIONS, "function"),
        site=None if (site := table.string("site", None)) is None else _host(table, site, "site"),
        vpn=table.string("vpn", None, catalogue.vpns, "VPN"),
        all=table.truth("all", False),
    )
    if "all" in table and not match.all:
        table.fail("`all` can only be true", "all")
    if sum((match.app is not None, match.site is not None, match.vpn is not None, match.all)) != 1:
        table.fail("`match` needs exactly one of app, site, vpn and all")
    if match.function is not None and match.app is None:
        table.fail("`function` needs its `app`", "function")
    return match


Numbers = Mapping[str, object]


def _drop_after(table: Table) -> Numbers:
    table.only("kind", "packets", "bytes")
    if ("packets" in table) == ("bytes" in table):
        table.fail("`drop-after` needs its number: either `packets` or `bytes`")
    return {"packets": table.integer("packets", None, low=1), "bytes": table.integer("bytes", None, low=1)}


def _police(table: Table) -> Numbers:
    table.only("kind", "kbps", "burst_kbytes", "per")
    return {
        "kbps": _number(table, "kbps", FASTEST_KBPS),
        "burst_kbytes": table.number("burst_kbytes", BURST_KBYTES, high=FASTEST_KBPS, above=0),
        "per": table.string("per", "flow", ("flow", "host", "network"), "per"),
    }


def _shape(table: Table) -> Numbers:
    table.only("kind", "kbps", "queue_ms", "per")
    return {
        "kbps": _number(table, "kbps", FASTEST_KBPS),
        "queue_ms": table.number("queue_ms", QUEUE_MS, high=LONGEST_MS),
        "per": table.string("per", "flow", ("flow", "host", "network"), "per"),
    }


def _delay(table: Table) -> Numbers:
    table.only("kind", "ms", "jitter_ms")
    return {"ms": _number(table, "ms", LONGEST_MS), "jitter_ms": table.number("jitter_ms", JITTER_MS, high=LONGEST_MS)}


def _loss(table: Table) -> Numbers:
    table.only("kind", "share")
    return {"share": _number(table, "share", 1)}


def _nothing(table: Table) -> Numbers:
    table.only("kind")
    return {}


def _number(table: Table, key: str, high: float) -> float:
    if key not in table:
        table.fail(f"the action lacks its number `{key}`")
    value: float = table.number(key, high=high, above=0)
    return value


NUMBERS = {"drop-after": _drop_after, "police": _police, "shape": _shape, "delay": _delay, "loss": _loss}
KINDS = (*NUMBERS, "drop", "reset", "icmp", "nxdomain", "forge", "corrupt")


def _action(table: Table) -> Action:
    kind = table.string("kind", among=KINDS, what="action")
    return Action(kind=kind, **NUMBERS.get(kind, _nothing)(table))  # type: ignore[arg-type]
