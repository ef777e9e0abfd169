"""Ringback's own NDJSON, one record a line by its `schema`: reports as sent, measurements and closing networks as
`check --json` and `lab run --json` print them, observations as `export ndjson` writes them.

A network's name and a VPN path's own name are a participant's words and stay behind; so does a lab's truth. Times are
cut to the hour, as those of reports that come by HTTP are: what is made of them is public.
"""

from collections.abc import Callable, Iterator
from datetime import UTC
from functools import cache
from math import isfinite
from pathlib import Path
from typing import IO, Any

import msgspec

from ringback.catalogue import load as catalogue
from ringback.collect.attestation import NOBODY, Keys, attested, named
from ringback.collect.importing import scrubbing
from ringback.collect.importing.files import lines
from ringback.collect.importing.outcome import Kept, Read, Refused
from ringback.record import Measurement, NetworkRecord, Observation, Report, Verdict, identified
from ringback.record.observation import SCHEMA

LARGEST = 1 << 53  # whole numbers beyond it are not the same in every reader of JSON (RFC 8259, section 6)
PENDING = 10_000  # measurements that wait for the line that closes their participant
FUNCTIONS = frozenset({"text", "media", "voice", "outer", "web"})

_COPIED = (
    *("status", "mechanism", "trigger", "basis", "scope", "after_packets", "after_bytes", "rate_kbps", "loss"),
    *("delay_ms", "hop", "hop_asn", "mos", "control_mos", "e_value", "threshold", "e_working", "spillover"),
)
_INTERVALS = ("after_packets", "after_bytes", "rate_kbps", "loss", "delay_ms")
_FAMILIES = frozenset({"ipv4", "ipv6"})


class _Line(msgspec.Struct):
    schema: str | None = None


def read(stream: IO[bytes], file: Path) -> Iterator[Read]:
    """Every measurement of a file, or why a line is refused. Measurements wait for their participant's closing line,
    which says how the network as a whole was; without one they are kept all the same, when the file ends."""
    waiting: dict[tuple[str, int], list[Measurement]] = {}
    count = 0
    for number, line in lines(stream):
        where = f"{file}:{number}"
        found = Refused(line, where) if isinstance(line, str) else _record(line, where)
        if isinstance(found, Measurement):
            waiting.setdefault((found.network, found.participant), []).append(found)
            count += 1
            if count >= PENDING:
                yield from _closed(waiting, None)
                count = 0
        elif isinstance(found, NetworkRecord):
            key = (found.network, found.participant)
            yield from _closed({key: waiting.pop(key, [])}, found)
            yield Kept(())
        elif isinstance(found, Report):
            observations = from_report(found)
            yield Kept(observations) if observations else Refused("nothing-tried", where)
        else:
            yield found
    yield from _closed(waiting, None)


def from_report(report: Report, known: Keys | None = NOBODY) -> tuple[Observation, ...]:
    """A report after scrubbing, its measurements' observations. Those without a usable time, app or function are left
    out; a pseudonym is kept as its digest, which can be told from others of the day and from nothing else.

    known: keys of the peers known here; None leaves the peer's signature unlooked at, which takes a while."""
    pseudonym = scrubbing.digest(report.pseudonym, "pseudonym")
    software = scrubbing.token(report.software)
    made = (_observation(one, report.network, pseudonym, None, software) for one in report.measurements)
    found = tuple(one for one in made if one is not None)
    word = None if known is None else attested(report, known)
    if word is None:
        return found
    transcript = None if word == "failed" else named(report)
    return tuple(msgspec.structs.replace(one, attested=word, transcript=transcript) for one in found)


def _record(line: bytes, where: str) -> "Measurement | NetworkRecord | Report | Read":
    try:
        schema = msgspec.json.decode(line, type=_Line).schema
        if schema == SCHEMA:
            return again(msgspec.json.decode(line, type=Observation), where)
        kind = _KINDS.get(schema or "")
        if kind is None:
            return Refused("other-schema", where)
        found = msgspec.json.decode(line, type=kind)
    except msgspec.ValidationError:
        return Refused("bad-shape" if line[:1] == b"{" else "not-an-object", where)
    except RecursionError:
        return Refused("too-deep", where)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Refused("not-json", where)
    if isinstance(found, Measurement) and _observation(found, None, None, None, None) is None:
        return Refused("no-time" if scrubbing.time(found.started_at) is None else "bad-shape", where)
    return found


_KINDS: dict[str, type[Measurement] | type[NetworkRecord] | type[Report]] = {
    "ringback/measurement/1": Measurement,
    "ringback/network/1": NetworkRecord,
    "ringback/report/1": Report,
}


def _closed(waiting: dict[tuple[str, int], list[Measurement]], network: NetworkRecord | None) -> Iterator[Read]:
    for (name, participant), measurements in waiting.items():
        cluster = scrubbing.digest(f"{name}/{participant}", "participant")
        for one in measurements:
            observation = _observation(one, network, None, cluster, None)
            if observation is not None:
                yield Kept((observation,))
    waiting.clear()


