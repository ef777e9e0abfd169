"""A country file: regions, networks, who takes part, and rules that come into force on a date.

A country is to a scenario what weeks are to a moment. Rules and links are read by the scenario's own reader; here they
have names, so that many networks share them. Times are seconds since the Unix epoch.
"""

import difflib
import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib.resources import files
from math import ceil
from pathlib import Path
from random import Random

import msgspec

from ringback import catalogue as catalogue_room
from ringback.catalogue import Catalogue
from ringback.errors import BadInput
from ringback.lab.reading import Table, decoded, read
from ringback.lab.rules import Link, Network, Rule, Scenario
from ringback.lab.scenario import DEFAULTS, REGION, read_link, read_rule

DAY = 86_400.0
HOPS = 5
FIRST_HOUR, LAST_HOUR = 5.0, 20.0  # UTC, between which people measure

NAME = re.compile(r"[^\W_][\w. -]{0,63}")  # it names a folder as well

NEAR = 3  # regions named beside one that is not there

MOST_SESSIONS = 24  # a day and participant
LONGEST = 366 * DAY  # of a country's run, and from it to what a rule's dates may be: beyond lie slips of the hand

# ISO 3166-1 alpha-2, officially assigned codes by their first letter.
_ASSIGNED = {
    "A": "DEFGILMOQRSTUWXZ", "B": "ABDEFGHIJLMNOQRSTVWYZ", "C": "ACDFGHIKLMNORUVWXYZ", "D": "EJKMOZ",
    "E": "CEGHRST", "F": "IJKMOR", "G": "ABDEFGHILMNPQRSTUWY", "H": "KMNRTU", "I": "DELMNOQRST", "J": "EMOP",
    "K": "EGHIMNPRWYZ", "L": "ABCIKRSTUVY", "M": "ACDEFGHKLMNOPQRSTUVWXYZ", "N": "ACEFGILOPRUZ", "O": "M",
    "P": "AEFGHKLMNRSTWY", "Q": "A", "R": "EOSUW", "S": "ABCDEGHIJKLMNORSTVXYZ", "T": "CDFGHJKLMNORTVWZ",
    "U": "AGMSYZ", "V": "ACEGINU", "W": "FS", "Y": "ET", "Z": "AMW",
}  # fmt: skip
COUNTRIES = frozenset(first + second for first, seconds in _ASSIGNED.items() for second in seconds)

Regions = Callable[[str], Collection[str]]
"""The ISO 3166-2 codes of a country's regions, by its own code; none where they are not listed, and any will do."""


def _unlisted(country: str) -> Collection[str]:
    return ()


TOP_KEYS = ("name", "country", "seed", "from", "until", "vpn", "vpn_users", "sessions", "link", "rule", "network")
NETWORK_KEYS = ("name", "asn", "region", "kind", "participants", "sessions", "link", "rules", "share")


class Provider(msgspec.Struct, frozen=True):
    """One network. sessions: a day and participant, 0 to 24; a fraction is the chance of one more. share: of its
    participants that sit behind its rules; the same ones behind all of them, as behind one device."""

    name: str
    asn: int
    region: str
    kind: str
    participants: int
    sessions: float
    link: Link
    rules: tuple[Rule, ...]
    share: float


class Nation(msgspec.Struct, frozen=True):
    """since, until: first second and the one after the last. vpn_users: share of participants with a VPN."""

    name: str
    country: str
    seed: int
    since: float
    until: float
    vpn: str
    vpn_users: float
    providers: tuple[Provider, ...]

    @property
    def digest(self) -> str:
        """The same for the same country, whatever its file's comments and where its lines stand."""
        rules = (
            msgspec.structs.replace(one, rules=tuple(msgspec.structs.replace(rule, line=0) for rule in one.rules))
            for one in self.providers
        )
        bare = msgspec.structs.replace(self, providers=tuple(rules))
        return hashlib.blake2b(msgspec.json.encode(bare, order="deterministic"), digest_size=8).hexdigest()


