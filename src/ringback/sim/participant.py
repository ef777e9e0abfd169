"""The participant's machine: its sockets, and the near end of the session that uses them."""

from collections.abc import Callable, Mapping

import numpy as np

from ringback.errors import BadInput
from ringback.sim.ask import AskClient
from ringback.sim.clock import Call, Clock
from ringback.sim.net import SimNet
from ringback.sim.packet import ICMP, IPV4_HEADER, TCP, UDP, UDP_HEADER, Packet
from ringback.sim.side import Side
from ringback.sim.stream import EndStream
from ringback.sim.tcp import Stack
from ringback.trial.seam import Ask, Close, Command, End, Event, Open, Received, Refused, Send, Sent, Write

PORTS = (20_000, 60_000)  # local ports are drawn from here, each once
DEFAULT_TTL = 64
HEADERS = IPV4_HEADER + UDP_HEADER


class _Socket:
    """A connected UDP socket: only its remote's datagrams reach it."""

    __slots__ = ("away", "flow", "host", "port", "remote_port", "ttl")

    def __init__(self, flow: int, port: int, host: str, remote_port: int, ttl: int, away: Call) -> None:
        self.flow = flow
        self.port = port
        self.host = host
        self.remote_port = remote_port
        self.ttl = ttl
        self.away = away


class Participant:
    """`exits`: by path, where packets go that leave on it. `arrive` takes every packet that comes to this address."""

    def __init__(
        self,
        net: SimNet,
        near: End,
        clock: Clock,
        exits: Mapping[str, Call],
        rng: np.random.Generator,
        transcript: list[tuple[float, str, Command | Event]] | None,
    ) -> None:
        self._net = net
        self._address = net.participant
        self._clock = clock
        self._exits = exits
        self._rng = rng
        self._ports = rng.permutation(np.arange(*PORTS)).tolist()
        self._sockets: dict[int, _Socket] = {}
        self._by_port: dict[int, _Socket] = {}
        self._streams: dict[int, EndStream] = {}
        self._tcp = Stack(net.participant, clock, rng)
        table: dict[type, Callable[..., None]] = {
            Open: self._open,
            Write: self._write,
            Close: self._close,
            Ask: self._ask,
        }
        self._side = Side("near", near, clock, self._send, table, transcript, decides=True)
        self._tell = self._side.tell
        self._note = self._side.note

    def start(self) -> None:
        self._side.start()

    def _open(self, command: Open) -> None:
        away = self._exits.get(command.path)
        if away is None:
            raise BadInput(f"no path named {command.path}", f"flow {command.flow}")
        port = self._ports.pop()
        ttl = DEFAULT_TTL if command.ttl is None else command.ttl
        if command.transport == "udp":
            socket = _Socket(command.flow, port, command.host, command.port, ttl, away)
            self._sockets[command.flow] = self._by_port[port] = socket
        else:
            stream = EndStream(command.flow, self._tell, self._clock)
            self._streams[command.flow] = stream
            stream.connection = self._tcp.connect(port, command.host, command.port, stream, away, ttl)

    def _send(self, command: Send) -> None:
        socket = self._sockets.get(command.flow)  # type: ignore[call-overload]
        if socket is None:
            return  # closed since
        data = command.data
        ttl = socket.ttl if command.ttl is None else command.ttl
        socket.away(
            Packet(UDP, self._address, socket.port, socket.host, socket.remote_port, data, HEADERS + len(data), ttl)
        )
        now = self._clock.now
        if not self._note(command.flow, command.index, now):  # nearly all are a call's, and make no more than a note
            self._tell(Sent(command.flow, command.index, now))

    def _write(self, command: Write) -> None:
        if (stream := self._streams.get(command.flow)) is not None:  # type: ignore[call-overload]
            stream.write(command.data, command.ttl)

    def _close(self, command: Close) -> None:
        if (socket := self._sockets.pop(command.flow, None)) is not None:  # type: ignore[call-overload]
            del self._by_port[socket.port]
        elif (stream := self._streams.pop(command.flow, None)) is not None:  # type: ignore[call-overload]
            stream.close(command.reset)

    def _ask(self, command: Ask) -> None:
        client = AskClient(command, self._tell, self._clock, self._rng)
        away = self._exits[self._net.direct]
        port = self._ports.pop()
        client.connection = self._tcp.connect(port, self._net.peer, self._net.control_port, client, away, DEFAULT_TTL)

    def arrive(self, packet: Packet) -> None:
        if packet.proto == UDP:
            socket = self._by_port.get(packet.dport)
            if socket is not None and packet.src == socket.host and packet.sport == socket.remote_port:
                self._tell(Received(socket.flow, packet.payload, self._clock.now))
        elif packet.proto == TCP:
            self._tcp.arrive(packet)
        elif packet.proto == ICMP and packet.quoted is not None:
            cause = packet.quoted
            if cause.proto == TCP:
                self._tcp.refuse(packet)
            elif (socket := self._by_port.get(cause.sport)) is not None:
                self._tell(Refused(socket.flow, self._clock.now, packet.sport, packet.dport, packet.src))
