"""Answers packed for those who can unpack them.

Pages, API, style and icon hold nothing that is secret, no session and no token, so that nothing can be guessed from how
long a packed answer is (as in Gluck, Harris, Prado, "BREACH", 2013). A peer's own answers, which the same server
gives, do not come through here. A thread packs: the loop may be carrying a measurement's packets.
"""

import asyncio
import gzip
from typing import cast

import pyarrow as pa
from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.middleware.base import ASGIMiddleware
from litestar.types import ASGIApp, HTTPResponseStartEvent, Message, Receive, Scope, Send

LEAST = 1000  # bytes worth packing
CODINGS = ("br", "gzip")
"""Those that there are, the best first."""
_BROTLI = pa.Codec("brotli", compression_level=5) if pa.Codec.is_available("brotli") else None
_GZIP_LEVEL = 6


def chosen(accepted: str) -> str | None:
    """The coding for an Accept-Encoding header (RFC 9110, 12.5.3); None for an answer as it is."""
    weights: dict[str, float] = {}
    for each in accepted.lower().split(","):
        name, _, more = each.partition(";")
        weights[name.strip()] = _weight(more)
    able = [name for name in CODINGS if name != "br" or _BROTLI is not None]
    best = max(able, key=lambda name: weights.get(name, weights.get("*", 0.0)))
    return best if weights.get(best, weights.get("*", 0.0)) > 0 else None


def _weight(parameters: str) -> float:
    name, _, value = parameters.replace(" ", "").partition("=")
    try:
        return float(value) if name == "q" else 1.0
    except ValueError:
        return 0.0


def packed(body: bytes, coding: str) -> bytes:
    if coding == "br" and _BROTLI is not None:
        return cast(bytes, _BROTLI.compress(body, asbytes=True))
    return gzip.compress(body, _GZIP_LEVEL, mtime=0)


class Packing(ASGIMiddleware):
    """Packs what its handlers answer in one piece. An answer to HEAD has the headers, and no content."""

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        coding = chosen(Headers.from_scope(scope).get("accept-encoding", ""))
        start: HTTPResponseStartEvent | None = None

        async def through(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if start is not None and message["type"] == "http.response.body":
                headers, body = MutableScopeHeaders(start), message["body"]
                headers["Vary"] = "Accept-Encoding"  # of the plain one too: caches must not give it to all
                if coding and not message.get("more_body") and len(body) >= LEAST and "content-encoding" not in headers:
                    message["body"] = await asyncio.to_thread(packed, body, coding)
                    headers["Content-Encoding"] = coding
                    headers["Content-Length"] = str(len(message["body"]))
                if scope.get("method") == "HEAD":
                    message["body"] = b""
                await send(start)
                start = None
            await send(message)

        await next_app(scope, receive, through)
