"""A check from consent to exit code."""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from ringback import catalogue
from ringback.cli import consent, dry_run, exits, folders, results, speech
from ringback.cli.exits import Exit, FailOn
from ringback.cli.measuring import Checked, measure
from ringback.cli.progress import progress
from ringback.cli.request import Asked, CheckRequest, read_request
from ringback.cli.tunnels import tunnels_in_use
from ringback.words import Language, Phrases, load, table, tries_table


@dataclass(frozen=True)
class Answering:
    """How a check is to answer: the options of `ringback check` that are not about what is measured."""

    dry_run: bool
    yes: bool
    json: bool
    out: Path | None
    fail_on: FailOn | None
    lang: Language | None


def run(asked: Asked, how: Answering) -> Exit:
    """Raises BadInput before anything is sent, and what the engine raises on purpose."""
    language = speech.language(how.lang)
    known = catalogue.load()
    request = read_request(known, asked)
    if how.dry_run:
        return _dry(request, known, how, language)
    agreed = consent.obtain(language, how.yes)
    if agreed is None:
        return Exit.NO_CONSENT
    folders.make_private(folders.results_folder())  # what can't be kept is not measured
    phrases = load(language)
    tunnels = tunnels_in_use()
    if tunnels:
        print(phrases.say("progress.tunnel", interfaces=", ".join(tunnels)), file=sys.stderr)
    with speech.Records(how.json, how.out) as records:
        with progress(phrases.say("progress.check")) as report:
            checked = asyncio.run(measure(request, known, report))
        for record in (*checked.measurements, checked.network):
            records.write(record)
    _tell(checked, request, how.json, language, phrases)
    notes = ["a tunnel carried the default route"] if tunnels else []
    saved = results.save(checked.result, checked.measurements, checked.network, agreed, notes)
    print(phrases.say("progress.saved", path=saved), file=sys.stderr)
    return exits.of_measurements(checked.measurements, how.fail_on)


def _dry(request: CheckRequest, known: catalogue.Catalogue, how: Answering, language: Language) -> Exit:
    made = dry_run.plan(request, known)
    with speech.Records(how.json, how.out) as records:
        for line in made.lines:
            records.write(line)
    speech.console(how.json).print(dry_run.told(made, request, language))
    return Exit.VERDICT


def _tell(checked: Checked, request: CheckRequest, json: bool, language: Language, phrases: Phrases) -> None:
    console = speech.console(json)
    if checked.interrupted:
        console.print(Text(phrases.say("progress.interrupted")), Text())
    elif request.server is not None and checked.result.partner == "unreachable":
        reason = f" ({checked.refusal})" if checked.refusal else ""
        console.print(Text(phrases.say("progress.partner", url=request.server) + reason), Text())
    console.print(table(checked.measurements, checked.network, language))
    if checked.result.tries and (request.server is None or checked.result.partner == "unreachable"):
        console.print(Text(), tries_table(checked.result.tries, language))
