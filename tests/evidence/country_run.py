"""A country run judged: what the observatory says of a country file's reports beside what the file makes true.

    python -m tests.evidence.country_run runs      each country file through the store: events, shares, claims
    python -m tests.evidence.country_run seeds     the shipped file with other people: events
    python -m tests.evidence.country_run quiet     ten months in which nothing is restricted, with false verdicts
    python -m tests.evidence.country_run shares    intervals of networks' shares over many draws of participants

JSON lines, the figures of docs/evidence.md. Nothing here is seen by what measures.
"""

import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from ringback.collect.scrub import observed as collected
from ringback.collect.scrub import scrubbed
from ringback.evidence import observed
from ringback.evidence.cells import DAY, HOUR, Count, Graded, Key
from ringback.evidence.claims import Verdicts
from ringback.evidence.events import Country, Event
from ringback.evidence.prevalence import prevalence
from ringback.lab import recordings
from ringback.lab.nation import Nation, Provider, Situation, Visit, draw, situation, visits
from ringback.lab.recordings import Recordings
from ringback.lab.truth import truth
from ringback.lab.wires import cells
from ringback.record import Truth
from ringback.store import Lake, Reading, Selection
from ringback.view import watching
from ringback.view.ledger import ledger
from tests.evidence.country import EDITS, country, recorded
from tests.evidence.country_claims import answers

ALLOWED_H = 6.0  # how late a report may be after the onset before no onset can be expected within these hours
WRONG = 0.01  # false verdicts in the quiet months: as many as the detector allows for, ten times alpha
SETTLED = "2025-08-12", "2025-08-18"  # the week after the onset, for shares
FIRST = 1_754_956_800.0  # 12 August 2025, 00:00 UTC

WEEK = 7  # days

Name = tuple[str, str, str]  # app, function, path


class Facts:
    """What a country's situations make true of each app's function on each path; of two directions the restricted."""

    def __init__(self, nation: Nation) -> None:
        self.nation = nation
        self._known: dict[tuple[int, tuple[object, ...]], dict[Name, Truth]] = {}

    def of(self, met: Situation) -> Mapping[Name, Truth]:
        known = (id(met.link), tuple(id(rule.action) for rule in met.rules))
        if known not in self._known:
            scenario, found = met.scenario(), dict[Name, Truth]()
            for cell in cells(scenario):
                name = (cell.app, cell.function, cell.path)
                told = truth(scenario, scenario.networks[0], 0, cell)
                if name not in found or told.status == "restricted":
                    found[name] = told
            self._known[known] = found
        return self._known[known]

    def onsets(self) -> dict[Key, float]:
        """Every history in which something was restricted on the direct path, and since when."""
        found: dict[Key, float] = {}
        for one in self.nation.providers:
            if round(one.share * one.participants) < 1:
                continue
            for since in sorted({rule.since or self.nation.since for rule in one.rules}):
                for (app, function, path), told in self.of(situation(self.nation, one, True, since)).items():
                    if path == "direct" and told.status == "restricted":
                        found.setdefault(_key(one, app, function), since)
        return found

    def verdicts(self, made: Iterable[Visit]) -> list[Verdicts]:
        """What everybody's session would have said without any doubt or mistake."""
        found = []
        for one in made:
            told = self.of(one.situation)
            for (app, function, path), true in told.items():
                if path != "direct":
                    continue
                tunnel = told[app, function, "vpn"].status == "working" if one.vpn else None
                key, who = _key(one.provider, app, function), f"{one.provider.asn}/{one.participant}"
                found.append(Verdicts(key, one.at, who, true.status, true.mechanism, true.trigger, tunnel))
        return found


def _key(one: Provider, app: str, function: str) -> Key:
    return Key(app, function, one.asn, one.region)


@dataclass
class Found:
    """events, suspicions, missed: networks' functions that were restricted. false: the others of which one is said.
    begun: of the found, those with an onset. onset_h: hours between it and the truth; allowed_h: the same where a
    restricted report came within ALLOWED_H of the truth; first_h: hours from the first report that was restricted to
    the first that is said to be, of all found. few: people behind the device, of each that is no event."""

    events: int = 0
    suspicions: int = 0
    missed: int = 0
    false: int = 0
    false_suspicions: int = 0
    begun: int = 0
    onset_h: list[float] = field(default_factory=list)
    allowed_h: list[float] = field(default_factory=list)
    first_h: list[float] = field(default_factory=list)
    few: list[str] = field(default_factory=list)

    def row(self) -> dict[str, object]:
        def spread(hours: list[float]) -> dict[str, float]:
            return {"n": len(hours), "median": round(float(np.median(hours)), 1), "most": round(max(hours), 1)}

        told = {"events": self.events, "suspicions": self.suspicions, "missed": self.missed, "false": self.false}
        told |= {"false_suspicions": self.false_suspicions, "with_onset": self.begun}
        hours = {name: spread(own) for name in ("onset_h", "allowed_h", "first_h") if (own := getattr(self, name))}
        return {**told, **hours, "no_event": self.few}


