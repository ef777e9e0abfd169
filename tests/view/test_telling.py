"""Long tables: a page shows the rows that say most and how many it leaves out, and a link leads to all of them."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from litestar.testing import TestClient

from ringback.collect.published import Published
from ringback.record import Observation, identified
from ringback.store import Lake
from ringback.view import Pages, application, telling
from ringback.view.figures import DayShare, Figures, K, Measured, NetworkShare, Share
from ringback.view.outages import Outage, OutageState, overlapping
from ringback.view.telling import MOST_DAYS, MOST_EVENTS, MOST_NETWORKS, MOST_OUTAGES, SPARE

FIRST = date(2024, 9, 1)
DAYS, NETWORKS = 365, 24
WORST = 64512 + 17  # restricts; all others don't


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year of one network, and in its last week two dozen of them."""
    folder = tmp_path_factory.mktemp("year")

    def one(network: int, day: int, person: int) -> Observation:
        bad = network == WORST
        return identified(
            Observation(
                source="ringback",
                measurement=f"{network}-{day}-{person}",
                time=datetime.combine(FIRST, datetime.min.time(), UTC) + timedelta(days=day, hours=9),
                app="whatsapp",
                function="voice",
                direction="outgoing",
                asn=network,
                region="RU-MOW",
                attempted=1,
                failed=int(bad),
                pseudonym=f"{network}-{day}-{person}",
                status="restricted" if bad else "working",
                rules="1",
            )
        )

    long = (one(64512, day, person) for day in range(DAYS) for person in range(K))
    wide = (one(64512 + n, DAYS - 1, person) for n in range(1, NETWORKS) for person in range(K))
    Lake(folder / "lake").extend([*long, *wide])
    return folder


@pytest.fixture(scope="module")
def client(year: Path) -> Iterator[TestClient]:
    with TestClient(application(Pages(Figures(Lake(year / "lake")), Published(year / "open")))) as client:
        yield client


def section(page: str, name: str) -> str:
    found = re.search(rf'<section id="{name}">.*?</section>', page, re.DOTALL)
    assert found is not None
    return found[0]


def rows(text: str) -> int:
    return sum(body.count("<tr>") for body in re.findall(r"<tbody>.*?</tbody>", text, re.DOTALL))


@pytest.mark.parametrize(
    ("name", "most", "whole", "all_of_them", "said"),
    [
        ("networks", MOST_NETWORKS, "networks/", NETWORKS, "Left out here: 9; restricted among them: 0."),
        ("timeline", MOST_DAYS, "days/", DAYS, "Left out here: 337."),
    ],
)
def test_a_year_and_many_networks_make_no_long_page_and_nothing_is_lost(
    client: TestClient, name: str, most: int, whole: str, all_of_them: int, said: str
) -> None:
    page = client.get("/en/")
    assert len(page.content) < 80_000
    shown = section(page.text, name)
    assert rows(shown) == most
    assert said in shown
    assert f'href="../en/{whole}"' in shown
    assert rows(client.get(f"/en/{whole}").text) == all_of_them


def test_the_first_rows_are_the_most_telling(client: TestClient) -> None:
    shown = section(client.get("/en/").text, "networks")
    assert re.findall(r"network/(\d+)/", shown)[0] == str(WORST)
    assert "31 August 2025" in section(client.get("/en/").text, "timeline"), "the last days"


def test_what_is_chosen_is_kept_in_the_links_to_the_whole_and_back(client: TestClient) -> None:
    page = client.get("/ru/of/whatsapp/voice/direct/?since=2025-08-30").text
    assert 'href="../ru/networks/?since=2025-08-30"' in page, "the start's choice has the short address"
    other = client.get("/ru/of/telegram/voice/direct/events/?since=2025-08-30").text
    assert 'href="../../../../../../ru/of/telegram/voice/direct/?since=2025-08-30"' in other
    assert 'href="../../../../../../en/of/telegram/voice/direct/events/?since=2025-08-30"' in other


