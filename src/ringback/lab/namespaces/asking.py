"""Requests to the lab's peer over real TCP, as the simulator's look on the wire: one masked request a connection."""

import asyncio
import os
from collections.abc import Awaitable, Callable

from ringback.errors import BadInput, RingbackError
from ringback.sim.ask import MET, NONCE, REFUSED, TIMEOUT_S, framed, unframed

Answering = Callable[[str, bytes, str], bytes]
"""(what, body, source address) -> answer; raises BadInput."""

CHUNK = 1 << 16


async def _read(reader: asyncio.StreamReader) -> bytes:
    received = b""
    while (body := unframed(received)) is None:
        data = await reader.read(CHUNK)
        if not data:
            raise EOFError("closed in the middle")
        received += data
    return body


async def answering(host: str, port: int, answer: Answering) -> asyncio.Server:
    """Serve requests. Raises OSError where the port can't be had."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader)
            end = 1 + request[0]
            source: str = writer.get_extra_info("peername")[0]
            try:
                said = MET + answer(request[1:end].decode(), request[end:], source)
            except BadInput as error:
                said = REFUSED + str(error).encode()
            writer.write(framed(said, os.urandom(NONCE)))
            await writer.drain()
        except (EOFError, OSError):  # a connection that the operator cut, say
            pass
        finally:
            writer.close()

    return await asyncio.start_server(serve, host, port)


def asking(host: str, port: int) -> Callable[[str, bytes], Awaitable[bytes]]:
    """The other half, for `net.drive`. Raises OSError, EOFError, TimeoutError, and RingbackError for a refusal."""

    async def ask(what: str, body: bytes) -> bytes:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(framed(bytes([len(what)]) + what.encode() + body, os.urandom(NONCE)))
                said = await _read(reader)
            finally:
                writer.close()
        if said[:1] != MET:
            raise RingbackError(said[1:].decode("utf-8", "replace"))
        return said[1:]

    return ask
