"""RTP packets (RFC 3550 section 5) with header extensions (RFC 8285, and any other profile)."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from ringback.errors import BadInput
from ringback.wire.malformed import Malformed

ONE_BYTE_PROFILE = 0xBEDE  # RFC 8285 section 4.2
TWO_BYTE_PROFILE = 0x1000  # section 4.3; the low 4 bits are the application's

_HEADER = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")


@dataclass(frozen=True, slots=True)
class Extension:
    """A header extension: its 16-bit profile, and data of a whole number of 32-bit words."""

    profile: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet. `padded` is the P bit alone: under SRTP the padding is inside the encrypted payload."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes = b""
    marker: bool = False
    extension: Extension | None = None
    csrc: tuple[int, ...] = ()
    padded: bool = False


def looks_like(data: bytes) -> bool:
    """Version 2 and, by RFC 5761 section 4, a payload type that is not one of RTCP's."""
    return len(data) >= 12 and data[0] & 0xC0 == 0x80 and not 192 <= data[1] <= 223


def decode(data: bytes) -> Packet | Malformed:
    """One datagram. It doesn't refuse RTCP's packet types: ask `looks_like` where both share a port."""
    if len(data) < 12:
        return Malformed("truncated", len(data))
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first & 0xC0 != 0x80:
        return Malformed("not version 2", 0)
    at, csrc, extension = 12, (), None
    if first & 0x0F:
        at += 4 * (first & 0x0F)
        if at > len(data):
            return Malformed("truncated", len(data))
        csrc = struct.unpack_from(f"!{first & 0x0F}I", data, 12)
    if first & 0x10:
        if at + 4 > len(data):
            return Malformed("truncated", len(data))
        profile, words = _EXTENSION.unpack_from(data, at)
        stop = at + 4 + 4 * words
        if stop > len(data):
            return Malformed("extension overruns", at)
        extension = Extension(profile, data[at + 4 : stop])
        at = stop
    return Packet(
        second & 0x7F, sequence, timestamp, ssrc, data[at:], second > 0x7F, extension, csrc, first & 0x20 != 0
    )


def encode(packet: Packet) -> bytes:
    """The packet's bytes. Raises BadInput for a field out of its range."""
    where = "rtp.encode"
    if not 0 <= packet.payload_type <= 0x7F or not 0 <= packet.sequence <= 0xFFFF:
        raise BadInput(f"payload type {packet.payload_type} or sequence {packet.sequence} out of range", where)
    words = (packet.timestamp, packet.ssrc, *packet.csrc)
    if len(packet.csrc) > 15 or any(not 0 <= word <= 0xFFFFFFFF for word in words):
        raise BadInput("timestamp, SSRC or CSRC out of 32 bits, or more than 15 CSRCs", where)
    extension = b""
    if packet.extension is not None:
        profile, data = packet.extension.profile, packet.extension.data
        if not 0 <= profile <= 0xFFFF or len(data) % 4 or len(data) > 4 * 0xFFFF:
            raise BadInput(f"extension {profile:#x} of {len(data)} bytes", where)
        extension = _EXTENSION.pack(profile, len(data) // 4) + data
    first = 0x80 | packet.padded << 5 | (packet.extension is not None) << 4 | len(packet.csrc)
    head = _HEADER.pack(first, packet.marker << 7 | packet.payload_type, packet.sequence, *words[:2])
    return head + struct.pack(f"!{len(packet.csrc)}I", *packet.csrc) + extension + packet.payload


def unpadded(packet: Packet) -> bytes | Malformed:
    """The payload of an unencrypted packet without its padding (RFC 3550 section 5.1)."""
    if not packet.padded:
        return packet.payload
    if not packet.payload or not 1 <= packet.payload[-1] <= len(packet.payload):
        return Malformed("padding count", max(len(packet.payload) - 1, 0))
    return packet.payload[: -packet.payload[-1]]


def elements(extension: Extension) -> tuple[tuple[int, bytes], ...] | Malformed:
    """The (id, data) elements of a one-byte or two-byte extension (RFC 8285); Malformed for any other profile."""
    one_byte = extension.profile == ONE_BYTE_PROFILE
    if not one_byte and extension.profile & 0xFFF0 != TWO_BYTE_PROFILE:
        return Malformed("another profile", 0)
    data, at = extension.data, 0
    found: list[tuple[int, bytes]] = []
    while at < len(data):
        if data[at] == 0:  # padding between elements
            at += 1
            continue
        if one_byte:
            number, length, start = data[at] >> 4, (data[at] & 0x0F) + 1, at + 1
            if number == 15:  # section 4.2: stop here and ignore the rest
                break
        elif at + 2 > len(data):
            return Malformed("truncated", at)
        else:
            number, length, start = data[at], data[at + 1], at + 2
        if start + length > len(data):
            return Malformed("element overruns", at)
        found.append((number, data[start : start + length]))
        at = start + length
    return tuple(found)


def one_byte_extension(items: Iterable[tuple[int, bytes]]) -> Extension:
    """A one-byte extension (RFC 8285 section 4.2) of elements with ids 1-14 and 1-16 bytes each."""
    parts = b""
    for number, data in items:
        if not 1 <= number <= 14 or not 1 <= len(data) <= 16:
            raise BadInput(f"element {number} of {len(data)} bytes", "rtp.one_byte_extension")
        parts += bytes((number << 4 | len(data) - 1,)) + data
    return Extension(ONE_BYTE_PROFILE, parts + bytes(-len(parts) % 4))


def two_byte_extension(items: Iterable[tuple[int, bytes]]) -> Extension:
    """A two-byte extension (RFC 8285 section 4.3) of elements with ids 1-255 and up to 255 bytes each."""
    parts = b""
    for number, data in items:
        if not 1 <= number <= 255 or len(data) > 255:
            raise BadInput(f"element {number} of {len(data)} bytes", "rtp.two_byte_extension")
        parts += bytes((number, len(data))) + data
    return Extension(TWO_BYTE_PROFILE, parts + bytes(-len(parts) % 4))
