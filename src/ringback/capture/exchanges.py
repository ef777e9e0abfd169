"""The exchanges of a capture: which app's which function each conversation is, where its own bytes tell.

No claim without a mark: a port alone names nobody, nor does a network that several apps share. Whoever's socket made
one marked call made the others that it took part in at that time as well: a client opens it for one call.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import msgspec

from ringback import catalogue as known
from ringback.capture import streams
from ringback.capture.conversations import SILENCE, Conversation, Conversations
from ringback.capture.datagrams import DatagramMarks
from ringback.capture.files import frames
from ringback.capture.notes import Notes
from ringback.capture.packets import SYN, Reader, Segment, Socket
from ringback.catalogue import Catalogue
from ringback.record import Direction, Route, Transport
from ringback.wire import Malformed, dns

NETWORKS_OF_ONE_APP = ("telegram",)  # WhatsApp's are Facebook's and Instagram's too
DNS_PORT = 53
CALLERS = 20_000  # sockets remembered as having taken part in a marked call

HOME = tuple(
    ipaddress.ip_network(net)
    for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8",
                "192.0.2.0/24", "::1/128", "fc00::/7", "fe80::/10")
)  # fmt: skip
"""Addresses of one's own side: RFC 1918, 6598, 3927, 4193; 192.0.2.0/24 is the participant's in the lab."""


class Exchange(msgspec.Struct, frozen=True):
    """One exchange, as `trace --json` prints it. start: seconds since 1970. bytes: of IP packets, both ways.

    endpoints: own side first, as `address:port` with IPv6 in brackets. app, function, direction, route: None where the
    bytes do not tell; function without app: a call by somebody's RTP.
    """

    app: str | None
    function: str | None
    direction: Direction | None
    route: Route | None
    transport: Transport
    start: float
    seconds: float
    packets: int
    bytes: int
    endpoints: tuple[str, str]


class Trace(msgspec.Struct, frozen=True):
    """exchanges: by start. notes: sentences on what was left out. damaged: whether a part could not be read."""

    exchanges: tuple[Exchange, ...]
    notes: tuple[str, ...]
    damaged: bool


class Found(msgspec.Struct, frozen=True):
    """An exchange, the number of its conversation in the file, and whether its first sender is the own side.

    marked: whether its own bytes name the app, not the company it kept.
    """

    number: int
    first_is_near: bool
    marked: bool
    exchange: Exchange


def exchanges(path: Path) -> Iterator[Exchange]:
    """The exchanges in the order in which they end; in bounded memory. Raises BadInput for what is no capture."""
    for found in search(path, Notes()):
        yield found.exchange


def trace(path: Path) -> Trace:
    """Everything that a capture holds, and what is to be said of the file. Raises BadInput as `exchanges` does."""
    notes = Notes()
    found = sorted((one.exchange for one in search(path, notes)), key=lambda exchange: exchange.start)
    return Trace(tuple(found), notes.lines(), notes.damaged)


def packets(path: Path, notes: Notes) -> Iterator[Segment]:
    """The UDP and TCP packets of a capture, in the file's order."""
    reader = Reader(notes)
    for frame in frames(path, notes):
        yield from reader.read(frame)
    yield from reader.rest()


def search(path: Path, notes: Notes) -> Iterator[Found]:
    """As `exchanges`, with what a second reading needs to find each one's packets again."""
    finder = _Finder(known.load())
    conversations: Conversations[_Seen] = Conversations()
    for packet in packets(path, notes):
        conversation, ended = conversations.of(packet, _Seen(finder.realms))
        for one in ended:
            yield finder.told(one)
        finder.see(conversation, packet)
        if packet.transport == "udp" and not packet.whole:
            notes.cut()
    for one in conversations.rest():
        yield finder.told(one)


class _Seen:
    """What one conversation has shown so far."""

    __slots__ = ("bytes", "datagrams", "handshake_by_first", "named", "openings", "packets")

    def __init__(self, realms: dict[str, str]) -> None:
        self.packets = self.bytes = 0
        self.datagrams = DatagramMarks(realms)
        self.openings = (streams.Opening(), streams.Opening())
        self.named = streams.NOBODY
        self.handshake_by_first: bool | None = None


