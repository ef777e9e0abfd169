"""What STUN attributes mean: one table of code, name, and how a value is packed and unpacked.

Unpacking is total too: a value that does not fit its attribute gives `Malformed`. XOR addresses need the message's
cookie and transaction id, so every packer is handed those 16 bytes (`mask`).
"""

import ipaddress
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ringback.errors import BadInput
from ringback.wire.malformed import Malformed
from ringback.wire.stun import Attribute, Message, attribute


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A transport address: `host` is an IPv4 or IPv6 literal, `port` 0-65535."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """RFC 8489 section 14.8: `code` 300-699, `reason` UTF-8."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table. `pack(value, mask)` gives bytes, `unpack(bytes, mask)` a value or Malformed."""

    code: int
    name: str
    pack: Callable[[Any, bytes], bytes]
    unpack: Callable[[bytes, bytes], Any]


def _fail(value: object, form: str) -> BadInput:
    return BadInput(f"{value!r} is no {form}", "stun_attributes.pack")


def _pack_raw(value: Any, mask: bytes) -> bytes:
    if not isinstance(value, bytes):
        raise _fail(value, "bytes")
    return value


def _unpack_raw(value: bytes, mask: bytes) -> bytes:
    return value


def _pack_text(value: Any, mask: bytes) -> bytes:
    if not isinstance(value, str):
        raise _fail(value, "text")
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise _fail(value, "text in UTF-8") from None


def _unpack_text(value: bytes, mask: bytes) -> str | Malformed:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        return Malformed("not utf-8", error.start)


def _pack_flag(value: Any, mask: bytes) -> bytes:
    return b""


def _unpack_flag(value: bytes, mask: bytes) -> bool | Malformed:
    return Malformed("flag with a value", 0) if value else True


def _integer(size: int, after: int = 0) -> tuple[Callable[[Any, bytes], bytes], Callable[[bytes, bytes], Any]]:
    """A big-endian number of `size` bytes, with `after` reserved bytes behind it (sent as 0, ignored when read)."""

    def pack(value: Any, mask: bytes) -> bytes:
        if not isinstance(value, int) or not 0 <= value < 1 << 8 * size:
            raise _fail(value, f"number of {size} bytes")
        return value.to_bytes(size, "big") + bytes(after)

    def unpack(value: bytes, mask: bytes) -> int | Malformed:
        if len(value) != size + after:
            return Malformed("wrong length", len(value))
        return int.from_bytes(value[:size], "big")

    return pack, unpack


@lru_cache(1024)
def _literal(host: str) -> bytes:
    """4 or 16 bytes. Raises ValueError for what is no address."""
    return ipaddress.ip_address(host).packed


def _address(xor: bool) -> tuple[Callable[[Any, bytes], bytes], Callable[[bytes, bytes], Any]]:
    """MAPPED-ADDRESS's form, or XOR-MAPPED-ADDRESS's (RFC 8489 sections 14.1, 14.2)."""

    def masked(raw: bytes, key: bytes) -> bytes:
        size = len(raw)
        if not xor:
            return raw
        return (int.from_bytes(raw, "big") ^ int.from_bytes(key[:size], "big")).to_bytes(size, "big")

    def pack(value: Any, mask: bytes) -> bytes:
        if not isinstance(value, Endpoint) or not 0 <= value.port <= 0xFFFF:
            raise _fail(value, "endpoint")
        try:
            host = _literal(value.host)
        except ValueError:
            raise _fail(value, "endpoint with a literal address") from None
        family = 1 if len(host) == 4 else 2
        return bytes((0, family)) + masked(value.port.to_bytes(2, "big"), mask) + masked(host, mask)

    def unpack(value: bytes, mask: bytes) -> Endpoint | Malformed:
        if len(value) < 4:
            return Malformed("truncated", len(value))
        if {1: 8, 2: 20}.get(value[1]) != len(value):
            return Malformed("wrong address family or length", 1)
        port = int.from_bytes(masked(value[2:4], mask), "big")
        return Endpoint(str(ipaddress.ip_address(masked(value[4:], mask))), port)

    return pack, unpack


