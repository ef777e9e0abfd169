"""A small country of real kernels: participant and outside with a router of ours between them."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, TypeVar

from ringback.errors import BadInput, RingbackError
from ringback.lab.namespaces import kernel
from ringback.lab.namespaces.hosts import serve
from ringback.lab.namespaces.processes import Child, Report, launch
from ringback.lab.namespaces.router import Side, route
from ringback.lab.namespaces.wireguard import INSIDE, WireGuard, ends, missing, run
from ringback.record import Transport
from ringback.sim.host import Host
from ringback.sim.net import SimPath

T = TypeVar("T")
START_S = 20.0  # seconds that one of our own processes may take to start


@dataclass(frozen=True)
class NamespaceNet:
    """participant, peer: addresses. path: the access link, routers and boxes between them (no tunnel, no NAT).
    hosts: who answers at which other address outside, on which of the `ports`. seed: the link's chance.
    vpn: with it the participant has an interface `wireguard.NEAR` whose packets travel in a real tunnel. tunnel: a path
    like `path` but in an emulated tunnel, without a TUN device; the participant has an interface `layout.VPN` to it.
    """

    participant: str
    peer: str
    path: SimPath
    hosts: Mapping[str, Host] = field(default_factory=dict)
    ports: Mapping[Transport, Sequence[int]] = field(default_factory=dict)
    seed: int = 1
    vpn: WireGuard | None = None
    tunnel: SimPath | None = None

    def __post_init__(self) -> None:
        if self.path.tunnel is not None or self.path.public is not None:
            raise BadInput("no tunnel and no NAT between real kernels", "path")
        if self.tunnel is not None and (self.tunnel.tunnel is None or self.vpn is not None):
            raise BadInput("one tunnel, on its own path", "tunnel")
        ends = [self.participant, *self.outside]
        if self.tunnel is not None and self.tunnel.tunnel is not None:
            ends += [self.tunnel.tunnel.exit, INSIDE]
        if len(set(ends)) != len(ends):
            raise BadInput("two ends with the same address", "net")

    @property
    def outside(self) -> list[str]:
        """Every address outside, the peer's first."""
        return [self.peer, *self.hosts, *([self.vpn.exit] if self.vpn else [])]


class Topology:
    """Made by `open`. Whatever runs in it ends with it."""

    def __init__(self, places: Any, net: NamespaceNet) -> None:
        self.net = net
        self._places = places
        self._children: list[Child] = []
        self._support: list[Child] = []

    def run_participant(self, work: Callable[[], T], timeout: float | None = None) -> T:
        """Do `work` as the participant, in a process of its own, and return what it returns (pickled).

        Raises what it raises, and TimeoutError after `timeout` seconds; and where the router (a box in it) or an
        emulated host failed meanwhile, that.
        """
        child = self._launch("the participant", lambda report: work(), self._places.participant)
        try:
            result: T = child.result(timeout)
        finally:
            child.stop()
            self._children.remove(child)
        for support in self._support:
            support.check()
        return result

    def start_participant(self, work: Callable[[Report], object]) -> Child:
        """The same beside the caller: `ready()`, `result()` and `stop()` of what is returned."""
        return self._launch("the participant", work, self._places.participant)

    def run_outside(self, work: Callable[[Report], object], timeout: float = START_S) -> tuple[Child, Any]:
        """Start a server outside. `work(ready)` calls `ready(value)` once it serves, and goes on; the process and the
        value are returned. The peer's and all hosts' addresses are there to be bound, ports below 1024 too."""
        child = self._launch("a server outside", work, self._places.outside)
        return child, child.ready(timeout)

    def _launch(self, name: str, work: Callable[[Report], object], place: int) -> Child:
        child = launch(name, work, partial(self._places.enter, place))
        self._children.append(child)
        return child

    def _begin(self) -> None:
        net = self.net

        def router(ready: Report) -> None:
            from ringback.lab.namespaces import layout

            def side(interface: str, neighbour: str) -> Side:
                return Side(interface, bytes.fromhex(layout.HARDWARE[neighbour].replace(":", "")))

            near = side(layout.ROUTER_NEAR, layout.PARTICIPANT)
            far = side(layout.ROUTER_FAR, layout.OUTSIDE)
            vpn = None if net.tunnel is None else (net.tunnel, side(layout.ROUTER_VPN, layout.VPN))
            ready(None)
            route(net.path, net.seed, near, far, net.participant, vpn)

        self._support.append(self._launch("the router", router, self._places.router))
        if net.hosts:
            serving = partial(serve, net.hosts, net.ports)
            self._support.append(self._launch("the hosts outside", serving, self._places.outside))
        for support in self._support:
            support.ready(START_S)
        if net.vpn is not None:
            near, far = ends(net.vpn)
            for name, end, place in (
                ("the tunnel's exit", far, self._places.outside),
                ("the tunnel's near end", near, self._places.participant),
            ):
                child = self._launch(name, partial(run, end), place)
                self._support.append(child)
                child.ready(START_S)

    def close(self) -> None:
        while self._children:
            self._children.pop().stop()
        self._places.close()


@contextmanager
def open(net: NamespaceNet) -> Iterator[Topology]:
    """Bring it up, and take all of it down at the end, however that comes: processes, interfaces and namespaces vanish
    with us even when we are killed. Call it before threads start.

    Raises RingbackError, with the reason, where `supported` says no.
    """
    reason = supported()
    if reason is not None:
        raise RingbackError(f"no network namespaces: {reason}")
    from ringback.lab.namespaces import layout

    if net.vpn is not None and (reason := missing()) is not None:
        raise RingbackError(f"no VPN path: {reason}")
    for gateway in (layout.NEAR_GATEWAY, layout.FAR_GATEWAY, layout.VPN_GATEWAY):
        if gateway in (net.participant, *net.outside):
            raise BadInput(f"{gateway} is kept for the router", "net")
    inside = None if net.tunnel is None else INSIDE
    topology = Topology(layout.make([net.participant], net.outside, inside), net)
    try:
        topology._begin()
        yield topology
    finally:
        topology.close()


@lru_cache(maxsize=1)
def supported() -> str | None:
    """None where namespaces can be had here; else why not, in one line. Tries once, in a child."""
    if sys.platform != "linux":
        return "only Linux has them"
    try:
        import pyroute2
    except ImportError:
        return "pyroute2 is not installed (ringback[lab])"
    del pyroute2
    reading, writing = os.pipe()
    us = os.getpid()
    child = os.fork()
    if not child:
        try:
            kernel.die_with(us, signal.SIGKILL)
            os.write(writing, (_obstacle() or "").encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    return said or None


def _obstacle() -> str | None:
    try:
        kernel.become_root_of_new_user_namespace()
    except OSError as error:
        if os.geteuid() != 0:
            return f"user namespaces are refused to ordinary users ({error.strerror})"
    try:
        kernel.unshare(kernel.CLONE_NEWNET)
        socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0).close()
    except OSError as error:
        return f"network namespaces or packet sockets are refused ({error.strerror})"
    from ringback.lab.namespaces.layout import try_cable

    return try_cable()
