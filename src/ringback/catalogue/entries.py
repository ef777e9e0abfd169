"""What the catalogue says of an app, of the lab overlay, of VPN protocols and of what is neutral: frozen data.

All sizes are transport payload bytes, all times seconds. A *form* is a way on the wire (`relay-call`, `noise`, `tls`).
"""

import datetime
from collections.abc import Mapping

import msgspec

from ringback.record import Transport


class PortRange(msgspec.Struct, frozen=True, order=True):
    """Destination ports `first` to `last` of one transport, both ends included."""

    transport: Transport
    first: int
    last: int

    def __contains__(self, port: object) -> bool:
        return isinstance(port, int) and self.first <= port <= self.last


class Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a part of an entry comes from. `about`: dotted keys, each covering everything below it."""

    about: tuple[str, ...]
    source: str
    date: datetime.date
    verified: bool = True


class Quality(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The codec's place in the E-model (ITU-T G.107): impairment `ie` (0 to 95) and loss robustness `bpl` (> 0)."""

    ie: float
    bpl: float
    source: str


class CallShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes and times of one form of a call, each direction alike.

    media_s: seconds between audio packets; media_bytes: smallest and largest; silence_share: part of the packets that
    are comfort noise (DTX) of silence_bytes. keepalive_s, rtcp_s: seconds between pings and between RTCP reports, 0
    where there are none. starts_s: when the caller's media starts; answers_s: how much later the callee's does.
    """

    media_s: float
    media_bytes: tuple[int, int]
    payload_type: int = 0
    silence_share: float = 0.0
    silence_bytes: int = 0
    keepalive_s: float = 0.0
    rtcp_s: float = 0.0
    starts_s: float = 0.3
    answers_s: float = 0.2


class StreamShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What follows a stream's opening: (smallest, largest) bytes of each turn, near and far in turn.

    server_bytes: the far side's part of the handshake. timeout_s: when a stream counts as failed.
    """

    server_bytes: int
    turns: tuple[tuple[int, int], ...]
    timeout_s: float = 10.0


class FunctionEntry(msgspec.Struct, frozen=True):
    """One function of an app: where it goes and in which forms.

    hosts: exact names or fnmatch patterns. names: concrete names. name_of: the name that a form shows on the wire
    (`tls`, `dns`). ports: destination ports. app_port: the port of each form. prefixes: the real networks, CIDR;
    empty where it is hosted in clouds or unknown. addresses: real relays or data centres reached without a name.
    marks: literal values on the wire, for example a TURN realm.
    """

    name: str
    hosts: tuple[str, ...]
    names: tuple[str, ...]
    ports: tuple[PortRange, ...]
    app_port: Mapping[str, int]
    prefixes: tuple[str, ...]
    forms: tuple[str, ...]
    marks: Mapping[str, str]
    name_of: Mapping[str, str]
    addresses: tuple[str, ...]
    calls: Mapping[str, CallShape]
    streams: Mapping[str, StreamShape]


class App(msgspec.Struct, frozen=True):
    """One messenger. verified: its forms, and the ports of its calls, are backed by captures, by open clients or by the
    maker's own word; single facts may still be unverified."""

    name: str
    title: str
    functions: Mapping[str, FunctionEntry]
    quality: Quality
    verified: bool
    facts: tuple[Fact, ...]

    def facts_about(self, key: str) -> tuple[Fact, ...]:
        """The facts behind a dotted key, for example `functions.voice.ports`."""
        return tuple(fact for fact in self.facts if any(key == a or key.startswith(a + ".") for a in fact.about))


class Vpn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A VPN's outer protocol. call: the shape of a call inside it, seen from outside."""

    name: str
    title: str
    transport: Transport
    ports: tuple[PortRange, ...]
    app_port: int
    call: CallShape
    facts: tuple[Fact, ...]


class NeutralHost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A host on the real Internet that belongs to no messenger and answers strangers: `tls`, `stun`."""

    name: str
    form: str
    transport: Transport
    port: int


class Overlay(msgspec.Struct, frozen=True):
    """The lab's addresses: documentation ranges only (RFC 5737).

    prefixes: CIDR by (app, function). hosts: address by host name, of apps, sites and neutral hosts. relays: the
    addresses of an app's call relays.
    """

    participant: str
    peer: str
    resolver: str
    vpn_exit: str
    neutral: tuple[str, ...]
    sites: Mapping[str, str]
    prefixes: Mapping[tuple[str, str], str]
    hosts: Mapping[str, str]
    relays: Mapping[str, tuple[str, ...]]


class Catalogue(msgspec.Struct, frozen=True):
    """Everything that is known beforehand. neutral_names: SNI and DNS names of controls, owned by nobody (RFC 2606)."""

    apps: Mapping[str, App]
    vpns: Mapping[str, Vpn]
    overlay: Overlay
    neutral_names: tuple[str, ...]
    neutral_hosts: tuple[NeutralHost, ...]
    sites: tuple[str, ...]
