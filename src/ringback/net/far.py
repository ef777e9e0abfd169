"""The peer's end on real sockets: many participants at once on a few listening ports.

A datagram flow is named (local port, remote address, remote port), an accepted stream by an int from `FIRST_STREAM`
on, so that it never equals a number that the end itself gave to a flow it opened.
"""

import asyncio
import contextlib
import logging
import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from time import monotonic
from typing import NamedTuple

from ringback.net.opening import Flows
from ringback.net.paths import Direct, PathBinding, family_of
from ringback.net.pump import Pump
from ringback.net.sockets import Icmp, receive, receive_errors, report_errors, set_ttl, stamp, tune
from ringback.net.streams import Stream
from ringback.trial.seam import (
    Accepted,
    Close,
    Delivered,
    Ended,
    Event,
    Flow,
    Open,
    PeerEnd,
    Received,
    Refused,
    Send,
    Sent,
    Write,
)

FIRST_STREAM = 1 << 32
READS = 128  # datagrams read from one port in one turn
ACCEPTS = 32
BUFFER = 4 << 20  # bytes asked of the kernel for each listening UDP socket
MAX_STREAMS = 2048
MAX_STREAMS_PER_ADDRESS = 128
IDLE_S = 60.0  # an accepted stream on which nothing moves for so long is reset
SWEEP_S = 10.0

log = logging.getLogger("ringback.net")


@dataclass(frozen=True)
class Ports:
    """Wanted port to the one listened on: another where the wanted one could not be had (`moved` says which)."""

    udp: Mapping[int, int]
    tcp: Mapping[int, int]

    @property
    def moved(self) -> tuple[str, ...]:
        """For people and logs, one each: `udp/53 -> udp/40123`."""
        return tuple(
            f"{name}/{wanted} -> {name}/{had}"
            for name, ports in (("udp", self.udp), ("tcp", self.tcp))
            for wanted, had in ports.items()
            if wanted != had
        )


def _log(error: Exception) -> None:
    log.error("the peer's end failed on an event", exc_info=error)


class _Accepted(NamedTuple):
    stream: Stream
    address: str


