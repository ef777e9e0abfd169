"""A call's media: RTP packets as a codec's talk spurts make them, sizes and bodies from the keystream.

Written for speed, as most of a session's datagrams are these: a header is encoded once by the codec in `wire`, and
only sequence number and timestamp are written into each copy.
"""

import math
import struct

from ringback.catalogue import CallShape
from ringback.flow.draft import Draft
from ringback.flow.keystream import Keystream

SPURT = 8  # packets that speak or are silent together: about half a second


def times(start: float, step: float, seconds: float) -> list[float]:
    """start, start + step, ... below `seconds`."""
    return [start + i * step for i in range(max(0, math.ceil((seconds - start) / step)))]


def lengths(shape: CallShape, keystream: Keystream, label: str, count: int) -> tuple[list[int], list[bool]]:
    """Datagram sizes of `count` media packets, and which of them are silence. The first spurt always speaks."""
    sizes = keystream.sizes(f"{label} sizes", count, *shape.media_bytes)
    limit = round(shape.silence_share * 256)
    if not limit:
        return sizes, [False] * count
    spurts = [byte < limit for byte in keystream.block(f"{label} spurts", count // SPURT + 1)]
    spurts[0] = False
    quiet = [silent for silent in spurts for _ in range(SPURT)][:count]
    return [shape.silence_bytes if silent else size for size, silent in zip(sizes, quiet, strict=True)], quiet


def speak(
    draft: Draft,
    keystream: Keystream,
    near: bool,
    start: float,
    seconds: float,
    shape: CallShape,
    header: bytes,
    *,
    quiet_header: bytes | None = None,
    clock: int = 960,
    channel: int | None = None,
) -> None:
    """One side's audio: an RTP packet (RFC 3550) of random body each `media_s` from `start`.

    header: a whole one; its sequence number and timestamp are replaced. quiet_header: for silence, where it differs.
    clock: timestamp units a packet. channel: TURN channel that frames each packet (RFC 8656, section 12.4), included
    in the sizes.
    """
    label = "near" if near else "far"
    when = times(start, shape.media_s, seconds)
    sizes, quiet = lengths(shape, keystream, label, len(when))
    body = keystream.block(f"{label} bodies", sum(sizes))
    first = keystream.block(f"{label} counters", 6)
    sequence, stamp = int.from_bytes(first[:2], "big") >> 1, int.from_bytes(first[2:], "big") >> 1
    rest, silent_rest = header[8:], (quiet_header or header)[8:]
    speech, silence = (struct.Struct(f">2sHI{len(r)}s").pack for r in (rest, silent_rest))
    head, over, silent_over = header[:2], 8 + len(rest), 8 + len(silent_rest)
    if channel is not None:
        sizes = [size - 4 for size in sizes]
    packets, at = [], 0
    for size, silent in zip(sizes, quiet, strict=True):
        if silent:
            end = at + size - silent_over
            packets.append(silence(head, sequence & 0xFFFF, stamp & 0xFFFFFFFF, silent_rest) + body[at:end])
        else:
            end = at + size - over
            packets.append(speech(head, sequence & 0xFFFF, stamp & 0xFFFFFFFF, rest) + body[at:end])
        at = end
        sequence += 1
        stamp += clock
    if channel is not None:
        frame = struct.Struct(">HH").pack
        packets = [frame(channel, len(packet)) + packet for packet in packets]
    draft.stream(near, when, packets)


def report(
    draft: Draft, keystream: Keystream, near: bool, start: float, seconds: float, shape: CallShape, ssrc: int,
    *, channel: int | None = None,
) -> None:  # fmt: skip
    """One side's SRTCP sender reports (RFC 3550 section 6.4.1, RFC 3711 section 3.4): 28 B of report whose last 20 are
    encrypted, an index of 4 B and a tag of 10 B, each `rtcp_s`."""
    label = "near" if near else "far"
    when = times(start, shape.rtcp_s, seconds)
    noise = keystream.block(f"{label} reports", 30 * len(when))
    head = struct.pack(">BBHI", 0x80, 200, 6, ssrc)
    frame = b"" if channel is None else struct.pack(">HH", channel, 42)
    packets = []
    for i in range(len(when)):
        free = noise[30 * i : 30 * i + 30]
        packets.append(frame + head + free[:20] + struct.pack(">I", 0x80000000 | i + 1) + free[20:])
    draft.stream(near, when, packets)


def starts(shape: CallShape, direction: str | None, keystream: Keystream) -> tuple[float, float]:
    """When near's and far's media start: the caller's first, the other's after the answering delay.

    A random phase within one packet interval keeps exchanges that run side by side out of step.
    """
    phase = keystream.share("phase") * shape.media_s
    caller, callee = shape.starts_s + phase, shape.starts_s + shape.answers_s + phase
    return (callee, caller) if direction == "incoming" else (caller, callee)
