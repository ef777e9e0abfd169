"""Reads the catalogue's TOML files and refuses what is misspelt, unsourced or contradictory, naming file and key."""

import functools
import ipaddress
import itertools
import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, TypeVar

import msgspec

from ringback.catalogue.entries import (
    App,
    CallShape,
    Catalogue,
    Fact,
    FunctionEntry,
    NeutralHost,
    Overlay,
    PortRange,
    Quality,
    StreamShape,
    Vpn,
)
from ringback.catalogue.matching import matches_host
from ringback.errors import BadInput

FUNCTIONS = ("text", "media", "voice")
NOT_APPS = ("overlay.toml", "vpn.toml", "common.toml")
VERIFIED_KEYS = ("functions.voice.ports", "functions.voice.forms", "functions.text.forms", "functions.media.forms")
DOCUMENTATION = tuple(map(ipaddress.IPv4Network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))  # RFC 5737

T = TypeVar("T")


class _FunctionFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    hosts: tuple[str, ...]
    names: tuple[str, ...]
    ports: tuple[str, ...]
    app_port: dict[str, int]
    prefixes: tuple[str, ...]
    forms: tuple[str, ...]
    marks: dict[str, str] = {}
    name_of: dict[str, str] = {}
    addresses: tuple[str, ...] = ()
    calls: dict[str, dict[str, Any]] = {}
    streams: dict[str, dict[str, Any]] = {}


class _AppFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    title: str
    verified: bool
    quality: Quality
    functions: dict[str, dict[str, Any]]
    fact: tuple[Fact, ...]


class _VpnFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    transport: str
    ports: tuple[str, ...]
    app_port: int
    call: CallShape
    fact: tuple[Fact, ...]


class _OverlayFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    participant: str
    peer: str
    resolver: str
    vpn_exit: str
    neutral: tuple[str, ...]
    first_site: str
    prefixes: dict[str, dict[str, str]]
    relays: dict[str, tuple[str, ...]]


class _CommonFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    neutral_names: tuple[str, ...]
    sites: tuple[str, ...]
    neutral_host: tuple[NeutralHost, ...]
    fact: tuple[Fact, ...]


@functools.cache
def load(folder: Traversable | None = None) -> Catalogue:
    """The catalogue in `folder` (a path or package data; default: the one shipped): one file for each app, and overlay,
    vpn and common. Apps come in the overlay's order. Every key must be backed by a fact with source and date.

    Raises BadInput naming file and key.
    """
    folder = folder if folder is not None else files("ringback.catalogue").joinpath("data")
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".toml"))
    for needed in NOT_APPS:
        if needed not in names:
            raise BadInput("file is missing", needed)
    overlay = _converted(_table(folder.joinpath("overlay.toml")), _OverlayFile, "overlay.toml")
    present = {name.removesuffix(".toml") for name in names if name not in NOT_APPS}
    if odd := present ^ set(overlay.prefixes):
        raise BadInput(
            f"an app needs both a file and prefixes here: {', '.join(sorted(odd))}", "overlay.toml: prefixes"
        )
    apps = {name: _app(folder.joinpath(f"{name}.toml"), f"{name}.toml") for name in overlay.prefixes}
    common = _converted(_table(folder.joinpath("common.toml")), _CommonFile, "common.toml")
    return Catalogue(
        apps=apps,
        vpns=_vpns(folder.joinpath("vpn.toml")),
        overlay=_overlay(overlay, apps, common),
        neutral_names=common.neutral_names,
        neutral_hosts=common.neutral_host,
        sites=common.sites,
    )


def _table(file: Traversable) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"not TOML: {error}", file.name) from error
    except OSError as error:
        raise BadInput(f"can't be read: {error.strerror}", file.name) from error


def _converted(table: object, kind: type[T], where: str) -> T:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        path = path.strip("`.")
        joint = "." if ": " in where else ": "
        raise BadInput(what, f"{where}{joint}{path}" if path else where) from error


