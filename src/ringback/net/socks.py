"""SOCKS version 5 without authentication (RFC 1928), sans-IO: the client's handshake, and the UDP header."""

import ipaddress
import struct

CONNECT, UDP_ASSOCIATE = 1, 3
IPV4, NAME, IPV6 = 1, 3, 4
VERSION_AND_METHODS = b"\x05\x01\x00"  # version 5, one method: no authentication
NO_AUTHENTICATION = b"\x05\x00"

# RFC 1928 section 6: reply codes as OONI failure strings
REPLIES = {
    1: "socks_general_failure",
    2: "socks_not_allowed",
    3: "network_unreachable",
    4: "host_unreachable",
    5: "connection_refused",
    6: "generic_timeout_error",  # TTL expired
    7: "socks_command_not_supported",
    8: "socks_address_type_not_supported",
}
PROTOCOL_ERROR = "socks_protocol_error"


def pack_address(host: str, port: int) -> bytes:
    """ATYP, address, port (section 5)."""
    address = ipaddress.ip_address(host)
    return bytes([IPV4 if address.version == 4 else IPV6]) + address.packed + struct.pack("!H", port)


def address_size(data: bytes, at: int) -> int | None:
    """Bytes of the ATYP, address and port at `at`; None where too little is there to say. Raises ValueError."""
    if len(data) <= at:
        return None
    kind = data[at]
    if kind == NAME:
        return 1 + 1 + data[at + 1] + 2 if len(data) > at + 1 else None
    if kind not in (IPV4, IPV6):
        raise ValueError(f"address type {kind}")
    return 1 + (4 if kind == IPV4 else 16) + 2


def unpack_address(data: bytes, at: int) -> tuple[str, int]:
    """What `pack_address` packed, or a name. The caller has seen that all of it is there."""
    size = address_size(data, at)
    assert size is not None
    raw = data[at + 1 : at + size - 2]
    host = raw[1:].decode("ascii", "replace") if data[at] == NAME else str(ipaddress.ip_address(raw))
    return host, int(struct.unpack_from("!H", data, at + size - 2)[0])


class Handshake:
    """Feed it what the proxy says; send what it says. Then `bound` is the proxy's address for us, or `failure` a
    failure string, and `rest` what came behind the handshake."""

    def __init__(self, command: int, host: str, port: int) -> None:
        self.bound: tuple[str, int] | None = None
        self.failure: str | None = None
        self.rest = b""
        self._request = bytes([5, command, 0]) + pack_address(host, port)
        self._greeted = False
        self._received = b""

    @property
    def done(self) -> bool:
        return self.bound is not None or self.failure is not None

    def start(self) -> bytes:
        return VERSION_AND_METHODS

    def receive(self, data: bytes) -> bytes:
        self._received += data
        out = b""
        if not self._greeted:
            if len(self._received) < 2:
                return b""
            if self._received[:2] != NO_AUTHENTICATION:
                self.failure = PROTOCOL_ERROR if self._received[0] != 5 else REPLIES[2]
                return b""
            self._greeted = True
            self._received = self._received[2:]
            out = self._request
        got = self._received
        if len(got) >= 2 and (got[0] != 5 or got[1] != 0):
            self.failure = REPLIES.get(got[1], PROTOCOL_ERROR) if got[0] == 5 else PROTOCOL_ERROR
            return out
        try:
            size = address_size(got, 3)
        except ValueError:
            self.failure = PROTOCOL_ERROR
            return out
        if size is not None and len(got) >= 3 + size:
            self.bound = unpack_address(got, 3)
            self.rest = got[3 + size :]
        return out


def wrap(host: str, port: int, data: bytes) -> bytes:
    """A datagram for host and port as the relay wants it (section 7)."""
    return b"\0\0\0" + pack_address(host, port) + data


def unwrap(datagram: bytes) -> tuple[str, int, bytes] | None:
    """(host, port, data) of what the relay sent; None for a fragment or anything else that is no such datagram."""
    if datagram[:3] != b"\0\0\0":
        return None
    try:
        size = address_size(datagram, 3)
    except ValueError:
        return None
    if size is None or len(datagram) < 3 + size:
        return None
    return *unpack_address(datagram, 3), datagram[3 + size :]
