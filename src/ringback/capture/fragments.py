"""Puts IP fragments together, so that a datagram sent in several counts once and with its whole length.

RFC 791 section 3.2, RFC 8200 section 4.5. Of bytes that come twice the first are kept. What stays incomplete is given
as far as it goes, if its beginning was captured: a capture filter for a port lets only that pass.
"""

from collections import OrderedDict
from typing import NamedTuple

from ringback.capture.notes import Notes

HELD = 64  # datagrams that wait for the rest; a longer queue gives up the oldest
WAIT = 2.0  # seconds; less than a conversation's packets may go back in time
LARGEST = 65_535  # bytes of a datagram
GAPS = 64  # a datagram in more separate pieces is no datagram

Hosts = tuple[str, str]


class Piece(NamedTuple):
    """One fragment. number: the sender's, the same in all of a datagram's. headers: bytes before what was split.

    begin: where `data` belongs. length: its bytes on the wire, of which `data` has those that were captured. more: not
    the last.
    """

    at: float
    hosts: Hosts
    number: int
    protocol: int
    headers: int
    begin: int
    length: int
    more: bool
    data: bytes


class Datagram(NamedTuple):
    """What fragments gave. length: bytes behind the headers; None where the end is missing or there are holes."""

    at: float
    hosts: Hosts
    protocol: int
    headers: int
    length: int | None
    data: bytes


class _Waiting:
    """A datagram in the making."""

    __slots__ = ("count", "cut", "data", "first", "have", "last", "total")

    def __init__(self, piece: Piece) -> None:
        self.first = self.last = piece
        self.count = 0
        self.have: list[tuple[int, int]] = []  # where bytes are, on the wire: sorted, without touching
        self.data = bytearray()
        self.cut = LARGEST  # where the first byte is that the capture cut away
        self.total: int | None = None

    def add(self, piece: Piece) -> None:
        self.count += 1
        self.last = piece
        if piece.begin == 0 and self.first.begin:
            self.first = piece
        end = piece.begin + piece.length
        if not piece.more and self.total is None:
            self.total = end
        self.data.extend(bytes(max(0, end - len(self.data))))
        at = piece.begin
        spans: list[tuple[int, int]] = []
        for begin, stop in (*self.have, (LARGEST + 1, LARGEST + 1)):
            if at < min(begin, end):
                self._fill(piece, at, min(begin, end))
            at = max(at, stop)
        for begin, stop in sorted((*self.have, (piece.begin, end))):
            if spans and begin <= spans[-1][1]:
                spans[-1] = spans[-1][0], max(spans[-1][1], stop)
            else:
                spans.append((begin, stop))
        self.have = spans

    def _fill(self, piece: Piece, begin: int, end: int) -> None:
        """Takes over the bytes of a hole."""
        part = piece.data[begin - piece.begin : end - piece.begin]
        self.data[begin : begin + len(part)] = part
        if len(part) < end - begin:
            self.cut = min(self.cut, begin + len(part))

    def told(self) -> Datagram | None:
        """None where its beginning is missing."""
        if not self.have or self.have[0][0] > 0:
            return None
        reached = self.have[0][1]
        whole = self.total is not None and reached >= self.total
        length = self.total if whole else None
        data = bytes(self.data[: min(self.cut, self.total if whole and self.total is not None else reached)])
        first = self.first
        return Datagram(self.last.at if whole else first.at, first.hosts, first.protocol, first.headers, length, data)


class Fragments:
    """The fragments of one capture, in bounded memory."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._waiting: OrderedDict[tuple[Hosts, int], _Waiting] = OrderedDict()

    def add(self, piece: Piece) -> list[Datagram]:
        """The datagram that it completes, after one that is given up for it; mostly neither."""
        end = piece.begin + piece.length
        if piece.length <= 0 or end > LARGEST or (piece.more and piece.length % 8):
            self._notes.left_out("fragment that does not add up")
            return []
        key = piece.hosts, piece.number
        found = self._waiting.get(key)
        given = []
        if found is None:
            if len(self._waiting) >= HELD:
                given += self._given_up()
            found = self._waiting[key] = _Waiting(piece)
        found.add(piece)
        if len(found.have) > GAPS:
            del self._waiting[key]
            self._notes.left_out("fragment that does not add up", found.count)
        elif found.total is not None and found.have[0][0] == 0 and found.have[0][1] >= found.total:
            del self._waiting[key]
            whole = found.told()
            given += [whole] if whole is not None else []
        return given

    def overdue(self, now: float) -> list[Datagram]:
        """Those that have waited long enough, as far as they go."""
        given = []
        while self._waiting and abs(now - next(iter(self._waiting.values())).first.at) > WAIT:
            given += self._given_up()
        return given

    def rest(self) -> list[Datagram]:
        """Those that still wait at the end of the file."""
        given = []
        while self._waiting:
            given += self._given_up()
        return given

    def _given_up(self) -> list[Datagram]:
        _, oldest = self._waiting.popitem(last=False)
        told = oldest.told()
        if told is None:
            self._notes.left_out("fragment without its datagram's beginning", oldest.count)
            return []
        return [told]
