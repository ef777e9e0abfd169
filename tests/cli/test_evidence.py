"""`ringback events`, `prevalence`, `claims` on an empty store, and on real data where there is any."""

import json
from pathlib import Path

import pytest

from ringback.cli import main
from ringback.cli.exits import Exit
from ringback.store import Lake
from tests.evidence import march
from tests.store.observations import seen


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


EVIDENCE = (["events"], ["prevalence"], ["contrasts"], ["claims"])


@pytest.mark.parametrize("command", [*EVIDENCE, ["export", "ndjson"], ["publish", "site"]], ids=" ".join)
def test_a_folder_that_is_not_there_is_not_called_empty(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [str(tmp_path / "site") if one == "site" else one for one in command]
    assert main([*named, "--data", str(tmp_path / "misspelt")]) == Exit.USAGE
    assert "misspelt: there is no such folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["claims"], ["import", "ndjson", "table.csv"]], ids=["claims", "import"])
def test_a_file_in_place_of_the_folder_is_called_a_file(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "table.csv").touch()
    assert main([*command, "--data", str(tmp_path / "table.csv")]) == Exit.USAGE
    assert "table.csv: is a file, not a folder" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["prevalence", "contrasts"])
def test_days_in_the_wrong_order_are_refused(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    days = ["--since", "2025-09-01", "--until", "2025-08-01"]
    assert main([command, *days, "--data", str(tmp_path)]) == Exit.USAGE
    assert "--since 2025-09-01: is after --until 2025-08-01" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "known"), [("app", "whatsapp"), ("function", "voice")])
