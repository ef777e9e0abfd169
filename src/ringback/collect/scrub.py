"""A report as it came, to what of it is kept: no address, no free text, no name but the day's pseudonym.

Times are cut to the hour, as everything that is made of them is public. Raw outcomes are kept only where the sender
chose to publish them, without what could tell who sent them: ports, addresses in ICMP errors, unexpected answers (an
answer of a STUN server holds the asker's address), which keep their number and length.
"""

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec

from ringback.collect.attestation import Keys
from ringback.collect.importing import scrubbing
from ringback.collect.importing.ringback import from_report, path
from ringback.collect.origin import UNKNOWN, Origin
from ringback.collect.possible import Bounds, possible, within
from ringback.errors import BadInput
from ringback.record import DatagramOutcome, ExchangeRecord, Measurement, Observation, Outcome, Report, Round, Try

SCHEMA = "ringback/report/1"
FRESH = timedelta(minutes=15)  # within which a report comes from the network that it is about
AHEAD = timedelta(days=1)  # by which a participant's clock may be wrong
HERE = "here"
LAST_ASN = 2**32 - 1  # RFC 6793
BOUNDS: dict[str, Bounds] = {
    "after_packets": (0, 1e9),
    "after_bytes": (0, 1e12),
    "rate_kbps": (0, 1e9),
    "loss": (0, 1),
    "delay_ms": (0, 1e9),
    "hop": (1, 255),  # a TTL
    "hop_asn": (1, LAST_ASN),
    "mos": (1, 5),  # ITU-T P.800
    "control_mos": (1, 5),
    "e_value": (0, 1e100),
    "threshold": (0, 1e100),
    "e_working": (0, 1e100),
}
"""What a verdict's numbers can be. No session collects evidence beyond 10^100: who says so made it up."""
_HEX = frozenset("0123456789abcdef")

_encode = msgspec.json.Encoder().encode


def content_key(report: Report) -> bytes:
    """16 bytes: the first half of SHA-256 over the report as it is written in canonical form, however it was sent."""
    return sha256(_encode(report)).digest()[:16]


def scrubbed(report: Report, now: datetime, origin: Origin = UNKNOWN) -> Report:
    """What is kept. origin: of the address that sent it; counts where the participant said nothing and the report is
    fresh: later it may come from another network. Raises BadInput, naming the field."""
    created = _time(report.created_at, "created_at", now)
    if report.schema != SCHEMA:
        raise BadInput(f"is {report.schema[:60]!r}, this collector takes {SCHEMA!r}", "schema")
    if not report.measurements:
        raise BadInput("holds no measurement", "measurements")
    for n, each in enumerate(report.rounds if report.open else ()):
        possible(each, f"rounds[{n}]")
    key = content_key(report).hex()
    by_address = origin if abs(now - created) <= FRESH else UNKNOWN
    kept = Report(
        id=key,
        created_at=_hour(created),
        software=scrubbing.token(report.software.replace("/", "-")) or "unknown",
        consent=scrubbing.token(report.consent),
        pseudonym=scrubbing.digest(report.pseudonym and f"{created.date()}/{report.pseudonym}", "day"),
        network=msgspec.structs.replace(report.network, schema="ringback/network/1", network=HERE, participant=0),
        measurements=[_measurement(one, key, n, now, by_address) for n, one in enumerate(report.measurements)],
        rounds=[_round(one) for one in report.rounds] if report.open else [],
        tries=[_try(one) for one in report.tries] if report.open else [],
        transcript=[digest for digest in report.transcript[:10_000] if _is_hex(digest, 64)],
        signature=report.signature if _is_hex(report.signature, 128) else None,
        peer_key=report.peer_key if _is_hex(report.peer_key, 64) else None,
        open=report.open,
    )
    for name in ("rounds", "tries"):
        if not _plain(msgspec.to_builtins(getattr(kept, name), builtin_types=(bytes,))):
            raise BadInput("holds a word that is none", name)
    return kept


