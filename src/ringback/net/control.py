"""The session's word to the peer, over HTTP: POST {url}/v1/control/{what}, bytes out and bytes back."""

from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx
import msgspec

from ringback.errors import BadInput, RingbackError

TIMEOUT = httpx.Timeout(20.0, connect=8.0)
MOST_DETAIL = 300  # characters of a peer's reason that are worth keeping
ANY = {"ipv4": "0.0.0.0", "ipv6": "::"}


class PeerRefused(RingbackError):
    """The peer understood and said no, with its reason (RFC 9457)."""


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

    family: `ipv4` or `ipv6`. `refusal`: the last reason that the peer gave.
    """

    def __init__(self, url: str, family: str = "ipv4") -> None:
        transport = httpx.AsyncHTTPTransport(local_address=ANY[family], retries=1)
        self._url = url.rstrip("/")
        self._client = httpx.AsyncClient(transport=transport, timeout=TIMEOUT, trust_env=False)
        self.refusal: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def ask(self, what: str, body: bytes) -> bytes:
        """Raises PeerRefused, or httpx.HTTPError with the system's error among its causes."""
        answer = await self._client.post(
            f"{self._url}/v1/control/{what}", content=body, headers={"Content-Type": "application/msgpack"}
        )
        if answer.status_code != 200:
            self.refusal = _reason(answer)
            raise PeerRefused(self.refusal)
        return answer.content


def _reason(answer: httpx.Response) -> str:
    try:
        problem = msgspec.json.decode(answer.content, type=_Problem)
    except msgspec.MsgspecError:
        problem = _Problem()
    return (problem.detail or problem.title or f"HTTP status {answer.status_code}")[:MOST_DETAIL]
