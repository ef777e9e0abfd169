"""Opening flows: sockets on fresh local ports, on the path that was asked for, given to an end as seam events."""

import errno
import socket
from collections.abc import Callable, Mapping
from time import monotonic

from ringback.errors import BadInput
from ringback.net.datagrams import Association, Datagrams, Socket
from ringback.net.failures import failure_of
from ringback.net.paths import Interface, PathBinding, Socks5, family_of, is_address, tie
from ringback.net.sockets import Icmp, set_ttl, tune
from ringback.net.socks import CONNECT, Handshake
from ringback.net.streams import Stream
from ringback.record import Transport
from ringback.trial.seam import (
    Close,
    Connected,
    Delivered,
    Ended,
    Event,
    Flow,
    Open,
    Received,
    Refused,
    Send,
    Sent,
    Write,
)

PORT_ATTEMPTS = 64


def bind_anywhere(sock: socket.socket) -> None:
    """To a port of the system's choice."""
    sock.bind(("", 0))


class Flows:
    """The flows one end opened. feed: where events go; when: an instant of `time.monotonic` on the end's clock."""

    def __init__(
        self, paths: Mapping[str, PathBinding], feed: Callable[[Event], None], when: Callable[[float], float]
    ) -> None:
        self._paths = paths
        self._feed = feed
        self._when = when
        self._datagrams: dict[Flow, Datagrams] = {}
        self._streams: dict[Flow, Stream] = {}
        self._lingering: list[Stream] = []
        self._used: dict[Transport, set[int]] = {"udp": set(), "tcp": set()}

    def open(self, command: Open) -> None:
        """Raises BadInput for a path that is not known or a host that is no address."""
        if command.path not in self._paths:
            raise BadInput(f"no path named {command.path}", f"flow {command.flow}")
        if not is_address(command.host):
            raise BadInput(f"{command.host!r} is no IP address", f"flow {command.flow}")
        path = self._paths[command.path]
        try:
            if command.transport == "udp":
                self._open_datagrams(command, path)
            else:
                self._open_stream(command, path)
        except OSError as error:
            # No socket could be had on this path. A stream failed; of datagrams nothing is ever reported as sent.
            if command.transport == "tcp":
                self._feed(Ended(command.flow, self._when(monotonic()), failure_of(error)))

    def send(self, command: Send) -> None:
        flow = self._datagrams.get(command.flow)
        if flow is not None:
            flow.send(command.data, command.index, command.ttl)

    def write(self, command: Write) -> None:
        stream = self._streams.get(command.flow)
        if stream is not None:
            stream.write(command.data, command.ttl)

    def close(self, command: Close) -> None:
        datagrams = self._datagrams.pop(command.flow, None)
        if datagrams is not None:
            datagrams.close()
        stream = self._streams.pop(command.flow, None)
        if stream is not None:
            stream.close(command.reset)
            self._lingering = [one for one in (*self._lingering, stream) if one.open]

    def close_all(self) -> None:
        for flow in (*self._datagrams, *self._streams):
            self.close(Close(flow, reset=True))
        for stream in self._lingering:
            stream.close(reset=True)

    def _open_datagrams(self, command: Open, path: PathBinding) -> None:
        flow, feed, when = command.flow, self._feed, self._when

        def received(data: bytes, at: float) -> None:
            feed(Received(flow, data, when(at)))

        def refused(icmp: Icmp, at: float) -> None:
            feed(Refused(flow, when(at), icmp.type, icmp.code, icmp.source))

        def departed(index: int, at: float) -> None:
            feed(Sent(flow, index, when(at)))

        if isinstance(path, Socks5):
            control = self._socket("tcp", path.host, path)
            try:
                relayed = self._socket("udp", path.host, path)
            except OSError:
                control.close()
                raise
            target = (command.host, command.port)
            self._datagrams[flow] = Association(
                path, control, relayed, target, command.ttl, received, refused, departed
            )
            return
        direct = Socket(self._socket("udp", command.host, path), command.ttl, received, refused, departed)
        self._datagrams[flow] = direct
        direct.connect((command.host, command.port))

    def _open_stream(self, command: Open, path: PathBinding) -> None:
        flow = command.flow
        proxy = path if isinstance(path, Socks5) else None
        sock = self._socket("tcp", proxy.host if proxy else command.host, path)
        tune(sock)
        if command.ttl is not None:
            set_ttl(sock, command.ttl)

        def ended(failure: str | None, at: float) -> None:
            self._streams.pop(flow, None)
            self._feed(Ended(flow, self._when(at), failure))

        def refused(icmp: Icmp, at: float) -> None:
            if proxy is None:  # else it is about the way to the proxy
                self._feed(Refused(flow, self._when(at), icmp.type, icmp.code, icmp.source))

        stream = Stream(
            sock,
            lambda at: self._feed(Connected(flow, self._when(at))),
            lambda data, at: self._feed(Delivered(flow, data, self._when(at))),
            ended,
            Handshake(CONNECT, command.host, command.port) if proxy else None,
            refused,
        )
        self._streams[flow] = stream
        stream.connect((proxy.host, proxy.port) if proxy else (command.host, command.port))

    def _socket(self, transport: Transport, host: str, path: PathBinding) -> socket.socket:
        """A non-blocking socket bound to a local port that this session never had. Raises OSError."""
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        refused: list[socket.socket] = []  # kept open until we are done, or we would be given the same port again
        try:
            for _ in range(PORT_ATTEMPTS):
                sock = socket.socket(family_of(host), kind)
                refused.append(sock)
                sock.setblocking(False)
                if isinstance(path, Interface):
                    tie(sock, path.name)
                if sock.getsockname()[1] == 0:
                    bind_anywhere(sock)
                port = sock.getsockname()[1]
                if port not in self._used[transport]:
                    self._used[transport].add(port)
                    return refused.pop()
            raise OSError(errno.EADDRNOTAVAIL, "no local port left that was not used before")
        finally:
            for sock in refused:
                sock.close()
