"""OpenVPN's UDP framing (the protocol's wire-format draft, draft-openvpn-wire-protocol, section 2): what DPI sees.

TLS records inside control packets and all data are opaque. With `tls-auth`, an HMAC, a packet id and a time stand
behind the session id; the receiver must know the HMAC's size, so decoding is told `auth_length` (HMAC + 8).
"""

from dataclasses import dataclass

from ringback.errors import BadInput
from ringback.wire.malformed import Malformed

SOFT_RESET_V1, CONTROL_V1, ACK_V1, DATA_V1 = 3, 4, 5, 6
HARD_RESET_CLIENT_V2, HARD_RESET_SERVER_V2, DATA_V2, HARD_RESET_CLIENT_V3 = 7, 8, 9, 10
_CONTROL = frozenset((SOFT_RESET_V1, CONTROL_V1, ACK_V1, HARD_RESET_CLIENT_V2, HARD_RESET_SERVER_V2))
# HARD_RESET_CLIENT_V3 is framed alike, but its payload is wrapped (tls-crypt-v2): read it with auth_length 0.
_RELIABLE = _CONTROL | {HARD_RESET_CLIENT_V3}


@dataclass(frozen=True, slots=True)
class Control:
    """A packet of the control channel. session, remote_session: 8 bytes (remote only beside acks, else empty).

    packet_id is None in an ACK_V1 alone. `key_id` is 0-7; `acks` at most 255 packet ids (real clients send up to 8).
    """

    opcode: int
    session: bytes
    packet_id: int | None
    acks: tuple[int, ...] = ()
    remote_session: bytes = b""
    payload: bytes = b""
    auth: bytes = b""
    key_id: int = 0


@dataclass(frozen=True, slots=True)
class Data:
    """A packet of the data channel. peer_id (24 bits) is None in DATA_V1. The payload is at least one byte."""

    payload: bytes
    peer_id: int | None = None
    key_id: int = 0


def looks_like_reset(data: bytes) -> bool:
    """Whether a datagram may open a session: a hard reset with key id 0 of at least 14 bytes."""
    return len(data) >= 14 and data[0] in (HARD_RESET_CLIENT_V2 << 3, HARD_RESET_CLIENT_V3 << 3)


def decode(data: bytes, auth_length: int = 0) -> Control | Data | Malformed:
    if not data:
        return Malformed("truncated", 0)
    opcode, key_id = data[0] >> 3, data[0] & 7
    if opcode in (DATA_V1, DATA_V2):
        start = 4 if opcode == DATA_V2 else 1
        if len(data) <= start:
            return Malformed("truncated", len(data))
        return Data(data[start:], int.from_bytes(data[1:4], "big") if opcode == DATA_V2 else None, key_id)
    if opcode not in _RELIABLE:
        return Malformed("unknown opcode", 0)
    at = 9 + auth_length
    if len(data) <= at:
        return Malformed("truncated", len(data))
    count = data[at]
    acks_end = at + 1 + 4 * count
    remote_end = acks_end + (8 if count else 0)
    end = remote_end + (0 if opcode == ACK_V1 else 4)
    if len(data) < end:
        return Malformed("truncated", len(data))
    acks = tuple(int.from_bytes(data[i : i + 4], "big") for i in range(at + 1, acks_end, 4))
    packet_id = None if opcode == ACK_V1 else int.from_bytes(data[remote_end:end], "big")
    return Control(
        opcode, data[1:9], packet_id, acks, data[acks_end:remote_end], data[end:], data[9:at], key_id
    )  # fmt: skip


def encode(packet: Control | Data) -> bytes:
    """Raises BadInput for ids out of range, session ids of the wrong size or an unknown opcode."""
    where = "openvpn.encode"
    if not 0 <= packet.key_id <= 7:
        raise BadInput(f"key id {packet.key_id}", where)
    if isinstance(packet, Data):
        if not packet.payload or not 0 <= (packet.peer_id or 0) < 1 << 24:
            raise BadInput(f"peer id {packet.peer_id} with {len(packet.payload)} bytes", where)
        opcode, peer = (DATA_V1, b"") if packet.peer_id is None else (DATA_V2, packet.peer_id.to_bytes(3, "big"))
        return bytes((opcode << 3 | packet.key_id,)) + peer + packet.payload
    if packet.opcode not in _RELIABLE or (packet.packet_id is None) != (packet.opcode == ACK_V1):
        raise BadInput(f"opcode {packet.opcode} with packet id {packet.packet_id}", where)
    if len(packet.session) != 8 or len(packet.remote_session) != (8 if packet.acks else 0) or len(packet.acks) > 255:
        raise BadInput("a session id has 8 bytes, the remote one stands beside acks alone", where)
    ids = [*packet.acks] if packet.packet_id is None else [*packet.acks, packet.packet_id]
    if any(not 0 <= one <= 0xFFFFFFFF for one in ids):
        raise BadInput("packet id out of 32 bits", where)
    acks = bytes((len(packet.acks),)) + b"".join(one.to_bytes(4, "big") for one in packet.acks)
    own = b"" if packet.packet_id is None else packet.packet_id.to_bytes(4, "big")
    head = bytes((packet.opcode << 3 | packet.key_id,)) + packet.session + packet.auth
    return head + acks + packet.remote_session + own + packet.payload
