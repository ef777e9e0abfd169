"""A datagram exchange while it is written, and its control: the same sizes at the same times in meaningless bytes."""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

from ringback.flow.keystream import Keystream
from ringback.flow.script import DatagramScript, Send

Line = tuple[float, int, bytes, int]
"""(seconds, own number on its side, datagram, number of the other side's line that releases it or -1)."""

# First bytes that RFC 7983 gives to no protocol on a shared port (STUN 0-3, ZRTP 16-19, DTLS 20-63, TURN 64-79,
# QUIC 80-127 and 192-255, RTP 128-191), without 8, which begins WhatsApp's own STUN types and OpenVPN's oldest opcode.
UNASSIGNED = bytes((5, 6, 7, 9, 10, 11, 12, 13, 14, 15))
_FIRST = bytes(UNASSIGNED[byte % len(UNASSIGNED)] for byte in range(256))


def unassigned(byte: int) -> int:
    """One of the first bytes that belong to no protocol, chosen by a random byte."""
    return _FIRST[byte]


class Draft:
    """Both sides' lines in any order; `script` sorts them and turns line numbers into indices."""

    __slots__ = ("far", "near")

    def __init__(self) -> None:
        self.near: list[Line] = []
        self.far: list[Line] = []

    def say(self, near: bool, at: float, data: bytes, after: int = -1) -> int:
        """Adds one datagram; gives its number on its side, to be named by replies."""
        lines = self.near if near else self.far
        lines.append((at, len(lines), data, after))
        return len(lines) - 1

    def exchange(self, near: bool, at: float, request: bytes, reply: bytes, delay: float = 0.0) -> tuple[int, int]:
        """A request of one side at a time, and the other side's reply to it. delay: when the reply is expected."""
        asked = self.say(near, at, request)
        return asked, self.say(not near, at + delay, reply, asked)

    def stream(self, near: bool, times: Iterable[float], datagrams: Iterable[bytes]) -> None:
        """Adds timed datagrams in bulk."""
        lines = self.near if near else self.far
        start = len(lines)
        lines += [(at, start + i, data, -1) for i, (at, data) in enumerate(zip(times, datagrams, strict=True))]

    def script(self, seconds: float) -> DatagramScript:
        """The exchange up to `seconds`: later lines are left out, with the replies to them."""
        near, far = self.near, self.far
        near.sort()
        far.sort()
        # A reply is expected no sooner than its request, so what is cut is a tail of each side, replies included.
        near = near[: bisect_left(near, (seconds,))]
        far = far[: bisect_left(far, (seconds,))]
        return DatagramScript(_sends(near, far), _sends(far, near), seconds)


def _sends(lines: list[Line], others: list[Line]) -> tuple[Send, ...]:
    index: dict[int, int | None] = {line[1]: i for i, line in enumerate(others)}
    index[-1] = None
    return tuple([Send(at, data, index[after]) for at, _, data, after in lines])


def control_of(script: DatagramScript, keystream: Keystream) -> DatagramScript:
    """The control of a rendered original: equal sizes, times and replies, random bytes that begin like no protocol."""
    return DatagramScript(_noise(script.near, keystream, "near"), _noise(script.far, keystream, "far"), script.seconds)


def _noise(sends: tuple[Send, ...], keystream: Keystream, label: str) -> tuple[Send, ...]:
    ends = list(accumulate([len(send.data) for send in sends]))
    starts = [0, *ends[:-1]]
    noise = bytearray(keystream.plain(f"control {label}", ends[-1] if ends else 0))
    first = _FIRST
    for start in starts[: len(ends)]:
        noise[start] = first[noise[start]]
    fixed = bytes(noise)
    return tuple([Send(send.at, fixed[a:b], send.after) for send, a, b in zip(sends, starts, ends, strict=False)])
