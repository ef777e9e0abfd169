"""A VPN's outer protocol while a call runs inside: handshake, then transport data both ways."""

import functools
from collections.abc import Callable

from ringback.catalogue import Vpn
from ringback.flow import media
from ringback.flow.draft import Draft
from ringback.flow.keystream import Keystream
from ringback.flow.script import DatagramScript
from ringback.record import ExchangeSpec
from ringback.wire import openvpn, wireguard


def outer(spec: ExchangeSpec, vpn: Vpn, keystream: Keystream) -> DatagramScript:
    draft = Draft()
    WRITERS[vpn.name](draft, spec, vpn, keystream)
    return draft.script(spec.seconds)


def _wireguard(draft: Draft, spec: ExchangeSpec, vpn: Vpn, keystream: Keystream) -> None:
    """Initiation and response (twice, with fresh keys, like a client whose first went unheard), then transport data:
    ciphertext padded to 16 B with a tag of 16 B (WireGuard paper, section 5.4). The keys are random bytes."""
    mine, yours = keystream.number("near index"), keystream.number("far index")
    for i, at in enumerate((0.0, 0.2)):
        free = keystream.block(f"handshake {i}", 124 + 64)
        initiation = wireguard.Initiation(mine, free[:32], free[32:80], free[80:108], free[108:124])
        response = wireguard.Response(yours, mine, free[124:156], free[156:172], free[172:188])
        draft.exchange(True, at, wireguard.encode(initiation), wireguard.encode(response))
    for near, start in zip((True, False), media.starts(vpn.call, spec.direction, keystream), strict=True):
        when, sizes, body = _sized(spec, vpn, keystream, near, start)
        head = wireguard.encode(wireguard.Data(yours if near else mine, 0, bytes(16)))[:8]
        packets, at = [], 0
        for counter, size in enumerate(sizes):
            room = size - 16 & ~15
            packets.append(head + counter.to_bytes(8, "little") + body[at : at + room])
            at += room
        draft.stream(near, when, packets)


def _openvpn(draft: Draft, spec: ExchangeSpec, vpn: Vpn, keystream: Keystream) -> None:
    """Hard resets, three TLS records each way in control packets that acknowledge one another, then data packets."""
    sessions = keystream.block("sessions", 16)
    mine, yours = sessions[:8], sessions[8:]
    reset = openvpn.Control(openvpn.HARD_RESET_CLIENT_V2, mine, 0)
    accepted = openvpn.Control(openvpn.HARD_RESET_SERVER_V2, yours, 0, (0,), mine)
    draft.exchange(True, 0.0, openvpn.encode(reset), openvpn.encode(accepted))
    for i, (at, up, down) in enumerate(HANDSHAKE, start=1):
        record = HANDSHAKE_RECORD if i == 1 else DATA_RECORD
        free = keystream.block(f"control {i}", up + down)
        asked = openvpn.Control(openvpn.CONTROL_V1, mine, i, (i - 1,), yours, record(free[:up]))
        answered = openvpn.Control(openvpn.CONTROL_V1, yours, i, (i,), mine, record(free[up:]))
        draft.exchange(True, at, openvpn.encode(asked), openvpn.encode(answered))
    head = openvpn.encode(openvpn.Data(b"\0", 0))[:-1]
    for near, start in zip((True, False), media.starts(vpn.call, spec.direction, keystream), strict=True):
        when, sizes, body = _sized(spec, vpn, keystream, near, start)
        packets, at = [], 0
        for number, size in enumerate(sizes, start=1):
            packets.append(head + number.to_bytes(4, "big") + body[at : at + size - 8])
            at += size - 8
        draft.stream(near, when, packets)


def _record(head: bytes, data: bytes) -> bytes:
    return head + len(data).to_bytes(2, "big") + data


# Seconds, bytes up and down of the TLS records inside: assumed, a handshake with two certificates.
HANDSHAKE = ((0.1, 280, 1100), (0.25, 900, 250), (0.4, 500, 400))
HANDSHAKE_RECORD = functools.partial(_record, b"\x16\x03\x01")
DATA_RECORD = functools.partial(_record, b"\x17\x03\x03")


WRITERS: dict[str, Callable[[Draft, ExchangeSpec, Vpn, Keystream], None]] = {
    "wireguard": _wireguard,
    "openvpn": _openvpn,
}


def _sized(
    spec: ExchangeSpec, vpn: Vpn, keystream: Keystream, near: bool, start: float
) -> tuple[list[float], list[int], bytes]:
    label = "near" if near else "far"
    when = media.times(start, vpn.call.media_s, spec.seconds)
    sizes, _ = media.lengths(vpn.call, keystream, label, len(when))
    return when, sizes, keystream.block(f"{label} bodies", sum(sizes))
