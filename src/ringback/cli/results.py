"""The results folder: one report a session, for its owner's eyes, without addresses."""

import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from ringback import __version__
from ringback.cli import folders
from ringback.collect.scrub import without_sources
from ringback.record import Measurement, NetworkRecord, Report, Round, Try
from ringback.trial.conclude import rounds_of
from ringback.trial.terms import Result

PSEUDONYM = "pseudonym.json"


class Pseudonym(msgspec.Struct, frozen=True):
    """A random name that lives for one UTC day and is never used again."""

    day: str
    name: str


def pseudonym(folder: Path, day: date) -> str:
    """Today's, made when the day's first report is."""
    file = folder / PSEUDONYM
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=Pseudonym)
    except (OSError, msgspec.MsgspecError):
        kept = None
    if kept is None or kept.day != day.isoformat():
        kept = Pseudonym(day.isoformat(), uuid.uuid4().hex)
        folders.write_private(file, msgspec.json.encode(kept))
    return kept.name


def _round(each: Round) -> Round:
    exchanges = [msgspec.structs.replace(x, outcome=without_sources(x.outcome)) for x in each.exchanges]
    return msgspec.structs.replace(each, exchanges=exchanges)


def _try(one: Try) -> Try:
    return msgspec.structs.replace(one, icmp=[msgspec.structs.replace(error, source=None) for error in one.icmp])


def report(
    result: Result,
    measurements: Sequence[Measurement],
    network: NetworkRecord,
    consent: str,
    name: str | None,
    notes: Sequence[str] = (),
) -> Report:
    """name: the day's pseudonym."""
    return Report(
        id=uuid.uuid4().hex,
        created_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        software=f"ringback/{__version__}",
        consent=consent,
        pseudonym=name,
        network=network,
        measurements=list(measurements),
        rounds=[_round(each) for each in rounds_of(result)],
        tries=[_try(one) for one in result.tries],
        transcript=[digest.hex() for digest in result.digests],
        signature=result.signature.hex() if result.signature else None,
        peer_key=result.peer_key.hex() if result.peer_key else None,
        notes=[*result.notes, *notes],
    )


def save(
    result: Result,
    measurements: Sequence[Measurement],
    network: NetworkRecord,
    consent: str,
    notes: Sequence[str] = (),
) -> tuple[Path, Report]:
    """Writes the session's report; where it went, and what it is. Raises Unavailable or OSError where it can't be."""
    folder = folders.make_private(folders.results_folder())
    folders.make_private(folders.data_folder())
    now = datetime.now(UTC)
    made = report(result, measurements, network, consent, pseudonym(folders.data_folder(), now.date()), notes)
    file = folder / f"{now.strftime('%Y%m%dT%H%M%SZ')}-{made.id[:8]}.json"
    folders.write_private(file, msgspec.json.encode(made))
    return file, made
