"""What a request gets that can't be answered: a page for a reader, in words, and a problem (RFC 9457) for a program."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Self

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException

from ringback.errors import BadInput, Unavailable
from ringback.peer.http import Refusing, allowed, problem
from ringback.view.address import Misread
from ringback.view.pages import Pages
from ringback.words import LANGUAGES, Language

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer."""
OF_PROGRAMS = ("/api/", "/v1/")  # how addresses begin that programs ask for
AGAIN_S = "60"  # after which to ask again where this machine lacks something

log = logging.getLogger("ringback.view")


def preferred(accepted: str) -> Language:
    """The first of our languages in an Accept-Language header, in the order written; else English."""
    for each in accepted.lower().split(","):
        for language in LANGUAGES:
            if each.strip().partition(";")[0].partition("-")[0] == language:
                return language
    return "en"


def language_of(request: Request[Any, Any, Any]) -> Language:
    """That of the address, else the reader's."""
    path = f"{asked(request)}/"
    written = next((each for each in LANGUAGES if path.startswith(f"/{each}/")), None)
    return written or preferred(request.headers.get("accept-language", ""))


def asked(request: Request[Any, Any, Any]) -> str:
    """The path as the browser has it, from which it follows links: what was routed has lost its last slash, and has a
    slash where the address has `%2F`."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return raw.decode("latin-1").partition("?")[0]


def raised(_: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """For whoever asks in the same process, and is to be told with the error itself."""
    raise error


class Refusals:
    """Handlers of what an answer fails with, of an observatory's pages and API."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def __deepcopy__(self, _: object) -> Self:
        return self  # the framework copies what handles exceptions, with all that it holds: here a store

    def handlers(self) -> dict[Any, Any]:
        """By what they handle. Of bad input only `Misread` is the asker's: all other is found in the store."""
        return {
            HTTPException: self.refused,
            Misread: self._misread,
            BadInput: self._damaged,
            Unavailable: self._unavailable,
            Exception: self._failed,
        }

    def refused(self, request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
        """There is no such page, or it can't be asked for in this way."""
        status = HTTPStatus(error.status_code)
        keys = {HTTPStatus.NOT_FOUND: "page.notfound", HTTPStatus.METHOD_NOT_ALLOWED: "page.notallowed"}
        words = self._words(request, keys.get(status, "page.refused"), what=error.detail)
        return self._told(request, status, error.detail, words, allowed(error))

    def _misread(self, request: Request[Any, Any, Any], error: Misread) -> Response[Any]:
        what = self._words(request, f"page.misread.{error.why}", where=error.where or "")
        words = self._words(request, "page.refused", what=what)
        return self._told(request, HTTPStatus.BAD_REQUEST, str(error), words)

    def _damaged(self, request: Request[Any, Any, Any], error: BadInput) -> Response[Any]:
        log.error("what a request to %s needs can't be read: %s", request.url.path, error)
        detail = "a part of this observatory's store is missing or damaged"  # which, and where, is for the log alone
        return self._told(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail, self._words(request, "page.damaged"))

    def _unavailable(self, request: Request[Any, Any, Any], error: Unavailable) -> Response[Any]:
        log.error("a request to %s can't be answered now: %s", request.url.path, error)
        detail, words = "this observatory lacks what it takes, for now", self._words(request, "page.unavailable")
        return self._told(request, HTTPStatus.SERVICE_UNAVAILABLE, detail, words, {"Retry-After": AGAIN_S})

    def _failed(self, request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        log.error("a request to %s failed", request.url.path, exc_info=error)
        words = self._words(request, "page.failed")
        return self._told(request, HTTPStatus.INTERNAL_SERVER_ERROR, "the fault is this observatory's", words)

    def _words(self, request: Request[Any, Any, Any], key: str, **said: str) -> str:
        return self._pages.saying(language_of(request)).say(key, **said)

    def _told(
        self,
        request: Request[Any, Any, Any],
        status: HTTPStatus,
        detail: str,
        words: str,
        headers: Mapping[str, str] | None = None,
    ) -> Response[Any]:
        path, headers = asked(request), {**HEADERS, **(headers or {})}
        if path.startswith(OF_PROGRAMS):
            return problem(status, detail, **headers)
        page = self._pages.problem(language_of(request), path, words)
        return Response(page, status_code=status.value, media_type=MediaType.HTML, headers=headers)


def refusing(pages: Pages) -> Refusing:
    """For a whole server: what none of its handlers takes."""
    return Refusals(pages).refused