class _Finder:
    """Reads packets and judges conversations."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        voices = {name: app.functions["voice"] for name, app in catalogue.apps.items() if "voice" in app.functions}
        self.realms = {entry.marks["realm"]: name for name, entry in voices.items() if "realm" in entry.marks}
        self.realms["whispersystems.org"] = "signal"  # its older realm
        self._networks = [
            (ipaddress.ip_network(prefix), app)
            for app in NETWORKS_OF_ONE_APP
            for prefix in sorted({p for entry in catalogue.apps[app].functions.values() for p in entry.prefixes})
        ]
        self._callers: OrderedDict[Socket, tuple[str, float]] = OrderedDict()
        self._owner = lru_cache(4096)(self._find_owner)

    def _find_owner(self, host: str) -> str | None:
        address = ipaddress.ip_address(host)
        return next((app for net, app in self._networks if address in net), None)

    def see(self, conversation: Conversation[_Seen], packet: Segment) -> None:
        seen = conversation.what
        seen.packets += 1
        seen.bytes += packet.size
        first = conversation.by_first(packet)
        if packet.transport == "tcp":
            self._stream(seen, packet, first)
        elif DNS_PORT in (packet.source[1], packet.target[1]):
            self._lookup(seen, packet)
        else:
            self._datagram(conversation, packet, first)

    def _datagram(self, conversation: Conversation[_Seen], packet: Segment, first: bool) -> None:
        marks = conversation.what.datagrams
        before = marks.app
        marks.see(first, packet.payload, packet.whole)
        app = marks.app if before is None else before
        if app is not None:
            near = conversation.sockets[0 if self._first_is_near(conversation) else 1]
            self._callers[near] = (app, packet.at)
            self._callers.move_to_end(near)
            if len(self._callers) > CALLERS:
                self._callers.popitem(last=False)

    def _lookup(self, seen: _Seen, packet: Segment) -> None:
        if seen.named.app is None and packet.whole:
            message = dns.decode(packet.payload)
            if not isinstance(message, Malformed) and message.questions:
                seen.named = streams.of_host(message.questions[0].name, self._catalogue)

    def _stream(self, seen: _Seen, packet: Segment, first: bool) -> None:
        opening = seen.openings[0 if first else 1]
        sequence = packet.sequence
        if packet.flags & SYN:
            if seen.handshake_by_first is None:
                seen.handshake_by_first = first == (not packet.flags & 0x10)
            opening.start(sequence)
            sequence = sequence + 1 & 0xFFFFFFFF  # of data that comes with it (RFC 7413)
        if opening.add(sequence, packet.payload):
            told = streams.read(opening.data, self._catalogue, self.realms)
            if told is not None:
                opening.close()
                if told.app is not None and seen.named.app is None:
                    seen.named = told

    @staticmethod
    def _first_is_near(conversation: Conversation[_Seen]) -> bool:
        """The own side: with a home address, or that asked for a relay or a connection, or that sent first."""
        one, other = (_at_home(host) for host, _ in conversation.sockets)
        if one != other:
            return one
        seen = conversation.what
        asked = seen.datagrams.asker if conversation.transport == "udp" else seen.handshake_by_first
        return True if asked is None else asked

    def told(self, conversation: Conversation[_Seen]) -> Found:
        """The exchange that a conversation was, now that it is over."""
        seen = conversation.what
        first_is_near = self._first_is_near(conversation)
        near, far = conversation.sockets if first_is_near else conversation.sockets[::-1]
        app, function, direction, route = self._judged(conversation, near, far, first_is_near)
        return Found(
            conversation.number,
            first_is_near,
            app is not None and app == (seen.named.app or seen.datagrams.app),
            Exchange(
                app, function, direction, route, conversation.transport, conversation.first,
                round(conversation.last - conversation.first, 6), seen.packets, seen.bytes, (_told(near), _told(far)),
            ),
        )  # fmt: skip

    def _judged(
        self, conversation: Conversation[_Seen], near: Socket, far: Socket, first_is_near: bool
    ) -> tuple[str | None, str | None, Direction | None, Route | None]:
        seen, marks = conversation.what, conversation.what.datagrams
        if seen.named.app is not None:
            return *seen.named, None, None
        owner = self._owner(far[0])
        if conversation.transport == "tcp":
            return owner, None, None, None  # text and media go to the same servers
        app, route = marks.app, marks.route
        if app is None and (marks.marks["stun"] or marks.speaks):
            app, route = self._by_socket(conversation, near), None
        if app is None and owner is not None:
            entry = self._catalogue.apps[owner].functions["voice"]
            if any(ports.transport == "udp" and far[1] in ports for ports in entry.ports):
                app, route = owner, "relay"
        function = "voice" if app is not None or marks.speaks else None
        direction: Direction | None = None
        if function and marks.controlling is not None:
            direction = "outgoing" if marks.controlling == first_is_near else "incoming"
        return app, function, direction, route

    def _by_socket(self, conversation: Conversation[_Seen], near: Socket) -> str | None:
        """The app whose marked call went from the same socket, at about the same time."""
        app, last = self._callers.get(near, (None, 0.0))
        return app if conversation.first - SILENCE <= last <= conversation.last + SILENCE else None


@lru_cache(4096)
def _at_home(host: str) -> bool:
    address = ipaddress.ip_address(host)
    return any(address in net for net in HOME)


def _told(end: Socket) -> str:
    host, port = end
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
