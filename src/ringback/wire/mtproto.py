"""Telegram's text connection up to the first answer: obfuscated transport, its framings, req_pq_multi and resPQ.

Source: Telegram's public pages "MTProto transports", "Transport obfuscation" and "Creating an authorization key".
"""

import struct
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from ringback.errors import BadInput
from ringback.wire.malformed import Malformed

ABRIDGED, INTERMEDIATE, PADDED = b"\xef" * 4, b"\xee" * 4, b"\xdd" * 4  # protocol tags
OPENING_LENGTH = 64
# First words that would read as another transport or protocol.
_FORBIDDEN = frozenset((b"HEAD", b"POST", b"GET ", b"OPTI", INTERMEDIATE, PADDED, b"\x16\x03\x01\x02"))
_REQ_PQ_MULTI, _RES_PQ, _VECTOR = 0xBE7E8EF1, 0x05162463, 0x1CB5C415


class _Stream(Protocol):
    def update(self, data: bytes, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Opening:
    """The 64 bytes that open a connection, the framing's tag inside them, and the data centre (signed, 16 bits)."""

    wire: bytes
    tag: bytes
    dc: int


class Obfuscation:
    """The two key streams of one connection after its opening: `seal` what goes out, `open` what comes in."""

    def __init__(self, opening: Opening, *, client: bool) -> None:
        forth = _stream(opening.wire[8:56])
        forth.update(opening.wire)  # the opening itself used up the first 64 bytes
        back = _stream(opening.wire[8:56][::-1])
        self._out, self._in = (forth, back) if client else (back, forth)

    def seal(self, data: bytes) -> bytes:
        return self._out.update(data)

    def open(self, data: bytes) -> bytes:
        return self._in.update(data)


def _stream(secret: bytes) -> _Stream:
    return Cipher(AES(secret[:32]), CTR(secret[32:48])).encryptor()


def build_opening(random: bytes, tag: bytes, dc: int) -> Opening | None:
    """An opening from 64 random bytes; None where they may not be used (about 1 in 250): draw again."""
    if len(random) != OPENING_LENGTH or tag not in (ABRIDGED, INTERMEDIATE, PADDED) or not -32768 <= dc <= 32767:
        raise BadInput(f"{len(random)} random bytes, tag {tag.hex()!r}, data centre {dc}", "mtproto.build_opening")
    if not _allowed(random):
        return None
    plain = random[:56] + tag + dc.to_bytes(2, "little", signed=True) + random[62:]
    return Opening(plain[:56] + _stream(plain[8:56]).update(plain)[56:], tag, dc)


def parse_opening(data: bytes) -> Opening | Malformed:
    """The first 64 bytes of a stream: they decrypt to a known tag, or are no opening (1 random stream in 1.4e9 is)."""
    if len(data) < OPENING_LENGTH:
        return Malformed("truncated", len(data))
    wire = bytes(data[:OPENING_LENGTH])
    if not _allowed(wire):
        return Malformed("forbidden first bytes", 0)
    plain = _stream(wire[8:56]).update(wire)
    if (tag := plain[56:60]) not in (ABRIDGED, INTERMEDIATE, PADDED):
        return Malformed("no protocol tag", 56)
    return Opening(wire, tag, int.from_bytes(plain[60:62], "little", signed=True))


def _allowed(data: bytes) -> bool:
    return data[0] != 0xEF and data[:4] not in _FORBIDDEN and data[4:8] != bytes(4)


def frame(tag: bytes, payload: bytes, padding: bytes = b"") -> bytes:
    """A payload (a multiple of 4 bytes) in the tag's framing. `padding`: 0-15 random bytes, padded framing only."""
    if len(payload) % 4 or not payload or len(padding) > (15 if tag == PADDED else 0):
        raise BadInput(f"payload of {len(payload)} bytes with {len(padding)} of padding", "mtproto.frame")
    if tag == ABRIDGED:
        words = len(payload) // 4
        if words >= 1 << 24:
            raise BadInput(f"payload of {len(payload)} bytes", "mtproto.frame")
        return (bytes((words,)) if words < 0x7F else b"\x7f" + words.to_bytes(3, "little")) + payload
    if tag not in (INTERMEDIATE, PADDED) or len(payload) + len(padding) >= 1 << 31:
        raise BadInput(f"tag {tag.hex()!r}, payload of {len(payload)} bytes", "mtproto.frame")
    return (len(payload) + len(padding)).to_bytes(4, "little") + payload + padding


def unframe(tag: bytes, buffer: bytes) -> tuple[bytes, int] | Malformed:
    """The first frame's content (padding included) of a decrypted stream, and the bytes that it took."""
    if tag == ABRIDGED:
        if not buffer:
            return Malformed("truncated", 0)
        start = 4 if buffer[0] & 0x7F == 0x7F else 1
        length = 4 * (int.from_bytes(buffer[1:4], "little") if start == 4 else buffer[0] & 0x7F)
    elif tag in (INTERMEDIATE, PADDED):
        start, length = 4, int.from_bytes(buffer[:4], "little") & 0x7FFFFFFF  # the high bit asks for a quick ack
    else:
        return Malformed("unknown framing", 0)
    if len(buffer) < start + length or len(buffer) < start:
        return Malformed("truncated", len(buffer))
    return buffer[start : start + length], start + length


@dataclass(frozen=True, slots=True)
class ReqPq:
    """The first request, 40 bytes, unencrypted. nonce: 16 bytes."""

    message_id: int
    nonce: bytes


@dataclass(frozen=True, slots=True)
class ResPq:
    """Its answer: nonces of 16 bytes, pq of 8, and key fingerprints (64 bits each): 100 bytes with three."""

    message_id: int
    nonce: bytes
    server_nonce: bytes
    pq: bytes
    fingerprints: tuple[int, ...]


def encode(message: ReqPq | ResPq) -> bytes:
    where = "mtproto.encode"
    if len(message.nonce) != 16 or not 0 <= message.message_id < 1 << 64:
        raise BadInput("nonce of 16 bytes and a 64-bit message id are needed", where)
    if isinstance(message, ReqPq):
        body = struct.pack("<I", _REQ_PQ_MULTI) + message.nonce
    else:
        if len(message.server_nonce) != 16 or len(message.pq) != 8:
            raise BadInput("server nonce of 16 bytes and pq of 8 are needed", where)
        if any(not 0 <= one < 1 << 64 for one in message.fingerprints):
            raise BadInput("fingerprint out of 64 bits", where)
        body = struct.pack("<I", _RES_PQ) + message.nonce + message.server_nonce + b"\x08" + message.pq + bytes(3)
        count = len(message.fingerprints)
        body += struct.pack(f"<II{count}Q", _VECTOR, count, *message.fingerprints)
    return struct.pack("<QQI", 0, message.message_id, len(body)) + body


def decode(payload: bytes) -> ReqPq | ResPq | Malformed:
    """One unencrypted message; up to 15 bytes of the padded framing's padding may follow it."""
    if len(payload) < 40:
        return Malformed("truncated", len(payload))
    auth_key, message_id, length, code = struct.unpack_from("<QQII", payload)
    body = payload[20 : 20 + length]
    if auth_key or len(body) < length or len(payload) - 20 - length > 15:
        return Malformed("not an unencrypted message", 0)
    if code == _REQ_PQ_MULTI and length == 20:
        return ReqPq(message_id, body[4:])
    if code == _RES_PQ and length >= 56 and body[36:37] == b"\x08":
        vector, count = struct.unpack_from("<II", body, 48)
        if vector == _VECTOR and len(body) == 56 + 8 * count and body[45:48] == bytes(3):
            return ResPq(message_id, body[4:20], body[20:36], body[37:45], struct.unpack_from(f"<{count}Q", body, 56))
    return Malformed("unknown message", 20)
