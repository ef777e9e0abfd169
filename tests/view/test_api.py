"""The API held to its own description: whatever is asked, within the description or not."""

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar.testing import TestClient
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from ringback.view import Pages, application

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
load_all_checks()
WANTED = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")
OPERATIONS = (
    *("overview", "regions", "networks", "network", "matrix", "timeline"),
    *("events", "outages", "contrasts", "claims", "measurement"),
)
BREAKABLE = [one for one in OPERATIONS if one not in ("outages", "claims", "measurement")]  # nothing to get wrong
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def described(pages: Pages) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", application(pages))


def test_every_operation_is_called_below(described: schemathesis.BaseSchema) -> None:
    found = [one.ok().definition.raw["operationId"] for one in described.get_all_operations()]
    assert sorted(found) == sorted(OPERATIONS)


@pytest.mark.parametrize(
    ("operation", "mode"),
    [(one, GenerationMode.POSITIVE) for one in OPERATIONS] + [(one, GenerationMode.NEGATIVE) for one in BREAKABLE],
)
@given(data=st.data())
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_answer_is_as_described_and_every_error_a_problem(
    described: schemathesis.BaseSchema, operation: str, mode: GenerationMode, data: st.DataObject
) -> None:
    """mode: within the description, or breaking it."""
    found = described.find_operation_by_id(operation)
    case = data.draw(found.as_strategy(generation_mode=mode))
    answer = case.call(timeout=300)
    case.validate_response(answer, checks=[CHECKS.get_one(name) for name in WANTED])
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == [PROBLEM]
        told = json.loads(answer.content)
        assert told["status"] == answer.status_code
        assert set(told) == {"type", "title", "status", "detail"}
        assert all(told[name] for name in ("type", "title", "detail"))


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("overview?app=", 400),
        ("regions?since=2025-02-30", 400),
        ("regions?since=2025-08-12&until=2025-08-01", 400),
        ("regions?since=20250812", 400),
        ("regions?since=2025-W33-3", 400),
        ("regions?app=whatsapp&app=telegram", 400),
        (f"regions?app={'x' * 50_000}", 400),
        ("timeline?asn=-1", 400),
        ("timeline?asn=many", 400),
        ("timeline?asn=99999999999999999999999999", 400),
        ("networks/4294967296", 400),
        ("networks/AS64500", 404),
        ("measurements/%00", 404),
        ("measurements/..%2F..%2Fnetworks.json", 404),
        ("overview/more", 404),
    ],
)
def test_what_nobody_can_mean_is_refused_in_one_form(client: TestClient, address: str, status: int) -> None:
    answer = client.get(f"/api/v1/{address}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    assert answer.json()["status"] == status
    assert client.post(f"/api/v1/{address}").status_code in (404, 405)


@pytest.mark.parametrize(
    ("address", "named", "allowed"),
    [
        ("overview?form=2025-08-01", "form", ["app", "function", "path", "since", "until"]),
        ("regions?app=telegram&Since=2025-08-01", "Since", ["app", "function", "path", "since", "until"]),
        ("timeline?since=2025-08-01", "since", ["app", "function", "path", "asn"]),
        ("events?path=vpn", "path", ["app", "function", "since", "until", "asn"]),
        ("contrasts?path=vpn", "path", ["app", "function", "since", "until"]),
        ("networks/64496?asn=64497", "asn", ["since", "until"]),
        ("outages?app=whatsapp", "app", ["since", "until", "asn"]),
        ("claims?id=C01", "id", []),
        ("measurements/nobody?report=x", "report", []),
        (f"overview?{'x' * 5000}=1", "x" * 40, ["app", "function", "path", "since", "until"]),
        ("overview?%3Cscript%3E=", "<script>", ["app", "function", "path", "since", "until"]),
    ],
)
def test_a_parameter_that_is_not_there_is_named_beside_those_that_are(
    client: TestClient, address: str, named: str, allowed: list[str]
) -> None:
    answer = client.get(f"/api/v1/{address}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, PROBLEM)
    told = answer.json()["detail"]
    assert told.startswith(f"`{named}`: is no parameter of /api/v1/")
    assert told.partition("; ")[2].split("`")[1::2] == allowed


@pytest.mark.parametrize("place", ["/en/", "/api/v1/overview", "/api/v1/networks/64496", "/static/style.css"])
@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_head_is_answered_as_get_without_the_content(client: TestClient, place: str, coding: str) -> None:
    wanted = {"accept-encoding": coding, "accept": "nothing/known"}
    whole, bare = client.get(place, headers=wanted), client.head(place, headers=wanted)
    assert (bare.status_code, bare.content, bare.headers) == (200, b"", whole.headers)
    assert client.head(f"{place}?{'x' * 50_000}=1").status_code == (400 if "api" in place else 200)


@pytest.mark.parametrize("place", ["/en/", "/api/v1/overview"])
def test_what_can_not_be_done_says_what_can(client: TestClient, place: str) -> None:
    answer = client.post(place)
    assert answer.status_code == 405
    assert {"GET", "HEAD"} <= set(answer.headers["allow"].split(", "))


def test_pages_take_links_with_what_others_hung_on_them(client: TestClient) -> None:
    assert client.get("/en/?utm_source=post&since=2025-08-06").status_code == 200
