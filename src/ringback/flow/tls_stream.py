"""A web connection: TLS 1.3 as seen from outside, with a small answer (text) or a download (media)."""

import struct

from ringback.catalogue import FunctionEntry
from ringback.flow.keystream import Keystream
from ringback.flow.names import neutral_name
from ringback.flow.script import StreamScript, Turn
from ringback.record import ExchangeSpec

SERVER_HELLO = 127  # bytes of its record: header 5, handshake header 4, body 118
FINISHED = 58  # record of a client's Finished with SHA-256: 5 + 4 + 32 + 1 + 16
RECORD = 5 + 16384 + 17  # the largest record on the wire (RFC 8446 section 5.2)
SMALLEST = 5 + 17 + 1
CIPHERS = (
    0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014, 0x9C, 0x9D, 0x2F, 0x35,
)  # fmt: skip
CHANGE_CIPHER_SPEC = b"\x14\x03\x03\x00\x01\x01"  # for middleboxes, RFC 8446 appendix D.4


def tls(spec: ExchangeSpec, entry: FunctionEntry, keystream: Keystream) -> StreamScript:
    """The original names the app's host; the control is as valid and names a neutral host of equal length."""
    shape = entry.streams[spec.form]
    name = entry.name_of[spec.form]
    if spec.arm.payload == "control":
        name = neutral_name(name)
    request, *rest = (
        keystream.sizes(f"turn {i}", 1, *smallest_largest)[0] for i, smallest_largest in enumerate(shape.turns)
    )
    answer = max(spec.size, SMALLEST) if spec.function == "media" else sum(rest)
    noise = keystream.block("records", shape.server_bytes + FINISHED + request + answer)
    flight = shape.server_bytes - SERVER_HELLO - len(CHANGE_CIPHER_SPEC)
    hello = client_hello(name, keystream)
    server = _server_hello(keystream.block("hello", 96)[32:64], keystream.block("server hello", 64))
    at = shape.server_bytes
    turns = (
        Turn(True, hello),
        Turn(False, server + CHANGE_CIPHER_SPEC + records(flight, noise)),
        Turn(True, CHANGE_CIPHER_SPEC + records(FINISHED, noise, at) + records(request, noise, at + FINISHED)),
        Turn(False, records(answer, noise, at + FINISHED + request)),
    )
    return StreamScript(turns, spec.seconds or shape.timeout_s)


def records(size: int, noise: bytes, at: int = 0) -> bytes:
    """Application data in as few records as it takes, `size` bytes with their headers (at least SMALLEST), filled with
    noise from offset `at`."""
    parts, left = [], size
    while left:
        take = min(left, RECORD)
        if 0 < left - take < SMALLEST:
            take -= SMALLEST
        parts.append(struct.pack(">BHH", 23, 0x0303, take - 5))
        parts.append(noise[at : at + take - 5])
        at += take - 5
        left -= take
    return b"".join(parts)


def client_hello(name: str, keystream: Keystream) -> bytes:
    """A browser's hello for that host, padded to 517 B (RFC 7685), with fresh random, session id and key share."""
    host, free = name.encode(), keystream.block("hello", 96)

    def extension(code: int, body: bytes) -> bytes:
        return struct.pack(">HH", code, len(body)) + body

    def vector(body: bytes) -> bytes:
        return struct.pack(">H", len(body)) + body

    ciphers = struct.pack(f">{len(CIPHERS)}H", *CIPHERS)
    extensions = (
        extension(0, vector(b"\0" + vector(host)))
        + extension(23, b"")
        + extension(0xFF01, b"\0")
        + extension(10, vector(struct.pack(">3H", 29, 23, 24)))
        + extension(11, b"\x01\0")
        + extension(35, b"")
        + extension(16, vector(b"\x02h2\x08http/1.1"))
        + extension(13, vector(struct.pack(">8H", 0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)))
        + extension(51, vector(struct.pack(">HH", 29, 32) + free[64:96]))
        + extension(45, b"\x01\x01")
        + extension(43, b"\x04\x03\x04\x03\x03")
    )
    before = 2 + 32 + 33 + 2 + len(ciphers) + 2 + 2
    extensions += extension(21, bytes(max(0, 517 - 9 - before - len(extensions) - 4)))
    body = b"\x03\x03" + free[:32] + b"\x20" + free[32:64] + vector(ciphers) + b"\x01\0" + vector(extensions)
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + vector(handshake)


def _server_hello(session: bytes, free: bytes) -> bytes:
    body = b"\x03\x03" + free[:32] + b"\x20" + session + b"\x13\x01\0\x00\x2e"
    body += b"\0\x33\0\x24\0\x1d\0\x20" + free[32:64] + b"\0\x2b\0\x02\x03\x04"
    handshake = b"\x02" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x03" + len(handshake).to_bytes(2, "big") + handshake
