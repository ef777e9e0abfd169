"""A captured call as an exchange: its bytes, with everything that its protocols leave to chance drawn afresh.

What is kept is what a classifier can know: types, attributes, headers, sizes, times. What is refreshed, so that each
exchange's datagrams are its own: STUN transaction ids (request and answer alike; integrity stays as it was), RTP and
RTCP sources, the random of a DTLS hello, and everything encrypted.
"""

import hashlib
import zlib
from collections import Counter
from collections.abc import Sequence

import msgspec

from ringback.flow.draft import Draft
from ringback.flow.keystream import FF_RUN, Keystream
from ringback.flow.script import DatagramScript
from ringback.wire import stun

SMALLEST = 8  # bytes; shorter datagrams can't be unguessable and are left out
UNKNOWN_HEAD = 16  # bytes that are kept of a datagram of no known protocol


class ReplayPacket(msgspec.Struct, frozen=True, gc=False):
    """One captured datagram: seconds after the exchange's first near packet, and UDP payload."""

    at: float
    data: bytes


class Replay(msgspec.Struct, frozen=True):
    """One exchange of a capture. digest: hex SHA-256 that names it; app is None where nobody knows.

    near: the side that sent first in the capture or called; each side sorted by `at`.
    """

    digest: str
    app: str | None
    function: str | None
    near: tuple[ReplayPacket, ...]
    far: tuple[ReplayPacket, ...]


def replayed(replay: Replay, seconds: float, keystream: Keystream) -> DatagramScript:
    """The capture's exchange from its first near packet on, cut at `seconds`. STUN answers follow their requests."""
    draft = Draft()
    start = next((packet.at for packet in replay.near if len(packet.data) >= SMALLEST), 0.0)
    requests: dict[tuple[bool, bytes], int] = {}
    for near, packets in ((True, replay.near), (False, replay.far)):
        for packet, data in zip(packets, _refreshed(near, packets, keystream), strict=True):
            at = packet.at - start
            if len(data) < SMALLEST or not 0 <= at < seconds:
                continue
            number = draft.say(near, at, data)
            if stun.looks_like(data) and stun.class_of(data[0] << 8 | data[1]) == stun.REQUEST:
                requests[near, data[8:20]] = number
    _tie(draft, requests)
    return draft.script(seconds)


def _tie(draft: Draft, requests: dict[tuple[bool, bytes], int]) -> None:
    """Makes each STUN answer a reply to its request, where the capture has that request earlier on the other side."""
    for near, lines, others in ((True, draft.near, draft.far), (False, draft.far, draft.near)):
        for i, (at, number, data, _) in enumerate(lines):
            if stun.looks_like(data) and stun.class_of(data[0] << 8 | data[1]) in (stun.SUCCESS, stun.ERROR):
                asked = requests.get((not near, data[8:20]), -1)
                if asked >= 0 and others[asked][0] <= at:
                    lines[i] = (at, number, data, asked)


def _refreshed(near: bool, packets: Sequence[ReplayPacket], keystream: Keystream) -> list[bytes]:
    label = "near" if near else "far"
    key = keystream.block("replay", 32)
    noise = keystream.block(f"replay {label}", sum(len(packet.data) for packet in packets))
    times_seen: Counter[bytes] = Counter()
    used: set[bytes] = set()
    fresh, at = [], 0
    for packet in packets:
        data = packet.data
        free = noise[at : at + len(data)]
        at += len(data)
        # Retransmissions repeat their id: the n-th of each kind gets an id of its own, as does the n-th answer.
        nth = times_seen[data[:20]]
        times_seen[data[:20]] += 1
        new = _fresh(data, free, key, nth)
        if new == data or new in used:  # nothing free in it, a DTLS alert for example
            new = new[: -min(SMALLEST, len(new))] + free[-min(SMALLEST, len(new)) :]
        used.add(new)
        fresh.append(new)
    return fresh


def _fresh(data: bytes, free: bytes, key: bytes, nth: int) -> bytes:
    """One datagram with its free parts drawn anew; the protocol is told by the first byte (RFC 7983)."""
    first = data[0] if data else 0
    if stun.looks_like(data):
        return _fingerprinted(data[:8] + _drawn(key, data[8:20], nth, 12) + data[20:])
    if 64 <= first < 80 and len(data) >= 4 + SMALLEST:
        return data[:4] + _fresh(data[4:], free[4:], key, nth)
    if 128 <= first < 192 and len(data) >= 12:
        if 192 <= data[1] <= 223:
            return data[:4] + _drawn(key, data[4:8], 0, 4) + free[8:]
        head = _rtp_header(data)
        return data[:8] + _drawn(key, data[8:12], 0, 4) + data[12:head] + free[head:]
    if 20 <= first < 64 and len(data) >= 13 and data[1] == 0xFE:
        if data[3:5] == b"\0\0":  # epoch 0: readable; its first 13 + 12 + 2 bytes precede a hello's random
            return data[:27] + free[27:59] + data[59:] if data[0] == 22 and len(data) > 59 else data
        return data[:13] + free[13:]
    if FF_RUN in data[:40]:
        return data[:32] + free[32:]
    kept = min(UNKNOWN_HEAD, len(data) - SMALLEST)
    return data[:kept] + free[kept:] if kept > 0 else free


def _fingerprinted(data: bytes) -> bytes:
    """A STUN message whose last attribute, where that is a FINGERPRINT (RFC 8489 section 14.7), is right again."""
    if data[-8:-4] != b"\x80\x28\0\4":
        return data
    return data[:-4] + (zlib.crc32(data[:-8]) ^ stun.FINGERPRINT_XOR).to_bytes(4, "big")


def _rtp_header(data: bytes) -> int:
    """Bytes of an RTP header with its sources and extension (RFC 3550 section 5.1), at most the packet's."""
    size = 12 + 4 * (data[0] & 0x0F)
    if data[0] & 0x10 and len(data) >= size + 4:
        size += 4 + 4 * int.from_bytes(data[size + 2 : size + 4], "big")
    return min(size, len(data))


def _drawn(key: bytes, old: bytes, nth: int, size: int) -> bytes:
    """The same new value for the same old one, wherever in the exchange it stands."""
    return hashlib.blake2b(old + nth.to_bytes(4, "big"), key=key, digest_size=size).digest()
