"""Telegram's call through a reflector (docs: wire facts). From peer to peer it is `ice.p2p_call`."""

from ringback.catalogue import FunctionEntry
from ringback.flow import media
from ringback.flow.draft import Draft, unassigned
from ringback.flow.keystream import Keystream
from ringback.flow.script import DatagramScript
from ringback.record import ExchangeSpec
from ringback.wire import telegram

LOW = bytes(range(128)) * 2  # clears the highest bit
FRAME = 24  # peer tag 16, sender tag 4, length 4
YEAR_2026 = 1_767_225_600


def relay_call(spec: ExchangeSpec, entry: FunctionEntry, keystream: Keystream) -> DatagramScript:
    """Hello of 40 B each 500 ms with its answer of 64 B, media of 190-210 B in the reflector's frame.

    Today's clients query with a constant, those of 2020 with random numbers; these are random, to be told apart.
    """
    shape = entry.calls[spec.form]
    draft = Draft()
    tag = _plain_tag(keystream.block("tag", 16))
    hellos = media.times(0.0, shape.keepalive_s, spec.seconds)
    free = keystream.block("hellos", 8 * len(hellos))
    noise = keystream.block("mapped", 3)
    address, port = bytes(10) + b"\xff\xff\xc0\x00\x02" + noise[:1], 1024 + int.from_bytes(noise[1:], "big") % 64000
    clock = YEAR_2026 + keystream.number("clock", 16)
    for i, at in enumerate(hellos):
        query = free[8 * i : 8 * i + 8]
        answer = telegram.HelloAnswer(tag, clock + int(at), query, address, port)
        draft.exchange(True, at, telegram.encode(telegram.Hello(tag, query)), telegram.encode(answer))
    # A call's two ends differ in the last four bytes of their tag; each frame names its receiver, then its sender.
    ends = keystream.block("ends", 8)
    for near, start in zip((True, False), media.starts(shape, spec.direction, keystream), strict=True):
        label = "near" if near else "far"
        receiver, sender = (ends[4:], ends[:4]) if near else (ends[:4], ends[4:])
        when = media.times(start, shape.media_s, spec.seconds)
        sizes, _ = media.lengths(shape, keystream, label, len(when))
        body = keystream.block(f"{label} bodies", sum(sizes))
        head = telegram.encode(telegram.Media(tag[:12] + receiver, sender, b""))[:20]
        packets, at = [], 0
        for size in sizes:
            room = (size - FRAME) & ~3
            # The first byte of the ciphertext is never one of RTP's: see _plain_tag.
            data = body[at : at + room]
            packets.append(head + room.to_bytes(4, "big") + data[:1].translate(LOW) + data[1:])
            at += room
        draft.stream(near, when, packets)
    return draft.script(spec.seconds)


def _plain_tag(random: bytes) -> bytes:
    """A tag that reads as nothing else: classifiers take its first FF for the hello's run, and its first byte may make
    it look like RTP. Real tags are wholly random, so one in about three would hide the call from them."""
    return bytes((unassigned(random[0]),)) + random[1:].replace(b"\xff", b"\xfe")
