"""A stream as an end of a session sees it: TCP's doings become events."""

from collections.abc import Callable

from ringback.sim.clock import Clock
from ringback.sim.packet import Packet
from ringback.sim.tcp import Connection
from ringback.trial.seam import Accepted, Connected, Delivered, Ended, Event, Flow, Refused


class EndStream:
    """Tells `tell` of one stream. port, remote: given for a stream that came in, None for one that was opened."""

    __slots__ = ("_clock", "_flow", "_over", "_port", "_remote", "_tell", "connection")

    def __init__(
        self,
        flow: Flow,
        tell: Callable[[Event], None],
        clock: Clock,
        port: int | None = None,
        remote: str = "",
    ) -> None:
        self._flow = flow
        self._tell = tell
        self._clock = clock
        self._port = port
        self._remote = remote
        self._over = False
        self.connection: Connection | None = None

    def write(self, data: bytes, ttl: int | None = None) -> None:
        assert self.connection is not None
        if ttl is not None:
            self.connection.ttl = ttl
        self.connection.write(data)

    def close(self, reset: bool) -> None:
        self._over = True
        assert self.connection is not None
        if reset:
            self.connection.abort()
        else:
            self.connection.close()

    def opened(self, _: object = None) -> None:
        if self._over:
            return
        now = self._clock.now
        if self._port is None:
            self._tell(Connected(self._flow, now))
        else:
            self._tell(Accepted(self._flow, now, self._port, self._remote))

    def delivered(self, data: bytes) -> None:
        if not self._over:
            self._tell(Delivered(self._flow, data, self._clock.now))

    def refused(self, error: Packet) -> None:
        if not self._over:
            self._tell(Refused(self._flow, self._clock.now, error.sport, error.dport, error.src))

    def ended(self, failure: str | None) -> None:
        if not self._over:
            self._over = True
            self._tell(Ended(self._flow, self._clock.now, failure))
