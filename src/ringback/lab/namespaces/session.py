"""A whole session in namespaces: the same two ends, boxes and hosts as in virtual time, over real kernels."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from ringback.errors import BadInput
from ringback.lab.namespaces.asking import answering, asking
from ringback.lab.namespaces.processes import Report
from ringback.lab.namespaces.topology import NamespaceNet, open
from ringback.lab.namespaces.wireguard import NEAR, WireGuard, missing
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

    A path in a tunnel whose handshake is WireGuard's is a real WireGuard tunnel where this machine can have one and the
    peer leaves it its port. Any other is an interface whose packets the router wraps as the simulator does: that needs
    no device. Raises BadInput for more than one path beside the direct one, and for one that is no tunnel, and
    RingbackError where namespaces can't be had.
    """
    from ringback.lab.namespaces.layout import VPN

    paths: dict[str, PathBinding] = {net.direct: Direct()}
    vpn: WireGuard | None = None
    tunnel: SimPath | None = None
    for name, path in net.paths.items():
        if name == net.direct:
            continue
        if len(net.paths) > 2:
            raise BadInput("between real kernels there is one path beside the direct one", f"path {name}")
        vpn = wireguard_of(path) if missing() is None else None
        if vpn is not None and vpn.port in peer_ports.get("udp", ()):
            vpn = None  # wireguard-go listens at all addresses, the peer's too
        tunnel = path if vpn is None else None
        if path.tunnel is None:
            raise BadInput("between real kernels a path beside the direct one is a tunnel", f"path {name}")
        paths[name] = Interface(NEAR if vpn is not None else VPN)
    between = NamespaceNet(net.participant, net.peer, net.paths[net.direct], net.hosts, host_ports, seed, vpn, tunnel)

    async def serve(ready: Report) -> None:
        broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def end(error: Exception) -> None:
            """What fails in the peer itself ends it: else it would be taken for a partner that the network silenced."""
            if not broken.done():
                broken.set_exception(error)

        driver = FarDriver(far, fail=end)

        def answer(what: str, body: bytes, source: str) -> bytes:
            try:
                return driver.answer(what, body, source)
            except BadInput:
                raise
            except Exception as error:
                end(error)
                raise

        ports = await driver.start(net.peer, peer_ports.get("udp", ()), peer_ports.get("tcp", ()))
        if ports.moved:
            raise BadInput(f"ports that could not be had: {', '.join(ports.moved)}", "peer")
        async with await answering(net.peer, net.control_port, answer):
            ready(None)
            await broken

    async def take_part() -> T:
        await drive(near, ask=asking(net.peer, net.control_port), paths=paths)
        return result(near)

    with open(between) as topology:
        peer, _ = topology.run_outside(lambda ready: asyncio.run(serve(ready)))
        measured = topology.run_participant(lambda: asyncio.run(take_part()))
        peer.check()
    return measured


def wireguard_of(path: SimPath) -> WireGuard | None:
    """The tunnel of a path if it is WireGuard's, told by its first message (type 1, 148 bytes; whitepaper 5.4.2)."""
    tunnel = path.tunnel
    if tunnel is None or len(tunnel.initiation) != 148 or tunnel.initiation[:4] != b"\1\0\0\0":
        return None
    return WireGuard(tunnel.exit, tunnel.port)
