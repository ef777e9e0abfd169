"""The small network that a session runs in, as its caller describes it: paths with boxes, hosts, the peer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ringback.errors import BadInput
from ringback.sim.host import Host
from ringback.sim.link import LinkParameters
from ringback.sim.packet import Box


@dataclass(frozen=True)
class Tunnel:
    """A VPN over UDP, seen from outside: a handshake of one packet each way, then one outer packet for each inner one.

    exit, port: where the outer packets go; it stands `onward_ms` (one way) from peer and hosts and rewrites addresses
    to its own. wrap: the outer UDP payload for an inner IP packet of so many bytes, given the sender's packet counter
    (WireGuard: 32 bytes more than the inner packet, so 60 with IP and UDP). initiation, response: the handshake's
    payloads (WireGuard: 148 and 92 bytes); the first is repeated every 5 s until the second has come. Until then
    `queue` inner packets wait, and further ones are dropped. The inner packet passes only in an outer packet that
    arrives unchanged, as an authenticated cipher has it. host: what answers at the exit's address and port to packets
    that are not this tunnel's; None: nothing does.
    """

    exit: str
    port: int
    wrap: Callable[[int, int], bytes]
    initiation: bytes
    response: bytes
    onward_ms: float = 5.0
    queue: int = 128
    host: Host | None = None


@dataclass(frozen=True)
class SimPath:
    """One way out of the participant.

    link: paths given the very same object share one access link. routers: the addresses of hops 1, 2, ... in order
    from the participant; their number is the path's number of hops. boxes: what stands at which hop. public: the
    address that the far side sees (a NAT behind the last hop, port by port); None: the participant's own.
    tunnel: on this path everything travels inside it, and boxes see the outer packets only.
    """

    link: LinkParameters
    routers: tuple[str, ...]
    boxes: Mapping[int, Box] = field(default_factory=dict)
    public: str | None = None
    tunnel: Tunnel | None = None

    def __post_init__(self) -> None:
        for hop in self.boxes:
            if not 1 <= hop <= self.hops:
                raise BadInput(f"a box at hop {hop} of {self.hops}", "path")

    @property
    def hops(self) -> int:
        return len(self.routers)


@dataclass(frozen=True)
class SimNet:
    """paths by name; `hosts` by address, behind the last hop beside the peer. `direct` names the path on which
    requests to the peer travel. control_port: the peer's TCP port for them. vantage_ms: one way between peer and hosts.
    """

    participant: str
    peer: str
    paths: Mapping[str, SimPath]
    hosts: Mapping[str, Host] = field(default_factory=dict)
    direct: str = "direct"
    control_port: int = 8443
    vantage_ms: float = 15.0

    def __post_init__(self) -> None:
        if self.direct not in self.paths:
            raise BadInput(f"no path named {self.direct}", "net")
        if self.paths[self.direct].tunnel is not None:
            raise BadInput(f"the path {self.direct} is a tunnel", "net")
        own = [p.public or self.participant for p in self.paths.values() if p.tunnel is None]
        own += [p.tunnel.exit for p in self.paths.values() if p.tunnel is not None]
        own += [self.peer, *self.hosts]
        if len(set(own)) != len(own):
            raise BadInput("two ends with the same address", "net")