def _ports(texts: Iterable[str], where: str) -> tuple[PortRange, ...]:
    ranges = []
    for text in texts:
        transport, _, numbers = text.partition("/")
        first, _, last = numbers.partition("-")
        if transport not in ("udp", "tcp") or not first.isdigit() or not (last or first).isdigit():
            raise BadInput(f"`{text}` is no port: expected like `udp/3478` or `tcp/80-88`", where)
        low, high = int(first), int(last or first)
        if not 1 <= low <= high <= 65535:
            raise BadInput(f"`{text}` is outside 1 to 65535 or runs backwards", where)
        ranges.append(PortRange("udp" if transport == "udp" else "tcp", low, high))
    if not ranges:
        raise BadInput("no port", where)
    return tuple(ranges)


def _network(text: str, where: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(text)
    except ValueError as error:
        raise BadInput(f"`{text}` is no IPv4 network or address: {error}", where) from error


def _check_facts(table: Mapping[str, Any], facts: tuple[Fact, ...], where: str) -> None:
    """Each key is covered by a fact, and each fact speaks of a key that exists."""
    keys = set(_dotted(table))
    for fact in facts:
        for about in fact.about:
            if not any(key == about or key.startswith(about + ".") for key in keys):
                raise BadInput(f"a fact is about `{about}`, which does not exist", f"{where}: fact")
        if not fact.source.strip():
            raise BadInput(f"the fact about {', '.join(fact.about)} has no source", f"{where}: fact")
    covered = tuple(about for fact in facts for about in fact.about)
    for key in sorted(keys):
        if not any(key == about or key.startswith(about + ".") for about in covered):
            raise BadInput("no fact gives a source for this key", f"{where}: {key}")


def _dotted(table: Mapping[str, Any], prefix: str = "") -> Iterable[str]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def _app(file: Traversable, where: str) -> App:
    table = _table(file)
    read = _converted(table, _AppFile, where)
    if f"{read.name}.toml" != where:
        raise BadInput(f"the file's name does not fit its app `{read.name}`", f"{where}: name")
    if set(read.functions) != set(FUNCTIONS):
        raise BadInput(f"functions must be {', '.join(FUNCTIONS)}", f"{where}: functions")
    if read.quality.bpl <= 0 or not 0 <= read.quality.ie <= 95:
        raise BadInput("ie must be 0 to 95 and bpl positive", f"{where}: quality")
    functions = {name: _function(name, read.functions[name], f"{where}: functions.{name}") for name in FUNCTIONS}
    _check_facts({key: table[key] for key in ("quality", "functions")}, read.fact, where)
    app = App(read.name, read.title, functions, read.quality, read.verified, read.fact)
    for key in VERIFIED_KEYS if read.verified else ():
        if not all(fact.verified for fact in app.facts_about(key)):
            raise BadInput(f"says verified, but a fact about {key} is not", f"{where}: verified")
    return app


def _function(name: str, table: dict[str, Any], where: str) -> FunctionEntry:
    read = _converted(table, _FunctionFile, where)
    if not read.forms:
        raise BadInput("no form", f"{where}.forms")
    for form in read.forms:
        if form not in read.app_port:
            raise BadInput(f"no port for the form `{form}`", f"{where}.app_port")
        if name == "voice" and form not in read.calls:
            raise BadInput(f"no shape for the form `{form}`", f"{where}.calls")
        if name != "voice" and form != "dns" and form not in read.streams:
            raise BadInput(f"no shape for the form `{form}`", f"{where}.streams")
        if name != "voice" and form not in read.name_of:
            raise BadInput(f"no host name for the form `{form}`", f"{where}.name_of")
    shaped = (("calls", read.calls), ("streams", read.streams))
    for key, given in (("app_port", read.app_port), ("name_of", read.name_of), *shaped):
        for form in given:
            if form not in read.forms:
                raise BadInput(f"`{form}` is none of this function's forms", f"{where}.{key}")
    if name != "voice" and not (read.hosts and read.names):
        raise BadInput("text and media need hosts and names", f"{where}.hosts")
    ports = _ports(read.ports, f"{where}.ports")
    for form, port in read.app_port.items():
        if form != "dns" and not any(port in r for r in ports):
            raise BadInput(f"{port} of `{form}` is none of the function's ports", f"{where}.app_port")
    for prefix in (*read.prefixes, *read.addresses):
        _network(prefix, f"{where}.prefixes" if "/" in prefix else f"{where}.addresses")
    entry = FunctionEntry(
        name=name,
        hosts=read.hosts,
        names=read.names,
        ports=ports,
        app_port=read.app_port,
        prefixes=read.prefixes,
        forms=read.forms,
        marks=read.marks,
        name_of=read.name_of,
        addresses=read.addresses,
        calls={form: _converted(t, CallShape, f"{where}.calls.{form}") for form, t in read.calls.items()},
        streams={form: _converted(t, StreamShape, f"{where}.streams.{form}") for form, t in read.streams.items()},
    )
    for host in (*read.names, *read.name_of.values()):
        if not matches_host(entry, host):
            raise BadInput(f"`{host}` is matched by none of the hosts", f"{where}.names")
    return entry


def _vpns(file: Traversable) -> dict[str, Vpn]:
    vpns = {}
    for name, table in _table(file).items():
        where = f"{file.name}: {name}"
        read = _converted(table, _VpnFile, where)
        _check_facts({key: table[key] for key in ("transport", "ports", "app_port", "call")}, read.fact, where)
        ports = _ports(read.ports, f"{where}.ports")
        if not any(read.app_port in r for r in ports):
            raise BadInput(f"{read.app_port} is none of its ports", f"{where}.app_port")
        vpns[name] = Vpn(
            name=name,
            title=read.title,
            transport=ports[0].transport,
            ports=ports,
            app_port=read.app_port,
            call=read.call,
            facts=read.fact,
        )
    return vpns


def _overlay(read: _OverlayFile, apps: Mapping[str, App], common: _CommonFile) -> Overlay:
    where = "overlay.toml"
    single = (read.participant, read.peer, read.resolver, read.vpn_exit, read.first_site, *read.neutral)
    for address in single:
        if not any(_network(address, where).subnet_of(d) for d in DOCUMENTATION):
            raise BadInput(f"{address} is outside the documentation ranges", where)
    first = int(ipaddress.IPv4Address(read.first_site))
    sites = {name: str(ipaddress.IPv4Address(first + i)) for i, name in enumerate(common.sites)}
    neutral = itertools.cycle(read.neutral)
    hosts = {name: next(neutral) for name in (*common.neutral_names, *(h.name for h in common.neutral_host))} | sites
    prefixes: dict[tuple[str, str], str] = {}
    for app in apps.values():
        for function in FUNCTIONS:
            at = f"{where}: prefixes.{app.name}.{function}"
            if function not in read.prefixes[app.name]:
                raise BadInput("missing", at)
            prefix = _network(read.prefixes[app.name][function], at)
            clash = next((o for o in prefixes.values() if prefix.overlaps(ipaddress.IPv4Network(o))), None)
            if clash or not any(prefix.subnet_of(d) for d in DOCUMENTATION):
                raise BadInput(f"{prefix} overlaps {clash or 'the real Internet'}", at)
            prefixes[app.name, function] = str(prefix)
            addresses = itertools.cycle(map(str, prefix.hosts()))
            hosts |= {name: next(addresses) for name in app.functions[function].names}
        voice = ipaddress.IPv4Network(prefixes[app.name, "voice"])
        relays = read.relays.get(app.name, ())
        if not relays or not all(_network(r, f"{where}: relays.{app.name}").subnet_of(voice) for r in relays):
            raise BadInput(f"needs relays, all inside {voice}", f"{where}: relays.{app.name}")
    return Overlay(
        participant=read.participant,
        peer=read.peer,
        resolver=read.resolver,
        vpn_exit=read.vpn_exit,
        neutral=read.neutral,
        sites=sites,
        prefixes=prefixes,
        hosts=hosts,
        relays=read.relays,
    )
