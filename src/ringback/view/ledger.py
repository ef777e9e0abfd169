"""Claims answered from the lake's verdicts, and the policy timeline beside them."""

from datetime import timedelta

import msgspec

from ringback.evidence import observed
from ringback.evidence.cells import Key
from ringback.evidence.claims import Answered, Claim, Verdicts, answer, claims
from ringback.evidence.events import Event
from ringback.store import Reading, Selection
from ringback.view import watching


class Entry(msgspec.Struct, frozen=True):
    """answer: `supported`, `contradicted`, `untested` or `not-measurable`; estimate and interval are shares or their
    differences, -1..1, of the condition that decided; n: the verdicts behind it."""

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
    missing: str | None


def verdicts(reading: Reading, claim: Claim) -> list[Verdicts]:
    """Those of the claim's days, Ringback's own: an import's `restricted` rests on no draw."""
    days = Selection(
        source=("ringback",),
        app=sorted({condition.app for condition in claim.conditions}),
        since=claim.date,
        until=claim.date + timedelta(days=claim.days),
    )
    return observed.verdicts(reading.observations(days)) if claim.conditions else []


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
        missing=found.missing,
    )


def histories(reading: Reading, claim: Claim) -> tuple[list[Event], list[Key]]:
    """Measured events of what the claim's conditions on events are about, and the networks that were watched for them.
    The whole history counts: what is usual lies before the claim's days."""
    seen: list[Event] = []
    watched: list[Key] = []
    for app, function in sorted({(one.app, one.function) for one in claim.conditions if one.kind == "event"}):
        judged = watching.country(reading, Selection(app=(app,), function=(function,)))
        seen += [event for own in judged.events.values() for event in own]
        watched += watching.watched(judged)
    return seen, watched


def ledger(reading: Reading) -> list[Entry]:
    """Every claim in order of date, answered."""
    return [
        entry(claim, answer(claim, verdicts(reading, claim), *histories(reading, claim)))
        for claim in sorted(claims(), key=lambda claim: claim.date)
    ]
