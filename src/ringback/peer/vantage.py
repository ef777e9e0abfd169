"""Which tries a peer makes for others, seen from outside their network: the catalogue's hosts, and nothing else.

A near end names a target; where that is, the peer looks up itself. An address that the near end chose is tried only
where the catalogue says that it is the app's (its prefixes, its known relays): a peer scans nothing for anybody.
"""

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

import msgspec

from ringback import flow
from ringback.catalogue import Catalogue, FunctionEntry
from ringback.trial.control import TrySpec

AGAIN_S = 1800.0  # seconds between look-ups
NEUTRAL_AT_OVERLAY = {("udp", "stun", 3478), ("tcp", "tls", 443)}

Addresses = Mapping[str, Sequence[str]]
"""Addresses by host name."""


class Permits:
    """Called with the try that a near end wants: the try as this peer makes it, or None. `addresses` may change."""

    def __init__(self, catalogue: Catalogue, addresses: Addresses) -> None:
        self._catalogue, self._addresses = catalogue, addresses
        self._transports = {
            (app.name, entry.name, form.form): form.transport
            for app in catalogue.apps.values()
            for entry in app.functions.values()
            for form in flow.forms_of(catalogue, app.name, entry.name, "relay")
        }
        overlay = catalogue.overlay
        relays = [address for each in overlay.relays.values() for address in each]
        self._lab = {*overlay.hosts.values(), *overlay.sites.values(), *relays}

    def __call__(self, spec: TrySpec) -> TrySpec | None:
        match spec.kind:
            case "app":
                return self._app(spec)
            case "neutral":
                return self._neutral(spec)
            case "site" if (spec.name, spec.transport, spec.form, spec.port) == (spec.target, "tcp", "tls", 443):
                return self._at(spec, [spec.target]) if spec.target in self._catalogue.sites else None
        return None

    def _app(self, spec: TrySpec) -> TrySpec | None:
        app = self._catalogue.apps.get(spec.app or "")
        entry = app.functions.get(spec.function or "") if app is not None else None
        if app is None or entry is None or self._transports.get((app.name, entry.name, spec.form)) != spec.transport:
            return None
        names = [*entry.names, *entry.name_of.values()]
        if spec.port != entry.app_port[spec.form] or (spec.name is not None and spec.name not in names):
            return None
        if spec.form == "dns":
            return spec if spec.name is not None else None  # asked of this peer's own resolver, see TryRun
        return self._at(spec, names if spec.name is None else [spec.name], entry)

    def _neutral(self, spec: TrySpec) -> TrySpec | None:
        kind = (spec.transport, spec.form, spec.port)
        if kind == ("udp", "dns", 53):  # asked of this peer's own resolver, as the apps' names are
            return spec if spec.name in self._catalogue.sites else None
        if spec.address in self._catalogue.overlay.neutral:
            named = spec.name is None or spec.name in self._catalogue.neutral_names
            return spec if named and kind in NEUTRAL_AT_OVERLAY else None
        for host in self._catalogue.neutral_hosts:
            if (host.name, host.transport, host.form, host.port) == (spec.name, *kind):
                return self._at(spec, [host.name])
        return None

    def _at(self, spec: TrySpec, names: Sequence[str], entry: FunctionEntry | None = None) -> TrySpec | None:
        """The try at the address asked for where that is the target's, else at one that this peer found for a name."""
        try:
            wanted = ipaddress.ip_address(spec.address)
        except ValueError:
            return None
        own = [address for name in names for address in self._addresses.get(name, ())]
        if spec.address in self._lab or spec.address in own or (entry is not None and _belongs(wanted, entry)):
            return spec
        same = [address for address in own if ipaddress.ip_address(address).version == wanted.version]
        return msgspec.structs.replace(spec, address=same[0]) if same else None


def _belongs(address: ipaddress.IPv4Address | ipaddress.IPv6Address, entry: FunctionEntry) -> bool:
    return str(address) in entry.addresses or any(address in ipaddress.ip_network(p) for p in entry.prefixes)


def names_of(catalogue: Catalogue) -> list[str]:
    """Every host name that a try can be about, each once."""
    entries = [entry for app in catalogue.apps.values() for entry in app.functions.values()]
    names = [name for entry in entries for name in (*entry.names, *entry.name_of.values())]
    return list(dict.fromkeys([*names, *(host.name for host in catalogue.neutral_hosts), *catalogue.sites]))


class Lookup:
    """Keeps the addresses of names up to date in a thread of its own, so that a slow resolver delays nothing, not even
    the end of the process. Use as a context; `addresses` is then filled as answers come."""

    def __init__(self, names: Sequence[str]) -> None:
        self.addresses: dict[str, tuple[str, ...]] = {}
        self._names = names
        self._over = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._run, name="ringback-names", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _run(self) -> None:
        while not self._over.is_set():
            for name in self._names:
                if self._over.is_set():
                    return
                with contextlib.suppress(OSError, UnicodeError):  # an answer of before stays
                    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
                    self.addresses[name] = public(str(info[4][0]) for info in found)
            self._over.wait(AGAIN_S)


def public(addresses: Iterable[str]) -> tuple[str, ...]:
    """Those that lead out: a name that points into the peer's own network is not followed (DNS rebinding)."""
    return tuple(address for address in addresses if ipaddress.ip_address(address).is_global)
