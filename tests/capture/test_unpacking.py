"""Packed captures are read as they are: gzip wherever it stops, what nothing here unpacks by its name."""

import contextlib
import gzip
import struct
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.capture import replay_file, replays, trace
from ringback.capture.files import frames
from ringback.capture.notes import Notes
from ringback.errors import BadInput
from ringback.flow import render
from tests.capture import making
from tests.capture.making import FAR, NEAR, START, ethernet, ip
from tests.flow.specs import SEED, spec

LINES = [(START + i / 4, ethernet(ip(NEAR, FAR, bytes(i * j % 256 for j in range(300))))) for i in range(40)]


@pytest.fixture(params=["pcap", "pcapng"])
def plain(request: pytest.FixtureRequest, tmp_path: Path) -> bytes:
    write = making.pcap if request.param == "pcap" else making.pcapng
    return write(tmp_path / "plain", LINES).read_bytes()


def read(folder: Path, content: bytes) -> tuple[int, tuple[str, ...]]:
    """How many frames there are, and what is said."""
    file = folder / "whatever.bin"
    file.write_bytes(content)
    notes = Notes()
    found = [(frame.at, frame.data) for frame in frames(file, notes)]
    assert found == LINES[: len(found)]
    assert notes.damaged is bool(notes.lines())
    return len(found), notes.lines()


def test_gzip_is_known_by_its_first_bytes(plain: bytes, tmp_path: Path) -> None:
    named = struct.pack("<BBBBIBB", 0x1F, 0x8B, 8, 8, 0, 0, 3) + b"call.pcap\0"  # as `gzip` writes it
    packer = zlib.compressobj(wbits=-15)
    body = packer.compress(plain) + packer.flush()
    for content in (
        gzip.compress(plain),
        gzip.compress(plain, 0),
        named + body + struct.pack("<II", zlib.crc32(plain), len(plain)),
        gzip.compress(plain[:1000]) + gzip.compress(plain[1000:]),  # members, as Wireshark and `cat` write them
        gzip.compress(plain) + bytes(512),
    ):
        assert read(tmp_path, content) == (40, ())


def test_a_packed_call_is_found_and_sent_again_like_a_plain_one(tmp_path: Path) -> None:
    lines = making.script_lines(render(spec("whatsapp", "voice", "relay-call"), SEED))
    plain = making.pcap(tmp_path / "call.pcap", lines)
    packed = tmp_path / "call.pcap.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert trace(packed) == trace(plain)
    assert replays(packed) == replays(plain) == [replay_file(packed)]


def test_a_packed_file_that_ends_early_gives_what_came_before(plain: bytes, tmp_path: Path) -> None:
    packed = gzip.compress(plain)
    counts = []
    for size in (*range(2, len(packed), 23), len(packed) - 1):
        count, told = read(tmp_path, packed[:size])
        counts.append(count)
        assert told[0] == "the compressed file ends early"
    assert counts == sorted(counts)
    assert counts[-1] == 40


def test_damage_within_a_packed_file_costs_what_it_hit_and_is_said(plain: bytes, tmp_path: Path) -> None:
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(plain[:6000]) + packer.flush(zlib.Z_FULL_FLUSH)
    intact, _ = read(tmp_path, packed)
    count, told = read(tmp_path, packed + b"\xff" * 5000)  # block type 3: there is none
    assert (count, told[0]) == (intact, "the compression is damaged: read up to there")
    assert 10 < count < 40
    checksum = bytearray(gzip.compress(plain))
    checksum[-6] ^= 1
    assert read(tmp_path, bytes(checksum)) == (40, ("the compression is damaged: read up to there",))


def test_a_packed_file_that_is_damaged_from_its_beginning_is_damaged_not_empty(tmp_path: Path) -> None:
    assert read(tmp_path, b"\x1f\x8b\xff" + bytes(40)) == (0, ("the compression is damaged: read up to there",))
    assert read(tmp_path, b"\x1f") == (0, ("the file ends within its header",))
    assert read(tmp_path, gzip.compress(b"")) == (0, ("the file is empty",))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (gzip.compress(b"no capture", mtime=0), "neither pcap nor pcapng"),
        (gzip.compress(gzip.compress(b"twice", mtime=0), mtime=0), "neither pcap nor pcapng"),
        (b"\x28\xb5\x2f\xfd rest", r"is packed \(Zstandard\): unpack it first"),
        (b"\x04\x22\x4d\x18 rest", r"is packed \(LZ4\)"),
        (b"\xfd7zXZ\0 rest", r"is packed \(xz\)"),
        (b"BZh91AY&SY rest", r"is packed \(bzip2\)"),
        (b"PK\3\4 rest", r"is packed \(zip\)"),
        (b"7z\xbc\xaf\x27\x1c rest", r"is packed \(7-Zip\)"),
    ],
)
def test_what_is_not_unpacked_is_refused_by_name(content: bytes, why: str, tmp_path: Path) -> None:
    file = tmp_path / "capture.pcap.gz"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=why) as caught:
        trace(file)
    assert caught.value.where == str(file)


def test_a_file_made_to_unpack_without_end_is_read_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.capture.unpacking.FREE", 1 << 20)
    record = struct.pack("<IIII", 1, 0, 60_000, 60_000) + bytes(60_000)
    file = tmp_path / "bomb.pcap.gz"
    header = making.pcap(tmp_path / "empty", []).read_bytes()
    file.write_bytes(gzip.compress(header + 1000 * record))
    assert file.stat().st_size < 70_000
    tracemalloc.start()
    try:
        notes = Notes()
        count = sum(1 for _ in frames(file, notes))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 17 < count < 300
    assert "unpacks to more than 200 times its length: read up to there" in notes.lines()
    assert peak < 2_000_000


@given(
    changes=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=6),
    cut=st.integers(0),
)
def test_no_damage_crashes_the_unpacking(
    changes: list[tuple[int, int]], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    data = bytearray(gzip.compress(making.pcap(folder / "plain", LINES[:9]).read_bytes()))
    for where, value in changes:
        data[2 + where % (len(data) - 2)] = value
    file = folder / "mutated.gz"
    file.write_bytes(bytes(data[: len(data) - cut % 50]))
    with contextlib.suppress(BadInput):  # damage to the content's own first bytes
        trace(file)
