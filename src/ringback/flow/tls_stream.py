"""A web connection: TLS 1.3 as seen from outside, messages to and fro (text) or an upload and a download (media)."""

from ringback.catalogue import FunctionEntry
from ringback.flow.keystream import Keystream
from ringback.flow.names import neutral_name
from ringback.flow.script import StreamScript, Turn
from ringback.record import ExchangeSpec
from ringback.wire import tls as wire_tls

FINISHED = 58  # record of a client's Finished with SHA-256: 5 + 4 + 32 + 1 + 16
RECORD = 5 + wire_tls.MAX_FRAGMENT
SMALLEST = 5 + 17 + 1
CHANGE_CIPHER_SPEC = b"\x14\x03\x03\x00\x01\x01"  # for middleboxes, RFC 8446 appendix D.4


def tls(spec: ExchangeSpec, entry: FunctionEntry, keystream: Keystream) -> StreamScript:
    """The original names the app's host; the control is as valid and names a neutral host of equal length."""
    shape = entry.streams[spec.form]
    name = entry.name_of[spec.form]
    if spec.arm.payload == "control":
        name = neutral_name(name)
    request, *rest = (keystream.sizes(f"turn {i}", 1, *bounds)[0] for i, bounds in enumerate(shape.turns))
    rest = [max(spec.size, SMALLEST)] if spec.function == "media" else rest
    hello = client_hello(name, keystream)
    server = _server_hello(hello, keystream)
    flight = shape.server_bytes - len(server) - len(CHANGE_CIPHER_SPEC)
    finish = CHANGE_CIPHER_SPEC + records(FINISHED, keystream, "finish") + records(request, keystream, "request")
    if spec.upload:
        finish += records(max(spec.upload, SMALLEST), keystream, "upload")
    turns = [
        Turn(True, hello),
        Turn(False, server + CHANGE_CIPHER_SPEC + records(flight, keystream, "flight")),
        Turn(True, finish),
    ]
    turns += [Turn(i % 2 == 1, records(size, keystream, f"message {i}")) for i, size in enumerate(rest)]
    return StreamScript(tuple(turns), spec.seconds or shape.timeout_s)


def client_hello(name: str, keystream: Keystream) -> bytes:
    """A browser's hello for that host, 517 B, with fresh random, session id, key share and GREASE."""
    free = keystream.block("hello", 101)
    return wire_tls.client_hello(name, free[:32], free[32:64], free[64:96], free[96:])


def _server_hello(client: bytes, keystream: Keystream) -> bytes:
    asked = wire_tls.decode_hello(client)
    assert isinstance(asked, wire_tls.Hello)  # we have just encoded it
    free = keystream.block("server hello", 64)
    return wire_tls.server_hello(asked, free[:32], free[32:])


def records(size: int, keystream: Keystream, label: str) -> bytes:
    """Application data in as few records as it takes: `size` bytes with their headers, or up to 5 B less where a last
    record of its own would be empty."""
    count = -(-size // RECORD)
    return wire_tls.records(wire_tls.APPLICATION_DATA, keystream.block(label, size - 5 * count))
