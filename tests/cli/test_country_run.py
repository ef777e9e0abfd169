"""Where an emulated country's store goes: never among real people's measurements."""

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest

from ringback.cli import main
from ringback.cli.country_run import folder_of, read
from ringback.cli.folders import lake_folder
from ringback.errors import BadInput
from ringback.lab.nation import Nation, load, parse
from ringback.record import Observation, identified
from ringback.store import Lake
from tests.cli.test_serve import program

CALM = """
name = "calm"
country = "RU"
from = "2025-08-01T00:00:00Z"
until = "2025-08-02T00:00:00Z"

[link]
fixed = { rtt_ms = 40, jitter_ms = 4, loss = 0.004, loss_burst = 3, up_kbps = 20000, down_kbps = 60000 }

[[network]]
name = "one"
asn = 64500
region = "RU-MOW"
participants = 2
"""


@pytest.fixture(scope="module")
def nation() -> Nation:
    return load("ru-2025-08")


def held(folder: Path) -> None:
    """One observation is in the folder's store, as `import` or a collector puts it there."""
    when = datetime(2026, 3, 1, 9, tzinfo=UTC)
    seen = Observation(source="ooni", time=when, app="web", function="web", status="working", rules="import-1")
    Lake(lake_folder(folder)).append([identified(seen)])


def test_the_store_is_in_the_folder_that_was_named(tmp_path: Path, nation: Nation) -> None:
    folder = folder_of(tmp_path / "country", nation)
    assert folder == tmp_path / "country"
    assert (folder / "networks.json").exists()
    held(folder)
    assert folder_of(folder, nation) == folder, "the same country goes on in it"


def test_without_a_folder_it_has_one_of_its_own_among_the_users(
    tmp_path: Path, nation: Nation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert folder_of(None, nation).name == "demo-ru-2025-08"
    assert tmp_path in folder_of(None, nation).parents


def test_invented_people_do_not_join_real_ones(tmp_path: Path, nation: Nation) -> None:
    held(tmp_path)
    with pytest.raises(BadInput, match="measurements of real networks"):
        folder_of(tmp_path, nation)
    assert not (tmp_path / "emulated").exists()


def test_nor_those_of_another_country(tmp_path: Path, nation: Nation) -> None:
    held(folder_of(tmp_path, nation))
    with pytest.raises(BadInput, match="ru-2025-08"):
        folder_of(tmp_path, msgspec.structs.replace(nation, name="elsewhere"))


@pytest.mark.parametrize("named", [True, False])
def test_nor_those_of_the_same_file_before_it_was_changed(tmp_path: Path, nation: Nation, named: bool) -> None:
    data = tmp_path if named else None
    held(folder_of(data, nation))
    with pytest.raises(BadInput, match="before its file was changed"):
        folder_of(data, msgspec.structs.replace(nation, vpn_users=0.9))


def test_comments_and_the_place_of_a_rule_do_not_make_another_country(tmp_path: Path, nation: Nation) -> None:
    text = (files("ringback.lab") / "countries" / "ru-2025-08.toml").read_text("utf-8")
    moved = parse("# a remark\n\n" + text, "ru-2025-08.toml")
    held(folder_of(tmp_path, nation))
    assert folder_of(tmp_path, moved) == tmp_path


def test_what_ended_at_once_says_how_its_pages_are_had(tmp_path: Path) -> None:
    file, folder = tmp_path / "calm.toml", tmp_path / "a country"
    file.write_text(CALM)
    process = program("demo", "--once", "--country", str(file), "--data", str(folder))
    told, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert f"ringback serve --data '{folder}'" in told
    assert "http://" not in told, "nothing is served any more"
    assert Lake(lake_folder(folder)).days()


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize(
    "content", [CALM.replace('country = "RU"', 'country = "QQ"'), CALM.replace('country = "RU"', ""), "no TOML"]
)
def test_a_refused_file_leaves_no_folder_behind(
    content: str, once: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether it is a country's, a scenario's or neither."""
    file, folder = tmp_path / "bad.toml", tmp_path / "new"
    file.write_text(content)
    assert main(["demo", "--country", str(file), "--data", str(folder), *["--once"][: int(once)]]) == 2
    assert f"{file}:" in capsys.readouterr().err
    assert not folder.exists()


@pytest.mark.parametrize(("written", "near"), [("RU-SPB", "RU-SPE"), ("RU-XXX", "RU-UD")])
def test_a_network_is_in_a_region_that_the_pages_know(written: str, near: str, tmp_path: Path) -> None:
    file = tmp_path / "country.toml"
    file.write_text(CALM.replace("RU-MOW", written))
    with pytest.raises(BadInput) as refused:
        read(file)
    assert f"`{written}` is none of the 83 of RU in ISO 3166-2; nearest: {near}, RU-" in refused.value.what
    line = 1 + CALM.splitlines().index('region = "RU-MOW"')
    assert refused.value.where == f"{file}:{line}"


def test_a_country_without_a_map_may_have_any_region(tmp_path: Path) -> None:
    file = tmp_path / "country.toml"
    file.write_text(CALM.replace('"RU"', '"KE"').replace("RU-MOW", "KE-30"))
    assert read(file).providers[0].region == "KE-30"
