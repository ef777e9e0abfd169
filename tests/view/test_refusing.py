"""What is answered where nothing can be shown: by the pages alone, and by a whole server that has them among others."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar.testing import TestClient

from ringback.collect.importing.ringback import from_report
from ringback.collect.published import Published
from ringback.errors import Damaged, Unavailable
from ringback.peer.http import mounted
from ringback.store import Lake
from ringback.view import Pages, application, publish, refusing, router
from ringback.view.refusing import HEADERS
from tests.collect.reports import report

PROBLEM = "application/problem+json"


@pytest.fixture
def server(empty: Pages) -> Iterator[TestClient]:
    """Pages among what else the same server does."""
    with TestClient(mounted([router(empty)], refusing(empty))) as client:
        yield client


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """An observatory of one report."""
    Lake(tmp_path / "lake").extend(from_report(report()))
    return tmp_path


@pytest.mark.parametrize(
    ("method", "address", "status", "words"),
    [
        ("POST", "/ru/", 405, "только читать"),
        ("DELETE", "/en/claims/", 405, "takes nothing"),
        ("GET", "/ru/no/such/page/at/all", 404, "Такой страницы нет"),
        ("GET", "/nowhere", 404, "Такой страницы нет"),
        ("GET", "/ru/?since=x", 400, "Этот адрес не понять: since: это не день вида 2025-08-13"),
        ("GET", "/en/of/a%20b/voice/direct/", 400, "app is no name"),
    ],
)
def test_people_are_told_in_words_and_in_their_language(
    server: TestClient, method: str, address: str, status: int, words: str
) -> None:
    answer = server.request(method, address, headers={"accept-language": "ru"})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert words in answer.text
    assert all(answer.headers[name] == value for name, value in HEADERS.items())


@pytest.mark.parametrize(("method", "address"), [("POST", "/api/v1/overview"), ("GET", "/v1/no"), ("GET", "/api/no")])
def test_programs_are_told_in_one_form(server: TestClient, method: str, address: str) -> None:
    answer = server.request(method, address)
    assert (answer.status_code, answer.headers["content-type"]) == (405 if method == "POST" else 404, PROBLEM)


@pytest.mark.parametrize("address", ["/", "/en/", "/static/style.css", "/api/v1/overview"])
def test_each_way_of_asking_names_all_ways(server: TestClient, address: str) -> None:
    for method in ("OPTIONS", "POST", "DELETE"):
        assert server.request(method, address).headers["allow"] == "GET, HEAD, OPTIONS", method


@pytest.mark.parametrize("harm", ["cut", "gone", "list", "newer"])
def test_a_damaged_store_is_the_observatorys_fault_and_says_so(kept: Path, harm: str) -> None:
    part = next((kept / "lake" / "observations").rglob("*.parquet"))
    listed = kept / "lake" / "manifest.json"
    if harm == "cut":
        part.write_bytes(part.read_bytes()[:300])
    elif harm == "gone":
        part.unlink()
    elif harm == "list":
        listed.write_text("{")
    else:
        listed.write_text(listed.read_text().replace("ringback/lake/1", "ringback/lake/999"))
    pages = Pages.of(kept, kept / "lake")
    with TestClient(application(pages)) as client:
        page, data = client.get("/ru/claims/"), client.get("/api/v1/claims")
        assert (page.status_code, data.status_code, data.headers["content-type"]) == (500, 500, PROBLEM)
        assert "пропала или повреждена" in page.text
        assert "ringback store check" in page.text
        assert str(kept) not in page.text + data.text


def test_a_site_is_not_written_from_a_damaged_store(kept: Path) -> None:
    next((kept / "lake" / "observations").rglob("*.parquet")).unlink()
    with pytest.raises(Damaged, match="store check"):
        publish(Pages.of(kept, kept / "lake"), kept / "site")


def test_a_published_report_that_is_damaged_hinders_nothing_else(kept: Path) -> None:
    published = Published(kept / "open")
    for id in ("a" * 32, "b" * 32):
        published.put(report(id=id))
    (kept / "open" / "no-date-00").mkdir()
    next((kept / "open").rglob("a*.json")).write_text("{")
    assert {id for id, _, _ in published.newest(100)} == {"b" * 32}
    with TestClient(application(Pages.of(kept, kept / "lake"))) as client:
        assert client.get("/en/").status_code == 200
        assert client.get(f"/en/measurement/{'a' * 32}/0/").status_code == 500
        assert client.get(f"/en/measurement/{'b' * 32}/0/").status_code == 200


def test_what_this_machine_lacks_is_asked_for_again(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = Pages.of(kept, kept / "lake")

    def lacking(*_: object) -> None:
        raise Unavailable("memory ran out on this question")

    monkeypatch.setattr(pages.figures, "ledger", lacking)
    with TestClient(application(pages)) as client:
        for address in ("/en/claims/", "/api/v1/claims"):
            answer = client.get(address)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
