"""A whole session in namespaces: the same two ends, boxes and hosts as in virtual time, over real kernels."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from ringback.errors import BadInput
from ringback.lab.namespaces.asking import answering, asking
from ringback.lab.namespaces.processes import Report
from ringback.lab.namespaces.topology import NamespaceNet, open
from ringback.net import Direct, FarDriver, drive
from ringback.record import Transport
from ringback.sim.net import SimNet
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

    Raises BadInput for a network with more than the direct path, RingbackError where namespaces can't be had.
    """
    if set(net.paths) != {net.direct}:
        raise BadInput("only the direct path, so far, between real kernels", "paths")
    between = NamespaceNet(net.participant, net.peer, net.paths[net.direct], net.hosts, host_ports, seed)

    async def serve(ready: Report) -> None:
        driver = FarDriver(far)
        ports = await driver.start(net.peer, peer_ports.get("udp", ()), peer_ports.get("tcp", ()))
        if ports.moved:
            raise BadInput(f"ports that could not be had: {', '.join(ports.moved)}", "peer")
        async with await answering(net.peer, net.control_port, driver.answer):
            ready(None)
            await asyncio.Event().wait()

    async def take_part() -> T:
        await drive(near, ask=asking(net.peer, net.control_port), paths={net.direct: Direct()})
        return result(near)

    with open(between) as topology:
        peer, _ = topology.run_outside(lambda ready: asyncio.run(serve(ready)))
        measured = topology.run_participant(lambda: asyncio.run(take_part()))
        peer.check()
    return measured
