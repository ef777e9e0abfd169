"""The peer's driver and the participant's, end to end on loopback."""

import asyncio
import socket

import pytest

from ringback.net import Direct, FarDriver, drive
from ringback.net.far import FIRST_STREAM
from ringback.trial.seam import (
    Accepted,
    Close,
    Connected,
    Delivered,
    Ended,
    Event,
    Open,
    Received,
    Refused,
    Send,
    Sent,
    Write,
)
from tests.net.ends import Diarist
from tests.net.test_near import PATHS, closed_port, nobody

__all__ = ["closed_port"]


def echoing(event: Event) -> list:
    if type(event) is Received:
        return [Send(event.flow, event.at + 0.01, b"far " + event.data, 7)]
    if type(event) is Delivered:
        return [Write(event.flow, b"far " + event.data)]
    return []


async def test_datagrams_are_named_by_their_ends_and_sent_back_on_time() -> None:
    far = Diarist(reply=echoing)
    driver = FarDriver(far)
    ports = await driver.start("127.0.0.1", [0], [])
    near = Diarist(
        [
            Open(1, "udp", "127.0.0.1", ports.udp[0], "direct"),
            Open(2, "udp", "127.0.0.1", ports.udp[0], "direct"),
            *(Send(1 + i % 2, 0.01 * i, b"%d" % i, i) for i in range(10)),
        ],
        until=lambda diary: sum(type(e) is Received for e in diary) == 10,
    )
    await asyncio.wait_for(drive(near, ask=nobody, paths=PATHS), 10)
    await driver.stop()

    assert {e.flow[:2] for e in far.heard(Received)} == {(ports.udp[0], "127.0.0.1")}
    assert len({e.flow[2] for e in far.heard(Received)}) == 2
    assert sorted(e.data for e in near.heard(Received)) == [b"far %d" % i for i in range(10)]
    lateness = sorted(s.at - r.at - 0.01 for r, s in zip(far.heard(Received), far.heard(Sent), strict=True))
    assert lateness[0] >= 0
    assert lateness[5] < 0.01


async def test_streams_are_accepted_with_their_port_and_answered() -> None:
    far = Diarist(reply=echoing)
    driver = FarDriver(far)
    ports = await driver.start("127.0.0.1", [], [0])

    def reply(event: Event) -> list:
        return [Close(event.flow)] if type(event) is Delivered else []

    near = Diarist(
        [Open(1, "tcp", "127.0.0.1", ports.tcp[0], "direct"), Write(1, b"hello")],
        reply=reply,
        until=lambda diary: any(type(e) is Delivered for e in diary),
    )
    await asyncio.wait_for(drive(near, ask=nobody, paths=PATHS), 10)
    for _ in range(100):
        if far.heard(Ended):
            break
        await asyncio.sleep(0.01)
    await driver.stop()
    accepted = far.heard(Accepted)[0]
    assert (accepted.port, accepted.remote) == (ports.tcp[0], "127.0.0.1")
    assert accepted.flow >= FIRST_STREAM
    assert near.heard(Delivered)[0].data == b"far hello"
    assert [e.failure for e in far.heard(Ended)] == [None]


async def test_a_port_that_is_taken_is_replaced_and_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        wanted = taken.getsockname()[1]
        driver = FarDriver(Diarist())
        ports = await driver.start("127.0.0.1", [wanted, 0], [])
        await driver.stop()
    assert ports.udp[wanted] != wanted
    assert f"udp/{wanted} -> udp/{ports.udp[wanted]}" in ports.moved


async def test_a_request_is_answered_and_may_make_the_end_want_to_be_woken() -> None:
    class Asked(Diarist):
        def answer(self, what: str, body: bytes, source: str, now: float) -> bytes:
            self.wake_at = now
            return super().answer(what, body, source, now)

    far = Asked()
    driver = FarDriver(far)
    await driver.start("127.0.0.1", [], [])
    assert driver.answer("open", b"me", "::ffff:192.0.2.7") == b"answered me"
    await asyncio.sleep(0.01)
    await driver.stop()
    assert far.questions == [("open", b"me", "192.0.2.7")]
    assert len(far.woken) == 1


async def test_the_peer_tries_hosts_itself(closed_port: int) -> None:
    far = Diarist(
        [
            Open(-1, "udp", "127.0.0.1", closed_port, "direct"),
            Send(-1, 0.0, b"ping", 0),
            Open(-2, "tcp", "127.0.0.1", closed_port, "direct"),
        ]
    )
    driver = FarDriver(far, {"direct": Direct()})
    await driver.start("127.0.0.1", [0], [])
    for _ in range(100):
        if far.heard(Refused) and far.heard(Ended):
            break
        await asyncio.sleep(0.01)
    await driver.stop()
    assert (far.heard(Refused)[0].flow, far.heard(Refused)[0].code) == (-1, 3)
    assert (far.heard(Ended)[0].flow, far.heard(Ended)[0].failure) == (-2, "connection_refused")


