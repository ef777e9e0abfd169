"""Real IPv4 packets to `sim.packet.Packet` and back (RFC 791, 768, 9293, 792)."""

import socket
import struct
import sys
from array import array
from typing import NamedTuple

from ringback.sim.packet import ICMP, ICMP_HEADER, IPV4_HEADER, TCP, TCP_HEADER, UDP, UDP_HEADER, Packet

IP = struct.Struct("!BBHHHBBH4s4s")
PORTS = struct.Struct("!HH")
TCP_FIELDS = struct.Struct("!HHIIBBHHH")
SACK = 5  # RFC 2018, option kind
DONT_FRAGMENT = 0x4000
QUOTED_PAYLOAD = 8  # bytes behind the IP header that an ICMP error quotes at least


class Real(NamedTuple):
    """The bytes a packet came as, and its payload as it was then: a box that changes it makes another object."""

    data: bytes
    payload: bytes


def parse(data: bytes) -> Packet | None:
    """None for what is no whole IPv4 packet with a whole transport header. Bytes behind the IP packet are cut."""
    if len(data) < IPV4_HEADER or data[0] >> 4 != 4:
        return None
    header = (data[0] & 15) * 4
    length = data[2] << 8 | data[3]
    if header < IPV4_HEADER or not header <= length <= len(data):
        return None
    data = data[:length]
    proto, ttl = data[9], data[8]
    src, dst = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
    if (data[6] & 0x1F) or data[7]:  # a later fragment has no transport header
        return Packet(proto, src, 0, dst, 0, data[header:], length, ttl, raw=Real(data, b""))
    rest = length - header
    if proto == UDP and rest >= UDP_HEADER:
        sport, dport = PORTS.unpack_from(data, header)
        payload = data[header + UDP_HEADER :]
        return Packet(UDP, src, sport, dst, dport, payload, length, ttl, raw=Real(data, payload))
    if proto == TCP and rest >= TCP_HEADER:
        sport, dport, seq, ack, offset, flags, window, _, _ = TCP_FIELDS.unpack_from(data, header)
        behind = header + (offset >> 4) * 4
        if not header + TCP_HEADER <= behind <= length:
            return None
        payload = data[behind:]
        return Packet(
            TCP,
            src,
            sport,
            dst,
            dport,
            payload,
            length,
            ttl,
            seq,
            ack,
            flags & 0x3F,
            window,
            sack_blocks(data[header + TCP_HEADER : behind]),
            raw=Real(data, payload),
        )
    if proto == ICMP and rest >= ICMP_HEADER:
        payload = data[header + ICMP_HEADER :]
        return Packet(ICMP, src, data[header], dst, data[header + 1], payload, length, ttl, raw=Real(data, payload))
    if proto in (UDP, TCP, ICMP):
        return None
    payload = data[header:]
    return Packet(proto, src, 0, dst, 0, payload, length, ttl, raw=Real(data, payload))


def sack_blocks(options: bytes) -> tuple[tuple[int, int], ...]:
    at = 0
    while at < len(options) and options[at] != 0:
        if options[at] == 1:
            at += 1
            continue
        size = options[at + 1] if at + 1 < len(options) else 0
        if size < 2 or at + size > len(options):
            break
        if options[at] == SACK and (size - 2) % 8 == 0:
            edges = struct.unpack_from(f"!{(size - 2) // 4}I", options, at + 2)
            return tuple(zip(edges[::2], edges[1::2], strict=True))
        at += size
    return ()


def build(packet: Packet, ttl: int) -> bytes:
    """The packet as bytes with this TTL. One that came as bytes and was not changed goes out as the same bytes."""
    real = packet.raw
    if isinstance(real, Real):
        if _unchanged(packet, real):
            return with_ttl(real.data, ttl)
        if packet.proto not in (UDP, TCP, ICMP) or real.data[9] != packet.proto:
            real = None
    return _assemble(packet, ttl, real if isinstance(real, Real) else None)


