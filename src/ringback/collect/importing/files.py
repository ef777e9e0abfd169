"""Opens a file whatever it is packed in (plain, gzip, zstd: told by its first bytes), and cuts it into lines."""

import gzip
import io
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ringback.errors import BadInput, Unavailable

LINE = 64 << 20  # bytes of one record; OONI's largest are some megabytes
DAMAGE = (OSError, EOFError, zlib.error)  # of a packing; gzip's own errors are OSErrors, and so are Arrow's
PIECE = 1 << 16  # bytes unpacked at a time
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


@contextmanager
def opened(file: Path) -> Iterator[IO[bytes]]:
    """The unpacked bytes, without a byte order mark. Raises BadInput where the file can't be read."""
    try:
        raw = file.open("rb")
        start = raw.peek(4)[:4]
    except OSError as error:
        raise BadInput(f"can't be read: {error.strerror}", str(file)) from error
    with raw:
        unpacked = _unpacked(raw, start, file)
        with suppress(*DAMAGE):  # who reads on meets it again
            if unpacked.peek(len(BOM_UTF8)).startswith(BOM_UTF8):
                unpacked.read(len(BOM_UTF8))
        yield unpacked


def _unpacked(raw: io.BufferedReader, start: bytes, file: Path) -> io.BufferedReader:
    if start.startswith(_GZIP):
        return io.BufferedReader(_Raw(gzip.GzipFile(fileobj=raw).read1), 1 << 20)
    if start == _ZSTD:
        try:
            import pyarrow
        except ImportError as error:
            raise Unavailable(f"{file} is zstd, which needs pyarrow", "pip install 'ringback[observatory]'") from error
        return io.BufferedReader(_Raw(pyarrow.CompressedInputStream(raw, "zstd").read), 1 << 20)
    return raw


class _Raw(io.RawIOBase):
    """An unpacker's `read` as a stream that gives what there is, a piece at a time: damage costs only what follows. It
    is met again by whoever reads again: after it, gzip would call what it can't read the file's end."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._damage: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        if self._damage is not None:
            raise self._damage
        try:
            got = self._read(min(len(view), PIECE))
        except DAMAGE as error:
            self._damage = error
            raise
        view[: len(got)] = got
        return len(got)


def lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes | str]]:
    """(number from 1, line without its end) of each line that is not blank; in place of a line the reason why it can't
    be had: `too-large`, or `damaged-packing`, which is the last."""
    number = 0
    try:
        while piece := stream.readline(LINE + 1):
            number += 1
            if len(piece) > LINE:
                while piece and not piece.endswith(b"\n"):
                    piece = stream.readline(LINE)
                yield number, "too-large"
            elif stripped := piece.strip():
                yield number, stripped
    except DAMAGE:
        yield number + 1, "damaged-packing"
