"""What lies in a lake's folder and is in no list: told apart, taken in where the lake lacks it, cleared where not."""

import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ringback.collect.importing import Tally
from ringback.errors import BadInput
from ringback.record import Observation
from ringback.store import Lake, Reading, check, intake, leftovers, manifest, rebuild, schema
from tests.collect.records import line, telegram
from tests.conftest import ROOT
from tests.store.observations import seen

pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table")  # ibis 12's own call of DuckDB 2


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def everything(lake: Lake) -> list[Observation]:
    return list(Reading(lake).observations())


def problems(lake: Lake) -> Counter[tuple[str, str]]:
    return Counter((one.fault, one.remedy) for one in check(lake))


def filled(lake: Lake, folder: Path) -> list[Observation]:
    """A raw file with three measurements, and what a collector added on two days."""
    (folder / "file").write_bytes(b"\n".join(line("telegram", telegram(n), report_id=f"r{n}") for n in (0, 2, 12)))
    intake(lake, "ooni", folder / "file", Tally())
    lake.append([seen(1), seen(2, hours=30)])
    lake.append([seen(3)])
    return everything(lake)


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_a_list_that_is_lost_is_made_again_from_the_files(lake: Lake, tmp_path: Path, how: str) -> None:
    before = filled(lake, tmp_path)
    if how == "missing":
        (lake.folder / "manifest.json").unlink()
    else:
        (lake.folder / "manifest.json").write_bytes(b"{")
    assert problems(lake) == {(how, "list"): 1}
    with pytest.raises(BadInput, match="store rebuild"):
        lake.append([seen(9)])  # it must not begin a new lake among the old one's files
    rebuild(lake)
    assert (everything(lake), check(lake)) == (before, [])
    assert len(lake.manifest().raw) == 1
    rebuild(lake)
    assert everything(lake) == before


def test_a_list_from_a_backup_finds_what_came_since(lake: Lake, tmp_path: Path) -> None:
    lake.append([seen(1)])
    shutil.copy(lake.folder / "manifest.json", tmp_path / "backup")
    lake.append([seen(2), seen(3, hours=30)])
    shutil.copy(tmp_path / "backup", lake.folder / "manifest.json")
    assert everything(lake) == [seen(1)]
    assert problems(lake) == {("unlisted", "take"): 2}
    lake.compact()  # clears what is left over, and this is not
    rebuild(lake)
    assert (len(everything(lake)), check(lake)) == (3, [])


def test_the_same_rows_in_two_lost_parts_are_taken_once(lake: Lake) -> None:
    """A list lost just when parts were being joined: old and new ones lie side by side."""
    lake.append([seen(1)])
    lake.append([seen(2)])
    lake.compact()
    listed = lake.manifest()
    assert len(listed.retired) == 2
    listed.retired.clear()
    manifest.save(lake.folder, listed)
    assert problems(lake) == {("unlisted", "delete"): 2}
    (lake.folder / "manifest.json").unlink()
    rebuild(lake)
    assert len(everything(lake)) == 2
    assert check(lake) == []


def test_files_of_others_are_told_and_left_where_they_are(lake: Lake, tmp_path: Path) -> None:
    before = filled(lake, tmp_path)
    day = lake.parts()[0].parent
    odd: dict[Path, bytes] = {day / "notes.txt": b"x", day / f"{'0' * 24}.2.parquet": b"garbage"}
    odd |= {lake.folder / "raw" / "ooni" / f"{'0' * 32}.zst": b"x", lake.folder / "raw" / "own.json": b"{}"}
    foreign = day / f"{'1' * 24}.parquet"
    pq.write_table(pa.table({"id": ["1"], "x": [2]}), foreign)
    for file, content in odd.items():
        file.write_bytes(content)
    (day / ".x.parquet.77.part").write_bytes(b"half")
    assert problems(lake) == {("unlisted", "foreign"): 5, ("unlisted", "delete"): 1}
    lake.compact()
    rebuild(lake)
    assert everything(lake) == before
    assert all(file.exists() for file in (*odd, foreign))
    assert problems(lake) == {("unlisted", "foreign"): 5}


def test_a_part_of_a_newer_version_is_told_and_read_as_far_as_it_is_known(lake: Lake) -> None:
    lake.append([seen(1)])
    (path,) = lake.manifest().parts
    rows = pq.read_table(lake.folder / path, partitioning=None)
    rows = rows.append_column("mood", pa.array(["good"]))
    newer = path.replace(schema.SUFFIX, ".99.parquet")
    pq.write_table(rows.replace_schema_metadata({b"ringback.lake": b"99"}), lake.folder / newer)
    listed = lake.manifest()
    digest = manifest.checksum(lake.folder / newer)
    listed.parts[newer] = manifest.Part("2025-08-13", 1, 1, digest, False)
    del listed.parts[path]
    manifest.save(lake.folder, listed)
    (lake.folder / path).unlink()
    assert problems(lake) == {("newer", "update"): 1}
    lake.append([seen(2, hours=24)])
    assert everything(lake) == [seen(1), seen(2, hours=24)]
    with pytest.raises(BadInput, match="newer Ringback"):
        lake.append([seen(3)])


