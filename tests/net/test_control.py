"""The session's word to the peer over HTTP, against a small server by hand."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from ringback.errors import BadInput
from ringback.net.control import ControlClient, NoPeer, PeerRefused, parse_server
from ringback.net.failures import failure_of


@asynccontextmanager
async def answering(status: int, body: bytes, seen: list[bytes]) -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        seen.append(head + await reader.readexactly(length))
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_bytes_go_out_and_come_back() -> None:
    seen: list[bytes] = []
    async with answering(200, b"\x81granted", seen) as url, ControlClient(url) as client:
        assert await client.ask("open", b"\x80asked") == b"\x81granted"
    assert seen[0].startswith(b"POST /v1/control/open HTTP/1.1\r\n")
    assert b"application/msgpack" in seen[0]
    assert seen[0].endswith(b"\r\n\r\n\x80asked")


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (422, b'{"type":"about:blank","title":"No","status":422,"detail":"this peer is full"}', "this peer is full"),
        (429, b'{"title":"Too many requests"}', "Too many requests"),
        (502, b"<html>bad gateway</html>", "HTTP status 502"),
        (302, b"", "HTTP status 302"),
    ],
)
async def test_a_refusal_is_an_error_with_the_peers_reason(status: int, body: bytes, reason: str) -> None:
    async with answering(status, body, []) as url, ControlClient(url) as client:
        with pytest.raises(PeerRefused, match=reason):
            await client.ask("open", b"")
        assert client.refusal == reason
        assert client.explained is body.startswith(b"{")


@asynccontextmanager
async def saying(first: bytes, then: bytes) -> AsyncIterator[str]:
    """Something that sends `first`, and `then` again and again for as long as it is listened to."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(first)
            while then:
                writer.write(then)
                await writer.drain()
                await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()


async def test_an_answer_without_end_is_none() -> None:
    async with (
        saying(b"HTTP/1.1 200 OK\r\n\r\n", bytes(65536)) as url,
        ControlClient(url, most=1_000_000) as client,
    ):
        with pytest.raises(NoPeer, match="more than 1000000 bytes"):
            await client.ask("open", b"")
        assert client.answered
        assert not client.explained


async def test_an_answer_that_does_not_come_to_its_end_is_waited_for_so_long_and_not_longer() -> None:
    async with (
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", b"x") as url,
        ControlClient(url, longest=0.05) as client,
    ):
        with pytest.raises(TimeoutError):
            await client.ask("open", b"")
        assert client.answered


@pytest.mark.parametrize(
    ("first", "answered"),
    [(b"220 mail.example ESMTP\r\n\r\n", True), (b"421 you are disconnected\r\n\r\n", True), (b"", False)],
)
async def test_what_speaks_another_protocol_has_answered_and_what_hangs_up_has_not(
    first: bytes, answered: bool
) -> None:
    async with saying(first, b"") as url, ControlClient(url) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.ask("open", b"")
        assert client.answered is answered


async def test_nobody_listening_is_a_failure_by_its_name() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with ControlClient(f"http://127.0.0.1:{taken.getsockname()[1]}") as client:
            with pytest.raises(httpx.HTTPError) as failed:
                await client.ask("open", b"")
    assert failure_of(failed.value) == "connection_refused"


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with answering(200, b"direct", []) as url, ControlClient(url) as client:
        assert await client.ask("open", b"") == b"direct"


@pytest.mark.parametrize(
    ("url", "host_and_port"),
    [
        ("http://192.0.2.1:8080", ("192.0.2.1", 8080)),
        ("https://peer.example", ("peer.example", 443)),
        ("http://[2001:db8::1]/x", ("2001:db8::1", 80)),
    ],
)
def test_a_server_is_host_and_port(url: str, host_and_port: tuple[str, int]) -> None:
    assert parse_server(url) == host_and_port


@pytest.mark.parametrize("url", ["", "peer.example", "http://", "ws://peer.example", "http://[::1", "http://h:port"])
def test_what_is_no_server_is_refused(url: str) -> None:
    with pytest.raises(BadInput):
        parse_server(url)
