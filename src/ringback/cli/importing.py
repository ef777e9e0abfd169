"""`ringback import`: other tools' measurements into the store."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ringback.cli import speech
from ringback.cli.exits import Exit
from ringback.cli.folders import invented, lake_to_fill, make_private
from ringback.cli.needs import observatory
from ringback.errors import BadInput, Damaged
from ringback.words import Language, Phrases, harmless, load

if TYPE_CHECKING:
    from ringback.collect.importing import Tally

Kind = Literal["ooni", "throttling-csv", "ndjson"]


def import_files(
    kind: Kind, /, *files: Path, data: Path | None = None, json: bool = False, lang: Language | None = None
) -> Exit:
    """Take measurements of other tools into the store, and say what was kept and what was refused, and why.

    Verdicts are made anew from the raw results; the files are kept, so that later rules can judge them again. Importing
    the same once more changes nothing. Files may be packed (gzip, zstd). Ends with 0 when anything was kept, else 2.

    Parameters
    ----------
    kind
        ooni: measurements (JSON, one a line or one a file) or tables of observations (CSV). throttling-csv: speed tests
        against a control. ndjson: Ringback's own records.
    files
        The files.
    data
        The data folder. Default: the user's.
    json
        One object on standard output: read, kept, refused by reason, measurements, observations, new.
    lang
        Language of the words. Default: from the environment.
    """
    with observatory():
        from ringback.collect.importing import Tally
        from ringback.store import Lake, intake

    if not files:
        raise BadInput("names no file", "import")
    phrases = load(speech.language(lang))
    folder = lake_to_fill(data)
    if country := invented(folder.parent):
        what = f"holds the emulated country {country}, whose people are invented; name another folder"
        raise BadInput(what, f"--data {folder.parent}")
    if not folder.parent.exists():
        make_private(folder.parent)
    make_private(folder)
    lake, tally = Lake(folder), Tally()
    for file in files:
        try:
            intake(lake, kind, file, tally)
        except Damaged:  # the store is, not the file
            raise
        except BadInput as error:
            print(harmless(phrases.say("import.file", file=file, why=error.what)), file=sys.stderr)
    with speech.Records(json, None) as records:
        records.write(_counts(tally))
    _tell(tally, json, phrases)
    return Exit.VERDICT if tally.kept else Exit.USAGE


def _counts(tally: "Tally") -> dict[str, object]:
    numbers = {name: getattr(tally, name) for name in ("read", "kept", "measurements", "observations", "new")}
    return {**numbers, "refused": dict(tally.refused.most_common())}


def _tell(tally: "Tally", json: bool, phrases: Phrases) -> None:
    number = phrases.number
    out = sys.stderr if json else sys.stdout
    counts = {"read": tally.read, "kept": tally.kept, "refused": tally.refused.total()}
    print(phrases.say("import.done", **{name: number(n) for name, n in counts.items()}), file=out)
    for reason, n in tally.refused.most_common():
        why, where = phrases.say(f"refused.{reason}"), tally.first[reason]
        print("  " + phrases.say("import.refused", n=number(n), why=why, where=harmless(where)), file=out)
    made = {name: getattr(tally, name) for name in ("measurements", "observations", "new", "doubled")}
    if tally.kept:
        print(phrases.say("import.made", **{name: number(n) for name, n in made.items()}), file=out)