def compared(found: Sequence[Event], onsets: Mapping[Key, float], true: Iterable[Verdicts], nation: Nation) -> Found:
    """Each history with what was found in it, against the truth."""
    score = Found()
    first: dict[Key, float] = {}
    for one in true:
        if one.status == "restricted":
            first[one.key] = min(first.get(one.key, one.at), one.at)
    behind = {one.asn: round(one.share * one.participants) for one in nation.providers}
    by: dict[Key, list[Event]] = defaultdict(list)
    for event in found:
        by[event.key].append(event)
    for key, since in onsets.items():
        own = by.pop(key, [])
        best = next((event for event in own if event.kind == "event"), own[0] if own else None)
        score.events += best is not None and best.kind == "event"
        score.suspicions += best is not None and best.kind == "suspicion"
        score.missed += best is None
        score.false += sum(event.kind == "event" for event in own) > 1
        if best is None or best.kind != "event":
            score.few.append(f"{key.app} AS{key.asn}: {behind[key.asn or 0]} people")
        if best is not None:
            score.first_h.append(abs(best.windows[0][0] - first[key]) / HOUR)
        if best is not None and best.onset is not None:
            score.begun += 1
            score.onset_h.append(abs(best.onset - since) / HOUR)
            if first[key] - since <= ALLOWED_H * HOUR:
                score.allowed_h.append(abs(best.onset - since) / HOUR)
    rest = [event for own in by.values() for event in own]
    score.false += sum(event.kind == "event" for event in rest)
    score.false_suspicions += sum(event.kind == "suspicion" for event in rest)
    return score


def filled(nation: Nation, known: Recordings, folder: Path) -> Lake:
    """What a collector makes of the country's reports, in a lake: times lose their minutes."""
    lake, now = Lake(folder), datetime.fromtimestamp(nation.until + DAY, UTC)
    kept = (scrubbed(report, now) for report in recordings.reports(nation, known))
    lake.extend(one for report in kept for one in collected(report))
    return lake


def shares(reading: Reading, facts: Facts) -> dict[str, tuple[int, int]]:
    """(covered, cells) of networks' and regions' shares in SETTLED, by what is true: restricted for all or none of the
    participants, or for some."""
    nation, found = facts.nation, dict[str, tuple[int, int]]()
    for place in ("asn", "region"):
        true: dict[tuple[object, ...], list[tuple[float, int]]] = defaultdict(list)
        for one in nation.providers:
            share = round(one.share * one.participants) / one.participants
            for (app, function, path), told in facts.of(situation(nation, one, True, FIRST)).items():
                if path == "direct":
                    where = (app, function, path, one.asn if place == "asn" else one.region)
                    true[where].append((share * (told.status == "restricted"), one.participants))
        since, until = (np.datetime64(day).astype(object) for day in SETTLED)
        chosen = Selection(path=("direct",), since=since, until=until)
        counted = reading.cells(("app", "function", "path", place), chosen, clustered=True)
        for cell in prevalence(observed.counts(counted)):
            assert isinstance(cell.key, tuple)
            parts = true[tuple(value for _, value in cell.key)]
            if cell.interval is None:
                continue
            share = sum(own * people for own, people in parts) / sum(people for _, people in parts)
            kind = f"{place}, {'some' if 0 < share < 1 else 'none or all'}"
            covered, n = found.get(kind, (0, 0))
            found[kind] = (covered + (cell.interval[0] <= share <= cell.interval[1]), n + 1)
    return found


