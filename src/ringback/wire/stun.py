"""STUN messages (RFC 8489), with TURN's (RFC 8656) and WhatsApp's types, as ordered raw attributes.

A message is encoded from its fields alone, yet to the same bytes that it came from: padding is kept as it was seen,
also where a client leaves it out. What an attribute's value means stands in `stun_attributes`.
"""

import hashlib
import hmac
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ringback.errors import BadInput
from ringback.wire.malformed import Malformed

MAGIC_COOKIE = 0x2112A442  # RFC 8489 section 5
HEADER_LENGTH = 20
FINGERPRINT_XOR = 0x5354554E  # RFC 8489 section 14.7

USERNAME = 0x0006
MESSAGE_INTEGRITY = 0x0008
MESSAGE_INTEGRITY_SHA256 = 0x001C
FINGERPRINT = 0x8028

REQUEST, INDICATION, SUCCESS, ERROR = 0, 1, 2, 3  # classes, RFC 8489 section 5

# Message types by name. TURN: RFC 8656 section 17. WhatsApp's own: seen in captures of 2019 and 2023.
TYPES: dict[str, int] = {
    "binding": 0x0001, "binding-indication": 0x0011, "binding-success": 0x0101, "binding-error": 0x0111,
    "allocate": 0x0003, "allocate-success": 0x0103, "allocate-error": 0x0113,
    "refresh": 0x0004, "refresh-success": 0x0104, "refresh-error": 0x0114,
    "send-indication": 0x0016, "data-indication": 0x0017,
    "create-permission": 0x0008, "create-permission-success": 0x0108, "create-permission-error": 0x0118,
    "channel-bind": 0x0009, "channel-bind-success": 0x0109, "channel-bind-error": 0x0119,
    "whatsapp-terminate": 0x0800, "whatsapp-ping": 0x0801, "whatsapp-pong": 0x0802, "whatsapp-0803": 0x0803,
    "whatsapp-probe": 0x0804, "whatsapp-probe-answer": 0x0805,
}  # fmt: skip
TYPE_NAMES: dict[int, str] = {code: name for name, code in TYPES.items()}
WHATSAPP_TYPES = frozenset(range(0x0800, 0x0806))

_HEADER = struct.Struct("!HHI12s")
_TLV = struct.Struct("!HH")
_ZEROS = (b"", b"\0", b"\0\0", b"\0\0\0")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One type-length-value. `padding` is what followed the value: 0-3 bytes, usually as many zeros as fill a word."""

    type: int
    value: bytes
    padding: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """A STUN message. `transaction` is 12 bytes; `cookie` differs from MAGIC_COOKIE in RFC 3489's messages only."""

    type: int
    transaction: bytes
    attributes: tuple[Attribute, ...] = ()
    cookie: int = MAGIC_COOKIE

    def first(self, code: int) -> Attribute | None:
        """The first attribute of this type; later ones of the same type are to be ignored (RFC 8489 section 14)."""
        for attribute in self.attributes:
            if attribute.type == code:
                return attribute
        return None


@dataclass(frozen=True, slots=True)
class ChannelData:
    """TURN's short framing (RFC 8656 section 12.4): channel 0x4000-0x4FFF. Padding of 0-3 bytes over TCP only."""

    channel: int
    data: bytes
    padding: bytes = b""


def attribute(code: int, value: bytes, *, padded: bool = True) -> Attribute:
    """An attribute with RFC 8489's zero padding, or with none, as some WhatsApp clients send it."""
    return Attribute(code, value, _ZEROS[-len(value) & 3] if padded else b"")


def message_type(method: int, message_class: int) -> int:
    """The type field of a method (0-0xFFF) and a class (0-3), whose bits are interleaved (RFC 8489 section 5)."""
    if not 0 <= method <= 0xFFF or not 0 <= message_class <= 3:
        raise BadInput(f"method {method:#x} or class {message_class} out of range", "stun.message_type")
    bits = (method & 0xF80) << 2 | (method & 0x70) << 1 | method & 0xF
    return bits | (message_class & 2) << 7 | (message_class & 1) << 4


