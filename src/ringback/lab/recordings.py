"""Sessions of the real engine, one situation at a time, and a country's reports drawn from them.

A session in virtual time takes about ten seconds of a processor; a country's weeks are ten thousand. So every situation
that occurs is measured by the full engine a few times, and each visit is one of these sessions, drawn anew: verdicts,
numbers, mistakes and `insufficient` are the engine's own, and nothing here knows the truth. What this can't show is how
much sessions of one situation differ beyond those recorded; a test runs fresh sessions beside the recorded ones.
"""

import gzip
import hashlib
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path

import msgspec

from ringback import __version__
from ringback.errors import BadInput
from ringback.lab.country import Place
from ringback.lab.nation import Nation, Situation, Visit, draw, situations, visits
from ringback.lab.run import in_virtual_time, rfc3339, rows
from ringback.record import Measurement, NetworkRecord, Report
from ringback.record.verdict import RULES
from ringback.trial.conclude import rounds_of

SESSIONS = 3  # of each situation
LONGEST_S = 600.0  # a session's measurements start within this


class Recorded(msgspec.Struct, frozen=True):
    """One session of the engine, without its truth."""

    measurements: tuple[Measurement, ...]
    network: NetworkRecord


class Recordings(msgspec.Struct, frozen=True):
    """by: sessions of each situation, by its key. rules: version of the rule set that judged them."""

    by: dict[str, tuple[Recorded, ...]]
    rules: str = RULES

    def missing(self, nation: Nation) -> list[Situation]:
        """Situations of a country that nobody has recorded."""
        return [met for key, met in situations(nation).items() if key not in self.by]


Progress = Callable[[int, int], None]


def shipped() -> Recordings:
    """Those that come along with the shipped countries."""
    return load(files("ringback.lab") / "countries" / "recordings.json.gz")  # type: ignore[arg-type]


def load(file: Path) -> Recordings:
    """None where the file is absent, or judged by another rule set. Raises BadInput where it is damaged."""
    if not file.is_file():
        return Recordings({})
    try:
        found = msgspec.json.decode(gzip.decompress(file.read_bytes()), type=Recordings)
    except (OSError, EOFError, msgspec.MsgspecError) as error:
        raise BadInput(f"no recordings: {error}", str(file)) from error
    return found if found.rules == RULES else Recordings({})


def save(recordings: Recordings, file: Path) -> None:
    file.write_bytes(gzip.compress(msgspec.json.encode(recordings, order="deterministic"), mtime=0))


def session(met: Situation, seed: int) -> Recorded:
    """One session in virtual time; the same for the same situation and seed."""
    scenario = met.scenario()
    place = Place(scenario, scenario.networks[0], 0, seed)
    made = list(rows(place, in_virtual_time(place, None, None, False)))
    own = tuple(msgspec.structs.replace(m, truth=msgspec.UNSET) for m in made if isinstance(m, Measurement))
    closing = next(row for row in made if isinstance(row, NetworkRecord))
    return Recorded(own, closing)


def completed(recordings: Recordings, nation: Nation, each: int = SESSIONS, tell: Progress | None = None) -> Recordings:
    """The same, with sessions of every situation of the country: what is missing is measured now."""
    by = dict(recordings.by)
    missing = recordings.missing(nation)
    for number, met in enumerate(missing):
        if tell:
            tell(number, len(missing))
        by[met.key] = tuple(session(met, seed) for seed in range(1, each + 1))
    return Recordings(by)


def reports(nation: Nation, recordings: Recordings) -> Iterator[Report]:
    """One a visit, in order of time: what the participants of the country send. Raises KeyError for a situation that
    is not recorded (see `completed`)."""
    for visit in visits(nation):
        yield _report(nation, visit, recordings.by)


def opened(nation: Nation, most: int = 3) -> Iterator[Report]:
    """Reports whose senders publish them with their raw outcomes: one call of the app that a rule is about, in each of
    the first situations in which one acts, measured now. Some seconds of a processor each."""
    seen: set[str] = set()
    for visit in visits(nation):
        if len(seen) == most:
            return
        if visit.situation.key in seen or not visit.situation.rules or visit.situation.silent:
            continue
        seen.add(visit.situation.key)
        scenario = visit.situation.scenario()
        named = [rule.match.app for rule in visit.situation.rules if rule.match.app]
        first = named[0] if named else scenario.apps[0]
        scenario = msgspec.structs.replace(scenario, apps=(first,), functions=("voice",), paths=("direct",))
        place = Place(scenario, scenario.networks[0], 0, nation.seed)
        result = in_virtual_time(place, None, None, False)
        made = [row for row in rows(place, result) if isinstance(row, Measurement)]
        closing = next(row for row in rows(place, result) if isinstance(row, NetworkRecord))
        bare = _report(nation, visit, {visit.situation.key: (Recorded(tuple(made), closing),)})
        own = [msgspec.structs.replace(m, truth=msgspec.UNSET, id=f"open-{m.id}") for m in bare.measurements]
        yield msgspec.structs.replace(bare, measurements=own, rounds=rounds_of(result), open=True)


def _report(nation: Nation, visit: Visit, by: Mapping[str, tuple[Recorded, ...]]) -> Report:
    who = (visit.provider.asn, visit.participant)
    recorded = by[visit.situation.key]
    chosen = recorded[draw(nation, *who, visit.at, "session").randrange(len(recorded))]
    own = _name(nation, *who, visit.at)
    started = 0.0
    made = []
    for number, one in enumerate(_taken(chosen, visit.vpn)):
        bypassed = one.verdict.bypassed_by if visit.vpn else []
        made.append(
            msgspec.structs.replace(
                one,
                id=f"{own}-{number}",
                started_at=rfc3339(visit.at + started),
                network="home",
                asn=visit.provider.asn,
                region=visit.provider.region,
                verdict=msgspec.structs.replace(one.verdict, bypassed_by=bypassed),
            )
        )
        started = min(started + one.cost.seconds / 4, LONGEST_S)
    return Report(
        id=own,
        created_at=rfc3339(visit.at + started),
        software=f"ringback/{__version__}",
        consent="1",
        pseudonym=_name(nation, *who, int(visit.at // 86_400)),
        network=msgspec.structs.replace(chosen.network, network="home"),
        measurements=made,
    )


def _taken(chosen: Recorded, vpn: bool) -> Iterator[Measurement]:
    """What a participant measures: everything directly, and over a VPN, where there is one, what is not working."""
    hit = {_cell(m) for m in chosen.measurements if m.path == "direct" and m.verdict.status != "working"}
    for one in chosen.measurements:
        if one.path == "direct" or (vpn and _cell(one) in hit):
            yield one


def _cell(one: Measurement) -> tuple[object, ...]:
    return one.app, one.function, one.direction, one.route


def _name(nation: Nation, *about: object) -> str:
    """A random word, the same for the same run: pseudonyms and ids that tell nothing."""
    text = "/".join(map(str, (nation.seed, *about)))
    return hashlib.blake2b(text.encode(), digest_size=12, person=b"ringback-lab").hexdigest()
