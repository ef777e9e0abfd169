"""WhatsApp's call wire of 2026 against known-answer vectors of two open client stacks."""

import json
from typing import Any

import pytest

from ringback.errors import BadInput
from ringback.wire import rtcp, rtp, stun, whatsapp
from ringback.wire.stun_attributes import Endpoint, read
from ringback.wire.whatsapp import Stream
from tests.wire.captures import REALDATA, needs_realdata

FILES = ("kats-meowcaller-rtp.json", "kats-meowcaller-stun.json", "kats-whatsapp-rust.json")
RELAY = Endpoint("157.240.226.133", 3478)
# Read off the vectors' own stream descriptors.
SSRCS = (0x45C15E4A, 0xA5CBD625, 0xFF399256, 0xA6C7AEF7, 0xDE6C662B, 0x515BED5A, 0xB1DB34C5, 0xF6CC617D, 0x965DCBB0)
STREAMS = [Stream(layer, kind, ssrc) for (layer, kind), ssrc in zip(
    [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)], SSRCS, strict=True)]  # fmt: skip


@pytest.fixture(params=FILES)
def vectors(request: pytest.FixtureRequest) -> Any:
    return json.loads((REALDATA / "whatsapp-2026" / request.param).read_text())


@needs_realdata
def test_relay_messages_match_byte_for_byte(vectors: Any) -> None:
    want = {name: bytes.fromhex(value) for name, value in vectors["stun"].items() if isinstance(value, str)}
    tx, token, key = want["tx"], want["relayToken"], want["miKey"]
    assert stun.encode(whatsapp.minimal_allocate(tx, token, key)) == want["minimalMi"]
    assert stun.encode(whatsapp.minimal_allocate(tx, token, key, fingerprint=True)) == want["withFp"]
    assert stun.encode(whatsapp.web_allocate(tx, token, STREAMS, RELAY, key)) == want["wasmAllocate"]
    assert stun.encode(whatsapp.ping(tx)) == want["ping"]
    assert whatsapp.sender_ssrc(vectors["inputs"]["ssrc"]) == want["nativeSenderSub"]
    for name in ("minimalMi", "withFp", "wasmAllocate"):
        decoded = stun.decode(want[name])
        assert isinstance(decoded, stun.Message)
        assert stun.encode(decoded) == want[name]
        assert stun.integrity_holds(decoded, key) is True


@needs_realdata
def test_subscriptions_and_descriptors_match(vectors: Any) -> None:
    want, ssrc = vectors["stun_proto"], vectors["inputs"]["ssrc"]
    assert whatsapp.sender_subscriptions(ssrc).hex() == want["voip_sender_subscriptions"]
    assert whatsapp.phone_sender_subscriptions(ssrc).hex() == want["apk_sender_subscriptions_nopid"]
    assert whatsapp.phone_sender_subscriptions(ssrc, 7).hex() == want["apk_sender_subscriptions_pid"]
    assert whatsapp.phone_stream_descriptors(ssrc).hex() == want["apk_stream_descriptors"]


@needs_realdata
def test_media_headers_match(vectors: Any) -> None:
    want, ssrc = vectors["rtp"], vectors["inputs"]["ssrc"]
    assert rtp.encode(whatsapp.speech(1, 0, ssrc, marker=True)).hex() == want["speechHeader16"]
    assert rtp.encode(whatsapp.silence(2, 320, ssrc)).hex() == want["dtxHeader20"]
    for name in ("androidVideoHeader28", "androidVideoDeltaHeader28"):
        if name in want:
            packet = rtp.decode(bytes.fromhex(want[name]))
            assert isinstance(packet, rtp.Packet)
            assert packet.extension is not None
            rebuilt = whatsapp.video(
                packet.sequence, packet.timestamp, packet.ssrc, packet.extension.data, marker=packet.marker
            )
            assert rtp.encode(rebuilt).hex() == want[name]


@needs_realdata
def test_rtcp_matches(vectors: Any) -> None:
    want, ssrc = vectors["rtcp"], vectors["inputs"]["ssrc"]
    stats = want["stats"]
    report = whatsapp.sender_report(
        ssrc, want["nowMs"], stats["rtpTimestamp"], stats["packetsSent"], stats["octetsSent"]
    )
    assert rtcp.encode(report).hex() == want["senderReport"]
    assert rtcp.encode(whatsapp.compact_feedback(ssrc, want["remoteSsrc"])).hex() == want["compact208"]
    assert rtcp.encode(whatsapp.compact_alive(ssrc)).hex() == want["compact209"]
    assert rtcp.decode(bytes.fromhex(want["senderReport"])) == report


def test_the_relay_answers_with_the_sizes_seen() -> None:
    request = whatsapp.phone_allocate(bytes(12), b"t" * 150, 7, RELAY, b"k" * 16)
    assert read(request, "XOR-RELAYED-ADDRESS") == RELAY
    plain = whatsapp.allocate_answer(request, Endpoint("192.0.2.1", 5), 1_718_000_000_000)
    signed = whatsapp.allocate_answer(request, Endpoint("192.0.2.1", 5), 1_718_000_000_000, b"k" * 16)
    assert (len(stun.encode(plain)), len(stun.encode(signed))) == (44, 68)
    assert read(plain, "XOR-MAPPED-ADDRESS") == Endpoint("192.0.2.1", 5)
    assert len(stun.encode(whatsapp.old_allocate(bytes(12), b"t" * 102))) == 126
    assert whatsapp.pong(whatsapp.ping(b"a" * 12)).transaction == b"a" * 12
    probe = whatsapp.bandwidth_probe(bytes(12), 5)
    assert (len(stun.encode(probe)), len(stun.encode(whatsapp.bandwidth_answer(probe, 6)))) == (512, 45)
    for code, size in ((0x0804, 64), (0x0805, 512), (0x0800, 220), (0x0801, 20)):
        assert len(stun.encode(whatsapp.filled_probe(code, bytes(12), size))) == size
    with pytest.raises(BadInput):
        whatsapp.filled_probe(0x0804, bytes(12), 22)
