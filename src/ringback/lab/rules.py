"""A scenario as frozen data: networks, their links, and the rules that an emulated operator applies.

Keys, defaults and meaning are those of the scenario file (docs: contracts). Times are seconds since the Unix epoch,
rates kbit/s of IP packets, `kbytes` 1,000 bytes.
"""

from typing import Literal

import msgspec

from ringback.record import Mechanism, Trigger
from ringback.sim.link import LinkParameters

Link = LinkParameters

Kind = Literal[
    "drop", "drop-after", "loss", "police", "shape", "delay", "reset", "icmp", "nxdomain", "forge", "corrupt"
]
Way = Literal["out", "in", "both"]
Per = Literal["flow", "host", "network"]
Residual = Literal["flow", "pair", "host"]

FUNCTIONS = ("text", "media", "voice")


class Match(msgspec.Struct, frozen=True):
    """Whose traffic: an app (and function), a site, a VPN protocol, or all that the catalogue knows. Exactly one."""

    app: str | None = None
    function: str | None = None
    site: str | None = None
    vpn: str | None = None
    all: bool = False


class Action(msgspec.Struct, frozen=True):
    """What happens to a packet. Only the numbers of its kind are set."""

    kind: Kind
    packets: int | None = None
    bytes: int | None = None
    share: float | None = None
    kbps: float | None = None
    burst_kbytes: float | None = None
    queue_ms: float | None = None
    ms: float | None = None
    jitter_ms: float | None = None
    per: Per = "flow"

    @property
    def mechanism(self) -> Mechanism:
        """The word a verdict has for it."""
        return "dns" if self.kind == "nxdomain" or self.kind == "forge" else self.kind


class Rule(msgspec.Struct, frozen=True):
    """since, until: when it holds (None: no bound). listed: of `not-listed` alone. line: where the file has it."""

    hop: int
    match: Match
    trigger: Trigger
    action: Action
    direction: Way = "both"
    residual_s: float = 0.0
    residual: Residual = "flow"
    share: float = 1.0
    since: float | None = None
    until: float | None = None
    listed: tuple[str, ...] = ()
    line: int = 0

    def holds(self, when: float) -> bool:
        """Whether the rule is in force at `when` (Unix time): from `since` on, and before `until`."""
        return (self.since is None or when >= self.since) and (self.until is None or when < self.until)


class Network(msgspec.Struct, frozen=True):
    """One network. hop_asn[k - 1] is the ASN of the router at hop k."""

    name: str
    asn: int
    region: str
    hops: int
    hop_asn: tuple[int, ...]
    link: Link
    kind: Literal["fixed", "mobile"] = "fixed"
    participants: int = 1
    rules: tuple[Rule, ...] = ()


class Scenario(msgspec.Struct, frozen=True):
    """What `lab run` runs. rules: country-wide, as if each stood in every network before the network's own."""

    name: str
    networks: tuple[Network, ...]
    seed: int
    at: float
    apps: tuple[str, ...]
    functions: tuple[str, ...]
    paths: tuple[str, ...]
    vpn: str
    down: tuple[str, ...]
    link: Link
    rules: tuple[Rule, ...]

    def network(self, name: str) -> Network:
        """Raises KeyError for a name that is none of the scenario's."""
        for network in self.networks:
            if network.name == name:
                return network
        raise KeyError(name)