def run(name: str, nation: Nation, known: Recordings, folder: Path) -> dict[str, object]:
    """One country file through the store."""
    facts = Facts(nation)
    reading = Reading(filled(nation, known, folder))
    made = list(visits(nation))
    true, onsets = facts.verdicts(made), facts.onsets()
    said, so = {one.id: one.answer for one in ledger(reading)}, answers(true, onsets)
    kept = {id: told.replace("not-measurable", "untested") for id, told in said.items()}
    return {
        "country": name,
        **compared(watching.events(reading), onsets, true, nation).row(),
        "shares": shares(reading, facts),
        "claims": {id: told for id, told in said.items() if told in ("supported", "contradicted")},
        "claims_otherwise": {id: [told, so[id]] for id, told in kept.items() if told != so[id]},
    }


def histories(nation: Nation, facts: Facts, wrong: float = 0.0) -> dict[Key, list[Graded]]:
    """The same reports without their way through the store, by the truth alone, to the hour. wrong: share of verdicts
    that are `restricted` where nothing is."""
    chance = draw(nation, "wrong")
    found: dict[Key, list[Graded]] = defaultdict(list)
    for visit in visits(nation):
        who = f"{visit.provider.asn}/{visit.participant}/{visit.at // DAY}"
        for (app, function, path), told in facts.of(visit.situation).items():
            if path == "direct":
                decided = told.status in ("working", "restricted")
                failed = decided and (told.status == "restricted" or chance.random() < wrong)
                one = Graded(visit.at // HOUR * HOUR, who, int(decided), int(failed), "1")
                found[_key(visit.provider, app, function)].append(one)
    return dict(found)


def judged(nation: Nation, wrong: float = 0.0) -> tuple[list[Event], Facts]:
    facts = Facts(nation)
    seen = Country(histories(nation, facts, wrong), declared={"1": observed.VERDICT_RATE})
    return [event for own in seen.events.values() for event in own], facts


def quiet(seed: int, days: int = 30) -> dict[str, object]:
    """A month in which no app is restricted, though internet is shut down here and slow there."""
    nation = msgspec.structs.replace(country("nothing restricted"), seed=seed)
    nation = msgspec.structs.replace(nation, until=nation.since + days * DAY)
    found, _ = judged(nation, WRONG)
    kinds = [event.kind for event in found]
    return {"seed": seed, "events": kinds.count("event"), "suspicions": kinds.count("suspicion")}


def others(seed: int) -> dict[str, object]:
    """The shipped country with other people behind its devices, at other hours."""
    nation = msgspec.structs.replace(country("as shipped"), seed=seed)
    found, facts = judged(nation)
    return {"seed": seed, **compared(found, facts.onsets(), facts.verdicts(visits(nation)), nation).row()}


def drawn(seeds: Sequence[int]) -> dict[str, object]:
    """Networks' shares of a week: the customers behind a device are a share drawn anew where the file has one between
    none and all, the participants are drawn from the customers, and measure for a week under each day's pseudonym."""
    nation, covered = country("as shipped"), defaultdict[str, list[bool]](list)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        counts, true = [], []
        for one in nation.providers:
            cut = any(rule.match.app == "whatsapp" for rule in one.rules)
            share = 0.0 if not cut else 1.0 if one.share == 1 else float(rng.uniform(0.05, 0.95))
            behind = rng.random(one.participants) < share
            comes = rng.random((WEEK, one.participants)) < one.sessions
            clusters = tuple((float(hit), 1.0) for hit in np.broadcast_to(behind, comes.shape)[comes])
            people, total = int(comes.sum(axis=1).max()), int(comes.sum())
            counts.append(Count(one.asn, clusters, participants=people, visits=total))
            true.append(share)
        for share, cell in zip(true, prevalence(counts), strict=True):
            if cell.interval is not None:
                kind = "some" if 0 < share < 1 else "none or all"
                covered[kind].append(cell.interval[0] <= share <= cell.interval[1])
    every = [so for own in covered.values() for so in own]
    told = {kind: [round(float(np.mean(own)), 3), len(own)] for kind, own in {**covered, "all": every}.items()}
    return {"shares": told}


RUNS = {
    "seeds": lambda: (others(seed) for seed in range(11, 21)),
    "quiet": lambda: (quiet(seed) for seed in range(11, 21)),
    "shares": lambda: iter([drawn(range(2000, 2200))]),
}


def _runs() -> Iterator[dict[str, object]]:
    known = recorded()
    for name in EDITS:
        with tempfile.TemporaryDirectory() as folder:
            yield run(name, country(name), known, Path(folder) / "lake")


if __name__ == "__main__":
    for row in _runs() if sys.argv[1] == "runs" else RUNS[sys.argv[1]]():
        print(json.dumps(row), flush=True)
