"""What a TCP connection's first bytes show of its app: a TLS or HTTP host name, Noise, obfuscated MTProto, TURN."""

from collections.abc import Mapping
from typing import NamedTuple

from ringback.capture.datagrams import DatagramMarks
from ringback.catalogue import Catalogue, functions_with_host
from ringback.wire import Malformed, mtproto, noise, stun, tls

KEPT = 4096  # bytes of each direction's beginning
AHEAD = 4  # segments that are kept until the one before them comes
HTTP = (b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ")


class Named(NamedTuple):
    """What an opening says; app is None where it says nothing that we know."""

    app: str | None = None
    function: str | None = None


NOBODY = Named()


class Opening:
    """One direction's first bytes, put together in order; `read` is asked again until it knows."""

    __slots__ = ("_ahead", "_begin", "_next", "data", "done")

    def __init__(self) -> None:
        self.data = b""
        self.done = False
        self._begin: int | None = None
        self._next = 0
        self._ahead: dict[int, bytes] = {}

    def start(self, sequence: int) -> None:
        """A SYN was seen: the first byte has the number after its own."""
        begin = (sequence + 1) & 0xFFFFFFFF
        if begin != self._begin:  # else its data stood before it in the file, or it was sent twice
            self._begin = self._next = begin
            self.data = b""
            self._ahead.clear()

    def add(self, sequence: int, payload: bytes) -> bool:
        """Whether it grew. What comes too early is kept, a little of it."""
        if self.done or not payload:
            return False
        if self._begin is None:
            self._begin = self._next = sequence
        if 0 < (sequence - self._next) & 0xFFFFFFFF < KEPT:
            if len(self._ahead) < AHEAD:
                self._ahead[sequence] = payload[:KEPT]
            return False
        grew = self._append(sequence, payload)
        fits: int | None = 0 if grew else None
        while fits is not None:
            fits = next((number for number, early in self._ahead.items() if self._append(number, early)), None)
            if fits is not None:
                del self._ahead[fits]
        return grew

    def _append(self, sequence: int, payload: bytes) -> bool:
        known = (self._next - sequence) & 0xFFFFFFFF
        if known >= len(payload):
            return False
        fresh = payload[known:]
        self.data += fresh[: KEPT - len(self.data)]
        self._next = (self._next + len(fresh)) & 0xFFFFFFFF
        return True

    def close(self) -> None:
        self.done, self.data = True, b""
        self._ahead.clear()


def read(data: bytes, catalogue: Catalogue, realms: Mapping[str, str]) -> Named | None:
    """What a stream's beginning says; None while more bytes could say more and fewer than KEPT were seen."""
    told = _read(data, catalogue, realms)
    return NOBODY if told is None and len(data) >= KEPT else told


def _read(data: bytes, catalogue: Catalogue, realms: Mapping[str, str]) -> Named | None:
    if len(data) < 4:
        return None
    if tls.looks_like(data):
        hello = tls.decode_hello(data)
        if isinstance(hello, Malformed):
            return None if hello.reason == "truncated" else NOBODY
        return of_host(hello.server_name, catalogue)
    if data.startswith(HTTP):
        return _http(data, catalogue)
    if data[:4] == noise.ROUTING_PREFACE or (data[:2] == noise.PROLOGUE and data[2] < 16 and data[3] < 16):
        return Named("whatsapp", "text")
    if data[0] < 2 and (len(data) < 8 or data[4:8] == b"\x21\x12\xa4\x42"):
        return _turn(data, realms)
    if len(data) < mtproto.OPENING_LENGTH:
        return None
    opening = mtproto.parse_opening(data)
    if isinstance(opening, Malformed):
        return NOBODY
    return Named("telegram", "media" if opening.dc < 0 else "text")  # its media servers have the negative numbers


def of_host(name: str | None, catalogue: Catalogue) -> Named:
    """Whose host it is, by the catalogue's patterns."""
    found = functions_with_host(catalogue, name) if name else ()
    return Named(*found[0]) if found else NOBODY


def _http(data: bytes, catalogue: Catalogue) -> Named | None:
    head, end, _ = data.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n")[1 : None if end else -1]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == b"host":
            return of_host(value.strip().decode("latin-1").partition(":")[0], catalogue)
    return NOBODY if end else None


def _turn(data: bytes, realms: Mapping[str, str]) -> Named | None:
    """STUN messages one behind the other, as TURN sends them over TCP (RFC 8656 section 3.1)."""
    seen = DatagramMarks(realms)
    while (length := stun.message_length(data)) is not None and length <= len(data):
        if not stun.looks_like(data[:length]):
            return NOBODY
        seen.see(True, data[:length])
        data = data[length:]
        if seen.app:
            return Named(seen.app, "voice")
    return None
