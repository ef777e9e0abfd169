"""The peer's HTTP: requests of a session's near end, and a word about the peer itself. Errors as RFC 9457."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from time import monotonic
from typing import Any

import msgspec
from litestar import HttpMethod, Litestar, Request, Response, Router, get, post
from litestar.exceptions import ClientException, HTTPException, InternalServerException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from ringback import __version__
from ringback.errors import BadInput
from ringback.peer import limits

MOST_BYTES = 4_000_000  # of one request: a session's replays
BODY_S = 15.0  # seconds that a request's body may take to come
PROBLEM = "application/problem+json"

Answering = Callable[[str, bytes, str], Awaitable[bytes]]
"""(what, body, source address) -> answer; raises BadInput."""
Refusing = Callable[[Request[Any, Any, Any], HTTPException], Response[Any]]
"""What is told who asks for what is nowhere, or in a way that nothing takes."""

log = logging.getLogger("ringback.peer")


def problem(status: HTTPStatus, detail: str, **headers: str) -> Response[bytes]:
    body = msgspec.json.encode(
        {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    )
    return Response(body, status_code=status.value, media_type=PROBLEM, headers=headers)


def refused(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """As RFC 9457 has it."""
    return problem(HTTPStatus(error.status_code), error.detail, **allowed(error))


def allowed(error: HTTPException) -> dict[str, str]:
    """Of an error's headers the one that says which methods there are, in one order."""
    found = {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"}
    return {name: ", ".join(sorted(value.split(", "))) for name, value in found.items()}


def _failed(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.error("a request to %s failed", request.url.path, exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the fault is this server's")


class Unread(Exception):
    """A request whose body can't be had."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


async def whole_body(request: Request[Any, Any, Any], within: float) -> bytes:
    """Raises Unread where the body is too long, or does not come whole or within so many seconds."""
    try:
        async with asyncio.timeout(within):
            return await request.body()
    except TimeoutError as error:
        raise Unread(HTTPStatus.REQUEST_TIMEOUT, f"no whole request within {within:.0f} s") from error
    except ClientException as error:
        raise Unread(HTTPStatus(error.status_code), error.detail) from error
    except InternalServerException as error:  # so litestar calls a client that went away, or whose chunks are none
        raise Unread(HTTPStatus.BAD_REQUEST, "the request ends before its body is whole") from error


def application(
    answer: Answering,
    about: dict[str, object],
    beside: Sequence[BaseRouteHandler | Router] = (),
    refusing: Refusing = refused,
) -> Litestar:
    """The peer's handlers and others `beside` them, in one application. about: see `routes`."""
    return mounted([*routes(answer, about), *beside], refusing)


def mounted(handlers: Sequence[BaseRouteHandler | Router], refusing: Refusing = refused) -> Litestar:
    """An application that refuses as RFC 9457 has it, whatever it serves, or as `refusing` does."""
    return Litestar(
        list(handlers),
        request_max_body_size=MOST_BYTES,
        exception_handlers={HTTPException: refusing, Exception: _failed},
        openapi_config=OpenAPIConfig("Ringback", __version__, render_plugins=[JsonRenderPlugin()]),
        logging_config=None,
    )


def read_in_every_way(handlers: Sequence[HTTPRouteHandler]) -> list[BaseRouteHandler]:
    """These, and of each that answers GET the same for HEAD, which every server has beside it (RFC 9110, 9.1): link
    checkers and monitors ask by it. And OPTIONS with all three: the framework's own answer knows of the first alone.

    What HEAD answers has its content still, so that the headers are those of GET; the server sends none of it."""
    read = [handler for handler in handlers if HttpMethod.GET in handler.http_methods]
    return [
        *map(_for_options, read),
        *map(_for_head, read),
        *handlers,
    ]  # in this order, or the framework's own comes in


def _for_head(handler: HTTPRouteHandler) -> HTTPRouteHandler:
    again = HTTPRouteHandler(
        list(handler.paths),
        http_method=HttpMethod.HEAD,
        guards=handler.guards,
        include_in_schema=False,
        sync_to_thread=handler.sync_to_thread,
    )
    return again(handler.fn)


def _for_options(handler: HTTPRouteHandler) -> HTTPRouteHandler:
    def options() -> Response[None]:
        return Response(None, status_code=HTTPStatus.NO_CONTENT.value, headers={"Allow": "GET, HEAD, OPTIONS"})

    own = HTTPRouteHandler(
        list(handler.paths), http_method=HttpMethod.OPTIONS, include_in_schema=False, sync_to_thread=False
    )
    return own(options)


def routes(answer: Answering, about: dict[str, object]) -> list[BaseRouteHandler]:
    """`about` is what GET /v1/peer says beside the software's name: ports, key."""
    requests = limits.Buckets(limits.REQUESTS_PER_S, limits.REQUESTS_BURST)
    sessions = limits.Buckets(limits.SESSIONS_PER_S, limits.SESSIONS_BURST)

    @post("/v1/control/{what:str}", media_type="application/octet-stream", status_code=200)
    async def control(request: Request[Any, Any, Any]) -> Response[bytes]:
        """One request of a session, as `ringback.trial.control` describes it (msgpack both ways)."""
        what: str = request.path_params["what"]
        source = request.client.host if request.client else ""
        now = monotonic()
        if not requests.allow(source, now):
            return problem(HTTPStatus.TOO_MANY_REQUESTS, "this address asks too often", **{"Retry-After": "5"})
        if what == "open" and not sessions.allow(source, now):
            return problem(HTTPStatus.TOO_MANY_REQUESTS, "too many sessions from here", **{"Retry-After": "30"})
        try:
            body = await whole_body(request, BODY_S)
        except Unread as error:
            return problem(error.status, error.detail)
        try:
            return Response(await answer(what, body, source), media_type="application/octet-stream")
        except BadInput as error:
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))

    @get("/v1/peer", sync_to_thread=False)
    def peer() -> dict[str, object]:
        """Version, ports (wanted one to the one had), and the Ed25519 key of transcripts, in hexadecimal."""
        return {"software": "ringback", "version": __version__, **about}

    return read_in_every_way([control, peer])
