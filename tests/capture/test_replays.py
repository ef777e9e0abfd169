"""A call of a capture, taken out of it to be sent again: whose, which packets, and nothing of anybody's addresses."""

import ipaddress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.capture import replay_file, replays, save
from ringback.capture.replays import calls, digest
from ringback.capture.scrubbing import scrubbed
from ringback.errors import BadInput, Unavailable
from ringback.flow import DatagramScript, Replay, ReplayPacket, render
from ringback.record import Arm, ExchangeSpec
from ringback.trial.far import MAX_REPLAY_BYTES
from ringback.trial.rendering import render as session_render
from ringback.wire import rtp, stun, telegram
from ringback.wire.stun_attributes import Endpoint, build, read
from tests.capture import making
from tests.capture.making import DELAY, FAR, NEAR, OTHER, START, ethernet, ip, script_lines, talk
from tests.flow.specs import KNOWN, SEED, spec

ID = bytes(range(12))


def call(app: str = "whatsapp", form: str = "relay-call", seconds: float = 4.0) -> DatagramScript:
    script = render(spec(app, "voice", form, number=5, seconds=seconds), SEED)
    assert isinstance(script, DatagramScript)
    return script


def test_a_call_comes_out_as_it_went_in(tmp_path: Path) -> None:
    script = call()
    (replay,) = replays(making.pcap(tmp_path / "call.pcap", script_lines(script)))
    assert (replay.app, replay.function) == ("whatsapp", "voice")
    for packets, sends, delay in ((replay.near, script.near, 0.0), (replay.far, script.far, DELAY)):
        assert [len(packet.data) for packet in packets] == [len(send.data) for send in sends]
        assert [packet.at for packet in packets] == pytest.approx([send.at + delay for send in sends], abs=1e-5)
        media = [(p.data, s.data) for p, s in zip(packets, sends, strict=True) if rtp.looks_like(s.data)]
        assert len(media) > 30
        assert all(ours == theirs for ours, theirs in media)


def test_the_digest_names_the_content_and_nothing_else(tmp_path: Path) -> None:
    script = call()
    first, moved, other = (
        replays(making.pcap(tmp_path / "call.pcap", lines))[0].digest
        for lines in (
            script_lines(script),
            script_lines(script, near=("192.0.2.77", 5), far=OTHER, start=START + 86_400),
            script_lines(call(seconds=3.0)),
        )
    )
    assert first == moved != other
    assert len(bytes.fromhex(first)) == 32


def test_both_ends_render_it_and_its_control(tmp_path: Path) -> None:
    replay = replay_file(making.pcap(tmp_path / "call.pcap", script_lines(call())))
    encoded = [msgspec.msgpack.encode(replay)]
    scripts = {}
    for payload in ("original", "control"):
        arm = Arm(payload, "app")  # type: ignore[arg-type]
        one = ExchangeSpec(
            3, "whatsapp", "voice", "outgoing", "relay", "replay", arm, "udp", 3478, 10.5, 0, replay.digest
        )
        near, far = (session_render(one, SEED, encoded, KNOWN) for _ in range(2))
        assert near == far
        assert isinstance(near, DatagramScript)
        scripts[payload] = near
    assert len(scripts["original"].near) == len(replay.near)
    for side in ("near", "far"):
        original, control = (getattr(scripts[payload], side) for payload in ("original", "control"))
        assert [(s.at, len(s.data), s.after) for s in original] == [(s.at, len(s.data), s.after) for s in control]
        assert not {s.data for s in original} & {s.data for s in control}


def test_bytes_that_are_no_replay_are_refused(tmp_path: Path) -> None:
    arm = Arm("original", "app")
    one = ExchangeSpec(3, "whatsapp", "voice", "outgoing", "relay", "replay", arm, "udp", 3478, 10.5, 0, "d")
    for encoded in ([b"nonsense"], []):
        with pytest.raises(BadInput):
            session_render(one, SEED, encoded, KNOWN)


def test_a_gap_that_trimming_left_is_closed_up(tmp_path: Path) -> None:
    lines = script_lines(call())
    cut = [line for line in lines if line[0] < START + 1] + [(at + 30, data) for at, data in lines if at >= START + 1]
    (replay,) = replays(making.pcap(tmp_path / "trimmed.pcap", cut))
    times = sorted(packet.at for packet in replay.near + replay.far)
    assert max(later - sooner for sooner, later in zip(times, times[1:], strict=False)) < 0.51
    assert 3.5 < times[-1] < 5.0


