"""The simulator's TCP: connections and the stack that tells them apart. What it has and lacks: docs/tcp.md.

Sequence numbers start below 2^31 and are never wrapped; `Packet.window` is in bytes, not scaled.
"""

from collections.abc import Callable
from math import inf
from typing import Protocol

import numpy as np

from ringback.sim.clock import Call, Clock
from ringback.sim.packet import ACK, FIN, IPV4_HEADER, PSH, RST, SYN, TCP, TCP_HEADER, Packet
from ringback.sim.receiver import Receiver
from ringback.sim.sender import INITIAL_RTO, Sender

HEADERS = IPV4_HEADER + TCP_HEADER + 12  # with timestamps
SYN_SIZE = 60
SACK_OVERHEAD, SACK_BLOCK = 4, 8
SYN_TRIES = 7  # Linux, tcp_syn_retries = 6: gives up after 127 s
DRAWN = 16  # sequence numbers at once
HARD_ERRORS = {0: "network_unreachable", 1: "host_unreachable", 2: "host_unreachable", 3: "connection_refused"}
"""By code of ICMP destination unreachable: the failure while connecting (RFC 1122 section 4.2.3.9, and Linux)."""


class Owner(Protocol):
    """Who uses a connection; called from the clock, never from inside the connection."""

    connection: "Connection | None"

    def opened(self, _: None, /) -> None: ...

    def delivered(self, data: bytes, /) -> None: ...

    def refused(self, error: Packet, /) -> None:
        """An ICMP error came for it."""
        ...

    def ended(self, failure: str | None, /) -> None:
        """Over: None for the other side's orderly end, else an OONI failure string."""
        ...


