"""`/api/v1`: what the pages show, as JSON, with intervals and n. Described by OpenAPI, errors as RFC 9457."""

from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Response, get
from litestar.connection import ASGIConnection
from litestar.exceptions import NotFoundException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, PathParameter, QueryParameter

from ringback.peer.http import PROBLEM
from ringback.record import Report
from ringback.view.address import START, TOKEN, Misread, View, parsed
from ringback.view.contrasts import Contrasts
from ringback.view.figures import DayShare, Extent, MatrixCell, Measured, NetworkShare, RegionShare, Share
from ringback.view.ledger import Entry
from ringback.view.outages import Outage
from ringback.view.pages import Pages

NAME = {"pattern": TOKEN.pattern.join("^$")}
App = Annotated[str, QueryParameter(description="An app of the catalogue.", schema_extra=NAME)]
Function = Annotated[str, QueryParameter(description="text, media or voice.", schema_extra=NAME)]
Path = Annotated[str, QueryParameter(description="direct, or a VPN path's name.", schema_extra=NAME)]
DATE = {"oneOf": [{"type": "string", "format": "date"}]}
Day = Annotated[
    str | None,
    QueryParameter(description="A UTC day, included. Default: the last week that has data.", schema_extra=DATE),
]
Bound = Annotated[str | None, QueryParameter(description="A UTC day, included. Default: no bound.", schema_extra=DATE)]
Lasting = TypeVar("Lasting", Measured, Outage)
MOST_ASN = 2**32 - 1  # RFC 6793
Number = Annotated[int | None, QueryParameter(description="One network's AS number.", ge=0, le=MOST_ASN)]
Network = Annotated[int, PathParameter(description="An AS number.", ge=0, le=MOST_ASN)]


class Problem(msgspec.Struct, frozen=True):
    """What went wrong (RFC 9457). title: the status in words; detail: what is wrong here, and with which parameter."""

    type: str
    title: str
    status: int
    detail: str


class Overview(msgspec.Struct, frozen=True):
    """since, until: the days that were meant."""

    since: str | None
    until: str | None
    extent: Extent
    total: Share


def _told(description: str) -> ResponseSpec:
    return ResponseSpec(Problem, media_type=PROBLEM, description=description, generate_examples=False)


REFUSED = {400: _told("A parameter can't be understood, or there is none of that name.")}
NOBODY = {404: _told("Nobody measured or published that.")}


LONGEST_TOLD = 40  # letters of a stranger's parameter that an answer repeats


