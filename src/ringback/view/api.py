"""`/api/v1`: what the pages show, as JSON, with intervals and n. Described by OpenAPI, errors as RFC 9457."""

from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, QueryParameter

from ringback.record import Report
from ringback.view.address import START, parsed
from ringback.view.contrasts import Contrasts
from ringback.view.figures import DayShare, Extent, MatrixCell, Measured, NetworkShare, RegionShare, Share
from ringback.view.ledger import Entry
from ringback.view.outages import Outage
from ringback.view.pages import Pages

App = Annotated[str, QueryParameter(description="An app of the catalogue.")]
Function = Annotated[str, QueryParameter(description="text, media or voice.")]
Path = Annotated[str, QueryParameter(description="direct, or a VPN path's name.")]
Day = Annotated[str | None, QueryParameter(description="A UTC day, included. Default: the last week that has data.")]


class Overview(msgspec.Struct, frozen=True):
    """since, until: the days that were meant."""

    since: str | None
    until: str | None
    extent: Extent
    total: Share


class OneNetwork(msgspec.Struct, frozen=True):
    asn: int
    name: str
    region: str | None
    matrix: list[MatrixCell]


def handlers(pages: Pages) -> list[BaseRouteHandler]:
    figures = pages.figures

    @get("/api/v1/overview", sync_to_thread=True, operation_id="overview")
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

    @get("/api/v1/regions", sync_to_thread=True, operation_id="regions")
    def regions(
        app: App = START.app,
        function: Function = START.function,
        path: Path = START.path,
        since: Day = None,
        until: Day = None,
    ) -> list[RegionShare]:
        """The map: each region's share."""
        return figures.regions(parsed(app, function, path, since, until))

    @get("/api/v1/networks", sync_to_thread=True, operation_id="networks")
    def networks(
        app: App = START.app,
        function: Function = START.function,
        path: Path = START.path,
        since: Day = None,
        until: Day = None,
    ) -> list[NetworkShare]:
        """Each network's share, the surest restricted first."""
        return figures.networks(parsed(app, function, path, since, until))

    @get("/api/v1/networks/{asn:int}", sync_to_thread=True, operation_id="network")
    def network(asn: FromPath[int], since: Day = None, until: Day = None) -> OneNetwork:
        """Everything that one network does."""
        region = figures.region_of(asn)
        if region is None:
            raise NotFoundException(f"nobody measured AS{asn}")
        view = parsed(START.app, START.function, START.path, since, until)
        return OneNetwork(asn, pages.name(asn), region, figures.matrix(view, asn))

    @get("/api/v1/matrix", sync_to_thread=True, operation_id="matrix")
    def matrix(since: Day = None, until: Day = None) -> list[MatrixCell]:
        """Apps by text, media, voice out and voice in, directly and over a VPN."""
        return figures.matrix(parsed(START.app, START.function, START.path, since, until))

    @get("/api/v1/timeline", sync_to_thread=True, operation_id="timeline")
    def timeline(
        app: App = START.app,
        function: Function = START.function,
        path: Path = START.path,
        asn: FromQuery[int | None] = None,
    ) -> list[DayShare]:
        """Each day's share, of all networks or of one."""
        return figures.daily(parsed(app, function, path), asn)

    @get("/api/v1/events", sync_to_thread=True, operation_id="events")
    def events(app: App = START.app, function: Function = START.function) -> list[Measured]:
        """Measured events of one function of one app on each network, on the direct path."""
        view = parsed(app, function, START.path)
        return figures.events(view.app, view.function)

    @get("/api/v1/outages", sync_to_thread=True, operation_id="outages")
    def outages() -> list[Outage]:
        """Days on which a network let nothing through, or only what is on a list."""
        return figures.outages()

    @get("/api/v1/contrasts", sync_to_thread=True, operation_id="contrasts")
    def contrasts(
        app: App = START.app, function: Function = START.function, since: Day = None, until: Day = None
    ) -> Contrasts:
        """Each region beside all others, the preferred app beside this one, and for whom a VPN worked."""
        return figures.contrasts(parsed(app, function, START.path, since, until))

    @get("/api/v1/claims", sync_to_thread=True, operation_id="claims")
    def claims() -> list[Entry]:
        """What was said, and what the data say of it."""
        return figures.ledger()

    @get("/api/v1/measurements/{report:str}", sync_to_thread=True, operation_id="measurement")
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
