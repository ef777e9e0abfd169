"""From a frame to a UDP datagram or TCP segment between two sockets.

Links: Ethernet with any number of VLAN tags (IEEE 802.1Q) and PPPoE, Linux cooked v1 and v2, BSD loopback, raw IP.
Fragments are counted and left out: a call's datagrams fit their links.
"""

import socket
import struct
from typing import NamedTuple

from ringback.capture.files import Frame
from ringback.capture.notes import Notes
from ringback.record import Transport

# LINKTYPE numbers
NULL, ETHERNET, LOOP, COOKED, COOKED_2 = 0, 1, 108, 113, 276
RAW = frozenset((12, 14, 101, 228, 229))
IPV4, IPV6, PPPOE = 0x0800, 0x86DD, 0x8864
VLAN_TAGS = frozenset((0x8100, 0x88A8, 0x9100))
PPP_PROTOCOLS = {0x0021: IPV4, 0x0057: IPV6}
TCP, UDP, FRAGMENT = 6, 17, 44
EXTENSIONS = frozenset((0, 43, 60))  # hop by hop, routing, destination: RFC 8200 section 4
SYN, ACK = 0x02, 0x10

Socket = tuple[str, int]
"""(address, port)"""


class Segment(NamedTuple):
    """One datagram or segment. size: bytes of the IP packet. whole: nothing of the payload was cut by the capture.

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


def segment(frame: Frame, notes: Notes) -> Segment | None:
    """None for what carries no UDP or TCP, and for what is cut or nonsense (noted)."""
    packet = _network(frame, notes)
    if not packet:
        return None
    version = packet[0] >> 4
    if version == 4:
        return _ipv4(frame, packet, notes)
    if version == 6:
        return _ipv6(frame, packet, notes)
    notes.left_out("no IP version")
    return None


def _network(frame: Frame, notes: Notes) -> bytes:
    """The IP packet within a frame; empty where there is none."""
    link, data = frame.link, frame.data
    if link in RAW:
        return data
    if link in (NULL, LOOP):
        return data[4:]  # an address family, whose number depends on the system: the version tells as well
    if link == ETHERNET:
        kind, at = data[12:14], 14
    elif link == COOKED:
        kind, at = data[14:16], 16
    elif link == COOKED_2:
        kind, at = data[:2], 20
    else:
        notes.left_out(f"link type {link} is not known")
        return b""
    number = int.from_bytes(kind, "big")
    while number in VLAN_TAGS:
        number, at = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
    if number == PPPOE:
        number, at = PPP_PROTOCOLS.get(int.from_bytes(data[at + 6 : at + 8], "big"), 0), at + 8
    return data[at:] if number in (IPV4, IPV6) else b""


def _ipv4(frame: Frame, packet: bytes, notes: Notes) -> Segment | None:
    head = 4 * (packet[0] & 0x0F)
    if head < 20 or len(packet) < head:
        notes.left_out("cut or damaged IP header")
        return None
    total = packet[2] << 8 | packet[3] or len(packet)  # 0: cut into packets by the network card only
    if total < head:
        notes.left_out("cut or damaged IP header")
        return None
    if (packet[6] & 0x3F) | packet[7]:
        notes.left_out("fragment")
        return None
    hosts = socket.inet_ntop(socket.AF_INET, packet[12:16]), socket.inet_ntop(socket.AF_INET, packet[16:20])
    return _transport(frame.at, packet[9], hosts, packet[head:total], total - head, total, notes)


def _ipv6(frame: Frame, packet: bytes, notes: Notes) -> Segment | None:
    if len(packet) < 40:
        notes.left_out("cut or damaged IP header")
        return None
    total = 40 + (packet[4] << 8 | packet[5] or len(packet) - 40)
    following, at = packet[6], 40
    while following in EXTENSIONS or following == FRAGMENT:
        if at + 8 > len(packet):
            notes.left_out("cut or damaged IP header")
            return None
        # A fragment header on a packet in one piece is possible (RFC 6946).
        if following == FRAGMENT and int.from_bytes(packet[at + 2 : at + 4], "big") & 0xFFF9:
            notes.left_out("fragment")
            return None
        following, at = packet[at], at + (8 if following == FRAGMENT else 8 + 8 * packet[at + 1])
    if total < at:
        notes.left_out("cut or damaged IP header")
        return None
    hosts = socket.inet_ntop(socket.AF_INET6, packet[8:24]), socket.inet_ntop(socket.AF_INET6, packet[24:40])
    return _transport(frame.at, following, hosts, packet[at:total], total - at, total, notes)


def _transport(
    at: float, protocol: int, hosts: tuple[str, str], data: bytes, length: int, size: int, notes: Notes
) -> Segment | None:
    """data: what was captured of `length` bytes behind the IP header."""
    if protocol not in (UDP, TCP):
        return None
    if len(data) < (8 if protocol == UDP else 20):
        notes.left_out("cut or damaged transport header")
        return None
    source_port, target_port = struct.unpack_from("!HH", data)
    source, target = (hosts[0], source_port), (hosts[1], target_port)
    if protocol == UDP:
        stated = data[4] << 8 | data[5] or length
        if not 8 <= stated <= length:
            notes.left_out("cut or damaged transport header")
            return None
        payload = data[8:stated]
        return Segment(at, "udp", source, target, payload, size, len(payload) == stated - 8)
    head = 4 * (data[12] >> 4)
    if not 20 <= head <= length:
        notes.left_out("cut or damaged transport header")
        return None
    payload = data[head:]
    sequence = int.from_bytes(data[4:8], "big")
    return Segment(at, "tcp", source, target, payload, size, len(payload) == length - head, sequence, data[13])
