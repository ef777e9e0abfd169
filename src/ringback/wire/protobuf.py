"""The little of Protocol Buffers' encoding that messengers' handshakes need: fields in order, no schema.

Source: the public "Encoding" chapter of Protocol Buffers' documentation. Groups (wire types 3, 4) are refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ringback.errors import BadInput
from ringback.wire.malformed import Malformed

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `value` is 0 to 2^64 - 1 for a varint, bytes for any other wire type (8 or 4 for the fixed ones)."""

    number: int
    value: int | bytes
    wire_type: int = VARINT


def number(at: int, value: int) -> Field:
    return Field(at, value, VARINT)


def data(at: int, value: bytes) -> Field:
    return Field(at, value, BYTES)


def zigzag(value: int) -> int:
    """A signed 64-bit number as sint64 maps it: 0, -1, 1, -2 become 0, 1, 2, 3."""
    return value * 2 if value >= 0 else -value * 2 - 1


def encode(fields: Iterable[Field]) -> bytes:
    parts = b""
    for field in fields:
        if not 1 <= field.number < 1 << 29:
            raise BadInput(f"field number {field.number}", "protobuf.encode")
        key = _varint(field.number << 3 | field.wire_type)
        if isinstance(field.value, int):
            if field.wire_type != VARINT or not 0 <= field.value < 1 << 64:
                raise BadInput(f"number {field.value} as wire type {field.wire_type}", "protobuf.encode")
            parts += key + _varint(field.value)
        elif field.wire_type == BYTES:
            parts += key + _varint(len(field.value)) + field.value
        elif _FIXED.get(field.wire_type) == len(field.value):
            parts += key + field.value
        else:
            raise BadInput(f"{len(field.value)} bytes as wire type {field.wire_type}", "protobuf.encode")
    return parts


def decode(message: bytes) -> tuple[Field, ...] | Malformed:
    found: list[Field] = []
    at = 0
    while at < len(message):
        start = at
        key, at = _read_varint(message, at)
        number, wire_type = key >> 3, key & 7
        if at < 0 or not 1 <= number < 1 << 29:
            return Malformed("field key", start)
        if wire_type == VARINT:
            value, at = _read_varint(message, at)
            if at < 0:
                return Malformed("varint", start)
            found.append(Field(number, value))
            continue
        if wire_type == BYTES:
            length, at = _read_varint(message, at)
        elif wire_type in _FIXED:
            length = _FIXED[wire_type]
        else:
            return Malformed("wire type", start)
        if at < 0 or at + length > len(message):
            return Malformed("truncated", start)
        found.append(Field(number, message[at : at + length], wire_type))
        at += length
    return tuple(found)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """The number and the offset behind it; an offset of -1 says that there is none of at most 64 bits."""
    value = 0
    for index in range(10):
        if at + index >= len(message):
            break
        byte = message[at + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return (value, at + index + 1) if value < 1 << 64 else (0, -1)
    return 0, -1
