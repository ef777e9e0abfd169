"""The spool: whole frames only, each key once, damage kept aside, a full disk said."""

import errno
import os
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.collect import spool as spooling
from ringback.collect.spool import Damage, Entry, Full, Spool, frame, frames
from ringback.errors import RingbackError, Unavailable

DAY = date(2025, 8, 13)


def entry(number: int, payload: bytes = b"report") -> Entry:
    return Entry(number.to_bytes(16, "big"), DAY, payload)


def drained(spool: Spool) -> list[Entry]:
    found: list[Entry] = []
    spool.drain(found.extend)
    return found


entries = st.lists(st.builds(entry, st.integers(0, 2**64), st.binary(max_size=60)), max_size=6)


@given(entries)
def test_what_was_framed_is_read_back(given_: list[Entry]) -> None:
    assert list(frames(b"".join(map(frame, given_)))) == given_


@given(entries, st.binary(max_size=40), st.data())
def test_damage_costs_what_is_damaged_and_no_more(given_: list[Entry], junk: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(given_)))
    before, after = b"".join(map(frame, given_[:at])), b"".join(map(frame, given_[at:]))
    found = list(frames(before + junk + after))
    assert [one for one in found if isinstance(one, Entry)] == given_
    assert sum(one.end - one.start for one in found if isinstance(one, Damage)) == len(junk)


@given(entries, st.data())
def test_a_cut_file_keeps_its_whole_frames(given_: list[Entry], data: st.DataObject) -> None:
    whole = b"".join(map(frame, given_))
    cut = data.draw(st.integers(0, len(whole)))
    kept = [one for one in frames(whole[:cut]) if isinstance(one, Entry)]
    assert kept == given_[: len(kept)]
    assert sum(len(frame(one)) for one in given_[: len(kept) + 1]) >= cut


def test_what_was_added_is_there_after_a_crash_and_known_for_good(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert spool.add([entry(1), entry(2), entry(1)]) == [True, True, False]
    again = Spool(tmp_path)  # the first one ended without a word
    assert again.add([entry(2), entry(3)]) == [False, True]
    assert drained(again) == [entry(1), entry(2), entry(3)]
    assert (again.waiting, list(tmp_path.glob("*.log"))) == (0, [])
    assert again.add([entry(3)]) == [False]
    assert Spool(tmp_path).add([entry(1), entry(4)]) == [False, True]


def test_a_lake_that_refuses_is_asked_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.add([entry(1)])

    def refuse(_: object) -> None:
        raise Unavailable("no lake today")

    with pytest.raises(Unavailable, match="no lake today"):
        spool.drain(refuse)
    spool.add([entry(2)])
    assert drained(spool) == [entry(1), entry(2)]


def test_a_crash_between_lake_and_keys_gives_the_lake_the_same_again(tmp_path: Path) -> None:
    Spool(tmp_path).add([entry(1)])
    ids = tmp_path / "accepted" / f"{DAY}.ids"
    ids.write_bytes(entry(7).key + b"torn")
    spool = Spool(tmp_path)
    assert drained(spool) == [entry(1)]
    assert ids.read_bytes() == entry(7).key + entry(1).key
    assert spool.add([entry(7), entry(1)]) == [False, False]


def test_a_disk_without_room_takes_back_what_was_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    spool.add([entry(1)])
    write = os.write

    def full(handle: int, content: memoryview) -> int:
        if len(content) > 10:
            return write(handle, content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    def small(handle: int, content: memoryview) -> int:
        monkeypatch.setattr(os, "write", lambda *_: full(handle, memoryview(b"")))
        return write(handle, content[:10])

    monkeypatch.setattr(os, "write", small)
    with pytest.raises(Full, match="no room is left"):
        spool.add([entry(2)])
    monkeypatch.setattr(os, "write", write)
    assert spool.damaged == 0
    assert spool.add([entry(2), entry(3)]) == [True, True], "what was refused is not known"
    assert drained(spool) == [entry(1), entry(2), entry(3)]
    assert spool.damaged == 0


def test_after_a_sync_that_failed_the_file_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    spool.add([entry(1)])
    sync = os.fsync

    def fails(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(Unavailable, match="Input/output error"):
        spool.add([entry(2)])
    monkeypatch.setattr(os, "fsync", sync)
    spool.add([entry(2)])
    assert len(list(tmp_path.glob("*.log"))) == 2
    assert drained(spool) == [entry(1), entry(2)]


def test_a_spool_cut_by_somebody_else_refuses_once_and_keeps_what_is_left(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.add([entry(1)])
    spool.add([entry(2)])
    [file] = tmp_path.glob("*.log")
    os.truncate(file, file.stat().st_size - 3)
    with pytest.raises(Unavailable, match="changed by something else"):
        spool.add([entry(3)])
    assert spool.add([entry(3)]) == [True]
    assert drained(spool) == [entry(1), entry(3)]
    assert spool.damaged == 1, "the rest of the cut report is kept aside"


def test_the_spool_holds_so_much_and_no_more(tmp_path: Path) -> None:
    spool = Spool(tmp_path, most_bytes=1000)
    count = 0
    while spool.waiting < 850:
        spool.add([entry(count, bytes(100))])
        count += 1
    with pytest.raises(Full):
        spool.add([entry(count, bytes(200))])
    assert len(drained(spool)) == count == 7
    assert spool.add([entry(count)]) == [True], "once it is drained it takes more"


def test_large_files_are_sealed(tmp_path: Path) -> None:
    spool = Spool(tmp_path, file_bytes=300)
    for number in range(6):
        spool.add([entry(number, bytes(100))])
    assert len(list(tmp_path.glob("*.log"))) == 2
    assert len(drained(spool)) == 6


def test_a_folder_that_cannot_be_had_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RingbackError, match="can't be used as a spool"):
        Spool(tmp_path / "file")


def test_days_in_memory_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "DAYS", 2)
    spool = Spool(tmp_path)
    several = [Entry(bytes([n]) * 16, date(2025, 8, n), b"x") for n in range(1, 6)]
    spool.add(several)
    drained(spool)
    assert spool.add(several) == [False] * 5
    assert len(spool._accepted) <= 2
