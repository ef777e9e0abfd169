"""What was said, against what was measured: each claim a predicate, answered only when its interval is on one side.

The ledger and the policy timeline are data (`data/claims.toml`, `data/timeline.toml`); statements are in our own words,
with who, date, source and a mark that says how sure the row itself is. Nothing is judged that probes can't measure.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from importlib.resources import files
from typing import Any, Literal

import numpy as np

from ringback.errors import BadInput
from ringback.evidence.cells import DAY, Count, Key
from ringback.evidence.contrasts import between, mean_share
from ringback.evidence.events import Event
from ringback.evidence.prevalence import LEVEL, Posterior, prevalence
from ringback.evidence.shares import share

Answer = Literal["supported", "contradicted", "untested"]
Mark = Literal["article", "article+found", "found", "memory"]

LEAST_NETWORKS = 3  # a claim about a country is not tested on fewer
COUNTRY = re.compile(r"[A-Z]{2}")
WINDOW_DAYS = 7.0  # a statement is held against the days from its own on
SEED = 20250813
UNBOUNDED = (-1.0, 2.0)  # outside all shares and nearly all differences of them
KINDS = ("share", "contrast", "bypass", "mechanism", "trigger", "event")


@dataclass(frozen=True)
class Verdicts:
    """One decided or undecided verdict, as a store yields it. at: seconds UTC. bypassed: worked by a tunnel in the same
    session; None where no tunnel was tried. daily: the cluster is a pseudonym, another one each day."""

    key: Key
    at: float
    cluster: str
    status: str
    mechanism: str = "none"
    trigger: str | None = None
    bypassed: bool | None = None
    daily: bool = False


@dataclass(frozen=True)
class Condition:
    """One quantity that a claim speaks of, and the bounds within which it makes the claim true.

    kind: `share` restricted; `contrast`, that of `regions` minus that of all others; `bypass`, share of restricted
    sessions in which a tunnel worked; `mechanism`, `trigger`: share of restricted verdicts of these; `event`, share of
    networks with an event whose onset lies in the window. where: only networks on which that function is restricted.
    """

    kind: str
    app: str
    function: str
    above: float = UNBOUNDED[0]
    below: float = UNBOUNDED[1]
    regions: tuple[str, ...] = ()
    where: str | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Told:
    """The words of a claim in another language."""

    who: str
    statement: str
    not_measurable: str | None = None


@dataclass(frozen=True)
class Claim:
    """country: the one it is about, ISO 3166-1 alpha-2; networks elsewhere say nothing about it, nor do those of which
    nobody knows where they are. not_measurable: why, where no probe can tell. ru: the same in Russian."""

    id: str
    date: date
    who: str
    statement: str
    source: str
    mark: str
    conditions: tuple[Condition, ...] = ()
    not_measurable: str | None = None
    days: float = WINDOW_DAYS
    ru: Told | None = None
    country: str = field(kw_only=True)


@dataclass(frozen=True)
class PolicyEvent:
    """country: the one whose policy it is, ISO 3166-1 alpha-2. ru: the event in Russian."""

    date: date
    event: str
    scope: str
    source: str
    mark: str
    ru: str | None = None
    country: str = field(kw_only=True)


@dataclass(frozen=True)
class Found:
    """estimate and interval of one condition; missing: what data it lacks."""

    answer: Answer
    estimate: float | None
    interval: tuple[float, float] | None
    n: int
    missing: str | None = None


@dataclass(frozen=True)
class Answered:
    """estimate, interval, n: of the condition that decided, or of the first where all hold. elsewhere: verdicts of the
    same days, apps and functions that don't count, of networks in other countries or of unknown ones."""

    id: str
    answer: Answer
    estimate: float | None
    interval: tuple[float, float] | None
    n: int
    missing: str | None
    conditions: tuple[Found, ...]
    elsewhere: int = 0


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((files("ringback.evidence") / "data" / name).read_text("utf-8"))


def _condition(raw: Mapping[str, Any], where: str) -> Condition:
    known = {"kind", "app", "function", "above", "below", "regions", "where", "values"}
    if unknown := set(raw) - known:
        raise BadInput(f"unknown key `{sorted(unknown)[0]}`", where)
    if raw.get("kind") not in KINDS:
        raise BadInput(f"kind must be one of {', '.join(KINDS)}", where)
    if "above" not in raw and "below" not in raw:
        raise BadInput("a condition needs `above` or `below`", where)
    lists = {name: tuple(raw.get(name, ())) for name in ("regions", "values")}
    return Condition(**{**raw, **lists})


