"""What a UDP flow shows of its app: private STUN types and attributes, TURN realms, a reflector's frames, RTP headers.

Read on any port. WhatsApp's marks: those that nDPI and open clients of 2026 know. A mark is asked for twice where one
datagram of chance bytes could bear it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from ringback.record import Route
from ringback.wire import Malformed, rtp, stun, telegram, whatsapp

WHATSAPP_ATTRIBUTES = frozenset((0x4000, 0x4001, 0x4002, 0x4003, 0x4004, 0x4007, 0x4021, 0x4023, 0x4024, 0x4025))
ALLOCATES = frozenset((stun.TYPES["allocate"], stun.TYPES["allocate-success"], stun.TYPES["allocate-error"]))
BINDINGS = frozenset((stun.TYPES["binding"], stun.TYPES["binding-success"]))
CARRIERS = frozenset((stun.TYPES["send-indication"], stun.TYPES["data-indication"]))
DATA, REALM, CONTROLLED, CONTROLLING = 0x0013, 0x0014, 0x8029, 0x802A
COOKIE = stun.MAGIC_COOKIE.to_bytes(4, "big")
BARE_BINDING = 44  # bytes of a Binding with MESSAGE-INTEGRITY and nothing else
LOOKED_AT = 600  # datagrams of a flow that are read
FEW = 2
MEDIA = 10  # packets in a row by one source, before it is called media


class DatagramMarks:
    """What was seen in one flow's datagrams. realms: app by TURN realm; a name below a realm counts as the realm."""

    __slots__ = ("_realms", "_rtp", "asker", "controlling", "looked", "marks")

    def __init__(self, realms: Mapping[str, str]) -> None:
        self._realms = realms
        self._rtp: dict[tuple[bool, int], tuple[int, int]] = {}  # (side, source): last sequence number, rising packets
        self.marks: Counter[str] = Counter()
        self.looked = 0
        self.asker: bool | None = None
        """Which side asked for a relay: True = the flow's first sender."""
        self.controlling: bool | None = None
        """Which side says that it made the offer (ICE-CONTROLLING, RFC 8445 section 6.1.1)."""

    def see(self, first: bool, data: bytes, whole: bool = True) -> None:
        """One datagram's payload, or what there is of it. first: whether the flow's first sender sent it."""
        if self.looked >= LOOKED_AT or not data:
            return
        self.looked += 1
        length = len(data)
        if not whole and data[4:8] == COOKIE and length >= stun.HEADER_LENGTH:
            length = stun.message_length(data) or length
            data = beginning(data)
        if stun.looks_like(data):
            self._stun(first, data, length)
        elif 0x40 <= data[0] <= 0x4F and not isinstance(channel := stun.decode_channel(data), Malformed):
            self.marks["channel"] += 1
            if stun.looks_like(channel.data):
                self._ice(first, channel.data)
            elif rtp.looks_like(channel.data):
                self._media(first, channel.data)
        elif data[16:28] == telegram.FF_RUN:
            self._reflector(first, data)
        elif rtp.looks_like(data):
            self._media(first, data)

    def _stun(self, first: bool, data: bytes, length: int) -> None:
        """length: bytes of the message as it was sent."""
        code = data[0] << 8 | data[1]
        self.marks["stun"] += 1
        if code in ALLOCATES:
            self.marks["allocate"] += 1
            self.asker = first == (stun.class_of(code) == stun.REQUEST)
        if code in stun.WHATSAPP_TYPES:
            self.marks["whatsapp"] += 1
            self.marks["whatsapp-ping"] += 1
        for kind, value in attributes(data):
            if kind in WHATSAPP_ATTRIBUTES:
                self.marks["whatsapp"] += 1
                self.marks["whatsapp-token"] += kind <= 0x4001
            elif kind == REALM and (app := self._app_of(value)):
                self.marks[app] += 1
            elif kind == DATA and code in CARRIERS and stun.looks_like(value):
                self._ice(first, value)
        if code in BINDINGS and len(data) == length == BARE_BINDING and data[20:24] == b"\0\x08\0\x14":
            self.marks["bare-binding"] += 1
        elif code not in BINDINGS or length > stun.HEADER_LENGTH:
            self.marks["other-stun"] += code in BINDINGS
        self._ice(first, data)

    def _ice(self, first: bool, data: bytes) -> None:
        """Who made the offer, from a connectivity check, also inside a relay's framing."""
        if data[0] << 8 | data[1] != stun.TYPES["binding"]:
            return
        for kind, _ in attributes(data):
            if kind in (CONTROLLED, CONTROLLING):
                self.marks["ice"] += 1
                if self.controlling is None:
                    self.controlling = first == (kind == CONTROLLING)

    def _app_of(self, value: bytes) -> str | None:
        name = value.rstrip(b"\0").decode("latin-1").lower()
        while name:
            if name in self._realms:
                return self._realms[name]
            name = name.partition(".")[2]
        return None

    def _reflector(self, first: bool, data: bytes) -> None:
        frame = telegram.decode(data)
        if isinstance(frame, Malformed) or len(set(frame.tag)) < 4:  # a tag is random
            return
        self.marks["telegram"] += 1
        self.marks["reflector"] += 1
        if isinstance(frame, telegram.Hello | telegram.PeerRequest):
            self.asker = first

    def _media(self, first: bool, data: bytes) -> None:
        packet = rtp.decode(data)
        if isinstance(packet, Malformed):
            return
        if packet.extension is not None and packet.extension.profile == whatsapp.EXTENSION_PROFILE:
            self.marks["whatsapp-media"] += 1
        key = first, packet.ssrc
        last, rising = self._rtp.get(key, (packet.sequence, 0))
        step = (packet.sequence - last) & 0xFFFF
        if len(self._rtp) < 64 or key in self._rtp:
            self._rtp[key] = packet.sequence, rising + (1 <= step <= 16)

    @property
    def speaks(self) -> bool:
        """Whether somebody's media flows: one source's sequence numbers rise."""
        return any(rising >= MEDIA for _, rising in self._rtp.values())

    @property
    def app(self) -> str | None:
        """The app that the flow's own bytes name, or None."""
        marks = self.marks
        if marks["whatsapp"] or marks["whatsapp-media"] >= FEW:
            return "whatsapp"
        named = [app for app in dict.fromkeys(self._realms.values()) if marks[app]]
        if named:
            return named[0]
        if marks["reflector"]:
            return "telegram"
        # Nobody else checks a path with an integrity attribute alone: ICE demands a user name and a fingerprint.
        return "whatsapp" if marks["bare-binding"] >= FEW and not marks["other-stun"] else None

    @property
    def route(self) -> Route | None:
        """relay where a relay was asked or its framing seen, p2p where only paths were checked or media came."""
        marks = self.marks
        if marks["allocate"] or marks["reflector"] or marks["channel"] or marks["whatsapp-token"]:
            return "relay"
        if self.app == "whatsapp":
            return "relay" if marks["whatsapp-ping"] else "p2p"
        return None


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, value) of a STUN message's attributes; none where they can't be read."""
    message = stun.decode(data)
    if isinstance(message, stun.Message):
        for item in message.attributes:
            yield item.type, item.value


def beginning(data: bytes) -> bytes:
    """A message of the attributes that are whole in what a capture has kept of one."""
    at = stun.HEADER_LENGTH
    while at + 4 <= len(data):
        stop = at + 4 + (int.from_bytes(data[at + 2 : at + 4], "big") + 3 & ~3)
        if stop > len(data):
            break
        at = stop
    return data[:2] + (at - stun.HEADER_LENGTH).to_bytes(2, "big") + data[4:at]
