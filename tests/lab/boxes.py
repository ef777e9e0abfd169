"""Boxes small enough to be seen through, for tests of what carries packets to them."""

from collections.abc import Callable

from ringback.sim.packet import ICMP, IPV4_HEADER, RST, TCP, TCP_HEADER, Packet, Passage


class Passing:
    """Lets everything by, and counts."""

    def __init__(self) -> None:
        self.seen = 0

    def packet(self, packet: Packet, outward: bool, now: float) -> tuple[Passage, ...]:
        self.seen += 1
        return ((now, packet, outward),)


class Police:
    """A token bucket over IP bytes, each direction its own: what finds no tokens is dropped."""

    def __init__(self, kbps: float, burst: int) -> None:
        self.rate, self.burst = kbps * 125, burst
        self.tokens = {True: float(burst), False: float(burst)}
        self.last = {True: 0.0, False: 0.0}

    def packet(self, packet: Packet, outward: bool, now: float) -> tuple[Passage, ...]:
        filled = self.tokens[outward] + (now - self.last[outward]) * self.rate
        self.tokens[outward], self.last[outward] = min(filled, self.burst), now
        if self.tokens[outward] < packet.size:
            return ()
        self.tokens[outward] -= packet.size
        return ((now, packet, outward),)


class Delay:
    """Holds every packet towards the participant back."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def packet(self, packet: Packet, outward: bool, now: float) -> tuple[Passage, ...]:
        return ((now if outward else now + self.seconds, packet, outward),)


class Refuse:
    """Answers what carries bytes in one direction with port unreachable (RFC 792) in the name of `address`."""

    def __init__(self, address: str, outward: bool = True) -> None:
        self.address = address
        self.outward = outward

    def packet(self, packet: Packet, outward: bool, now: float) -> tuple[Passage, ...]:
        if packet.proto == ICMP or not packet.payload or outward != self.outward:
            return ((now, packet, outward),)
        size = IPV4_HEADER + 8 + IPV4_HEADER + 8
        return ((now, Packet(ICMP, self.address, 3, packet.src, 3, b"", size, quoted=packet), not outward),)


class Reset:
    """Resets a connection in the server's name when the participant says a word."""

    def __init__(self, word: bytes) -> None:
        self.word = word

    def packet(self, packet: Packet, outward: bool, now: float) -> tuple[Passage, ...]:
        if packet.proto != TCP or not outward or self.word not in packet.payload:
            return ((now, packet, outward),)
        reset = Packet(
            TCP,
            packet.dst,
            packet.dport,
            packet.src,
            packet.sport,
            b"",
            IPV4_HEADER + TCP_HEADER,
            seq=packet.ack,
            flags=RST,
            window=0,
        )
        return ((now, reset, False),)


class Rewrite:
    """Changes the payload of what the participant sends."""

    def __init__(self, change: Callable[[bytes], bytes]) -> None:
        self.change = change

    def packet(self, packet: Packet, outward: bool, now: float) -> tuple[Passage, ...]:
        if not outward or not packet.payload:
            return ((now, packet, outward),)
        return ((now, packet.copy(payload=self.change(packet.payload)), True),)
