"""Calls between WebRTC stacks: ICE checks and SRTP straight from peer to peer, or inside a TURN channel."""

from ringback.catalogue import FunctionEntry
from ringback.flow import media
from ringback.flow.draft import Draft
from ringback.flow.keystream import Keystream
from ringback.flow.script import DatagramScript
from ringback.flow.sealing import area, bare, sealed
from ringback.record import ExchangeSpec
from ringback.wire import rtp, stun
from ringback.wire.stun_attributes import Endpoint, ErrorCode, build

LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"  # ice-char, RFC 8839 section 5.4
CHANNEL = 0x4001
REFRESH_S = 4.0  # more often than a lifetime of 600 s asks, so that a call of 10 s has some
CLOCK = 2880  # timestamp units in 60 ms at 48 kHz (Opus, RFC 7587)


def text(keystream: Keystream, label: str, size: int) -> str:
    """Random characters of ICE's alphabet."""
    return bytes(LETTERS[byte & 63] for byte in keystream.block(label, size)).decode()


class Checks:
    """ICE connectivity checks (RFC 8445 section 7) of one pair: what each side's requests and answers are made of."""

    def __init__(self, keystream: Keystream) -> None:
        near, far = text(keystream, "near ufrag", 4), text(keystream, "far ufrag", 4)
        tie = keystream.number("tie breaker", 64)
        priority = build("PRIORITY", 0x6E7F1EFF)
        noise = keystream.block("mapped", 4)
        # A request is signed with the password of who receives it, and so is its answer.
        self._near = (
            area((build("USERNAME", f"{far}:{near}"), build("ICE-CONTROLLING", tie), priority)),
            area((build("XOR-MAPPED-ADDRESS", Endpoint(f"192.0.2.{noise[0]}", 1024 + noise[1] * 250)),)),
            text(keystream, "far password", 24).encode(),
        )
        self._far = (
            area((build("USERNAME", f"{near}:{far}"), build("ICE-CONTROLLED", tie ^ 0xFFFFFFFF), priority)),
            area((build("XOR-MAPPED-ADDRESS", Endpoint(f"198.51.100.{noise[2]}", 1024 + noise[3] * 250)),)),
            text(keystream, "near password", 24).encode(),
        )

    def pair(self, near: bool, transaction: bytes) -> tuple[bytes, bytes]:
        """A request of one side and the other's answer."""
        asked, answered, key = self._near if near else self._far
        return (
            sealed(stun.TYPES["binding"], asked, transaction, key, True),
            sealed(stun.TYPES["binding-success"], answered, transaction, key, True),
        )


def p2p_call(spec: ExchangeSpec, entry: FunctionEntry, keystream: Keystream) -> DatagramScript:
    """Both sides check the pair each `keepalive_s`; SRTP both ways."""
    shape = entry.calls[spec.form]
    draft = Draft()
    checks = Checks(keystream)
    when = media.times(0.0, shape.keepalive_s, spec.seconds)
    ids = keystream.block("transactions", 24 * len(when))
    for i, at in enumerate(when):
        draft.exchange(True, at, *checks.pair(True, ids[24 * i : 24 * i + 12]))
        draft.exchange(False, at + 0.05, *checks.pair(False, ids[24 * i + 12 : 24 * i + 24]), 0.05)
    _srtp(draft, spec, entry, keystream, None)
    return draft.script(spec.seconds)