def method_of(code: int) -> int:
    return (code >> 2 & 0xF80) | (code >> 1 & 0x70) | (code & 0xF)


def class_of(code: int) -> int:
    return (code >> 7 & 2) | (code >> 4 & 1)


def looks_like(data: bytes) -> bool:
    """Whether a datagram has a STUN header with the cookie and a length that fits. Says nothing of its attributes."""
    return (
        len(data) >= HEADER_LENGTH
        and data[0] < 0x40
        and data[4:8] == b"\x21\x12\xa4\x42"
        and (data[2] << 8 | data[3]) + HEADER_LENGTH == len(data)
    )


def type_of(data: bytes) -> int:
    """The message type in a header, which `looks_like` has found there."""
    return data[0] << 8 | data[1]


def message_length(buffer: bytes) -> int | None:
    """Bytes that the message at the start of a TCP stream takes, header included; None with fewer than 4 bytes."""
    return (buffer[2] << 8 | buffer[3]) + HEADER_LENGTH if len(buffer) >= 4 else None


def decode(data: bytes) -> Message | Malformed:
    """One whole datagram. Bytes beyond the declared length are refused: over UDP, real senders have none."""
    if len(data) < HEADER_LENGTH:
        return Malformed("truncated", len(data))
    code, length, cookie, transaction = _HEADER.unpack_from(data)
    if code >= 0x4000:
        return Malformed("not stun", 0)
    if length + HEADER_LENGTH != len(data):
        return Malformed("truncated" if length + HEADER_LENGTH > len(data) else "trailing bytes", 2)
    if not length:
        return Message(code, transaction, (), cookie)
    attributes = _walk(data, 4)
    # WhatsApp's probes leave all padding out. Read with padding they seem to be full of type 0, which is reserved.
    if isinstance(attributes, Malformed) or any(a.type == 0 for a in attributes):
        unpadded = _walk(data, 1)
        if not isinstance(unpadded, Malformed):
            attributes = unpadded
    return attributes if isinstance(attributes, Malformed) else Message(code, transaction, attributes, cookie)


def _walk(data: bytes, word: int) -> tuple[Attribute, ...] | Malformed:
    """The attribute area, each value followed by padding up to a multiple of `word`; the last may lack it."""
    found: list[Attribute] = []
    at, end = HEADER_LENGTH, len(data)
    while at < end:
        if at + 4 > end:
            return Malformed("attribute header cut", at)
        code, length = _TLV.unpack_from(data, at)
        stop = at + 4 + length
        if stop > end:
            return Malformed("attribute overruns", at)
        next_at = min(stop + (-length & (word - 1)), end)
        found.append(Attribute(code, data[at + 4 : stop], data[stop:next_at]))
        at = next_at
    return tuple(found)


def encode(message: Message) -> bytes:
    """The message's bytes; the length field is computed. Raises BadInput for fields that don't fit theirs."""
    area = encode_area(message.attributes)
    return _encode_header(message, len(area)) + area


def _encode_header(message: Message, length: int) -> bytes:
    where = "stun.encode"
    if not 0 <= message.type < 0x4000:
        raise BadInput(f"message type {message.type:#x} does not fit 14 bits", where)
    if len(message.transaction) != 12:
        raise BadInput(f"transaction id of {len(message.transaction)} bytes, not 12", where)
    if not 0 <= message.cookie <= 0xFFFFFFFF:
        raise BadInput(f"cookie {message.cookie:#x} does not fit 32 bits", where)
    if length > 0xFFFF:
        raise BadInput(f"attributes of {length} bytes, more than 65535", where)
    return _HEADER.pack(message.type, length, message.cookie, message.transaction)


