"""WireGuard's messages (Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel", section 5.4), framing only.

Keys and ciphertexts are opaque bytes from the caller, so no real server completes such a handshake; `mac1` can be
made right, which is what a server looks at before anything else. Numbers are little-endian.
"""

import hashlib
import struct
from dataclasses import dataclass

from ringback.errors import BadInput
from ringback.wire.malformed import Malformed


@dataclass(frozen=True, slots=True)
class Initiation:
    """Type 1, 148 bytes. Sizes: ephemeral 32, static 48, timestamp 28, mac1 and mac2 16."""

    sender: int
    ephemeral: bytes
    static: bytes
    timestamp: bytes
    mac1: bytes
    mac2: bytes = bytes(16)


@dataclass(frozen=True, slots=True)
class Response:
    """Type 2, 92 bytes. Sizes: ephemeral 32, empty 16, mac1 and mac2 16."""

    sender: int
    receiver: int
    ephemeral: bytes
    empty: bytes
    mac1: bytes
    mac2: bytes = bytes(16)


@dataclass(frozen=True, slots=True)
class CookieReply:
    """Type 3, 64 bytes. Sizes: nonce 24, cookie 32."""

    receiver: int
    nonce: bytes
    cookie: bytes


@dataclass(frozen=True, slots=True)
class Data:
    """Type 4. `packet` is the encrypted packet with its 16-byte tag: 16 bytes (keepalive) or more."""

    receiver: int
    counter: int
    packet: bytes


_LAYOUTS: dict[int, tuple[type, struct.Struct]] = {
    1: (Initiation, struct.Struct("<I I32s48s28s16s16s")),
    2: (Response, struct.Struct("<I II32s16s16s16s")),
    3: (CookieReply, struct.Struct("<I I24s32s")),
}
_DATA = struct.Struct("<IIQ")


def looks_like(data: bytes) -> bool:
    return len(data) >= 32 and data[1:4] == b"\0\0\0" and len(data) == {1: 148, 2: 92, 3: 64}.get(data[0], len(data))


def decode(data: bytes) -> Initiation | Response | CookieReply | Data | Malformed:
    if len(data) < 4:
        return Malformed("truncated", len(data))
    code = int.from_bytes(data[:4], "little")
    if code == 4:
        if len(data) < _DATA.size + 16:
            return Malformed("truncated", len(data))
        _, receiver, counter = _DATA.unpack_from(data)
        return Data(receiver, counter, data[_DATA.size :])
    if code not in _LAYOUTS:
        return Malformed("unknown type", 0)
    form, layout = _LAYOUTS[code]
    if len(data) != layout.size:
        return Malformed("truncated" if len(data) < layout.size else "trailing bytes", min(len(data), layout.size))
    message: Initiation | Response | CookieReply = form(*layout.unpack(data)[1:])
    return message


def encode(message: Initiation | Response | CookieReply | Data) -> bytes:
    """Raises BadInput for an index or counter out of range, or opaque bytes of the wrong size."""
    try:
        if isinstance(message, Data):
            if len(message.packet) < 16:
                raise BadInput(f"packet of {len(message.packet)} bytes has no tag", "wireguard.encode")
            return _DATA.pack(4, message.receiver, message.counter) + message.packet
        code = next(code for code, (form, _) in _LAYOUTS.items() if form is type(message))
        values = [getattr(message, name) for name in message.__dataclass_fields__]
        packed = _LAYOUTS[code][1].pack(code, *values)
    except struct.error as error:
        raise BadInput(f"field out of range: {error}", "wireguard.encode") from None
    # struct pads or cuts bytes silently, so compare with what was meant.
    if _LAYOUTS[code][1].unpack(packed)[1:] != tuple(values):
        raise BadInput("opaque field of the wrong size", "wireguard.encode")
    return packed


def mac1(responder_public_key: bytes, message: Initiation | Response) -> bytes:
    """The right mac1 of a message whose receiver has that 32-byte public key (section 5.4.4)."""
    key = hashlib.blake2s(b"mac1----" + responder_public_key).digest()
    return hashlib.blake2s(encode(message)[:-32], key=key, digest_size=16).digest()
