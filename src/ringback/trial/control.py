"""What the two ends say to each other out of band: requests and answers of the `Ask` seam, as msgpack.

Times travel as whole tenths of a millisecond relative to the scheduled time, zlib-compressed: a round's record is
some 15 kB instead of 90 kB of JSON, which matters on the bad links that this instrument is for.
"""

import zlib
from collections.abc import Sequence
from typing import Literal, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from ringback.errors import BadInput
from ringback.record import ExchangeSpec, IcmpError, Try

VERSION = 1
TICK = 1e-4  # seconds
ABSENT = -(2**31)


class OpenRequest(msgspec.Struct, frozen=True):
    """Opens a session. ports: `udp/3478` and the like, those the catalogue would have; replays: captured exchanges
    (msgpack of flow.Replay) that the original of form `replay` carries."""

    version: int
    ports: list[str]
    replays: list[bytes] = []


class Grant(msgspec.Struct, frozen=True):
    """session: opaque id; seed: 32 bytes from which both ends render; ports: wanted port to the one that is had;
    other: ports that belong to no app, per transport; seen_as: the asking address; key: Ed25519 public key."""

    session: str
    seed: bytes
    ports: dict[str, int]
    other: dict[str, list[int]]
    seen_as: str
    key: bytes
    max_exchanges: int = 24

    def __post_init__(self) -> None:
        """Raises ValueError for what no peer grants: it would end a session in the middle."""
        had = [*self.ports.values(), *(port for ports in self.other.values() for port in ports)]
        if not (self.other.get("udp") and self.other.get("tcp") and all(0 < port < 65536 for port in had)):
            raise ValueError("ports that can't be used")


class RoundRequest(msgspec.Struct, frozen=True):
    session: str
    number: int
    specs: list[ExchangeSpec]


class OutcomeRequest(msgspec.Struct, frozen=True):
    session: str
    number: int
    final: bool


class FarExchange(msgspec.Struct, frozen=True):
    """The far half of one exchange. anchor: far clock at the exchange's start, None if nothing came. received / sent:
    packed times (see `pack`), index-aligned with the script's near / far packets. icmp: errors that came for what the
    far end sent, far clock. up_arrivals: of a stream, see `StreamOutcome`."""

    number: int
    anchor: float | None
    received: bytes = b""
    sent: bytes = b""
    duplicates: int = 0
    corrupted: int = 0
    up_received: int | None = None
    icmp: list[IcmpError] = []
    up_arrivals: list[tuple[float, int]] = []


class FarRound(msgspec.Struct, frozen=True):
    """digest: SHA-256 over what the far end saw (its FarExchange records, in order)."""

    number: int
    exchanges: list[FarExchange]
    digest: bytes


class TrySpec(msgspec.Struct, frozen=True):
    """A try at a host without a script: kind neutral|app|peer|site; address to try; see record.Try. every: seconds
    between pings. patience: seconds that a connect may take."""

    kind: Literal["neutral", "app", "peer", "site"]
    target: str
    address: str
    port: int
    transport: Literal["udp", "tcp"]
    form: str
    app: str | None = None
    function: str | None = None
    name: str | None = None
    pings: int = 1
    expect: str | None = None  # dns: the address that the name has, where it is known
    every: float = 0.1
    patience: float = 4.0


class VantageRequest(msgspec.Struct, frozen=True):
    """number: the same one again means the same request, whose answer was lost; 0: a request of its own."""

    session: str
    tries: list[TrySpec]
    number: int = 0


class VantageAnswer(msgspec.Struct, frozen=True):
    """done False: ask again."""

    done: bool
    tries: list[Try] = []


class CloseRequest(msgspec.Struct, frozen=True):
    session: str


class Transcript(msgspec.Struct, frozen=True):
    """digests: one a round, in order; signature: Ed25519 over b"ringback/transcript/1" and the digests."""

    digests: list[bytes]
    signature: bytes
    key: bytes


class Done(msgspec.Struct, frozen=True):
    ok: bool = True


T = TypeVar("T")
Times = Sequence[float | None] | NDArray[np.float64]
"""Seconds, on the clock of the end that took them."""


def encode(message: msgspec.Struct) -> bytes:
    return msgspec.msgpack.encode(message)


def decode(body: bytes, kind: type[T], where: str) -> T:
    """Raises BadInput naming `where` for bytes that are no `kind`."""
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"not a {kind.__name__}: {error}", where) from error


def pack(times: Times, expected: Times) -> bytes:
    """Times as tenths of a millisecond after the expected ones, NaN where absent; lossless to 0.05 ms."""
    if len(times) != len(expected):
        raise ValueError(f"{len(times)} times, {len(expected)} expected")
    ticks = np.rint((np.asarray(times, np.float64) - np.asarray(expected, np.float64)) / TICK)  # None becomes NaN
    return zlib.compress(np.where(np.isnan(ticks), ABSENT, ticks).astype("<i4").tobytes(), 6)


def unpack(packed: bytes, expected: Times, where: str) -> list[float | None]:
    """Inverse of `pack`, None where absent. Raises BadInput for bytes that do not hold exactly len(expected) times."""
    limit = 4 * len(expected)
    try:
        raw = zlib.decompressobj().decompress(packed, limit + 1)
    except zlib.error as error:
        raise BadInput(f"times do not decompress: {error}", where) from error
    if len(raw) != limit:
        raise BadInput(f"{len(raw)} bytes of times instead of {limit}", where)
    ticks = np.frombuffer(raw, "<i4")
    times: list[float | None] = (np.asarray(expected, np.float64) + ticks * TICK).tolist()
    for i in np.flatnonzero(ticks == ABSENT).tolist():
        times[i] = None
    return times
