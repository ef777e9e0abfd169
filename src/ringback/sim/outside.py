"""The hosts outside: each answers datagrams, streams and closed ports as its `Host` says."""

from functools import cache, partial

import numpy as np

from ringback.sim.clock import Call, Clock
from ringback.sim.host import Host
from ringback.sim.packet import TCP, UDP, Packet
from ringback.sim.participant import HEADERS
from ringback.sim.tcp import Connection, Owner, Stack
from ringback.sim.way import icmp_error

DESTINATION_UNREACHABLE, PORT = 3, 3  # RFC 792


class HostStream:
    """A stream that a `Host` answers on."""

    def __init__(self, host: Host, port: int) -> None:
        self._host = host
        self._port = port
        self._received = bytearray()
        self.connection: Connection | None = None

    def opened(self, _: object = None) -> None:
        pass

    def delivered(self, data: bytes) -> None:
        self._received += data
        reply = self._host.stream(self._port, bytes(self._received))
        assert self.connection is not None
        if reply.send:
            self.connection.write(reply.send)
        if reply.close:
            self.connection.close()

    def refused(self, error: Packet) -> None:
        pass

    def ended(self, failure: str | None) -> None:
        if failure is None and self.connection is not None:
            self.connection.close()


class Outside:
    """One host at its address; `away` takes its packets."""

    def __init__(self, address: str, host: Host, clock: Clock, away: Call, rng: np.random.Generator) -> None:
        self._address = address
        self._host = host
        self._clock = clock
        self._away = away
        self._tcp = Stack(address, clock, rng, self._accept)
        self._listens = cache(partial(host.listens, "udp"))  # a host opens and closes no ports

    def _accept(self, packet: Packet) -> Owner | None:
        if not self._host.listens("tcp", packet.dport):
            return None
        return HostStream(self._host, packet.dport)

    def arrive(self, packet: Packet) -> None:
        if packet.proto == TCP:
            self._tcp.arrive(packet, self._away)
        elif packet.proto == UDP:
            port = packet.dport
            if not self._listens(port):
                self._away(icmp_error(self._address, DESTINATION_UNREACHABLE, PORT, packet))
                return
            source = (packet.src, packet.sport)
            for data in self._host.datagram(port, packet.payload, source, self._clock.now):
                self._away(Packet(UDP, self._address, port, *source, data, HEADERS + len(data)))
