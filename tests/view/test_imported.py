"""Pages of what other tools measured: nobody is named in it, it has no look-alikes, and its places are countries."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from litestar.testing import TestClient
from msgspec.structs import replace

from ringback.collect.published import Published
from ringback.record import Observation, identified
from ringback.store import Lake
from ringback.view import Pages, application
from ringback.view.figures import Figures
from tests.store.observations import seen

FIRST = datetime(2023, 10, 15, 1, tzinfo=UTC)
BANNED, SPARED = 64500, 64501


def observed(asn: int, day: int, number: int) -> Observation:
    """Eight tests a day; on one network all fail from the twentieth day on, for ten days."""
    failed = asn == BANNED and 20 <= day < 30
    return identified(
        Observation(
            source="ooni",
            time=FIRST + timedelta(days=day, hours=2 * number),
            app="facebook-messenger",
            function="text",
            asn=asn,
            region="KE",
            attempted=6,
            failed=6 * failed,
            cluster=f"{asn}-{day}-{number}",
            status="restricted" if failed else "working",
            mechanism="unknown" if failed else "none",
            basis="contrast",
            scope="app",
            rules="import-1",
        )
    )


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("imported")
    lake = Lake(folder / "lake")
    lake.append([observed(asn, day, n) for asn in (BANNED, SPARED) for day in range(40) for n in range(8)])
    with TestClient(application(Pages(Figures(lake), Published(folder / "open")))) as client:
        yield client


def shown(client: TestClient, place: str) -> str:
    answer = client.get(f"/en/{place}")
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.text.replace("\u00a0", " ").replace("\u2011", "-"))


def test_sources_are_not_called_people_nor_other_hosts_look_alikes(client: TestClient) -> None:
    days = "?since=2023-11-04&until=2023-11-13"
    total = client.get(f"/api/v1/overview{days}&app=facebook-messenger&function=text").json()["total"]
    assert (total["participants"], total["sources"], total["public"]) == (0, 160, True)
    page = shown(client, f"of/facebook-messenger/text/direct/{days}")
    headline = re.findall(r"<h1.*?</h1>", page)[0]
    assert "messages in Facebook Messenger were restricted in 50 % of what other tools measured" in headline
    assert "160 measurements by 160 sources" in page
    assert "people a day" not in page


def test_a_networks_first_sentence_names_its_days_and_what_was_measured(client: TestClient) -> None:
    """An event further down the page lies on other days, and other apps were not looked at."""
    page = shown(client, f"network/{BANNED}/")
    assert "Between 17 and 23 November 2023, other tools saw no restriction on this network" in page
    assert "of what they measured: messages in Facebook Messenger." in page


def test_a_first_page_without_data_leads_to_what_there_is(client: TestClient) -> None:
    page = shown(client, "")
    assert "too few people measured calls in WhatsApp" in page
    assert "<table" not in page[: page.index('id="matrix"')], "nothing is no table"
    assert 'Enough was measured of: <a href="../en/of/facebook-messenger/text/direct/">Messages in Facebook' in page


def test_no_map_of_another_country_is_drawn_empty(client: TestClient) -> None:
    page = shown(client, "of/facebook-messenger/text/direct/")
    assert 'class="map"' not in page
    assert "there is a table only" in page
    assert "<td>KE</td>" in page


def test_a_networks_page_has_the_events_of_every_app_that_was_measured_there(client: TestClient) -> None:
    page = shown(client, f"network/{BANNED}/")
    event = re.findall(r'href="\.\./\.\./\.\./en/(event/facebook-messenger-text-64500-0/)"', page)
    assert event
    assert "Calls in WhatsApp" not in page, "nobody measured them there"
    told = shown(client, event[0])
    assert "Messages in Facebook Messenger restricted on AS64500" in told
    assert "4 November 2023, 01:00 UTC – 13 November 2023, 15:00 UTC" in told
    assert "No event" in shown(client, f"network/{SPARED}/")
    assert "inside, 100 % of a measurement's tries failed on average" in told.replace("&#39;", "'")


def test_a_suspicions_page_does_not_accuse(tmp_path: Path) -> None:
    """Two sources alone stand behind it."""
    lake = Lake(tmp_path / "lake")
    days = [observed(BANNED, day, n) for day in range(40) for n in range(8)]
    told = [replace(one, cluster=str(n % 2)) if one.failed else one for n, one in enumerate(days)]
    lake.append([identified(replace(one, id="")) for one in told])
    with TestClient(application(Pages(Figures(lake), Published(tmp_path / "open")))) as client:
        page = shown(client, "event/facebook-messenger-text-64500-0/")
    assert "Suspicion: messages in Facebook Messenger restricted on AS64500" in page
    assert "Messages in Facebook Messenger may have been restricted on this network, first seen on" in page


def test_one_countrys_policy_does_not_stand_beside_another_country(tmp_path: Path) -> None:
    for region, told in (("KE", False), ("RU", True)):
        lake = Lake(tmp_path / region)
        days = [observed(BANNED, day, n) for day in range(40) for n in range(8)]
        later = timedelta(days=640)  # 15 October 2023 to 16 July 2025
        lake.append([identified(replace(one, region=region, time=one.time + later)) for one in days])
        with TestClient(application(Pages(Figures(lake), Published(tmp_path / "open")))) as client:
            for place in ("of/facebook-messenger/text/direct/", "event/facebook-messenger-text-64500-0/"):
                page = shown(client, place)
                assert ("First mass reports" in page) is told, (region, place)


def test_our_own_records_from_a_file_are_not_called_other_tools(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.append([seen(n, hours=n, cluster=f"c{n % 8}", status="restricted") for n in range(40)])
    with TestClient(application(Pages(Figures(lake), Published(tmp_path / "open")))) as client:
        page = shown(client, "")
    assert "treated worse than look-alike traffic in" in page
    assert "other tools" not in page
    assert "40 measurements by 8 sources, as imported records tell them apart." in page


def test_tests_that_failed_without_a_verdict_are_never_shown_as_clear(tmp_path: Path) -> None:
    """One try that timed out accuses nobody, but five of ten are no sign that all is well."""
    lake = Lake(tmp_path / "lake")
    days = [observed(BANNED, 39, n) for n in range(8)]
    days += [
        identified(replace(one, id="", cluster=f"x{n}", attempted=1, failed=1, status="insufficient"))
        for n, one in enumerate(days)
    ]
    lake.append(days)
    with TestClient(application(Pages(Figures(lake), Published(tmp_path / "open")))) as client:
        total = client.get("/api/v1/overview?app=facebook-messenger&function=text").json()["total"]
    assert (total["n"], total["undecided"]) == (8, 8)
    assert total["interval"][1] > 0.5
