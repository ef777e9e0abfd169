"""What somebody without keys says to a VPN's exit: its protocol's first message, over and over; and who accepts it.

Each is answered by itself, and the answer repeats what its sender chose: WireGuard's index (whitepaper, 5.4.3),
OpenVPN's session id. A real WireGuard exit is silent to all whom it does not know, and so is an OpenVPN one with
`tls-auth`: of those nothing can be told. The key that seals WireGuard's messages here is nobody's; both ends look at
the seal first, so that a message which was changed on its way is none.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from ringback.flow.keystream import Keystream
from ringback.wire import openvpn, wireguard

_KEY = bytes(32)
_RESPONSE = b"\x02\0\0\0"  # WireGuard's type 2
_ACCEPTED = bytes([openvpn.HARD_RESET_SERVER_V2 << 3])
_RESET_LENGTH, _ACCEPTED_LENGTH = 14, 26  # bytes; nothing else that is tried has a reset's length


def _initiation(keystream: Keystream) -> bytes:
    free, sender = keystream.block("initiation", 108), keystream.number("index")
    return _sealed(wireguard.Initiation(sender, free[:32], free[32:80], free[80:], bytes(16)))


def _sealed(message: wireguard.Initiation | wireguard.Response) -> bytes:
    return wireguard.encode(replace(message, mac1=wireguard.mac1(_KEY, message)))


def _is_sealed(data: bytes) -> bool:
    message = wireguard.decode(data)
    if not isinstance(message, wireguard.Initiation | wireguard.Response):
        return False
    return _sealed(replace(message, mac2=bytes(16))) == data


def _reset(keystream: Keystream) -> bytes:
    return openvpn.encode(openvpn.Control(openvpn.HARD_RESET_CLIENT_V2, keystream.block("session", 8), 0))


_GREETINGS: Mapping[str, Callable[[Keystream], bytes]] = {"wireguard": _initiation, "openvpn": _reset}
VPNS = frozenset(_GREETINGS)


def greeter(vpn: str, seed: bytes) -> Callable[[int], bytes]:
    """n to the n-th first message, 14 or 148 B. seed: 32 bytes, fresh for each flow."""
    numbered, greeting = Keystream.of_many(seed), _GREETINGS[vpn]
    return lambda n: greeting(numbered(n))


def accepted(data: bytes) -> bytes | None:
    """An exit's answer to a first message; None to anything else. What looks random is drawn from the message."""
    keystream = Keystream(data, 0)
    asked = wireguard.decode(data)
    if isinstance(asked, wireguard.Initiation):
        free = keystream.block("response", 48)
        response = wireguard.Response(keystream.number("index"), asked.sender, free[:32], free[32:], bytes(16))
        return _sealed(response) if _is_sealed(data) else None
    reset = openvpn.decode(data) if openvpn.looks_like_reset(data) else None
    if isinstance(reset, openvpn.Control) and reset.packet_id is not None:
        own = keystream.block("session", 8)
        return openvpn.encode(
            openvpn.Control(openvpn.HARD_RESET_SERVER_V2, own, 0, (reset.packet_id,), reset.session)
        )  # fmt: skip
    return None


def token(greeting: bytes) -> bytes | None:
    """What the answer to this first message repeats; None of anything else."""
    if wireguard.looks_like(greeting) and greeting[0] == 1:
        return greeting[4:8]
    reset = len(greeting) == _RESET_LENGTH and openvpn.looks_like_reset(greeting)
    return greeting[1:9] if reset else None


def accepted_token(data: bytes) -> bytes | None:
    """The `token` of the first message that `data` accepts; None where it accepts none."""
    if data.startswith(_RESPONSE):
        return data[8:12] if _is_sealed(data) else None
    if len(data) == _ACCEPTED_LENGTH and data.startswith(_ACCEPTED):
        return data[14:22]
    return None


def heads(greeting: bytes) -> tuple[bytes, ...]:
    """How the answer to a first message begins."""
    return (_RESPONSE,) if wireguard.looks_like(greeting) else (_ACCEPTED,)
