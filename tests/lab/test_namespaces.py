"""Participant and peer with kernels of their own, and our router with its boxes between them."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop

from ringback.lab import namespaces
from ringback.lab.namespaces import NamespaceNet
from ringback.net import Direct, FarDriver, drive
from ringback.sim.host import Reply
from ringback.sim.link import LinkParameters
from ringback.sim.net import SimPath
from ringback.sim.packet import Box
from ringback.trial.seam import Command, Connected, Delivered, Ended, Event, Open, Received, Refused, Send, Sent, Write
from tests.lab.boxes import Delay, Passing, Police, Refuse, Reset, Rewrite
from tests.lab.test_namespaces_processes import gone
from tests.net.ends import Diarist

pytestmark = [
    pytest.mark.namespaces,
    pytest.mark.skipif(namespaces.supported() is not None, reason=str(namespaces.supported())),
]

PARTICIPANT, PEER, HOST = "192.0.2.10", "198.51.100.10", "203.0.113.17"
ROUTERS = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4")
QUIET: dict[str, Any] = {"rtt_ms": 0.0, "jitter_ms": 0.0, "loss": 0.0, "up_kbps": 1e6, "down_kbps": 1e6}


@contextmanager
def country(boxes: dict[int, Box] | None = None, hosts: dict | None = None, **link: Any) -> Iterator[Any]:
    path = SimPath(LinkParameters(**(QUIET | link)), ROUTERS, boxes or {})
    net = NamespaceNet(PARTICIPANT, PEER, path, hosts or {}, {"udp": [3478, 599], "tcp": [443]})
    with namespaces.open(net) as topology:
        yield topology


def echo(ready) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((PEER, 599))
        ready(None)
        while True:
            data, source = sock.recvfrom(2000)
            sock.sendto(data, source)


def speak(commands: Sequence[Command], until) -> list:
    """Run a hand-made end in this process over real sockets; its diary."""
    end = Diarist(commands, until=until)

    async def nobody(what: str, body: bytes) -> bytes:
        return b""

    asyncio.run(asyncio.wait_for(drive(end, ask=nobody, paths={"direct": Direct()}), 15))
    return end.diary


def heard(kind: type, times: int = 1):
    return lambda diary: sum(type(event) is kind for event in diary) >= times


def test_forty_milliseconds_each_way_are_forty_milliseconds() -> None:
    sends = [Send(1, 0.01 * i, b"%d" % i, i) for i in range(50)]
    with country(rtt_ms=80) as topology:
        topology.run_outside(echo)
        diary = topology.run_participant(
            lambda: speak([Open(1, "udp", PEER, 599, "direct"), *sends], heard(Received, 50)), 10
        )
    sent = {event.index: event.at for event in diary if type(event) is Sent}
    trips = sorted(1000 * (event.at - sent[int(event.data)]) for event in diary if type(event) is Received)
    assert trips[0] >= 80.0
    assert trips[25] < 90  # 80.6 on an idle machine


def test_the_link_loses_the_share_it_was_given() -> None:
    def count(ready) -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((PEER, 599))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            ready(None)
            got = 0
            while sock.recv(100) != b"end":
                got += 1
            return got

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for i in range(2000):
                sock.sendto(b"x" * 50, (PEER, 599))
                if i % 20 == 19:
                    time.sleep(0.005)
            for _ in range(50):
                sock.sendto(b"end", (PEER, 599))
                time.sleep(0.002)

    with country(loss=0.15, loss_burst=1.0) as topology:
        server, _ = topology.run_outside(count)
        topology.run_participant(send, 10)
        got = server.result(5)
    assert 0.11 < 1 - got / 2000 < 0.19


def download(size: int):
    """A server of `size` bytes, and what fetches them: (seconds to connect, kbit/s of goodput)."""

    def serve(ready) -> None:
        with socket.create_server((PEER, 443)) as listener:
            ready(None)
            while True:
                sock, _ = listener.accept()
                with sock:
                    sock.recv(1)
                    sock.sendall(bytes(size))

    def fetch() -> tuple[float, float]:
        began = time.monotonic()
        with socket.create_connection((PEER, 443), timeout=20) as sock:
            connected = time.monotonic()
            sock.sendall(b"?")
            got = 0
            while data := sock.recv(1 << 16):
                got += len(data)
        assert got == size
        return connected - began, got * 8 / 1000 / (time.monotonic() - connected)

    return serve, fetch


def test_kernel_tcp_fills_an_open_link_and_shakes_hands_in_one_round_trip() -> None:
    serve, fetch = download(2_000_000)
    box = Passing()
    with country({2: box}, rtt_ms=20, down_kbps=50_000) as topology:
        topology.run_outside(serve)
        connect, kbps = topology.run_participant(fetch, 20)
    assert 0.020 <= connect < 0.05
    assert 5_000 < kbps < 50_000


def test_a_policed_download_runs_at_the_policers_rate() -> None:
    serve, fetch = download(60_000)
    with country({3: Police(140, 20_000)}, rtt_ms=40) as topology:
        topology.run_outside(serve)
        _, kbps = topology.run_participant(fetch, 20)
    assert 100 < kbps < 220  # 20 kB of the 60 come out of the bucket at once


def test_a_delaying_box_is_felt_by_the_handshake() -> None:
    serve, fetch = download(1000)
    with country({1: Delay(0.15)}) as topology:
        topology.run_outside(serve)
        connect, _ = topology.run_participant(fetch, 10)
    assert 0.15 <= connect < 0.25


def test_a_box_that_refuses_is_heard_as_icmp_from_its_address() -> None:
    commands = [Open(1, "udp", PEER, 599, "direct"), *(Send(1, 0.02 * i, b"%d" % i, i) for i in range(3))]
    with country({2: Refuse("192.0.2.2")}, rtt_ms=10) as topology:
        topology.run_outside(echo)
        diary = topology.run_participant(lambda: speak(commands, heard(Refused, 3)), 10)
    assert {(event.type, event.code, event.source) for event in diary if type(event) is Refused} == {
        (3, 3, "192.0.2.2")
    }
    assert not any(type(event) is Received for event in diary)


def test_an_established_stream_is_told_of_an_icmp_error_and_goes_on() -> None:
    serve, _ = download(1000)
    commands = [Open(1, "tcp", PEER, 443, "direct"), Write(1, b"hello")]
    with country({2: Refuse("192.0.2.2")}, rtt_ms=10) as topology:
        topology.run_outside(serve)
        diary = topology.run_participant(lambda: speak(commands, heard(Refused, 2)), 10)
    assert [type(event) for event in diary] == [Connected, Refused, Refused]  # the second for a retransmission
    assert {(event.type, event.code) for event in diary[1:]} == {(3, 3)}


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_what_is_refused_on_its_way_in_is_told_to_the_peer(loop: str) -> None:
    def answer(event: Event) -> list:
        if type(event) is Received:
            return [Send(event.flow, event.at, event.data, 0)]
        return [Write(event.flow, b"answer")] if type(event) is Delivered else []

    def serve(ready) -> list:
        end = Diarist(reply=answer)

        async def run() -> None:
            driver = FarDriver(end)
            await driver.start(PEER, [599], [443])
            ready(None)
            await asyncio.sleep(1.5)
            await driver.stop()

        (uvloop.run if loop == "uvloop" else asyncio.run)(run())
        return end.diary

    commands = [
        Open(1, "udp", PEER, 599, "direct"), *(Send(1, 0.1 * i, b"%d" % i, i) for i in range(3)),
        Open(2, "tcp", PEER, 443, "direct"), Write(2, b"question"),
    ]  # fmt: skip
    with country({2: Refuse("192.0.2.2", outward=False)}, rtt_ms=10) as topology:
        server, _ = topology.run_outside(serve)
        topology.run_participant(
            lambda: speak([*commands, Send(1, 1.0, b"end", 3)], lambda diary: sum(type(e) is Sent for e in diary) == 4),
            10,
        )
        told = [event for event in server.result(5) if type(event) is Refused]
    datagram = next(event for event in told if type(event.flow) is tuple)
    assert (datagram.flow[:2], datagram.type, datagram.code, datagram.source) == ((599, PARTICIPANT), 3, 3, "192.0.2.2")
    assert all((event.type, event.code) == (3, 3) for event in told)


def test_a_box_that_resets_ends_the_connection_at_the_word() -> None:
    serve, _ = download(1000)
    commands = [Open(1, "tcp", PEER, 443, "direct"), Write(1, b"say the secret word")]
    with country({2: Reset(b"secret")}, rtt_ms=10) as topology:
        topology.run_outside(serve)
        diary = topology.run_participant(lambda: speak(commands, heard(Ended)), 10)
    assert diary[-1].failure == "connection_reset"


def test_a_hop_limit_runs_out_at_the_router_it_was_meant_for() -> None:
    def probe(ttl: int) -> list:
        commands = [Open(1, "udp", PEER, 599, "direct", ttl), Send(1, 0.0, b"?", 0)]
        return speak(commands, lambda diary: any(type(event) in (Refused, Received) for event in diary))

    with country(rtt_ms=10) as topology:
        topology.run_outside(echo)
        diaries = topology.run_participant(lambda: [probe(ttl) for ttl in range(1, 6)], 10)
    answers = [next(event for event in diary if type(event) in (Refused, Received)) for diary in diaries]
    assert [(event.type, event.code, event.source) for event in answers[:4]] == [(11, 0, r) for r in ROUTERS]
    assert type(answers[4]) is Received


def test_a_payload_that_a_box_changed_arrives_changed() -> None:
    commands = [Open(1, "udp", PEER, 599, "direct"), Send(1, 0.0, b"quiet", 0)]
    with country({1: Rewrite(bytes.upper)}) as topology:
        topology.run_outside(echo)
        diary = topology.run_participant(lambda: speak(commands, heard(Received)), 10)
    assert [event.data for event in diary if type(event) is Received] == [b"QUIET"]


class Broken:
    def packet(self, packet, outward: bool, now: float):
        raise LookupError("a bug in a box")


def test_a_box_that_fails_is_not_taken_for_a_network_that_drops() -> None:
    def session() -> None:
        commands = [Open(1, "udp", PEER, 599, "direct"), Send(1, 0.0, b"x", 0)]
        with country({1: Broken()}) as topology:
            topology.run_participant(lambda: (speak(commands, heard(Sent)), time.sleep(0.1)), 10)

    with pytest.raises(LookupError, match="a bug in a box"):
        session()


class Relay:
    """A host on udp 3478 and tcp 443."""

    def listens(self, transport: str, port: int) -> bool:
        return (transport, port) in {("udp", 3478), ("tcp", 443)}

    def datagram(self, port: int, data: bytes, source: tuple[str, int], now: float) -> Sequence[bytes]:
        return [b"relay: " + data, source[0].encode()]

    def stream(self, port: int, received: bytes) -> Reply:
        return Reply(b"hello " + received, close=True) if len(received) == 4 else Reply()


def test_emulated_hosts_answer_on_their_ports_and_refuse_on_others() -> None:
    commands = [
        Open(1, "udp", HOST, 3478, "direct"),
        Send(1, 0.0, b"ping", 0),
        Open(2, "udp", HOST, 599, "direct"),
        Send(2, 0.0, b"ping", 0),
        Open(3, "tcp", HOST, 443, "direct"),
        Write(3, b"ping"),
        Open(4, "tcp", HOST, 444, "direct"),
    ]
    with country(hosts={HOST: Relay()}, rtt_ms=10) as topology:
        diary = topology.run_participant(lambda: speak(commands, heard(Ended, 2)), 10)
    assert [event.data for event in diary if type(event) is Received] == [b"relay: ping", PARTICIPANT.encode()]
    assert [(event.flow, event.source) for event in diary if type(event) is Refused] == [(2, HOST)]
    assert b"".join(event.data for event in diary if type(event) is Delivered) == b"hello ping"
    assert {event.flow: event.failure for event in diary if type(event) is Ended} == {
        3: None,
        4: "connection_refused",
    }


def test_nothing_of_it_is_seen_from_outside_and_an_error_takes_it_all_down() -> None:
    before = sorted(os.listdir("/sys/class/net"))
    children: list[int] = []

    def session() -> None:
        with country() as topology:
            _, pid = topology.run_outside(lambda ready: (ready(os.getpid()), time.sleep(1000)))
            children.append(pid)
            assert sorted(os.listdir("/sys/class/net")) == before
            topology.run_participant(lambda: 1 // 0, 10)

    with pytest.raises(ZeroDivisionError):
        session()
    assert all(gone(pid) for pid in children)


def test_when_the_parent_is_killed_nothing_is_left() -> None:
    script = textwrap.dedent(
        """
        import os, subprocess, sys, time
        from tests.lab.test_namespaces import country

        def serve(ready):
            inner = subprocess.Popen(["sleep", "1000"])
            ready((os.getpid(), inner.pid))
            time.sleep(1000)

        def session(report):
            report((os.getpid(), os.readlink("/proc/self/ns/net"), os.readlink("/proc/self/ns/user")))
            time.sleep(1000)

        with country() as topology:
            _, pids = topology.run_outside(serve)
            participant, net, user = topology.start_participant(session).ready(10)
            print(*pids, participant, net, user, flush=True)
            time.sleep(1000)
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        *pids, net, user = parent.stdout.readline().split()
        assert net in namespaces_in_use("net")
        assert user in namespaces_in_use("user")
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        assert parent.stdout is not None
        parent.stdout.close()
    assert all(gone(int(pid)) for pid in pids)
    until = time.monotonic() + 5
    while time.monotonic() < until and (net in namespaces_in_use("net") or user in namespaces_in_use("user")):
        time.sleep(0.02)
    assert net not in namespaces_in_use("net")
    assert user not in namespaces_in_use("user")


def namespaces_in_use(kind: str) -> set[str]:
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                found.add(os.readlink(f"/proc/{name}/ns/{kind}"))
            except OSError:
                continue
    return found
