"""WhatsApp's call as its clients of 2026 make it, by relay and from peer to peer (docs: wire facts).

By relay: Allocate with token, stream descriptors and subscriptions, twice; a ping each second; RTCP; one audio packet
each 60 ms with WhatsApp's RTP extension profile.
"""

from ringback.catalogue import CallShape, FunctionEntry
from ringback.flow import media
from ringback.flow.draft import Draft
from ringback.flow.keystream import Keystream
from ringback.flow.script import DatagramScript
from ringback.flow.sealing import area, bare, sealed
from ringback.record import ExchangeSpec
from ringback.wire import protobuf, rtp, stun
from ringback.wire.stun_attributes import Endpoint, build

BINDING, BOUND, ALLOCATE, ALLOCATED, PING, PONG = (
    stun.TYPES[name]
    for name in (
        "binding", "binding-success", "allocate", "allocate-success", "whatsapp-ping", "whatsapp-pong"
    )
)  # fmt: skip
TOKEN_BYTES = 150  # attribute 0x4000, captures of 2019 and 2023
RETRY_S = 0.25
SILENCE = b"\x30\x01\0\0"  # the word in the RTP extension of comfort noise


def relay_call(spec: ExchangeSpec, entry: FunctionEntry, keystream: Keystream) -> DatagramScript:
    shape = entry.calls[spec.form]
    draft = Draft()
    near_ssrc, far_ssrc = keystream.number("near ssrc"), keystream.number("far ssrc")
    relay = Endpoint(entry.addresses[keystream.block("relay", 1)[0] % len(entry.addresses)], entry.app_port[spec.form])
    asked, answered = _allocate(keystream, near_ssrc, far_ssrc, relay), _allocated(keystream)
    key = keystream.block("integrity", 16)
    ids = keystream.block("transactions", 12 * (4 + int(spec.seconds / shape.keepalive_s)))
    for i, at in enumerate((0.0, RETRY_S)):
        transaction = ids[12 * i : 12 * i + 12]
        draft.exchange(
            True, at, sealed(ALLOCATE, asked, transaction, key), sealed(ALLOCATED, answered, transaction, key)
        )
    for i, at in enumerate(media.times(0.3, shape.keepalive_s, spec.seconds), start=2):
        transaction = ids[12 * i : 12 * i + 12]
        draft.exchange(True, at, bare(PING, b"", transaction), bare(PONG, b"", transaction))
    _talk(draft, spec, shape, keystream, near_ssrc, far_ssrc)
    return draft.script(spec.seconds)


def p2p_call(spec: ExchangeSpec, entry: FunctionEntry, keystream: Keystream) -> DatagramScript:
    """Both sides check the path by Binding requests of 44 B with MESSAGE-INTEGRITY alone; then the same media."""
    shape = entry.calls[spec.form]
    draft = Draft()
    key = keystream.block("integrity", 16)
    ids = keystream.block("transactions", 24 * (1 + int(spec.seconds / shape.keepalive_s) + 1))
    for i, at in enumerate(media.times(0.0, shape.keepalive_s, spec.seconds)):
        mine, yours = ids[24 * i : 24 * i + 12], ids[24 * i + 12 : 24 * i + 24]
        draft.exchange(True, at, sealed(BINDING, b"", mine, key), sealed(BOUND, b"", mine, key))
        draft.exchange(False, at + 0.05, sealed(BINDING, b"", yours, key), sealed(BOUND, b"", yours, key), 0.05)
    _talk(draft, spec, shape, keystream, keystream.number("near ssrc"), keystream.number("far ssrc"))
    return draft.script(spec.seconds)


def _talk(
    draft: Draft, spec: ExchangeSpec, shape: CallShape, keystream: Keystream, near_ssrc: int, far_ssrc: int
) -> None:
    for near, start, ssrc in zip(
        (True, False), media.starts(shape, spec.direction, keystream), (near_ssrc, far_ssrc), strict=True
    ):
        header, quiet = (
            rtp.encode(rtp.Packet(shape.payload_type, 0, 0, ssrc, extension=rtp.Extension(0xDEBE, data)))
            for data in (b"", SILENCE)
        )
        media.speak(draft, keystream, near, start, spec.seconds, shape, header, quiet_header=quiet)
        media.report(draft, keystream, near, start + shape.rtcp_s, spec.seconds, shape, ssrc)


def _allocate(keystream: Keystream, near_ssrc: int, far_ssrc: int, relay: Endpoint) -> bytes:
    """The relay Allocate's attributes before its integrity, as the captures' and the open clients' carry them."""
    return area(
        (
            build("WHATSAPP-RELAY-TOKEN", keystream.block("token", TOKEN_BYTES)),
            build("WHATSAPP-STREAM-DESCRIPTORS", _stream(near_ssrc)),
            build("WHATSAPP-SENDER-SSRC", b"\x01" + near_ssrc.to_bytes(4, "big")),
            build("WHATSAPP-RECEIVER-SUBSCRIPTIONS", b"\x01" + far_ssrc.to_bytes(4, "big")),
            build("WHATSAPP-PARTICIPANTS", b"\0\0\0\x02"),
            build("XOR-RELAYED-ADDRESS", relay),
        )
    )


def _allocated(keystream: Keystream) -> bytes:
    """The relay's answer, 68 B with its integrity: the mapped address and the relay's clock in milliseconds."""
    noise = keystream.block("answer", 4)
    mapped = Endpoint(f"192.0.2.{noise[0]}", 1024 + int.from_bytes(noise[1:3], "big") % 64000)
    clock = 1_767_225_600_000 + keystream.number("clock")  # a time in January and February 2026
    return area((build("XOR-MAPPED-ADDRESS", mapped), build("WHATSAPP-CLOCK", clock)))


def _stream(ssrc: int) -> bytes:
    """Attribute 0x4024: protobuf { 1: { 1: "audio", 2: "OPUS", 3: SSRC, 4: 0 } }."""
    fields = protobuf.data(1, b"audio"), protobuf.data(2, b"OPUS"), protobuf.number(3, ssrc), protobuf.number(4, 0)
    return protobuf.encode((protobuf.data(1, protobuf.encode(fields)),))
