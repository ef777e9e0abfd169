"""Whole files of any kind that anything may have happened to: nothing crashes, and every record is kept or counted."""

import gzip
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.collect.importing import KINDS, REASONS, Tally, read
from ringback.store import Lake, check, intake
from tests.collect.records import CENTRES, line, site, telegram
from tests.collect.reports import encoded, report
from tests.collect.test_ringback import CLOSING, measurement
from tests.collect.test_tables import connect, post, speeds, table
from tests.store.observations import seen


def zstd(content: bytes) -> bytes:
    packed: bytes = pyarrow.compress(content, codec="zstd", asbytes=True)
    return packed


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip in members": lambda content: b"".join(gzip.compress(piece) for piece in content.splitlines(keepends=True)),
    "zstd": zstd,
    "zstd in frames": lambda content: b"".join(zstd(piece) for piece in content.splitlines(keepends=True)),
}
ROWS = table([connect(CENTRES[0], 80), post(CENTRES[0], 80), connect(CENTRES[1], 443)]).splitlines()
SPEEDS = speeds("104.36,3787.88,3517.0", "nan,,", "400,900,").splitlines()
RECORDS: dict[str, list[bytes]] = {
    "ooni": [line("telegram", telegram(2)), line("web_connectivity", site()), *ROWS],
    "throttling-csv": SPEEDS,
    "ndjson": [encoded(report()), *map(msgspec.json.encode, (measurement(), CLOSING, seen()))],
}
JUNK = st.sampled_from([b"", b"{", b"[", b"]", b"}", b"null", b"\x1f\x8b", b"\xff\xfe", b'"', b"\0" * 5, b"," * 90])


@st.composite
def contents(draw: st.DrawFn, kind: str) -> bytes:
    """Records of its kind or another one, whole, cut or with a byte exchanged, and junk between."""
    pieces = []
    for _ in range(draw(st.integers(0, 8))):
        piece = bytearray(draw(st.sampled_from(RECORDS[kind]) | st.sampled_from(sum(RECORDS.values(), [])) | JUNK))
        what = draw(st.sampled_from(["whole", "whole", "cut", "changed"]))
        if piece and what != "whole":
            at = draw(st.integers(0, len(piece) - 1))
            piece = piece[:at] if what == "cut" else piece[:at] + draw(st.binary(max_size=2)) + piece[at + 1 :]
        pieces.append(bytes(piece))
    return draw(st.sampled_from([b"\n", b"\r\n", b"\n\n"])).join(pieces)


def counted(kind: str, content: bytes) -> tuple[int, int, dict[str, int]]:
    """Of what is read from it: records, observations, and refused records by their reason."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        file.write_bytes(content)
        made = list(tally.over(read(kind, file)))
    assert len(made) == tally.observations
    assert tally.read == tally.kept + tally.refused.total()
    assert tally.refused.keys() == tally.first.keys() <= set(REASONS)
    assert all(where.startswith(f"{file}") for where in tally.first.values())
    return tally.read, tally.observations, dict(tally.refused)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_content_is_kept_or_counted_with_its_reason_however_it_is_packed(kind: str, data: st.DataObject) -> None:
    content = data.draw(contents(kind))
    pack = PACKINGS[data.draw(st.sampled_from(sorted(PACKINGS)))]
    plain = counted(kind, content)
    if content and not content.startswith((b"\x1f\x8b", b"\x28\xb5")):  # of which it is told that it is packed
        assert counted(kind, pack(content)) == plain


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_damage_to_a_packing_costs_no_more_than_what_follows(kind: str, data: st.DataObject) -> None:
    records = data.draw(st.lists(st.sampled_from(RECORDS[kind]), min_size=1, max_size=6))
    packed = bytearray(PACKINGS[data.draw(st.sampled_from(sorted(PACKINGS)[:-1]))](b"\n".join(records)))
    at = data.draw(st.integers(0, len(packed) - 1))
    if data.draw(st.booleans()):
        del packed[at:]
    else:
        packed[at] ^= data.draw(st.integers(1, 255))
    counted(kind, bytes(packed))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_a_cut_file_can_be_taken_in_and_leaves_a_sound_lake(tmp_path: Path, kind: str, packing: str) -> None:
    lake = Lake(tmp_path / "lake")
    packed = PACKINGS[packing](b"\n".join(RECORDS[kind] * 3))
    for number, cut in enumerate(range(0, len(packed), max(1, len(packed) // 9))):
        (tmp_path / f"file{number}").write_bytes(packed[:cut])
        intake(lake, kind, tmp_path / f"file{number}", tally := Tally())
        assert tally.read == tally.kept + tally.refused.total()
    assert check(lake) == []
