"""What a large store's first page needs is there before anybody asks; nothing waits for it, and nothing outlives it."""

from pathlib import Path

import pytest

from ringback.collect.importing.ringback import from_report
from ringback.store import Lake, summaries
from ringback.view import Pages, warming
from ringback.view.address import START
from tests.collect.reports import report


@pytest.fixture
def cold(tmp_path: Path) -> Path:
    """An observatory of one report, of which nobody has seen anything yet."""
    Lake(tmp_path / "lake").extend(from_report(report()))
    return tmp_path


def test_after_it_the_first_page_adds_nothing_up(cold: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warming.warm(cold, cold / "lake")
    monkeypatch.setattr(summaries, "_added_up", lambda *_: pytest.fail("added up again"))
    assert Pages.of(cold, cold / "lake").overview("ru", START)


def test_the_process_does_so_and_one_that_is_not_done_ends_with_the_server(
    cold: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "LEAST", 1)
    with warming.warming(cold, cold / "lake") as process:
        assert process is not None
        assert process.wait(timeout=100) == 0
    assert list((cold / "lake" / "summaries").glob("*.parquet"))
    with warming.warming(cold, cold / "lake") as process:
        assert process is not None
    assert process.returncode is not None


def test_a_small_or_damaged_store_starts_none(cold: Path) -> None:
    with warming.warming(cold, cold / "lake") as process:
        assert process is None
    with warming.warming(cold, cold / "nothing") as process:
        assert process is None
    (cold / "lake" / "manifest.json").write_text("{")
    with warming.warming(cold, cold / "lake") as process:
        assert process is None