def test_data_are_linked_to_with_the_days_that_the_page_shows(client: TestClient) -> None:
    page = client.get("/en/?since=2025-08-30&until=2025-08-31").text
    linked = re.findall(r'href="../(api/v1/[^"]+)"', page)
    assert any(link.startswith("api/v1/regions?") for link in linked)
    for link in linked:
        assert client.get("/" + link.replace("&amp;", "&")).status_code == 200, link
        if link.startswith(("api/v1/regions", "api/v1/networks", "api/v1/contrasts")):
            assert "since=2025-08-30&amp;until=2025-08-31" in link


def test_a_networks_days_have_a_page_of_their_own(client: TestClient) -> None:
    page = client.get("/en/network/64512/").text
    assert 'href="../../../en/network/64512/whatsapp/voice/"' in page
    whole = client.get("/en/network/64512/whatsapp/voice/").text
    assert rows(whole) == DAYS
    for link in re.findall(r'href="../../../../../(api/v1/timeline[^"]+)"', whole):
        assert len(client.get("/" + link.replace("&amp;", "&")).json()) == DAYS
    assert client.get("/en/network/64512/telegram/voice/").status_code == 404
    assert client.get("/en/network/x/whatsapp/voice/").status_code == 404
    assert client.get("/en/regions/").status_code == 404


def measured(n: int, kind: str = "event", e_value: float = 1e6, day: int = 1) -> Measured:
    onset = datetime(2025, 8, day, tzinfo=UTC)
    return Measured(
        id=f"e{n}",
        app="whatsapp",
        function="voice",
        asn=64512 + n,
        region=None,
        kind=kind,
        onset=onset,
        onset_interval=None,
        end=None,
        end_interval=None,
        windows=((onset, onset),),
        e_value=e_value,
        n=9,
        clusters=9,
        level=1.0,
    )


def test_events_that_are_sure_and_under_way_come_before_suspicions_and_what_is_to_come() -> None:
    many = [measured(n, e_value=1e6 + n) for n in range(MOST_EVENTS + SPARE + 1)]
    found = telling.events([measured(99, "suspicion", 1e9), *many, measured(98, day=20)], until=date(2025, 8, 9))
    assert [one.id for one in found.rows] == [f"e{n}" for n in range(SPARE + 1, MOST_EVENTS + SPARE + 1)]
    assert (found.all, found.left) == (len(many) + 2, SPARE + 3)


def test_a_few_rows_over_are_shown_as_well() -> None:
    share = Share(0.9, (0.8, 1.0), 9, 9, 0, True, 9)
    networks = [NetworkShare(n, None, share) for n in range(MOST_NETWORKS + SPARE + 1)]
    assert telling.networks(networks[:-1]).left == 0
    assert (telling.networks(networks).left, telling.networks(networks).restricted) == (SPARE + 1, SPARE + 1)
    days = [DayShare(FIRST + timedelta(days=n), share) for n in range(MOST_DAYS + SPARE + 1)]
    assert telling.days(days).rows == days[-MOST_DAYS:]
    assert telling.days([]).all == telling.days([]).left == 0


def outage(asn: int, since: int, until: int, state: OutageState = "offline") -> Outage:
    return Outage(asn, None, state, date(2025, 8, since), date(2025, 8, until), 1.0, 9, 9)


def test_of_many_outages_the_latest_are_told() -> None:
    many = [outage(n, n + 1, n + 1) for n in range(MOST_OUTAGES + SPARE + 1)]
    found = telling.outages(many)
    assert [one.asn for one in found.rows] == [one.asn for one in reversed(many)][:MOST_OUTAGES]


def test_outages_with_days_in_common_are_drawn_as_one() -> None:
    found = [outage(1, 1, 3), outage(2, 3, 4), outage(3, 5, 5), outage(4, 2, 2, "whitelist"), outage(1, 2, 2)]
    assert [[one.asn for one in group] for group in overlapping(found)] == [[1, 1, 2], [3], [4]]
