"""What is kept on disk: for its owner's eyes, and without addresses."""

import stat
from datetime import date
from pathlib import Path

import msgspec
import pytest

from ringback.cli import folders, results
from ringback.cli.speech import Records
from ringback.errors import BadInput, Unavailable
from ringback.record import (
    Arm,
    Cell,
    DatagramOutcome,
    ExchangeRecord,
    ExchangeSpec,
    IcmpError,
    Lane,
    Report,
    Round,
    Try,
)
from ringback.trial.cells import CellTrial
from ringback.trial.terms import Result
from tests.words.situations import NORMAL, session

HOME_ROUTER = "192.0.2.77"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def result() -> Result:
    refused = [IcmpError(0.1, 3, 3, HOME_ROUTER)]
    cell = Cell("signal", "voice", "outgoing", "relay")
    spec = ExchangeSpec(
        1, "signal", "voice", "outgoing", "relay", "relay-call", Arm("original", "app"), "udp", 3478, 10.5
    )
    outcome = DatagramOutcome(Lane(), Lane(), icmp=refused)
    trial = CellTrial(cell, (), 1000.0, 1)
    trial.add(Round(1, cell, "relay-call", 0.0, [ExchangeRecord(spec, 0, 0.0, outcome)], [10.5]))
    one = Try("here", "direct", "app", "turn", "signal", "voice", "relay-call", "udp", 3478, 0.0, 1, 0, icmp=refused)
    return Result([trial], [one], [b"\1" * 32], b"\2" * 64, b"\3" * 32, "reported", 4.0, ["a note"], False)


def test_a_report_is_for_its_owner_alone() -> None:
    file, _ = results.save(result(), session(), NORMAL, "1")
    assert file.parent == folders.results_folder()
    assert mode(file) == 0o600
    assert mode(file.parent) == 0o700
    assert mode(file.parent.parent) == 0o700
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_report_holds_the_session_and_no_address_of_its_sender() -> None:
    file, _ = results.save(result(), session(), NORMAL, "1", ["another"])
    assert HOME_ROUTER not in file.read_text()
    kept = msgspec.json.decode(file.read_bytes(), type=Report)
    assert len(kept.measurements) == 16
    assert kept.network == NORMAL
    assert kept.consent == "1"
    assert kept.transcript == ["01" * 32]
    assert kept.signature == "02" * 64
    assert kept.peer_key == "03" * 32
    assert kept.notes == ["a note", "another"]
    assert kept.rounds[0].exchanges[0].outcome.icmp[0].type == 3  # type: ignore[union-attr]


def test_a_pseudonym_lives_for_one_day(tmp_path: Path) -> None:
    monday, tuesday = date(2025, 8, 11), date(2025, 8, 12)
    first = results.pseudonym(tmp_path, monday)
    assert results.pseudonym(tmp_path, monday) == first
    second = results.pseudonym(tmp_path, tuesday)
    assert second != first
    assert results.pseudonym(tmp_path, monday) not in (first, second)
    assert mode(tmp_path / results.PSEUDONYM) == 0o600


def test_records_are_written_for_their_owner_even_over_an_open_file(tmp_path: Path) -> None:
    out = tmp_path / "out.ndjson"
    out.write_text("old")
    out.chmod(0o644)
    with Records(json=False, out=out) as records:
        records.write({"a": 1})
        assert out.read_text() == '{"a":1}\n'  # as it comes, not at the end
        records.write({"b": 2})
    assert out.read_text() == '{"a":1}\n{"b":2}\n'
    assert mode(out) == 0o600


def test_a_file_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nowhere"), Records(json=False, out=tmp_path / "nowhere" / "out"):
        pass


def test_a_folder_that_cannot_be_made_private_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="private"):
        folders.make_private(tmp_path / "file" / "folder")


def test_folders_follow_the_environment(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    assert folders.results_folder() == home / "data" / "ringback" / "results"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert folders.data_folder() == home / ".local" / "share" / "ringback"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert folders.config_folder() == home / ".config" / "ringback"
