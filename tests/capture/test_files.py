"""Captures of every kind are read alike; damage costs what it hit, and is said."""

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.capture import exchanges, replays, trace
from ringback.capture.files import frames
from ringback.capture.notes import Notes
from ringback.errors import BadInput
from ringback.flow import render
from tests.capture import making
from tests.capture.making import FAR, NEAR, START, ethernet, ip
from tests.flow.specs import SEED, spec

LINES = [(START + i / 4, ethernet(ip(NEAR, FAR, bytes((i,)) * 40))) for i in range(8)]
DAMAGED = (
    ("whatsapp", "voice", "relay-call"),
    ("signal", "voice", "p2p-call"),
    ("whatsapp", "text", "noise"),
    ("telegram", "media", "obfuscated"),
    ("whatsapp", "text", "tls"),
    ("whatsapp", "text", "dns"),
)
Writer = Callable[[Path], Path]

KINDS: dict[str, Writer] = {
    "pcap": lambda path: making.pcap(path, LINES),
    "pcap, other byte order": lambda path: making.pcap(path, LINES, order=">"),
    "pcap, nanoseconds": lambda path: making.pcap(path, LINES, nano=True),
    "pcapng": lambda path: making.pcapng(path, LINES),
    "pcapng, other byte order": lambda path: making.pcapng(path, LINES, order=">"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_frames(kind: str, tmp_path: Path) -> None:
    notes = Notes()
    found = list(frames(KINDS[kind](tmp_path / "capture"), notes))
    assert [(frame.at, frame.data) for frame in found] == LINES
    assert {frame.link for frame in found} == {1}
    assert not notes.damaged
    assert notes.lines() == ()


def test_interfaces_have_their_own_link_types_and_clocks(tmp_path: Path) -> None:
    nano = struct.pack("<HHB3xHHqHH", 9, 1, 9, 14, 8, 100, 0, 0)  # if_tsresol 10^-9, if_tsoffset 100 s
    packet = ip(NEAR, FAR, b"x" * 40)
    file = tmp_path / "two.pcapng"
    file.write_bytes(
        making.section()
        + making.interface(1)
        + making.interface(101, options=nano)
        + making.enhanced(START, ethernet(packet))
        + making.block(5, bytes(12))  # interface statistics: skipped
        + making.enhanced(START - 100, packet, number=1, ticks=10**9)
        + making.section(">")
        + making.interface(101, ">")
        + making.block(3, struct.pack(">I", len(packet)) + packet, ">")  # a simple packet has no time
        + making.block(2, struct.pack(">HHIIII", 0, 0, 0, 5_000_000, len(packet), len(packet)) + packet, ">")
    )
    notes = Notes()
    found = [(frame.at, frame.link, frame.data) for frame in frames(file, notes)]
    assert found == [
        (START, 1, ethernet(packet)), (START, 101, packet), (0.0, 101, packet), (5.0, 101, packet)
    ]  # fmt: skip
    assert not notes.damaged


@pytest.mark.parametrize(
    ("resolution", "ticks"),
    [(0, 1), (3, 1000), (6, 10**6), (9, 10**9), (10, 10**10), (0x80 | 10, 1024), (0x80 | 20, 2**20)],
)
@pytest.mark.parametrize("offset", [0, -3600, 1_000_000_000])
@pytest.mark.parametrize("order", "<>")
def test_clocks_of_any_resolution_and_offset(
    resolution: int, ticks: int, offset: int, order: str, tmp_path: Path
) -> None:
    options = struct.pack(order + "HH3sxHHB3xHHqHH", 2, 3, b"lan", 9, 1, resolution, 14, 8, offset, 0, 0)
    stamp = START - offset + 0.25 * (ticks > 1)
    file = tmp_path / "odd.pcapng"
    file.write_bytes(
        making.section(order)
        + making.interface(1, order, options)
        + making.enhanced(stamp, LINES[0][1], order=order, ticks=ticks)
    )
    notes = Notes()
    (frame,) = frames(file, notes)
    assert frame.at == pytest.approx(stamp + offset, abs=1e-6)
    assert not notes.damaged


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_file_gives_what_came_before_the_cut(kind: str, tmp_path: Path) -> None:
    whole = KINDS[kind](tmp_path / "capture").read_bytes()
    counts = []
    for size in range(4, len(whole), 5):
        cut = tmp_path / "cut"
        cut.write_bytes(whole[:size])
        notes = Notes()
        counts.append(len(list(frames(cut, notes))))
        assert all(one.startswith("the file ends within") for one in notes.lines()) or "byte order" in notes.lines()[0]
    assert counts == sorted(counts)
    assert set(counts) == set(range(8))


def test_a_record_that_claims_too_much_ends_the_reading_and_says_so(tmp_path: Path) -> None:
    file = making.pcap(tmp_path / "damaged.pcap", LINES)
    data = bytearray(file.read_bytes())
    at = 24 + 3 * (16 + len(LINES[0][1])) + 8
    data[at : at + 4] = b"\xff\xff\xff\x7f"
    file.write_bytes(data)
    found = trace(file)
    assert [exchange.packets for exchange in found.exchanges] == [3]
    assert found.damaged
    assert found.notes == ("a record claims 2147483647 bytes: read up to there",)


def test_a_block_that_does_not_add_up_is_left_out_alone(tmp_path: Path) -> None:
    file = tmp_path / "damaged.pcapng"
    bad = making.block(6, struct.pack("<IIIII", 0, 0, 0, 4000, 4000) + b"short")
    timeless = making.enhanced(2.0**42, LINES[0][1])
    stray = making.enhanced(START, b"x" * 60, number=9)
    good = [making.enhanced(at, data) for at, data in LINES]
    file.write_bytes(making.section() + making.interface(1) + b"".join((*good[:4], bad, stray, timeless, *good[4:])))
    found = trace(file)
    assert [exchange.packets for exchange in found.exchanges] == [8]
    assert found.notes == ("a packet's block that does not add up was left out (3 times)",)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\0", "neither pcap nor pcapng"),
        (b"\0" * 100, "neither pcap nor pcapng"),
        (b"PK\3\4 archive", "is packed"),
    ],
)
def test_what_is_no_capture_is_refused_by_name(content: bytes, why: str, tmp_path: Path) -> None:
    file = tmp_path / "something.bin"
    file.write_bytes(content)
    for read in (trace, replays, lambda path: list(exchanges(path))):
        with pytest.raises(BadInput, match=why) as caught:
            read(file)
        assert caught.value.where == str(file)


