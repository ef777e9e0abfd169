"""The peer's driver at its target: 500 exchanges of 50 packets/s each way, on uvloop, one core.

The end behind it is the smallest that answers each packet 50 ms later by the heap; the engine's own work comes on top.
The packets come from a process of its own over loopback.
"""

import asyncio
import os
import socket
import time
from collections.abc import Iterator, Sequence

import uvloop

from ringback.net import FarDriver
from ringback.trial.seam import Command, Event, Received, Send

EXCHANGES, RATE, SECONDS, SIZE = 500, 50, 4, 160
TARGET_CORES = 1.0


class Answering:
    wake_at: float | None = None
    finished = False

    def __init__(self) -> None:
        self.received = 0
        self.sent = 0

    def start(self, now: float) -> Sequence[Command]:
        return ()

    def handle(self, event: Event, now: float) -> Sequence[Command]:
        if type(event) is Received:
            self.received += 1
            return (Send(event.flow, event.at + 0.05, event.data, 0),)
        self.sent += 1
        return ()

    def note(self, flow: object, index: int, at: float) -> bool:
        return False

    def wake(self, now: float) -> Sequence[Command]:
        return ()

    def answer(self, what: str, body: bytes, source: str, now: float) -> bytes:
        return b""


def speak(port: int) -> None:
    """What 500 participants send, evenly spread over each 20 ms."""
    flows = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(EXCHANGES)]
    for flow in flows:
        flow.connect(("127.0.0.1", port))
        flow.setblocking(False)
    data, began, gap = bytes(SIZE), time.perf_counter(), 1 / (RATE * EXCHANGES)
    for packet in range(RATE * SECONDS * EXCHANGES):
        early = began + packet * gap - time.perf_counter()
        if early > 0.001:
            time.sleep(early)
        flow = flows[packet % EXCHANGES]
        flow.send(data)
        try:
            flow.recv(SIZE)
        except BlockingIOError:
            continue


async def measure() -> tuple[float, float]:
    """(cores needed at the full rate, share of the packets that were received and answered).

    On a machine that does something else as well, packets overflow while we wait for our turn; what one costs stays.
    """
    end = Answering()
    driver = FarDriver(end)
    ports = await driver.start("127.0.0.1", [0], [])
    child = os.fork()
    if not child:
        try:
            speak(ports.udp[0])
        finally:
            os._exit(0)
    spent = time.process_time()
    await asyncio.to_thread(os.waitpid, child, 0)
    await asyncio.sleep(0.1)
    spent = time.process_time() - spent
    await driver.stop()
    served = min(end.received, end.sent)
    return spent / served * RATE * EXCHANGES, served / (RATE * SECONDS * EXCHANGES)


def run() -> Iterator[dict[str, object]]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        cores, served = runner.run(measure())
    rows = (
        ("net: cores for 500 exchanges of 50 packets/s each way", cores, "cores", TARGET_CORES),
        ("net: share of their packets received and answered", served, "share", 1.0),
    )
    for name, value, unit, target in rows:
        yield {
            "name": name,
            "value": round(value, 3),
            "unit": unit,
            "peer": "target",
            "peer_value": target,
            "ratio": round(value / target, 3),
        }
