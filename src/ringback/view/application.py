"""The pages and the API as one application. Every answer forbids browsers to ask anybody else for anything."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from litestar import HttpMethod, Litestar, MediaType, Request, Response, Router, get
from litestar.exceptions import HTTPException, NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from ringback import __version__
from ringback.errors import BadInput, Damaged
from ringback.peer.http import problem
from ringback.view import api
from ringback.view.address import START, parsed
from ringback.view.packing import Packing
from ringback.view.pages import Pages
from ringback.words import LANGUAGES, Language

STATIC = {"style.css": "text/css", "icon.svg": "image/svg+xml"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
MOST_DIGITS = 10  # of an ASN

log = logging.getLogger("ringback.view")


def preferred(accepted: str) -> Language:
    """The first of our languages in an Accept-Language header, in the order written; else English."""
    for each in accepted.lower().split(","):
        for language in LANGUAGES:
            if each.strip().partition(";")[0].partition("-")[0] == language:
                return language
    return "en"


def _language(path: str) -> Language:
    return next((each for each in LANGUAGES if path.startswith(f"/{each}/")), "en")


def _asked(request: Request[Any, Any, Any]) -> str:
    """The path as the browser has it, from which it follows links: what was routed has lost its last slash, and has a
    slash where the address has `%2F`."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return raw.decode("latin-1").partition("?")[0]


def handlers(pages: Pages) -> list[HTTPRouteHandler]:
    """Pages and API."""

    def found(page: str | None) -> Response[str]:
        if page is None:
            raise NotFoundException
        return Response(page, media_type=MediaType.HTML)

    @get("/", sync_to_thread=False, include_in_schema=False)
    def root(request: Request[Any, Any, Any]) -> Redirect:
        return Redirect(f"/{preferred(request.headers.get('accept-language', ''))}/")

    @get("/static/{name:str}", sync_to_thread=False, include_in_schema=False)
    def static(name: FromPath[str]) -> Response[bytes]:
        if name not in STATIC:
            raise NotFoundException
        content = (files("ringback.view") / "static" / name).read_bytes()
        return Response(content, media_type=STATIC[name], headers={"Cache-Control": "max-age=3600"})

    described: list[dict[str, Any]] = []

    @get("/api/v1/openapi.json", sync_to_thread=False, include_in_schema=False)
    def openapi() -> dict[str, Any]:
        if not described:
            described.append(schema(pages))
        return described[0]

    made: list[HTTPRouteHandler] = [root, static, openapi]
    for language in LANGUAGES:
        made += _of(pages, language, found)
    made += api.handlers(pages)
    return [*made, *map(_asked_without_content, made)]


def _asked_without_content(handler: HTTPRouteHandler) -> HTTPRouteHandler:
    """The same for HEAD, which every server has beside GET (RFC 9110, 9.1): link checkers and monitors ask by it. What
    it answers loses its content when it has been packed, so that the headers are those of GET."""
    again = HTTPRouteHandler(
        list(handler.paths),
        http_method=HttpMethod.HEAD,
        guards=handler.guards,
        include_in_schema=False,
        sync_to_thread=handler.sync_to_thread,
    )
    return again(handler.fn)


