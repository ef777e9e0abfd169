"""An IP packet as the simulator and the emulated operator see it, and the interface of a box on a path.

Kept apart from the rest of `sim` so that the operator, which imports neither `wire` nor `flow`, can use it. The
namespaces' router parses real packets into the same class and builds them back.
"""

from typing import Protocol

import msgspec

UDP, TCP, ICMP = 17, 6, 1
IPV4_HEADER, UDP_HEADER, TCP_HEADER, ICMP_HEADER = 20, 8, 20, 8
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10


class Packet(msgspec.Struct, eq=False, gc=False):
    """One IPv4 packet. Mutable only while being built; boxes make copies (`copy(**changes)`) instead of editing.

    size: bytes of the whole IP packet. payload: transport payload. For TCP seq/ack/flags/window and `options`
    (SACK blocks as ((left, right), ...)). For ICMP type/code in `sport`/`dport`, and `quoted` is the packet that
    caused it. `raw` is whatever the driver wants to carry along (the real packet's bytes in the kernel router).
    """

    proto: int
    src: str
    sport: int
    dst: str
    dport: int
    payload: bytes
    size: int
    ttl: int = 64
    seq: int = 0
    ack: int = 0
    flags: int = 0
    window: int = 65535
    sack: tuple[tuple[int, int], ...] = ()
    quoted: "Packet | None" = None
    raw: object = None

    def copy(self, **changes: object) -> "Packet":
        return msgspec.structs.replace(self, **changes)


Passage = tuple[float, Packet, bool]
"""(time at which it leaves the box, packet, outward): outward = away from the participant."""


class Box(Protocol):
    """What stands at one hop of a path: the packets that leave it because this one entered."""

    def packet(self, packet: Packet, outward: bool, now: float) -> tuple[Passage, ...]:
        """`()` drops it; `((now, packet, outward),)` lets it pass; more or others are delayed or injected."""
        ...
