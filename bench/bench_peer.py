"""How many calls one core of a peer carries: exchanges of 50 packets a second each way, each with a 5-tuple and a grant
of its own, with less than 0.1 % of loss that the peer inflicts itself, beside a bare UDP echo on asyncio.

The peer, the echo and the client that speaks to them run in processes of their own, client and server on a core each.
A packet counts as lost that was sent and had not arrived a second after the last one was due. A peer whose packets
leave later than a call's receiver waits for them doesn't carry the call either, even where none is lost.
"""

import asyncio
import json
import os
import resource
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

from ringback.flow.script import DatagramScript, Send
from ringback.net.far import FarDriver
from ringback.record import Arm, ExchangeSpec
from ringback.trial import control
from ringback.trial.far import FarEnd, Settings

RATE = 50  # packets a second and direction
SIZE = 160  # bytes of a packet's payload
SECONDS = 4.0
MOST_LOSS = 0.001
MOST_LATE_MS = 100.0  # of 99 % of what the peer sends; jitter buffers hold 100 to 200 ms
FIRST, STEPS = 64, 4  # exchanges of the first attempt; halvings of the interval after doubling
BUFFER = 1 << 20


def script_of(spec: ExchangeSpec, seed: bytes) -> DatagramScript:
    count = int(RATE * spec.seconds)
    near, far = (
        tuple(Send(i / RATE + shift, (kind + i.to_bytes(3, "big") + seed).ljust(SIZE, kind)) for i in range(count))
        for kind, shift in ((b"n", 0.0), (b"f", 0.5 / RATE))
    )
    return DatagramScript(near, far, spec.seconds)


# -- the servers ------------------------------------------------------------------------------------------------


def open_exchanges(end: FarEnd, port: int, count: int) -> list[str]:
    """Seeds in hexadecimal, of a session each with one round of one exchange."""
    seeds = []
    for _ in range(count):
        body = control.encode(control.OpenRequest(control.VERSION, []))
        grant = control.decode(end.answer("open", body, "127.0.0.1", 0.0), control.Grant, "bench")
        spec = ExchangeSpec(1, "bench", "voice", None, None, "bench", Arm("original", "app"), "udp", port, SECONDS)
        end.answer("round", control.encode(control.RoundRequest(grant.session, 1, [spec])), "127.0.0.1", 0.0)
        seeds.append(grant.seed.hex() + grant.session)
    return seeds


