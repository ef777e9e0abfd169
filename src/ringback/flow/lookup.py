"""A DNS lookup over UDP with an EDNS cookie, so that a forged answer is told from the agreed one."""

from ringback.catalogue import FunctionEntry
from ringback.flow.draft import Draft
from ringback.flow.keystream import Keystream
from ringback.flow.names import neutral_name
from ringback.flow.script import DatagramScript
from ringback.record import ExchangeSpec
from ringback.wire import dns

RETRY_S = 1.0


def lookup(spec: ExchangeSpec, entry: FunctionEntry, keystream: Keystream) -> DatagramScript:
    """A query for the app's name, or for a neutral one of equal length, and again after a second under another id.

    The answer is an address of 198.51.100.0/24 (RFC 5737) that only both ends know.
    """
    name = entry.name_of["dns"]
    if spec.arm.payload == "control":
        name = neutral_name(name)
    draft = Draft()
    address = agreed_address(keystream)
    first = keystream.number("query id", 16)
    for i, identifier in enumerate((first, first ^ 0x5555)):
        asked = dns.query(identifier, name, cookie=keystream.block(f"cookie {i}", 8))
        draft.exchange(True, RETRY_S * i, dns.encode(asked), dns.encode(dns.answer(asked, (address,))))
    return draft.script(spec.seconds)


def agreed_address(keystream: Keystream) -> str:
    """What the peer answers in this exchange."""
    return f"198.51.100.{keystream.block('address', 1)[0]}"
