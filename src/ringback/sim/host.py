"""A host outside as the simulator sees it: it answers, and keeps no state but what it keeps itself."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Reply(NamedTuple):
    """What a host does on a stream: new bytes to send now, and whether it then closes."""

    send: bytes = b""
    close: bool = False


class Host(Protocol):
    def listens(self, transport: str, port: int) -> bool:
        """Whether anything answers on this port of `udp` or `tcp`."""
        ...

    def datagram(self, port: int, data: bytes, source: tuple[str, int], now: float) -> Sequence[bytes]:
        """The datagrams that go back from `port` to `source` (address, port) at once."""
        ...

    def stream(self, port: int, received: bytes) -> Reply:
        """Called whenever bytes arrived: `received` is everything received so far on this connection."""
        ...
