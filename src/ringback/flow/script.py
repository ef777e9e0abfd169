"""A rendered exchange: who sends which bytes when. It carries no label: what runs it cannot know which arm it is.

Both ends render the same script from (spec, seed), so every packet is known to both and equal bytes identify it:
unguessable content is the session's token, and a flow stays true to its app.
"""

import msgspec


class Send(msgspec.Struct, frozen=True, gc=False):
    """One datagram. Timed: `at` seconds after the exchange's start. Reply: `after` is the index of the other side's
    packet whose first arrival releases it at once; `at` then says when that is expected."""

    at: float
    data: bytes
    after: int | None = None


class DatagramScript(msgspec.Struct, frozen=True):
    """near: what the participant sends; far: what the peer sends. Each side's datagrams are pairwise different,
    sorted by `at`. The far side's clock starts when a near packet first arrives: then is that packet's `at`."""

    near: tuple[Send, ...]
    far: tuple[Send, ...]
    seconds: float


class Turn(msgspec.Struct, frozen=True):
    """One side's bytes on a stream, sent once the previous turn has arrived in whole (the first: on connect)."""

    by_near: bool
    data: bytes


class StreamScript(msgspec.Struct, frozen=True):
    """Turns in order; the first is the near side's and its first 40 bytes are unique (they identify the exchange).
    The stream is done when the last turn has arrived; then the near end closes. It fails after `timeout` seconds."""

    turns: tuple[Turn, ...]
    timeout: float


Script = DatagramScript | StreamScript
