"""What the measurements of a store say, in a few lines: what `events`, `claims` and the overview say in full."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from ringback.cli.folders import lake_folder
from ringback.cli.needs import observatory
from ringback.words import Language

if TYPE_CHECKING:
    from ringback.evidence.events import Event
    from ringback.view.ledger import Entry
    from ringback.view.saying import Saying

ANSWERS = ("supported", "contradicted", "untested")


def told(folder: Path, language: Language) -> Iterator[str]:
    """A line for each thing: the sentence of each app's function that something began in (else of the one that the
    pages start with), its events with their onsets, and how the claims were answered."""
    with observatory():
        from ringback.store import Lake, Reading
        from ringback.view import watching
        from ringback.view.address import START
        from ringback.view.figures import Figures
        from ringback.view.ledger import ledger
        from ringback.view.saying import Saying

    lake = Lake(lake_folder(folder))
    reading, figures, saying, walked = Reading(lake), Figures(lake), Saying(language), watching.Walked()
    found = watching.events(reading, walking=walked.walk)
    began = {what: list(own) for what, own in groupby(sorted(found, key=_place), key=_what)}
    yield saying.say("findings.heading")
    for app, function in began or [(START.app, START.function)]:
        view = START.but(app=app, function=function)
        yield "  " + saying.headline(view, figures.days(view), figures.total(view))
    if not found:
        yield "  " + saying.say("findings.no_events")
    for what, own in began.items():
        yield from _events(saying, what, own)
    yield "  " + _claims(saying, ledger(reading, walked.walk))


def _what(event: "Event") -> tuple[str, str]:
    return event.key.app or "", event.key.function or ""


def _place(event: "Event") -> tuple[int, str, str]:
    """Apps in the order in which the pages show them."""
    from ringback.view.address import APPS

    app, function = _what(event)
    return (APPS.index(app) if app in APPS else len(APPS), app, function)


def _events(saying: "Saying", what: tuple[str, str], own: Sequence["Event"]) -> Iterator[str]:
    app, function = what
    named = {"what": saying.what(function), "app": saying.app(app)}
    sure = [one for one in own if one.kind == "event"]
    suspected = len({one.key.asn for one in own} - {one.key.asn for one in sure})
    if sure:
        onsets = sorted(_moments(sure))
        line = saying.say("findings.events", n=len(sure), networks=len({one.key.asn for one in sure}), **named)
        if onsets:
            first, last = saying.moment(onsets[0]), saying.moment(onsets[-1])
            line += " " + saying.say("findings.onset" if first == last else "findings.onsets", first=first, last=last)
        yield "  " + saying.first(line)
    if suspected:
        yield "  " + saying.first(saying.say("findings.suspicions", n=suspected, **named))


def _moments(events: Iterable["Event"]) -> Iterator[datetime]:
    return (datetime.fromtimestamp(one.onset, UTC) for one in events if one.onset is not None)


def _claims(saying: "Saying", entries: Sequence["Entry"]) -> str:
    """Those that can't be measured count among the untested, as `claims --json` has it."""
    groups = [
        sorted(one.id for one in entries if (one.answer if one.answer in ANSWERS else "untested") == answer)
        for answer in ANSWERS
    ]
    named = {
        answer: f"{len(ids)} ({', '.join(ids)})" if ids else "0" for answer, ids in zip(ANSWERS, groups, strict=True)
    }
    return saying.say("findings.claims", **(named | {"untested": str(len(groups[-1]))}))
