"""Which pending exchange arriving bytes belong to: by equality, or, for bytes changed on the way, by a part left whole.

Equality is what counts as arrival. Resemblance never gets an answer; it only lets the report say `corrupted` instead of
leaving an exchange whose every packet was changed looking like one whose packets were dropped.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

from ringback.trial.datagrams import FarDatagram
from ringback.trial.streams import OPENING, FarStream

Owner = TypeVar("Owner")
MARKED = 8  # near packets of an exchange by which a changed one is told; enough for its first second
PART = 8  # bytes that must have stayed whole, at one of the places below
PLACES = (8, 12, 16, 24, 32)  # past the bytes that types and lengths take; also the last 8 and those before them


def parts(data: bytes) -> Iterator[bytes]:
    """Telling parts of a datagram or an opening: random in every form's packets, so unique to it."""
    for place in PLACES:
        if place + PART <= len(data):
            yield data[place : place + PART]
    yield data[-PART:]
    yield data[-2 * PART : -PART]


class Openers(Generic[Owner]):
    """Pending exchanges by their bytes. `owner` is what the caller wants back with them."""

    def __init__(self) -> None:
        # By packet only the pair that all of an exchange's share: a tuple for each would keep the collector busy.
        self._packets: dict[bytes, tuple[Owner, FarDatagram]] = {}
        self._streams: dict[bytes, tuple[Owner, FarStream]] = {}
        self._datagram_parts: dict[bytes, FarDatagram] = {}
        self._stream_parts: dict[bytes, tuple[Owner, FarStream]] = {}

    def add_datagram(self, owner: Owner, half: FarDatagram) -> None:
        pair = (owner, half)
        for data in half.index:
            self._packets[data] = pair
        for send in half.script.near[:MARKED]:
            for part in parts(send.data):
                self._datagram_parts.setdefault(part, half)

    def add_stream(self, owner: Owner, stream: FarStream) -> None:
        self._streams[stream.opening] = (owner, stream)
        for part in parts(stream.opening):
            self._stream_parts.setdefault(part, (owner, stream))

    def drop_datagram(self, half: FarDatagram) -> None:
        for data in half.index:
            self._packets.pop(data, None)
        for send in half.script.near[:MARKED]:
            for part in parts(send.data):
                if self._datagram_parts.get(part) is half:
                    del self._datagram_parts[part]

    def drop_stream(self, stream: FarStream) -> None:
        self._streams.pop(stream.opening, None)
        for part in parts(stream.opening):
            found = self._stream_parts.get(part)
            if found is not None and found[1] is stream:
                del self._stream_parts[part]

    def packet(self, data: bytes) -> tuple[Owner, FarDatagram] | None:
        """The exchange of which these bytes are a near packet (`half.index` says which)."""
        return self._packets.get(data)

    def resembling(self, data: bytes) -> FarDatagram | None:
        """The exchange of which these bytes are probably a changed packet."""
        for part in parts(data):
            half = self._datagram_parts.get(part)
            if half is not None:
                return half
        return None

    def stream(self, received: bytes) -> tuple[Owner, FarStream, bool] | None:
        """The exchange that a stream's first bytes open, and whether they are unchanged."""
        opening = received[:OPENING]
        found = self._streams.get(opening)
        if found is not None:
            return (*found, True)
        for part in parts(opening):
            found = self._stream_parts.get(part)
            if found is not None:
                return (*found, False)
        return None