class Situation(msgspec.Struct, frozen=True):
    """All that a session's outcome hangs on: the access link, and the rules that stand before the participant, without
    the dates that brought them there."""

    link: Link
    rules: tuple[Rule, ...]
    vpn: str

    @property
    def key(self) -> str:
        """The same for the same situation, whichever file it comes from."""
        return hashlib.blake2b(msgspec.json.encode(self, order="deterministic"), digest_size=8).hexdigest()

    @property
    def silent(self) -> bool:
        """Nothing gets through at all."""
        return any(rule.trigger == "not-listed" and not rule.listed for rule in self.rules)

    def scenario(self) -> Scenario:
        """One network with one participant, measured on every path."""
        known = catalogue_room.load()
        network = Network("lab", 64500, "RU", HOPS, (64500,) * HOPS, self.link, rules=self.rules)
        return Scenario(
            name=self.key,
            networks=(network,),
            seed=1,
            at=0.0,
            apps=tuple(known.apps),
            functions=("text", "media", "voice"),
            paths=("direct", "vpn"),
            vpn=self.vpn,
            down=(),
            link=self.link,
            rules=(),
        )


class Visit(msgspec.Struct, frozen=True):
    """One session: who measures when. vpn: whether this participant has one."""

    provider: Provider
    participant: int
    at: float
    situation: Situation
    vpn: bool


def shipped() -> list[str]:
    """Names of the countries that come along."""
    folder = files("ringback.lab") / "countries"
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


def load(path_or_name: str | Path, regions: Regions = _unlisted) -> Nation:
    """A shipped country by name, or any by path. Raises BadInput with file, line and reason."""
    name = str(path_or_name)
    if name in shipped():
        text = (files("ringback.lab") / "countries" / f"{name}.toml").read_text("utf-8")
        return parse(text, f"{name}.toml", regions)
    try:
        return parse(decoded(Path(path_or_name).read_bytes(), name), name, regions)
    except OSError as error:
        raise BadInput(f"no country: neither a shipped one ({', '.join(shipped())}) nor a file", name) from error


def is_country(path_or_name: str | Path) -> bool:
    """Whether it names a country rather than a scenario."""
    if str(path_or_name) in shipped():
        return True
    try:
        return "country" in read(decoded(Path(path_or_name).read_bytes(), str(path_or_name)), str(path_or_name))
    except (OSError, ValueError, BadInput):
        return False


def parse(text: str, file: str, regions: Regions = _unlisted) -> Nation:
    """The country in `text`; `file` is what messages call it. Raises BadInput with file, line and reason."""
    top = read(text, file).only(*TOP_KEYS)
    since, until = top.time("from"), top.time("until")
    if since >= until:
        top.fail("`until` is not after `from`", "until")
    if until - since > LONGEST:
        top.fail("`until` is more than a year after `from`", "until")
    country = top.string("country")
    if country not in COUNTRIES:
        top.fail(f"`country`: `{country}` is no ISO 3166-1 alpha-2 code like RU", "country")
    known = catalogue_room.load()
    named = top.table("link", {})
    links = {name: read_link(named.table(name), DEFAULTS) for name in named.names}
    given = top.table("rule", {})
    rules = {name: _rule(given.table(name), known, since, until) for name in given.names}
    usual = top.number("sessions", 1.0, 0, MOST_SESSIONS)
    listed = regions(country)
    providers: dict[int, Provider] = {}
    for table in top.tables("network"):
        one = _provider(table, country, listed, links, rules, usual)
        if one.asn in providers:
            table.fail(f"a second network AS{one.asn}", "asn")
        if any(one.name == other.name for other in providers.values()):
            table.fail(f"a second network `{one.name}`", "name")
        providers[one.asn] = one
    if not providers:
        top.fail("no network: a country needs at least one [[network]]")
    name = top.string("name")
    if not NAME.fullmatch(name):
        top.fail("`name` must be of letters, digits, spaces and `.-_`, at most 64, a letter or digit first", "name")
    return Nation(
        name=name,
        country=country,
        seed=top.integer("seed", 1),
        since=since,
        until=until,
        vpn=top.string("vpn", "wireguard", known.vpns, "VPN"),
        vpn_users=top.number("vpn_users", 0.0, 0, 1),
        providers=tuple(providers.values()),
    )