@pytest.mark.parametrize("length", range(24))
def test_a_file_that_ends_within_its_header_is_a_damaged_one_however_early(length: int, tmp_path: Path) -> None:
    file = tmp_path / "cut.pcap"
    whole_pcap = making.pcap(tmp_path / "whole.pcap", LINES).read_bytes()
    for whole in (whole_pcap, making.section() + making.interface(1)):
        file.write_bytes(whole[:length])
        found = trace(file)
        assert found.exchanges == ()
        assert found.notes
        assert ("the file is empty" in found.notes) is (length == 0)
        assert list(replays(file)) == []


def test_what_cannot_be_opened_is_refused_by_name(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.pcap", tmp_path):
        with pytest.raises(BadInput, match="can't be opened") as caught:
            trace(path)
        assert caught.value.where == str(path)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Small captures of each kind, and calls and chats in which every reader finds something to read."""
    folder = tmp_path_factory.mktemp("samples")
    made = {kind: write(folder / "capture").read_bytes() for kind, write in KINDS.items()}
    for app, function, form in DAMAGED:
        script = render(spec(app, function, form, seconds=0.8, size=2000), SEED)
        made[form] = making.pcapng(folder / "capture", making.script_lines(script)).read_bytes()
    return made


@given(
    kind=st.sampled_from([*KINDS, *(form for _, _, form in DAMAGED)]),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=40),
    cut=st.floats(0, 1),
    extra=st.binary(max_size=40),
)
def test_no_damage_crashes_the_reader(
    kind: str,
    changes: list[tuple[float, int]],
    cut: float,
    extra: bytes,
    sample: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    data = bytearray(sample[kind])
    for where, value in changes:
        data[4 + int(where * (len(data) - 4))] = value
    file = tmp_path_factory.getbasetemp() / "mutated"
    file.write_bytes(bytes(data[: 4 + int(cut * (len(data) - 4))]) + extra)
    found = trace(file)
    assert all(exchange.packets > 0 and exchange.seconds >= 0 for exchange in found.exchanges)
    assert all(packet.at >= 0 for replay in replays(file) for packet in replay.near + replay.far)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    sockets = [(f"198.51.100.{i % 200}", 1000 + i % 50) for i in range(6_000)]
    lines = ((START + i / 100, ethernet(ip(NEAR, far, bytes(1200)))) for i, far in enumerate(sockets))
    file = making.pcap(tmp_path / "large.pcap", lines)
    assert file.stat().st_size > 7_000_000
    tracemalloc.start()
    try:
        assert sum(exchange.packets for exchange in exchanges(file)) == 6_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000
