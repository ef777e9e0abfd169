"""WhatsApp's call wire of 2026 towards a relay, as open client stacks write it, and the probes of 2019 to 2023.

Messages are built as `stun.Message` or `rtp.Packet` values; `stun.encode` and `rtp.encode` put them on the wire.
Tokens, keys, transaction ids and SSRCs come from the caller.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ringback.errors import BadInput
from ringback.wire import protobuf, rtcp, rtp, stun
from ringback.wire.stun_attributes import Endpoint, build

EXTENSION_PROFILE = 0xDEBE
AUDIO, AUDIO_REDUNDANCY, AUDIO_48K, VIDEO, IN_CALL_DATA = 120, 121, 111, 97, 119  # RTP payload types
AUDIO_STEP = 960  # timestamp units between audio packets: 60 ms at 16 kHz
TAG_LENGTH = 4  # bytes of the short authentication tag behind each media packet
DTX_ELEMENT = bytes.fromhex("30010000")  # the one extension word of a packet sent in silence
NTP_OFFSET = 2_208_988_800  # seconds from 1900 to 1970

_RELAY_TOKEN, _PROBE_STAMP, _PROBE_FILL = 0x4000, 0x4003, 0x4004
_STREAMS, _SENDER_SUBSCRIPTIONS, _SENDER_SSRC, _RECEIVERS, _PARTICIPANTS = 0x4024, 0x4025, 0x4023, 0x4021, 0x805A


@dataclass(frozen=True, slots=True)
class Stream:
    """One descriptor of 0x4024. layer: 0-2, kind: 0-2 (zeros are left out on the wire; meanings not verified)."""

    layer: int
    kind: int
    ssrc: int


def stream_descriptors(streams: Iterable[Stream]) -> bytes:
    """The value of 0x4024 as web clients write it: a repeated message of layer, kind and SSRC (protobuf fields 1-3)."""
    return protobuf.encode(
        protobuf.data(1, protobuf.encode(_present((1, stream.layer), (2, stream.kind), (3, stream.ssrc))))
        for stream in streams
    )


def _present(*fields: tuple[int, int]) -> list[protobuf.Field]:
    return [protobuf.number(at, value) for at, value in fields if value]


def phone_stream_descriptors(ssrc: int, name: str = "audio", codec: str = "OPUS", flag: int = 0) -> bytes:
    """The value of 0x4024 as phones write it: name, codec, SSRC (as a signed number) and a flag."""
    fields = [protobuf.data(1, name.encode()), protobuf.data(2, codec.encode())]
    fields += [protobuf.number(3, protobuf.zigzag(ssrc)), protobuf.number(4, flag)]
    return protobuf.encode((protobuf.data(1, protobuf.encode(fields)),))


def sender_subscriptions(ssrc: int, layer: int = 0, payload_type: int = 0) -> bytes:
    """The value of 0x4025 as calls between two people write it: fields 3, 5 and 6."""
    fields = [protobuf.number(3, ssrc), protobuf.number(5, layer), protobuf.number(6, payload_type)]
    return protobuf.encode((protobuf.data(1, protobuf.encode(fields)),))


def phone_sender_subscriptions(ssrc: int, participant: int | None = None, name: str = "audio") -> bytes:
    """The value of 0x4025 as phones write it, with the participant's number and stream name where given."""
    fields = [protobuf.number(1, protobuf.zigzag(ssrc))]
    if participant is not None:
        who = [protobuf.number(1, protobuf.zigzag(participant)), protobuf.data(2, name.encode())]
        fields.append(protobuf.data(2, protobuf.encode(who)))
    return protobuf.encode((protobuf.data(1, protobuf.encode((protobuf.data(1, protobuf.encode(fields)),))),))


def sender_ssrc(ssrc: int) -> bytes:
    """The value of 0x4023: a count of one, then the SSRC."""
    return b"\x01" + _word(ssrc)


def _word(value: int) -> bytes:
    if not 0 <= value <= 0xFFFFFFFF:
        raise BadInput(f"{value} does not fit 32 bits", "whatsapp")
    return value.to_bytes(4, "big")


