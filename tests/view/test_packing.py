"""Answers are packed for those who can unpack them, by whichever server gives them, and are the same."""

import gzip

import pyarrow as pa
import pytest
from litestar.testing import TestClient

from ringback.peer.http import application as served
from ringback.view import Pages, router
from ringback.view.packing import CODINGS, LEAST, chosen

MANY = ("/en/", "/ru/claims/", "/static/style.css", "/api/v1/regions", "/api/v1/openapi.json")


def got(client: TestClient, path: str, accepted: str) -> tuple[bytes, str | None]:
    """The bytes that came over the wire, and their coding."""
    with client.stream("GET", path, headers={"Accept-Encoding": accepted}) as answer:
        body = b"".join(answer.iter_raw())
        assert answer.status_code == 200
        assert answer.headers["vary"] == "Accept-Encoding"
        assert int(answer.headers["content-length"]) == len(body)
        assert answer.headers["content-security-policy"]
        return body, answer.headers.get("content-encoding")


@pytest.fixture
def beside(pages: Pages) -> TestClient:
    """As `ringback serve` and `demo` mount them: beside the peer's own handlers."""

    async def answer(what: str, body: bytes, source: str) -> bytes:
        return b"0" * 5000

    return TestClient(served(answer, {"ports": {str(n): n for n in range(500)}}, [router(pages)]))


@pytest.mark.parametrize("path", MANY)
def test_what_is_packed_is_what_is_given_unpacked(client: TestClient, path: str) -> None:
    plain, none = got(client, path, "identity")
    assert none is None
    packed, coding = got(client, path, "gzip, deflate")
    assert coding == "gzip"
    assert gzip.decompress(packed) == plain
    assert len(packed) < len(plain) / 2
    smaller, coding = got(client, path, "gzip, deflate, br, zstd")
    assert coding == "br"
    assert pa.decompress(smaller, len(plain), "brotli", asbytes=True) == plain


def test_the_first_page_is_a_tenth_of_its_length(client: TestClient) -> None:
    assert len(got(client, "/en/", "gzip")[0]) < 0.2 * len(got(client, "/en/", "identity")[0])


def test_short_answers_stay_as_they_are(client: TestClient) -> None:
    body, coding = got(client, "/static/icon.svg", "gzip")
    assert len(body) < LEAST
    assert coding is None


def test_the_served_application_packs_pages_and_not_what_a_peer_says(beside: TestClient) -> None:
    with beside as client:
        assert got(client, "/en/", "gzip")[1] == "gzip"
        assert got(client, "/api/v1/regions", "gzip")[1] == "gzip"
        assert got(client, "/en/", "identity")[1] is None
        peer = client.get("/v1/peer", headers={"Accept-Encoding": "gzip"})
        control = client.post("/v1/control/round", headers={"Accept-Encoding": "gzip"})
        assert "content-encoding" not in peer.headers
        assert (control.content, "content-encoding" in control.headers) == (b"0" * 5000, False)


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=0, *;q=0", None),
        ("x-gzipped", None),
        ("deflate, zstd", None),
        ("*", CODINGS[0]),
        ("br;q=0, *", "gzip"),
        ("br;q=0.1, gzip;q=0.9", "gzip"),
        ("gzip, deflate, br", "br"),
        ("gzip; q = 0.5", "gzip"),
        ("gzip;q=nonsense", None),
        ("gzip;q=nan", None),
        (",;=,", None),
    ],
)
def test_a_header_chooses(accepted: str, coding: str | None) -> None:
    assert chosen(accepted) == coding
