"""Which packets belong together: by both sockets and the transport, until silence, a restart or a new handshake."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

from ringback.capture.packets import ACK, SYN, Segment, Socket
from ringback.record import Transport

SILENCE = 60.0  # seconds: longer than any keepalive of a call
BACK = 5.0  # seconds backwards in a file: another capture was appended
OPEN = 10_000  # conversations kept at once; the one that was quiet longest is closed

T = TypeVar("T")


class Conversation(Generic[T]):
    """number: by order of beginning in the file. sockets: of its first packet there. first, last: times of the earliest
    and the latest packet, wherever they stand. what: the caller's own record of it."""

    __slots__ = ("first", "last", "number", "sockets", "transport", "what")

    def __init__(self, number: int, packet: Segment, what: T) -> None:
        self.number = number
        self.transport = packet.transport
        self.sockets: tuple[Socket, Socket] = (packet.source, packet.target)
        self.first = self.last = packet.at
        self.what = what

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
        return found, ended

    @staticmethod
    def _over(found: Conversation[T], packet: Segment) -> bool:
        if packet.at - found.last < -BACK:
            return True
        if packet.transport == "udp":
            return packet.at - found.last > SILENCE
        # A TCP connection may be silent for hours; a port that is used again opens anew.
        return packet.flags & (SYN | ACK) == SYN and packet.at - found.last > SILENCE

    def rest(self) -> Iterator[Conversation[T]]:
        """Those that are still open at the end of the file, by beginning."""
        yield from sorted(self._open.values(), key=lambda one: one.number)
        self._open.clear()