def _of(pages: Pages, language: Language, found: Callable[[str | None], Response[str]]) -> list[HTTPRouteHandler]:
    hidden: dict[str, Any] = {"sync_to_thread": True, "include_in_schema": False}

    @get(f"/{language}/", name=f"overview-{language}", **hidden)
    def overview(since: FromQuery[str | None] = None, until: FromQuery[str | None] = None) -> Response[str]:
        return found(pages.overview(language, parsed(START.app, START.function, START.path, since, until)))

    @get(f"/{language}/of/{{app:str}}/{{function:str}}/{{path:str}}/", name=f"of-{language}", **hidden)
    def chosen(
        app: FromPath[str],
        function: FromPath[str],
        request: Request[Any, Any, Any],
        since: FromQuery[str | None] = None,
        until: FromQuery[str | None] = None,
    ) -> Response[str]:
        view = parsed(app, function, request.path_params["path"], since, until)
        return found(pages.overview(language, view))

    @get(f"/{language}/{{part:str}}/", name=f"whole-{language}", **hidden)
    def whole(
        part: FromPath[str], since: FromQuery[str | None] = None, until: FromQuery[str | None] = None
    ) -> Response[str]:
        view = parsed(START.app, START.function, START.path, since, until)
        return found(pages.whole(language, part, view))

    @get(
        f"/{language}/of/{{app:str}}/{{function:str}}/{{path:str}}/{{part:str}}/", name=f"whole-of-{language}", **hidden
    )
    def whole_of(
        app: FromPath[str],
        function: FromPath[str],
        part: FromPath[str],
        request: Request[Any, Any, Any],
        since: FromQuery[str | None] = None,
        until: FromQuery[str | None] = None,
    ) -> Response[str]:
        view = parsed(app, function, request.path_params["path"], since, until)
        return found(pages.whole(language, part, view))

    @get(f"/{language}/network/{{asn:str}}/{{app:str}}/{{function:str}}/", name=f"days-{language}", **hidden)
    def days(asn: FromPath[str], app: FromPath[str], function: FromPath[str]) -> Response[str]:
        return found(pages.network_days(language, _number(asn), parsed(app, function, START.path)))

    @get(f"/{language}/network/{{asn:str}}/", name=f"network-{language}", **hidden)
    def network(
        asn: FromPath[str], since: FromQuery[str | None] = None, until: FromQuery[str | None] = None
    ) -> Response[str]:
        view = parsed(START.app, START.function, START.path, since, until)
        return found(pages.network(language, _number(asn), view))

    @get(f"/{language}/event/{{id:str}}/", name=f"event-{language}", **hidden)
    def event(id: FromPath[str]) -> Response[str]:
        return found(pages.event(language, id))

    @get(f"/{language}/measurement/{{report:str}}/{{number:int}}/", name=f"measurement-{language}", **hidden)
    def measurement(report: FromPath[str], number: FromPath[int]) -> Response[str]:
        return found(pages.measurement(language, report, number))

    @get(f"/{language}/claims/", name=f"claims-{language}", **hidden)
    def claims() -> Response[str]:
        return found(pages.claims(language))

    @get(f"/{language}/method/", name=f"method-{language}", **hidden)
    def method() -> Response[str]:
        return found(pages.method(language))

    return [overview, chosen, whole, whole_of, network, days, event, measurement, claims, method]


def _number(asn: str) -> int:
    """Raises NotFoundException for what is no AS number."""
    if not (asn.isascii() and asn.isdigit() and len(asn) <= MOST_DIGITS):
        raise NotFoundException
    return int(asn)


def router(pages: Pages) -> Router:
    """To mount beside other handlers of the same server."""

    def told(request: Request[Any, Any, Any], status: HTTPStatus, detail: str, key: str, **said: str) -> Response[Any]:
        """A page for a reader, a problem for a program."""
        path = _asked(request)
        if path.startswith("/api/"):
            return problem(status, detail)
        language = _language(path)
        page = pages.problem(language, path, pages.saying(language).say(key, **said))
        return Response(page, status_code=status.value, media_type=MediaType.HTML)

    def refused(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
        status = HTTPStatus(error.status_code)
        if status is HTTPStatus.NOT_FOUND:
            return told(request, status, error.detail, "page.notfound")
        return told(request, status, error.detail, "page.refused", what=error.detail)

    def bad(request: Request[Any, Any, Any], error: BadInput) -> Response[Any]:
        return told(request, HTTPStatus.BAD_REQUEST, str(error), "page.refused", what=str(error))

    def failed(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        log.error("a request to %s failed", request.url.path, exc_info=error)
        return told(request, HTTPStatus.INTERNAL_SERVER_ERROR, "the fault is this observatory's", "page.failed")

    def guarded(response: Response[Any]) -> Response[Any]:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return Router(
        "/",
        route_handlers=handlers(pages),
        after_request=guarded,
        middleware=[Packing()],
        exception_handlers={HTTPException: refused, BadInput: bad, Damaged: failed, Exception: failed},
    )


def schema(pages: Pages) -> dict[str, Any]:
    """OpenAPI of `/api/v1`."""
    described = Litestar(
        api.handlers(pages),
        openapi_config=OpenAPIConfig("Ringback observatory", __version__, render_plugins=[JsonRenderPlugin()]),
        logging_config=None,
    )
    return described.openapi_schema.to_schema()


def application(pages: Pages) -> Litestar:
    """The observatory by itself."""

    def nowhere(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
        path, status = _asked(request), HTTPStatus(error.status_code)
        allowed = {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"}
        if path.startswith("/api/"):
            return problem(status, error.detail, **allowed)
        language = _language(path)
        page = pages.problem(language, path, pages.saying(language).say("page.notfound"))
        return Response(page, status_code=status.value, media_type=MediaType.HTML, headers=HEADERS | allowed)

    return Litestar(
        [router(pages)], exception_handlers={HTTPException: nowhere}, openapi_config=None, logging_config=None
    )
