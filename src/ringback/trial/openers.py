"""Which pending exchange arriving bytes belong to: by equality, or, for bytes changed on the way, by a part left whole.

Equality is what counts as arrival. Resemblance never gets an answer; it only lets the report say `corrupted` instead of
leaving an exchange whose every packet was changed looking like one whose packets were dropped.
"""

from typing import Generic, TypeVar

from ringback.trial.datagrams import FarDatagram
from ringback.trial.streams import OPENING, FarStream

Owner = TypeVar("Owner")
PART = 8  # bytes that must have stayed whole
FIRST, LAST, STEP = 4, 128, 4  # bytes of a datagram or opening in which parts are taken, and how far apart


def parts(data: bytes) -> list[bytes]:
    """Parts of a datagram or an opening by which a changed copy is told; those that others share tell nothing."""
    return [data[place : place + PART] for place in range(FIRST, min(len(data), LAST) - PART + 1, STEP)]


Known = TypeVar("Known")


class Parts(Generic[Known]):
    """Which pending exchange a part belongs to, as long as it belongs to one only."""

    def __init__(self) -> None:
        self._owners: dict[bytes, set[Known]] = {}

    def add(self, data: bytes, known: Known) -> None:
        for part in set(parts(data)):
            self._owners.setdefault(part, set()).add(known)

    def drop(self, data: bytes, known: Known) -> None:
        for part in set(parts(data)):
            owners = self._owners.get(part)
            if owners is not None:
                owners.discard(known)
                if not owners:
                    del self._owners[part]

    def find(self, data: bytes) -> Known | None:
        for part in parts(data):
            owners = self._owners.get(part)
            if owners is not None and len(owners) == 1:
                return next(iter(owners))
        return None


class Openers(Generic[Owner]):
    """Pending exchanges by their bytes. `owner` is what the caller wants back with them."""

    def __init__(self) -> None:
        # By packet only the pair that all of an exchange's share: a tuple for each would keep the collector busy.
        self._packets: dict[bytes, tuple[Owner, FarDatagram]] = {}
        self._streams: dict[bytes, tuple[Owner, FarStream]] = {}
        self._datagram_parts: Parts[FarDatagram] = Parts()
        self._stream_parts: Parts[FarStream] = Parts()

    def add_datagram(self, owner: Owner, half: FarDatagram) -> None:
        pair = (owner, half)
        for data in half.index:
            self._packets[data] = pair
        self._datagram_parts.add(_marked(half), half)

    def add_stream(self, owner: Owner, stream: FarStream) -> None:
        self._streams[stream.opening] = (owner, stream)
        self._stream_parts.add(stream.first, stream)

    def drop_datagram(self, half: FarDatagram) -> None:
        for data in half.index:
            self._packets.pop(data, None)
        self._datagram_parts.drop(_marked(half), half)

    def drop_stream(self, stream: FarStream) -> None:
        self._streams.pop(stream.opening, None)
        self._stream_parts.drop(stream.first, stream)

    def packet(self, data: bytes) -> tuple[Owner, FarDatagram] | None:
        """The exchange of which these bytes are a near packet (`half.index` says which)."""
        return self._packets.get(data)

    def resembling(self, data: bytes) -> FarDatagram | None:
        """The exchange of which these bytes are probably a changed packet."""
        return self._datagram_parts.find(data)

    def stream(self, received: bytes) -> tuple[Owner, FarStream] | None:
        """The exchange that a stream's first bytes open, changed on the way or not."""
        found = self._streams.get(received[:OPENING])
        if found is not None:
            return found
        stream = self._stream_parts.find(received)
        return None if stream is None else self._streams[stream.opening]


def _marked(half: FarDatagram) -> bytes:
    """The near packet by which changed ones are told: the first, which comes before anything else can be known."""
    return half.script.near[0].data