class Connection:
    """One end of one connection. `away` takes its packets."""

    def __init__(
        self,
        clock: Clock,
        away: Call,
        local: tuple[str, int],
        remote: tuple[str, int],
        first: int,
        owner: Owner,
        ttl: int,
    ) -> None:
        self._clock = clock
        self.away = away
        self._local = local
        self._remote = remote
        self._owner = owner
        self.ttl = ttl
        self._first = first
        self._sender = Sender(first + 1, self._emit)
        self._receiver: Receiver | None = None
        self._state = "new"  # then "syn-sent" or "syn-received", "open", "dead"
        self.over = False
        self._detached = False  # the application has closed
        self._told_end = False
        self._tries = 0
        self._syn_sent_at = 0.0
        self._syn_at = inf
        self._timer_planned = inf

    # -- from the application ---------------------------------------------------------------------------------------

    def connect(self) -> None:
        self._state = "syn-sent"
        self._send_syn()

    def write(self, data: bytes) -> None:
        if self._state != "dead" and not self._detached:
            if self._state == "open":
                self._sender.write(data, self._clock.now)
                self._settle()
            else:
                raise RuntimeError("written to before it was connected")

    def close(self) -> None:
        """Orderly: what was written is still sent. Nothing is told to the owner any more."""
        if self._detached:
            return
        self._detached = self._told_end = True
        if self._state == "syn-sent":
            self._die()
        elif self._state == "open":
            self._sender.finish(self._clock.now)
            self._settle()

    def abort(self) -> None:
        """RST."""
        self._detached = self._told_end = True
        if self._state in ("open", "syn-received"):
            self._reset()
        self._die()

    # -- from the network -------------------------------------------------------------------------------------------

    def arrive(self, packet: Packet) -> None:
        if self._state == "dead":
            return
        flags = packet.flags
        if flags & RST:
            self._take_reset(packet)
        elif flags & SYN:
            self._take_syn(packet)
        elif flags & ACK and self._receiver is not None:
            if self._state == "syn-received" and packet.ack == self._first + 1:
                self._open()
            if self._state == "open":
                self._take_segment(packet, self._receiver)

    def refuse(self, error: Packet) -> None:
        """An ICMP error for this connection: fatal while connecting, else no more than a hint (RFC 5927)."""
        type, code = error.sport, error.dport
        if self._state in ("syn-sent", "open") and not self._told_end:
            self._clock.at(self._clock.now, self._owner.refused, error)
        if self._state == "syn-sent":
            self._fail(HARD_ERRORS.get(code, "host_unreachable") if type == 3 else "host_unreachable")

    def _take_reset(self, packet: Packet) -> None:
        """RFC 9293 section 3.10.7 with RFC 5961: only the exact next number resets, another in the window is asked."""
        if self._state == "syn-sent":
            if packet.flags & ACK and packet.ack == self._first + 1:
                self._fail("connection_refused")
        elif self._receiver is not None:
            if packet.seq == self._receiver.next:
                self._fail("connection_reset")
            elif self._receiver.next < packet.seq < self._receiver.next + self._receiver.window:
                self._acknowledge()

    def _take_syn(self, packet: Packet) -> None:
        if self._state == "new":
            self._receiver = Receiver(packet.seq + 1)
            self._state = "syn-received"
            self._send_syn()
        elif self._state == "syn-sent" and packet.flags & ACK and packet.ack == self._first + 1:
            self._receiver = Receiver(packet.seq + 1)
            self._open()
            self._acknowledge()
        elif self._state == "syn-received":
            self._send_syn(count=False)
        elif self._state == "open":
            self._acknowledge()

    def _open(self) -> None:
        self._state = "open"
        self._syn_at = inf
        if self._tries == 1:
            rtt = self._clock.now - self._syn_sent_at
            self._sender.measured(rtt)
        elif self._tries > 2:
            self._sender.cubic.window = 1.0  # RFC 5681 section 3.1
        self._clock.at(self._clock.now, self._owner.opened)

    def _take_segment(self, packet: Packet, receiver: Receiver) -> None:
        now = self._clock.now
        if packet.ack > self._sender.next:
            return
        self._sender.acknowledged(packet.ack, packet.sack, packet.window, now)
        data, fin = packet.payload, bool(packet.flags & FIN)
        if data or fin:
            ended = receiver.ended
            out = receiver.take(packet.seq, data, fin, now)
            if out and self._detached:  # nobody is left to read it
                self._reset()
                self._die()
                return
            if out:
                self._clock.at(now, self._owner.delivered, out)
            if receiver.ended and not ended:
                self._end(None)
            if receiver.ack_at <= now:
                self._acknowledge()
        self._settle()

    # -- the wire ---------------------------------------------------------------------------------------------------

    def _send_syn(self, count: bool = True) -> None:
        self._syn_sent_at = self._clock.now
        if count:
            self._tries += 1
            self._syn_at = self._clock.now + INITIAL_RTO * 2 ** (self._tries - 1)
        flags, ack = (SYN | ACK, self._receiver.next) if self._receiver else (SYN, 0)
        self._put(b"", SYN_SIZE, self._first, ack, flags)
        self._plan()

    def _emit(self, seq: int, data: bytes, fin: bool) -> None:
        receiver = self._receiver
        assert receiver is not None
        flags = ACK | (PSH if data else 0) | (FIN if fin else 0)
        sack = receiver.acknowledged()
        size = HEADERS + len(data) + (SACK_OVERHEAD + SACK_BLOCK * len(sack) if sack else 0)
        self._put(data, size, seq, receiver.next, flags, sack)

    def _acknowledge(self) -> None:
        self._emit(self._sender.next, b"", False)

    def _reset(self) -> None:
        self._put(b"", HEADERS - 12, self._sender.next, self._receiver.next if self._receiver else 0, RST | ACK)

    def _put(
        self, data: bytes, size: int, seq: int, ack: int, flags: int, sack: tuple[tuple[int, int], ...] = ()
    ) -> None:
        window = self._receiver.window if self._receiver else 65535
        (source, port), (remote, remote_port) = self._local, self._remote
        self.away(Packet(TCP, source, port, remote, remote_port, data, size, self.ttl, seq, ack, flags, window, sack))

    # -- time and end -----------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """After anything that may have moved a timer or ended the connection."""
        if self._sender.dead:
            self._fail("generic_timeout_error")
        self._plan()

    def _plan(self) -> None:
        due, receiver = self._sender.timer_at, self._receiver
        if self._syn_at < due:
            due = self._syn_at
        if receiver is not None and receiver.ack_at < due:
            due = receiver.ack_at
        if due < self._timer_planned:
            self._timer_planned = due
            self._clock.at(due, self._tick, due)

    def _tick(self, planned: float) -> None:
        if planned != self._timer_planned:
            return
        self._timer_planned = inf
        now = self._clock.now
        if self._state == "dead":
            return
        if self._syn_at <= now:
            if self._tries >= SYN_TRIES:
                self._fail("generic_timeout_error")
                return
            self._send_syn()
        if self._receiver is not None and self._receiver.ack_at <= now:
            self._acknowledge()
        if self._sender.timer_at <= now:
            self._sender.expire(now)
        self._settle()

    def _end(self, failure: str | None) -> None:
        if not self._told_end:
            self._told_end = True
            self._clock.at(self._clock.now, self._owner.ended, failure)

    def _fail(self, failure: str) -> None:
        if self._state == "syn-received":
            self._told_end = True  # the application never knew of it
        self._end(failure)
        self._die()

    def _die(self) -> None:
        self._state = "dead"
        self.over = True
        self._sender.timer_at = self._syn_at = inf


