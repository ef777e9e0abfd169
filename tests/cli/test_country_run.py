"""Where an emulated country's store goes: never among real people's measurements."""

from pathlib import Path

import msgspec
import pytest

from ringback.cli.country_run import folder_of
from ringback.errors import BadInput
from ringback.lab.nation import Nation, load


@pytest.fixture(scope="module")
def nation() -> Nation:
    return load("ru-2025-08")


def test_the_store_is_in_the_folder_that_was_named(tmp_path: Path, nation: Nation) -> None:
    folder = folder_of(tmp_path / "country", nation)
    assert folder == tmp_path / "country"
    assert (folder / "networks.json").exists()
    (folder / "observations").mkdir()
    assert folder_of(folder, nation) == folder, "the same country goes on in it"


def test_without_a_folder_it_has_one_of_its_own_among_the_users(
    tmp_path: Path, nation: Nation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert folder_of(None, nation).name == "demo-ru-2025-08"
    assert tmp_path in folder_of(None, nation).parents


def test_invented_people_do_not_join_real_ones(tmp_path: Path, nation: Nation) -> None:
    (tmp_path / "observations").mkdir()
    with pytest.raises(BadInput, match="measurements of real networks"):
        folder_of(tmp_path, nation)


def test_nor_those_of_another_country(tmp_path: Path, nation: Nation) -> None:
    folder_of(tmp_path, nation)
    (tmp_path / "observations").mkdir()
    with pytest.raises(BadInput, match="ru-2025-08"):
        folder_of(tmp_path, msgspec.structs.replace(nation, name="elsewhere"))