async def serve_peer(count: int) -> None:
    settings = Settings({"udp": [1], "tcp": [1]}, os.urandom, lambda message: b"", b"", max_sessions=count)
    end = FarEnd(settings, lambda spec, seed, replays: script_of(spec, seed))
    driver = FarDriver(end)
    port = (await driver.start("127.0.0.1", [0], [])).udp[0]
    print(json.dumps({"port": port, "seeds": open_exchanges(end, port, count)}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    halves = list(end._flows.values())  # what an outcome would tell, without packing it 500 times
    late = sorted(
        sent - half.anchor - due.at
        for half in halves
        for sent, due in zip(half.sent, half.script.far, strict=True)
        if sent is not None and half.anchor is not None
    )
    arrived = sum(t is not None for half in halves for t in half.received)
    sent = sum(t is not None for half in halves for t in half.sent)
    await driver.stop()
    report({"arrived": arrived, "sent": sent, "late_ms": 1000 * late[int(0.99 * len(late))] if late else None})


class Echo(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.arrived = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.arrived += 1
        self.transport.sendto(data, addr)


async def serve_echo(count: int) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, 4 << 20)
    _, echo = await asyncio.get_running_loop().create_datagram_endpoint(Echo, sock=sock)
    seeds = [os.urandom(32).hex() for _ in range(count)]
    print(json.dumps({"port": sock.getsockname()[1], "seeds": seeds}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    report({"arrived": echo.arrived, "sent": echo.arrived, "late_ms": None})


def report(facts: dict[str, object]) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({**facts, "memory_mb": used.ru_maxrss / 1024, "cpu_s": used.ru_utime + used.ru_stime}), flush=True)


# -- the client -------------------------------------------------------------------------------------------------


def speak(port: int, seeds: list[bytes]) -> dict[str, int]:
    """Sends every exchange's packets when they are due, and counts what comes back."""
    poll = select.epoll()
    socks: dict[int, socket.socket] = {}
    schedule: list[tuple[float, socket.socket, bytes]] = []
    spec = ExchangeSpec(1, "bench", "voice", None, None, "bench", Arm("original", "app"), "udp", port, SECONDS)
    for i, seed in enumerate(seeds):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.connect(("127.0.0.1", port))
        socks[sock.fileno()] = sock
        poll.register(sock.fileno(), select.EPOLLIN)
        shift = i / len(seeds) / RATE
        schedule += [(send.at + shift, sock, send.data) for send in script_of(spec, seed).near]
    schedule.sort(key=lambda item: item[0])
    sent = came = at = 0
    began = monotonic()
    until = SECONDS + 1.0
    while (now := monotonic() - began) < until:
        while at < len(schedule) and schedule[at][0] <= now:
            try:
                schedule[at][1].send(schedule[at][2])
                sent += 1
            except BlockingIOError:
                pass
            at += 1
        for number, _ in poll.poll(0.0005, 256):
            try:
                while True:
                    socks[number].recv(2048)
                    came += 1
            except BlockingIOError:
                continue
    for sock in socks.values():
        sock.close()
    return {"sent": sent, "came": came}


def attempt(server: str, count: int) -> dict[str, float]:
    """One run: loss in each direction, and what the server says of itself."""
    here = [sys.executable, "-m", "bench.bench_peer"]
    root = Path(__file__).resolve().parents[1]
    with subprocess.Popen(
        [*here, server, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as far:
        assert far.stdout is not None
        assert far.stdin is not None
        told = json.loads(far.stdout.readline())
        client = subprocess.run(
            [*here, "client", str(told["port"])],
            input=json.dumps(told["seeds"]), capture_output=True, text=True, check=True, cwd=root,
        )  # fmt: skip
        near = json.loads(client.stdout)
        far.stdin.write("\n")
        far.stdin.flush()
        facts = json.loads(far.stdout.readline())
    lost_up = 1 - facts["arrived"] / max(near["sent"], 1)
    expected = count * int(RATE * SECONDS)
    lost_down = 1 - near["came"] / (expected if server == "peer" else max(near["sent"], 1))
    return {**facts, "loss": max(lost_up, lost_down)}


def carried(seen: dict[str, float]) -> bool:
    return seen["loss"] < MOST_LOSS and (seen["late_ms"] or 0.0) < MOST_LATE_MS


def most(server: str) -> tuple[int, dict[str, float]]:
    """The most exchanges that a server carries, and the facts of that run."""
    good, bad = 0, None
    facts: dict[str, float] = {}
    count = FIRST
    for _ in range(STEPS + 6):
        seen = attempt(server, count)
        if not carried(seen):  # others use this machine too: what fails twice fails
            seen = attempt(server, count)
        if carried(seen):
            good, facts = count, seen
        else:
            bad = count
        if bad is None:
            count *= 2
        elif (bad - good) <= max(bad // (1 << STEPS), 8):
            break
        else:
            count = (good + bad) // 2
    return good, facts


def pin(core: int) -> None:
    """To one core, where there are two and the system lets us."""
    if hasattr(os, "sched_setaffinity") and len(cores := sorted(os.sched_getaffinity(0))) > 1:
        os.sched_setaffinity(0, {cores[core]})


def run() -> Iterator[dict[str, object]]:
    calls, facts = most("peer")
    echoed, bare = most("echo")
    yield row("calls that one peer core carries", calls, "exchanges of 50 packets/s each way", echoed)
    yield row("peak memory of a peer that carries them", facts["memory_mb"], "MB", bare["memory_mb"])
    late = facts["late_ms"]
    yield {
        "name": "99th percentile of how late such a peer sends", "value": round(late, 2), "unit": "ms",
        "peer": None, "peer_value": None, "ratio": None,
    }  # fmt: skip


def row(name: str, value: float, unit: str, other: float) -> dict[str, object]:
    return {
        "name": name, "value": round(value, 1), "unit": unit,
        "peer": "bare UDP echo, asyncio", "peer_value": round(other, 1), "ratio": round(value / other, 3),
    }  # fmt: skip


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["client", number]:
            pin(1)
            seeds = [bytes.fromhex(seed)[:32] for seed in json.load(sys.stdin)]
            print(json.dumps(speak(int(number), seeds)))
        case ["peer" | "echo" as kind, number]:
            pin(0)
            asyncio.run((serve_peer if kind == "peer" else serve_echo)(int(number)))
