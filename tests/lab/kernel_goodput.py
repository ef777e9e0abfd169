"""Goodput of one download over 40 ms: the kernel's TCP through the lab's router beside the simulator's TCP.

    python -m tests.lab.kernel_goodput [--runs 5]

The same two ends, the same path and the same boxes in both columns; only what carries the bytes differs. Prints a
Markdown table of medians (and the range) in Mbit/s, from the first to the last byte asked for.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from ringback.lab import namespaces
from ringback.net import Direct, FarDriver, drive
from ringback.net import sockets as net_sockets
from ringback.sim.link import LinkParameters
from ringback.sim.net import SimNet, SimPath
from ringback.sim.packet import Box
from ringback.sim.world import World
from ringback.trial.seam import Close, Command, Connected, Delivered, Ended, Event, Open, Write
from tests.lab.boxes import Delay, Police

PARTICIPANT, PEER, PORT = "192.0.2.10", "198.51.100.10", 443
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Condition:
    name: str
    size: int
    loss: float = 0.0
    box: Callable[[], Box] | None = None
    runs: int = 99

    def path(self) -> SimPath:
        link = LinkParameters(
            rtt_ms=40, jitter_ms=0, loss=self.loss, loss_burst=1, up_kbps=1e6, down_kbps=1e6, queue_ms=200
        )
        boxes = {2: self.box()} if self.box else {}
        return SimPath(link, ("192.0.2.1", "192.0.2.2", "192.0.2.3"), boxes)


CONDITIONS = (
    Condition("no loss, 1 MB", 1_000_000),
    Condition("2 % loss each way, 1 MB", 1_000_000, loss=0.02),
    Condition("15 % loss each way, 100 kB", 100_000, loss=0.15),
    Condition("policed at 140 kbit/s, 20 kB bucket, 200 kB", 200_000, box=lambda: Police(140, 20_000), runs=3),
    Condition("150 ms more towards the participant, 1 MB", 1_000_000, box=lambda: Delay(0.15)),
)


@dataclass
class Fetching:
    """The near end: connects, asks, counts; finished with the last byte or after `PATIENCE_S`."""

    size: int
    asked: float = 0.0
    last: float = 0.0
    got: int = 0
    wake_at: float | None = PATIENCE_S
    finished: bool = False

    def start(self, now: float) -> Sequence[Command]:
        return [Open(1, "tcp", PEER, PORT, "direct")]

    def handle(self, event: Event, now: float) -> Sequence[Command]:
        if type(event) is Connected:
            self.asked = event.at
            return [Write(1, b"?")]
        if type(event) is Delivered:
            self.got += len(event.data)
            self.last = event.at
        self.finished = self.finished or self.got >= self.size or type(event) is Ended
        return ()

    def note(self, flow: object, index: int, at: float) -> bool:
        return False

    def wake(self, now: float) -> Sequence[Command]:
        self.wake_at = None
        self.finished = True
        self.last = now
        return ()

    @property
    def mbps(self) -> float:
        return self.got * 8e-6 / (self.last - self.asked) if self.last > self.asked else 0.0


@dataclass
class Giving:
    """The far end: a download to whoever says a word."""

    size: int
    wake_at: float | None = None
    finished: bool = False
    served: set[object] = field(default_factory=set)

    def start(self, now: float) -> Sequence[Command]:
        return ()

    def handle(self, event: Event, now: float) -> Sequence[Command]:
        if type(event) is Delivered and event.flow not in self.served:
            self.served.add(event.flow)
            return [Write(event.flow, bytes(self.size))]
        return [Close(event.flow)] if type(event) is Ended else ()

    def note(self, flow: object, index: int, at: float) -> bool:
        return False

    def wake(self, now: float) -> Sequence[Command]:
        return ()

    def answer(self, what: str, body: bytes, source: str, now: float) -> bytes:
        return b"{}"


def simulated(condition: Condition, seed: int) -> float:
    near = Fetching(condition.size)
    World(near, Giving(condition.size), SimNet(PARTICIPANT, PEER, {"direct": condition.path()}), seed).run(
        2 * PATIENCE_S
    )
    return near.mbps


def kernel(condition: Condition, seed: int, congestion: str) -> float:
    net = namespaces.NamespaceNet(PARTICIPANT, PEER, condition.path(), seed=seed)

    async def give(ready: namespaces.Report) -> None:
        net_sockets.CONGESTION = congestion
        driver = FarDriver(Giving(condition.size))
        await driver.start(PEER, [], [PORT])
        if driver.congestion != congestion:
            raise RuntimeError(f"this kernel gives {driver.congestion} instead of {congestion}")
        ready(None)
        await asyncio.Event().wait()

    async def fetch() -> float:
        near = Fetching(condition.size)

        async def nobody(what: str, body: bytes) -> bytes:
            return b""

        await drive(near, ask=nobody, paths={"direct": Direct()})
        return near.mbps

    with namespaces.open(net) as topology:
        topology.run_outside(lambda ready: asyncio.run(give(ready)))
        return topology.run_participant(lambda: asyncio.run(fetch()), 2 * PATIENCE_S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    columns: dict[str, Callable[[Condition, int], float]] = {
        "kernel, cubic": partial(kernel, congestion="cubic"),
        "kernel, reno": partial(kernel, congestion="reno"),
        "simulator": simulated,
    }
    print("| over 40 ms | " + " | ".join(columns) + " |")
    print("|---" * (1 + len(columns)) + "|")
    began = time.monotonic()
    for condition in CONDITIONS:
        cells = []
        for measure in columns.values():
            got = sorted(measure(condition, seed) for seed in range(1, min(runs, condition.runs) + 1))
            cells.append(f"{statistics.median(got):.3g} ({got[0]:.3g} to {got[-1]:.3g})")
        print(f"| {condition.name} | " + " | ".join(cells) + " |", flush=True)
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
