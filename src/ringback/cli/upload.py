"""Sending reports to the partner's collector: what the person chose to send, now or, where that fails, the next time.

What waits lies in the outbox, for its owner's eyes, each report with the server it is for. It leaves when the server
has it on its disk, or refuses it for good; the results folder keeps it either way.
"""

import gzip
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import httpx
import msgspec

from ringback.cli import folders
from ringback.record import Report
from ringback.words import harmless

OUTBOX = "outbox"
PATIENCE = httpx.Timeout(30.0, connect=8.0)
LONGEST_S, MOST_BYTES = 60.0, 100_000  # of an answer's content: a few words, unless what answers is no collector
TAKEN = frozenset({200, 201})
LATER = frozenset({404, 405, 408, 413, 425, 429})  # 404, 405, 413: a server without a collector, or an older one


class Waiting(msgspec.Struct, frozen=True):
    """server: its address, as it was named to `check`."""

    server: str
    report: Report


@dataclass(frozen=True)
class Sent:
    """taken, deferred, refused: how many reports. refusal: the last reason for refusing one."""

    taken: int = 0
    deferred: int = 0
    refused: int = 0
    refusal: str = ""


class _Problem(msgspec.Struct):
    """RFC 9457, the members that are used."""

    title: str = ""
    detail: str = ""


def outbox() -> Path:
    return folders.data_folder() / OUTBOX


def to_send(report: Report, public: bool) -> Report:
    """What leaves this device of a report: without raw outcomes and notes, but for those whose owner publishes them."""
    if public:
        return msgspec.structs.replace(report, notes=[], open=True)
    return msgspec.structs.replace(report, notes=[], rounds=[], tries=[])


def put(server: str, report: Report) -> None:
    """Into the outbox. Raises Unavailable or OSError."""
    folder = folders.make_private(outbox())
    file = folder / f"{report.created_at.replace(':', '')}-{report.id[:8]}.json"
    folders.write_private(file, msgspec.json.encode(Waiting(server.rstrip("/"), report)))


def send(transport: httpx.BaseTransport | None = None) -> Sent:
    """Everything in the outbox, the oldest first. A server that can't be reached is asked once."""
    taken = deferred = refused = 0
    refusal = ""
    gone: set[str] = set()
    with httpx.Client(timeout=PATIENCE, trust_env=False, transport=transport) as client:
        for file in sorted(outbox().glob("*.json")):
            try:
                waiting = msgspec.json.decode(file.read_bytes(), type=Waiting)
            except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
                continue  # not of our making
            status, detail = (None, "") if waiting.server in gone else _post(client, waiting)
            if status in TAKEN:
                taken += 1
                file.unlink(missing_ok=True)
            elif status is not None and 400 <= status < 500 and status not in LATER:
                refused, refusal = refused + 1, detail
                file.unlink(missing_ok=True)
            else:
                deferred += 1
                gone.add(waiting.server)
    return Sent(taken, deferred, refused, refusal)


def _post(client: httpx.Client, waiting: Waiting) -> tuple[int | None, str]:
    """(HTTP status, or None where there was no answer; the reason that came with it)"""
    try:
        with client.stream(
            "POST",
            f"{waiting.server}/v1/reports",
            content=gzip.compress(msgspec.json.encode(waiting.report), 6),
            headers={"Content-Type": "application/json", "Content-Encoding": "gzip", "Accept-Encoding": "identity"},
        ) as answer:
            status, content = answer.status_code, _some(answer)
    except httpx.HTTPError:
        return None, ""
    try:
        problem = msgspec.json.decode(content, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        problem = _Problem()
    return status, harmless((problem.detail or problem.title)[:300])


def _some(answer: httpx.Response) -> bytes:
    """What it says, as much and as long as a collector would: its status counts either way."""
    until, content = monotonic() + LONGEST_S, b""
    for part in answer.iter_bytes():
        content += part
        if len(content) > MOST_BYTES or monotonic() > until:
            break
    return content
