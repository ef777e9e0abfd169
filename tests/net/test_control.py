"""The session's word to the peer over HTTP, against a small server by hand."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from ringback.errors import BadInput
from ringback.net.control import ControlClient, PeerRefused, parse_server
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