def _pack_error(value: Any, mask: bytes) -> bytes:
    if not isinstance(value, ErrorCode) or not 300 <= value.code <= 699:
        raise _fail(value, "error code 300-699")
    return bytes((0, 0, value.code // 100, value.code % 100)) + _pack_text(value.reason, mask)


def _unpack_error(value: bytes, mask: bytes) -> ErrorCode | Malformed:
    if len(value) < 4:
        return Malformed("truncated", len(value))
    hundreds, rest = value[2] & 7, value[3]
    if not 3 <= hundreds <= 6 or rest > 99:
        return Malformed("error code out of range", 2)
    return ErrorCode(hundreds * 100 + rest, value[4:].decode("utf-8", "replace"))


def _pack_codes(value: Any, mask: bytes) -> bytes:
    if not isinstance(value, tuple) or any(not isinstance(c, int) or not 0 <= c <= 0xFFFF for c in value):
        raise _fail(value, "tuple of attribute types")
    return struct.pack(f"!{len(value)}H", *value)


def _unpack_codes(value: bytes, mask: bytes) -> tuple[int, ...] | Malformed:
    if len(value) % 2:
        return Malformed("odd length", len(value))
    return struct.unpack(f"!{len(value) // 2}H", value)


_RAW = (_pack_raw, _unpack_raw)
_TEXT = (_pack_text, _unpack_text)
_FLAG = (_pack_flag, _unpack_flag)
_ERROR = (_pack_error, _unpack_error)
_CODES = (_pack_codes, _unpack_codes)
_PLAIN, _XOR = _address(xor=False), _address(xor=True)
_U8_R24, _U16_R16, _U32, _U64 = _integer(1, 3), _integer(2, 2), _integer(4), _integer(8)

_ROWS = (
    # RFC 8489
    (0x0001, "MAPPED-ADDRESS", _PLAIN),
    (0x0006, "USERNAME", _TEXT),
    (0x0008, "MESSAGE-INTEGRITY", _RAW),
    (0x0009, "ERROR-CODE", _ERROR),
    (0x000A, "UNKNOWN-ATTRIBUTES", _CODES),
    (0x0014, "REALM", _TEXT),
    (0x0015, "NONCE", _TEXT),
    (0x001C, "MESSAGE-INTEGRITY-SHA256", _RAW),
    (0x001E, "USERHASH", _RAW),
    (0x0020, "XOR-MAPPED-ADDRESS", _XOR),
    (0x8022, "SOFTWARE", _TEXT),
    (0x8023, "ALTERNATE-SERVER", _PLAIN),
    (0x8028, "FINGERPRINT", _U32),
    # RFC 8656. WhatsApp puts the relay's own address into 0x0016.
    (0x000C, "CHANNEL-NUMBER", _U16_R16),
    (0x000D, "LIFETIME", _U32),  # seconds
    (0x0012, "XOR-PEER-ADDRESS", _XOR),
    (0x0013, "DATA", _RAW),
    (0x0016, "XOR-RELAYED-ADDRESS", _XOR),
    (0x0019, "REQUESTED-TRANSPORT", _U8_R24),  # IP protocol number, 17 = UDP
    (0x001A, "DONT-FRAGMENT", _FLAG),
    # RFC 8445
    (0x0024, "PRIORITY", _U32),
    (0x0025, "USE-CANDIDATE", _FLAG),
    (0x8029, "ICE-CONTROLLED", _U64),
    (0x802A, "ICE-CONTROLLING", _U64),
    # WhatsApp's own, named after what open clients of 2026 put in
    (0x4000, "WHATSAPP-RELAY-TOKEN", _RAW),
    (0x4001, "WHATSAPP-RELAY-TOKEN-2", _RAW),
    (0x4002, "WHATSAPP-CLOCK", _U64),  # milliseconds since 1970
    (0x4003, "WHATSAPP-PROBE-STAMP", _RAW),
    (0x4004, "WHATSAPP-PROBE-FILL", _RAW),
    (0x4007, "WHATSAPP-4007", _RAW),
    (0x4021, "WHATSAPP-RECEIVER-SUBSCRIPTIONS", _RAW),
    (0x4023, "WHATSAPP-SENDER-SSRC", _RAW),
    (0x4024, "WHATSAPP-STREAM-DESCRIPTORS", _RAW),
    (0x4025, "WHATSAPP-SENDER-SUBSCRIPTIONS", _RAW),
    (0x805A, "WHATSAPP-PARTICIPANTS", _RAW),
)
KINDS: dict[int, Kind] = {code: Kind(code, name, *form) for code, name, form in _ROWS}
CODES: dict[str, int] = {kind.name: code for code, kind in KINDS.items()}


def build(name: str, value: Any, transaction: bytes = bytes(12), cookie: int = 0x2112A442) -> Attribute:
    """An attribute by its table name. Raises BadInput for an unknown name or a value that is not of its form."""
    if name not in CODES:
        raise BadInput(f"unknown attribute {name!r}", "stun_attributes.build")
    kind = KINDS[CODES[name]]
    return attribute(kind.code, kind.pack(value, cookie.to_bytes(4, "big") + transaction))


def read(message: Message, name: str) -> Any:
    """The value of the message's first attribute of that name: None where absent, Malformed where it does not fit."""
    if name not in CODES:
        raise BadInput(f"unknown attribute {name!r}", "stun_attributes.read")
    kind = KINDS[CODES[name]]
    found = message.first(kind.code)
    return None if found is None else kind.unpack(found.value, message.cookie.to_bytes(4, "big") + message.transaction)
