"""The session's word to the peer, over HTTP: POST {url}/v1/control/{what}, bytes out and bytes back."""

import asyncio
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx
import msgspec

from ringback.errors import BadInput, RingbackError

TIMEOUT = httpx.Timeout(20.0, connect=8.0)
LONGEST_S = 120.0  # of a request and its whole answer, for one that comes byte by byte stays below every pause
MOST_BYTES = 8_000_000  # of an answer; a round's record has some 15 kB, and what answers may be no peer at all
MOST_DETAIL = 300  # characters of a peer's reason that are worth keeping
ANY = {"ipv4": "0.0.0.0", "ipv6": "::"}


class PeerRefused(RingbackError):
    """The peer understood and said no, with its reason (RFC 9457)."""


class NoPeer(RingbackError):
    """What answered there is none."""


class _Problem(msgspec.Struct):
    """RFC 9457, the members that are used."""

    title: str = ""
    detail: str = ""


def parse_server(url: str) -> tuple[str, int]:
    """(host, port) of a peer's URL. Raises BadInput for anything but http and https with a host."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadInput(f"no URL: {error}", url) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput("a server is http://HOST[:PORT] or https://HOST[:PORT]", url)
    return parts.hostname, port or {"http": 80, "https": 443}[parts.scheme]


class ControlClient:
    """An async context. Proxies of the environment are not used, and the address family is that of the measuring
    flows: the peer proves flows by the address that asks here.

    family: `ipv4` or `ipv6`. `refusal`: the last reason that the peer gave, or the HTTP status that came instead of
    one. `answered`: something spoke there, `explained`: and gave a reason as peers do. longest, most: seconds and bytes
    that an answer may take.
    """

    def __init__(self, url: str, family: str = "ipv4", longest: float = LONGEST_S, most: int = MOST_BYTES) -> None:
        transport = httpx.AsyncHTTPTransport(local_address=ANY[family], retries=1)
        self._url = url.rstrip("/")
        self._client = httpx.AsyncClient(transport=transport, timeout=TIMEOUT, trust_env=False)
        self._longest, self._most = longest, most
        self.refusal: str | None = None
        self.answered = self.explained = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def ask(self, what: str, body: bytes) -> bytes:
        """Raises PeerRefused, NoPeer, TimeoutError, or httpx.HTTPError with the system's error among its causes."""
        try:
            async with asyncio.timeout(self._longest):
                status, content = await self._post(what, body)
        except httpx.RemoteProtocolError as error:
            self.answered = self.answered or _is_no_http(error)
            raise
        if status != 200:
            problem = _problem(content)
            self.explained = bool(problem)
            self.refusal = (problem or f"HTTP status {status}")[:MOST_DETAIL]
            raise PeerRefused(self.refusal)
        return content

    async def _post(self, what: str, body: bytes) -> tuple[int, bytes]:
        """The answer's status and content, as much as a peer could mean."""
        headers = {"Content-Type": "application/msgpack", "Accept-Encoding": "identity"}
        async with self._client.stream(
            "POST", f"{self._url}/v1/control/{what}", content=body, headers=headers
        ) as answer:
            self.answered = True
            content = bytearray()
            async for part in answer.aiter_raw():
                content += part
                if len(content) > self._most:
                    raise NoPeer(f"an answer of more than {self._most} bytes")
            return answer.status_code, bytes(content)


def _is_no_http(error: httpx.RemoteProtocolError) -> bool:
    """Whether something came that is no HTTP. httpx has one class for that and for an end before any answer, and its
    words may repeat what came; but only what came makes HTTP's parser fail, whose error httpcore's then arose from."""
    beneath = error.__cause__
    return beneath is not None and beneath.__context__ is not None


def _problem(content: bytes) -> str:
    try:
        problem = msgspec.json.decode(content, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    return problem.detail or problem.title
