"""Import, export and the store from the command line."""

import json
import stat
from pathlib import Path
from typing import get_args

import msgspec
import pyarrow.parquet as pq
import pytest

from ringback.cli import main
from ringback.collect.importing import REASONS
from ringback.store import Lake, checking, schema
from ringback.words import LANGUAGES, Language, load
from tests.collect.records import line, telegram
from tests.collect.test_ringback import CLOSING, measurement
from tests.store.observations import seen


@pytest.fixture
def file(tmp_path: Path) -> Path:
    lines = [line("telegram", telegram(n), report_id=f"r{n}") for n in (0, 12)] + [line("tor", {"a": 1}), b"---"]
    (tmp_path / "ooni.jsonl").write_bytes(b"\n".join(lines))
    return tmp_path / "ooni.jsonl"


def test_import_tells_what_was_read_kept_and_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "ooni", str(file)]) == 0
    told = capsys.readouterr().out
    assert "Read 4, kept 2, refused 2." in told
    assert "refused 1: no JSON" in told
    assert "2 are new, 0 were there already" in told
    assert main(["import", "ooni", str(file)]) == 0
    assert "0 are new, 2 were there already" in capsys.readouterr().out


def test_the_same_as_one_object_with_words_apart(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "ooni", str(file), "--json", "--lang", "ru"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == {
        "read": 4,
        "kept": 2,
        "measurements": 2,
        "observations": 2,
        "new": 2,
        "refused": {"other-test": 1, "not-json": 1},
    }
    assert "Прочитано 4" in told.err


@pytest.mark.parametrize("content", [b"---", b"", None])
def test_where_nothing_is_kept_it_ends_with_two(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "f").write_bytes(content)
    assert main(["import", "ooni", str(tmp_path / "f")]) == 2


def test_a_file_that_is_not_there_costs_itself_alone(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "ooni", str(file.parent / "absent"), str(file)]) == 0
    assert "absent was left out" in capsys.readouterr().err


@pytest.mark.parametrize("tokens", [["import", "ooni"], ["import", "gossip", "f"], ["export", "xml"]])
def test_what_can_not_be_meant_is_bad_usage(tokens: list[str]) -> None:
    assert main(tokens) == 2


def test_what_goes_out_comes_in_again(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "own"
    own.write_bytes(b"\n".join(msgspec.json.encode(one) for one in (measurement(), CLOSING)))
    assert main(["import", "ndjson", str(own), "--data", str(tmp_path / "a")]) == 0
    assert main(["import", "ooni", str(file), "--data", str(tmp_path / "a")]) == 0
    for form, kind in (("ndjson", "ndjson"), ("ooni", "ooni")):
        out, other = tmp_path / form, tmp_path / f"lake-{form}"
        assert main(["export", form, "--data", str(tmp_path / "a"), "--out", str(out)]) == 0
        assert main(["import", kind, str(out), "--data", str(other)]) == 0
        assert exported(tmp_path / "a", capsys) == exported(other, capsys)


def exported(data: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["export", "ndjson", "--data", str(data)]) == 0
    told = capsys.readouterr().out
    assert told.count("\n") == 3
    return told


def test_parquet_goes_out_with_its_schema(file: Path, tmp_path: Path) -> None:
    assert main(["import", "ooni", str(file)]) == 0
    assert main(["export", "parquet", "--out", str(tmp_path / "o.parquet")]) == 0
    table = pq.read_table(tmp_path / "o.parquet")
    assert table.num_rows == 2
    assert table.schema.equals(schema.COLUMNS)


def test_an_empty_store_is_sound_and_exports_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "ndjson"]) == 0
    assert main(["store", "check"]) == 0
    told = capsys.readouterr()
    assert "no observation yet" in told.err
    assert "sound" in told.out


@pytest.mark.parametrize("what", ["check", "compact", "rebuild"])
def test_a_folder_that_is_not_there_is_not_called_sound(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["store", what, "--data", str(tmp_path / "misspelt")]) == 2
    assert "misspelt: there is no such folder" in capsys.readouterr().err


