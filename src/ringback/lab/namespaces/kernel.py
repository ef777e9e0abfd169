"""The few system calls that Python 3.11 has no names for: namespaces, death signals, offloads.

Everything here acts on the calling process, or on the network namespace it is in. Linux only.
"""

import array
import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import struct
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000  # linux/sched.h
MS_REC, MS_PRIVATE = 0x4000, 1 << 18  # linux/mount.h
PR_SET_PDEATHSIG, PR_SET_TIMERSLACK, PR_SET_CHILD_SUBREAPER = 1, 29, 36  # linux/prctl.h
SIOCETHTOOL = 0x8946
# linux/ethtool.h: receive and transmit checksums, scatter-gather, TCP segmentation, generic segmentation and receive
OFFLOADS = (0x15, 0x17, 0x19, 0x1F, 0x24, 0x2C)

# Per namespace. Connections must not learn from earlier ones, ICMP answers must not be rationed, and the congestion
# control is the one that phones and servers have.
SETTINGS = {
    "net/ipv4/icmp_ratelimit": "0",
    "net/ipv4/tcp_no_metrics_save": "1",
    "net/ipv4/tcp_congestion_control": "cubic",
    "net/ipv4/ip_unprivileged_port_start": "0",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
}

_libc = ctypes.CDLL(None, use_errno=True)


def _call(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """unshare(2). Raises OSError."""
    _call(_libc.unshare(flags), "unshare")


def setns(namespace: int, kind: int) -> None:
    """setns(2): enter the namespace behind a file descriptor. Raises OSError."""
    _call(_libc.setns(namespace, kind), "setns")


def die_with(parent: int, by: signal.Signals) -> None:
    """Get this signal when `parent`, the process that forked us, is gone; leave at once where it is already."""
    _call(_libc.prctl(PR_SET_PDEATHSIG, int(by), 0, 0, 0), "prctl")
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _call(_libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def sharp_timers() -> None:
    """Let the kernel wake this process when it asked to be, not up to 50 us later."""
    _libc.prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)


def become_root_of_new_user_namespace() -> None:
    """Own a user namespace in which the caller is root, and nobody else exists (user_namespaces(7)). Raises OSError."""
    user, group = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def private_run_folder() -> None:
    """An empty /run that the calling process and its children alone see, and that is gone with them. Raises OSError."""
    unshare(CLONE_NEWNS)
    _call(_libc.mount(b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None), "mount")
    _call(_libc.mount(b"ringback", b"/run", b"tmpfs", ctypes.c_ulong(0), None), "mount")


def settle(interfaces: tuple[str, ...]) -> None:
    """Apply `SETTINGS` to the namespace we are in, as far as this kernel has them, and turn the offloads off."""
    for name, value in SETTINGS.items():
        with contextlib.suppress(OSError):
            Path("/proc/sys", name).write_text(value)
    for interface in interfaces:
        offloads_off(interface)


def offloads_off(interface: str) -> None:
    """Have each packet cross the interface as it would a wire: whole, one at a time, with its checksums.

    With transmit checksums left to a card that is not there, a router in user space forwards packets nobody takes.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in OFFLOADS:
            value = array.array("I", [command, 0])  # struct ethtool_value
            request = struct.pack("16sP16x", interface.encode(), value.buffer_info()[0])  # struct ifreq
            with contextlib.suppress(OSError):  # not every kernel knows all of them
                fcntl.ioctl(control, SIOCETHTOOL, request)