def _unchanged(packet: Packet, real: Real) -> bool:
    data = real.data
    if packet.payload is not real.payload and packet.payload != real.payload and real.payload:
        return False
    if data[12:16] != socket.inet_aton(packet.src) or data[16:20] != socket.inet_aton(packet.dst):
        return False
    if data[9] != packet.proto:
        return False
    if (data[6] & 0x1F) or data[7] or packet.proto not in (UDP, TCP, ICMP):
        return True
    header = (data[0] & 15) * 4
    if packet.proto == ICMP:
        return (packet.sport, packet.dport) == (data[header], data[header + 1]) and packet.quoted is None
    if PORTS.unpack_from(data, header) != (packet.sport, packet.dport):
        return False
    if packet.proto == UDP:
        return len(packet.payload) == len(real.payload)
    _, _, seq, ack, _, flags, window, _, _ = TCP_FIELDS.unpack_from(data, header)
    return len(packet.payload) == len(real.payload) and (packet.seq, packet.ack, packet.flags, packet.window) == (
        seq,
        ack,
        flags & 0x3F,
        window,
    )


def with_ttl(data: bytes, ttl: int) -> bytes:
    """The same with another TTL and header checksum (RFC 1624, equation 3)."""
    old = data[8] << 8 | data[9]
    new = ttl << 8 | data[9]
    total = (~(data[10] << 8 | data[11]) & 0xFFFF) + (~old & 0xFFFF) + new
    total = (total & 0xFFFF) + (total >> 16)
    total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return b"%b%c%c%c%c%b" % (data[:8], ttl, data[9], total >> 8, total & 0xFF, data[12:])


def _assemble(packet: Packet, ttl: int, real: Real | None) -> bytes:
    source, target = socket.inet_aton(packet.src), socket.inet_aton(packet.dst)
    if packet.proto == UDP:
        length = UDP_HEADER + len(packet.payload)
        body = struct.pack("!HHHH", packet.sport, packet.dport, length, 0) + packet.payload
        body = _checked(body, 6, _pseudo(source, target, UDP, length))
    elif packet.proto == TCP:
        options = _options(real) if packet.payload or packet.flags & 0x04 == 0 else b""
        offset = (TCP_HEADER + len(options)) // 4 << 4
        fields = TCP_FIELDS.pack(
            packet.sport,
            packet.dport,
            packet.seq & 0xFFFFFFFF,
            packet.ack & 0xFFFFFFFF,
            offset,
            packet.flags,
            packet.window & 0xFFFF,
            0,
            0,
        )
        body = fields + options + packet.payload
        body = _checked(body, 16, _pseudo(source, target, TCP, len(body)))
    elif packet.proto == ICMP:
        quoted = quote(packet.quoted) if packet.quoted is not None else packet.payload
        body = _checked(struct.pack("!BBHI", packet.sport, packet.dport, 0, 0) + quoted, 2, b"")
    else:
        body = packet.payload
    head = IP.pack(0x45, 0, IPV4_HEADER + len(body), 0, DONT_FRAGMENT, ttl, packet.proto, 0, source, target)
    return _checked(head, 10, b"") + body


def quote(cause: Packet) -> bytes:
    """What an ICMP error shows of the packet that caused it: its IP header and the beginning of what is behind."""
    data = build(cause, max(cause.ttl, 1))
    return data[: (data[0] & 15) * 4 + QUOTED_PAYLOAD]


def _options(real: Real | None) -> bytes:
    if real is None:
        return b""
    header = (real.data[0] & 15) * 4
    return real.data[header + TCP_HEADER : header + (real.data[header + 12] >> 4) * 4]


def _pseudo(source: bytes, target: bytes, proto: int, length: int) -> bytes:
    return source + target + struct.pack("!BBH", 0, proto, length)


def _checked(body: bytes, at: int, pseudo: bytes) -> bytes:
    """body with its Internet checksum (RFC 1071) at `at`, where zeros stood. UDP's 0 is written as 0xFFFF."""
    value = checksum(pseudo + body) or 0xFFFF
    return body[:at] + struct.pack("!H", value) + body[at + 2 :]


def checksum(data: bytes) -> int:
    """RFC 1071 over data, of which an odd last byte is padded."""
    words = array("H", data + b"\0" if len(data) % 2 else data)
    if sys.byteorder == "little":
        words.byteswap()
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
