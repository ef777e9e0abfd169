"""The lab from the command line."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringback.cli import main
from ringback.lab import run as lab_run
from ringback.record import Measurement, NetworkRecord
from tests.cli.contract import hold_to_the_contract
from tests.words.situations import CUT, NORMAL, measured

SMALL = """
name = "small"
apps = ["signal"]
functions = ["voice"]
[[network]]
name = "harbour"
asn = 64500
region = "RU-MOW"
hops = 2
[[network.rule]]
hop = 1
match = { app = "signal", function = "voice" }
trigger = "payload"
action = { kind = "drop" }
"""


@pytest.fixture
def scenario(tmp_path: Path) -> str:
    file = tmp_path / "small.toml"
    file.write_text(SMALL)
    return str(file)


def test_scenarios_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "list"]) == 0
    names = capsys.readouterr().out.split()
    assert "none" in names
    assert main(["lab", "list", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["name"] for row in rows] == names
    assert all(row["participants"] >= row["networks"] >= 1 for row in rows)


def test_a_run_prints_what_the_contract_says_with_truth(scenario: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "run", scenario, "--json", "--net", "sim"]) == 0
    told = capsys.readouterr()
    hold_to_the_contract(told.out, "--lab")
    rows = [json.loads(line) for line in told.out.splitlines()]
    assert [row["verdict"]["status"] for row in rows[:-1]] == ["restricted", "restricted"]
    assert rows[-1]["network"] == "harbour"
    assert "harbour #0" in told.err


def test_the_same_seed_gives_the_same_records(
    scenario: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "out.ndjson"
    runs = []
    for _ in range(2):
        assert main(["lab", "run", scenario, "--json", "--seed", "7", "--out", str(out)]) == 0
        runs.append(capsys.readouterr().out)
        assert out.read_text() == runs[-1]
    assert runs[0] == runs[1]


def test_interference_in_the_lab_is_an_exit_code_too(scenario: str) -> None:
    assert main(["lab", "run", scenario, "--fail-on", "interference"]) == 10


def test_a_scenario_that_is_none_is_refused_with_file_line_and_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(SMALL.replace("hop = 1", "hopp = 1"))
    assert main(["lab", "run", str(file)]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"ringback: {file}:")
    assert "hopp" in told
    assert main(["lab", "run", "no-such-scenario"]) == 2
    assert main(["lab", "run", "none", "--seed", "-1"]) == 2


def test_ctrl_c_keeps_the_records_of_before(
    scenario: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def until_interrupted(*_: object, **__: object) -> Iterator[Measurement | NetworkRecord]:
        yield measured("signal", "voice", "outgoing", CUT)
        yield NORMAL
        raise KeyboardInterrupt

    monkeypatch.setattr(lab_run, "run_sim", until_interrupted)
    assert main(["lab", "run", scenario, "--json"]) == 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 2
    assert "Stopped." in told.err
