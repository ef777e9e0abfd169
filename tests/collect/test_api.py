"""The collector as strangers meet it: what it takes, how it refuses, what it bounds."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import jsonschema
import msgspec
import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.collect import api, unpacking
from ringback.collect import intake as taking
from ringback.collect.collector import collecting
from ringback.errors import BadInput, Unavailable
from ringback.peer.http import mounted
from ringback.record import Observation, Report
from ringback.record.json_schema import report_schema
from tests.collect.reports import encoded, report, with_raw
from tests.peer.asking import cut_off

JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}
GENEROUS = api.Allowance(1e6, 1e6)


def zstd(content: bytes) -> bytes:
    packed: bytes = pyarrow.compress(content, codec="zstd", asbytes=True)
    return packed


class Kept(list[Observation]):
    def add(self, observations: Sequence[Observation]) -> None:
        self.extend(observations)


@asynccontextmanager
async def collector(
    folder: Path, lake: Callable[[Sequence[Observation]], object], allowance: api.Allowance = GENEROUS
) -> AsyncIterator[httpx.AsyncClient]:
    async with collecting(folder, taking.sink(lake, folder), allowance=allowance) as handlers:
        transport = httpx.ASGITransport(mounted(handlers), client=("192.0.2.10", 5000))
        async with httpx.AsyncClient(transport=transport, base_url="http://collector") as client:
            yield client


def refused(answer: httpx.Response, status: int) -> str:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    problem = answer.json()
    assert problem["status"] == status
    assert {"type", "title", "detail"} <= problem.keys()
    return str(problem["detail"])


async def test_a_report_is_taken_once_however_it_is_packed_or_sent(tmp_path: Path) -> None:
    kept = Kept()
    async with collector(tmp_path, kept.add) as client:
        body = encoded(report())
        first = await client.post("/v1/reports", content=body, headers=JSON)
        assert (first.status_code, first.json()["status"]) == (201, "accepted")
        for packing, content in (("gzip", gzip.compress(body)), ("zstd", zstd(body)), ("identity", body)):
            again = await client.post("/v1/reports", content=content, headers={**JSON, "Content-Encoding": packing})
            assert (again.status_code, again.json()) == (200, {"status": "known", "id": first.json()["id"]})
    assert [one.app for one in kept] == ["signal"]
    async with collector(tmp_path, kept.add) as client:
        again = await client.post("/v1/reports", content=body, headers=JSON)
        assert again.json()["status"] == "known", "after a restart as well"
    assert len(kept) == 1


async def test_a_folder_has_one_collector_at_a_time(tmp_path: Path) -> None:
    """Two would delete each other's files while they are written to."""
    lake = Kept()
    async with collector(tmp_path, lake.add) as first:
        with pytest.raises(Unavailable, match=r"another collector takes reports into .*spool"):
            async with collector(tmp_path, lake.add):
                pass
        assert (await first.post("/v1/reports", content=encoded(report(1)), headers=JSON)).status_code == 201
    async with collector(tmp_path, lake.add) as second:
        assert (await second.post("/v1/reports", content=encoded(report(1)), headers=JSON)).status_code == 200
    assert len({one.measurement for one in lake}) == len(lake) > 0


@pytest.mark.parametrize("form", ["array", "lines"])
async def test_a_batch_says_what_became_of_each(form: str, tmp_path: Path) -> None:
    kept = Kept()
    items = [encoded(report(1)), b'{"id": 7}', encoded(report(2)), encoded(report(1))]
    body, headers = (b"[%b]" % b",".join(items), JSON) if form == "array" else (b"\n".join(items) + b"\n", NDJSON)
    async with collector(tmp_path, kept.add) as client:
        answer = await client.post(
            "/v1/reports", content=gzip.compress(body), headers={**headers, "Content-Encoding": "gzip"}
        )
        assert answer.status_code == 200
        said = answer.json()["reports"]
        assert [one["status"] for one in said] == ["accepted", "refused", "accepted", "known"]
        assert "id" in said[1]["where"]
        assert said[0]["id"] == said[3]["id"] != said[2]["id"]
    assert len(kept) == 2


