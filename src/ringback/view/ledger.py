"""Claims answered from the lake's verdicts, and the policy timeline beside them."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from functools import cache
from itertools import groupby

import msgspec

from ringback.evidence import observed
from ringback.evidence.cells import Key
from ringback.evidence.claims import UNBOUNDED, Answered, Claim, Condition, Found, Told, Verdicts, answer, claims
from ringback.evidence.events import LEAST_TURNS, Event, Walk, walk
from ringback.store import Reading, Selection
from ringback.view import watching
from ringback.words import Language


class Weighed(msgspec.Struct, frozen=True):
    """One condition of a claim, see `evidence.claims.Condition`, and what the data say of it alone. above, below: the
    bounds between which it makes the claim true; null where there is none."""

    kind: str
    app: str
    function: str
    regions: list[str]
    where: str | None
    values: list[str]
    above: float | None
    below: float | None
    answer: str
    estimate: float | None
    interval: tuple[float, float] | None
    n: int
    missing: str | None


class Entry(msgspec.Struct, frozen=True):
    """answer: `supported`, `contradicted`, `untested` or `not-measurable`; estimate and interval are shares or their
    differences, -1..1, of the condition that decided; n: the verdicts behind it. country: the one it is about (ISO
    3166-1 alpha-2); elsewhere: verdicts that don't count, of networks in others or of which nobody knows where they
    are. not_measurable: why; ru: the words in Russian."""

    id: str
    date: str
    who: str
    statement: str
    source: str
    mark: str
    answer: str
    estimate: float | None
    interval: tuple[float, float] | None
    n: int
    country: str
    elsewhere: int
    missing: str | None
    not_measurable: str | None
    ru: Told | None
    conditions: list[Weighed]

    def told(self, language: Language) -> Told:
        """Who said what, in this language where the ledger has it."""
        if language == "ru" and self.ru is not None:
            return self.ru
        return Told(self.who, self.statement, self.not_measurable)


def days_of(claim: Claim) -> tuple[date, date]:
    return claim.date, claim.date + timedelta(days=claim.days)


class Days:
    """Verdicts day by day, each day asked for once however many claims share it: days are given in order of the first.
    Ringback's own: an import's `restricted` rests on no draw."""

    def __init__(self, reading: Reading, of: Sequence[Claim]) -> None:
        self._reading = reading
        self._apps = sorted({condition.app for claim in of for condition in claim.conditions})
        self._held: list[tuple[date, list[Verdicts]]] = []
        self._asked = date.min  # up to here

    def within(self, since: date, until: date) -> list[Verdicts]:
        """Those of these days, both included; days before them are forgotten."""
        self._held = [(day, own) for day, own in self._held if day >= since]
        first = max(since, self._asked + timedelta(days=1))
        if first <= until and self._apps:
            own = Selection(source=("ringback",), app=self._apps, since=first, until=until)
            for day, said in groupby(self._reading.said(own), key=lambda one: one.time.date()):
                self._held.append((day, observed.verdicts(said)))
            self._asked = until
        return [one for day, own in self._held if day <= until for one in own]


def entry(claim: Claim, found: Answered) -> Entry:
    return Entry(
        id=claim.id,
        date=claim.date.isoformat(),
        who=claim.who,
        statement=claim.statement,
        source=claim.source,
        mark=claim.mark,
        answer="not-measurable" if claim.not_measurable is not None else found.answer,
        estimate=found.estimate,
        interval=found.interval,
        n=found.n,
        country=claim.country,
        elsewhere=found.elsewhere,
        missing=found.missing,
        not_measurable=claim.not_measurable,
        ru=claim.ru,
        conditions=[weighed(*both) for both in zip(claim.conditions, found.conditions, strict=True)],
    )


def weighed(condition: Condition, found: Found) -> Weighed:
    low, high = UNBOUNDED
    return Weighed(
        kind=condition.kind,
        app=condition.app,
        function=condition.function,
        regions=list(condition.regions),
        where=condition.where,
        values=list(condition.values),
        above=condition.above if condition.above > low else None,
        below=condition.below if condition.below < high else None,
        answer=found.answer,
        estimate=found.estimate,
        interval=found.interval,
        n=found.n,
        missing=found.missing,
    )


Judged = Callable[[str, str], tuple[list[Event], list[Key]]]
"""(app, function) to all its events, and the networks that were watched for them."""


def judging(reading: Reading, walking: Walk = walk) -> Judged:
    """Each function once, however many claims are about it."""

    @cache
    def judged(app: str, function: str) -> tuple[list[Event], list[Key]]:
        whole = watching.country(reading, Selection(app=(app,), function=(function,)), walking=walking)
        return [event for own in whole.events.values() for event in own], watching.watched(whole)

    return judged


def histories(reading: Reading, claim: Claim, judged: Judged) -> tuple[list[Event], list[Key]]:
    """Measured events of what the claim's conditions on events are about, and the networks that were watched for them
    in the claim's days. The whole history counts: what is usual lies before these days."""
    seen: list[Event] = []
    watched: list[Key] = []
    since, until = days_of(claim)
    for app, function in sorted({(one.app, one.function) for one in claim.conditions if one.kind == "event"}):
        during = Selection(app=(app,), function=(function,), since=since, until=until)
        measured = {asn for _, _, asn, _ in reading.networks(during, LEAST_TURNS)}
        if measured:
            events, able = judged(app, function)
            seen += events
            watched += [key for key in able if key.asn in measured]
    return seen, watched


def ledger(reading: Reading, walking: Walk = walk) -> list[Entry]:
    """Every claim in order of date, answered. Those of the same days are answered from one reading."""
    found: list[Entry] = []
    ordered = sorted(claims(), key=lambda claim: (claim.date, claim.days))
    days, judged = Days(reading, ordered), judging(reading, walking)
    for between, alike in groupby(ordered, key=days_of):
        own = list(alike)
        seen = days.within(*between) if any(claim.conditions for claim in own) else []
        found += [entry(claim, answer(claim, seen, *histories(reading, claim, judged))) for claim in own]
    return found
