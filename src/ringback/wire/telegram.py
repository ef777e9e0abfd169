"""Telegram's call reflector over UDP: a 16-byte peer tag, then either a run of FF and a control message, or media.

Hello (40 B), its answer (64 B), request and answer for peers (32 B, 48 B) as seen in a capture of 2020; media frames
with sender tag and length as today's clients write them (2020's media hide the length and read as Malformed). The
text connection stands in `mtproto`.
"""

import struct
from dataclasses import dataclass

from ringback.errors import BadInput
from ringback.wire.malformed import Malformed

TAG_LENGTH = 16
FF_RUN = b"\xff" * 12
HELLO_MARK = b"\xfe\xff\xff\xff"
HELLO_QUERY = 123  # today's clients send this number; those of 2020 a random one
_SELF_INFO, _PEER_INFO = 0xC01572C7, 0x27D9371C  # constructor numbers, little-endian on the wire
_SELF = struct.Struct("<Ii8s16sI")
_PEER = struct.Struct("<I4sI4sI")


@dataclass(frozen=True, slots=True)
class Hello:
    """40 bytes. query: 8 bytes that the answer repeats."""

    tag: bytes
    query: bytes = HELLO_QUERY.to_bytes(8, "little")


@dataclass(frozen=True, slots=True)
class HelloAnswer:
    """64 bytes. time: seconds since 1970, signed 32 bits; address: 16 bytes, IPv4 as ::ffff:a.b.c.d; port: 0-65535."""

    tag: bytes
    time: int
    query: bytes
    address: bytes
    port: int


@dataclass(frozen=True, slots=True)
class PeerRequest:
    """32 bytes: the tag and a run of 16 FF."""

    tag: bytes


@dataclass(frozen=True, slots=True)
class PeerAnswer:
    """48 bytes: IPv4 addresses (4 bytes) and ports of both ends."""

    tag: bytes
    own_address: bytes
    own_port: int
    peer_address: bytes
    peer_port: int


@dataclass(frozen=True, slots=True)
class Media:
    """16-byte tag (its last 4 are the receiver's own), 4-byte sender tag, data behind a length, zero-padded to 4."""

    tag: bytes
    sender: bytes
    data: bytes


Frame = Hello | HelloAnswer | PeerRequest | PeerAnswer | Media


def looks_like_hello(data: bytes) -> bool:
    return len(data) == 40 and data[16:32] == FF_RUN + HELLO_MARK


def decode(datagram: bytes) -> Frame | Malformed:
    """One datagram to or from a reflector."""
    if len(datagram) < 24:
        return Malformed("truncated", len(datagram))
    tag, rest = datagram[:TAG_LENGTH], datagram[TAG_LENGTH:]
    if rest.startswith(FF_RUN):
        return _control(tag, rest[12:])
    length = int.from_bytes(rest[4:8], "big")
    if len(rest) != 8 + length + (-length % 4):
        return Malformed("length does not fit", 20)
    return Media(tag, rest[:4], rest[8 : 8 + length])


def _control(tag: bytes, body: bytes) -> Frame | Malformed:
    if len(body) == 12 and body[:4] == HELLO_MARK:
        return Hello(tag, body[4:])
    if body == b"\xff" * 4:
        return PeerRequest(tag)
    code = int.from_bytes(body[:4], "little")
    if code == _SELF_INFO and len(body) == _SELF.size:
        _, time, query, address, port = _SELF.unpack(body)
        return HelloAnswer(tag, time, query, address, port)
    if code == _PEER_INFO and len(body) == _PEER.size:
        _, own, own_port, peer, peer_port = _PEER.unpack(body)
        return PeerAnswer(tag, own, own_port, peer, peer_port)
    return Malformed("unknown control message", TAG_LENGTH + 12)


def encode(frame: Frame) -> bytes:
    """Raises BadInput for a tag, address or query of the wrong size, or media that would read as control."""
    where = "telegram.encode"
    tag = frame.tag
    if len(tag) != TAG_LENGTH:
        raise BadInput(f"tag of {len(tag)} bytes, not 16", where)
    if isinstance(frame, Media):
        if len(frame.sender) != 4 or len(frame.data) > 0xFFFFFFFF:
            raise BadInput(f"sender tag of {len(frame.sender)} bytes, not 4", where)
        return tag + frame.sender + len(frame.data).to_bytes(4, "big") + frame.data + bytes(-len(frame.data) % 4)
    if isinstance(frame, PeerRequest):
        return tag + FF_RUN + b"\xff" * 4
    if isinstance(frame, Hello):
        body = HELLO_MARK + _sized(frame.query, 8)
    elif isinstance(frame, HelloAnswer):
        query, address = _sized(frame.query, 8), _sized(frame.address, 16)
        body = _packed(_SELF, _SELF_INFO, frame.time, query, address, frame.port)
    else:
        own, peer = _sized(frame.own_address, 4), _sized(frame.peer_address, 4)
        body = _packed(_PEER, _PEER_INFO, own, frame.own_port, peer, frame.peer_port)
    return tag + FF_RUN + body


def _sized(value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise BadInput(f"{len(value)} bytes where {size} belong", "telegram.encode")
    return value


def _packed(layout: struct.Struct, *values: object) -> bytes:
    try:
        return layout.pack(*values)
    except struct.error as error:
        raise BadInput(f"field out of range: {error}", "telegram.encode") from None