def test_a_file_whose_packets_are_out_of_order_gives_the_call_in_order(tmp_path: Path) -> None:
    lines = script_lines(call())
    (told,) = replays(making.pcap(tmp_path / "call.pcap", lines))
    third = len(lines) // 3
    for mixed in (lines[third:] + lines[:third], lines[::2] + lines[1::2]):
        (replay,) = replays(making.pcap(tmp_path / "mixed.pcap", mixed))
        mixed_lines, told_lines = (sorted((round(p.at, 4), p.data) for p in one.near) for one in (replay, told))
        assert mixed_lines == told_lines


def test_an_appended_capture_is_another_call(tmp_path: Path) -> None:
    lines = script_lines(call(), start=START + 1000) + script_lines(call(seconds=2.0), start=START)
    found = replays(making.pcap(tmp_path / "merged.pcap", lines))
    assert [round(max(p.at for p in replay.near)) for replay in found] == [4, 2]


def test_what_came_before_the_own_sides_first_packet_is_left_out(tmp_path: Path) -> None:
    before = talk([(-1.0, False, rtp.encode(rtp.Packet(120, 1, 1, 1, bytes(40))))])
    (replay,) = replays(making.pcap(tmp_path / "late.pcap", before + script_lines(call())))
    assert min(packet.at for packet in replay.far) > 0
    assert replay.near[0].at == 0


def test_calls_that_name_their_app_come_first_then_long_ones(tmp_path: Path) -> None:
    short, long = call(seconds=2.0), call(seconds=4.0)
    check = stun.encode(stun.Message(stun.TYPES["binding"], ID, (build("USERNAME", "a:b"),)))
    guessed = talk([(i / 100, i % 2 == 0, check) for i in range(300)], far=OTHER)  # named by its socket's company
    lines = guessed + script_lines(short, far=("198.51.100.20", 1)) + script_lines(long, far=("198.51.100.21", 2))
    found = replays(making.pcap(tmp_path / "three.pcap", sorted(lines)))
    assert [len(replay.near) for replay in found] == [len(long.near), len(short.near), 150]
    assert {replay.app for replay in found} == {"whatsapp"}


def test_a_call_with_one_side_only_is_no_replay(tmp_path: Path) -> None:
    lines = [(START + send.at, ethernet(ip(NEAR, FAR, send.data))) for send in call().near]
    file = making.pcap(tmp_path / "deaf.pcap", lines)
    assert replays(file) == []
    with pytest.raises(BadInput, match="no call of whatsapp") as caught:
        replay_file(file)
    assert caught.value.where == str(file)


@pytest.mark.parametrize("size", [8, 1200])
def test_a_replay_is_never_larger_than_a_peer_takes(size: int, tmp_path: Path) -> None:
    media = (rtp.encode(rtp.Packet(120, i & 0xFFFF, i, 7, bytes(size))) for i in range(25_000 if size == 8 else 1500))
    lines = script_lines(call()) + talk([(4 + i / 1000, i % 2 == 0, data) for i, data in enumerate(media)])
    (replay,) = replays(making.pcap(tmp_path / "large.pcap", lines))
    assert 500_000 < len(msgspec.msgpack.encode(replay)) < MAX_REPLAY_BYTES
    ends = replay.near[-1].at, replay.far[-1].at
    assert ends[0] == pytest.approx(ends[1], abs=0.01)


def test_the_wrong_app_is_refused_and_the_right_one_named(tmp_path: Path) -> None:
    file = making.pcap(tmp_path / "call.pcap", script_lines(call("telegram")))
    with pytest.raises(BadInput, match="but calls of telegram"):
        replay_file(file)
    assert replay_file(file, "telegram").app == "telegram"


def test_what_was_saved_is_private_and_comes_back(tmp_path: Path) -> None:
    found = replays(making.pcap(tmp_path / "call.pcap", script_lines(call())))
    (file,) = save(found, tmp_path / "new" / "folder")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.name.startswith(f"whatsapp-{found[0].digest[:16]}")
    assert replay_file(file) == found[0]
    assert save(found, file.parent) == [file]
    assert [one.name for one in file.parent.iterdir()] == [file.name]
    with pytest.raises(BadInput, match="holds a call of whatsapp"):
        replay_file(file, "telegram")
    with pytest.raises(Unavailable):
        save(found, file)


def test_a_saved_call_that_was_changed_is_refused(tmp_path: Path) -> None:
    (replay,) = replays(making.pcap(tmp_path / "call.pcap", script_lines(call())))
    (file,) = save([replay], tmp_path)
    endless = msgspec.structs.replace(replay, near=(ReplayPacket(float("inf"), b"x" * 20), *replay.near))
    for changed in (file.read_bytes().replace(b"whatsapp", b"whatsopp"), msgspec.msgpack.encode(endless)):
        file.write_bytes(changed)
        with pytest.raises(BadInput, match="changed since"):
            replay_file(file, "whatsopp" if b"whatsopp" in changed else "whatsapp")