def claims(table: Mapping[str, Any] | None = None) -> tuple[Claim, ...]:
    """The shipped ledger, or one read from a table of the same form: `country` at its top is that of the claims which
    name none. Raises BadInput(what, where)."""
    read = []
    whole = table or _table("claims.toml")
    common = {"country": whole["country"]} if "country" in whole else {}
    for raw in whole["claim"]:
        where = f"claims: {raw.get('id', '?')}"
        try:
            conditions = tuple(_condition(c, where) for c in raw.get("conditions", ()))
            told = Told(**raw["ru"]) if "ru" in raw else None
            made = Claim(**{**common, **raw, "conditions": conditions, "ru": told})
        except TypeError as error:
            raise BadInput(str(error), where) from error
        if not COUNTRY.fullmatch(str(made.country)):
            raise BadInput("country must be two capital letters (ISO 3166-1)", where)
        if bool(made.conditions) == (made.not_measurable is not None):
            raise BadInput("needs either conditions or not_measurable", where)
        read.append(made)
    return tuple(read)


def timeline() -> tuple[PolicyEvent, ...]:
    """The shipped policy events, by date."""
    table = _table("timeline.toml")
    events = (PolicyEvent(**{"country": table["country"], **raw}) for raw in table["event"])
    return tuple(sorted(events, key=lambda one: one.date))


