"""A whole session in namespaces: the same two ends, boxes and hosts as in virtual time, over real kernels."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from ringback.errors import BadInput
from ringback.lab.namespaces.asking import answering, asking
from ringback.lab.namespaces.processes import Report
from ringback.lab.namespaces.topology import NamespaceNet, open
from ringback.lab.namespaces.wireguard import NEAR, WireGuard
from ringback.net import Direct, FarDriver, Interface, PathBinding, drive
from ringback.record import Transport
from ringback.sim.net import SimNet, SimPath
from ringback.trial.seam import End, PeerEnd

E = TypeVar("E", bound=End)
T = TypeVar("T")


def converse(
    near: E,
    far: PeerEnd,
    net: SimNet,
    seed: int,
    peer_ports: Mapping[Transport, Sequence[int]],
    host_ports: Mapping[Transport, Sequence[int]],
    result: Callable[[E], T],
) -> T:
    """Run the session and return `result(near)` from the participant's process (pickled). Takes as long as it takes.

    peer_ports: those the peer is to listen on. host_ports: those on which hosts may listen. Real ports all: in the
    lab's namespaces everybody may have those below 1024 too.

    A path in a tunnel whose handshake is WireGuard's is a real WireGuard tunnel here; all share the direct one's way.
    Raises BadInput for any other path beside the direct one, RingbackError where namespaces or a tunnel can't be had.
    """
    paths: dict[str, PathBinding] = {net.direct: Direct()}
    vpn: WireGuard | None = None
    for name, path in net.paths.items():
        if name != net.direct:
            vpn = wireguard_of(path, name)
            paths[name] = Interface(NEAR)
    between = NamespaceNet(net.participant, net.peer, net.paths[net.direct], net.hosts, host_ports, seed, vpn)

    async def serve(ready: Report) -> None:
        driver = FarDriver(far)
        ports = await driver.start(net.peer, peer_ports.get("udp", ()), peer_ports.get("tcp", ()))
        if ports.moved:
            raise BadInput(f"ports that could not be had: {', '.join(ports.moved)}", "peer")
        async with await answering(net.peer, net.control_port, driver.answer):
            ready(None)
            await asyncio.Event().wait()

    async def take_part() -> T:
        await drive(near, ask=asking(net.peer, net.control_port), paths=paths)
        return result(near)

    with open(between) as topology:
        peer, _ = topology.run_outside(lambda ready: asyncio.run(serve(ready)))
        measured = topology.run_participant(lambda: asyncio.run(take_part()))
        peer.check()
    return measured


def wireguard_of(path: SimPath, name: str) -> WireGuard:
    """The tunnel of a path, told by its first message (type 1, 148 bytes; WireGuard whitepaper 5.4.2)."""
    tunnel = path.tunnel
    if tunnel is None or len(tunnel.initiation) != 148 or tunnel.initiation[:4] != b"\1\0\0\0":
        raise BadInput("between real kernels there is the direct path and a WireGuard tunnel", f"path {name}")
    return WireGuard(tunnel.exit, tunnel.port)