def test_damage_is_found_and_mended_as_the_words_say(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(tmp_path / "d")]
    assert main(["import", "ooni", str(file), *data]) == 0
    (part,) = (tmp_path / "d" / "lake" / "observations").rglob("*.parquet")
    part.write_bytes(b"damaged")
    capsys.readouterr()
    assert main(["store", "check", "--json", *data]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["remedy"] == "rebuild"
    assert "ringback store rebuild" in told.err
    assert main(["store", "rebuild", *data]) == 0
    assert main(["store", "compact", *data]) == 0
    assert main(["store", "check", *data]) == 0


@pytest.mark.parametrize("how", ["missing", "cut", "other", "list"])
@pytest.mark.parametrize("command", [["events"], ["claims"], ["prevalence"], ["export", "ndjson"], ["import"]])
def test_a_damaged_store_is_a_fault_told_with_its_file_and_what_to_do(
    command: list[str], how: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(tmp_path / "d")]
    assert main(["import", "ooni", str(file), *data]) == 0
    (part,) = (tmp_path / "d" / "lake" / "observations").rglob("*.parquet")
    if how == "list":
        part = tmp_path / "d" / "lake" / "manifest.json"
    if how == "missing":
        part.unlink()
    else:
        part.write_bytes(part.read_bytes()[:-9] if how == "cut" else b"damaged")
    capsys.readouterr()
    assert main([*(["import", "ooni", str(file)] if command == ["import"] else command), *data]) == 1
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert str(part) in told
    assert "`ringback store " in told
    assert not [word for word in ("DuckDB", "duckdb", "Error:", "parquet file", "LINE 1", "magic") if word in told]


def test_a_rebuild_names_what_was_received_and_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lake = Lake(tmp_path / "lake")
    lake.append([seen(1), seen(2)])
    (part,) = lake.parts()
    part.unlink()
    assert main(["store", "rebuild", "--data", str(tmp_path), "--lang", "en"]) == 1
    told = capsys.readouterr().err
    assert part.relative_to(lake.folder).as_posix() in told
    assert "observations of 2025-08-13: 2." in told
    assert main(["store", "check", "--data", str(tmp_path)]) == 1


def test_pages_are_not_written_over_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "site").write_text("a letter")
    assert main(["publish", str(tmp_path / "site"), "--data", str(tmp_path)]) == 2
    assert "site: is no folder" in capsys.readouterr().err


@pytest.mark.parametrize("written", ["ru-2025-08\nabc\n", ""])
def test_real_measurements_are_not_taken_in_among_those_of_invented_people(
    written: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "country"
    folder.mkdir()
    (folder / "emulated").write_text(written)
    assert main(["import", "ooni", str(file), "--data", str(folder)]) == 2
    told = capsys.readouterr().err
    assert f"--data {folder}: holds the emulated country {written.partition(chr(10))[0]}" in told
    assert [one.name for one in folder.iterdir()] == ["emulated"], "nothing was made in it"


def test_the_store_is_open_to_its_owner_alone(file: Path, tmp_path: Path) -> None:
    assert main(["import", "ooni", str(file), "--data", str(tmp_path / "d")]) == 0
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "d" / "lake").stat().st_mode) == 0o700


def test_the_modes_of_a_folder_that_somebody_else_made_are_theirs(file: Path, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0o755)
    assert main(["import", "ooni", str(file), "--data", str(tmp_path / "d")]) == 0
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "d" / "lake").stat().st_mode) == 0o700


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_and_every_remedy_has_its_words(language: Language) -> None:
    phrases = load(language)
    wanted = [f"refused.{reason}" for reason in REASONS]
    wanted += [f"store.remedy.{one}" for one in get_args(checking.Remedy)]
    wanted += [f"store.{fault}" for fault in get_args(checking.Fault)]
    assert [key for key in wanted if not phrases.has(key)] == []
