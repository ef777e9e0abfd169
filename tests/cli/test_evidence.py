"""`ringback events`, `prevalence`, `claims` on an empty store, and on real data where there is any."""

import json
from pathlib import Path

import pytest

from ringback.cli import main
from ringback.cli.exits import Exit


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("command", ["events", "prevalence"])
def test_an_empty_store_decides_nothing(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--json", "--data", str(tmp_path)]) == Exit.INSUFFICIENT
    assert lines(capsys) == []


def test_every_claim_is_untested_without_data_and_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["claims", "--json", "--data", str(tmp_path)]) == Exit.INSUFFICIENT
    told = lines(capsys)
    assert len(told) == 33
    assert all(row["answer"] == "untested" and row["missing"] for row in told)
    assert {"id", "answer", "estimate", "interval", "n"} <= told[0].keys()


@pytest.mark.realdata
def test_kenya_from_the_file_to_the_event(realdata: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = realdata / "kenya-telegram-2023" / "2023-KE-telegram.csv.gz"
    assert main(["import", "ooni", str(source), "--data", str(tmp_path)]) == Exit.VERDICT
    capsys.readouterr()
    assert main(["events", "--json", "--function", "text", "--data", str(tmp_path)]) == Exit.VERDICT
    told = {(row["asn"], row["kind"]) for row in lines(capsys)}
    assert told == {(33771, "event"), (37061, "event"), (12455, "event"), (36926, "suspicion")}
    assert main(["prevalence", "--by", "asn,function", "--json", "--data", str(tmp_path)]) == Exit.VERDICT
    assert {"asn", "function", "restricted", "interval", "n", "participants"} <= lines(capsys)[0].keys()
