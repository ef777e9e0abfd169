"""What passes between the engine and its driver: events in, commands out, times in seconds.

Two seams carry everything: *datagram* and *stream*. A third, *ask*, is the reliable word to the peer that a session
has (HTTP on real networks). The engine never sees a socket or the clock; a driver never sees a label.

A flow is named by the side that opened it: the near end counts them (int); at the far end the driver names a
datagram flow (local port, remote address, remote port) and a stream by a number of its own.
"""

from collections.abc import Hashable, Iterator, Sequence
from typing import Protocol

import msgspec

from ringback.record import Transport

Flow = Hashable


# -- commands ---------------------------------------------------------------------------------------------------


class Open(msgspec.Struct, frozen=True, gc=False):
    """Open a flow on a fresh local port, never one used before in this session. `path` is the path's name."""

    flow: int
    transport: Transport
    host: str
    port: int
    path: str
    ttl: int | None = None


class Send(msgspec.Struct, frozen=True, gc=False):
    """Send one datagram at time `at` (not before now). `index` comes back in `Sent`. ttl: this packet's IP TTL."""

    flow: Flow
    at: float
    data: bytes
    index: int
    ttl: int | None = None


class Write(msgspec.Struct, frozen=True, gc=False):
    """Write bytes to a stream; the driver keeps what does not fit. ttl: IP TTL of all that the stream sends from now
    on, retransmissions as well; None: as before."""

    flow: Flow
    data: bytes
    ttl: int | None = None


class Close(msgspec.Struct, frozen=True, gc=False):
    """Forget the flow: later arrivals on it are not delivered. `reset`: abort a stream instead of closing it."""

    flow: Flow
    reset: bool = False


class Ask(msgspec.Struct, frozen=True, gc=False):
    """Put a request to the peer (near end only); answered by `Answer` with the same number."""

    number: int
    what: str  # "open", "round", "outcome", "vantage", "close"
    body: bytes  # JSON


Command = Open | Send | Write | Close | Ask


# -- events -----------------------------------------------------------------------------------------------------


class Sent(msgspec.Struct, frozen=True, gc=False):
    """The datagram went out at `at` (the driver's word: the real time)."""

    flow: Flow
    index: int
    at: float


class Received(msgspec.Struct, frozen=True, gc=False):
    """A datagram arrived."""

    flow: Flow
    data: bytes
    at: float


class Refused(msgspec.Struct, frozen=True, gc=False):
    """An ICMP error for a flow (RFC 792 type, code; RFC 4443 numbers on IPv6). Of a stream that is connecting it comes
    before the `Ended` that it brings about; it ends no stream that is established. source: None where the system does
    not say."""

    flow: Flow
    at: float
    type: int
    code: int
    source: str | None = None


class Connected(msgspec.Struct, frozen=True, gc=False):
    """A stream that we opened is established. local_port where the driver knows it."""

    flow: Flow
    at: float


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """A stream was accepted on `port` (far end)."""

    flow: Flow
    at: float
    port: int
    remote: str


class Delivered(msgspec.Struct, frozen=True, gc=False):
    """Bytes delivered in order by a stream."""

    flow: Flow
    data: bytes
    at: float


class Ended(msgspec.Struct, frozen=True, gc=False):
    """The stream is over: failure is None for an orderly close by the other side, else an OONI failure string."""

    flow: Flow
    at: float
    failure: str | None


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The peer's answer to an `Ask`: `failure` is None and body is JSON, or an OONI failure string."""

    number: int
    at: float
    body: bytes
    failure: str | None = None


Event = Sent | Received | Refused | Connected | Accepted | Delivered | Ended | Answer


class End(Protocol):
    """One end of a session, as a driver sees it."""

    def start(self, now: float) -> Sequence[Command]: ...

    def handle(self, event: Event, now: float) -> Sequence[Command]: ...

    def note(self, flow: Flow, index: int, at: float) -> bool:
        """Takes `Sent(flow, index, at)` down where that is all it brings about; False: nothing was done, hand over the
        event itself. For drivers whose packets are many."""
        ...

    def wake(self, now: float) -> Sequence[Command]:
        """Called at `wake_at` (or later)."""
        ...

    @property
    def wake_at(self) -> float | None:
        """When the driver must call `wake`; None: nothing is due."""
        ...

    @property
    def finished(self) -> bool: ...


class PeerEnd(End, Protocol):
    """The far end also answers the near end's requests; `source` is the address that asked."""

    def answer(self, what: str, body: bytes, source: str, now: float) -> bytes:
        """The answer's bytes. Raises `ringback.errors.BadInput` for a request that can't be met."""
        ...

    def answering(self, what: str, body: bytes, source: str, now: float) -> Iterator[bytes | None]:
        """The same in pieces of a few milliseconds: None where other work may come between, the answer last."""
        ...
