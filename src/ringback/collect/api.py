"""The collector's HTTP: takes reports, and says what they look like. Errors as RFC 9457.

    POST /v1/reports                 a report as JSON; several as a JSON array or as NDJSON (application/x-ndjson);
                                     packed with gzip or zstd if Content-Encoding says so
    GET  /v1/reports/{id}            a report whose sender chose to publish it
    GET  /v1/schemas/report-1.json   JSON Schema of a report
    GET  /v1/collector               how much waits

A report counts when its answer says `accepted` (201) or `known` (200): it is on the disk then. Its id is that of its
content; sending it again changes nothing.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from importlib.resources import files
from time import monotonic
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath

from ringback.collect import scrub, unpacking
from ringback.collect.intake import Busy, Intake
from ringback.collect.origin import Lookup, Origin, nowhere
from ringback.collect.published import Published
from ringback.collect.spool import Entry, Full
from ringback.errors import BadInput, Unavailable
from ringback.peer.http import Unread, problem, read_in_every_way, whole_body
from ringback.peer.limits import Buckets

PACKED_BYTES = 8 << 20  # of a request as it is sent
BODY_S = 60.0  # seconds that it may take to come
INLINE_BYTES = 1 << 16  # a body up to this is unpacked at once, a larger one in a thread
UNPACKING = 2  # large ones at once
WAITING = 64 << 20  # bytes of requests in hand, as sent
NDJSON = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
JSON = frozenset({"application/json", ""})


class Allowance(msgspec.Struct, frozen=True):
    """Requests that one address may make a second, for long and at once: many people share one address."""

    per_s: float = 2.0
    burst: float = 200.0


class Refused(Exception):
    """A request that gets a problem for an answer."""

    def __init__(self, status: HTTPStatus, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers


class Answer(msgspec.Struct, omit_defaults=True):
    """What became of one report. status: `accepted`, `known` or `refused`, then with where and detail."""

    status: str
    id: str | None = None
    where: str | None = None
    detail: str | None = None


def routes(
    intake: Intake, published: Published, lookup: Lookup = nowhere, allowance: Allowance | None = None
) -> list[BaseRouteHandler]:
    """Handlers to mount. lookup: from an address to its network, see `origin.databases`."""
    allowed = allowance or Allowance()
    buckets = Buckets(allowed.per_s, allowed.burst)
    unpacking_now = asyncio.Semaphore(UNPACKING)
    in_hand = 0

    async def take(request: Request[Any, Any, Any]) -> Response[bytes]:
        source = request.client.host if request.client else ""
        if not buckets.allow(source, monotonic()):
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, "this address sends too often", **{"Retry-After": "30"})
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in NDJSON | JSON:
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "reports are application/json or application/x-ndjson")
        body = await whole_body(request, BODY_S)
        packing = request.headers.get("content-encoding", "")
        now, origin = datetime.now(UTC), lookup(source)
        if len(body) <= INLINE_BYTES and not packing:
            single, found = _read(body, packing, kind in NDJSON, now, origin)
        else:
            async with unpacking_now:
                single, found = await asyncio.to_thread(_read, body, packing, kind in NDJSON, now, origin)
        del body
        entries = [one for one in found if isinstance(one, Entry)]
        new = iter(await intake.add(entries) if entries else ())
        answers = [
            Answer("accepted" if next(new) else "known", one.key.hex())
            if isinstance(one, Entry)
            else Answer("refused", where=one.where, detail=one.what)
            for one in found
        ]
        return _answer(answers, single)

    @post("/v1/reports", status_code=200, request_max_body_size=PACKED_BYTES, media_type="application/json")
    async def reports(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Takes one report, or a batch: then 200 with what became of each, in order, and 422 if none was taken."""
        nonlocal in_hand
        size = int(length) if (length := request.headers.get("content-length", "")).isdecimal() else PACKED_BYTES
        size = min(size, PACKED_BYTES)
        if in_hand and in_hand + size > WAITING:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "too much is being read", **{"Retry-After": "5"})
        in_hand += size
        try:
            return await take(request)
        except Refused as refused:
            return problem(refused.status, refused.detail, **refused.headers)
        except Unread as error:
            return problem(error.status, error.detail)
        except unpacking.TooLarge as error:
            return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))
        except unpacking.NotUnderstood as error:
            if error.where == "Content-Encoding":
                return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, str(error), **{"Accept-Encoding": "gzip, zstd"})
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        except BadInput as error:
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        except Full as error:
            return problem(HTTPStatus.INSUFFICIENT_STORAGE, error.reason, **{"Retry-After": "300"})
        except Busy as error:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, error.reason, **{"Retry-After": "5"})
        except Unavailable as error:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, error.reason, **{"Retry-After": "60"})
        finally:
            in_hand -= size

    @get("/v1/reports/{id:str}", sync_to_thread=True)
    def report(id: FromPath[str]) -> Response[bytes]:
        """A report with its raw outcomes, where its sender chose to publish it."""
        found = published.get(id)
        if found is None:
            return problem(HTTPStatus.NOT_FOUND, "no such report was published")
        return Response(msgspec.json.encode(found), media_type="application/json")

    @get("/v1/schemas/report-1.json", sync_to_thread=False)
    def schema() -> Response[bytes]:
        """JSON Schema (2020-12) of a report."""
        return Response(shipped_schema(), media_type="application/schema+json")

    @get("/v1/collector", sync_to_thread=True)
    def collector() -> dict[str, int]:
        """bytes: in the spool, not in the lake yet. damaged: pieces that were no whole report, kept aside."""
        return {"waiting_bytes": intake.spool.waiting, "damaged": intake.spool.damaged}

    return read_in_every_way([reports, report, schema, collector])


def shipped_schema() -> bytes:
    return (files("ringback.record") / "schema" / "report-1.json").read_bytes()


def _read(body: bytes, packing: str, lines: bool, now: datetime, origin: Origin) -> tuple[bool, list[Entry | BadInput]]:
    """(was it one report alone?, each as it is kept or why it is refused). A report alone raises its refusal."""
    plain = unpacking.unpacked(body, packing)
    single = not lines and plain.lstrip()[:1] != b"["
    found: list[Entry | BadInput] = []
    for piece in unpacking.pieces(plain, lines):
        try:
            found.append(entry(piece, now, origin))
        except BadInput as error:
            if single:
                raise
            found.append(error)
    return single, found


def entry(piece: bytes, now: datetime, origin: Origin) -> Entry:
    """A report as it goes into the spool: validated, scrubbed. Raises BadInput."""
    given = unpacking.report(piece)
    kept = scrub.scrubbed(given, now, origin)
    scrub.observed(kept)
    created = datetime.fromisoformat(kept.created_at).date()
    return Entry(bytes.fromhex(kept.id), created, msgspec.json.encode(kept))


def _answer(answers: list[Answer], single: bool) -> Response[bytes]:
    if single:
        status = HTTPStatus.CREATED if answers[0].status == "accepted" else HTTPStatus.OK
        return _json(answers[0], status)
    if all(one.status == "refused" for one in answers):
        return problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"none was taken; the first: {answers[0].where}: {answers[0].detail}"
        )
    return _json({"reports": answers}, HTTPStatus.OK)


def _json(value: Answer | Mapping[str, list[Answer]], status: HTTPStatus) -> Response[bytes]:
    return Response(msgspec.json.encode(value), status_code=status.value, media_type="application/json")
