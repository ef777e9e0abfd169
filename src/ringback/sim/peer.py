"""The peer's machine: it listens on every port, UDP and TCP, and tries hosts itself as the vantage outside."""

from collections.abc import Callable

import numpy as np

from ringback.sim.ask import AskServer
from ringback.sim.clock import Call, Clock
from ringback.sim.net import SimNet
from ringback.sim.packet import ICMP, TCP, UDP, Packet
from ringback.sim.participant import DEFAULT_TTL, HEADERS, PORTS
from ringback.sim.side import Side
from ringback.sim.stream import EndStream
from ringback.sim.tcp import Owner, Stack
from ringback.trial.seam import (
    Close,
    Command,
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

DatagramFlow = tuple[int, str, int]
"""(local port, remote address, remote port)."""
CLOSED = "closed"
"""What stands for the name of a flow on which nothing is heard any more."""


class Peer:
    """The far end at work. `away` takes what leaves the peer's address; `arrive` takes what comes to it.

    A flow that came in is named (local port, remote address, remote port), an accepted stream -1, -2, ..., and a
    flow that the far end opened by its own number. A flow once closed stays so: what still arrives on it is ignored.
    """

    def __init__(
        self,
        net: SimNet,
        far: PeerEnd,
        clock: Clock,
        away: Call,
        rng: np.random.Generator,
        transcript: list[tuple[float, str, Command | Event]] | None,
    ) -> None:
        self._address = net.peer
        self._control_port = net.control_port
        self._end = far
        self._clock = clock
        self._away = away
        self._ports = rng.permutation(np.arange(*PORTS)).tolist()
        self._own: dict[Flow, DatagramFlow] = {}
        self._names: dict[DatagramFlow, Flow] = {}  # of those that have another name, and CLOSED
        self._streams: dict[Flow, EndStream] = {}
        self._accepted = 0
        self._tcp = Stack(net.peer, clock, rng, self._accept)
        table: dict[type, Callable[..., None]] = {Open: self._open, Write: self._write, Close: self._close}
        self._side = Side("far", far, clock, self._send, table, transcript)
        self._tell = self._side.tell
        self._note = self._side.note

    def start(self) -> None:
        self._side.start()

    def _open(self, command: Open) -> None:
        port = self._ports.pop()
        ttl = DEFAULT_TTL if command.ttl is None else command.ttl
        if command.transport == "udp":
            flow = (port, command.host, command.port)
            self._own[command.flow] = flow
            self._names[flow] = command.flow
        else:
            stream = EndStream(command.flow, self._tell, self._clock)
            self._streams[command.flow] = stream
            stream.connection = self._tcp.connect(port, command.host, command.port, stream, self._away, ttl)

    def _send(self, command: Send) -> None:
        flow = command.flow if type(command.flow) is tuple else self._own.get(command.flow)
        if flow is None or self._names.get(flow) is CLOSED:
            return
        port, remote, remote_port = flow
        data = command.data
        ttl = DEFAULT_TTL if command.ttl is None else command.ttl
        self._away(Packet(UDP, self._address, port, remote, remote_port, data, HEADERS + len(data), ttl))
        now = self._clock.now
        if not self._note(command.flow, command.index, now):  # nearly all are a call's, and make no more than a note
            self._tell(Sent(command.flow, command.index, now))

    def _write(self, command: Write) -> None:
        if (stream := self._streams.get(command.flow)) is not None:
            stream.write(command.data)

    def _close(self, command: Close) -> None:
        if (stream := self._streams.pop(command.flow, None)) is not None:
            stream.close(command.reset)
        elif (own := self._own.pop(command.flow, None)) is not None:
            self._names[own] = CLOSED
        elif type(command.flow) is tuple:
            self._names[command.flow] = CLOSED

    def _accept(self, packet: Packet) -> Owner:
        if packet.dport == self._control_port:
            return AskServer(self._end, packet.src, self._clock, self._side.plan)
        self._accepted -= 1
        stream = EndStream(self._accepted, self._tell, self._clock, packet.dport, packet.src)
        self._streams[self._accepted] = stream
        return stream

    def arrive(self, packet: Packet) -> None:
        if packet.proto == UDP:
            flow = (packet.dport, packet.src, packet.sport)
            name = self._names.get(flow, flow)
            if name is not CLOSED:
                self._tell(Received(name, packet.payload, self._clock.now))
        elif packet.proto == TCP:
            self._tcp.arrive(packet, self._away)
        elif packet.proto == ICMP and packet.quoted is not None:
            cause = packet.quoted
            if cause.proto == TCP:
                self._tcp.refuse(packet)
            else:
                flow = (cause.sport, cause.dst, cause.dport)
                name = self._names.get(flow, flow)
                if name is not CLOSED:
                    self._tell(Refused(name, self._clock.now, packet.sport, packet.dport, packet.src))
