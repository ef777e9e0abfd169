"""Which exit code it is."""

import pytest

from ringback import cli
from ringback.cli.exits import Exit, foremost, of_measurements
from ringback.errors import BadInput, Damaged, Unavailable
from ringback.record import Verdict
from tests.words.situations import ALONE, CUT, measured, session


@pytest.mark.parametrize(
    ("codes", "ends"),
    [
        ({0, 1, 2, 3, 4, 5, 10}, 2),
        ({0, 1, 3, 4, 5, 10}, 4),
        ({0, 1, 3, 5, 10}, 1),
        ({0, 3, 5, 10}, 10),
        ({0, 3, 5}, 5),
        ({0, 3}, 3),
        ({0}, 0),
        (set(), 0),
    ],
)
def test_the_first_of_several_counts(codes: set[int], ends: int) -> None:
    assert foremost(map(Exit, codes)) == ends


def test_one_verdict_is_enough_whatever_it_says() -> None:
    assert of_measurements(session(("*", "*", ALONE))) == 3
    assert of_measurements([]) == 3
    assert of_measurements([*session(("*", "*", ALONE)), measured("max", "text", None, CUT)]) == 0
    assert of_measurements([measured("max", "text", None, Verdict(status="service-down"))]) == 0


def test_interference_is_an_exit_code_only_when_asked_for() -> None:
    cut = session(("whatsapp", "voice", CUT))
    assert of_measurements(cut) == 0
    assert of_measurements(cut, "interference") == 10
    assert of_measurements(session(), "interference") == 0
    assert of_measurements([measured("max", "text", None, Verdict(status="impaired"))], "interference") == 0


class _Raising:
    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __call__(self, *_: object, **__: object) -> int:
        raise self._error


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (BadInput("no such key", "a.toml:3"), 2, "ringback: a.toml:3: no such key\n"),
        (Damaged("is missing", "/store/part"), 1, "ringback: /store/part: is missing\n"),
        (Unavailable("no pyroute2", "install it"), 1, "ringback: no pyroute2 (install it)\n"),
        (ZeroDivisionError("division\nby zero"), 1, "ringback: ZeroDivisionError: division by zero\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_faults_are_one_line(
    error: BaseException, code: int, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ringback.cli.application.build", lambda: _Raising(error))
    assert cli.main(["check"]) == code
    assert capsys.readouterr().err == says


def test_where_a_fault_arose_is_told_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ringback.cli.application.build", lambda: _Raising(ZeroDivisionError("x")))
    monkeypatch.setenv("RINGBACK_DEBUG", "1")
    assert cli.main(["check"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_error_repeats_nothing_that_commands_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lab", "run", "\x1b[2J\u202esc\u200c.toml"]) == Exit.USAGE
    said = capsys.readouterr().err
    assert "\ufffd[2J\ufffdsc\u200c.toml" in said
    assert "\x1b" not in said
