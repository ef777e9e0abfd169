"""`ringback export`: observations out of the store."""

import sys
from pathlib import Path
from typing import Literal

from ringback.cli import speech
from ringback.cli.exits import Exit
from ringback.cli.folders import kept_lake
from ringback.cli.needs import observatory
from ringback.errors import BadInput
from ringback.words import Language, load

Format = Literal["ooni", "ndjson", "parquet"]


def export(form: Format, /, *, out: Path | None = None, data: Path | None = None, lang: Language | None = None) -> Exit:
    """Write all observations of the store, in order of time.

    Parameters
    ----------
    form
        ndjson: one observation a line. ooni: the same in OONI's base data format. parquet: one file for other tools.
    out
        The file. Default: standard output, which parquet can't go to on a terminal.
    data
        The data folder. Default: the user's.
    lang
        Language of the words. Default: from the environment.
    """
    with observatory():
        from ringback.store import FORMATS, Lake, Reading, Selection

    phrases = load(speech.language(lang))
    if out is None and form == "parquet" and sys.stdout.isatty():
        raise BadInput("parquet is not for a terminal: give a file with --out", "export")
    reading = Reading(Lake(kept_lake(data)))
    if out is None:
        written = FORMATS[form](reading, sys.stdout.buffer, Selection())
        sys.stdout.buffer.flush()
    else:
        try:
            with out.open("wb") as file:
                written = FORMATS[form](reading, file, Selection())
        except OSError as error:
            raise BadInput(f"can't be written: {error.strerror}", str(out)) from error
    n = phrases.number(written)
    done = phrases.say("export.done_out", n=n) if out is None else phrases.say("export.done", n=n, path=out)
    print(done if written else phrases.say("export.empty"), file=sys.stderr)
    return Exit.VERDICT