class Stack:
    """The connections of one address. accept: whom a SYN is for; None (or no `accept`): the port is closed."""

    def __init__(
        self,
        address: str,
        clock: Clock,
        rng: np.random.Generator,
        accept: Callable[[Packet], Owner | None] | None = None,
    ) -> None:
        self._address = address
        self._clock = clock
        self._rng = rng
        self._accept = accept
        self._connections: dict[tuple[int, str, int], Connection] = {}
        self._sequences: list[int] = []  # drawn beforehand: one by one they cost a tenth of a connection

    def connect(self, port: int, host: str, host_port: int, owner: Owner, away: Call, ttl: int) -> Connection:
        """Open a connection from local `port`; the owner hears `opened` or `ended`."""
        connection = Connection(
            self._clock, away, (self._address, port), (host, host_port), self._sequence(), owner, ttl
        )
        self._connections[port, host, host_port] = connection
        connection.connect()
        return connection

    def arrive(self, packet: Packet, away: Call | None = None) -> None:
        """away: where answers go, for packets that open a connection or belong to none."""
        key = (packet.dport, packet.src, packet.sport)
        connection = self._connections.get(key)
        if connection is not None and connection.over and packet.flags & (SYN | ACK) == SYN:
            connection = None  # the port pair is used again
        if connection is None and packet.flags & (SYN | ACK | RST) == SYN and self._accept and away:
            owner = self._accept(packet)
            if owner is not None:
                connection = Connection(
                    self._clock,
                    away,
                    (self._address, packet.dport),
                    (packet.src, packet.sport),
                    self._sequence(),
                    owner,
                    64,
                )
                owner.connection = self._connections[key] = connection
        if connection is not None and not connection.over:
            connection.arrive(packet)  # also after both ends closed: a repeated FIN is acknowledged, as in TIME-WAIT
            return
        answer = away if connection is None else connection.away
        if answer is not None and not packet.flags & RST:
            answer(self._refusal(packet))

    def refuse(self, error: Packet) -> None:
        """An ICMP error whose cause is one of our packets."""
        cause = error.quoted
        if cause is not None:
            connection = self._connections.get((cause.sport, cause.dst, cause.dport))
            if connection is not None and not connection.over:
                connection.refuse(error)

    def _sequence(self) -> int:
        if not self._sequences:
            self._sequences = self._rng.integers(1, 1 << 31, DRAWN).tolist()
        return self._sequences.pop()

    def _refusal(self, packet: Packet) -> Packet:
        """RST for a packet that belongs to no connection (RFC 9293 section 3.10.7.1)."""
        if packet.flags & ACK:
            seq, ack, flags = packet.ack, 0, RST
        else:
            length = len(packet.payload) + bool(packet.flags & SYN) + bool(packet.flags & FIN)
            seq, ack, flags = 0, packet.seq + length, RST | ACK
        return Packet(
            TCP, self._address, packet.dport, packet.src, packet.sport, b"", HEADERS - 12, 64, seq, ack, flags, 0
        )
