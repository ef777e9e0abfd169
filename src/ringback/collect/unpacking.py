"""A request's body, unpacked (gzip, RFC 1952; zstd, RFC 8878) within bounds, and cut into reports."""

import io
import zlib
from collections.abc import Callable, Mapping

import msgspec
import pyarrow

from ringback.errors import BadInput
from ringback.record import Report

MOST_BYTES = 32 << 20  # unpacked
MOST_REPORTS = 200  # of a batch
_PIECE = 1 << 16


class TooLarge(BadInput):
    """More than is taken in one request."""


class NotUnderstood(BadInput):
    """A packing that nobody here knows, or bytes that are not what they are said to be."""


def unpacked(body: bytes, packing: str, most: int = MOST_BYTES) -> bytes:
    """packing: of Content-Encoding. Raises TooLarge before more than `most` is held, NotUnderstood for damage and for
    another packing."""
    unpack = PACKINGS.get(packing.strip().lower())
    if unpack is None:
        raise NotUnderstood(
            "is packed in a way that is not known here; there are gzip, zstd and none", "Content-Encoding"
        )
    return unpack(body, most)


def _plain(body: bytes, most: int) -> bytes:
    if len(body) > most:
        raise TooLarge(f"is longer than {most} bytes", "body")
    return body


def _gzip(body: bytes, most: int) -> bytes:
    """All members of it, one after the other."""
    out = bytearray()
    rest = body
    while rest or not out:
        unpack = zlib.decompressobj(31)
        try:
            out += unpack.decompress(rest, most + 1 - len(out))
        except zlib.error as error:
            raise NotUnderstood("is no gzip", "body") from error
        if len(out) > most:
            raise TooLarge(f"is longer than {most} bytes when unpacked", "body")
        if not unpack.eof:
            raise NotUnderstood("is gzip that ends too early", "body")
        rest = unpack.unused_data
        if not out and not rest:
            break
    return bytes(out)


def _zstd(body: bytes, most: int) -> bytes:
    out = io.BytesIO()
    try:
        stream = pyarrow.CompressedInputStream(pyarrow.BufferReader(body), "zstd")
        while piece := stream.read(min(_PIECE, most + 1 - out.tell())):
            out.write(piece)
            if out.tell() > most:
                raise TooLarge(f"is longer than {most} bytes when unpacked", "body")
    except OSError as error:
        raise NotUnderstood("is no zstd, or ends too early", "body") from error
    return out.getvalue()


PACKINGS: Mapping[str, Callable[[bytes, int], bytes]] = {
    "": _plain,
    "identity": _plain,
    "gzip": _gzip,
    "x-gzip": _gzip,
    "zstd": _zstd,
}

_raw_list = msgspec.json.Decoder(list[msgspec.Raw])
_report = msgspec.json.Decoder(Report)


def pieces(body: bytes, batch: bool) -> list[bytes]:
    """The reports of a batch, undecoded: a line each (`batch`), or the items of an array; else the body itself.

    Raises BadInput for an array that is none, TooLarge for too many.
    """
    found: list[bytes]
    if batch:
        found = [line for line in body.splitlines() if line.strip()]
    elif body.lstrip()[:1] == b"[":
        try:
            found = [bytes(item) for item in _raw_list.decode(body)]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise NotUnderstood(f"is no JSON: {error}", "body") from error
    else:
        return [body]
    if len(found) > MOST_REPORTS:
        raise TooLarge(f"holds {len(found)} reports; at most {MOST_REPORTS} are taken at once", "body")
    if not found:
        raise BadInput("holds no report", "body")
    return found


def report(piece: bytes) -> Report:
    """Raises BadInput, naming the field, for what is no report; NotUnderstood for what is no JSON."""
    try:
        return _report.decode(piece)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise BadInput(what, where.strip("`") or "report") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotUnderstood(f"is no JSON: {error}", "body") from error
    except RecursionError as error:
        raise BadInput("is nested deeper than a report", "body") from error