def minimal_allocate(transaction: bytes, token: bytes, key: bytes, *, fingerprint: bool = False) -> stun.Message:
    """Allocate with the relay token (0x4000) and MESSAGE-INTEGRITY keyed by the relay's key."""
    return _signed(transaction, [stun.attribute(_RELAY_TOKEN, token)], key, fingerprint)


def web_allocate(
    transaction: bytes, token: bytes, streams: Iterable[Stream], relay: Endpoint, key: bytes
) -> stun.Message:
    """Allocate as a web client sends it: token, stream descriptors, the relay's own XOR endpoint, integrity."""
    parts = [stun.attribute(_RELAY_TOKEN, token), stun.attribute(_STREAMS, stream_descriptors(streams))]
    return _signed(transaction, [*parts, build("XOR-RELAYED-ADDRESS", relay, transaction)], key)


def phone_allocate(
    transaction: bytes,
    token: bytes,
    ssrc: int,
    relay: Endpoint,
    key: bytes,
    *,
    participants: int = 2,
    receivers: bytes = b"",
) -> stun.Message:
    """Allocate as a phone sends it: the web form's parts with phone encodings, subscriptions and a participant count.

    The attributes' order and the one-byte form of the count (0x805A) are not verified by a capture.
    """
    if not 0 <= participants <= 255:
        raise BadInput(f"{participants} participants", "whatsapp.phone_allocate")
    parts = [
        stun.attribute(_RELAY_TOKEN, token),
        stun.attribute(_STREAMS, phone_stream_descriptors(ssrc)),
        stun.attribute(_SENDER_SUBSCRIPTIONS, phone_sender_subscriptions(ssrc)),
        stun.attribute(_SENDER_SSRC, sender_ssrc(ssrc)),
    ]
    if receivers:
        parts.append(stun.attribute(_RECEIVERS, receivers))
    parts.append(stun.attribute(_PARTICIPANTS, bytes((participants,))))
    return _signed(transaction, [*parts, build("XOR-RELAYED-ADDRESS", relay, transaction)], key)


def old_allocate(transaction: bytes, token: bytes) -> stun.Message:
    """Allocate of 2019: nothing but a token of 102 bytes, unpadded, so the attribute area has 106 bytes."""
    return stun.Message(stun.TYPES["allocate"], transaction, (stun.attribute(_RELAY_TOKEN, token, padded=False),))


def _signed(transaction: bytes, parts: list[stun.Attribute], key: bytes, fingerprint: bool = False) -> stun.Message:
    message = stun.with_integrity(stun.Message(stun.TYPES["allocate"], transaction, tuple(parts)), key)
    return stun.with_fingerprint(message) if fingerprint else message


def allocate_answer(request: stun.Message, mapped: Endpoint, clock_ms: int, key: bytes | None = None) -> stun.Message:
    """0x0103: the client's mapped address (0x0020) and the relay's clock (0x4002, ms since 1970), signed if keyed.

    Unsigned it has the 44 bytes of 2019, signed the 68 of 2023.
    """
    parts = (
        build("XOR-MAPPED-ADDRESS", mapped, request.transaction, request.cookie),
        build("WHATSAPP-CLOCK", clock_ms),
    )
    answer = stun.Message(stun.TYPES["allocate-success"], request.transaction, parts)
    return answer if key is None else stun.with_integrity(answer, key)


def ping(transaction: bytes) -> stun.Message:
    return stun.Message(stun.TYPES["whatsapp-ping"], transaction)


def pong(request: stun.Message) -> stun.Message:
    return stun.Message(stun.TYPES["whatsapp-pong"], request.transaction)


