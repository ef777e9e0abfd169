"""Captures that were compressed: gzip is unpacked while it is read, other formats are known by name alone.

A file is known by its first bytes, whatever it is called. RFC 1952 (gzip); its members may follow each other.
"""

import zlib
from typing import BinaryIO, Protocol

from ringback.capture.notes import Notes

GZIP = b"\x1f\x8b"
OTHERS = {
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x04\x22\x4d\x18": "LZ4",
    b"\xfd7zX": "xz",
    b"BZh": "bzip2",
    b"PK\3\4": "zip",
    b"7z\xbc\xaf": "7-Zip",
}
"""First bytes of formats that nothing here unpacks. An installation that measures stays small."""

PIECE = 1 << 14  # packed bytes that are read at once
GIVEN = 1 << 18  # unpacked bytes that are held at most
FREE = 64 << 20  # unpacked bytes that any file may give
RATIO = 200
"""Unpacked bytes for each packed one, beyond FREE. Captures of empty packets reach 50; a file made to harm 1000."""

MEMBER = 16 + zlib.MAX_WBITS  # with gzip's own header and checksum


class Source(Protocol):
    """What frames are read from."""

    def read(self, size: int, /) -> bytes:
        """`size` bytes, or fewer where it ends."""


class Unpacked:
    """A gzip file's content, in bounded memory. Damage ends it and is noted; what stands before has been given."""

    def __init__(self, file: BinaryIO, start: bytes, notes: Notes) -> None:
        """start: bytes that were read of the file already."""
        self._file = file
        self._notes = notes
        self._member = zlib.decompressobj(MEMBER)
        self._packed = start
        self._ready = bytearray()
        self._taken = len(start)
        self._given = 0
        self._over = False

    def read(self, size: int, /) -> bytes:
        """`size` bytes, or fewer where the content ends."""
        parts = []
        while size:
            if not self._ready and not self._fill():
                break
            parts.append(bytes(self._ready[:size]))
            del self._ready[:size]
            size -= len(parts[-1])
        return b"".join(parts)

    def _fill(self) -> bool:
        """Unpacks some more; False where nothing more comes."""
        while not self._over and not self._ready:
            if not self._packed and not self._load():
                break
            if self._member.eof:
                if not GZIP.startswith(self._packed[:2]):  # padding of a tape, or whatever else was appended
                    self._over = True
                    break
                self._member = zlib.decompressobj(MEMBER)
            self._unpack()
        self._given += len(self._ready)
        if not self._over and self._given > FREE + RATIO * self._taken:
            self._end(f"unpacks to more than {RATIO} times its length: read up to there")
        return bool(self._ready)

    def _load(self) -> bool:
        try:
            self._packed = self._file.read(PIECE)
        except OSError:
            self._packed = b""
        self._taken += len(self._packed)
        if not self._packed:
            if self._member.eof:
                self._over = True
            else:
                self._end("the compressed file ends early")
        return bool(self._packed)

    def _unpack(self) -> None:
        before = self._member.copy()
        try:
            self._ready += self._member.decompress(self._packed, GIVEN)
        except zlib.error:
            # All of the piece's content is lost with the exception: it is unpacked again, up to the damage.
            self._ready += _salvaged(before, self._packed)
            self._end("the compression is damaged: read up to there")
            return
        self._packed = self._member.unused_data if self._member.eof else self._member.unconsumed_tail

    def _end(self, why: str) -> None:
        self._notes.damage(why)
        self._over = True


def _salvaged(member: "zlib._Decompress", packed: bytes) -> bytes:
    out = bytearray()
    try:
        for at in range(len(packed)):
            out += member.decompress(packed[at : at + 1], GIVEN)
            if len(out) > GIVEN:
                break
    except zlib.error:
        pass
    return bytes(out)


def packed_as(start: bytes) -> str | None:
    """The name of a format that a file's first bytes show and that is not unpacked here."""
    return next((name for magic, name in OTHERS.items() if start.startswith(magic)), None)
