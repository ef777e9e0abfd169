"""DNS messages (RFC 1035) with EDNS0 (RFC 6891) and cookies (RFC 7873). Over TCP a 2-byte length precedes them."""

import ipaddress
import struct
from dataclasses import dataclass, field

from ringback.errors import BadInput
from ringback.wire.malformed import Malformed

A, NS, CNAME, SOA, TXT, AAAA, OPT, HTTPS = 1, 2, 5, 6, 16, 28, 41, 65
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, REFUSED = 0, 1, 2, 3, 5
COOKIE_OPTION = 10
RESPONSE, RECURSION_DESIRED, RECURSION_AVAILABLE, TRUNCATED, AUTHORITATIVE = 0x8000, 0x0100, 0x0080, 0x0200, 0x0400

_HEADER = struct.Struct("!6H")
_RECORD = struct.Struct("!HHIH")


@dataclass(frozen=True, slots=True)
class Question:
    """name: labels joined by dots, no dot at the end; unusual bytes in a label as a backslash and 3 decimals."""

    name: str
    type: int = A
    dns_class: int = 1


@dataclass(frozen=True, slots=True)
class Record:
    """A resource record. `data` is as on the wire: names inside it may be compressed and mean nothing on their own."""

    name: str
    type: int
    data: bytes
    ttl: int = 60
    dns_class: int = 1

    @property
    def address(self) -> str | None:
        """The literal address of a whole A or AAAA record, else None."""
        if (self.type, len(self.data)) not in ((A, 4), (AAAA, 16)):
            return None
        return str(ipaddress.ip_address(self.data))


@dataclass(frozen=True, slots=True)
class Message:
    """flags: the header's whole second word (QR, opcode, AA, TC, RD, RA, rcode)."""

    id: int
    flags: int
    questions: tuple[Question, ...] = ()
    answers: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = field(default=())

    @property
    def rcode(self) -> int:
        return self.flags & 0xF

    @property
    def cookie(self) -> bytes | None:
        """The COOKIE option's bytes: 8 from a client, 16-40 with a server's. None without."""
        for record in self.additional:
            if record.type == OPT:
                return _option(record.data, COOKIE_OPTION)
        return None


def _option(data: bytes, wanted: int) -> bytes | None:
    at = 0
    while at + 4 <= len(data):
        code, length = struct.unpack_from("!HH", data, at)
        if code == wanted and at + 4 + length <= len(data):
            return data[at + 4 : at + 4 + length]
        at += 4 + length
    return None


def query(id: int, name: str, type: int = A, cookie: bytes | None = None, *, payload_size: int = 1232) -> Message:
    """A recursive query; with a client cookie of 8 bytes (or the 16-40 of an earlier answer) it carries EDNS0."""
    additional = () if cookie is None else (_opt(cookie, payload_size),)
    return Message(id, RECURSION_DESIRED, (Question(name, type),), additional=additional)


def answer(asked: Message, addresses: tuple[str, ...] = (), *, rcode: int = NOERROR, ttl: int = 60) -> Message:
    """A response with the query's id and question, its addresses of the type asked, and the query's cookie echoed."""
    if not asked.questions:
        raise BadInput("query without a question", "dns.answer")
    question = asked.questions[0]
    records = []
    for literal in addresses:
        try:
            address = ipaddress.ip_address(literal)
        except ValueError:
            raise BadInput(f"{literal!r} is no address", "dns.answer") from None
        if (question.type == A and address.version == 4) or (question.type == AAAA and address.version == 6):
            records.append(Record(question.name, question.type, address.packed, ttl))
    flags = RESPONSE | RECURSION_AVAILABLE | asked.flags & RECURSION_DESIRED | rcode & 0xF
    cookie = asked.cookie
    if cookie is not None and len(cookie) != 8 and not 16 <= len(cookie) <= 40:
        cookie = None  # RFC 7873 section 5.2.2 asks for FORMERR; a reader of bytes does not decide that
    additional = () if cookie is None else (_opt(cookie, 1232),)
    return Message(asked.id, flags, (question,), tuple(records), additional=additional)


def _opt(cookie: bytes, payload_size: int) -> Record:
    if len(cookie) != 8 and not 16 <= len(cookie) <= 40:
        raise BadInput(f"cookie of {len(cookie)} bytes", "dns")
    return Record("", OPT, struct.pack("!HH", COOKIE_OPTION, len(cookie)) + cookie, 0, payload_size)


