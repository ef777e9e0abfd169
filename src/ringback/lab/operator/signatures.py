"""How the operator knows a datagram: its own table of recognisers, by payload bytes on any port and address.

A TURN realm, a run of ones, an attribute that only one messenger uses: no recogniser takes another app's datagrams,
nor random bytes. What has no mark of its own (calls from peer to peer but WhatsApp's) is not recognised.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ringback.lab.operator.opening import Label

COOKIE = b"\x21\x12\xa4\x42"  # STUN, RFC 8489 section 5
INTEGRITY, REALM = 0x0008, 0x0014
WHATSAPP_ATTRIBUTES = frozenset((0x4000, 0x4001, 0x4002, 0x4003, 0x4004, 0x4007, 0x4021, 0x4023, 0x4024, 0x4025))
WHATSAPP_TYPES = frozenset(range(0x0800, 0x0806))
WHATSAPP_PROFILE = b"\xde\xbe"  # RTP header extension profile
BINDINGS = frozenset((0x0001, 0x0101))
ONES = b"\xff" * 12
REALMS: Mapping[str, Label] = {
    "telegram.org": ("telegram", "voice"),
    "signal.org": ("signal", "voice"),
    "whispersystems.org": ("signal", "voice"),
}
RESET_CLIENT, RESET_SERVER = (7, 10), 8  # OpenVPN's opcodes


class Stun(NamedTuple):
    type: int
    size: int
    attributes: tuple[tuple[int, bytes], ...]


Test = Callable[[bytes, Stun | None], bool]


def read_stun(data: bytes) -> Stun | None:
    """The attributes of a STUN message, as far as they can be read: real ones do not always end on a word."""
    if len(data) < 20 or data[0] > 0x3F or data[4:8] != COOKIE:
        return None
    attributes, at = [], 20
    end = min(len(data), 20 + int.from_bytes(data[2:4], "big"))
    while at + 4 <= end:
        code, size = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 4], "big")
        attributes.append((code, data[at + 4 : at + 4 + size]))
        at += 4 + (size + 3 & ~3)
    return Stun(int.from_bytes(data[:2], "big"), len(data), tuple(attributes))


def realm_of(stun: Stun) -> str | None:
    """The REALM attribute (RFC 8489 section 14.9), lower case."""
    for code, value in stun.attributes:
        if code == REALM:
            return value.rstrip(b"\0").decode("latin-1").lower()
    return None


def _whatsapp(data: bytes, stun: Stun | None) -> bool:
    if stun is None:
        return len(data) >= 16 and data[0] == 0x90 and data[12:14] == WHATSAPP_PROFILE
    if stun.type in WHATSAPP_TYPES or any(code in WHATSAPP_ATTRIBUTES for code, _ in stun.attributes):
        return True
    # From peer to peer: a Binding of 44 bytes with nothing in it but MESSAGE-INTEGRITY.
    return stun.type in BINDINGS and stun.size == 44 and [code for code, _ in stun.attributes] == [INTEGRITY]


def _reflector(data: bytes, stun: Stun | None) -> bool:
    """A reflector's hello, answer or request: a peer tag of 16 bytes, then a run of just twelve FF, then three more
    behind one that differs."""
    return len(data) >= 32 and data[16:28] == ONES and data[28] != 0xFF and data[29:32] == ONES[:3]


def _wireguard(data: bytes, stun: Stun | None) -> bool:
    """Type, three zero bytes, and a size that fits the type (WireGuard paper, section 5.4)."""
    if len(data) < 32 or data[1:4] != b"\0\0\0":
        return False
    return (data[0], len(data)) in ((1, 148), (2, 92), (3, 64)) or (data[0] == 4 and len(data) % 16 == 0)


def _openvpn(data: bytes, stun: Stun | None) -> bool:
    """A client's plain first packet: opcode, session, no acknowledgement, packet number 0."""
    return len(data) == 14 and data[0] in (7 << 3, 10 << 3) and data[9:] == bytes(5)


DATAGRAMS: tuple[tuple[Label, Test], ...] = (
    (("whatsapp", "voice"), _whatsapp),
    (("telegram", "voice"), _reflector),
    (("wireguard", "outer"), _wireguard),
    (("openvpn", "outer"), _openvpn),
)


def recognise(data: bytes, realms: Mapping[str, Label]) -> Label | None:
    """Whose datagram it is. realms: TURN realms and whose they are; a name below a realm counts as the realm."""
    stun = read_stun(data)
    for label, test in DATAGRAMS:
        if test(data, stun):
            return label
    realm = realm_of(stun) if stun is not None else None
    while realm:
        if realm in realms:
            return realms[realm]
        realm = realm.partition(".")[2]
    return None


def openvpn_session(data: bytes) -> bytes | None:
    """The session that a client's first packet names, where an HMAC or wrapping hides the rest."""
    return data[1:9] if len(data) > 14 and data[0] >> 3 in RESET_CLIENT and not data[0] & 7 else None


def openvpn_answers(data: bytes, session: bytes) -> bool:
    """Whether this is a server's answer to a client's session: it repeats those 8 bytes."""
    return bool(data) and data[0] == RESET_SERVER << 3 and session in data[9:]