async def test_a_report_with_raw_outcomes_can_be_read_where_its_sender_publishes_it(tmp_path: Path) -> None:
    ids = []
    async with collector(tmp_path, Kept().add) as client:
        for one in (with_raw(), with_raw(open=True)):
            ids.append((await client.post("/v1/reports", content=encoded(one), headers=JSON)).json()["id"])
    async with collector(tmp_path, Kept().add) as client:
        refused(await client.get(f"/v1/reports/{ids[0]}"), 404)
        read = msgspec.json.decode((await client.get(f"/v1/reports/{ids[1]}")).content, type=Report)
        assert len(read.rounds) == 1
        for odd in ("..", "%2e%2e%2fpeer.key", "*", "0" * 32):
            assert (await client.get(f"/v1/reports/{odd}")).status_code == 404


BOMB = gzip.compress(bytes(unpacking.MOST_BYTES + 1), mtime=0)


@pytest.mark.parametrize(
    ("content", "headers", "status", "word"),
    [
        (b"{", JSON, 400, "no JSON"),
        (b"\xff\xfe", JSON, 400, "no JSON"),
        (b"", JSON, 400, "no JSON"),
        (b"[]", JSON, 422, "no report"),
        (b"[1,", JSON, 400, "no JSON"),
        (b"", NDJSON, 422, "no report"),
        (b"{}", JSON, 422, "id"),
        (b"null", JSON, 422, "expected"),
        (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", JSON, 422, "deep"),
        (b"[" * 100_000 + b"]" * 100_000, JSON, 400, "no JSON"),
        (encoded(report(pseudonym=5)), JSON, 422, "$.pseudonym"),
        (encoded(report()), {"Content-Type": "text/html"}, 415, "application/json"),
        (encoded(report()), {**JSON, "Content-Encoding": "br"}, 415, "gzip"),
        (encoded(report()), {**JSON, "Content-Encoding": "gzip"}, 400, "no gzip"),
        (gzip.compress(encoded(report()), mtime=0)[:-20], {**JSON, "Content-Encoding": "gzip"}, 400, "too early"),
        (zstd(encoded(report()))[:-5], {**JSON, "Content-Encoding": "zstd"}, 400, "too early"),
        (BOMB, {**JSON, "Content-Encoding": "gzip"}, 413, "unpacked"),
        (zstd(bytes(unpacking.MOST_BYTES + 1)), {**JSON, "Content-Encoding": "zstd"}, 413, "unpacked"),
        (b" " * (api.PACKED_BYTES + 1), JSON, 413, "Large"),
        (b"\n".join([b"{}"] * (unpacking.MOST_REPORTS + 1)), NDJSON, 413, "at most"),
    ],
)
async def test_what_is_no_report_is_refused_clearly(
    content: bytes, headers: dict[str, str], status: int, word: str, tmp_path: Path
) -> None:
    kept = Kept()
    async with collector(tmp_path, kept.add) as client:
        assert (
            word.lower() in refused(await client.post("/v1/reports", content=content, headers=headers), status).lower()
        )
        assert (await client.post("/v1/reports", content=encoded(report()), headers=JSON)).status_code == 201
    assert len(kept) == 1


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def nearly(draw: st.DrawFn) -> object:
    """A report in which one value, somewhere, is any JSON."""
    changed = json.loads(encoded(with_raw(open=True)))
    at = changed
    while True:
        key = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        if isinstance(at[key], dict | list) and at[key] and draw(st.booleans()):
            at = at[key]
            continue
        at[key] = draw(anything)
        return changed


@given(anything | nearly())
def test_any_json_is_kept_or_refused(value: object) -> None:
    body = json.dumps(value).encode()
    problem = None
    try:
        single, found = api._read(body, "", False, datetime(2025, 8, 13, 10, tzinfo=UTC), api.Origin())
    except BadInput as error:
        problem = str(error)
    else:
        assert found or not single
    assert problem is None or (problem and "\n" not in problem)


@given(st.binary(max_size=300), st.sampled_from(["gzip", "zstd"]), st.booleans(), st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_damage_to_a_packing_is_refused_within_bounds(
    raw: bytes, packing: str, mend: bool, data: st.DataObject
) -> None:
    packed = bytearray((gzip.compress if packing == "gzip" else zstd)(raw * 20))
    if not mend:
        packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(packed)))
    try:
        found = unpacking.unpacked(bytes(packed[:cut]), packing, most=4000)
    except BadInput:
        assert not mend or cut < len(packed) or len(raw) * 20 > 4000
    else:
        assert len(found) <= 4000


