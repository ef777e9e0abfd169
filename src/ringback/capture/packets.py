"""From a frame to a UDP datagram or TCP segment between two sockets.

IPv4 and IPv6 (RFC 791, RFC 8200) with extension headers and fragments, also within GRE (RFC 2784, 2637) or another IP
packet. What the capture itself wraps around them is `links`' matter.
"""

import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple

from ringback.capture import links
from ringback.capture.files import Frame
from ringback.capture.fragments import Datagram, Fragments, Hosts, Piece
from ringback.capture.notes import Notes
from ringback.record import Transport

TCP, UDP, FRAGMENT, AUTHENTICATION, GRE = 6, 17, 44, 51, 47
EXTENSIONS = frozenset((0, 43, 60, 135, 139, 140, FRAGMENT, AUTHENTICATION))  # RFC 8200 section 4, IANA's registry
TUNNELS = frozenset((4, 41, GRE))
DEEPEST = 4  # packets within packets
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
CUT_IP, CUT_TRANSPORT = "cut or damaged IP header", "cut or damaged transport header"

Socket = tuple[str, int]
"""(address, port)"""


class Segment(NamedTuple):
    """One datagram or segment. size: bytes of the IP packet, put together from its fragments. whole: nothing of the
    payload is missing in the capture.

    sequence, flags: TCP's (RFC 9293 section 3.1); 0 for UDP.
    """

    at: float
    transport: Transport
    source: Socket
    target: Socket
    payload: bytes
    size: int
    whole: bool
    sequence: int = 0
    flags: int = 0


Segments = Sequence[Segment]


class _Payload(NamedTuple):
    """What stands behind an IP header. data: what was captured of `length` bytes. size: bytes of the IP packet."""

    at: float
    protocol: int
    hosts: Hosts
    data: bytes
    length: int
    size: int