async def test_one_bad_event_does_not_stop_the_peer(caplog: pytest.LogCaptureFixture) -> None:
    def reply(event: Event) -> list:
        if type(event) is Received and event.data == b"bad":
            raise RuntimeError("a bug")
        return echoing(event)

    driver = FarDriver(Diarist(reply=reply))
    ports = await driver.start("127.0.0.1", [0], [])
    near = Diarist(
        [
            Open(1, "udp", "127.0.0.1", ports.udp[0], "direct"),
            Send(1, 0.0, b"bad", 0),
            Send(1, 0.01, b"good", 1),
        ],
        until=lambda diary: any(type(e) is Received for e in diary),
    )
    await asyncio.wait_for(drive(near, ask=nobody, paths=PATHS), 10)
    await driver.stop()
    assert near.heard(Received)[0].data == b"far good"
    assert "a bug" in caplog.text


async def test_one_address_can_not_take_every_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringback.net.far.MAX_STREAMS_PER_ADDRESS", 3)
    far = Diarist(reply=echoing)
    driver = FarDriver(far)
    ports = await driver.start("127.0.0.1", [], [0])
    near = Diarist(
        [Open(i, "tcp", "127.0.0.1", ports.tcp[0], "direct") for i in range(5)],
        until=lambda diary: sum(type(e) is Ended for e in diary) == 2,
    )
    await asyncio.wait_for(drive(near, ask=nobody, paths=PATHS), 10)
    await driver.stop()
    assert len(far.heard(Accepted)) == 3


async def test_a_connection_on_which_nothing_moves_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringback.net.far.IDLE_S", 0.1)
    monkeypatch.setattr("ringback.net.far.SWEEP_S", 0.02)
    far = Diarist()
    driver = FarDriver(far)
    ports = await driver.start("127.0.0.1", [], [0])
    near = Diarist(
        [Open(1, "tcp", "127.0.0.1", ports.tcp[0], "direct")],
        until=lambda diary: any(type(e) is Ended for e in diary),
    )
    await asyncio.wait_for(drive(near, ask=nobody, paths=PATHS), 10)
    await driver.stop()
    assert [e.failure for e in far.heard(Ended)] == ["generic_timeout_error"]
    assert [e.failure for e in near.heard(Ended)] == ["connection_reset"]


async def test_one_listener_takes_both_families() -> None:
    far = Diarist(reply=echoing)
    driver = FarDriver(far)
    try:
        ports = await driver.start("::", [0], [0])
    except OSError:
        pytest.skip("no IPv6 here")
    near = Diarist(
        [
            Open(1, "udp", "127.0.0.1", ports.udp[0], "direct"),
            Send(1, 0.0, b"four", 0),
            Open(2, "udp", "::1", ports.udp[0], "direct"),
            Send(2, 0.0, b"six", 0),
            Open(3, "tcp", "127.0.0.1", ports.tcp[0], "direct"),
            Write(3, b"tcp"),
        ],
        until=lambda diary: sum(type(e) in (Received, Delivered) for e in diary) == 3,
    )
    await asyncio.wait_for(drive(near, ask=nobody, paths=PATHS), 10)
    await driver.stop()
    assert {e.flow[1] for e in far.heard(Received)} == {"127.0.0.1", "::1"}
    assert far.heard(Accepted)[0].remote == "127.0.0.1"
    assert near.heard(Connected)


def test_it_runs_on_uvloop_too(closed_port: int) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def talk() -> Diarist:
        driver = FarDriver(Diarist(reply=echoing))
        ports = await driver.start("127.0.0.1", [0], [0])
        near = Diarist(
            [
                Open(1, "udp", "127.0.0.1", ports.udp[0], "direct"),
                *(Send(1, 0.005 * i, b"%d" % i, i) for i in range(20)),
                Open(2, "tcp", "127.0.0.1", ports.tcp[0], "direct"),
                Write(2, b"x" * 200_000),
                Open(3, "udp", "127.0.0.1", closed_port, "direct"),
                *(Send(3, 0.03 * i, b"%d" % i, i) for i in range(3)),
            ],
            until=lambda diary: (
                sum(type(e) is Received for e in diary) == 20
                and sum(len(e.data) for e in diary if type(e) is Delivered) >= 200_000
                and sum(type(e) is Refused for e in diary) == 3
            ),
        )
        await asyncio.wait_for(drive(near, ask=nobody, paths=PATHS), 10)
        await driver.stop()
        return near

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        near = runner.run(talk())
    assert all(e.at >= 0.005 * e.index for e in near.heard(Sent) if e.flow == 1)