def observed(kept: Report, known: Keys | None = None) -> tuple[Observation, ...]:
    """The observations of a scrubbed report, one a measurement; known: see `from_report`. Raises BadInput for one that
    can't be any."""
    found = from_report(kept, known)
    if len(found) != len(kept.measurements):
        odd = next(n for n, one in enumerate(kept.measurements) if not from_report(_alone(kept, one), None))
        raise BadInput(
            "is no measurement of an app's function, or holds a number that none can be", f"measurements[{odd}]"
        )
    return found


def _alone(report: Report, one: Measurement) -> Report:
    return msgspec.structs.replace(report, measurements=[one], rounds=[], tries=[])


def _time(written: str, where: str, now: datetime) -> datetime:
    time = scrubbing.time(written)
    if time is None or time > now + AHEAD:
        raise BadInput("is no time in the past, RFC 3339", where)
    return time


def _hour(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:00:00Z")


def _within(one: Measurement, where: str) -> None:
    """Raises BadInput, naming the field, for a number that can't be."""
    given: dict[str, tuple[float | None, Bounds]] = {
        "asn": (one.asn, (1, LAST_ASN)),
        "cost.seconds": (one.cost.seconds, (0, 1e7)),
        "cost.bytes": (one.cost.bytes, (0, 1e12)),
    }
    given |= {f"verdict.{name}": (getattr(one.verdict, name), bounds) for name, bounds in BOUNDS.items()}
    for name, (value, bounds) in given.items():
        within(value, bounds, f"{where}.{name}")


def _measurement(one: Measurement, key: str, number: int, now: datetime, origin: Origin) -> Measurement:
    _within(one, f"measurements[{number}]")
    asn, region = scrubbing.asn(one.asn), scrubbing.region(one.region)
    app = scrubbing.token(one.app, 40)
    if app is None:
        raise BadInput("is no app's name", f"measurements[{number}].app")
    return msgspec.structs.replace(
        one,
        schema="ringback/measurement/1",
        id=f"{key}-{number}",
        started_at=_hour(_time(one.started_at, f"measurements[{number}].started_at", now)),
        network=HERE,
        participant=0,
        app=app,
        asn=asn if asn is not None else origin.asn,
        region=region if region is not None else origin.region,
        path=path(one.path),
        verdict=msgspec.structs.replace(
            one.verdict,
            reason=scrubbing.token(one.verdict.reason),
            rules=scrubbing.token(one.verdict.rules) or "unknown",
            bypassed_by=sorted({path(name) for name in one.verdict.bypassed_by[:20]}),
        ),
        truth=msgspec.UNSET,
    )


def _round(one: Round) -> Round:
    cell = msgspec.structs.replace(one.cell, path=path(one.cell.path))
    return msgspec.structs.replace(one, cell=cell, exchanges=[_exchange(each) for each in one.exchanges])


def without_sources(outcome: Outcome) -> Outcome:
    """Who sent an ICMP error is often the participant's own router, or its own kernel."""
    kept = {
        name: [msgspec.structs.replace(error, source=None) for error in getattr(outcome, name)]
        for name in ("icmp", "far_icmp")
    }
    return msgspec.structs.replace(outcome, **kept)


def _exchange(one: ExchangeRecord) -> ExchangeRecord:
    outcome = without_sources(one.outcome)
    if isinstance(outcome, DatagramOutcome):
        answers = [bytes(min(len(answer), 512)) for answer in outcome.answers[:4]]
        outcome = msgspec.structs.replace(outcome, answers=answers)
    return msgspec.structs.replace(one, outcome=outcome, local_port=None)


def _try(one: Try) -> Try:
    name = scrubbing.host(one.target)
    return msgspec.structs.replace(
        one,
        path=path(one.path),
        target=name if name is not None and scrubbing.address_kind(name) is None and one.kind != "peer" else one.kind,
        failure=scrubbing.token(one.failure),
        icmp=[msgspec.structs.replace(error, source=None) for error in one.icmp],
    )


def _plain(value: Any) -> bool:
    """Every word in it is a name: letters, digits and a few marks."""
    if isinstance(value, str):
        return scrubbing.token(value) is not None
    if isinstance(value, dict):
        return all(map(_plain, value.values()))
    return all(map(_plain, value)) if isinstance(value, list | tuple) else True


def _is_hex(value: str | None, length: int) -> bool:
    return value is not None and len(value) == length and _HEX.issuperset(value)
