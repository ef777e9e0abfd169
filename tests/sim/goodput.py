"""Goodput of the simulator's TCP beside a kernel's: prints the table of docs/tcp.md.

    python -m tests.sim.goodput [SEEDS]

A download of `size` bytes from the peer over 40 ms, without jitter, link far from full; loss in both directions, or a
policer on the data's way. Goodput counts from the connection's first packet to the last byte. The kernel's column is
what was seen once in the lab (Linux 6.18, cubic; sizes not recorded but for the first and the last);
`tests/lab/kernel_goodput.py` measures both on the same path.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from ringback.sim.link import LinkParameters
from ringback.sim.net import SimNet, SimPath
from ringback.sim.packet import Box, Packet, Passage
from ringback.sim.world import World
from ringback.trial.seam import Command, Connected, Delivered, Event, Open, Write
from tests.sim.hands import HERE, PEER, ROUTERS, HandEnd


class Policer:
    """A token bucket on what goes to the participant: IP bytes, excess dropped."""

    def __init__(self, kbps: float, burst: float) -> None:
        self._rate = kbps * 1e3 / 8
        self._burst = self._tokens = burst
        self._at = 0.0

    def packet(self, packet: Packet, outward: bool, now: float) -> tuple[Passage, ...]:
        if outward:
            return ((now, packet, True),)
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < packet.size:
            return ()
        self._tokens -= packet.size
        return ((now, packet, False),)


@dataclass(frozen=True)
class Case:
    name: str
    size: int
    loss: float
    box: Callable[[], Box] | None
    kernel: str


CASES = (
    Case("no loss", 1_000_000, 0.0, None, "27"),
    Case("2 % loss", 1_000_000, 0.02, None, "2.2"),
    Case("15 % loss", 200_000, 0.15, None, "0.08"),
    Case("policed at 140 kbit/s, 20 kB bucket", 200_000, 0.0, lambda: Policer(140, 20_000), "0.147-0.149"),
)


def goodput(size: int, loss: float, box: Box | None, seed: int, limit: float = 600.0) -> float:
    """Mbit/s of one download; of what came by `limit` seconds where it did not end."""
    got: list[tuple[float, int]] = [(0.0, 0)]

    def ask(event: Event, now: float) -> Sequence[Command]:
        if isinstance(event, Delivered):
            got.append((now, got[-1][1] + len(event.data)))
        return [Write(1, b"GET")] if isinstance(event, Connected) else []

    def serve(event: Event, now: float) -> Sequence[Command]:
        return [Write(event.flow, bytes(size))] if isinstance(event, Delivered) else []

    near = HandEnd([Open(1, "tcp", PEER, 443, "direct")], ask, lambda end: got[-1][1] >= size)
    link = LinkParameters(jitter_ms=0, loss=loss, loss_burst=1, up_kbps=580_000, down_kbps=580_000)
    path = SimPath(link, ROUTERS, {} if box is None else {2: box})
    world = World(near, HandEnd(rule=serve), SimNet(HERE, PEER, {"direct": path}), seed)
    world.run(until=limit)
    at, size = got[-1]
    return size * 8 / (at if at else limit) / 1e6


def measured(case: Case, seeds: int) -> list[float]:
    return sorted(goodput(case.size, case.loss, case.box and case.box(), seed) for seed in range(seeds))


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 31
    print(
        "| 40 ms round trip | bytes | simulator, median (10 %, 90 %), Mbit/s | Linux cubic, Mbit/s |\n|---|---|---|---|"
    )
    for case in CASES:
        all_of_them = measured(case, seeds)
        low, high = all_of_them[seeds // 10], all_of_them[-1 - seeds // 10]
        print(f"| {case.name} | {case.size:,} | {median(all_of_them):.3g} ({low:.3g}, {high:.3g}) | {case.kernel} |")


if __name__ == "__main__":
    main()