def known(asked: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Raises Misread for a query parameter that this place doesn't have, or has twice: left out silently, a misspelt
    one would answer another question than was asked."""
    allowed = [name for name in handler.parsed_fn_signature.parameters if name not in asked.path_params]
    strange = [name for name in asked.query_params if name not in allowed]
    if strange:
        here = f"those here are {', '.join(f'`{name}`' for name in allowed)}" if allowed else "there are none here"
        raise Misread("unknown", f"is no parameter of {asked.url.path}; {here}", f"`{strange[0][:LONGEST_TOLD]}`")
    for name in allowed:
        if len(asked.query_params.getall(name, [])) > 1:
            raise Misread("twice", "is given more than once", f"`{name}`")


class OneNetwork(msgspec.Struct, frozen=True):
    asn: int
    name: str
    region: str | None
    matrix: list[MatrixCell]


def _lasted(found: list[Lasting], view: View, asn: int | None) -> list[Lasting]:
    """Those of the view's days, and of one network where one is named."""
    return [one for one in found if one.lasted(view.since, view.until) and asn in (None, one.asn)]


def handlers(pages: Pages) -> list[HTTPRouteHandler]:
    figures = pages.figures
    plain: dict[str, Any] = {"sync_to_thread": True, "guards": [known], "responses": REFUSED}
    lost: dict[str, Any] = {**plain, "responses": {**REFUSED, **NOBODY}}

    @get("/api/v1/overview", operation_id="overview", **plain)
    def overview(
        app: App = START.app,
        function: Function = START.function,
        path: Path = START.path,
        since: Day = None,
        until: Day = None,
    ) -> Overview:
        """One function of one app, all regions together: of those who took part, not of the population."""
        view = parsed(app, function, path, since, until)
        first, last = figures.days(view)
        return Overview(
            first.isoformat() if first else None,
            last.isoformat() if last else None,
            figures.extent(),
            figures.total(view),
        )

    @get("/api/v1/regions", operation_id="regions", **plain)
    def regions(
        app: App = START.app,
        function: Function = START.function,
        path: Path = START.path,
        since: Day = None,
        until: Day = None,
    ) -> list[RegionShare]:
        """The map: each region's share."""
        return figures.regions(parsed(app, function, path, since, until))

    @get("/api/v1/networks", operation_id="networks", **plain)
    def networks(
        app: App = START.app,
        function: Function = START.function,
        path: Path = START.path,
        since: Day = None,
        until: Day = None,
    ) -> list[NetworkShare]:
        """Each network's share, the surest restricted first."""
        return figures.networks(parsed(app, function, path, since, until))

    @get("/api/v1/networks/{asn:int}", operation_id="network", **lost)
    def network(asn: Network, since: Day = None, until: Day = None) -> OneNetwork:
        """Everything that one network does."""
        region = figures.region_of(asn)
        if region is None:
            raise NotFoundException(f"nobody measured AS{asn}")
        view = parsed(START.app, START.function, START.path, since, until)
        return OneNetwork(asn, pages.plain_name(asn), region, figures.matrix(view, asn))

    @get("/api/v1/matrix", operation_id="matrix", **plain)
    def matrix(since: Day = None, until: Day = None) -> list[MatrixCell]:
        """Apps by text, media, voice out and voice in, directly and over a VPN."""
        return figures.matrix(parsed(START.app, START.function, START.path, since, until))

    @get("/api/v1/timeline", operation_id="timeline", **plain)
    def timeline(
        app: App = START.app,
        function: Function = START.function,
        path: Path = START.path,
        asn: Number = None,
    ) -> list[DayShare]:
        """Each day's share, of all networks or of one."""
        return figures.daily(parsed(app, function, path), asn)

    @get("/api/v1/events", operation_id="events", **plain)
    def events(
        app: App = START.app,
        function: Function = START.function,
        since: Bound = None,
        until: Bound = None,
        asn: Number = None,
    ) -> list[Measured]:
        """Measured events of one function of one app on each network, on the direct path: all that lasted into some of
        these days."""
        view = parsed(app, function, START.path, since, until)
        return _lasted(figures.events(view.app, view.function), view, asn)

    @get("/api/v1/outages", operation_id="outages", **plain)
    def outages(since: Bound = None, until: Bound = None, asn: Number = None) -> list[Outage]:
        """Days on which a network let nothing through, or only what is on a list: all runs that have some of these days
        among them."""
        return _lasted(figures.outages(), parsed(START.app, START.function, START.path, since, until), asn)

    @get("/api/v1/contrasts", operation_id="contrasts", **plain)
    def contrasts(
        app: App = START.app, function: Function = START.function, since: Day = None, until: Day = None
    ) -> Contrasts:
        """Each region beside all others, the preferred app beside this one, and for whom a VPN worked."""
        return figures.contrasts(parsed(app, function, START.path, since, until))

    @get("/api/v1/claims", operation_id="claims", **plain)
    def claims() -> list[Entry]:
        """What was said, and what the data say of it."""
        return figures.ledger()

    @get("/api/v1/measurements/{report:str}", operation_id="measurement", **lost)
    def measurement(report: FromPath[str]) -> Response[Report]:
        """A report with its raw outcomes, where its sender published it."""
        found = pages.published.get(report)
        if found is None:
            raise NotFoundException("nobody published that")
        return Response(found)

    made: list[Any] = [
        overview,
        regions,
        networks,
        network,
        matrix,
        timeline,
        events,
        outages,
        contrasts,
        claims,
        measurement,
    ]
    return made
