"""A SOCKS5 proxy just big enough to test a client against: no authentication, CONNECT and UDP ASSOCIATE, IPv4 only."""

import asyncio
import socket
import struct


class Proxy:
    def __init__(self, refuse: int = 0) -> None:
        self.refuse = refuse  # reply code that every request gets instead
        self.seen: list[str] = []

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(3) == b"\x05\x01\x00"
        writer.write(b"\x05\x00")
        _, command, _, kind = await reader.readexactly(4)
        assert kind == 1
        host = socket.inet_ntoa(await reader.readexactly(4))
        (port,) = struct.unpack("!H", await reader.readexactly(2))
        if self.refuse:
            writer.write(bytes([5, self.refuse, 0, 1]) + bytes(6))
            return
        if command == 1:
            self.seen.append(f"tcp {host}:{port}")
            there, out = await asyncio.open_connection(host, port)
            writer.write(b"\x05\x00\x00\x01" + bytes(6))
            await asyncio.gather(self._copy(reader, out), self._copy(there, writer))
            return
        relay, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Relay(self.seen), local_addr=("127.0.0.1", 0)
        )
        writer.write(b"\x05\x00\x00\x01" + bytes(4) + struct.pack("!H", relay.get_extra_info("sockname")[1]))
        await reader.read()
        relay.close()

    @staticmethod
    async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
        target.close()


class Relay(asyncio.DatagramProtocol):
    def __init__(self, seen: list[str]) -> None:
        self.seen = seen
        self.client: tuple[str, int] | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        if self.client is None or source == self.client:
            self.client = source
            host, (port,) = socket.inet_ntoa(data[4:8]), struct.unpack("!H", data[8:10])
            self.seen.append(f"udp {host}:{port}")
            self.transport.sendto(data[10:], (host, port))
        else:
            header = b"\0\0\0\x01" + socket.inet_aton(source[0]) + struct.pack("!H", source[1])
            self.transport.sendto(header + data, self.client)
