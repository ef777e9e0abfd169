"""WhatsApp's call as its clients of 2026 make it, by relay and from peer to peer (docs: wire facts).

By relay: Allocate with token, stream descriptors and subscriptions, twice; a ping each second; RTCP; one audio packet
each 60 ms with WhatsApp's RTP extension profile.
"""

from ringback.catalogue import CallShape, FunctionEntry
from ringback.flow import media
from ringback.flow.draft import Draft
from ringback.flow.keystream import Keystream
from ringback.flow.script import DatagramScript
from ringback.flow.sealing import bare, sealed
from ringback.record import ExchangeSpec
from ringback.wire import rtp, stun, whatsapp
from ringback.wire.stun_attributes import Endpoint

BINDING, BOUND = stun.TYPES["binding"], stun.TYPES["binding-success"]
ALLOCATE, ALLOCATED = stun.TYPES["allocate"], stun.TYPES["allocate-success"]
PING, PONG = stun.TYPES["whatsapp-ping"], stun.TYPES["whatsapp-pong"]
TOKEN_BYTES = 150  # attribute 0x4000, captures of 2019 and 2023
RETRY_S = 0.25
YEAR_2026 = 1_767_225_600_000  # milliseconds since 1970


def relay_call(spec: ExchangeSpec, entry: FunctionEntry, keystream: Keystream) -> DatagramScript:
    shape = entry.calls[spec.form]
    draft = Draft()
    near_ssrc, far_ssrc = keystream.number("near ssrc"), keystream.number("far ssrc")
    noise = keystream.block("addresses", 4)
    relay = Endpoint(entry.addresses[noise[0] % len(entry.addresses)], entry.app_port[spec.form])
    mapped = Endpoint(f"192.0.2.{noise[1]}", 1024 + int.from_bytes(noise[2:], "big") % 64000)
    token, key = keystream.block("token", TOKEN_BYTES), keystream.block("integrity", 16)
    clock = YEAR_2026 + keystream.number("clock")
    ids = keystream.block("transactions", 12 * (4 + int(spec.seconds / shape.keepalive_s)))
    asked = whatsapp.phone_allocate(ids[:12], token, near_ssrc, relay, key, receivers=whatsapp.sender_ssrc(far_ssrc))
    answered = whatsapp.allocate_answer(asked, mapped, clock, key)
    request, answer = stun.encode(asked), stun.encode(answered)
    draft.exchange(True, 0.0, request, answer)
    # The second differs in its id, and so in its integrity (the last 24 bytes).
    again = ids[12:24]
    draft.exchange(
        True, RETRY_S, sealed(ALLOCATE, request[20:-24], again, key), sealed(ALLOCATED, answer[20:-24], again, key)
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
    when = media.times(0.0, shape.keepalive_s, spec.seconds)
    ids = keystream.block("transactions", 24 * len(when))
    for i, at in enumerate(when):
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
        header = rtp.encode(whatsapp.speech(0, 0, ssrc))
        quiet = rtp.encode(whatsapp.silence(0, 0, ssrc))
        media.speak(draft, keystream, near, start, spec.seconds, shape, header, quiet_header=quiet)
        media.report(draft, keystream, near, start + shape.rtcp_s, spec.seconds, shape, ssrc)