class Reader:
    """Reads one capture's frames in the file's order; keeps fragments until the others come."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._fragments = Fragments(notes)

    def read(self, frame: Frame) -> Segments:
        """Mostly one. None for what carries no UDP or TCP, and for what is cut or nonsense (noted)."""
        late = self._fragments.overdue(frame.at)
        packet = links.network(frame, self._notes)
        # A frame that was cut is longer on the wire, by what is missing at the packet's end.
        found = self._ip(frame.at, packet, frame.size - len(frame.data) + len(packet), 0) if packet else ()
        return (*self._assembled(late, 0), *found) if late else found

    def rest(self) -> Segments:
        """What is left at the end of the file."""
        return self._assembled(self._fragments.rest(), 0)

    def _ip(self, at: float, packet: bytes, length: int, depth: int) -> Segments:
        """length: bytes on the wire from the packet's beginning on, among them what pads the frame."""
        version = packet[0] >> 4
        if version == 4:
            head = 4 * (packet[0] & 0x0F)
            total = int.from_bytes(packet[2:4], "big") or length  # 0: cut into packets by the network card only
            if head < 20 or len(packet) < head or total < head:
                return self._nothing(CUT_IP)
            hosts = socket.inet_ntop(socket.AF_INET, packet[12:16]), socket.inet_ntop(socket.AF_INET, packet[16:20])
            data, where = packet[head:total], (packet[6] & 0x3F) << 8 | packet[7]
            if not where:
                return self._behind(_Payload(at, packet[9], hosts, data, total - head, total), depth)
            number = packet[4] << 8 | packet[5] | packet[9] << 16  # each protocol counts its own
            begin, more = 8 * (where & 0x1FFF), bool(where & 0x2000)
            return self._piece(Piece(at, hosts, number, packet[9], head, begin, total - head, more, data), depth)
        if version == 6:
            if len(packet) < 40:
                return self._nothing(CUT_IP)
            total = 40 + (packet[4] << 8 | packet[5] or length - 40)  # 0: as above
            hosts = socket.inet_ntop(socket.AF_INET6, packet[8:24]), socket.inet_ntop(socket.AF_INET6, packet[24:40])
            return self._behind(_Payload(at, packet[6], hosts, packet[40:total], total - 40, total), depth)
        return self._nothing("no IP version")

    def _nothing(self, why: str) -> Segments:
        self._notes.left_out(why)
        return ()

    def _piece(self, piece: Piece, depth: int) -> Segments:
        return self._assembled(self._fragments.add(piece), depth + 1) if depth < DEEPEST else ()

    def _assembled(self, datagrams: Sequence[Datagram], depth: int) -> Segments:
        segments: list[Segment] = []
        for found in datagrams:
            length = found.length
            if length is None:  # a datagram's own header knows it all the same
                length = len(found.data)
                if found.protocol == UDP and length >= 8:
                    length = max(length, int.from_bytes(found.data[4:6], "big"))
            payload = _Payload(found.at, found.protocol, found.hosts, found.data, length, found.headers + length)
            segments += self._behind(payload, depth)
        return segments

    def _behind(self, found: _Payload, depth: int) -> Segments:
        """What stands behind IP's header and its extensions."""
        following, data = found.protocol, found.data
        if following == UDP:
            return self._udp(found)
        if following == TCP:
            return self._tcp(found)
        if following in EXTENSIONS:
            return self._extended(found, depth)
        if following in TUNNELS and depth < DEEPEST:
            packet = _gre(data) if following == GRE else data
            if packet:
                return self._ip(found.at, packet, found.length - len(data) + len(packet), depth + 1)
        return ()

    def _extended(self, found: _Payload, depth: int) -> Segments:
        following, data, at = found.protocol, found.data, 0
        while following in EXTENSIONS:
            if at + 8 > len(data):
                return self._nothing(CUT_IP)
            size = 8
            if following != FRAGMENT:
                size += 4 * data[at + 1] if following == AUTHENTICATION else 8 * data[at + 1]
            elif (where := int.from_bytes(data[at + 2 : at + 4], "big")) & 0xFFF9:
                # 0 on a packet in one piece is possible (RFC 6946).
                number, headers = int.from_bytes(data[at + 4 : at + 8], "big"), found.size - found.length + at
                begin, more, length = where & 0xFFF8, bool(where & 1), found.length - at - 8
                return self._piece(
                    Piece(found.at, found.hosts, number, data[at], headers, begin, length, more, data[at + 8 :]), depth
                )
            following, at = data[at], at + size
        if at > found.length:
            return self._nothing(CUT_IP)
        return self._behind(found._replace(protocol=following, data=data[at:], length=found.length - at), depth)

    def _udp(self, found: _Payload) -> Segments:
        data = found.data
        if len(data) < 8:
            return self._nothing(CUT_TRANSPORT)
        stated = data[4] << 8 | data[5] or found.length
        if not 8 <= stated <= found.length:
            return self._nothing(CUT_TRANSPORT)
        source, target = _sockets(found)
        payload = data[8:stated]
        return (Segment(found.at, "udp", source, target, payload, found.size, len(payload) == stated - 8),)

    def _tcp(self, found: _Payload) -> Segments:
        data = found.data
        head = 4 * (data[12] >> 4) if len(data) >= 20 else 0
        if not 20 <= head <= found.length:
            return self._nothing(CUT_TRANSPORT)
        source, target = _sockets(found)
        payload, sequence = data[head:], int.from_bytes(data[4:8], "big")
        whole = len(payload) == found.length - head
        return (Segment(found.at, "tcp", source, target, payload, found.size, whole, sequence, data[13]),)


def _sockets(found: _Payload) -> tuple[Socket, Socket]:
    source, target = struct.unpack_from("!HH", found.data)
    return (found.hosts[0], source), (found.hosts[1], target)


def _gre(data: bytes) -> bytes:
    """The IP packet in a tunnel's: version 0, or version 1 with PPP, as in PPTP. Empty where there is none."""
    if len(data) < 4 or data[0] & 0x40 or data[1] & 7 > 1:  # source routing is not read (RFC 2784 section 2.3)
        return b""
    at = 4 + 4 * sum(bool(data[0] & bit) for bit in (0x80, 0x20, 0x10))  # checksum, key, sequence number
    at += 4 * (data[1] >> 7 & data[1] & 1)  # acknowledgement, in version 1
    return links.inner(int.from_bytes(data[2:4], "big"), data[at:])
