"""Consent is asked once for each version of its text, and nothing is sent without it."""

import io
import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ringback.cli import consent, main, measuring


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """What a person at a terminal is shown; `answer` is what they type."""
    shown = Terminal()
    monkeypatch.setattr(consent, "sys", SimpleNamespace(stdin=Terminal(), stderr=shown))
    return shown


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(consent.sys, "stdin", Terminal(text))


def test_without_a_terminal_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    monkeypatch.setattr("ringback.cli.checking.measure", lambda *_: pytest.fail("it measured"))
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert main(["check"]) == 4
    assert "no consent" in capsys.readouterr().err
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("said", ["n\n", "", "\n", "maybe\n"])
def test_anything_but_yes_is_no(said: str, monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    answer(monkeypatch, said)
    assert consent.obtain("en", yes=False) is None
    assert consent.recorded() is None
    assert "Nothing was sent" in terminal.getvalue()


@pytest.mark.parametrize(("language", "said"), [("en", "y\n"), ("ru", "да\n")])
def test_a_yes_is_asked_for_once_and_kept(
    language: consent.Language, said: str, monkeypatch: pytest.MonkeyPatch, terminal: Terminal, home: Path
) -> None:
    answer(monkeypatch, said)
    assert consent.obtain(language, yes=False) == "1"
    assert "IP" in terminal.getvalue()
    asked = len(terminal.getvalue())
    answer(monkeypatch, "n\n")
    assert consent.obtain(language, yes=False) == "1"
    assert len(terminal.getvalue()) == asked
    file = home / "config" / "ringback" / "consent.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = consent.recorded()
    assert kept is not None
    assert (kept.version, kept.language) == ("1", language)


def test_consent_to_another_text_does_not_count(monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    answer(monkeypatch, "y\n")
    consent.obtain("en", yes=False)
    kept = consent.recorded()
    assert kept is not None
    monkeypatch.setattr(consent, "recorded", lambda: consent.Consent("0", kept.given_at, "en"))
    answer(monkeypatch, "n\n")
    assert consent.obtain("en", yes=False) is None


def test_a_yes_on_the_command_line_holds_for_that_run_alone() -> None:
    assert consent.obtain("en", yes=True) == "1"
    assert consent.recorded() is None


def test_a_damaged_record_is_no_consent(home: Path) -> None:
    file = home / "config" / "ringback" / "consent.json"
    file.parent.mkdir(parents=True)
    file.write_text("{")
    assert consent.recorded() is None


def test_a_dry_run_needs_no_consent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(measuring, "measure", lambda *_: pytest.fail("it measured"))
    assert main(["check", "--dry-run", "--app", "signal", "--function", "text"]) == 0
    assert "chat.signal.org" in capsys.readouterr().out