def test_a_name_that_nothing_has_is_told_beside_those_that_there_are(
    option: str, known: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Lake(tmp_path / "lake").append([seen(1)])
    for command in ("events", "contrasts"):
        assert main([command, f"--{option}", "whatapp", "--data", str(tmp_path)]) == Exit.INSUFFICIENT
        assert f"`whatapp`. Measured were: {known}." in " ".join(capsys.readouterr().out.split())
    assert main(["events", f"--{option}", known, "--data", str(tmp_path)]) == Exit.INSUFFICIENT
    assert "Measured were" not in capsys.readouterr().out


HOSTILE = "[/red]\x1b[31mred\x1b]0;title\x07\u202e[bold]:smile:"


@pytest.mark.parametrize("field", ["app", "function", "path", "region", "target"])
def test_what_others_wrote_commands_no_terminal_and_breaks_no_table(
    field: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [seen(n, status="restricted", failed=1, pseudonym=f"p{n}", **{field: HOSTILE}) for n in range(4)]
    Lake(tmp_path / "lake").append(rows)
    path = ["--path", HOSTILE] if field == "path" else []
    assert main(["prevalence", "--by", f"asn,{field}", *path, "--data", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert not [one for one in told if one in "\x1b\x07\u202e"]
    letters = "".join(told.split())
    assert "[/red]\ufffd[31mred\ufffd]0;t" in letters, "as it was written"
    assert "[bold]:smile:" in letters
    for command in EVIDENCE:
        assert main([*command, "--data", str(tmp_path)]) in (0, 3)


@pytest.mark.realdata
def test_kenya_from_the_file_to_the_event(realdata: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = realdata / "kenya-telegram-2023" / "2023-KE-telegram.csv.gz"
    assert main(["import", "ooni", str(source), "--data", str(tmp_path)]) == Exit.VERDICT
    capsys.readouterr()
    assert main(["events", "--json", "--function", "text", "--data", str(tmp_path)]) == Exit.VERDICT
    told = {(row["asn"], row["kind"]) for row in lines(capsys)}
    assert told == {(33771, "event"), (37061, "event"), (12455, "event"), (36926, "suspicion")}
    command = ["prevalence", "--by", "asn,function", "--json", "--data", str(tmp_path)]
    assert main(command) == Exit.VERDICT
    whole = lines(capsys)
    assert {"asn", "function", "restricted", "interval", "n", "participants", "of_tests"} <= whole[0].keys()
    assert main([*command, "--since", "2023-11-08", "--until", "2023-11-24"]) == Exit.VERDICT
    assert 0 < sum(row["n"] for row in lines(capsys)) < sum(row["n"] for row in whole)  # type: ignore[misc]
    assert main([*command, "--path", "wireguard"]) == Exit.INSUFFICIENT


@pytest.mark.realdata
def test_march_2021_from_the_files_to_shares_and_the_network_that_changes(
    realdata: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = [str(file) for file in sorted((realdata / march.FOLDER).glob("*.csv"))]
    assert main(["import", "throttling-csv", *sources, "--data", str(tmp_path)]) == Exit.VERDICT
    capsys.readouterr()
    assert main(["events", "--json", "--data", str(tmp_path)]) == Exit.VERDICT
    told = lines(capsys)
    assert {row["asn"] for row in told} >= set(march.SHARES)
    assert not {row["asn"] for row in told} & set(march.CLEAR)
    assert all(row["under_way_at_start"] and row["onset"] is None for row in told)
    assert [(row["asn"], str(row["end"])[:10]) for row in told if row["end"]] == [(march.CHANGES, "2021-03-13")]
    assert main(["prevalence", "--by", "asn", "--json", "--data", str(tmp_path)]) == Exit.VERDICT
    rows = lines(capsys)
    found = {row["asn"]: row for row in rows}
    for asn, known in march.SHARES.items():
        low, high = found[asn]["interval"]  # type: ignore[misc]  # nobody is named: each test counts, clustered by net
        assert found[asn]["of_tests"] == {"share": found[asn]["restricted"], "interval": [low, high]}
        assert found[asn]["of_sources"] != found[asn]["of_tests"]
        assert low - 0.005 <= known <= high + 0.005  # given to two digits
    assert all(row["throttled_kbps"]["n"] > 0 for row in rows if row["asn"] in march.SHARES)  # type: ignore[index]
    assert main(["prevalence", "--by", "country", "--json", "--data", str(tmp_path)]) == Exit.VERDICT
    goodput = next(row["throttled_kbps"] for row in lines(capsys) if row["country"] == "RU")
    low, high = goodput["interval"]  # type: ignore[index]
    assert low <= 109 <= high < low + 5  # type: ignore[index]


@pytest.mark.parametrize(("probes", "enough"), [(1, False), (2, False), (3, True)])
def test_few_sources_are_said_to_be_too_few_and_an_import_names_nobody(
    probes: int, enough: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several = [
        seen(
            n,
            hours=n / 9,
            source="ooni",
            app="telegram",
            function="text",
            failed=1,
            status="restricted",
            cluster=f"c{n % probes}",
        )
        for n in range(9)
    ]
    Lake(tmp_path / "lake").append(several)
    assert main(["prevalence", "--json", "--data", str(tmp_path)]) == Exit.VERDICT
    (row,) = lines(capsys)
    assert (row["enough"], row["sources"], row["participants"], row["n"]) == (enough, probes, 0, 9)
    assert row["restricted"] is not None
    assert row["interval"] is not None
    assert main(["prevalence", "--data", str(tmp_path)]) == Exit.VERDICT
    (told,) = [line.split() for line in capsys.readouterr().out.splitlines() if "telegram" in line]
    assert (told[-5] == "-") is not enough  # share, its interval, of tests, its interval, decided


def test_a_tables_words_are_never_cut_in_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slow = {"source": "throttling", "app": "twitter", "function": "media", "region": "RU", "control_kbps": 8000.0}
    several = [
        seen(n, **slow, hours=n / 9, failed=1, status="restricted", test_kbps=109.0 + n, cluster=f"c{n}")
        for n in range(9)
    ]
    Lake(tmp_path / "lake").append(several)
    assert main(["prevalence", "--by", "asn,app,function", "--data", str(tmp_path)]) == Exit.VERDICT
    printed = capsys.readouterr().out
    assert {"restricted", "decided", "throttled,", "twitter", "interval"} <= set(printed.split())
    assert "\u2013" in printed, "intervals have no minus sign between their ends"
    assert max(map(len, printed.splitlines())) <= 80