async def test_a_lake_that_is_not_there_costs_no_report(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def none(_: Sequence[Observation]) -> None:
        raise Unavailable("the lake is dry")

    async with collector(tmp_path, none) as client:
        assert (await client.post("/v1/reports", content=encoded(report()), headers=JSON)).status_code == 201
        assert (await client.get("/v1/collector")).json()["waiting_bytes"] > 0
    kept = Kept()
    async with collector(tmp_path, kept.add) as client:
        pass
    assert len(kept) == 1


async def test_a_lake_that_fails_in_a_way_nobody_foresaw_does_not_end_the_collector(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    failed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def odd(_: Sequence[Observation]) -> None:
        loop.call_soon_threadsafe(failed.set)
        raise ValueError("an engine's own error")

    async with collector(tmp_path, odd) as client:
        assert (await client.post("/v1/reports", content=encoded(report()), headers=JSON)).status_code == 201
    async with collector(tmp_path, odd) as client:
        await failed.wait()
        await asyncio.sleep(0)
        assert (await client.post("/v1/reports", content=encoded(report(2)), headers=JSON)).status_code == 201
    assert "an engine's own error" in caplog.text
    kept = Kept()
    async with collector(tmp_path, kept.add):
        pass
    assert len(kept) == 2


async def test_who_comes_too_often_or_all_at_once_is_told_when_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with collector(tmp_path / "a", Kept().add, api.Allowance(0.1, 2.0)) as client:
        codes = [(await client.post("/v1/reports", content=encoded(report(n)), headers=JSON)) for n in range(3)]
        assert [one.status_code for one in codes] == [201, 201, 429]
        refused(codes[2], 429)
        assert int(codes[2].headers["retry-after"]) > 0
    monkeypatch.setattr(taking, "WAITING_ENTRIES", 3)
    async with collector(tmp_path / "b", Kept().add) as client:
        answers = await asyncio.gather(
            *(client.post("/v1/reports", content=encoded(report(n)), headers=JSON) for n in range(12))
        )
        turned_away = [one for one in answers if one.status_code != 201]
        assert 0 < len(turned_away) < 12
        for one in turned_away:
            refused(one, 503)
            assert int(one.headers["retry-after"]) > 0
    monkeypatch.setattr(api, "WAITING", 10)
    async with collector(tmp_path / "c", Kept().add) as client:
        answers = await asyncio.gather(
            *(client.post("/v1/reports", content=encoded(report(n)), headers=JSON) for n in range(5))
        )
        assert {one.status_code for one in answers} == {201, 503}


async def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "BODY_S", 0.05)

    async def slowly() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(0.5)
        yield b"}"

    async with collector(tmp_path, Kept().add) as client:
        refused(await client.post("/v1/reports", content=slowly(), headers=JSON), 408)


async def test_a_sender_that_goes_away_within_a_report_is_refused(tmp_path: Path) -> None:
    async with collecting(tmp_path, taking.sink(Kept().add, tmp_path), allowance=GENEROUS) as handlers:
        assert await cut_off(mounted(handlers), "/v1/reports", JSON) == 400


async def test_the_schema_is_served_and_current(tmp_path: Path) -> None:
    assert api.shipped_schema() == report_schema(), (
        "python -c \"from ringback.record.json_schema import report_schema as s; print(s().decode(), end='')\""
        " > src/ringback/record/schema/report-1.json"
    )
    async with collector(tmp_path, Kept().add) as client:
        served = (await client.get("/v1/schemas/report-1.json")).json()
    for one in (report(), with_raw(open=True)):
        jsonschema.validate(json.loads(encoded(one)), served)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"id": 7}, served)
