"""Socket options, and reading datagrams with the times at which the kernel got them."""

import contextlib
import socket
import struct
import sys
from time import monotonic, time_ns
from typing import NamedTuple

LINUX = sys.platform == "linux"
SO_TIMESTAMPNS = 35  # asm-generic/socket.h; the control message has the same number
IP_RECVERR, IPV6_RECVERR = 11, 25  # linux/in.h, linux/in6.h
MSG_ERRQUEUE = 0x2000
ORIGIN_ICMP, ORIGIN_ICMP6 = 2, 3  # linux/errqueue.h
EXTENDED_ERROR = struct.Struct("=IBBBBII")  # struct sock_extended_err: errno, origin, type, code, pad, info, data
TIMESPEC = struct.Struct("@qq")
CONTROL = socket.CMSG_SPACE(TIMESPEC.size)
DATAGRAM = 65535
MOST_OLD = 1.0  # seconds a datagram can have waited; more means that the wall clock was set meanwhile
CONGESTION = "cubic"
"""What phones and servers have; some hosts default to another, which would answer loss in its own way."""


def stamp(sock: socket.socket) -> None:
    """Ask for kernel receive times where there are any."""
    if LINUX:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)


def report_errors(sock: socket.socket) -> None:
    """Ask for ICMP errors with their source where that can be had; an IPv6 socket may carry IPv4 as well."""
    if LINUX and sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
    if LINUX:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)


def set_ttl(sock: socket.socket, ttl: int | None) -> None:
    """The hop limit of what is sent from now on; None: the system's default."""
    value = -1 if ttl is None else ttl
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, value)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, value if LINUX or ttl is not None else 64)


def tune(sock: socket.socket) -> str | None:
    """No Nagle, and one congestion control everywhere; the one that the socket has now, None where unknown."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not LINUX:
        return None
    with contextlib.suppress(OSError):  # not loaded, or not allowed to ordinary users: then it is what it is
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONGESTION.encode())
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()


class Datagram(NamedTuple):
    data: bytes
    at: float  # time.monotonic() when the kernel got it
    source: tuple[str, int]


def receive(sock: socket.socket) -> Datagram:
    """The next datagram. Raises BlockingIOError where there is none, OSError for an error that an ICMP left."""
    data, control, _, source = sock.recvmsg(DATAGRAM, CONTROL)
    now = monotonic()
    if control:
        seconds, nanoseconds = TIMESPEC.unpack(control[0][2][: TIMESPEC.size])
        age = (time_ns() - seconds * 1_000_000_000 - nanoseconds) * 1e-9
        if 0.0 < age < MOST_OLD:
            now -= age
    return Datagram(data, now, source)


class Icmp(NamedTuple):
    type: int
    code: int
    source: str | None
    target: tuple[str, int] | None = None  # whom the datagram was for that it is about, where the socket has many


def receive_errors(sock: socket.socket) -> list[Icmp]:
    """The ICMP errors that came for this socket since the last call, in order, and with them its pending error."""
    errors: list[Icmp] = []
    while LINUX:
        try:
            _, control, _, target = sock.recvmsg(64, 512, MSG_ERRQUEUE)
        except OSError:
            break
        for level, kind, data in control:
            if (level, kind) not in ((socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)):
                continue
            _, origin, type_, code, *_ = EXTENDED_ERROR.unpack(data[: EXTENDED_ERROR.size])
            if origin in (ORIGIN_ICMP, ORIGIN_ICMP6):
                errors.append(Icmp(type_, code, _offender(data[EXTENDED_ERROR.size :]), target[:2] if target else None))
    return errors


def _offender(sockaddr: bytes) -> str | None:
    family = struct.unpack_from("=H", sockaddr)[0] if len(sockaddr) >= 16 else socket.AF_UNSPEC
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, sockaddr[4:8])
    if family == socket.AF_INET6 and len(sockaddr) >= 24:
        return socket.inet_ntop(socket.AF_INET6, sockaddr[8:24])
    return None
