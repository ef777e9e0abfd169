"""The calls of a capture as exchanges that can be sent again: `check --replay`.

A capture is read twice: first for whose exchanges it holds, then for the packets of its calls. What somebody trimmed
away leaves a gap without a packet of either side; such gaps are closed up. Where a capture was appended to another, or
a socket used again, `conversations` has split already.
"""

import hashlib
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from ringback.capture.conversations import Conversations
from ringback.capture.exchanges import Found, packets, search
from ringback.capture.notes import Notes
from ringback.capture.packets import Segment
from ringback.capture.scrubbing import scrubbed
from ringback.errors import BadInput, Unavailable
from ringback.flow import Replay, ReplayPacket

GAP = 5.0  # seconds without a packet that are no call's pause
CLOSED = 0.5  # seconds that are left of such a gap
KEPT_BYTES = 1_000_000  # payload of one exchange: a round's calls last 10.5 s
KEPT_PACKETS = 20_000
KEPT_SECONDS = 60.0
MOST = 64  # calls of one capture
SUFFIX = ".replay"
PRIVATE = 0o600
LARGEST_FILE = 4_000_000


class Call(NamedTuple):
    """One call of a capture: as `trace` tells it, and as it can be sent again."""

    found: Found
    replay: Replay


def replays(path: Path) -> list[Replay]:
    """The calls over UDP: those first whose own bytes name their app, among them the one with most packets. Addresses
    are not in them.

    Calls of unknown apps are those in whose flow RTP runs. Raises BadInput for a file that is no capture.
    """
    return [call.replay for call in calls(path)]


def calls(path: Path) -> list[Call]:
    """As `replays`, each with its exchange."""
    wanted = [f for f in search(path, Notes()) if f.exchange.transport == "udp" and f.exchange.function == "voice"]
    wanted = sorted(wanted, key=lambda one: (not one.marked, -one.exchange.packets, one.number))[:MOST]
    kept = _packets({one.number for one in wanted}, path)
    made = [Call(one, _replay(one, kept.get(one.number, []))) for one in wanted]
    return [call for call in made if call.replay.near and call.replay.far]


def replay_file(path: Path, app: str = "whatsapp") -> Replay:
    """The call to be sent again: of a file that `save` wrote its only one, of a capture the app's first of `replays`.

    Raises BadInput, naming the file, where there is none.
    """
    saved = _load(path)
    if saved is not None:
        if saved.app not in (None, app):
            raise BadInput(f"holds a call of {saved.app}, not of {app}", str(path))
        return saved
    found = replays(path)
    for replay in found:
        if replay.app == app:
            return replay
    others = sorted({replay.app or "an unknown app" for replay in found})
    besides = f" (but calls of {', '.join(others)})" if others else ""
    raise BadInput(f"holds no call of {app} with packets of both sides{besides}", str(path))


def save(found: Sequence[Replay], folder: Path) -> list[Path]:
    """Writes one file for each replay, readable by its owner alone, named after app and digest; gives their paths.

    The folder is made if need be. Raises Unavailable where it can't be written.
    """
    written = []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for replay in found:
            file = folder / f"{replay.app or 'unknown'}-{replay.digest[:16]}{SUFFIX}"
            part = file.with_name(f".{file.name}.{os.getpid()}.part")
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
            with os.fdopen(handle, "wb") as out:
                out.write(msgspec.msgpack.encode(replay))
            part.replace(file)
            written.append(file)
    except OSError as error:
        raise Unavailable(f"{folder} can't be written: {error.strerror}", "choose another folder") from error
    return written


def digest(app: str | None, near: Sequence[ReplayPacket], far: Sequence[ReplayPacket]) -> str:
    """Hex SHA-256 over the app's name and, for both sides, count, times in microseconds, lengths and payloads."""
    told = hashlib.sha256(f"ringback replay 1\n{app or ''}\n".encode())
    for side in (near, far):
        told.update(struct.pack("!Q", len(side)))
        for packet in side:
            told.update(struct.pack("!qI", round(1e6 * packet.at), len(packet.data)))
            told.update(packet.data)
    return told.hexdigest()


def _load(path: Path) -> Replay | None:
    """What `save` wrote; None where the file is something else. Raises BadInput where it was changed since."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE)
    except (OSError, ValueError) as error:
        raise BadInput(f"can't be opened: {getattr(error, 'strerror', None) or error}", str(path)) from error
    try:
        replay = msgspec.msgpack.decode(data, type=Replay)
    except msgspec.MsgspecError:
        return None
    try:
        told = digest(replay.app, replay.near, replay.far)
    except (OverflowError, ValueError, struct.error):  # times that are no times
        told = ""
    if told != replay.digest:
        raise BadInput("was changed since it was written: its digest does not hold", str(path))
    return replay


def _packets(wanted: set[int], path: Path) -> dict[int, list[tuple[Segment, bool]]]:
    """By conversation, the packets that are kept, and whether its first sender sent them; times without long gaps."""
    kept: dict[int, list[tuple[Segment, bool]]] = {}
    sizes: dict[int, int] = {}
    conversations: Conversations[None] = Conversations()
    for packet in packets(path, Notes()):
        conversation, _ = conversations.of(packet, None)
        number = conversation.number
        if number not in wanted or not packet.payload or not packet.whole:
            continue
        sizes[number] = sizes.get(number, 0) + len(packet.payload)
        lines = kept.setdefault(number, [])
        if sizes[number] <= KEPT_BYTES and len(lines) < KEPT_PACKETS:
            lines.append((packet, conversation.by_first(packet)))
    return {number: _without_gaps(lines) for number, lines in kept.items()}


def _without_gaps(lines: list[tuple[Segment, bool]]) -> list[tuple[Segment, bool]]:
    """The packets in order of time, which a file need not have, as seconds since the first one."""
    closed: list[tuple[Segment, bool]] = []
    now, last = 0.0, min((packet.at for packet, _ in lines), default=0.0)
    for packet, by_first in sorted(lines, key=lambda line: line[0].at):
        pause = packet.at - last
        now, last = now + (CLOSED if pause > GAP else pause), packet.at
        if now > KEPT_SECONDS:
            break
        closed.append((packet._replace(at=now), by_first))
    return closed


def _replay(found: Found, kept: list[tuple[Segment, bool]]) -> Replay:
    """Both sides' packets from the first near one on, sorted."""
    sides: dict[bool, list[ReplayPacket]] = {True: [], False: []}
    start = min((packet.at for packet, first in kept if first == found.first_is_near), default=0.0)
    for packet, first in kept:
        if packet.at >= start:
            at = round(packet.at - start, 6)
            sides[first == found.first_is_near].append(ReplayPacket(at, scrubbed(packet.payload)))
    near, far = (tuple(sorted(sides[side], key=lambda packet: packet.at)) for side in (True, False))
    app = found.exchange.app
    return Replay(digest(app, near, far), app, found.exchange.function, near, far)
