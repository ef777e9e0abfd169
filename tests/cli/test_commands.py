"""Every command and option is documented, the reference is the code's, and what has not been built is not there."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest
from cyclopts import App

from ringback.cli import main
from ringback.cli.application import build
from ringback.cli.reference import reference
from ringback.errors import BadInput, Unavailable
from tests.conftest import ROOT


def commands(app: App, chain: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], App]]:
    for name in app:
        if not name.startswith("-"):
            yield (*chain, name), app[name]
            yield from commands(app[name], (*chain, name))


ALL = dict(commands(build()))


def test_the_commands_are_those_that_are_built() -> None:
    assert {" ".join(chain) for chain in ALL} >= {
        "check",
        "serve",
        "demo",
        "lab",
        "lab list",
        "lab run",
        "trace",
        "doctor",
    }


@pytest.mark.parametrize("chain", ALL, ids=" ".join)
def test_every_command_is_documented(chain: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*chain, "--help"]) == 0
    told = capsys.readouterr().out
    assert f"Usage: ringback {' '.join(chain)}" in told
    assert len(told.split("\n\n")) >= 3


@pytest.mark.parametrize("chain", [chain for chain, app in ALL.items() if app.default_command], ids=" ".join)
def test_every_option_is_documented(chain: tuple[str, ...]) -> None:
    undocumented = [
        a.name for a in ALL[chain].assemble_argument_collection(parse_docstring=True) if not a.parameter.help
    ]
    assert undocumented == []


def test_the_reference_is_current() -> None:
    written = (ROOT / "docs" / "cli.md").read_text()
    assert written == reference(), "python -m ringback.cli.reference > docs/cli.md"


@pytest.mark.parametrize("tokens", [["upload"], ["lab", "paint"], ["check", "--stealth"], ["check", "--budget-s", "x"]])
def test_what_is_not_there_is_bad_usage_in_one_line(tokens: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tokens) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("ringback: ")
    assert told.err.count("\n") == 1


def test_no_command_at_all_tells_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "check" in capsys.readouterr().out


def test_who_asks_for_help_waits_for_no_mathematics() -> None:
    """All commands are told of before numpy or a database is read from the disk: seconds on a small machine."""
    asked = (
        "import sys; from ringback.cli import main; main(['--help'])\n"
        "heavy = {'numpy', 'scipy', 'pyarrow', 'duckdb', 'ibis', 'litestar', 'httpx'} & set(sys.modules)\n"
        "sys.exit(f'read without need: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "check" in done.stdout


def test_the_installed_program_tells_its_version() -> None:
    program = [sys.executable, "-c", "import sys; from ringback.cli import main; sys.exit(main(['--version']))"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "0.1.0")


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        ([Unavailable("no port", "give another")], 1, "ringback: no port (give another)"),
        ([OSError("odd"), BadInput("is odd", "--x")], 2, "ringback: --x: is odd"),
        ([asyncio.CancelledError(), ExceptionGroup("", [ValueError("deep")])], 1, "ringback: ValueError: deep"),
        ([KeyboardInterrupt()], 130, ""),
    ],
)
def test_what_ended_tasks_side_by_side_is_said_as_if_it_had_ended_one(
    raised: list[BaseException],
    code: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def build() -> None:
        raise BaseExceptionGroup("unhandled errors in a TaskGroup", raised)

    monkeypatch.setattr("ringback.cli.application.build", build)
    assert main([]) == code
    assert capsys.readouterr().err.strip() == says
