"""The peer's HTTP as a stranger meets it: what it says of itself, how it refuses, what it bounds."""

import asyncio
import json
import random
import stat
from pathlib import Path

import httpx
import pytest

from ringback.errors import BadInput, Unavailable
from ringback.peer import http, keys, limits
from ringback.peer.serving import running, wanted_ports
from ringback.trial import control
from tests.peer.asking import MSGPACK, client, cut_off, opening, post
from tests.trial.ends import far_end
from tests.wire.samples import mutate


async def answering(what: str, body: bytes, source: str) -> bytes:
    if what == "broken":
        raise RuntimeError("the fault is ours")
    if what == "refused":
        raise BadInput("not like this", "field")
    return b"%b from %b" % (body, source.encode())


def asker(address: str = "192.0.2.10") -> httpx.AsyncClient:
    app = http.application(answering, {"ports": {}, "key": ""})
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, False, client=(address, 5000)), base_url="http://peer")


def problem_of(answer: httpx.Response) -> dict:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert {"type", "title", "detail"} <= problem.keys()
    return problem


async def test_it_says_what_it_is(tmp_path: Path) -> None:
    async with running(tmp_path, "127.0.0.1", 0) as serving, client() as asking:
        said = (await asking.get(serving.url + "/v1/peer")).json()
        udp, tcp = wanted_ports()
        assert said["software"] == "ringback"
        assert set(said["ports"]) == {f"udp/{p}" for p in udp} | {f"tcp/{p}" for p in tcp}
        assert bytes.fromhex(said["key"]) == serving.key
        grant = control.decode(
            (await post(asking, serving.url, "open", control.encode(opening("udp/3478", "tcp/1")))).content,
            control.Grant,
            "test",
        )
        assert grant.key == serving.key
        assert grant.ports == {"udp/3478": said["ports"]["udp/3478"]}
        assert {len(ports) for ports in grant.other.values()} == {16}


async def test_it_ends_without_leftovers_though_connections_are_open(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with client() as asking:
        async with running(tmp_path, "127.0.0.1", 0) as serving:
            await asking.get(serving.url + "/v1/peer")
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 2.0
        assert asyncio.all_tasks() == before
        with pytest.raises(httpx.TransportError):
            await asking.get(serving.url + "/v1/peer")
    async with running(tmp_path, "127.0.0.1", serving.port) as again:
        assert again.key == serving.key, "the key is kept"


async def test_a_port_that_is_taken_is_no_peers(tmp_path: Path) -> None:
    async with running(tmp_path, "127.0.0.1", 0) as serving:
        with pytest.raises(Unavailable, match=f"port {serving.port}"):
            async with running(tmp_path, "127.0.0.1", serving.port):
                pass
    with pytest.raises(Unavailable, match=r"198\.51\.100\.1"):
        async with running(tmp_path, "198.51.100.1", 0):
            pass


async def test_refusals_are_problems(caplog: pytest.LogCaptureFixture) -> None:
    async with asker() as asking:
        assert (await post(asking, "", "echo", b"bytes")).content == b"bytes from 192.0.2.10"
        refused = await post(asking, "", "refused", b"")
        assert (refused.status_code, problem_of(refused)["detail"]) == (422, "field: not like this")
        broken = await post(asking, "", "broken", b"")
        assert broken.status_code == 500
        assert "ours" not in problem_of(broken)["detail"], "faults go to the log, not to strangers"
        assert "the fault is ours" in caplog.text
        for answer, status in ((await asking.get("/nosuch"), 404), (await asking.get("/v1/control/open"), 405)):
            assert answer.status_code == status
            problem_of(answer)
        large = await post(asking, "", "echo", bytes(http.MOST_BYTES + 1))
        assert large.status_code == 413
        problem_of(large)


async def test_what_can_be_read_can_be_read_in_every_way_and_says_so() -> None:
    async with asker() as asking:
        whole, bare = await asking.get("/v1/peer"), await asking.head("/v1/peer")
        assert (bare.status_code, bare.headers) == (200, whole.headers)
        for method in ("OPTIONS", "POST"):
            assert (await asking.request(method, "/v1/peer")).headers["allow"] == "GET, HEAD, OPTIONS"
        assert (await asking.options("/v1/control/open")).headers["allow"] == "OPTIONS, POST"


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_S", 0.05)

    async def slowly():
        yield b"abc"
        await asyncio.sleep(0.5)
        yield b"def"

    async with asker() as asking:
        answer = await asking.post("/v1/control/echo", content=slowly())
        assert answer.status_code == 408
        problem_of(answer)


async def test_whoever_goes_away_within_a_body_is_told_so_and_it_is_no_fault_of_the_servers() -> None:
    assert await cut_off(http.application(answering, {}), "/v1/control/echo", {}) == 400


async def test_one_address_may_ask_so_often_and_others_are_not_hindered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "monotonic", lambda: 0.0)  # a slow machine asks less often
    app = http.application(answering, {})

    def of(address: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(address, 1)), base_url="http://peer")

    async with of("192.0.2.10") as greedy, of("192.0.2.11") as other:
        codes = [(await post(greedy, "", "open", b"")).status_code for _ in range(int(limits.SESSIONS_BURST) + 1)]
        assert codes == [200] * int(limits.SESSIONS_BURST) + [429]
        codes = [(await post(greedy, "", "echo", b"")).status_code for _ in range(int(2 * limits.REQUESTS_BURST))]
        assert codes[0] == 200
        assert codes[-1] == 429
        refused = await post(greedy, "", "echo", b"")
        assert problem_of(refused)["title"] == "Too Many Requests"
        assert int(refused.headers["retry-after"]) > 0
        assert (await post(other, "", "open", b"")).status_code == 200


