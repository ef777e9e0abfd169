"""A collector while a context lasts: what `ringback serve` mounts beside the peer."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from litestar.handlers import BaseRouteHandler

from ringback.collect import api, origin
from ringback.collect.intake import DRAIN_S, OPEN, intake
from ringback.collect.published import Published
from ringback.collect.spool import Sink


@asynccontextmanager
async def collecting(
    folder: Path,
    into: Sink,
    networks: Sequence[Path] = (),
    allowance: api.Allowance | None = None,
    every: float = DRAIN_S,
) -> AsyncIterator[list[BaseRouteHandler]]:
    """Its handlers. folder: of spool and published reports. into: where they go from there, such as `intake.sink` with
    this folder. networks: databases from address to network and region. every: seconds between two hand-overs.

    Raises Unavailable where the folder can't be had, BadInput for a file that is no database.
    """
    with origin.databases(networks) as lookup:
        async with intake(folder, into, every) as running:
            yield api.routes(running, Published(folder / OPEN), lookup, allowance)