def _observation(
    one: Measurement, network: NetworkRecord | None, pseudonym: str | None, cluster: str | None, software: str | None
) -> Observation | None:
    time, app = scrubbing.time(one.started_at), scrubbing.token(one.app, 40)
    if time is None or app is None or one.function not in FUNCTIONS:
        return None
    verdict = one.verdict
    clear = verdict.clear_to
    made = Observation(
        source="ringback",
        measurement=scrubbing.token(one.id, scrubbing.KEY),
        time=time.replace(minute=0, second=0),
        app=app,
        function=one.function,
        direction=one.direction if one.direction in ("outgoing", "incoming") else None,  # type: ignore[arg-type]
        route=one.route if one.route in ("relay", "p2p") else None,  # type: ignore[arg-type]
        path=path(one.path),
        asn=scrubbing.asn(one.asn),
        region=scrubbing.region(one.region),
        family=one.family if one.family in _FAMILIES else None,
        network_state=network.state if network else None,
        udp=network.udp if network else None,
        attempted=int(verdict.status in ("working", "restricted")),
        failed=int(verdict.status == "restricted"),
        unclear=int(verdict.status not in ("working", "restricted")),
        seconds=one.cost.seconds,
        bytes=one.cost.bytes,
        pseudonym=pseudonym,
        cluster=cluster,
        software=software,
        bypassed_by=sorted({path(name) for name in verdict.bypassed_by[:20]}),
        clear_packets=clear.packets if clear else None,
        clear_bytes=clear.bytes if clear else None,
        clear_seconds=clear.seconds if clear else None,
        reason=scrubbing.token(verdict.reason),
        rules=scrubbing.token(verdict.rules) or "unknown",
        **_concluded(verdict),
    )
    return identified(made) if _bounded(made) else None


def _concluded(verdict: Verdict) -> dict[str, Any]:
    """The verdict's fields of the same name, and its `NAME_interval` as `NAME_low` and `NAME_high`."""
    same = {name: getattr(verdict, name) for name in _COPIED}
    pairs = {name: getattr(verdict, f"{name}_interval") for name in _INTERVALS}
    ends = {f"{name}_{end}": pair[i] for name, pair in pairs.items() if pair for i, end in enumerate(("low", "high"))}
    return same | ends


def path(name: str) -> str:
    """`direct`, or a VPN path by its protocol where it is named for one the catalogue knows, else `vpn`."""
    return name if name in _known_paths() else "vpn"


@cache
def _known_paths() -> frozenset[str]:
    return frozenset({"direct", "vpn", *catalogue().vpns})


def _bounded(observation: Observation) -> bool:
    """Numbers that every engine can hold, and none that no clock, count or meter shows."""
    for value in msgspec.structs.astuple(observation):  # sixty fields of each: asked once for its kind
        kind = type(value)
        if (kind is int and not -LARGEST <= value <= LARGEST) or (kind is float and not isfinite(value)):
            return False
    return True


_WORDS: dict[str, Callable[[Any], Any]] = {
    "measurement": lambda value: scrubbing.token(value, scrubbing.KEY),
    "app": lambda value: scrubbing.token(value, 40),
    "function": lambda value: scrubbing.token(value, 40),
    "target": scrubbing.host,
    "path": path,
    "asn": scrubbing.asn,
    "region": scrubbing.region,
    "family": lambda value: value if value in _FAMILIES else None,
    "failure": scrubbing.text,
    "pseudonym": lambda value: scrubbing.token(value, 64),
    "cluster": lambda value: scrubbing.token(value, 64),
    "test_version": scrubbing.token,
    "software": scrubbing.text,
    "reason": scrubbing.token,
    "rules": lambda value: scrubbing.token(value) or "unknown",
}
"""How each string of an observation that comes back is scrubbed once more: the file may be anybody's."""


def again(given: Observation, where: str) -> Read:
    """An observation that was exported, by whomever: scrubbed once more, with the id of its facts. That a signature was
    looked at elsewhere is hearsay here."""
    aware = given.time.replace(tzinfo=UTC) if given.time.tzinfo is None else given.time
    time = scrubbing.time(aware.isoformat())
    clean = {name: scrub(getattr(given, name)) for name, scrub in _WORDS.items()}
    if time is None:
        return Refused("no-time", where)
    if clean["app"] is None or clean["function"] is None or not _bounded(given):
        return Refused("bad-shape", where)
    if given.source == "ringback":  # others' times are public already
        time = time.replace(minute=0, second=0)
    own = {"bypassed_by": sorted({path(name) for name in given.bypassed_by[:20]}), "attested": None, "transcript": None}
    return Kept((identified(msgspec.structs.replace(given, time=time, **own, **clean)),))