def _rule(table: Table, known: Catalogue, since: float, until: float) -> Rule:
    if "share" in table:
        table.fail("a country's rule has no `share`: the network's own says which part is behind its rules", "share")
    for key in ("from", "until"):
        if not since - LONGEST <= table.time(key, since) <= until + LONGEST:
            table.fail(f"`{key}` is more than a year off the country's own `from` and `until`", key)
    return read_rule(table, known, HOPS)


def _provider(
    table: Table,
    country: str,
    listed: Collection[str],
    links: Mapping[str, Link],
    rules: Mapping[str, Rule],
    usual: float,
) -> Provider:
    table.only(*NETWORK_KEYS)
    region = table.string("region")
    if not REGION.fullmatch(region):
        table.fail(f"`region`: `{region}` is no ISO 3166-2 code like RU-MOW", "region")
    if region.partition("-")[0] != country:
        table.fail(f"`region`: `{region}` is not in the country {country}", "region")
    if listed and region not in listed:
        near = ", ".join(difflib.get_close_matches(region, listed, NEAR, 0))
        table.fail(
            f"`region`: `{region}` is none of the {len(listed)} of {country} in ISO 3166-2; nearest: {near}", "region"
        )
    kind = table.string("kind", "fixed", ("fixed", "mobile"), "kind")
    chosen = table.strings("rules", (), rules, "rule")
    return Provider(
        name=table.string("name"),
        asn=table.integer("asn", low=1, high=2**32 - 1),
        region=region,
        kind=kind,
        participants=table.integer("participants", 1, low=1, high=100_000),
        sessions=table.number("sessions", usual, 0, MOST_SESSIONS),
        link=links[table.string("link", None, links, "link")] if "link" in table else links.get(kind, DEFAULTS),
        rules=tuple(rules[name] for name in chosen),
        share=table.number("share", 1.0, 0, 1),
    )


def draw(nation: Nation, *about: object) -> Random:
    """Random numbers of their own for each purpose, the same for the same country and seed."""
    text = "/".join(map(str, (nation.seed, *about)))
    return Random(hashlib.blake2b(text.encode(), digest_size=8).digest())


def situation(nation: Nation, provider: Provider, behind: bool, at: float) -> Situation:
    """What a participant meets at a time. behind: whether it sits behind the network's device."""
    acting = (rule for rule in provider.rules if behind and rule.holds(at))
    bare = tuple(msgspec.structs.replace(rule, since=None, until=None, share=1.0, line=0) for rule in acting)
    return Situation(provider.link, bare, nation.vpn)


def visits(nation: Nation) -> Iterator[Visit]:
    """Every session of the country's weeks, a day at a time, in order of time within the day."""
    behind = {p.asn: _behind(nation, p) for p in nation.providers}
    day = nation.since
    while day < nation.until:
        today = []
        for provider in nation.providers:
            chance = draw(nation, provider.asn, day)
            for participant in range(provider.participants):
                for before in range(max(1, ceil(provider.sessions))):
                    comes = chance.random() < provider.sessions - before
                    at = day + 3600 * chance.uniform(FIRST_HOUR, LAST_HOUR)
                    if comes and at < nation.until:
                        vpn = draw(nation, provider.asn, participant, "vpn").random() < nation.vpn_users
                        met = situation(nation, provider, participant in behind[provider.asn], at)
                        today.append(Visit(provider, participant, at, met, vpn))
        yield from sorted(today, key=lambda visit: visit.at)
        day += DAY


def situations(nation: Nation) -> dict[str, Situation]:
    """Every situation that some visit meets, by key."""
    return {visit.situation.key: visit.situation for visit in visits(nation)}


def _behind(nation: Nation, provider: Provider) -> frozenset[int]:
    count = round(provider.share * provider.participants)
    return frozenset(draw(nation, provider.asn, "device").sample(range(provider.participants), count))
