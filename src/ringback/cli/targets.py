"""What a check tries on the real network: names, their addresses, and the hosts that belong to no messenger."""

import asyncio
import socket
from collections.abc import Mapping, Sequence

import msgspec

from ringback.catalogue import Catalogue
from ringback.record import Try
from ringback.trial.contrast import CALL_PINGS, CALL_TRAINS, NEUTRAL_CONNECTS, PATIENCE, heaviest, relay_tries
from ringback.trial.contrast import targets as app_targets
from ringback.trial.control import TrySpec

PATIENCE_S = 6.0
NEUTRAL_PINGS = 5
FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}


def names_to_resolve(catalogue: Catalogue, apps: Sequence[str], functions: Sequence[str]) -> list[str]:
    """Host names behind the tries, each once."""
    names: list[str] = []
    for app in apps:
        for function in functions:
            entry = catalogue.apps[app].functions.get(function)
            if entry is None:
                continue
            if function == "voice":
                names += () if entry.addresses else entry.names
            else:
                names += [entry.name_of.get(form, entry.names[0]) for form in entry.forms]
    names += [host.name for host in catalogue.neutral_hosts]
    names += catalogue.sites
    return list(dict.fromkeys(names))


async def resolve(names: Sequence[str], family: str) -> dict[str, str]:
    """First address of each name by the system's resolver; what does not resolve in time is left out."""
    loop = asyncio.get_running_loop()

    async def one(name: str) -> tuple[str, str] | None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                found = await loop.getaddrinfo(name, None, family=FAMILIES[family], type=socket.SOCK_STREAM)
        except (OSError, TimeoutError, UnicodeError):
            return None
        return name, str(found[0][4][0])

    return dict(pair for pair in await asyncio.gather(*map(one, names)) if pair is not None)


def tries(
    catalogue: Catalogue,
    apps: Sequence[str],
    functions: Sequence[str],
    addresses: Mapping[str, str],
    resolver: str | None,
) -> list[TrySpec]:
    """Everything that a check tries. addresses: by host name."""

    def relays(app: str) -> list[str]:
        entry = catalogue.apps[app].functions["voice"]
        return list(entry.addresses) or [addresses[name] for name in entry.names if name in addresses]

    own = app_targets(catalogue, apps, functions, addresses.get, relays, (), catalogue.sites, resolver)
    # Names of the real network have many addresses, and which of them comes differs by place and minute.
    found = [msgspec.structs.replace(spec, expect=None) for spec in own]
    for host in catalogue.neutral_hosts:
        if host.name in addresses:
            address = addresses[host.name]
            if host.transport == "udp":
                trains = sum(spec.kind == "neutral" and spec.pings >= CALL_PINGS for spec in found)
                found += relay_tries(
                    "neutral", host.name, address, host.port, host.form, trains < CALL_TRAINS, None, NEUTRAL_PINGS,
                    host.name, heaviest(apps),
                )  # fmt: skip
            else:
                spec = TrySpec("neutral", host.name, address, host.port, "tcp", host.form, name=host.name,
                               patience=PATIENCE)  # fmt: skip
                found += [spec] * NEUTRAL_CONNECTS
    return found


def unresolved(catalogue: Catalogue, addresses: Mapping[str, str]) -> list[Try]:
    """Hosts of no messenger whose names have no address here, as tries in which nothing could be sent."""
    hosts = [("neutral", host.name, host.form, host.transport, host.port) for host in catalogue.neutral_hosts]
    hosts += [("site", name, "tls", "tcp", 443) for name in catalogue.sites]
    return [
        Try("here", "direct", kind, name, None, None, form, transport, port, 0.0, 0, 0, "dns_lookup_error")  # type: ignore[arg-type]
        for kind, name, form, transport, port in hosts
        if name not in addresses
    ]