class FarDriver:
    """Drives one `PeerEnd`. Start and use it on one running loop (asyncio's own or uvloop).

    paths: for the flows the end opens itself (tries as the vantage); by default `direct` alone. fail: told of an error
    that the end raises in a callback, after which the driver goes on; by default it is logged: one participant must not
    stop the others.
    """

    def __init__(
        self,
        end: PeerEnd,
        paths: Mapping[str, PathBinding] | None = None,
        fail: Callable[[Exception], None] | None = None,
    ) -> None:
        self._end = end
        self._fail = fail if fail is not None else _log
        self._paths = paths if paths is not None else {"direct": Direct()}
        self._udp: dict[int, socket.socket] = {}
        self._tcp: list[socket.socket] = []
        self._mapped = False
        self._streams: dict[Flow, _Accepted] = {}
        self._per_address: Counter[str] = Counter()
        self._number = count(FIRST_STREAM).__next__
        self._pump: Pump | None = None
        self._flows: Flows | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self.congestion: str | None = None
        """The congestion control of the TCP listeners, None where the system does not say."""

    async def start(self, host: str, udp_ports: Sequence[int], tcp_ports: Sequence[int]) -> Ports:
        """Listen on an address (`0.0.0.0`; `::` takes IPv4 as well) and start the end; the ports that were had.

        A port that can't be had (below 1024 without the right to, in use) is replaced by a free one; port 0 is any.
        Raises OSError where the address itself can't be used.
        """
        loop = asyncio.get_running_loop()
        self._mapped = host == "::"
        try:
            udp = {port: self._listen_udp(host, port) for port in udp_ports}
            tcp = {port: self._listen_tcp(host, port) for port in tcp_ports}
        except OSError:
            self._close_listeners()
            raise
        pump = Pump(
            self._end,
            {Open: self._open, Write: self._write, Close: self._close},
            self._transmit,
            self._fail,
        )
        self._pump = pump
        self._flows = Flows(self._paths, pump.feed, pump.when)
        for port, sock in self._udp.items():
            loop.add_reader(sock, partial(self._read, sock, port))
        for sock in self._tcp:
            loop.add_reader(sock, partial(self._accept, sock, sock.getsockname()[1]))
        self._sweep = loop.call_later(SWEEP_S, self._sweep_streams)
        pump.start()
        return Ports(udp, tcp)

    def answer(self, what: str, body: bytes, source: str) -> bytes:
        """The end's answer to a request that came from the address `source`. Raises BadInput as the end does."""
        assert self._pump is not None, "not started"
        answer = self._end.answer(what, body, plain(source), self._pump.now())
        self._pump.settle()
        return answer

    async def attend(self, what: str, body: bytes, source: str) -> bytes:
        """`answer` in pieces, between which the loop looks after its sockets: a round takes a tenth of a second to
        render, in which no exchange of others may wait."""
        assert self._pump is not None, "not started"
        answer = None
        for answer in self._end.answering(what, body, plain(source), self._pump.now()):
            if answer is None:
                await asyncio.sleep(0)
        self._pump.settle()
        assert answer is not None
        return answer

    async def stop(self) -> None:
        """Close everything. Nothing reaches the end any more."""
        if self._pump is not None:
            self._pump.close()
        if self._flows is not None:
            self._flows.close_all()
        if self._sweep is not None:
            self._sweep.cancel()
        for accepted in self._streams.values():
            accepted.stream.close(reset=True)
        self._streams.clear()
        self._close_listeners()

    # -- listening ----------------------------------------------------------------------------------------------

    def _listen_udp(self, host: str, port: int) -> int:
        sock = self._bound(socket.SOCK_DGRAM, host, port)
        stamp(sock)
        with contextlib.suppress(OSError):
            report_errors(sock)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, option, BUFFER)
        had: int = sock.getsockname()[1]
        self._udp[had] = sock
        return had

    def _listen_tcp(self, host: str, port: int) -> int:
        sock = self._bound(socket.SOCK_STREAM, host, port)
        self.congestion = tune(sock)  # accepted sockets inherit it
        sock.listen(512)
        self._tcp.append(sock)
        had: int = sock.getsockname()[1]
        return had

    def _bound(self, kind: int, host: str, port: int) -> socket.socket:
        sock = socket.socket(family_of(host), kind)
        try:
            sock.setblocking(False)
            if kind == socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if sock.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if self._mapped else 1)
            try:
                sock.bind((host, port))
            except OSError:
                sock.bind((host, 0))
        except OSError:
            sock.close()
            raise
        return sock

    def _close_listeners(self) -> None:
        loop = asyncio.get_running_loop()
        for sock in (*self._udp.values(), *self._tcp):
            loop.remove_reader(sock)
            sock.close()
        self._udp.clear()
        self._tcp.clear()

    # -- datagrams ----------------------------------------------------------------------------------------------

    def _read(self, sock: socket.socket, port: int) -> None:
        pump = self._pump
        assert pump is not None
        origin, mapped = pump.origin, self._mapped
        came: list[Event] = []
        for _ in range(READS):
            try:
                data, at, source = receive(sock)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:  # that some datagram of ours met an error
                continue
            address = plain(source[0]) if mapped else source[0]
            came.append(Received((port, address, source[1]), data, at - origin))
        came += self._errors(sock, port)
        if came:
            pump.feed_all(came)

    def _errors(self, sock: socket.socket, port: int) -> list[Event]:
        """The ICMP errors that came for what was sent from this port."""
        assert self._pump is not None
        errors = receive_errors(sock)
        if errors:  # uvloop stops watching a socket that had an error
            loop = asyncio.get_running_loop()
            loop.remove_reader(sock)
            loop.add_reader(sock, partial(self._read, sock, port))
        now = self._pump.now()
        return [
            Refused((port, plain(to[0]), to[1]), now, type_, code, source and plain(source))
            for type_, code, source, to in errors
            if to is not None
        ]

    def _transmit(self, send: Send) -> None:
        flow = send.flow
        if type(flow) is not tuple:
            assert self._flows is not None
            self._flows.send(send)
            return
        port, address, remote = flow
        sock, pump = self._udp.get(port), self._pump
        if sock is None or pump is None:
            return
        if self._mapped and ":" not in address:
            address = "::ffff:" + address
        if send.ttl is not None:
            set_ttl(sock, send.ttl)
        told: list[Event] = []
        for _ in range(2):
            at = monotonic() - pump.origin
            try:
                sock.sendto(send.data, (address, remote))
            except OSError:  # full buffer, no route: no `Sent`. An error of an earlier datagram: this one may go yet
                if errors := self._errors(sock, port):
                    told += errors
                    continue
                break
            told.append(Sent(flow, send.index, at))
            break
        if send.ttl is not None:
            set_ttl(sock, None)
        if told:
            pump.feed_all(told)

    # -- streams ------------------------------------------------------------------------------------------------

    def _accept(self, listener: socket.socket, port: int) -> None:
        pump = self._pump
        assert pump is not None
        for _ in range(ACCEPTS):
            try:
                sock, source = listener.accept()
            except OSError:
                return
            address = plain(source[0])
            if len(self._streams) >= MAX_STREAMS or self._per_address[address] >= MAX_STREAMS_PER_ADDRESS:
                sock.close()
                continue
            sock.setblocking(False)
            flow = self._number()
            stream = Stream(
                sock,
                lambda at: None,
                lambda data, at, flow=flow: pump.feed(Delivered(flow, data, pump.when(at))),  # type: ignore[misc]
                partial(self._ended, flow, address),
                refused=partial(self._refused, flow),
            )
            self._streams[flow] = _Accepted(stream, address)
            self._per_address[address] += 1
            stream.accepted()
            pump.feed(Accepted(flow, pump.now(), port, address))

    def _ended(self, flow: int, address: str, failure: str | None, at: float) -> None:
        assert self._pump is not None
        self._streams.pop(flow, None)
        self._leave(address)
        self._pump.feed(Ended(flow, self._pump.when(at), failure))

    def _refused(self, flow: int, icmp: Icmp, at: float) -> None:
        assert self._pump is not None
        self._pump.feed(Refused(flow, self._pump.when(at), icmp.type, icmp.code, icmp.source))

    def _leave(self, address: str) -> None:
        self._per_address[address] -= 1
        if self._per_address[address] <= 0:
            del self._per_address[address]

    def _open(self, command: Open) -> None:
        assert self._flows is not None
        self._flows.open(command)

    def _write(self, command: Write) -> None:
        accepted = self._streams.get(command.flow)
        if accepted is not None:
            accepted.stream.write(command.data)
        elif self._flows is not None:
            self._flows.write(command)

    def _close(self, command: Close) -> None:
        accepted = self._streams.pop(command.flow, None)
        if accepted is not None:
            self._leave(accepted.address)
            accepted.stream.close(command.reset)
        elif self._flows is not None:
            self._flows.close(command)

    def _sweep_streams(self) -> None:
        limit = monotonic() - IDLE_S
        for accepted in tuple(self._streams.values()):
            if accepted.stream.active_at < limit:
                accepted.stream.expire()
        self._sweep = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep_streams)


def plain(address: str) -> str:
    """An IPv4 address that came over an IPv6 socket, as IPv4 (RFC 4291 section 2.5.5.2)."""
    return address.removeprefix("::ffff:") if address.startswith("::ffff:") and "." in address else address