def bandwidth_probe(transaction: bytes, stamp_us: int, size: int = 512) -> stun.Message:
    """0x0801 of `size` bytes as seen in 2019: a stamp (0x4003, 9 bytes) and zero fill (0x4004), neither padded."""
    fill = size - stun.HEADER_LENGTH - 4 - 9 - 4
    if fill < 0 or not 0 <= stamp_us < 1 << 64:
        raise BadInput(f"probe of {size} bytes with stamp {stamp_us}", "whatsapp.bandwidth_probe")
    stamp = b"\x01" + stamp_us.to_bytes(8, "big")
    parts = (stun.attribute(_PROBE_STAMP, stamp, padded=False), stun.attribute(_PROBE_FILL, bytes(fill), padded=False))
    return stun.Message(stun.TYPES["whatsapp-ping"], transaction, parts)


def bandwidth_answer(probe: stun.Message, clock_ms: int) -> stun.Message:
    """0x0802 of 45 bytes: the relay's clock and the probe's own stamp. Raises BadInput for a probe without stamp."""
    stamp = probe.first(_PROBE_STAMP)
    if stamp is None:
        raise BadInput("probe without a stamp", "whatsapp.bandwidth_answer")
    parts = (build("WHATSAPP-CLOCK", clock_ms), stun.attribute(_PROBE_STAMP, stamp.value, padded=False))
    return stun.Message(stun.TYPES["whatsapp-pong"], probe.transaction, parts)


def filled_probe(code: int, transaction: bytes, size: int) -> stun.Message:
    """A probe of a WhatsApp type (0x0800-0x0805) and of `size` bytes: 20, or 24 and more with zero fill (0x4004).

    Only types and sizes of 0x0804 (64 B), 0x0805 (512 B) and 0x0800 (220 B) were seen; their fill is not verified.
    """
    if code not in stun.WHATSAPP_TYPES or size < stun.HEADER_LENGTH or 20 < size < 24:
        raise BadInput(f"type {code:#x} of {size} bytes", "whatsapp.filled_probe")
    fill = (stun.attribute(_PROBE_FILL, bytes(size - 24), padded=False),) if size >= 24 else ()
    return stun.Message(code, transaction, fill)


def speech(sequence: int, timestamp: int, ssrc: int, payload: bytes = b"", *, marker: bool = False) -> rtp.Packet:
    """An audio packet: header of 16 bytes. The payload is opaque and includes the 4-byte tag."""
    return rtp.Packet(AUDIO, sequence, timestamp, ssrc, payload, marker, rtp.Extension(EXTENSION_PROFILE))


def silence(sequence: int, timestamp: int, ssrc: int, payload: bytes = b"") -> rtp.Packet:
    """An audio packet sent in silence (DTX): header of 20 bytes."""
    return rtp.Packet(
        AUDIO, sequence, timestamp, ssrc, payload, extension=rtp.Extension(EXTENSION_PROFILE, DTX_ELEMENT)
    )


def video(
    sequence: int, timestamp: int, ssrc: int, extension: bytes, payload: bytes = b"", *, marker: bool = False
) -> rtp.Packet:
    """A video packet: header of 28 bytes with the 12 bytes of extension that phones send."""
    if len(extension) != 12:
        raise BadInput(f"video extension of {len(extension)} bytes, not 12", "whatsapp.video")
    return rtp.Packet(VIDEO, sequence, timestamp, ssrc, payload, marker, rtp.Extension(EXTENSION_PROFILE, extension))


def compact_feedback(ssrc: int, remote_ssrc: int) -> rtcp.Compound:
    """RTCP type 208 of 12 bytes: who reports, on whom."""
    return rtcp.Compound((rtcp.Other(208, 1, _word(ssrc) + _word(remote_ssrc)),))


def compact_alive(ssrc: int) -> rtcp.Compound:
    """RTCP type 209 of 8 bytes."""
    return rtcp.Compound((rtcp.Other(209, 1, _word(ssrc)),))


def sender_report(ssrc: int, now_ms: int, rtp_time: int, packets: int, octets: int) -> rtcp.Compound:
    """A sender report without blocks, 28 bytes. now_ms: milliseconds since 1970."""
    seconds, ms = divmod(now_ms, 1000)
    ntp_time = (seconds + NTP_OFFSET) << 32 | (ms << 32) // 1000
    return rtcp.Compound((rtcp.SenderReport(ssrc, ntp_time, rtp_time, packets, octets),))
