"""The lake: adding twice adds once, damage is found and said, and what was made from raw files can be made again."""

import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pytest

from ringback.collect.importing import Tally
from ringback.errors import BadInput, Damaged, Unavailable
from ringback.store import Lake, Reading, Selection, check, intake, manifest, rebuild, schema
from ringback.store import lake as keeping
from ringback.store.engine import answered
from tests.collect.records import line, telegram
from tests.conftest import ROOT
from tests.store.observations import START, seen

pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table")  # ibis 12's own call of DuckDB 2


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def everything(lake: Lake) -> list[object]:
    return list(Reading(lake).observations())


def test_adding_twice_adds_once(lake: Lake) -> None:
    several = [seen(n, hours=n) for n in range(30)]
    first = lake.append(several)
    assert (len(first.kept), first.doubled) == (30, 0)
    again = lake.append([*several, seen(31)])
    assert (again.kept, again.doubled) == ((seen(31).id,), 30)
    assert everything(lake) == sorted([*several, seen(31)], key=lambda one: (one.time, one.id))


def test_the_same_one_given_twice_at_once_counts_once(lake: Lake) -> None:
    assert lake.append([seen(1), seen(1)]) == lake.append([]).__class__((seen(1).id,), 1)


def test_days_are_folders_and_an_empty_lake_is_one(lake: Lake) -> None:
    assert (everything(lake), check(lake), lake.days()) == ([], [], [])
    lake.append([seen(1), seen(2, hours=24)])
    assert sorted(path.name for path in (lake.folder / "observations").iterdir()) == [
        "date=2025-08-13",
        "date=2025-08-14",
    ]
    assert lake.days(since=date(2025, 8, 14)) == [date(2025, 8, 14)]


def test_every_field_comes_back_as_it_went_in(lake: Lake) -> None:
    odd = seen(
        1,
        bypassed_by=["wireguard", "vpn"],
        e_value=1e300,
        bytes=(1 << 53),
        spillover=True,
        failure="Ошибка \U0001f600",
        pseudonym="p",
        target="site.example",
        rate_kbps=0.1,
        trigger="payload",
    )
    lake.append([odd, seen(2)])
    assert set(map(msgspec.json.encode, everything(lake))) == {msgspec.json.encode(odd), msgspec.json.encode(seen(2))}


def test_joining_parts_changes_no_observation(lake: Lake) -> None:
    for n in range(5):
        lake.append([seen(n, hours=n)])
    before = everything(lake)
    assert len(lake.parts()) == 5
    assert lake.compact() == 1
    assert (len(lake.parts()), everything(lake), check(lake)) == (1, before, [])
    assert lake.compact() == 0


