"""`ringback events`, `prevalence` and `claims`: what the measurements in the store say together."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.table import Table

from ringback.cli import speech
from ringback.cli.exits import Exit
from ringback.cli.folders import kept_lake
from ringback.cli.needs import observatory
from ringback.errors import BadInput
from ringback.words import Language, Phrases, harmless, load

if TYPE_CHECKING:
    from ringback.evidence.events import Event
    from ringback.store import Reading

BY = "asn,app,function"
LONGEST_WORD = 16  # letters of a table's word that is never cut in two
ROOMY = 6  # columns of a table with two spaces between them


def events(
    *,
    app: str | None = None,
    function: str | None = None,
    data: Path | None = None,
    json: bool = False,
    lang: Language | None = None,
) -> Exit:
    """When networks began and ceased to restrict, as far as the measurements show.

    In all networks together at most one false event a year is expected, as long as under a tenth of the sources lie.
    A suspicion is shown as one: it holds for its network alone and trusts every report. Ends with 3 where there is
    neither.

    Parameters
    ----------
    app
        Only this app.
    function
        Only this function.
    data
        The data folder. Default: the user's.
    json
        One event a line on standard output: app, function, asn, target (the site, where one is named), region, kind,
        onset, end, windows, e_value, n.
    lang
        Language of the words. Default: from the environment.
    """
    with observatory():
        from ringback.store import Lake, Reading, Selection
        from ringback.view import watching

    phrases = load(speech.language(lang))
    chosen = Selection(app=[app] if app else None, function=[function] if function else None)
    reading = Reading(Lake(kept_lake(data)))
    found = watching.events(reading, chosen)
    with speech.Records(json, None) as records:
        for event in found:
            records.write(_event(event))
    rows = [
        (
            f"AS{e.key.asn}",
            "/".join(filter(None, (e.key.app, e.key.function, e.key.target))),
            phrases.say("page.table.event" if e.kind == "event" else "page.table.suspicion"),
            _day(e.onset),
            _day(e.end),
            str(len(e.windows)),
        )
        for e in found
    ]
    _print(("asn", "cell", "kind", "onset", "end", "windows"), rows, json, phrases)
    if not found:
        _unmeasured(reading, {"app": app, "function": function}, json, phrases)
    return Exit.VERDICT if found else Exit.INSUFFICIENT


def _day(seconds: float | None) -> str:
    """For people: to the minute, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M") if seconds is not None else "-"


