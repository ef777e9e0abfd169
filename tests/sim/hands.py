"""Tiny hand-made ends and networks for stories about the simulator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ringback.sim.link import LinkParameters
from ringback.sim.net import SimNet, SimPath
from ringback.sim.packet import Packet, Passage
from ringback.trial.seam import Command, Event

HERE, PEER = "192.0.2.10", "198.51.100.10"
ROUTERS = tuple(f"192.0.2.{200 + hop}" for hop in range(1, 6))
CLEAN = LinkParameters(jitter_ms=0, loss=0, up_kbps=1e6, down_kbps=1e6)

T = TypeVar("T")
Rule = Callable[[Event, float], Sequence[Command]]


@dataclass
class HandEnd:
    """An end that begins with `first`, then answers events by `rule`, and keeps everything it saw."""

    first: Sequence[Command] = ()
    rule: Rule = lambda event, now: ()
    done: Callable[["HandEnd"], bool] = lambda end: False
    answering: Callable[[str, bytes, str], bytes] = lambda what, body, source: body
    seen: list[Event] = field(default_factory=list)
    wakes: list[float] = field(default_factory=list)
    woken: list[float] = field(default_factory=list)
    asked_by: list[str] = field(default_factory=list)

    def start(self, now: float) -> Sequence[Command]:
        return self.first

    def handle(self, event: Event, now: float) -> Sequence[Command]:
        self.seen.append(event)
        return self.rule(event, now)

    def note(self, flow: object, index: int, at: float) -> bool:
        return False

    def wake(self, now: float) -> Sequence[Command]:
        self.woken.append(now)
        self.wakes.pop(0)
        return ()

    @property
    def wake_at(self) -> float | None:
        return self.wakes[0] if self.wakes else None

    @property
    def finished(self) -> bool:
        return self.done(self)

    def answer(self, what: str, body: bytes, source: str, now: float) -> bytes:
        self.asked_by.append(source)
        return self.answering(what, body, source)

    def saw(self, kind: type[T]) -> list[T]:
        return [event for event in self.seen if isinstance(event, kind)]


@dataclass
class HandBox:
    """A box that does what `act` says and keeps what it saw as (time, packet, outward)."""

    act: Callable[[Packet, bool, float], tuple[Passage, ...]] = lambda packet, outward, now: ((now, packet, outward),)
    seen: list[Passage] = field(default_factory=list)

    def packet(self, packet: Packet, outward: bool, now: float) -> tuple[Passage, ...]:
        self.seen.append((now, packet, outward))
        return self.act(packet, outward, now)


def network(link: LinkParameters = CLEAN, boxes: dict[int, HandBox] | None = None, **more: object) -> SimNet:
    """Five hops, one direct path. `public` goes to the path, the rest to the network."""
    public = more.pop("public", None)
    paths = {"direct": SimPath(link, ROUTERS, boxes or {}, public)}  # type: ignore[arg-type]
    return SimNet(HERE, PEER, paths, **more)  # type: ignore[arg-type]
