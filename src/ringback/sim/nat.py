"""Network address translation, one outside port for each inside (protocol, address, port) (RFC 4787: endpoint-
independent mapping, and filtering by endpoint-independent rule as well: who knows the port gets in)."""

from ringback.sim.packet import Packet

FIRST_PORT = 1024
LAST_PORT = 65535

Inside = tuple[int, str, int]


def readdressed(packet: Packet, src: str, sport: int, dst: str, dport: int) -> Packet:
    """A copy with other ends; every packet behind a NAT pays for it, so it does not go through `copy`."""
    return Packet(
        packet.proto,
        src,
        sport,
        dst,
        dport,
        packet.payload,
        packet.size,
        packet.ttl,
        packet.seq,
        packet.ack,
        packet.flags,
        packet.window,
        packet.sack,
        packet.quoted,
        packet.raw,
    )


class Nat:
    """Rewrites packets to and from one public address. Ports are handed out upwards from `first`, once each, but for
    `kept`, on which the address listens itself."""

    __slots__ = ("_inside", "_kept", "_next", "_outside", "public")

    def __init__(self, public: str, first: int, kept: int | None = None) -> None:
        self.public = public
        self._next = first
        self._kept = kept
        self._outside: dict[Inside, int] = {}
        self._inside: dict[tuple[int, int], tuple[str, int]] = {}

    def outward(self, packet: Packet) -> Packet | None:
        """The packet as the outside sees it; None for an ICMP error about nothing that is known here."""
        if packet.quoted is not None:
            cause = self._quoted_inside_to_outside(packet.quoted)
            return cause and packet.copy(src=self.public, quoted=cause)
        key = (packet.proto, packet.src, packet.sport)
        port = self._outside.get(key)
        if port is None:
            if self._next == self._kept:
                self._next += 1
            port = self._outside[key] = self._next
            self._inside[packet.proto, port] = key[1:]
            self._next = FIRST_PORT if self._next == LAST_PORT else self._next + 1
        return readdressed(packet, self.public, port, packet.dst, packet.dport)

    def inward(self, packet: Packet) -> Packet | None:
        """The packet as the inside sees it; None where no mapping leads inside."""
        if (cause := packet.quoted) is not None:
            inside = self._inside.get((cause.proto, cause.sport))
            if inside is None:
                return None
            return packet.copy(dst=inside[0], quoted=cause.copy(src=inside[0], sport=inside[1]))
        inside = self._inside.get((packet.proto, packet.dport))
        if inside is None:
            return None
        return readdressed(packet, packet.src, packet.sport, *inside)

    def _quoted_inside_to_outside(self, cause: Packet) -> Packet | None:
        port = self._outside.get((cause.proto, cause.dst, cause.dport))
        return None if port is None else cause.copy(dst=self.public, dport=port)
