"""Telegram's call through a reflector (docs: wire facts). From peer to peer it is `ice.p2p_call`."""

from ringback.catalogue import FunctionEntry
from ringback.flow import media
from ringback.flow.draft import Draft
from ringback.flow.keystream import Keystream
from ringback.flow.script import DatagramScript
from ringback.record import ExchangeSpec

HELLO = b"\xff" * 12 + b"\xfe\xff\xff\xff"  # between the peer tag of 16 B and 8 free bytes
HEADER = 24  # peer tag 16, sender tag 4, length 4


def relay_call(spec: ExchangeSpec, entry: FunctionEntry, keystream: Keystream) -> DatagramScript:
    """Hello of 40 B each 500 ms with an answer of 64 B, media of 190-210 B in the reflector's frame."""
    shape = entry.calls[spec.form]
    draft = Draft()
    tag = keystream.block("tag", 16)
    hellos = media.times(0.0, shape.keepalive_s, spec.seconds)
    free = keystream.block("hellos", 8 * len(hellos))
    answers = keystream.block("answers", 32 * len(hellos))
    for i, at in enumerate(hellos):
        # The answer repeats the tag and the hello's mark; what follows is the reflector's own.
        answer = tag + HELLO[:12] + b"\xfd\xff\xff\xff" + answers[32 * i : 32 * i + 32]
        draft.exchange(True, at, tag + HELLO + free[8 * i : 8 * i + 8], answer)
    for near, start in zip((True, False), media.starts(shape, spec.direction, keystream), strict=True):
        label = "near" if near else "far"
        when = media.times(start, shape.media_s, spec.seconds)
        sizes, _ = media.lengths(shape, keystream, label, len(when))
        body = keystream.block(f"{label} bodies", sum(sizes))
        # Each end has a tag of its own in the last four bytes of the first field and names itself in the second.
        head = (
            tag[:12] + keystream.block(f"tag of {'far' if near else 'near'}", 4) + keystream.block(f"tag of {label}", 4)
        )
        packets, at = [], 0
        for size in sizes:
            room = (size - HEADER) & ~3
            packets.append(head + room.to_bytes(4, "big") + body[at : at + room])
            at += room
        draft.stream(near, when, packets)
    return draft.script(spec.seconds)
