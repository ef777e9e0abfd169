"""A captured call keeps its look and gets bytes of its own."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.flow import DatagramScript, Replay, ReplayPacket, render
from ringback.record import Arm, ExchangeSpec
from ringback.wire import rtp, stun, telegram
from tests.flow.specs import SEED

ID = bytes(range(12))
ALLOCATE = stun.encode(stun.Message(3, ID, (stun.attribute(0x4000, b"token" * 20),)))
ANSWER = stun.encode(stun.Message(0x103, ID, (stun.attribute(0x4002, bytes(8)),)))


def voice(sequence: int, ssrc: int, size: int = 80) -> bytes:
    return rtp.encode(rtp.Packet(120, sequence, 960 * sequence, ssrc, bytes(size), extension=rtp.Extension(0xDEBE)))


CAPTURED = Replay(
    "d1",
    "whatsapp",
    "voice",
    near=tuple(
        ReplayPacket(at, data)
        for at, data in [(2.0, ALLOCATE), (2.25, ALLOCATE)]
        + [(2.5 + 0.06 * i, voice(i, 77)) for i in range(100)]
        + [(3.0, b"\0")]
    ),
    far=tuple(
        ReplayPacket(at, data)
        for at, data in [(1.0, b"before the call"), (2.05, ANSWER), (2.3, ANSWER)]
        + [(2.6 + 0.06 * i, voice(i, 88)) for i in range(100)]
        + [(3.1, struct.pack(">BBHI", 0x81, 201, 7, 88) + bytes(24))]
    ),
)


def replay(payload: str = "original", number: int = 1, seconds: float = 5.0) -> DatagramScript:
    spec = ExchangeSpec(
        number, "whatsapp", "voice", "outgoing", "relay", "replay", Arm(payload, "app"), "udp", 3478, seconds, 0, "d1"
    )  # type: ignore[arg-type]
    script = render(spec, SEED, {"d1": CAPTURED})
    assert isinstance(script, DatagramScript)
    return script


def test_sizes_and_times_are_the_captures_and_the_controls() -> None:
    script, control = replay(), replay("control")
    assert [len(s.data) for s in script.near][:3] == [len(ALLOCATE), len(ALLOCATE), len(voice(0, 0))]
    assert [round(s.at, 2) for s in script.near][:4] == [0.0, 0.25, 0.5, 0.56]
    for ours, theirs in ((script.near, control.near), (script.far, control.far)):
        assert [(s.at, len(s.data), s.after) for s in ours] == [(s.at, len(s.data), s.after) for s in theirs]
    assert all(s.at < 5 for s in script.near + script.far)
    assert not any(b"before" in s.data for s in script.far)


def test_what_a_classifier_knows_is_kept_and_the_rest_is_new() -> None:
    script = replay()
    first = stun.decode(script.near[0].data)
    assert isinstance(first, stun.Message)
    assert first.first(0x4000) is not None
    assert first.transaction != ID
    packets = [rtp.decode(s.data) for s in script.near[2:]]
    assert all(isinstance(p, rtp.Packet) and p.extension and p.extension.profile == 0xDEBE for p in packets)
    assert [p.sequence for p in packets if isinstance(p, rtp.Packet)] == list(range(len(packets)))
    assert len({p.ssrc for p in packets if isinstance(p, rtp.Packet)}) == 1
    assert not any(p.payload == bytes(80) for p in packets if isinstance(p, rtp.Packet))


def test_each_retransmission_has_its_own_id_and_its_own_answer() -> None:
    script = replay()
    answers = [s for s in script.far if s.data[:2] == b"\1\3"]
    assert [s.after for s in answers] == [0, 1]
    assert [s.data[8:20] for s in answers] == [script.near[0].data[8:20], script.near[1].data[8:20]]
    assert script.near[0].data != script.near[1].data


def test_no_two_datagrams_of_two_replays_are_equal() -> None:
    sent = [s.data for n in range(5) for s in replay(number=n).near] + [s.data for s in replay("control", 9).near]
    assert len(set(sent)) == len(sent)


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (telegram.encode(telegram.Hello(b"t" * 16)), 32),
        (bytes((0x40, 1, 0, 60)) + voice(1, 5, 44), 4 + 8),  # in a TURN channel: header, then RTP up to its source
        (b"\x17\xfe\xfd\0\1" + bytes(60), 13),  # DTLS application data
        (b"\x05unknown protocol" + bytes(40), 16),
        (bytes(20), 12),
    ],
)
def test_heads_are_kept_and_tails_refreshed(data: bytes, kept: int) -> None:
    capture = Replay("d2", None, None, (ReplayPacket(0.0, data),) * 2, ())
    spec = ExchangeSpec(
        3, "telegram", "voice", "outgoing", "relay", "replay", Arm("original", "app"), "udp", 597, 1.0, 0, "d2"
    )
    script = render(spec, SEED, {"d2": capture})
    assert isinstance(script, DatagramScript)
    one, two = script.near
    assert one.data[:kept] == two.data[:kept] == data[:kept]
    assert len(one.data) == len(data)
    assert one.data != two.data
    assert one.data != data


PACKETS = st.lists(
    st.tuples(
        st.floats(0, 5),
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from([ALLOCATE, ANSWER, voice(1, 2), b"\x16\xfe\xfd" + bytes(70), b"\x15\xfe\xfd" + bytes(12)]),
        ),
    ),
    max_size=12,
).map(lambda items: tuple(ReplayPacket(at, data) for at, data in sorted(items)))


@given(PACKETS, PACKETS)
def test_any_capture_can_be_replayed(near: tuple[ReplayPacket, ...], far: tuple[ReplayPacket, ...]) -> None:
    capture = {"d1": Replay("d1", None, None, near, far)}
    sent: list[set[bytes]] = []
    for number in (1, 2):
        spec = ExchangeSpec(
            number, "signal", "voice", "outgoing", "relay", "replay", Arm("original", "app"), "udp", 9, 4.0, 0, "d1"
        )
        script = render(spec, SEED, capture)
        assert isinstance(script, DatagramScript)
        for mine, others in ((script.near, script.far), (script.far, script.near)):
            assert len({s.data for s in mine}) == len(mine)
            assert all(others[s.after].at <= s.at for s in mine if s.after is not None)
            sent.append({s.data for s in mine})
    assert not sent[0] & sent[2]
    assert not sent[1] & sent[3]


def test_a_fingerprint_is_right_again_after_its_id_was_drawn() -> None:
    message = stun.with_fingerprint(stun.Message(1, ID, (stun.attribute(6, b"name"),)))
    near = tuple(ReplayPacket(at, stun.encode(message)) for at in (0.0, 0.5))
    captured = Replay("d2", None, None, near, ())
    spec = ExchangeSpec(
        1, "whatsapp", "voice", "outgoing", "relay", "replay", Arm("original", "app"), "udp", 3478, 5.0, 0, "d2"
    )
    script = render(spec, SEED, {"d2": captured})
    assert isinstance(script, DatagramScript)
    found = [stun.decode(send.data) for send in script.near]
    assert len({one.transaction for one in found if isinstance(one, stun.Message)} - {ID}) == 2
    assert all(isinstance(one, stun.Message) and stun.fingerprint_holds(one) for one in found)