def test_a_digest_depends_on_every_part() -> None:
    one = (ReplayPacket(0.0, b"a"), ReplayPacket(1.0, b"b"))
    digests = {
        digest("whatsapp", one, ()),
        digest(None, one, ()),
        digest("whatsapp", (), one),
        digest("whatsapp", one[:1], one[1:]),
        digest("whatsapp", (ReplayPacket(0.0, b"ab"),), ()),
        digest("whatsapp", (one[0], ReplayPacket(1.5, b"b")), ()),
    }
    assert len(digests) == 6


PEOPLE = Endpoint("203.0.113.77", 50_123), Endpoint("2001:db8:77::77", 50_124)
ADDRESSES = ("MAPPED-ADDRESS", "XOR-MAPPED-ADDRESS", "XOR-RELAYED-ADDRESS", "XOR-PEER-ADDRESS", "ALTERNATE-SERVER")


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize("person", PEOPLE, ids=["IPv4", "IPv6"])
def test_no_address_of_a_stun_message_is_left(name: str, person: Endpoint) -> None:
    inner = stun.encode(stun.Message(0x101, ID, (build(name, person, ID),)))
    for nested in (inner, stun.encode_channel(stun.ChannelData(0x4001, inner))):
        message = stun.Message(0x17, ID, (build(name, person, ID), build("DATA", nested)))
        message = stun.with_fingerprint(stun.with_integrity(message, b"key"))
        data = scrubbed(stun.encode(message))
        clean = stun.decode(data)
        assert isinstance(clean, stun.Message)
        assert [(a.type, len(a.value)) for a in clean.attributes] == [
            (a.type, len(a.value)) for a in message.attributes
        ]
        nowhere = Endpoint("192.0.2.1" if ":" not in person.host else "2001:db8::1", 40_000)
        assert read(clean, name) == nowhere
        assert stun.fingerprint_holds(clean)
        assert message.attributes[0].value not in data
        assert ipaddress.ip_address(person.host).packed not in data


def test_tokens_and_user_names_are_replaced_by_their_like() -> None:
    token, name = b"\x01secret token of a relay" * 6, "user:name"
    message = stun.Message(3, ID, (stun.attribute(0x4000, token), build("USERNAME", name)))
    data = scrubbed(stun.encode(message))
    assert b"secret" not in data
    assert b"user" not in data
    assert len(data) == len(stun.encode(message))
    assert scrubbed(stun.encode(message)) == data


def test_no_address_of_a_reflectors_answers_is_left() -> None:
    mine, yours = (bytes(map(int, host.split("."))) for host in ("203.0.113.77", "203.0.113.78"))
    tag = bytes(range(16))
    answers = (
        telegram.HelloAnswer(tag, 7, bytes(8), bytes(10) + b"\xff\xff" + mine, 50_123),
        telegram.PeerAnswer(tag, mine, 50_123, yours, 50_124),
    )
    for answer in answers:
        data = scrubbed(telegram.encode(answer))
        assert len(data) == len(telegram.encode(answer))
        assert type(telegram.decode(data)) is type(answer)
        assert mine not in data
        assert yours not in data


@given(
    st.binary(max_size=80).map(lambda rest: b"\0\1" + (len(rest)).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + ID + rest)
    | st.binary(max_size=80).map(lambda rest: b"\x40\1" + (len(rest)).to_bytes(2, "big") + rest)
    | st.binary(max_size=60).map(lambda rest: bytes(range(16)) + b"\xff" * 12 + rest)
    | st.binary(max_size=60)
)
def test_scrubbing_keeps_every_size_and_is_done_once(data: bytes) -> None:
    clean = scrubbed(data)
    assert len(clean) == len(data)


@pytest.mark.realdata
def test_no_end_of_a_real_call_is_left_in_its_replay(realdata: Path) -> None:
    for name in ("wa_voice.pcap", "wa_video.pcap", "whatsapp_login_call.pcap", "telegram.pcap", "stun_signal.pcapng"):
        found = calls(realdata / "pcap" / name)
        assert found
        hosts = {end.rsplit(":", 1)[0] for one in found for end in one.found.exchange.endpoints}
        plain = [ipaddress.ip_address(host).packed for host in hosts]
        masked = [bytes(a ^ b for a, b in zip(host, b"\x21\x12\xa4\x42", strict=True)) for host in plain]
        for one in found:
            assert isinstance(one.replay, Replay)
            for packet in one.replay.near + one.replay.far:
                assert not any(address in packet.data for address in plain + masked), (name, packet.data.hex())
