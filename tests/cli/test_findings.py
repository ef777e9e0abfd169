"""What a country's run ends with: what its measurements say, in both languages, as `events` and `claims` have it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ringback.cli import findings, main
from ringback.cli.country_run import folder_of
from ringback.cli.folders import lake_folder
from ringback.lab.nation import load
from ringback.record import Observation, identified
from ringback.store import Lake
from ringback.words import Language

START = datetime(2025, 8, 1, tzinfo=UTC)
ONSET = datetime(2025, 8, 11, 12, tzinfo=UTC)

RUN = """
import sys
from ringback.cli import country_run
from ringback.peer import vantage
vantage.names_of = lambda catalogue: []
country_run.send = lambda nation, url, phrases: 0
from ringback.cli import main
sys.exit(main(sys.argv[1:]))
"""


def histories(networks: int, restricted: bool) -> Iterator[Observation]:
    """Calls of a dozen people a day on each network, for three weeks; from the onset on they fail, or not."""
    for network in range(networks):
        for n in range(21 * 12):
            when = START + timedelta(hours=2 * n)
            bad = restricted and when >= ONSET
            one = Observation(
                source="ringback",
                measurement=f"{network}-{n}",
                time=when,
                app="telegram",
                function="voice",
                direction="outgoing",
                asn=64500 + network,
                region="RU-MOW",
                attempted=1,
                failed=int(bad),
                pseudonym=f"{network}-{n}",
                status="restricted" if bad else "working",
                mechanism="drop" if bad else None,
                rules="1",
            )
            yield identified(one)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("country")
    folder_of(folder, load("ru-2025-08"))
    Lake(lake_folder(folder)).append(list(histories(3, True)))
    return folder


def test_it_counts_the_events_that_the_command_lists(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "--json", "--data", str(folder)]) == 0
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    sure = [one for one in listed if one["kind"] == "event"]
    assert sure
    told = "\n".join(findings.told(folder, "en"))
    assert f"Calls in Telegram: measured events: {len(sure)}, on networks: {len(sure)}. Onset" in told
    assert "11 August 2025" in told
    assert "calls in Telegram were treated worse" in told
    assert "WhatsApp" not in told, "nothing of it was measured"


def test_it_answers_the_claims_as_the_command_does(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["claims", "--json", "--data", str(folder)])
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (said,) = [line for line in findings.told(folder, "en") if "Claims:" in line]
    for one in answers:
        assert (one["id"] in said) == (one["answer"] != "untested"), one["id"]
    assert f"untested {sum(one['answer'] == 'untested' for one in answers)}." in said


@pytest.mark.parametrize(("language", "said"), [("en", "No event was measured."), ("ru", "Событий не измерено.")])
def test_nothing_restricted_is_said_to_be_so(language: Language, said: str, tmp_path: Path) -> None:
    assert f"  {said}" in list(findings.told(tmp_path, language)), "an empty store"
    Lake(lake_folder(tmp_path)).append(list(histories(1, False)))
    assert f"  {said}" in list(findings.told(tmp_path, language))


@pytest.mark.parametrize(
    ("language", "heading", "kept"),
    [("en", "What its measurements say:", "Its store is kept"), ("ru", "Что говорят её измерения:", "Её хранилище")],
)
def test_a_countrys_run_ends_with_it(folder: Path, language: str, heading: str, kept: str) -> None:
    command = ["demo", "--country", "ru-2025-08", "--once", "--data", str(folder), "--lang", language]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *command], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert told[0] == heading
    assert told[-1].startswith(kept)
    assert f"ringback claims --data {folder}" in told[-2]
    assert len(told) < 12
