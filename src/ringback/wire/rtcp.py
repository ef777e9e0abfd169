"""RTCP compound packets (RFC 3550 section 6): sender and receiver reports in full, all others by header and body.

Under SRTCP (RFC 3711 section 3.4) only the first 8 bytes are in the clear and an index and a tag follow; what does not
read as a packet is then kept as the compound's `tail`.
"""

import struct
from dataclasses import dataclass

from ringback.errors import BadInput
from ringback.wire.malformed import Malformed

SENDER_REPORT, RECEIVER_REPORT, SDES, BYE, APP = 200, 201, 202, 203, 204  # RFC 3550 section 12.1
TRANSPORT_FEEDBACK, PAYLOAD_FEEDBACK = 205, 206  # RFC 4585 section 6.1

_BLOCK = struct.Struct("!IB3sIIII")
_SENDER = struct.Struct("!IQIII")


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a receiver tells of one source (RFC 3550 section 6.4.1).

    fraction_lost: in 1/256. cumulative_lost: signed, 24 bits. jitter: in timestamp units. last_report: the middle 32
    bits of the NTP time of the last sender report. delay_since: in 1/65536 s.
    """

    ssrc: int
    fraction_lost: int
    cumulative_lost: int
    highest_sequence: int
    jitter: int
    last_report: int
    delay_since: int


@dataclass(frozen=True, slots=True)
class SenderReport:
    """ntp_time: seconds since 1900 in 32.32 fixed point. `extension` is profile-specific, a multiple of 4 bytes."""

    ssrc: int
    ntp_time: int
    rtp_time: int
    packets: int
    octets: int
    blocks: tuple[ReportBlock, ...] = ()
    extension: bytes = b""


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()
    extension: bytes = b""


@dataclass(frozen=True, slots=True)
class Other:
    """Any packet by its header: SDES, BYE, APP, feedback, private ones. `count` is the header's low 5 bits."""

    type: int
    count: int
    body: bytes
    padded: bool = False


@dataclass(frozen=True, slots=True)
class Compound:
    packets: tuple[SenderReport | ReceiverReport | Other, ...]
    tail: bytes = b""


def looks_like(data: bytes) -> bool:
    """Version 2 and a packet type of 192-223 (RFC 5761 section 4)."""
    return len(data) >= 8 and data[0] & 0xC0 == 0x80 and 192 <= data[1] <= 223


def decode(data: bytes) -> Compound | Malformed:
    """One datagram; the first packet must be whole, what doesn't read after it becomes the tail."""
    if len(data) < 8:
        return Malformed("truncated", len(data))
    if not looks_like(data):
        return Malformed("not rtcp", 0)
    packets: list[SenderReport | ReceiverReport | Other] = []
    at = 0
    while at + 4 <= len(data) and data[at] & 0xC0 == 0x80 and 192 <= data[at + 1] <= 223:
        stop = at + 4 + 4 * (data[at + 2] << 8 | data[at + 3])
        if stop > len(data):
            break
        packets.append(_packet(data[at], data[at + 1], data[at + 4 : stop]))
        at = stop
    return Compound(tuple(packets), data[at:]) if packets else Malformed("truncated", len(data))


def _packet(first: int, code: int, body: bytes) -> SenderReport | ReceiverReport | Other:
    count, padded = first & 0x1F, first & 0x20 != 0
    head = {SENDER_REPORT: _SENDER.size, RECEIVER_REPORT: 4}.get(code)
    if head is None or padded or len(body) < head + _BLOCK.size * count:
        return Other(code, count, body, padded)
    end = head + _BLOCK.size * count
    blocks = tuple(_block(body, at) for at in range(head, end, _BLOCK.size))
    if code == SENDER_REPORT:
        ssrc, ntp_time, rtp_time, sent, octets = _SENDER.unpack_from(body)
        return SenderReport(ssrc, ntp_time, rtp_time, sent, octets, blocks, body[end:])
    return ReceiverReport(int.from_bytes(body[:4], "big"), blocks, body[end:])


def _block(body: bytes, at: int) -> ReportBlock:
    ssrc, fraction, lost, *rest = _BLOCK.unpack_from(body, at)
    return ReportBlock(ssrc, fraction, int.from_bytes(lost, "big", signed=True), *rest)


def encode(compound: Compound) -> bytes:
    """Raises BadInput for a field out of its range."""
    return b"".join(_encode_packet(packet) for packet in compound.packets) + compound.tail


def _encode_packet(packet: SenderReport | ReceiverReport | Other) -> bytes:
    try:
        if isinstance(packet, Other):
            code, count, body, padded = packet.type, packet.count, packet.body, packet.padded
        else:
            blocks = b"".join(_encode_block(block) for block in packet.blocks)
            code, count, padded = RECEIVER_REPORT, len(packet.blocks), False
            head = struct.pack("!I", packet.ssrc)
            if isinstance(packet, SenderReport):
                code = SENDER_REPORT
                head = _SENDER.pack(packet.ssrc, packet.ntp_time, packet.rtp_time, packet.packets, packet.octets)
            body = head + blocks + packet.extension
        if not 0 <= count <= 31 or not 192 <= code <= 223 or len(body) % 4:
            raise BadInput(f"packet type {code} with count {count} and {len(body)} bytes", "rtcp.encode")
        return struct.pack("!BBH", 0x80 | padded << 5 | count, code, len(body) // 4) + body
    except (struct.error, OverflowError) as error:
        raise BadInput(f"field out of range: {error}", "rtcp.encode") from None


def _encode_block(block: ReportBlock) -> bytes:
    return _BLOCK.pack(
        block.ssrc,
        block.fraction_lost,
        block.cumulative_lost.to_bytes(3, "big", signed=True),
        block.highest_sequence,
        block.jitter,
        block.last_report,
        block.delay_since,
    )
