"""Frames of a capture file, one after the other: pcap and pcapng, of either byte order, gzipped or not, whole or not.

Formats: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng. Damage ends the reading, or skips one block, and is noted;
what stands before it has been given already.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ringback.capture.notes import Notes
from ringback.capture.unpacking import GZIP, Source, Unpacked, packed_as
from ringback.errors import BadInput

LARGEST = 1 << 20  # bytes of one frame or of one block that is read: more is damage
YEAR_9999 = 253_402_300_800  # seconds; a time beyond has no date
HUGE = 1 << 31  # bytes of a block that is skipped; a longer one is no block

# pcap's magic number: byte order of what follows, ticks in a second
PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000_000),
    b"\xa1\xb2\xc3\xd4": (">", 1_000_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1_000_000_000),
    b"\xa1\xb2\x3c\x4d": (">", 1_000_000_000),
}
PCAP_HEADER = 24
PCAPNG = b"\x0a\x0d\x0d\x0a"  # type of a Section Header Block, the same in both byte orders
ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
INTERFACE, PACKET, SIMPLE, ENHANCED = 1, 2, 3, 6  # pcapng's block types
END_OF_OPTIONS, TIME_RESOLUTION, TIME_OFFSET = 0, 9, 14


class Frame(NamedTuple):
    """at: seconds since 1970. link: LINKTYPE number. data: what was captured; size: bytes that it had on the wire."""

    at: float
    link: int
    data: bytes
    size: int


class Interface(NamedTuple):
    """ticks: time stamps in a second. offset: seconds to add. snap: bytes kept of each frame, 0 = all."""

    link: int
    ticks: float
    offset: int
    snap: int


def frames(path: Path, notes: Notes) -> Iterator[Frame]:
    """The frames in the file's order, in bounded memory.

    Raises BadInput, before the first frame, for a file that can't be opened or is no capture at all; of an empty
    one, or one that ends within its first bytes, only that is noted.
    """
    try:
        file = path.open("rb")
    except (OSError, ValueError) as error:
        raise BadInput(f"can't be opened: {getattr(error, 'strerror', None) or error}", str(path)) from error
    with file:
        try:
            magic = file.read(4)
        except OSError as error:
            raise BadInput(f"can't be read: {error.strerror or error}", str(path)) from error
        source: Source = file
        if magic.startswith(GZIP):
            source = Unpacked(file, magic, notes)
            magic = source.read(4)
        if magic in PCAP:
            yield from _pcap(source, *PCAP[magic], notes)
        elif magic == PCAPNG:
            yield from _pcapng(source, notes)
        elif any(known.startswith(magic) for known in (*PCAP, PCAPNG, GZIP)):
            if magic:
                notes.damage("the file ends within its header")
            elif not notes.damaged:  # else a packed one that could not be unpacked
                notes.damage("the file is empty")
        elif packed := packed_as(magic):
            raise BadInput(f"is packed ({packed}): unpack it first", str(path))
        else:
            raise BadInput("is neither pcap nor pcapng", str(path))


def _read(file: Source, size: int) -> bytes:
    """`size` bytes, or fewer where the file ends or the disk fails."""
    try:
        return file.read(size)
    except OSError:
        return b""


def _pcap(file: Source, order: str, ticks: int, notes: Notes) -> Iterator[Frame]:
    header = _read(file, PCAP_HEADER - 4)
    if len(header) < PCAP_HEADER - 4:
        notes.damage("the file ends within its header")
        return
    link = struct.unpack(order + "I", header[16:])[0] & 0xFFFF  # above that: length of a checksum, which we ignore
    record = struct.Struct(order + "IIII")
    while head := _read(file, 16):
        if len(head) < 16:
            notes.damage("the file ends within a record's header")
            return
        seconds, fraction, kept, size = record.unpack(head)
        if kept > LARGEST:
            notes.damage(f"a record claims {kept} bytes: read up to there")
            return
        data = _read(file, kept)
        if len(data) < kept:
            notes.damage("the file ends within a record")
            return
        yield Frame(seconds + fraction / ticks, link, data, max(size, kept))


def _pcapng(file: Source, notes: Notes) -> Iterator[Frame]:
    order = "<"
    interfaces: list[Interface] = []
    head = PCAPNG + _read(file, 4)
    while head:
        if len(head) < 8:
            notes.damage("the file ends within a block's header")
            return
        if head[:4] == PCAPNG:
            mark = _read(file, 4)
            if mark not in ORDERS:
                notes.damage("a section without its byte order: read up to there")
                return
            order, interfaces, taken = ORDERS[mark], [], 12
        else:
            taken = 8
        kind, length = struct.unpack(order + "II", head)
        rest = length - taken
        if rest < 4 or length % 4 or length > HUGE:
            notes.damage(f"a block claims {length} bytes: read up to there")
            return
        if length > LARGEST or kind not in (INTERFACE, PACKET, SIMPLE, ENHANCED):
            if not _skip(file, rest):
                notes.damage("the file ends within a block")
                return
            if kind in (INTERFACE, PACKET, SIMPLE, ENHANCED):
                notes.damage(f"a block of {length} bytes was left out")
        else:
            body = _read(file, rest)
            if len(body) < rest:
                notes.damage("the file ends within a block")
                return
            if kind == INTERFACE:
                interfaces.append(_interface(body[:-4], order))
            else:
                frame = _packet(kind, body[:-4], order, interfaces)
                if frame is None:
                    notes.damage("a packet's block that does not add up was left out")
                else:
                    yield frame
        head = _read(file, 8)


def _skip(file: Source, size: int) -> bool:
    """Goes past `size` bytes; False where the file ends before."""
    while size:
        part = _read(file, min(size, LARGEST))
        if not part:
            return False
        size -= len(part)
    return True


def _interface(body: bytes, order: str) -> Interface:
    """An Interface Description Block; one that is cut gives link type 65535, which is nobody's."""
    if len(body) < 8:
        return Interface(0xFFFF, 1e6, 0, 0)
    link, _, snap = struct.unpack_from(order + "HHI", body)
    ticks, offset, at = 1e6, 0, 8
    while at + 4 <= len(body):
        code, size = struct.unpack_from(order + "HH", body, at)
        value = body[at + 4 : at + 4 + size]
        if code == END_OF_OPTIONS:
            break
        if code == TIME_RESOLUTION and len(value) == 1:
            ticks = float((2 if value[0] & 0x80 else 10) ** (value[0] & 0x7F))
        elif code == TIME_OFFSET and len(value) == 8:
            offset = struct.unpack(order + "q", value)[0]
        at += 4 + (size + 3 & ~3)
    return Interface(link, ticks, offset, snap)


def _packet(kind: int, body: bytes, order: str, interfaces: list[Interface]) -> Frame | None:
    """One packet's block; None where its fields contradict each other."""
    head = 4 if kind == SIMPLE else 20
    if len(body) < head:
        return None
    if kind == SIMPLE:  # it has no time, and belongs to the first interface
        number, ticks, size = 0, 0, struct.unpack_from(order + "I", body)[0]
        kept = min(size, len(body) - head)
        if interfaces and interfaces[0].snap:
            kept = min(kept, interfaces[0].snap)
    else:
        layout = "IIIII" if kind == ENHANCED else "HHIIII"
        fields = struct.unpack_from(order + layout, body)
        number, (high, low, kept, size) = fields[0], fields[-4:]
        ticks = high << 32 | low
    if number >= len(interfaces) or kept > len(body) - head:
        return None
    interface = interfaces[number]
    at = ticks / interface.ticks + interface.offset
    if not 0 <= at < YEAR_9999:
        return None
    return Frame(at, interface.link, body[head : head + kept], max(size, kept))
