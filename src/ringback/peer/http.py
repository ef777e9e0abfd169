"""The peer's HTTP: requests of a session's near end, and a word about the peer itself. Errors as RFC 9457."""

import json
from collections.abc import Callable
from time import monotonic
from typing import Any

from litestar import Litestar, Request, Response, get, post
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig

from ringback import __version__
from ringback.errors import BadInput
from ringback.peer.limits import Requests

MOST_BYTES = 4_000_000  # of one request: a session's replays
PROBLEM = "application/problem+json"

Answering = Callable[[str, bytes, str], bytes]
"""(what, body, source address) -> answer; raises BadInput."""


def problem(status: int, title: str, detail: str, **headers: str) -> Response[bytes]:
    body = json.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail}).encode()
    return Response(body, status_code=status, media_type=PROBLEM, headers=headers)


def _failed(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    return problem(error.status_code, "Request refused", error.detail)


def application(answer: Answering, about: dict[str, object]) -> Litestar:
    """`about` is what GET /v1/peer says: version, ports, key."""
    limits = Requests()

    @post("/v1/control/{what:str}", media_type="application/octet-stream", status_code=200, sync_to_thread=False)
    def control(what: str, request: Request[Any, Any, Any], body: bytes) -> Response[bytes]:
        source = request.client.host if request.client else ""
        if not limits.allow(source, monotonic()):
            return problem(429, "Too many requests", "this address asks too often", **{"Retry-After": "5"})
        try:
            return Response(answer(what, body, source), media_type="application/octet-stream")
        except BadInput as error:
            return problem(422, "Request refused", str(error))

    @get("/v1/peer", sync_to_thread=False)
    def peer() -> dict[str, object]:
        return {"software": f"ringback/{__version__}", **about}

    return Litestar(
        [control, peer],
        request_max_body_size=MOST_BYTES,
        exception_handlers={HTTPException: _failed},
        openapi_config=OpenAPIConfig("Ringback peer", __version__),
        logging_config=None,
    )