def encode_area(attributes: Iterable[Attribute]) -> bytes:
    """The attributes as they stand in a message."""
    parts: list[bytes] = []
    for item in attributes:
        if not 0 <= item.type <= 0xFFFF or len(item.value) > 0xFFFF or len(item.padding) > 3:
            raise BadInput(
                f"attribute {item.type:#x} with {len(item.value)} + {len(item.padding)} bytes", "stun.encode"
            )
        parts += (_TLV.pack(item.type, len(item.value)), item.value, item.padding)
    return b"".join(parts)


def long_term_key(username: str, realm: str, password: str) -> bytes:
    """The 16-byte key of long-term credentials (RFC 8489 section 9.2.2). No SASLprep: hand in prepared strings."""
    return hashlib.md5(f"{username}:{realm}:{password}".encode(), usedforsecurity=False).digest()


_DIGESTS = {MESSAGE_INTEGRITY: ("sha1", 20), MESSAGE_INTEGRITY_SHA256: ("sha256", 32)}


def with_integrity(message: Message, key: bytes, code: int = MESSAGE_INTEGRITY) -> Message:
    """The message with MESSAGE-INTEGRITY, or its SHA-256 form, appended (RFC 8489 sections 14.5, 14.6)."""
    if code not in _DIGESTS:
        raise BadInput(f"{code:#x} is no integrity attribute", "stun.with_integrity")
    digest = _mac(message, message.attributes, key, code)
    return replace(message, attributes=(*message.attributes, attribute(code, digest)))


def with_fingerprint(message: Message) -> Message:
    """The message with FINGERPRINT appended (RFC 8489 section 14.7). It must be the last attribute."""
    value = _crc(message, message.attributes).to_bytes(4, "big")
    return replace(message, attributes=(*message.attributes, attribute(FINGERPRINT, value)))


def integrity_holds(message: Message, key: bytes, code: int = MESSAGE_INTEGRITY) -> bool | None:
    """Whether the message's integrity attribute was made with `key`; None where it has none."""
    if code not in _DIGESTS:
        raise BadInput(f"{code:#x} is no integrity attribute", "stun.integrity_holds")
    for index, item in enumerate(message.attributes):
        if item.type == code:
            return hmac.compare_digest(_mac(message, message.attributes[:index], key, code), item.value)
    return None


def fingerprint_holds(message: Message) -> bool | None:
    """Whether the last attribute is a right FINGERPRINT; None where there is none at all."""
    if message.first(FINGERPRINT) is None:
        return None
    *before, last = message.attributes
    return last.type == FINGERPRINT and last.value == _crc(message, before).to_bytes(4, "big")


def _mac(message: Message, before: Iterable[Attribute], key: bytes, code: int) -> bytes:
    # The length field counts up to the end of the integrity attribute; the digest covers what stands before it.
    name, size = _DIGESTS[code]
    area = encode_area(before)
    return hmac.digest(key, _encode_header(message, len(area) + 4 + size) + area, name)


def _crc(message: Message, before: Iterable[Attribute]) -> int:
    area = encode_area(before)
    return zlib.crc32(_encode_header(message, len(area) + 8) + area) ^ FINGERPRINT_XOR


def decode_channel(data: bytes) -> ChannelData | Malformed:
    """One ChannelData message; up to 3 bytes after its data are padding."""
    if len(data) < 4:
        return Malformed("truncated", len(data))
    channel, length = _TLV.unpack_from(data)
    if not 0x4000 <= channel <= 0x4FFF:
        return Malformed("not channel data", 0)
    if length + 4 > len(data):
        return Malformed("truncated", len(data))
    if len(data) - 4 - length > 3:
        return Malformed("trailing bytes", 4 + length)
    return ChannelData(channel, data[4 : 4 + length], data[4 + length :])


def encode_channel(message: ChannelData) -> bytes:
    if not 0x4000 <= message.channel <= 0x4FFF or len(message.data) > 0xFFFF or len(message.padding) > 3:
        raise BadInput(f"channel {message.channel:#x} with {len(message.data)} bytes", "stun.encode_channel")
    return _TLV.pack(message.channel, len(message.data)) + message.data + message.padding
