"""Which packets belong together: by both sockets and the transport, until silence or a new handshake.

UDP has no handshake: two calls between the same sockets within a minute are one exchange. What their protocols show
does not tell them apart safely: one call asks its relay for several allocations.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

from ringback.capture.packets import ACK, FIN, RST, SYN, Segment, Socket
from ringback.record import Transport

SILENCE = 60.0  # seconds: longer than any keepalive of a call
OPEN = 10_000  # conversations kept at once; the one that was quiet longest is closed

BOTH = frozenset((True, False))

T = TypeVar("T")


class Connection:
    """What a TCP connection has shown of its beginning and its end. Sides: True = the one that sent first."""

    __slots__ = ("_closed", "_numbers", "_speaking")

    def __init__(self) -> None:
        self._numbers: dict[bool, int] = {}
        self._closed: frozenset[bool] = frozenset()
        self._speaking = False

    def follow(self, side: bool, packet: Segment) -> None:
        """A packet that belongs to it, sent by `side`."""
        if packet.flags & SYN:
            self._numbers.setdefault(side, packet.sequence)
        elif packet.payload:
            self._speaking = True
        if packet.flags & RST and self._speaking:
            self._closed = BOTH
        elif packet.flags & FIN:
            self._closed |= {side}

    def is_another(self, side: bool, packet: Segment, first: float) -> bool:
        """Whether a SYN of `side` begins another connection. first: time of this one's earliest packet."""
        if packet.at < first:  # it stands behind its answer in the file
            return False
        known = self._numbers.get(side)
        if known is None:  # captured from its middle, or opened by both
            return self._speaking and packet.at > first
        # A SYN that is lost or refused is sent again under its number.
        return packet.sequence != known or self._closed == BOTH


class Conversation(Generic[T]):
    """number: by order of beginning in the file. sockets: of its first packet there. first, last: times of the earliest
    and the latest packet, wherever they stand. what: the caller's own record of it."""

    __slots__ = ("first", "last", "number", "sockets", "tcp", "transport", "what")

    def __init__(self, number: int, packet: Segment, what: T) -> None:
        self.number = number
        self.transport = packet.transport
        self.sockets: tuple[Socket, Socket] = (packet.source, packet.target)
        self.first = self.last = packet.at
        self.what = what
        self.tcp = Connection() if packet.transport == "tcp" else None

    def by_first(self, packet: Segment) -> bool:
        """Whether the side that sent first sent this."""
        return packet.source == self.sockets[0]


class Conversations(Generic[T]):
    """Gives each packet its conversation. The same packets in the same order get the same numbers, each time."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[Transport, Socket, Socket], Conversation[T]] = OrderedDict()
        self._count = 0

    def of(self, packet: Segment, fresh: T) -> tuple[Conversation[T], list[Conversation[T]]]:
        """The packet's conversation, and those that ended by its coming. fresh: the record of one that begins."""
        low, high = sorted((packet.source, packet.target))
        key = packet.transport, low, high
        found = self._open.get(key)
        ended = []
        if found is not None and self._over(found, packet):
            ended.append(self._open.pop(key))
            found = None
        if found is None:
            found = self._open[key] = Conversation(self._count, packet, fresh)
            self._count += 1
            if len(self._open) > OPEN:
                ended.append(self._open.popitem(last=False)[1])
        else:
            self._open.move_to_end(key)
        found.first, found.last = min(found.first, packet.at), max(found.last, packet.at)
        if found.tcp is not None:
            found.tcp.follow(found.by_first(packet), packet)
        return found, ended

    @staticmethod
    def _over(found: Conversation[T], packet: Segment) -> bool:
        if packet.at < found.first - SILENCE:  # another capture was appended
            return True
        silent = packet.at - found.last > SILENCE
        if found.tcp is None:
            return silent
        # A TCP connection may be silent for hours; a port that is used again opens anew.
        if packet.flags & (SYN | ACK) != SYN:
            return False
        return silent or found.tcp.is_another(found.by_first(packet), packet, found.first)

    def rest(self) -> Iterator[Conversation[T]]:
        """Those that are still open at the end of the file, by beginning."""
        yield from sorted(self._open.values(), key=lambda one: one.number)
        self._open.clear()
