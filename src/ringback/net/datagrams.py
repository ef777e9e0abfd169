"""One UDP flow that we open: a connected socket of its own, or an association with a SOCKS5 relay."""

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Protocol

from ringback.net.failures import UNREACHABLE
from ringback.net.paths import Socks5, family_of
from ringback.net.sockets import Datagram, Icmp, receive, receive_errors, report_errors, set_ttl, stamp
from ringback.net.socks import UDP_ASSOCIATE, Handshake, unwrap, wrap
from ringback.net.streams import Stream

READS = 64  # datagrams read in one turn
WAITING = 512  # datagrams kept while the relay is not there yet; further ones are not sent

Received = Callable[[bytes, float], None]
Refused = Callable[[Icmp, float], None]
Departed = Callable[[int, float], None]


class Datagrams(Protocol):
    def send(self, data: bytes, index: int, ttl: int | None) -> None: ...

    def close(self) -> None: ...


class Socket:
    """A UDP socket connected to its remote address; owns `sock`. All instants are `time.monotonic`.

    departed(index, at) is called for each datagram the kernel took; one it did not take for good reason is `refused`,
    one it could not take now (its buffer is full) is lost, as in a queue further on.
    """

    def __init__(
        self, sock: socket.socket, ttl: int | None, received: Received, refused: Refused, departed: Departed
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._ttl = self._ttl_now = ttl
        self._received = received
        self._refused = refused
        self._departed = departed
        self._problem: OSError | None = None
        stamp(sock)
        with contextlib.suppress(OSError):
            report_errors(sock)
        if ttl is not None:
            set_ttl(sock, ttl)

    def connect(self, address: tuple[str, int]) -> None:
        try:
            self._sock.connect(address)
        except OSError as error:  # no route: each send says so
            self._problem = error
            return
        self._loop.add_reader(self._sock, self._on_readable)

    def send(self, data: bytes, index: int, ttl: int | None) -> None:
        if self._problem is not None:
            self._complain(self._problem)
            return
        wanted = self._ttl if ttl is None else ttl
        if wanted != self._ttl_now:
            set_ttl(self._sock, wanted)
            self._ttl_now = wanted
        for last in (False, True):
            # Before the call, not after: the send may wake the receiver on this very core, and we go on much later.
            at = monotonic()
            try:
                self._sock.send(data)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                # An ICMP error of an earlier datagram is told to the next call on the socket, which then did nothing.
                if self._drain_errors():
                    self._watch_again()
                    if not last:
                        continue
                if not last and error.errno in UNREACHABLE:
                    continue
                self._complain(error)
                return
            self._departed(index, at)
            return

    def close(self) -> None:
        self._loop.remove_reader(self._sock)
        self._sock.close()

    def _on_readable(self) -> None:
        failed = False
        for _ in range(READS):
            if self._sock.fileno() < 0:  # closed by what it delivered
                return
            try:
                datagram: Datagram = receive(self._sock)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                failed = True
                if not self._drain_errors():
                    self._complain(error)
                continue
            self._received(datagram.data, datagram.at)
        if self._drain_errors() or failed:
            self._watch_again()

    def _watch_again(self) -> None:
        """uvloop stops watching a socket that had an error, and does not notice that it did."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._loop.add_reader(self._sock, self._on_readable)

    def _drain_errors(self) -> bool:
        errors = receive_errors(self._sock)
        now = monotonic()
        for icmp in errors:
            self._refused(icmp, now)
        return bool(errors)

    def _complain(self, error: OSError) -> None:
        codes = UNREACHABLE.get(error.errno or 0)
        if codes is not None:
            self._refused(Icmp(*codes[self._sock.family == socket.AF_INET6], None), monotonic())


class Association:
    """The same through a SOCKS5 relay. What is sent before the relay is there waits; if it never is, nothing was sent.

    The association lives as long as its TCP connection (RFC 1928 section 7), and so do we.
    """

    def __init__(
        self,
        proxy: Socks5,
        control: socket.socket,
        sock: socket.socket,
        target: tuple[str, int],
        ttl: int | None,
        received: Received,
        refused: Refused,
        departed: Departed,
    ) -> None:
        self._proxy = proxy
        self._target = target
        self._deliver = received
        self._waiting: deque[tuple[bytes, int, int | None]] = deque()
        self._up = False
        self._over = False
        self._socket = Socket(sock, ttl, self._received, refused, departed)
        unspecified = "::" if family_of(proxy.host) == socket.AF_INET6 else "0.0.0.0"
        self._handshake = Handshake(UDP_ASSOCIATE, unspecified, 0)
        self._control = Stream(
            control, self._on_associated, lambda data, at: None, lambda failure, at: self._on_over(), self._handshake
        )
        self._control.connect((proxy.host, proxy.port))

    def send(self, data: bytes, index: int, ttl: int | None) -> None:
        if self._up:
            self._socket.send(wrap(*self._target, data), index, ttl)
        elif not self._over and len(self._waiting) < WAITING:
            self._waiting.append((data, index, ttl))

    def close(self) -> None:
        self._on_over()
        self._control.close()
        self._socket.close()

    def _on_associated(self, at: float) -> None:
        assert self._handshake.bound is not None
        host, port = self._handshake.bound
        if host in ("0.0.0.0", "::") or family_of(host) != family_of(self._proxy.host):
            host = self._proxy.host  # a proxy that does not know its own address means the one we reached it at
        self._socket.connect((host, port))
        self._up = True
        while self._waiting:
            self.send(*self._waiting.popleft())

    def _on_over(self) -> None:
        self._up = False
        self._over = True
        self._waiting.clear()

    def _received(self, datagram: bytes, at: float) -> None:
        inner = unwrap(datagram)
        if inner is not None and inner[:2] == self._target:
            self._deliver(inner[2], at)
