"""The pages and the API as one application. Every answer forbids browsers to ask anybody else for anything."""

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from litestar import Litestar, MediaType, Request, Response, Router, get
from litestar.exceptions import HTTPException, NotFoundException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from ringback import __version__
from ringback.peer.http import read_in_every_way
from ringback.view import api
from ringback.view.address import START, parsed
from ringback.view.packing import Packing
from ringback.view.pages import Pages
from ringback.view.refusing import HEADERS, Refusals, preferred, refusing
from ringback.words import LANGUAGES, Language

STATIC = {"style.css": "text/css", "icon.svg": "image/svg+xml"}
MOST_DIGITS = 10  # of an ASN


def handlers(pages: Pages) -> list[BaseRouteHandler]:
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
    return read_in_every_way(made)


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


def router(pages: Pages, faults: Mapping[Any, Any] | None = None) -> Router:
    """To mount beside other handlers of the same server. faults: handlers of exceptions in place of our own."""

    def guarded(response: Response[Any]) -> Response[Any]:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return Router(
        "/",
        route_handlers=handlers(pages),
        after_request=guarded,
        middleware=[Packing()],
        exception_handlers={**Refusals(pages).handlers(), **(faults or {})},
    )


def schema(pages: Pages) -> dict[str, Any]:
    """OpenAPI of `/api/v1`."""
    described = Litestar(
        api.handlers(pages),
        openapi_config=OpenAPIConfig("Ringback observatory", __version__, render_plugins=[JsonRenderPlugin()]),
        logging_config=None,
    )
    return described.openapi_schema.to_schema()


def application(pages: Pages, faults: Mapping[Any, Any] | None = None) -> Litestar:
    """The observatory by itself. faults: see `router`."""
    return Litestar(
        [router(pages, faults)],
        exception_handlers={HTTPException: refusing(pages)},
        openapi_config=None,
        logging_config=None,
    )