def encode(message: Message) -> bytes:
    """The message's bytes; later uses of a name point back to its first. Raises BadInput for fields out of range."""
    sections = (message.answers, message.authority, message.additional)
    try:
        out = bytearray(_HEADER.pack(message.id, message.flags, len(message.questions), *map(len, sections)))
        seen: dict[bytes, int] = {}
        for question in message.questions:
            _put_name(out, question.name, seen)
            out += struct.pack("!HH", question.type, question.dns_class)
        for record in (record for section in sections for record in section):
            _put_name(out, record.name, seen)
            out += _RECORD.pack(record.type, record.dns_class, record.ttl, len(record.data)) + record.data
    except struct.error as error:
        raise BadInput(f"field out of range: {error}", "dns.encode") from None
    return bytes(out)


def _put_name(out: bytearray, name: str, seen: dict[bytes, int]) -> None:
    wire = b"".join(bytes((len(label),)) + label for label in _labels(name)) + b"\0"
    if len(wire) > 255:
        raise BadInput(f"name of {len(wire)} bytes", "dns.encode")
    if len(wire) > 1 and wire in seen:
        out += (0xC000 | seen[wire]).to_bytes(2, "big")
        return
    if len(out) < 0x4000:
        seen[wire] = len(out)
    out += wire


def _labels(name: str) -> list[bytes]:
    plain = "\\" not in name and name.isascii()
    labels = (name.encode().split(b".") if plain else _escaped_labels(name)) if name else []
    if any(not 1 <= len(label) <= 63 for label in labels):
        raise BadInput(f"name {name!r} has an empty label or one over 63 bytes", "dns.encode")
    return labels


def _escaped_labels(name: str) -> list[bytes]:
    labels: list[bytes] = []
    current, at = bytearray(), 0
    while at < len(name):
        char = name[at]
        if char == "\\" and name[at + 1 : at + 4].isascii() and name[at + 1 : at + 4].isdigit():
            value = int(name[at + 1 : at + 4])
            at += 4
        else:
            value, at = ord(char), at + 1
            if char == ".":
                labels.append(bytes(current))
                current.clear()
                continue
        if value > 255:
            raise BadInput(f"name {name!r} is not in ASCII: use its A-label", "dns.encode")
        current.append(value)
    return [*labels, bytes(current)]


def decode(data: bytes) -> Message | Malformed:
    """One message. Bytes behind it are ignored, as resolvers do."""
    if len(data) < 12:
        return Malformed("truncated", len(data))
    id, flags, *counts = _HEADER.unpack_from(data)
    at = 12
    questions: list[Question] = []
    for _ in range(counts[0]):
        name = _get_name(data, at)
        if isinstance(name, Malformed):
            return name
        text, at = name
        if at + 4 > len(data):
            return Malformed("truncated", len(data))
        questions.append(Question(text, *struct.unpack_from("!HH", data, at)))
        at += 4
    sections: list[tuple[Record, ...]] = []
    for count in counts[1:]:
        records: list[Record] = []
        for _ in range(count):
            name = _get_name(data, at)
            if isinstance(name, Malformed):
                return name
            text, at = name
            if at + 10 > len(data):
                return Malformed("truncated", len(data))
            kind, dns_class, ttl, length = _RECORD.unpack_from(data, at)
            at += 10
            if at + length > len(data):
                return Malformed("record overruns", at)
            records.append(Record(text, kind, data[at : at + length], ttl, dns_class))
            at += length
        sections.append(tuple(records))
    return Message(id, flags, tuple(questions), *sections)


def _get_name(data: bytes, at: int) -> tuple[str, int] | Malformed:
    """The name at an offset and where it ends. A pointer must point before the name read so far: no loop can form."""
    labels: list[str] = []
    after, floor, size = -1, at, 1
    for _ in range(_MAX_STEPS):
        if at >= len(data):
            return Malformed("truncated", len(data))
        length = data[at]
        if length == 0:
            return ".".join(labels), after if after >= 0 else at + 1
        if length >= 0xC0:
            if at + 2 > len(data):
                return Malformed("truncated", len(data))
            target = (length & 0x3F) << 8 | data[at + 1]
            if target >= floor or target < 12:
                return Malformed("pointer not backwards", at)
            after = after if after >= 0 else at + 2
            at = floor = target
            continue
        size += length + 1
        if length >= 0x40 or size > 255:
            return Malformed("label or name too long", at)
        if at + 1 + length > len(data):
            return Malformed("truncated", len(data))
        labels.append("".join(_PRINTED[byte] for byte in data[at + 1 : at + 1 + length]))
        at += 1 + length
    return Malformed("too many pointers", at)


_MAX_STEPS = 256  # labels and pointers of one name: no honest one has more than 128 of them
_PRINTED = [chr(b) if 0x21 <= b <= 0x7E and b not in (0x2E, 0x5C) else f"\\{b:03d}" for b in range(256)]
