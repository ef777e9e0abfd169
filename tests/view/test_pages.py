"""Pages and API of a country, of nothing, of one measurement, and of what only a hostile sender would write."""

import re
from datetime import UTC, datetime
from html import escape as escaped
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin

import msgspec
import pytest
from litestar.testing import TestClient

from ringback.collect.published import Published
from ringback.evidence.claims import claims as ledger
from ringback.evidence.claims import timeline
from ringback.record import Observation, identified
from ringback.store import Lake
from ringback.view import Pages, application, publish
from ringback.view import pages as view_pages
from ringback.view.figures import Figures, K
from ringback.view.raw import Drawn, growth
from ringback.view.regions import regions

HOSTILE = "\"'><script>alert(1)</script>{{7*7}}{% raw %}\u202e\x00"
WHOLE = ("networks/", "days/", "events/", "outages/", "of/telegram/voice/direct/events/", "of/max/text/vpn/days/")
PLACES = ("", "of/telegram/voice/direct/", "of/max/text/vpn/", "claims/", "method/", *WHOLE, "network/64496/")


def escape(text: str) -> str:
    """As templates write it."""
    return escaped(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


class Links(HTMLParser):
    """Every address that a browser would ask for by itself, and every link."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.tags.append(tag)
        if tag == "a":
            self.links.append(given["href"])
        self.fetched += [given[name] for name in ("src", "href", "data") if name in given and tag not in ("a", "base")]


def links(text: str) -> Links:
    found = Links()
    found.feed(text)
    return found


def one_of(**changes: object) -> Observation:
    plain = Observation(
        source="ringback",
        time=datetime(2025, 8, 13, 9, tzinfo=UTC),
        app="whatsapp",
        function="voice",
        direction="outgoing",
        asn=64500,
        region="RU-MOW",
        attempted=1,
        failed=1,
        pseudonym="someone",
        status="restricted",
        rules="1",
    )
    return identified(msgspec.structs.replace(plain, **changes))


def shown_by(lake: Lake, folder: Path) -> TestClient:
    return TestClient(application(Pages(Figures(lake), Published(folder / "open"), {64500: HOSTILE})))


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("place", PLACES)
def test_every_page_is_whole_and_asks_no_other_host(client: TestClient, language: str, place: str) -> None:
    answer = client.get(f"/{language}/{place}")
    assert answer.status_code == 200
    assert f'<html lang="{language}">' in answer.text
    found = links(answer.text)
    assert "script" not in found.tags
    assert not [one for one in [*found.fetched, *found.links] if "//" in one]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert len(answer.content) < 150_000


def test_the_sentence_says_the_numbers_that_the_api_has(client: TestClient) -> None:
    total = client.get("/api/v1/overview").json()["total"]
    assert total["interval"][0] < total["restricted"] < total["interval"][1]
    headline = re.search(r"<h1.*?</h1>", client.get("/en/").text, re.DOTALL)
    assert headline is not None
    assert f"{round(100 * total['restricted'])}\u00a0%" in headline[0]


def test_moscow_and_petersburg_are_found_to_be_worst_and_max_untouched(client: TestClient) -> None:
    days = "since=2025-08-12&until=2025-08-16"
    shares = {one["region"]: one["share"] for one in client.get(f"/api/v1/regions?{days}").json()}
    public = {region: one for region, one in shares.items() if one["public"] and one["restricted"] is not None}
    worst = sorted(public, key=lambda region: -public[region]["restricted"])[:2]
    assert set(worst) == {"RU-MOW", "RU-SPE"}
    for cell in client.get(f"/api/v1/matrix?{days}").json():
        if cell["app"] in ("max", "signal") or cell["function"] != "voice":
            assert cell["share"]["restricted"] is None or cell["share"]["interval"][1] < 0.02, cell


def test_onsets_are_found_on_the_day_of_the_onset_and_nowhere_else(client: TestClient) -> None:
    events = [one for one in client.get("/api/v1/events").json() if one["kind"] == "event"]
    assert len(events) >= 5
    assert {one["onset"][:10] for one in events} <= {"2025-08-11", "2025-08-12"}
    assert {one["onset"][:10] for one in events} & {"2025-08-11"}
    for app in ("signal", "max"):
        assert client.get("/api/v1/events", params={"app": app}).json() == []


def test_networks_that_were_off_are_told_by_themselves_and_accuse_nobody(client: TestClient) -> None:
    off = client.get("/api/v1/outages").json()
    assert {(one["asn"], one["region"], one["state"], one["since"], one["until"]) for one in off} == {
        (64521, "RU-SAR", "offline", "2025-08-06", "2025-08-07"),
        (64525, "RU-DA", "offline", "2025-08-06", "2025-08-07"),
        (65541, "RU-ROS", "offline", "2025-08-06", "2025-08-07"),
    }
    assert all(one["share"] == 1.0 and one["participants"] >= K for one in off)
    page = client.get("/en/network/64521/").text
    assert "No internet at all was met on 6–7 August 2025" in page
    assert "too little was measured on this network" in page, "the days after were measured by few"
    assert 'class="span offline"' in page
    shown = client.get("/ru/").text
    assert "Сети без интернета" in shown
    assert "интернета нет совсем" in shown
    during, after = (client.get(f"/en/?since={a}&until={b}").text for a, b in (("2025-08-06", "2025-08-09"), ("", "")))
    beside = re.compile(r'<ul class="beside">.*?</ul>', re.DOTALL)
    assert "No internet at all" in beside.findall(during)[0]
    assert "No internet at all" not in beside.findall(after)[0], "the last week had none"


def test_what_was_said_and_decided_is_told_in_both_languages(client: TestClient) -> None:
    cyrillic = re.compile("[а-яё]")
    for claim in ledger():
        assert claim.ru is not None, claim.id
        assert cyrillic.search(claim.ru.statement), claim.id
        assert (claim.ru.not_measurable is None) == (claim.not_measurable is None), claim.id
    for event in timeline():
        assert event.ru is not None, event.event
        assert cyrillic.search(event.ru), event.event
    english, russian = (client.get(f"/{language}/claims/").text for language in ("en", "ru"))
    for claim in ledger():
        assert (escape(claim.statement) in english, escape(claim.statement) in russian) == (True, False), claim.id
        assert claim.ru is not None
        assert escape(claim.ru.statement) in russian, claim.id
    assert "First mass reports of failing calls" not in client.get("/ru/").text
    assert "Первые массовые жалобы" in client.get("/ru/").text


def test_a_claim_shows_the_numbers_that_it_was_held_against(client: TestClient) -> None:
    found = {one["id"]: one for one in client.get("/api/v1/claims").json()}
    page = client.get("/en/claims/").text
    assert {found[id]["answer"] for id in ("C01", "C02", "C03", "C05")} == {"supported"}
    share = found["C01"]["conditions"][0]
    assert share["interval"][0] < share["estimate"] < share["interval"][1]
    article = re.search(r'<article id="C01".*?</article>', page, re.DOTALL)
    assert article is not None
    assert f"{100 * share['estimate']:.0f}\u00a0%" in article[0]
    late = found["C28"]
    assert (late["answer"], late["n"]) == ("untested", 0), "no data of those days: no event was missed either"


def test_contrasts_are_told_with_intervals_and_the_gap_to_max_is_withheld(client: TestClient) -> None:
    told = client.get("/api/v1/contrasts").json()
    apart = [one["region"] for one in told["regions"] if one["settled"]]
    section = re.search(r'<section id="contrasts">.*?</section>', client.get("/en/").text, re.DOTALL)
    assert section is not None
    assert apart
    for region in apart:
        assert regions("RU")[region].en in section[0]
    assert "Withheld" in section[0]
    assert "98–100\u00a0%" in section[0] or told["bypass"]["interval"][0] < 0.98
    assert 'id="contrasts"' not in client.get("/en/of/whatsapp/voice/vpn/").text


def test_the_map_is_drawn_from_the_apis_numbers(client: TestClient) -> None:
    shares = {one["region"]: one["share"] for one in client.get("/api/v1/regions").json()}
    tiles = dict(re.findall(r'<g class="tile (\w+)" data-region="([\w-]+)">', client.get("/en/").text))
    drawn = {
        region: shade
        for shade, region in re.findall(r'class="tile (\w+)" data-region="([\w-]+)"', client.get("/en/").text)
    }
    assert tiles
    assert set(drawn) == set(regions("RU"))
    for region, shade in drawn.items():
        share = shares.get(region, {}).get("restricted")
        assert (shade == "few") == (share is None), region
    assert drawn["RU-CHU"] == "few", "two people are too few to be shown, and never shown as good"


def test_fewer_people_than_k_leave_no_number_behind(client: TestClient) -> None:
    for address in ("regions", "networks", "matrix", "timeline"):
        for row in client.get(f"/api/v1/{address}").json():
            share = row["share"]
            assert share["public"] == (share["participants"] >= K)
            if not share["public"]:
                assert (share["restricted"], share["interval"], share["n"]) == (None, None, 0)


def test_days_in_the_address_are_what_is_shown(client: TestClient) -> None:
    page = client.get("/en/?since=2025-08-06&until=2025-08-09").text
    assert "no network was seen to treat" in page
    assert 'value="2025-08-06"' in page


def test_links_from_chosen_days_to_networks_and_languages_keep_them(client: TestClient) -> None:
    days = "?since=2025-08-06&until=2025-08-09"
    network = f"network/64496/{days}"
    for place in (f"en/{days}", f"en/networks/{days}"):
        found = [one for one in links(client.get(f"/{place}").text).links if "/network/" in one]
        assert found
        assert all(one.endswith(days) for one in found)
    page = client.get(f"/en/{network}").text
    assert "6–9 August 2025" in page
    assert {f"../../../ru/{network}", f"../../../api/v1/networks/64496{days}"} <= set(links(page).links)
    assert not [one for one in links(client.get("/en/").text).links if "/network/" in one and "?" in one]


def test_a_published_measurement_shows_rounds_and_the_growing_e_value(client: TestClient, pages: Pages) -> None:
    report, number, measurement = pages.published.newest(1)[0]
    answer = client.get(f"/en/measurement/{report}/{number}/")
    assert answer.status_code == 200
    assert 'id="growth"' in answer.text
    assert answer.text.count('class="own"') > 10
    picture = answer.text.partition('id="growth"')[2].partition("</section>")[0]
    assert picture.count("<tr>") == 1 + picture.count('class="dot"'), "a row behind every point of the picture"
    assert client.get(f"/api/v1/measurements/{report}").json()["rounds"]
    assert client.get("/en/measurement/nobody/0/").status_code == 404
    assert measurement.verdict.status == "restricted"


def test_names_of_rounds_stand_apart_however_many_there_are() -> None:
    for n in (1, 2, 4, 5, 9, 14, 40):
        found = [Drawn(i + 1, "relay-call", 2.0**i, 1.0, []) for i in range(n)]
        assert 1 <= n // growth(found, 33_000.0).apart <= 4 or n < 4


@pytest.mark.parametrize("what", ["events", "outages"])
def test_events_and_outages_can_be_asked_for_by_day_and_by_network(client: TestClient, what: str) -> None:
    def asked(**bounds: object) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = client.get(f"/api/v1/{what}", params=bounds).json()
        return found

    def days(one: dict[str, Any]) -> tuple[str, str]:
        begins = one["since"] if what == "outages" else one["onset"] or one["windows"][0][0]
        return begins[:10], (one["until"] if what == "outages" else one["end"] or "9999")[:10]

    every, kept = asked(), set()
    for number in range(5, 14):
        day = f"2025-08-{number:02}"
        assert asked(until=day) == [one for one in every if days(one)[0] <= day]
        assert asked(since=day) == [one for one in every if days(one)[1] >= day]
        kept.add(len(asked(since=day, until=day)))
    assert kept >= {0, len(every)}
    network = every[0]["asn"]
    assert asked(asn=network) == [one for one in every if one["asn"] == network] != []
    assert client.get(f"/api/v1/{what}", params={"since": "2025-08-12", "until": "2025-08-11"}).status_code == 400


@pytest.mark.parametrize("what", ["events", "outages"])
def test_a_page_of_events_has_an_end_and_says_what_it_leaves_out(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    whole = client.get(f"/en/{what}/").text
    assert "left out" not in whole
    every = re.findall(r"<tr>.*?</tr>", whole, re.DOTALL)[1:]
    monkeypatch.setattr(view_pages, "MOST_EVENTS", 2)
    page = client.get(f"/en/{what}/").text
    assert re.findall(r"<tr>.*?</tr>", page, re.DOTALL)[1:] == every[-2:], "the last ones"
    assert f"Earlier ones left out here: {len(every) - 2}. All are in the data." in page


def test_a_page_of_days_has_an_end_and_says_what_it_leaves_out(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = client.get("/en/days/").text
    assert "left out" not in whole
    days = whole.count("<tr>") - 1
    monkeypatch.setattr(view_pages, "MOST_DAYS", 4)
    for address in ("/en/days/", "/en/network/64496/whatsapp/voice/"):
        page = client.get(address).text
        assert page.count("<tr>") == 1 + 4
        assert f"Earlier days left out here: {days - 4}." in page
    chosen = client.get("/en/days/?since=2025-08-07&until=2025-08-10").text
    assert "10 August 2025" in chosen
    assert "11 August 2025" not in chosen.partition("<tbody>")[2]


def test_errors_are_problems_for_programs_and_pages_for_people(client: TestClient) -> None:
    for address in ("/api/v1/regions?app=%3Cb%3E", "/api/v1/overview?since=yesterday"):
        answer = client.get(address)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
        assert answer.json()["status"] == 400
    for address in ("/api/v1/nothing", "/api/v1/networks/1", "/api/v1/measurements/x"):
        answer = client.get(address)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    for address in ("/ru/nothing/", "/ru/network/1/", "/ru/event/x/", "/ru/network/99999999999999999999/"):
        answer = client.get(address)
        assert answer.status_code == 404
        assert "Такой страницы нет" in answer.text


@pytest.mark.parametrize(
    "address",
    [
        "no/",
        "no",
        "event/x/",
        "network/1/",
        "network/1/whatsapp/voice/",
        "?since=x",
        "of/a/b/c/?since=x",
        "of/a%2Fb/b/c/",
    ],
)
def test_what_is_refused_has_its_style_and_its_language(empty: Pages, address: str) -> None:
    with TestClient(application(empty)) as client:
        page = client.get(f"/ru/{address}")
        assert page.status_code in (400, 404)
        assert '<html lang="ru">' in page.text
        (style,) = re.findall(r'href="([^"]*style.css)"', page.text)
        assert urljoin(f"http://testserver.local/ru/{address}", style) == "http://testserver.local/static/style.css"


def test_openapi_describes_every_quantity(client: TestClient) -> None:
    described = client.get("/api/v1/openapi.json").json()["paths"]
    wanted = ("overview", "regions", "networks", "matrix", "timeline", "events", "outages", "contrasts", "claims")
    assert {f"/api/v1/{name}" for name in wanted} <= set(described)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_an_empty_store_breaks_no_page(empty: Pages, language: str) -> None:
    with TestClient(application(empty)) as client:
        for place in PLACES[:-1]:
            assert client.get(f"/{language}/{place}").status_code == 200, place
        assert client.get(f"/{language}/network/64496/").status_code == 404
        for name in (
            "overview",
            "regions",
            "networks",
            "matrix",
            "timeline",
            "events",
            "outages",
            "contrasts",
            "claims",
        ):
            assert client.get(f"/api/v1/{name}").status_code == 200, name


def test_one_measurement_is_shown_to_be_too_little(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.append([one_of()])
    with shown_by(lake, tmp_path) as client:
        page = client.get("/en/").text
        assert "too few people" in page
        assert client.get("/en/network/64500/").status_code == 200
        assert client.get("/api/v1/overview").json()["total"]["restricted"] is None


def test_hostile_words_in_every_field_stay_words(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    fields = ("app", "function", "path", "region", "mechanism", "trigger", "reason", "network_state", "pseudonym")
    people = [
        one_of(**{field: HOSTILE.replace("\x00", "")}, measurement=f"{field}-{n}", cluster=f"c{n}")
        for field in fields
        for n in range(K + 1)
    ]
    lake.append(people)
    with shown_by(lake, tmp_path) as client:
        bad = quote(HOSTILE, safe="")
        for place in ("", "network/64500/", "claims/", f"of/{bad}/voice/direct/", f"event/{bad}/"):
            answer = client.get(f"/en/{place}")
            assert answer.status_code < 500, place
            assert "script" not in links(answer.text).tags, place
            assert not re.search("[\u202a-\u202e\x00]", answer.text), place
            assert "49" not in re.findall(r"alert\(1\)[^7]{0,12}(49)", answer.text)


@pytest.mark.slow
@pytest.mark.timeout(600)  # every page and every datum there is: several hundred files
def test_the_published_site_is_whole_without_a_server(pages: Pages, tmp_path: Path) -> None:
    assert publish(pages, tmp_path) > 100
    for file in tmp_path.rglob("*.html"):
        found = links(file.read_text("utf-8"))
        for link in [*found.links, *found.fetched]:
            if link.startswith("#"):
                continue
            target = urljoin(f"/{file.relative_to(tmp_path).as_posix()}", link).lstrip("/").partition("#")[0]
            assert (tmp_path / target).is_file(), (
                file,
                link,
            )  # a folder's address shows a list when opened from a disk
    whole = (tmp_path / "ru" / "networks" / "index.html").read_text("utf-8")
    assert whole.count('/index.html">') > 30, "of a long table all rows"


def test_a_damaged_store_is_the_observatorys_fault_and_no_file_of_it_is_named(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.append([one_of()])
    for part in (tmp_path / "lake" / "observations").rglob("*.parquet"):
        part.write_bytes(b"PAR1 torn")
    with shown_by(lake, tmp_path) as client:
        for address in ("/en/", "/api/v1/overview"):
            answer = client.get(address)
            assert answer.status_code == 500
            assert str(tmp_path) not in answer.text
