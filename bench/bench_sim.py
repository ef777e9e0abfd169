"""How fast the simulator is: packets a second of one core through link and hops, bare and past an operator's rules."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ringback.cli.garbage import seldom_sought
from ringback.lab.country import Place, boxes_of
from ringback.lab.scenario import parse
from ringback.sim.host import Host
from ringback.sim.link import LinkParameters
from ringback.sim.net import SimNet, SimPath
from ringback.sim.packet import Box
from ringback.sim.world import World
from ringback.trial.seam import Command, Connected, Delivered, Event, Open, Received, Send, Write

HERE, PEER = "192.0.2.10", "198.51.100.10"
ROUTERS = tuple(f"192.0.2.{200 + hop}" for hop in range(5))
FLOWS, PACKETS = 24, 525  # of one round of calls: 10.5 s at 20 ms
DOWNLOAD = 20_000_000
TARGET = 150_000  # packets/s, so that a default session of some 130,000 packets takes a second of simulator
RULES = """
name = "bench"
[[network]]
name = "ruled"
asn = 64500
region = "RU-MOW"
hops = 5
[[network.rule]]
hop = 2
match = { app = "whatsapp", function = "voice" }
trigger = "payload"
action = { kind = "drop" }
[[network.rule]]
hop = 2
match = { app = "telegram", function = "voice" }
trigger = "payload"
action = { kind = "loss", share = 0.3 }
[[network.rule]]
hop = 2
match = { app = "signal", function = "text" }
trigger = "sni"
action = { kind = "reset" }
[[network.rule]]
hop = 2
match = { all = true }
trigger = "transport"
action = { kind = "police", kbps = 1000, burst_kbytes = 32 }
"""
"""An operator that looks into every flow for two apps' calls and one's names, and meters each packet of UDP."""


class Caller:
    """Opens the flows of one round and sends their packets; or asks for a download."""

    wake_at: float | None = None
    finished = False

    def __init__(self, download: int) -> None:
        self._left = download
        self._download = download
        self.sent = [0.0] * PACKETS

    def start(self, now: float) -> Sequence[Command]:
        if self._download:
            return [Open(0, "tcp", PEER, 443, "direct")]
        out: list[Command] = [Open(flow, "udp", PEER, 3478, "direct") for flow in range(FLOWS)]
        out += [
            Send(flow, 0.02 * n + flow / 5000, b"%08d" % n + bytes(152), n)
            for flow in range(FLOWS)
            for n in range(PACKETS)
        ]
        return out

    def handle(self, event: Event, now: float) -> Sequence[Command]:
        if isinstance(event, Connected):
            return [Write(event.flow, b"GET")]
        if isinstance(event, Delivered):
            self._left -= len(event.data)
            self.finished = self._left <= 0
        return ()

    def note(self, flow: object, index: int, at: float) -> bool:
        self.sent[index] = at  # as a session's ends do for a call's packets
        return True

    def wake(self, now: float) -> Sequence[Command]:
        return ()


class Callee:
    """Answers every datagram with one, and every stream with `DOWNLOAD` bytes."""

    wake_at: float | None = None
    finished = False

    def __init__(self) -> None:
        self.sent = [0.0]

    def start(self, now: float) -> Sequence[Command]:
        return ()

    def handle(self, event: Event, now: float) -> Sequence[Command]:
        if isinstance(event, Received):
            return (Send(event.flow, now, event.data, 0),)
        if isinstance(event, Delivered):
            return (Write(event.flow, bytes(DOWNLOAD)),)
        return ()

    def note(self, flow: object, index: int, at: float) -> bool:
        self.sent[index] = at  # as a session's ends do for a call's packets
        return True

    def wake(self, now: float) -> Sequence[Command]:
        return ()

    def answer(self, what: str, body: bytes, source: str, now: float) -> bytes:
        return body


def no_boxes(seed: int) -> dict[int, Box]:
    return {}


def operator(seed: int) -> dict[int, Box]:
    ruled = parse(RULES, "bench.toml")
    return boxes_of(Place(ruled, ruled.networks[0], 0, seed))


def fastest(boxes_for: Callable[[int], dict[int, Box]], download: int) -> float:
    """Packets a second, link's and operator's both ways: the best of three runs."""
    best = 0.0
    for seed in range(3):
        hosts: dict[str, Host] = {}
        boxes = boxes_for(seed)
        net = SimNet(
            HERE, PEER, {"direct": SimPath(LinkParameters(loss=0.001 if download else 0.005), ROUTERS, boxes)}, hosts
        )
        world = World(Caller(download), Callee(), net, seed)
        began = time.process_time()
        with seldom_sought():  # as `lab run` has it
            world.run(until=600)
        seconds = time.process_time() - began
        link = world.links["direct"]
        best = max(best, (link.up.admitted + link.down.admitted) / seconds)
    return best


def run() -> Iterator[dict[str, Any]]:
    for name, boxes_for, download in (
        ("sim: udp through link, no box", no_boxes, 0),
        ("sim: udp through link and operator", operator, 0),
        ("sim: tcp download through link, no box", no_boxes, DOWNLOAD),
        ("sim: tcp download through link and operator", operator, DOWNLOAD),
    ):
        value = fastest(boxes_for, download)
        yield {
            "name": name,
            "value": round(value),
            "unit": "packets/s",
            "peer": "target",
            "peer_value": TARGET,
            "ratio": round(value / TARGET, 2),
        }
