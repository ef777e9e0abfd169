"""Ways out of this machine: what `--via NAME=PATH` names, and binding sockets to them."""

import asyncio
import errno
import ipaddress
import socket
import struct
from dataclasses import dataclass

from ringback.errors import BadInput
from ringback.net.failures import failure_of
from ringback.net.socks import NO_AUTHENTICATION, VERSION_AND_METHODS

SO_BINDTODEVICE = 25  # Linux; Python has no name for it on every build
SIOCGIFADDR = 0x8915
IFNAMSIZ = 16
PROXY_PATIENCE_S = 6.0


@dataclass(frozen=True)
class Direct:
    """However the system routes it."""


@dataclass(frozen=True)
class Interface:
    """Out of one interface, a WireGuard one for example."""

    name: str


@dataclass(frozen=True)
class Socks5:
    """Through a SOCKS version 5 proxy (RFC 1928) without authentication; host is an address."""

    host: str
    port: int


PathBinding = Direct | Interface | Socks5


def parse_path(text: str) -> PathBinding:
    """`direct`, `interface:NAME` or `socks5://HOST:PORT`. Raises BadInput for anything else."""
    if text == "direct":
        return Direct()
    kind, _, rest = text.partition(":")
    if kind == "interface":
        if not 0 < len(rest.encode()) < IFNAMSIZ or "/" in rest or any(c.isspace() for c in rest):
            raise BadInput(f"{rest!r} can't be an interface's name", text)
        return Interface(rest)
    if kind == "socks5" and rest.startswith("//"):
        host, _, port = rest[2:].rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise BadInput(f"{port!r} is no port", text)
        if host == "localhost":
            host = "127.0.0.1"
        if not is_address(host):
            raise BadInput(f"{host!r} is no IP address", text)
        return Socks5(host, int(port))
    raise BadInput("a path is direct, interface:NAME or socks5://HOST:PORT", text)


def missing(path: PathBinding) -> str | None:
    """Why this machine has no such path, or None. Nothing is sent."""
    if not isinstance(path, Interface):
        return None
    names = [name for _, name in socket.if_nameindex()]
    return None if path.name in names else f"no interface {path.name} here; there are {', '.join(names)}"


async def proxy_problem(proxy: Socks5) -> str | None:
    """Why a proxy can't be used, or None: it must take a connection and one without a password (RFC 1928, 3)."""
    try:
        async with asyncio.timeout(PROXY_PATIENCE_S):
            reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
            try:
                writer.write(VERSION_AND_METHODS)
                said = await reader.readexactly(2)
            finally:
                writer.close()
    except (OSError, TimeoutError, EOFError) as error:
        return f"no proxy answers there: {failure_of(error).replace('_', ' ')}"
    if said == NO_AUTHENTICATION:
        return None
    return "the proxy wants a password, and none can be given" if said[0] == 5 else "what answers there is no SOCKS5"


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def tie(sock: socket.socket, interface: str) -> None:
    """Make everything `sock` sends leave by the interface. Linux lets ordinary users do it since 5.7; elsewhere the
    socket is bound to the interface's address, which decides the route only where routing looks at the source.

    Raises OSError where neither can be done.
    """
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, interface.encode() + b"\0")
    except PermissionError:
        sock.bind((address_of(interface, sock.family), 0))


def address_of(interface: str, family: int) -> str:
    """The interface's first address of the family (IPv6: global scope). Raises OSError where it has none."""
    if family == socket.AF_INET6:
        with open("/proc/net/if_inet6") as table:
            for line in table:
                address, _, _, scope, _, name = line.split()
                if name == interface and int(scope, 16) == 0:
                    return str(ipaddress.IPv6Address(bytes.fromhex(address)))
        raise OSError(errno.EADDRNOTAVAIL, f"{interface} has no IPv6 address")
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        answer = fcntl.ioctl(probe, SIOCGIFADDR, struct.pack("256s", interface.encode()[: IFNAMSIZ - 1]))
    return socket.inet_ntoa(answer[20:24])
