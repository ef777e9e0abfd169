"""Emulated hosts outside on real sockets: every address answers as its `sim.host.Host` says."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Mapping, Sequence
from functools import partial
from time import monotonic

from ringback.lab.namespaces.processes import Report
from ringback.record import Transport
from ringback.sim.host import Host

READS = 64
DATAGRAM = 65535
MOST_RECEIVED = 1 << 20  # bytes kept of one connection; a client that says more than that is left


class Conversation(asyncio.Protocol):
    """One accepted connection with a host that keeps no state: it is shown everything received so far."""

    def __init__(self, host: Host, port: int) -> None:
        self._host = host
        self._port = port
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        reply = self._host.stream(self._port, self._received)
        if reply.send:
            self._transport.write(reply.send)
        if reply.close or len(self._received) > MOST_RECEIVED:
            self._transport.close()


def serve(hosts: Mapping[str, Host], ports: Mapping[Transport, Sequence[int]], ready: Report) -> None:
    """Listen at each address on those of the ports on which its host listens, and answer until the process is ended.

    On other ports the kernel refuses, as a real host's does: ICMP port unreachable, TCP reset.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(_serve(hosts, ports, ready))


async def _serve(hosts: Mapping[str, Host], ports: Mapping[Transport, Sequence[int]], ready: Report) -> None:
    loop = asyncio.get_running_loop()
    began = monotonic()
    for address, host in hosts.items():
        for port in ports.get("udp", ()):
            if host.listens("udp", port):
                sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                sock.setblocking(False)
                sock.bind((address, port))
                loop.add_reader(sock, _answer, sock, host, port, began)
        for port in ports.get("tcp", ()):
            if host.listens("tcp", port):
                await loop.create_server(partial(Conversation, host, port), address, port)
    ready(None)
    await asyncio.Event().wait()


def _answer(sock: socket.socket, host: Host, port: int, began: float) -> None:
    with contextlib.suppress(BlockingIOError):
        for _ in range(READS):
            data, source = sock.recvfrom(DATAGRAM)
            for reply in host.datagram(port, data, source, monotonic() - began):
                with contextlib.suppress(OSError):  # nobody there any more
                    sock.sendto(reply, source)
