"""A DNS lookup over UDP with an EDNS cookie, so that a forged answer is told from the agreed one."""

import struct

from ringback.catalogue import FunctionEntry
from ringback.flow.draft import Draft
from ringback.flow.keystream import Keystream
from ringback.flow.names import neutral_name
from ringback.flow.script import DatagramScript
from ringback.record import ExchangeSpec

RETRY_S = 1.0


def lookup(spec: ExchangeSpec, entry: FunctionEntry, keystream: Keystream) -> DatagramScript:
    """A query for the app's name, or for a neutral one of equal length, and again after a second under another id.

    The answer is an address of 198.51.100.0/24 that only both ends know.
    """
    name = entry.name_of["dns"]
    if spec.arm.payload == "control":
        name = neutral_name(name)
    draft = Draft()
    address = bytes((198, 51, 100, keystream.block("address", 1)[0]))
    free = keystream.block("queries", 36)
    identifiers = [int.from_bytes(free[0:2], "big"), int.from_bytes(free[0:2], "big") ^ 0x5555]
    for i, identifier in enumerate(identifiers):
        client, server = free[4 + 16 * i : 12 + 16 * i], free[12 + 16 * i : 20 + 16 * i]
        draft.exchange(
            True, RETRY_S * i, query(name, identifier, client), answer(name, identifier, client, server, address)
        )
    return draft.script(spec.seconds)


def query(name: str, identifier: int, cookie: bytes) -> bytes:
    """Type A, recursion desired, with an EDNS client cookie of 8 bytes (RFC 1035, RFC 7873)."""
    option = struct.pack(">HH", 10, len(cookie)) + cookie
    return (
        struct.pack(">HHHHHH", identifier, 0x0100, 1, 0, 0, 1)
        + _question(name)
        + b"\0"
        + struct.pack(">HHIH", 41, 1232, 0, len(option))
        + option
    )


def answer(name: str, identifier: int, client: bytes, server: bytes, address: bytes) -> bytes:
    """The answer to `query`: one A record, and both cookies."""
    option = struct.pack(">HH", 10, 16) + client + server
    return (
        struct.pack(">HHHHHH", identifier, 0x8180, 1, 1, 0, 1)
        + _question(name)
        + struct.pack(">HHHIH", 0xC00C, 1, 1, 300, 4)
        + address
        + b"\0"
        + struct.pack(">HHIH", 41, 1232, 0, len(option))
        + option
    )


def _question(name: str) -> bytes:
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    return labels + b"\0" + struct.pack(">HH", 1, 1)