@pytest.mark.parametrize("path", ["raw/ooni/x.zst", "raw/nobody/" + "0" * 32 + ".zst", "observations/x.parquet"])
def test_names_that_no_lake_gives_are_foreign(lake: Lake, path: str) -> None:
    (lake.folder / path).parent.mkdir(parents=True)
    (lake.folder / path).write_bytes(b"")
    assert leftovers.kind(lake.folder, manifest.Manifest(), path) == "foreign"


def test_without_the_right_to_read_it_is_said(lake: Lake) -> None:
    if os.geteuid() == 0:
        as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        if not shutil.which("setpriv"):
            pytest.skip("root may read everything, and there is no setpriv")
    else:
        as_nobody = []
    lake.append([seen(1)])
    for each in (lake.folder / "manifest.json", lake.folder):
        each.chmod(0)
        told = subprocess.run(
            [*as_nobody, sys.executable, "-c", CHECKER, lake.folder], capture_output=True, check=False
        )
        each.chmod(0o700)
        assert told.stdout.startswith(b"BadInput"), told.stdout + told.stderr


CHECKER = """
import sys
from pathlib import Path
from ringback.errors import RingbackError
from ringback.store import Lake, check
try:
    print(check(Lake(Path(sys.argv[1]))))
except RingbackError as error:
    print(type(error).__name__, error)
"""

JOINER = """
import os, random, signal, sys, time
from pathlib import Path
from ringback.store import Lake
from tests.store.observations import seen
lake, rng, number = Lake(Path(sys.argv[1])), random.Random(1), 0
Lake(Path(sys.argv[1]) / "warm").append([seen(0)])
for kill in range(int(sys.argv[2])):
    told, tell = os.pipe()
    if not (child := os.fork()):
        for n in range(number, number + 1000):
            lake.append([seen(n, hours=n % 3 * 24)])
            os.write(tell, b"%d\\n" % n)
            if n % 3 == 2:
                lake.compact()
        os._exit(0)
    os.close(tell)
    with os.fdopen(told, "rb") as acknowledged:
        for _ in range(rng.randint(1, 4)):
            number = int(acknowledged.readline()) + 1
        time.sleep(rng.uniform(0, 0.06))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        number = max([number, *(int(line) + 1 for line in acknowledged)])
    number += 1  # the one in hand may or may not be there
    print(number - 1, flush=True)
"""


@pytest.mark.slow
def test_kills_while_parts_are_joined_lose_nothing_and_double_nothing(lake: Lake) -> None:
    kills = 25
    joiner = subprocess.run(
        [sys.executable, "-c", JOINER, lake.folder, str(kills)], cwd=ROOT, capture_output=True, check=True, timeout=110
    )
    ends = list(map(int, joiner.stdout.split()))  # each number that was in hand when it was killed
    assert len(ends) == kills
    found = Counter(one.measurement for one in everything(lake))
    expected = {f"m-{n}" for n in range(ends[-1] + 1)}
    in_hand = {f"m-{n}" for n in ends}
    assert set(found.values()) == {1}
    assert expected - in_hand <= found.keys() <= expected
    assert {one.fault for one in check(lake)} <= {"unlisted"}
    lake.compact()
    rebuild(lake)
    assert check(lake) == []
    again = Counter(one.measurement for one in everything(lake))
    assert set(again.values()) == {1}
    assert found.keys() <= again.keys() <= expected


def test_a_lake_of_nothing_is_sound_and_can_be_made_again(lake: Lake) -> None:
    assert (rebuild(lake), lake.compact(), check(lake)) == (0, 0, [])
    shutil.rmtree(lake.folder)
    lake.folder.mkdir()
    assert (check(lake), everything(lake)) == ([], [])


def test_any_cut_or_changed_part_is_found(lake: Lake) -> None:
    lake.append([seen(n) for n in range(20)])
    (part,) = lake.parts()
    whole, rng = part.read_bytes(), random.Random(1)
    for _ in range(60):
        cut = rng.randrange(len(whole))
        changed = whole[:cut] if rng.random() < 0.5 else whole[:cut] + bytes([whole[cut] ^ 1]) + whole[cut + 1 :]
        part.write_bytes(changed)
        assert problems(lake) == {("damaged", "restore"): 1}
