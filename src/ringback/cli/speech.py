"""In which language, and onto which stream: records to standard output with --json, words to the other one."""

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec
from rich.console import Console

from ringback.cli.folders import PRIVATE_FILE
from ringback.errors import BadInput
from ringback.words import LANGUAGES, Language


def language(chosen: Language | None) -> Language:
    """--lang, else what the locale's environment says (POSIX: LC_ALL, LC_MESSAGES, LANG), else English."""
    if chosen is not None:
        return chosen
    locale = next((v for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (v := os.environ.get(name))), "")
    return next((known for known in LANGUAGES if locale.startswith(known)), "en")


def console(json: bool) -> Console:
    """Where words go, as they are: what stands in brackets is no markup, since much of it others wrote."""
    width = None if _on_terminal(json) else 80
    return Console(stderr=json, highlight=False, markup=False, emoji=False, width=width)


def _on_terminal(json: bool) -> bool:
    return (sys.stderr if json else sys.stdout).isatty()


class Records:
    """NDJSON on standard output (json) and into a private file (out), line by line as it comes."""

    def __init__(self, json: bool, out: Path | None) -> None:
        self._json = json
        self._out = out
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        if self._out is not None:
            try:
                handle = os.open(self._out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
                os.fchmod(handle, PRIVATE_FILE)
            except OSError as error:
                raise BadInput(f"can't be written: {error.strerror}", str(self._out)) from error
            self._file = os.fdopen(handle, "wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, record: object) -> None:
        line = msgspec.json.encode(record) + b"\n"
        if self._json:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
        if self._file is not None:
            self._file.write(line)
            self._file.flush()
