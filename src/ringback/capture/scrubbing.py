"""Takes addresses and credentials out of a call's datagrams, and leaves what a classifier knows: types and lengths.

In STUN: the value of every attribute that has an address's form becomes the documentation address 192.0.2.1 or
2001:db8::1, tokens and user names become a digest's letters of equal length, and a fingerprint is made right again
(integrity can't be: nobody has its key). In a reflector's answers: the same addresses. Media stay as captured: they are
encrypted, and `flow` draws them anew for each exchange. What an unknown app writes into its own datagrams stays too.
"""

import hashlib
import ipaddress
import zlib
from dataclasses import replace

from ringback.wire import Malformed, stun, telegram

XORED = frozenset((0x0012, 0x0016, 0x0020, 0x8020))
NUMBERS = frozenset((0x4002, 0x8029, 0x802A))  # eight bytes that are no address: WhatsApp's clock, ICE's tie breakers
SECRETS = frozenset((0x0006, 0x0015, 0x4000, 0x4001))  # user name, nonce, WhatsApp's relay tokens
DATA = 0x0013
PORT = 40_000
NOWHERE = {4: ipaddress.ip_address("192.0.2.1").packed, 16: ipaddress.ip_address("2001:db8::1").packed}
ADDRESS = {
    (8, b"\0\1"),
    (20, b"\0\2"),
}  # length and family of an address in any attribute: makers have many of their own
MAPPED = bytes(10) + b"\xff\xff" + NOWHERE[4]
LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def scrubbed(data: bytes) -> bytes:
    """The datagram without addresses; of the same length."""
    if stun.looks_like(data):
        return _stun(data)
    if data and 0x40 <= data[0] <= 0x4F and not isinstance(channel := stun.decode_channel(data), Malformed):
        return stun.encode_channel(replace(channel, data=scrubbed(channel.data)))
    if data[16:28] == telegram.FF_RUN:
        return _reflector(data)
    return data


def _stun(data: bytes) -> bytes:
    message = stun.decode(data)
    if isinstance(message, Malformed):
        # Attributes can't be told apart, so none of them is kept.
        return data[:20] + _letters(data[20:])
    mask = data[4:20]
    clean = [replace(item, value=_value(item.type, item.value, mask)) for item in message.attributes]
    fresh = stun.encode(replace(message, attributes=tuple(clean)))
    if clean and clean[-1].type == stun.FINGERPRINT and len(clean[-1].value) == 4 and not clean[-1].padding:
        return fresh[:-4] + (zlib.crc32(fresh[:-8]) ^ stun.FINGERPRINT_XOR).to_bytes(4, "big")
    return fresh


def _value(kind: int, value: bytes, mask: bytes) -> bytes:
    if kind in XORED or (kind not in NUMBERS and (len(value), value[:2]) in ADDRESS):
        host = NOWHERE.get(len(value) - 4)
        if host is None:
            return bytes(len(value))
        plain = PORT.to_bytes(2, "big"), host
        keys = (mask[:2], mask) if kind in XORED else (bytes(2), bytes(16))
        return value[:2] + b"".join(
            bytes(a ^ b for a, b in zip(part, key, strict=False)) for part, key in zip(plain, keys, strict=True)
        )
    if kind in SECRETS:
        return _letters(value)
    return scrubbed(value) if kind == DATA else value


def _letters(value: bytes) -> bytes:
    """Letters in place of a secret: the same for the same one, and of its length."""
    return bytes(LETTERS[byte & 63] for byte in hashlib.shake_128(value).digest(len(value)))


def _reflector(data: bytes) -> bytes:
    frame = telegram.decode(data)
    if isinstance(frame, telegram.HelloAnswer):
        return telegram.encode(replace(frame, address=MAPPED, port=PORT))
    if isinstance(frame, telegram.PeerAnswer):
        return telegram.encode(
            replace(frame, own_address=NOWHERE[4], own_port=PORT, peer_address=NOWHERE[4], peer_port=PORT)
        )
    return data
