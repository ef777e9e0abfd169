"""What a decoder answers to bytes that it can't read."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Malformed:
    """Bytes that are no message of the codec asked. `offset` is the first byte (from 0) that does not fit.

    `reason` is a short fixed phrase, so that reasons can be counted. The reason `truncated` means that more bytes
    could still complete the message: a reader of a stream waits, a reader of datagrams gives up.
    """

    reason: str
    offset: int