def _time(seconds: float | None) -> str:
    """ISO 8601, UTC; a dash where it is not known."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds is not None else "-"


def _event(event: "Event") -> dict[str, object]:
    def span(pair: tuple[float, float] | None) -> list[str] | None:
        return [_time(pair[0]), _time(pair[1])] if pair else None

    planned = event.schedule
    return {
        "app": event.key.app,
        "function": event.key.function,
        "asn": event.key.asn,
        "target": event.key.target,
        "region": event.key.region,
        "kind": event.kind,
        "onset": _time(event.onset) if event.onset is not None else None,
        "onset_interval": span(event.onset_interval),
        "under_way_at_start": event.under_way,
        "end": _time(event.end) if event.end is not None else None,
        "end_interval": span(event.end_interval),
        "windows": [span(window) for window in event.windows],
        "schedule": {"hours": planned.hours, "days": planned.days} if planned else None,
        "e_value": event.e_value,
        "n": event.n,
        "clusters": event.clusters,
        "reports_a_day": {"usual": event.volume.usual, "seen": event.volume.seen},
    }


def prevalence(
    *,
    by: str = BY,
    path: str = "direct",
    since: date | None = None,
    until: date | None = None,
    data: Path | None = None,
    json: bool = False,
    lang: Language | None = None,
) -> Exit:
    """How much of each cell is restricted, with a 95 % interval. Cells without a decided verdict have none.

    Fewer than three independent sources are too few to speak for a network: the table then tells the interval alone,
    and a record says `"enough": false`.

    Restricted is the share of participants, each counting once however often it measured, with the verdicts' own errors
    taken out, and leaning on like cells. Of tests is the plain share of restricted measurements, of this cell alone,
    its interval clustered by source. An import names nobody, so each of its measurements counts: restricted is there
    what of tests is, and a record's of_sources the share of its probes or nets. A cell of web tests is all the sites
    tested there taken together, unless it is by target as well. Where speed tests were imported: the median goodput of
    those that were throttled, in kbit/s, with its interval clustered in the same way.

    Parameters
    ----------
    by
        What makes a cell, separated by commas: asn, region, app, function, target, path, day.
    path
        direct, or a VPN path's name; no matter where cells are by path.
    since
        The first UTC day that counts. Default: the first that has data.
    until
        The last one. Default: the last.
    data
        The data folder. Default: the user's.
    json
        One cell a line on standard output: its keys, restricted, interval, n, participants (people of the busiest day;
        0 of imports, which name nobody), enough, sources (people and imports' clusters), of_tests and of_sources
        (share, interval), throttled_kbps (median, interval, n; null without speed tests).
    lang
        Language of the words. Default: from the environment.
    """
    with observatory():
        from ringback.evidence import observed
        from ringback.evidence.prevalence import prevalence as estimated
        from ringback.evidence.shares import quantile, share_of
        from ringback.store import Lake, Reading, Selection

    phrases = load(speech.language(lang))
    _in_order(since, until)
    keys = [name.strip() for name in by.split(",") if name.strip()]
    chosen = Selection(path=None if "path" in keys else (path,), since=since, until=until)
    reading = Reading(Lake(kept_lake(data)))
    counted = observed.counts(reading.cells(keys, chosen, clustered=True))
    cells, speeds = estimated(counted), reading.throttled(keys, chosen)
    rows = []
    with speech.Records(json, None) as records:
        for cell, count in zip(cells, counted, strict=True):
            named = {str(name): value for name, value in cell.key} if isinstance(cell.key, tuple) else {}
            plain = share_of(count.clusters) if count.usable else None
            of_tests = count.of_all(plain.interval) if plain else None
            tests = {"share": plain.value, "interval": of_tests} if plain else None
            sources = {"share": cell.restricted, "interval": cell.interval} if plain else None
            value, interval = cell.restricted, cell.interval
            if plain and not cell.participants:
                value, interval = plain.value, of_tests
            slow = list(zip(*speeds.get(tuple(named.values()), ()), strict=True))  # kbit/s, whose
            speed = quantile(slow[0], slow[1], 0.5) if slow else None
            goodput = {"median": speed.value, "interval": speed.interval, "n": speed.n} if speed else None
            told: dict[str, object] = {
                "restricted": value,
                "interval": interval,
                "n": cell.n,
                "of_tests": tests,
                "of_sources": sources,
            }
            told |= {"throttled_kbps": goodput, "enough": count.enough, "sources": count.sources}
            records.write(
                named
                | told
                | {"participants": cell.participants, "insufficient": cell.insufficient, "doubtful": count.doubtful}
            )
            where = " ".join("-" if value is None else str(value) for value in named.values())
            simple = _numbers(plain.value, of_tests, phrases) if plain else ("-", "-")
            share = _numbers(value, interval, phrases)
            share = share if count.enough else ("-", share[1])
            row = (where, *share, *simple, str(cell.n))
            kbps = _numbers(speed.value, speed.interval, phrases, 1) if speed else ("-", "-")
            rows.append((*row, *kbps) if speeds else row)
    names = ("cell", "restricted", "interval", "of_tests", "interval", "n")
    _print((*names, "throttled_kbps", "interval") if speeds else names, rows, json, phrases)
    return Exit.VERDICT if any(cell.restricted is not None for cell in cells) else Exit.INSUFFICIENT


def _unmeasured(reading: "Reading", asked: dict[str, str | None], json: bool, phrases: Phrases) -> None:
    """Says of a name that nothing in the store has which ones there are: it may be misspelt."""
    for key, value in asked.items():
        known = sorted({str(cell.keys[key]) for cell in reading.cells((key,))} if value is not None else ())
        if known and value not in known:
            line = phrases.say(f"evidence.no_{key}", name=value, known=", ".join(known))
            speech.console(json).print(harmless(line))


def _in_order(since: date | None, until: date | None) -> None:
    """Raises BadInput for days between which no day is."""
    if since and until and since > until:
        raise BadInput(f"is after --until {until}", f"--since {since}")


def _numbers(
    value: float | None, interval: tuple[float, float] | None, phrases: Phrases, digits: int = 2
) -> tuple[str, str]:
    if value is None or interval is None:
        return "-", "-"
    low, high = (phrases.number(end, digits) for end in interval)
    told = phrases.say("page.points_range", low=low, high=high) if interval[0] < 0 else f"{low}\u2013{high}"
    return phrases.number(value, digits), told


def contrasts(
    *,
    app: str = "whatsapp",
    function: str = "voice",
    since: date | None = None,
    until: date | None = None,
    data: Path | None = None,
    json: bool = False,
    lang: Language | None = None,
) -> Exit:
    """Each region beside all others, the app of the state's choice beside this one, and for whom a VPN worked.

    Regions: mean restricted share of its networks minus that of all others, the intervals holding for all regions
    together. The gap to Max is withheld while Max's wire is not verified. Ends with 3 where nothing can be told.

    Parameters
    ----------
    app
        The app.
    function
        text, media or voice.
    since
        The first UTC day that counts. Default: the first that has data.
    until
        The last one. Default: the last.
    data
        The data folder. Default: the user's.
    json
        One object on standard output: regions, preference, bypass.
    lang
        Language of the words. Default: from the environment.
    """
    with observatory():
        from ringback.store import Lake, Reading, Selection
        from ringback.view.contrasts import contrasts as folded

    phrases = load(speech.language(lang))
    _in_order(since, until)
    days = Selection(since=since, until=until)
    reading = Reading(Lake(kept_lake(data)))
    found = folded(reading, days, app, function)
    with speech.Records(json, None) as records:
        records.write(found)

    def withheld(why: str | None) -> str:
        return phrases.say(f"evidence.withheld.{why}") if why else ""

    rows = [(one.region, *_numbers(one.difference, one.interval, phrases), "") for one in found.regions]
    for gap in found.preference:
        name = phrases.say("evidence.gap", app=gap.app, preferred=gap.preferred)
        rows.append((name, *_numbers(gap.difference, gap.interval, phrases), withheld(gap.withheld)))
    numbers = _numbers(found.bypass.worked, found.bypass.interval, phrases)
    rows.append((phrases.say("evidence.bypass"), *numbers, withheld(found.bypass.withheld)))
    _print(("cell", "difference", "interval", "note"), rows, json, phrases)
    told = (
        found.regions or found.bypass.worked is not None or any(gap.difference is not None for gap in found.preference)
    )
    if not told:
        _unmeasured(reading, {"app": app, "function": function}, json, phrases)
    return Exit.VERDICT if told else Exit.INSUFFICIENT


def claims(*, data: Path | None = None, json: bool = False, lang: Language | None = None) -> Exit:
    """Each public statement, and what the measurements say of it: supported, contradicted or untested.

    Supported or contradicted only where the whole interval is on one side; untested says what is missing. Ends with 3
    where all are untested.

    Parameters
    ----------
    data
        The data folder. Default: the user's.
    json
        One claim a line on standard output: id, answer, estimate, interval, n, missing, and who said it when and where.
    lang
        Language of the words. Default: from the environment.
    """
    with observatory():
        from ringback.store import Lake, Reading
        from ringback.view.ledger import ledger

    language = speech.language(lang)
    phrases = load(language)
    told = ledger(Reading(Lake(kept_lake(data))))
    rows = []
    with speech.Records(json, None) as records:
        for one in told:
            said = "untested" if one.answer == "not-measurable" else one.answer
            records.write(msgspec.structs.replace(one, answer=said))
            numbers = _numbers(one.estimate, one.interval, phrases)
            words = one.told(language)
            answer = phrases.say(f"page.claims.{one.answer}")
            rows.append((one.id, answer, *numbers, f"{one.date} {words.who}: {words.statement}"))
    _print(("id", "answer", "estimate", "interval", "statement"), rows, json, phrases)
    return Exit.VERDICT if any(one.answer in ("supported", "contradicted") for one in told) else Exit.INSUFFICIENT


def _print(names: Sequence[str], rows: Sequence[tuple[str, ...]], json: bool, phrases: Phrases) -> None:
    """Words for people; with --json only that there is nothing, since the records say the rest."""
    console = speech.console(json)
    if not rows:
        console.print(phrases.say("evidence.nothing"))
    if json or not rows:
        return
    gap = 2 if len(names) <= ROOMY else 1
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="bold underline")
    for name, column in zip(names, zip(*rows, strict=True), strict=True):
        heading = phrases.say(f"evidence.{name}")
        words = (len(word) for told in (heading, *column) for word in told.split())
        table.add_column(heading, overflow="fold", min_width=max((n for n in words if n <= LONGEST_WORD), default=1))
    for row in rows:
        table.add_row(*map(harmless, row))
    console.print(table)
