"""A TCP connection without asyncio's transports: connect, bytes both ways, the end of it, all by callbacks."""

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import Callable
from time import monotonic

from ringback.net.failures import HINTS, UNREACHABLE, failure_of, failure_of_errno
from ringback.net.sockets import Icmp, receive_errors, report_errors, set_ttl
from ringback.net.socks import Handshake

CHUNK = 65536
READS = 16  # chunks read in one turn, so that one connection can't hold up the others
LINGER_NOW = struct.pack("ii", 1, 0)  # close by a reset
LINGER_S = 10.0  # seconds that what was written before a close may take to go out
IN_PROGRESS = (errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK)


class Stream:
    """One connection. connected(at), delivered(data, at) and ended(failure, at) are called with `time.monotonic`
    instants; `ended` once and last, and not at all after `close`. A handshake with a proxy comes before `connected`.
    refused(icmp, at): an ICMP error came, which ends nothing but the connecting; where it came later the system says
    neither its source nor whether a host could not be reached or a TTL had run out."""

    def __init__(
        self,
        sock: socket.socket,
        connected: Callable[[float], None],
        delivered: Callable[[bytes, float], None],
        ended: Callable[[str | None, float], None],
        handshake: Handshake | None = None,
        refused: Callable[[Icmp, float], None] = lambda icmp, at: None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._connected = connected
        self._delivered = delivered
        self._ended = ended
        self._handshake = handshake
        self._refused = refused
        self._out = bytearray()
        self._up = False  # may write
        self._writing = False
        self._closing = False
        self._open = True
        self._linger: asyncio.TimerHandle | None = None
        self.active_at = monotonic()
        with contextlib.suppress(OSError):
            report_errors(sock)

    def connect(self, address: tuple[str, int]) -> None:
        """Start connecting. Failures are told by `ended`, also those known at once."""
        error = self._sock.connect_ex(address)
        if error in IN_PROGRESS or error == 0:
            self._loop.add_writer(self._sock, self._on_connect)
        else:
            self._loop.call_soon(self._end, failure_of_errno(error))

    def accepted(self) -> None:
        """The socket is connected already."""
        self._up = True
        self._loop.add_reader(self._sock, self._on_readable)

    def write(self, data: bytes, ttl: int | None = None) -> None:
        """ttl: IP TTL of all that is sent from now on; None: as before."""
        if not self._open or self._closing:
            return
        if ttl is not None:
            set_ttl(self._sock, ttl)
        self._out += data
        if self._up and self._handshake is None:
            self._flush()

    def close(self, reset: bool = False) -> None:
        """Tell nothing more. What was written still goes out, for `LINGER_S` at most, unless reset."""
        if not self._open:
            return
        if reset:
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOW)
        if reset or not self._up or not self._out:
            self._release()
            return
        self._closing = True
        self._loop.remove_reader(self._sock)
        self._linger = self._loop.call_later(LINGER_S, self._release)

    def _on_connect(self) -> None:
        self._loop.remove_writer(self._sock)
        error = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            for icmp in receive_errors(self._sock):
                self._refused(icmp, monotonic())
            self._end(failure_of_errno(error))
            return
        self._up = True
        self._loop.add_reader(self._sock, self._on_readable)
        if self._handshake is not None:
            with contextlib.suppress(OSError):  # a few bytes on a new connection always fit; a reset is read later
                self._sock.send(self._handshake.start())
        else:
            self._ready()

    def _ready(self) -> None:
        self.active_at = monotonic()
        self._connected(self.active_at)
        if self._open and self._out:
            self._flush()

    def _on_readable(self) -> None:
        for _ in range(READS):
            if not self._open or self._closing:
                return
            try:
                data = self._sock.recv(CHUNK)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if self._is_hint(error):
                    continue
                self._end(failure_of(error))
                return
            if not data:
                self._end("eof_error" if self._handshake is not None else None)
                return
            if self._handshake is not None:
                data = self._shake(self._handshake, data)
                if not data:
                    continue
            self.active_at = monotonic()
            self._delivered(data, self.active_at)

    def _is_hint(self, error: OSError) -> bool:
        """Whether no more than an ICMP error is told, which is then passed on."""
        if error.errno not in HINTS:
            return False
        if error.errno in UNREACHABLE:
            self._refused(Icmp(*UNREACHABLE[error.errno][self._sock.family == socket.AF_INET6], None), monotonic())
        if self._open and not self._closing:  # uvloop stops watching a socket that had an error
            self._loop.remove_reader(self._sock)
            self._loop.add_reader(self._sock, self._on_readable)
        return True

    def _shake(self, handshake: Handshake, data: bytes) -> bytes:
        answer = handshake.receive(data)
        if answer:
            with contextlib.suppress(OSError):
                self._sock.send(answer)
        if handshake.failure is not None:
            self._end(handshake.failure)
        elif handshake.done:
            self._handshake = None
            self._ready()
            return handshake.rest if self._open else b""
        return b""

    def _flush(self) -> None:
        try:
            while self._out:
                sent = self._sock.send(memoryview(self._out)[:CHUNK])
                del self._out[:sent]
                self.active_at = monotonic()
        except (BlockingIOError, InterruptedError):
            if not self._writing:
                self._writing = True
                self._loop.add_writer(self._sock, self._flush)
            return
        except OSError as error:
            if self._is_hint(error):
                self._loop.call_soon(self._flush_again)
            elif self._closing:
                self._release()
            else:
                self._end(failure_of(error))
            return
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._sock)
        if self._closing:
            self._release()

    def _flush_again(self) -> None:
        if self._open:
            self._flush()

    def _end(self, failure: str | None) -> None:
        if not self._open:
            return
        telling = not self._closing
        self._release()
        if telling:
            self._ended(failure, monotonic())

    def expire(self) -> None:
        """End it from our side because nothing happened on it for too long."""
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOW)
        self._end("generic_timeout_error")

    def _release(self) -> None:
        self._open = False
        if self._linger is not None:
            self._linger.cancel()
        self._out.clear()
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()

    @property
    def open(self) -> bool:
        return self._open