def test_buckets_fill_again_and_forget_the_least_recent() -> None:
    buckets = limits.Buckets(1.0, 2.0, addresses=3)
    assert [buckets.allow("a", 0.0) for _ in range(3)] == [True, True, False]
    assert buckets.allow("a", 1.0)
    assert not buckets.allow("a", 1.5)
    for address in "bcd":
        buckets.allow(address, 2.0)
    assert len(buckets) == 3


def test_a_customer_of_ipv6_is_a_network() -> None:
    assert limits.customer("2001:db8:1:2::1") == limits.customer("2001:db8:1:2:ffff::9")
    assert limits.customer("2001:db8:1:2::1") != limits.customer("2001:db8:1:3::1")
    assert limits.customer("::ffff:192.0.2.1") == "192.0.2.1"
    assert limits.customer("no:address") == "no:address"


async def test_damaged_bodies_over_http_are_answered_or_refused() -> None:
    far = far_end()

    async def answer(what: str, body: bytes, source: str) -> bytes:
        return far.answer(what, body, source, 0.0)

    app = http.application(answer, {})
    seeds = [
        control.encode(opening("udp/3478")),
        control.encode(control.CloseRequest("s")),
        control.encode(control.RoundRequest("s", 1, [])),
    ]
    rng = random.Random(5)
    names = ["open", "round", "outcome", "vantage", "close", "%00", "..", "a/b", "é", "open?x=1"]
    seen = set()
    for number, body in enumerate(mutate(seeds, rng, 400)):
        transport = httpx.ASGITransport(app, client=(f"192.0.2.{number % 250}", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://peer") as asking:
            answer_ = await asking.post(f"/v1/control/{rng.choice(names)}", content=body, headers=MSGPACK)
        seen.add(answer_.status_code)
        if answer_.status_code != 200:
            problem_of(answer_)
    assert seen <= {200, 404, 405, 422, 429}
    assert {200, 422} <= seen


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "down"
    sign, public = keys.load(folder)
    again, same = keys.load(folder)
    assert (public, sign(b"x")) == (same, again(b"x"))
    file = folder / keys.KEY_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_bytes(b"short")
    with pytest.raises(BadInput, match=r"peer\.key"):
        keys.load(folder)


async def test_its_interface_is_described() -> None:
    async with asker() as asking:
        described = json.loads((await asking.get("/schema/openapi.json")).content)
    assert {"/v1/peer", "/v1/control/{what}"} <= described["paths"].keys()
