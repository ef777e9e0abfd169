"""Codecs: bytes to events and back. No I/O, no clock, no randomness: every random field is handed in as bytes.

Decoding is total: any bytes give a frozen event or a `Malformed` value, never an exception. Encoding raises
`ringback.errors.BadInput` for a field that can't stand on the wire.
"""

from ringback.wire.malformed import Malformed

__all__ = ["Malformed"]