def test_who_read_the_list_before_parts_were_joined_can_still_read_them(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = [seen(n, hours=n) for n in range(3)]
    for one in own:
        lake.append([one])
    reading, old = Reading(lake), lake.parts()
    assert reading.table is not None
    lake.compact()
    assert [cell.n for cell in reading.cells(["source"], Selection(region=["RU-MOW"]))] == [3]
    assert (all(part.exists() for part in old), check(lake)) == (True, [])
    lake.append([seen(9, hours=24)])
    assert all(part.exists() for part in old)
    monkeypatch.setattr(keeping, "GRACE_S", 0.0)
    lake.append([seen(10, hours=24)])
    assert not any(part.exists() for part in old)
    assert (lake.manifest().retired, check(lake), len(everything(lake))) == ({}, [], 5)


@pytest.mark.parametrize("content", [None, b"", b"PAR1", b"damaged" * 100])
def test_a_question_to_a_damaged_lake_is_answered_with_what_to_do(lake: Lake, content: bytes | None) -> None:
    lake.append([seen(1)])
    (part,) = lake.parts()
    if content is None:
        part.unlink()
    else:
        part.write_bytes(content)
    questions: list[Callable[[Reading], object]] = [
        lambda reading: reading.cells(["app"]),
        lambda reading: reading.cells(["target"]),
        lambda reading: reading.series("whatsapp", "voice", 64500),
        lambda reading: list(reading.observations()),
    ]
    for question in questions:
        with pytest.raises(Damaged, match="store check"):
            question(Reading(lake))


def out_of_memory() -> BaseException:
    """The engine's own error."""
    small = duckdb.connect(config={"memory_limit": "2MB", "max_temp_directory_size": "0B"})
    with pytest.raises(duckdb.OutOfMemoryException) as found:
        small.sql("select range % 100003 k, list(range) from range(300000) group by k").to_arrow_table()
    return found.value


FULL = duckdb.IOException('IO Error: Could not write file "/tmp/x": No space left on device')
BUG = duckdb.BinderException('Binder Error: Referenced column "x" not found')


@pytest.mark.parametrize(
    ("error", "harm", "kind", "told"),
    [
        (out_of_memory, False, Unavailable, "memory ran out"),
        (MemoryError, False, Unavailable, "memory ran out"),
        (out_of_memory, True, Unavailable, "memory ran out"),
        (lambda: FULL, False, Unavailable, "the disk is full"),
        (lambda: BUG, False, duckdb.BinderException, "Binder"),
        (lambda: BUG, True, Damaged, "store check"),
    ],
)
def test_only_what_is_damaged_is_called_so(
    lake: Lake, error: Callable[[], BaseException], harm: bool, kind: type[BaseException], told: str
) -> None:
    class Failing:
        def to_pyarrow(self) -> None:
            raise error()

    lake.append([seen(1), seen(2, hours=24)])
    if harm:
        lake.parts()[1].write_bytes(lake.parts()[1].read_bytes()[:-1] + b"?")
    with pytest.raises(kind, match=told) as found:
        answered(Failing(), lake.parts)
    if kind is Damaged:
        assert found.value.where == str(lake.parts()[1])  # type: ignore[attr-defined]


def test_what_may_not_be_read_is_neither_missing_nor_damaged(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.append([seen(1)])

    def refused(file: Path) -> str:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(manifest, "checksum", refused)
    found = manifest.fault(OSError("can't open"), lake.parts())
    assert str(found).startswith(f"{lake.parts()[0]} can't be read: Permission denied")


def test_the_files_say_which_version_of_the_schema_they_hold(lake: Lake) -> None:
    lake.append([seen()])
    assert schema.version(pa.parquet.read_schema(lake.parts()[0]), "part") == schema.VERSION
    newer = schema.COLUMNS.with_metadata({b"ringback.lake": b"99"})
    with pytest.raises(BadInput, match="newer Ringback"):
        schema.version(newer, "part")
    with pytest.raises(BadInput, match="no part of a lake"):
        schema.version(pa.schema([("x", pa.int8())]), "part")


def taken_in(lake: Lake, tmp_path: Path, name: str = "file") -> Tally:
    (tmp_path / name).write_bytes(b"\n".join(line("telegram", telegram(n), report_id=f"r{n}") for n in (0, 2, 12)))
    tally = Tally()
    intake(lake, "ooni", tmp_path / name, tally)
    return tally


def test_a_file_taken_in_twice_is_taken_once(lake: Lake, tmp_path: Path) -> None:
    first, again = taken_in(lake, tmp_path), taken_in(lake, tmp_path, "copy")
    assert (first.kept, first.new, first.doubled) == (3, 3, 0)
    assert (again.kept, again.new, again.doubled) == (3, 0, 3)
    assert len(lake.manifest().raw) == 1


def test_a_file_taken_in_is_open_to_its_owner_alone(lake: Lake, tmp_path: Path) -> None:
    taken_in(lake, tmp_path)
    kept = [lake.folder / "raw", *(lake.folder / "raw").rglob("*")]
    assert [one.stat().st_mode & 0o777 for one in kept] == [0o700, 0o700, 0o600]


def test_a_file_of_which_nothing_is_kept_leaves_nothing(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"---")
    intake(lake, "ooni", tmp_path / "f", tally := Tally())
    assert tally.kept == 0
    assert (lake.manifest().raw, check(lake)) == ({}, [])


def test_what_was_derived_can_be_made_again_and_what_was_collected_stays(lake: Lake, tmp_path: Path) -> None:
    taken_in(lake, tmp_path)
    lake.append([seen(1), seen(2, hours=30)])
    before = everything(lake)
    for path, part in lake.manifest().parts.items():
        if part.derived:
            (lake.folder / path).write_bytes(b"damaged")
    assert [(one.fault, one.remedy) for one in check(lake)] == [("damaged", "rebuild")]
    assert rebuild(lake) == 3
    assert (everything(lake), check(lake)) == (before, [])


def damage(lake: Lake, path: str, how: str) -> None:
    file = lake.folder / path
    if how == "missing":
        file.unlink()
    else:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_each_loss_is_found_and_its_remedy_said(lake: Lake, tmp_path: Path, how: str) -> None:
    taken_in(lake, tmp_path)
    lake.append([seen(1)])
    parts, raw = lake.manifest().parts, lake.manifest().raw
    expected = {path: "rebuild" if part.derived else "restore" for path, part in parts.items()} | dict.fromkeys(
        raw, "import"
    )
    assert len(expected) == 3
    for path in expected:
        damage(lake, path, how)
    (lake.folder / "raw" / "stray").write_bytes(b"x")
    found = {one.path: (one.fault, one.remedy) for one in check(lake)}
    assert found == {path: (how, remedy) for path, remedy in expected.items()} | {"raw/stray": ("unlisted", "foreign")}


def test_a_damaged_day_is_not_added_to_and_says_what_to_do(lake: Lake) -> None:
    lake.append([seen(1)])
    lake.parts()[0].write_bytes(b"damaged")
    with pytest.raises(BadInput, match="store check"):
        lake.append([seen(2)])
    assert len(lake.append([seen(3, hours=48)]).kept) == 1


def test_rebuilding_goes_on_without_a_collected_part_that_is_lost(lake: Lake) -> None:
    lake.append([seen(1)])
    lake.append([seen(2, hours=24)])
    lake.parts()[0].unlink()
    assert rebuild(lake) == 0
    assert everything(lake) == [seen(2, hours=24)]


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_a_received_part_that_is_lost_stays_listed_until_a_backup_brings_it_back(lake: Lake, how: str) -> None:
    lake.append([seen(1)])
    lake.append([seen(2, hours=24)])
    (file, _), (lost, _) = lake.parts(), lake.manifest().parts
    whole = file.read_bytes()
    damage(lake, lost, how)
    for _ in range(2):  # and once more: what is lost is not forgotten by the next one
        assert rebuild(lake) == 0
        assert {path: part.rows for path, part in lake.manifest().lost.items()} == {lost: 1}
        assert everything(lake) == [seen(2, hours=24)]
        assert [(one.fault, one.path, one.remedy) for one in check(lake)] == [(how, lost, "restore")]
    lake.compact()
    assert (lake.folder / lost).exists() is (how == "damaged")
    file.write_bytes(whole)
    assert [(one.fault, one.path, one.remedy) for one in check(lake)] == [("unlisted", lost, "take")]
    assert rebuild(lake) == 0
    assert (everything(lake), check(lake), lake.manifest().lost) == ([seen(1), seen(2, hours=24)], [], {})


def test_a_lost_raw_file_stops_a_rebuild_before_anything_changes_and_comes_back_by_importing(
    lake: Lake, tmp_path: Path
) -> None:
    taken_in(lake, tmp_path)
    before = everything(lake)
    (path,) = lake.manifest().raw
    damage(lake, path, "damaged")
    with pytest.raises(BadInput, match="import file again"):
        rebuild(lake)
    assert everything(lake) == before
    taken_in(lake, tmp_path)
    assert check(lake) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", ("damaged", "list")),
        (b'{"schema": "ringback/lake/9", "parts": 7}', ("newer", "update")),
        (b'{"parts": 7}', ("damaged", "list")),
        (b"", ("damaged", "list")),
        (b"\xff" * 9, ("damaged", "list")),
        (b"[" * 100_000, ("damaged", "list")),
    ],
)
def test_a_list_that_can_not_be_read_is_bad_input_and_found(
    lake: Lake, content: bytes, problem: tuple[str, str]
) -> None:
    lake.append([seen(1)])
    (lake.folder / "manifest.json").write_bytes(content)
    with pytest.raises(BadInput, match="manifest"):
        lake.manifest()
    assert [(one.fault, one.remedy, one.path) for one in check(lake)] == [(*problem, "manifest.json")]


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd"])
def test_a_list_that_leads_out_of_the_lake_is_refused(lake: Lake, path: str) -> None:
    lake.append([seen(1)])
    listed = lake.manifest()
    (part,) = listed.parts.values()
    listed.parts[path] = part
    (lake.folder / "manifest.json").write_bytes(msgspec.json.encode(listed))
    with pytest.raises(BadInput, match="outside the lake"):
        lake.parts()


def test_an_interrupted_change_leaves_the_old_lake(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from ringback.store import manifest

    lake.append([seen(1)])

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(manifest, "save", dies)
        with pytest.raises(KeyboardInterrupt):
            lake.append([seen(2)])
    assert everything(lake) == [seen(1)]
    assert [(one.fault, one.remedy) for one in check(lake)] == [("unlisted", "take")]
    assert len(lake.append([seen(2)]).kept) == 1
    assert check(lake) == []


WRITER = """
import sys
from pathlib import Path
from ringback.store.lake import Lake
from tests.store.observations import seen
for n in range(3):
    Lake(Path(sys.argv[1])).append([seen(int(sys.argv[2]) + n), seen(1000)])
"""


def test_writers_in_two_processes_take_turns(lake: Lake) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, lake.folder, first], cwd=ROOT) for first in ("0", "100")]
    assert [one.wait(90) for one in writers] == [0, 0]
    assert len(everything(lake)) == 7
    assert check(lake) == []


def test_times_are_of_the_utc_day() -> None:
    (row,) = schema.table([seen(1, hours=14.99)]).to_pylist()
    assert row["day"] == START.date()
