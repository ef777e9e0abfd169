"""The lake's writer beside the collector: what it says is safe is in the lake, whoever of the two dies, and when."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ringback.collect.api import entry
from ringback.collect.intake import sink
from ringback.collect.origin import UNKNOWN
from ringback.collect.spool import Entry, frame
from ringback.errors import Unavailable
from ringback.record import Observation
from ringback.store import Lake, Reading, check
from ringback.store.receiving import LENGTH, receive, receiving
from tests.collect.reports import NOW, encoded, report, with_raw
from tests.conftest import ROOT
from tests.store.observations import seen


def entries(*numbers: int) -> list[Entry]:
    return [entry(encoded(report(number)), NOW, UNKNOWN) for number in numbers]


def told(lake: Lake) -> set[str]:
    return {(one.measurement or "").partition("-")[0] for one in Reading(lake).observations()}


def keys(several: Sequence[Entry]) -> set[str]:
    return {one.key.hex() for one in several}


@pytest.mark.slow
def test_what_is_handed_over_is_in_the_lake_and_what_its_sender_published_can_be_read(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    published = entry(encoded(with_raw(open=True)), NOW, UNKNOWN)
    with receiving(lake.folder, tmp_path) as take:
        take([*entries(1, 2), published])
        assert told(lake) == keys([*entries(1, 2), published])
        take(entries(2, 3))
    assert len(list(Reading(lake).observations())) == 4
    assert [file.stem for file in (tmp_path / "open").glob("*/*.json")] == [published.key.hex()]


@pytest.mark.slow
def test_a_writer_that_is_killed_is_said_and_the_next_one_takes_the_same_again(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    with receiving(lake.folder, tmp_path) as take:
        take(entries(1))
        [writer] = [pid for pid in children(os.getpid()) if b"ringback.store.receiving" in command(pid)]
        os.kill(writer, signal.SIGKILL)
        os.waitid(os.P_PID, writer, os.WEXITED | os.WNOWAIT)
        take(entries(1, 2))
    assert told(lake) == keys(entries(1, 2))
    assert len(list(Reading(lake).observations())) == 2


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


STARTER = """
import os, signal, sys
from pathlib import Path
from ringback.store.receiving import receiving
from tests.store.test_receiving import children, entries
with receiving(Path(sys.argv[1]) / "lake", Path(sys.argv[1])) as take:
    take(entries(1))
    print(*children(os.getpid()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_the_writer_ends_when_its_starter_does(tmp_path: Path) -> None:
    starter = subprocess.run(
        [sys.executable, "-c", STARTER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, timeout=60, check=False
    )
    assert starter.returncode == -signal.SIGKILL
    (writer,) = map(int, starter.stdout.split())
    until = time.monotonic() + 20
    while Path(f"/proc/{writer}").exists() and b"receiving" in command(writer):
        assert time.monotonic() < until, "it is still there"
        time.sleep(0.01)
    assert told(Lake(tmp_path / "lake")) == keys(entries(1))


@pytest.mark.slow
def test_a_lake_that_can_not_be_had_is_said_with_its_reason(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.append([seen(1)])
    (lake.folder / "manifest.json").write_bytes(b"{")
    with receiving(lake.folder, tmp_path) as take, pytest.raises(Unavailable, match="the list of the lake's files"):
        take(entries(1))


def test_what_is_no_report_any_more_is_kept_aside_and_holds_up_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found: list[Observation] = []
    odd = Entry(b"\x07" * 16, NOW.date(), b'{"measurements": "of a later version"}')
    sink(found.extend, tmp_path)([odd, *entries(1)])
    assert len(found) == 1
    assert "kept aside" in caplog.text
    assert (tmp_path / "spool" / "damaged" / f"{odd.key.hex()}.json").read_bytes() == odd.payload


def batch(several: Sequence[Entry]) -> bytes:
    content = b"".join(map(frame, several))
    return len(content).to_bytes(LENGTH, "big") + content


@pytest.mark.parametrize("cut", [3, LENGTH, 60, -1])
def test_half_a_batch_is_none(tmp_path: Path, cut: int) -> None:
    taken: list[Entry] = []
    answers = io.BytesIO()
    source = io.BytesIO(batch(entries(1)) + batch(entries(2))[:cut])
    receive(Lake(tmp_path), taken.extend, source, answers)
    assert taken == entries(1)
    assert [json.loads(line) for line in answers.getvalue().splitlines()] == [{"taken": 1}]


def test_days_that_are_over_are_joined_and_today_is_not(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    today = datetime.now(UTC)
    for number in range(3):
        lake.append([seen(number, time=today), seen(number, time=today - timedelta(days=2))])
    before = list(Reading(lake).observations())
    receive(lake, sink(lake.extend, tmp_path), io.BytesIO(batch([])), io.BytesIO())
    assert [part.parent.name for part in lake.parts()].count(f"date={today.date()}") == 3
    assert len(lake.parts()) == 4
    assert (list(Reading(lake).observations()), check(lake)) == (before, [])