def turn_call(spec: ExchangeSpec, entry: FunctionEntry, keystream: Keystream) -> DatagramScript:
    """TURN over UDP (RFC 8656) under the app's realm: Allocate, 401, Allocate with credentials, CreatePermission,
    ChannelBind; then ICE checks and SRTP as ChannelData, Refresh now and then."""
    shape = entry.calls[spec.form]
    draft = Draft()
    refreshes = media.times(REFRESH_S, REFRESH_S, spec.seconds)
    turn = _Turn(entry.marks["realm"], keystream, 8 + len(refreshes))
    for first in (0.0, 0.25):  # retransmitted once, with an id of its own, so that one loss does not end the set-up
        refused = draft.exchange(True, first, *turn.refused())[1]
        asked, granted = turn.granted("allocate")
        again = draft.say(True, first + 0.06, asked, refused)
        draft.say(False, first + 0.06, granted, again)
    for at in (0.35, 0.5):
        draft.exchange(True, at, *turn.granted("create-permission"))
        draft.exchange(True, at + 0.01, *turn.granted("channel-bind"))
    for at in refreshes:
        draft.exchange(True, at, *turn.granted("refresh"))
    checks = Checks(keystream)
    when = media.times(0.55, shape.keepalive_s, spec.seconds)
    ids = keystream.block("checks", 24 * len(when))
    for i, at in enumerate(when):
        mine, yours = checks.pair(True, ids[24 * i : 24 * i + 12]), checks.pair(False, ids[24 * i + 12 : 24 * i + 24])
        draft.exchange(True, at, _framed(mine[0]), _framed(mine[1]))
        draft.exchange(False, at + 0.02, _framed(yours[0]), _framed(yours[1]), 0.05)
    _srtp(draft, spec, entry, keystream, CHANNEL)
    return draft.script(spec.seconds)


class _Turn:
    """A TURN client and its server in one: pairs of request and answer, each with a fresh transaction id."""

    def __init__(self, realm: str, keystream: Keystream, requests: int) -> None:
        self._ids = keystream.block("turn transactions", 12 * requests)
        self._used = 0
        username = f"{1767225600 + keystream.number('expiry', 16)}:{keystream.number('user', 32)}"
        self._key = stun.long_term_key(username, realm, text(keystream, "password", 20))
        who = build("USERNAME", username), build("REALM", realm), build("NONCE", keystream.block("nonce", 8).hex())
        noise = keystream.block("turn addresses", 6)
        mapped = build("XOR-MAPPED-ADDRESS", Endpoint(f"192.0.2.{noise[0]}", 1024 + noise[1] * 250))
        relayed = build("XOR-RELAYED-ADDRESS", Endpoint(f"198.51.100.{noise[2]}", 49152 + noise[3] * 60))
        peer = build("XOR-PEER-ADDRESS", Endpoint(f"203.0.113.{noise[4]}", 49152 + noise[5] * 60))
        udp, life, channel = build("REQUESTED-TRANSPORT", 17), build("LIFETIME", 600), build("CHANNEL-NUMBER", CHANNEL)
        self._refused = area((udp,)), area((build("ERROR-CODE", ErrorCode(401, "Unauthorized")), who[2], who[1]))
        # What each request and its answer carry before their integrity.
        self._areas = {
            "allocate": (area((udp, *who)), area((relayed, mapped, life))),
            "create-permission": (area((peer, *who)), b""),
            "channel-bind": (area((channel, peer, *who)), b""),
            "refresh": (area((life, *who)), area((life,))),
        }

    def _id(self) -> bytes:
        self._used += 1
        return self._ids[12 * self._used - 12 : 12 * self._used]

    def refused(self) -> tuple[bytes, bytes]:
        """An Allocate without credentials, and error 401 with realm and nonce."""
        transaction = self._id()
        asked, refused = self._refused
        return bare(stun.TYPES["allocate"], asked, transaction), bare(
            stun.TYPES["allocate-error"], refused, transaction
        )

    def granted(self, method: str) -> tuple[bytes, bytes]:
        """A request with credentials and its success."""
        transaction = self._id()
        asked, answered = self._areas[method]
        return (
            sealed(stun.TYPES[method], asked, transaction, self._key),
            sealed(stun.TYPES[f"{method}-success"], answered, transaction, self._key),
        )


def _framed(data: bytes) -> bytes:
    return stun.encode_channel(stun.ChannelData(CHANNEL, data))


def _srtp(draft: Draft, spec: ExchangeSpec, entry: FunctionEntry, keystream: Keystream, channel: int | None) -> None:
    shape = entry.calls[spec.form]
    for near, start in zip((True, False), media.starts(shape, spec.direction, keystream), strict=True):
        ssrc = keystream.number(f"{'near' if near else 'far'} ssrc")
        header = rtp.encode(rtp.Packet(shape.payload_type, 0, 0, ssrc))
        media.speak(draft, keystream, near, start, spec.seconds, shape, header, clock=CLOCK, channel=channel)
        media.report(draft, keystream, near, start + shape.rtcp_s, spec.seconds, shape, ssrc, channel=channel)