def _counts(verdicts: Iterable[Verdicts]) -> list[Count]:
    keyed: dict[Key, list[Verdicts]] = {}
    for one in verdicts:
        keyed.setdefault(one.key, []).append(one)
    made = []
    for key, own in keyed.items():
        tallies: dict[str, list[int]] = {}
        people: dict[int, set[str]] = {}
        for one in own:
            tally = tallies.setdefault(one.cluster, [0, 0])
            tally[0] += one.status == "restricted"
            tally[1] += one.status in ("restricted", "working")
            if one.daily:
                people.setdefault(int(one.at // DAY), set()).add(one.cluster)
        days = [len(seen) for seen in people.values()]
        clusters = tuple((float(hit), float(decided)) for hit, decided in tallies.values())
        made.append(Count(key, clusters, participants=max(days, default=0), visits=sum(days)))
    return made


def _judge(value: float, interval: tuple[float, float], n: int, condition: Condition) -> Found:
    low, high = interval
    if low > condition.above and high < condition.below:
        return Found("supported", value, interval, n)
    if high < condition.above or low > condition.below:
        return Found("contradicted", value, interval, n)
    return Found("untested", value, interval, n, "more measurements: the interval holds both answers")


def _missing(what: str, n: int = 0) -> Found:
    return Found("untested", None, None, n, what)


def _networks(verdicts: Sequence[Verdicts], level: float) -> dict[Key, Posterior]:
    cells = prevalence(_counts(verdicts), level=level)
    return {cell.key: cell.posterior for cell in cells if cell.posterior is not None and isinstance(cell.key, Key)}


def _elsewhere(key: Key, regions: Sequence[str]) -> bool:
    """In another region; one of which only the country is known may be in these."""
    return key.region is not None and key.region != key.country and key.region not in regions


def _share(verdicts: Sequence[Verdicts], condition: Condition, level: float) -> Found:
    networks = _networks(verdicts, level)
    rng = np.random.default_rng(SEED)
    n = sum(one.status in ("restricted", "working") for one in verdicts)
    here = [own for key, own in networks.items() if not condition.regions or key.region in condition.regions]
    if condition.kind == "contrast":
        there = [own for key, own in networks.items() if _elsewhere(key, condition.regions)]
        if min(len(here), len(there)) < LEAST_NETWORKS:
            return _missing(
                f"{LEAST_NETWORKS} networks with verdicts in {', '.join(condition.regions)}, and elsewhere", n
            )
        found = between(here, there, rng, level)
        assert found.value is not None
        assert found.interval is not None
        return _judge(found.value, found.interval, n, condition)
    if len(here) < LEAST_NETWORKS:
        place = f" in {', '.join(condition.regions)}" if condition.regions else ""
        return _missing(f"verdicts of {condition.app}/{condition.function} on {LEAST_NETWORKS} networks{place}", n)
    drawn = mean_share(here, rng)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return _judge(float(drawn.mean()), (float(low), float(high)), n, condition)


def _among_restricted(verdicts: Sequence[Verdicts], condition: Condition, level: float) -> Found:
    hit = [one for one in verdicts if one.status == "restricted"]
    if condition.kind == "bypass":
        hit = [one for one in hit if one.bypassed is not None]
        tests = [bool(one.bypassed) for one in hit]
        lacking = "sessions in which the function was restricted directly and a tunnel was tried"
    else:
        named = [one.mechanism if condition.kind == "mechanism" else one.trigger for one in hit]
        tests = [name in condition.values for name in named]
        lacking = "restricted verdicts"
    if len({one.key.asn for one in hit}) < LEAST_NETWORKS:
        return _missing(f"{lacking}, on {LEAST_NETWORKS} networks", len(hit))
    found = share(tests, [(one.key.asn, one.cluster) for one in hit], level)
    return _judge(found.value, found.interval, found.n, condition)


def _event_share(
    watched: Sequence[Key], seen: Sequence[Event], condition: Condition, span: tuple[float, float], level: float
) -> Found:
    keys = {key for key in watched if (key.app, key.function) == (condition.app, condition.function)}
    if len(keys) < LEAST_NETWORKS:
        return _missing(f"histories of {condition.app}/{condition.function} on {LEAST_NETWORKS} networks", len(keys))
    onsets = {e.key for e in seen if e.kind == "event" and e.onset is not None and span[0] <= e.onset < span[1]}
    ordered = sorted(keys, key=repr)
    found = share([key in onsets for key in ordered], ordered, level)
    return _judge(found.value, found.interval, found.n, condition)


def _cells(condition: Condition) -> list[tuple[str, str]]:
    """The apps' functions that it is weighed by."""
    return [(condition.app, name) for name in (condition.function, condition.where) if name is not None]


def answer(
    claim: Claim, verdicts: Sequence[Verdicts], seen: Sequence[Event] = (), watched: Sequence[Key] = ()
) -> Answered:
    """What the data say of a claim: those of networks known to be in its country. watched: networks whose events would
    have been seen.

    Supported when every condition is, each on its 95 % interval: all have to err for the whole to (an
    intersection-union test; Berger 1982). Contradicted when one is, on an interval widened for their number.
    """
    if claim.not_measurable is not None:
        return Answered(claim.id, "untested", None, None, 0, f"not measurable by probes: {claim.not_measurable}", ())
    start = datetime(claim.date.year, claim.date.month, claim.date.day, tzinfo=UTC).timestamp()
    span = (start, start + claim.days * DAY)
    meant = {(condition.app, condition.function) for condition in claim.conditions}
    within: dict[tuple[str, str], list[Verdicts]] = {
        cell: [] for condition in claim.conditions for cell in _cells(condition)
    }
    elsewhere = 0
    for one in verdicts:
        cell = (one.key.app, one.key.function)
        if cell in within and span[0] <= one.at < span[1] and one.key.path == "direct":
            if one.key.country == claim.country:
                within[cell].append(one)
            else:
                elsewhere += cell in meant

    def weighed(condition: Condition, level: float) -> Found:
        if condition.kind == "event":
            here = [key for key in watched if key.country == claim.country]
            return _event_share(here, seen, condition, span, level)
        own = within[condition.app, condition.function]
        if condition.where is not None:
            hit = {
                (one.key.asn, one.key.region)
                for one in within[condition.app, condition.where]
                if one.status == "restricted"
            }
            own = [one for one in own if (one.key.asn, one.key.region) in hit]
        judge = _share if condition.kind in ("share", "contrast") else _among_restricted
        return judge(own, condition, level)

    found = []
    for condition in claim.conditions:
        told = weighed(condition, LEVEL)
        refuted = told.answer == "contradicted"
        found.append(weighed(condition, 1 - (1 - LEVEL) / len(claim.conditions)) if refuted else told)
    answers = [one.answer for one in found]
    if "contradicted" in answers:
        deciding = found[answers.index("contradicted")]
    elif "untested" in answers:
        deciding = found[answers.index("untested")]
    else:
        deciding = found[0]
    missing = deciding.missing
    if missing is not None:
        others = f"; {elsewhere} verdicts of networks elsewhere or of unknown country don't count" if elsewhere else ""
        missing = f"in {claim.country}: {missing}{others}"
    return Answered(
        claim.id,
        deciding.answer,
        deciding.estimate,
        deciding.interval,
        deciding.n,
        missing,
        tuple(found),
        elsewhere,
    )
