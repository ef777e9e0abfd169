"""Three network namespaces in one user namespace: participant, router, outside, joined by two virtual cables."""

import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from pyroute2 import IPRoute

from ringback.lab.namespaces import kernel

PARTICIPANT, ROUTER_NEAR, ROUTER_FAR, OUTSIDE = "near0", "wire0", "wire1", "far0"
VPN, ROUTER_VPN = "vpn0", "wire2"
"""A third cable, from the participant to the end of an emulated tunnel in the router."""
HARDWARE = {
    PARTICIPANT: "02:00:00:00:00:01",
    ROUTER_NEAR: "02:00:00:00:00:02",
    ROUTER_FAR: "02:00:00:00:00:03",
    OUTSIDE: "02:00:00:00:00:04",
    VPN: "02:00:00:00:00:05",
    ROUTER_VPN: "02:00:00:00:00:06",
}
NEAR_GATEWAY, FAR_GATEWAY, VPN_GATEWAY = "192.0.2.254", "192.0.2.253", "192.0.2.252"
"""Next hops that exist in the neighbour tables only."""
VPN_MTU = 1420  # 1500 less IPv6, UDP and WireGuard's own 32 bytes: wg-quick's default
VPN_PRIORITY = 1000  # worse than the direct route's: taken by sockets that are bound to the interface


@dataclass(frozen=True)
class Places:
    """File descriptors that keep the namespaces; nothing else does. user is None where we are root without one."""

    user: int | None
    participant: int
    router: int
    outside: int

    def enter(self, network: int) -> None:
        """Go into one of the three. For a process with a single thread."""
        if self.user is not None:
            kernel.setns(self.user, kernel.CLONE_NEWUSER)
        kernel.setns(network, kernel.CLONE_NEWNET)

    def close(self) -> None:
        for descriptor in (self.user, self.participant, self.router, self.outside):
            if descriptor is not None:
                os.close(descriptor)


def make(participant: Sequence[str], outside: Sequence[str], inside: str | None = None) -> Places:
    """New namespaces with these addresses in them; the first one is what traffic leaves from by itself. With `inside`
    the participant has an interface `VPN` with this address, for those who ask for it.

    A forked child builds them and hands over the descriptors, so that the caller stays where it is. Raises OSError.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    us = os.getpid()
    builder = os.fork()
    if not builder:
        try:
            kernel.die_with(us, signal.SIGKILL)
            ours.close()
            _build(theirs, participant, outside, inside)
        except BaseException as error:
            theirs.send(f"{type(error).__name__}: {error}".encode()[:4000])
        finally:
            os._exit(0)
    theirs.close()
    with ours:
        said, descriptors, _, _ = socket.recv_fds(ours, 4096, 4)
        os.waitpid(builder, 0)
    if said not in (b"user", b"root"):
        for descriptor in descriptors:
            os.close(descriptor)
        raise OSError(said.decode() or "the process that makes namespaces was ended")
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return Places(*descriptors) if said == b"user" else Places(None, *descriptors)


def _build(answer: socket.socket, participant: Sequence[str], outside: Sequence[str], inside: str | None) -> None:
    from asyncio.events import _set_running_loop

    _set_running_loop(None)
    kept: list[int] = []
    try:
        kernel.become_root_of_new_user_namespace()
        kept.append(os.open("/proc/self/ns/user", os.O_RDONLY))
    except OSError:
        if os.geteuid() != 0:
            raise
    places: list[int] = []
    for _ in range(3):
        kernel.unshare(kernel.CLONE_NEWNET)
        places.append(os.open("/proc/self/ns/net", os.O_RDONLY))
    near, far, router = places

    cables = [(ROUTER_NEAR, PARTICIPANT, near), (ROUTER_FAR, OUTSIDE, far)]
    if inside is not None:
        cables.append((ROUTER_VPN, VPN, near))
    with IPRoute() as ip:
        for here, there, place in cables:
            ip.link(
                "add",
                ifname=here,
                kind="veth",
                address=HARDWARE[here],
                peer={"ifname": there, "address": HARDWARE[there], "net_ns_fd": place},
            )
            ip.link("set", index=ip.link_lookup(ifname=here)[0], state="up")
    kernel.settle(tuple(here for here, _, _ in cables))
    _furnish(near, PARTICIPANT, participant, NEAR_GATEWAY, HARDWARE[ROUTER_NEAR])
    if inside is not None:
        _furnish(near, VPN, [inside], VPN_GATEWAY, HARDWARE[ROUTER_VPN], VPN_MTU, VPN_PRIORITY)
    _furnish(far, OUTSIDE, outside, FAR_GATEWAY, HARDWARE[ROUTER_FAR])
    socket.send_fds(answer, [b"user" if kept else b"root"], [*kept, near, router, far])


def _furnish(
    place: int,
    interface: str,
    addresses: Sequence[str],
    gateway: str,
    hardware: str,
    mtu: int = 1500,
    priority: int = 0,
) -> None:
    kernel.setns(place, kernel.CLONE_NEWNET)
    kernel.settle((interface,))
    with IPRoute() as ip:
        ip.link("set", index=ip.link_lookup(ifname="lo")[0], state="up")
        index = ip.link_lookup(ifname=interface)[0]
        ip.link("set", index=index, state="up", mtu=mtu)
        for address in addresses:
            ip.addr("add", index=index, address=address, prefixlen=32)
        ip.neigh("add", dst=gateway, lladdr=hardware, ifindex=index, state="permanent")
        ip.route(
            "add",
            dst="0.0.0.0/0",
            gateway=gateway,
            oif=index,
            prefsrc=addresses[0],
            flags=["onlink"],
            priority=priority,
        )


def try_cable() -> str | None:
    """Whether this kernel makes virtual cables: None, or why not. Leaves one in the namespace it is called in."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as ip:
            ip.link("add", ifname=ROUTER_NEAR, kind="veth", peer={"ifname": PARTICIPANT})
    except (NetlinkError, OSError) as error:
        return f"this kernel makes no veth pairs ({error})"
    return None
