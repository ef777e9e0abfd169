"""What doctor says of an installation."""

import json

import msgspec
import pytest

from ringback.cli import consent, doctor, folders, main
from ringback.words import load


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    assert main(["doctor", "--json"]) == 0
    return {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}


def test_doctor_says_of_each_part_whether_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys)
    assert found["python"]["ok"] is True
    assert {"extra lab", "user namespaces", "ports below 1024", "disk", "clock", "results"} <= set(found)
    assert all(row["detail"] for row in found.values())


def test_results_that_others_can_read_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    folder = folders.make_private(folders.results_folder())
    assert told(capsys)["results"]["ok"] is True
    (folder / "report.json").write_text("{}")
    found = told(capsys)["results"]
    assert found["ok"] is False
    assert "report.json" in str(found["detail"])


def test_an_extra_that_is_not_installed_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.EXTRAS, "lab", ("no_such_module",))
    found = doctor._extra("lab")
    assert found.ok is False
    assert found.detail == "no_such_module not installed: pip install 'ringback[lab]'"


def test_doctor_speaks_russian(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--lang", "ru"]) == 0
    assert "Что может эта установка" in capsys.readouterr().out


def test_consent_is_there_only_once_it_was_given_to_the_present_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys)["consent"]["ok"] is False
    folder = folders.make_private(folders.config_folder())
    for version, ok in (("0", False), (load("en").say("consent.version"), True)):
        given = consent.Consent(version, "2026-01-01T00:00:00Z", "en")
        folders.write_private(folder / consent.FILE, msgspec.json.encode(given))
        assert told(capsys)["consent"]["ok"] is ok
