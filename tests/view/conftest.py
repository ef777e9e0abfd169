"""An observatory of the shipped country, its eleven days around the onset, filled once for all tests of the room."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from litestar.testing import TestClient

from ringback.collect.importing.ringback import from_report
from ringback.collect.published import Published
from ringback.lab import nation, recordings
from ringback.store import Lake
from ringback.view import Pages, application
from ringback.view.figures import Figures

DAY = 86_400.0


@pytest.fixture(scope="session")
def observatory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder: a lake, names of networks, and one published report."""
    folder = tmp_path_factory.mktemp("observatory")
    country = nation.load("ru-2025-08")
    country = msgspec.structs.replace(country, since=country.since + 5 * DAY, until=country.since + 16 * DAY)
    reports = recordings.reports(country, recordings.shipped())
    Lake(folder / "lake").extend(one for report in reports for one in from_report(report))
    names = {str(one.asn): one.name for one in country.providers}
    (folder / "networks.json").write_bytes(msgspec.json.encode(names))
    (folder / "emulated").touch()
    opened = next(recordings.opened(country, 1))
    Published(folder / "open").put(msgspec.structs.replace(opened, id=opened.id.ljust(32, "0")))
    return folder


@pytest.fixture(scope="session")
def pages(observatory: Path) -> Pages:
    return Pages.of(observatory, observatory / "lake")


@pytest.fixture(scope="session")
def client(pages: Pages) -> Iterator[TestClient]:
    with TestClient(application(pages)) as client:
        yield client


@pytest.fixture
def empty(tmp_path: Path) -> Pages:
    return Pages(Figures(Lake(tmp_path / "lake")), Published(tmp_path / "open"))
