"""The receiving half of a TCP connection: order, SACK blocks (RFC 2018, RFC 2883) and when to acknowledge."""

from math import inf

from ringback.sim.sender import Sack

QUICK_ACKS = 16  # segments acknowledged one by one at first, as Linux does
DELAYED_ACK_S = 0.04  # Linux; RFC 1122 allows 0.5
WINDOW, MAX_WINDOW = 65_536, 4 << 20  # bytes
BLOCKS = 3  # SACK blocks that fit beside timestamps


class Receiver:
    """`ack_at`: when `acknowledged` must have been sent at the latest (`-inf`: at once), or inf."""

    __slots__ = (
        "_chunks",
        "_duplicate",
        "_fin_at",
        "_got",
        "_pending",
        "_quick",
        "_ranges",
        "ack_at",
        "next",
        "window",
    )

    def __init__(self, first: int) -> None:
        self.next = first
        self.ack_at = inf
        self._chunks: dict[int, bytes] = {}
        self._ranges: list[tuple[int, int]] = []  # out of order, the newest first
        self._duplicate: tuple[int, int] | None = None
        self._fin_at: int | None = None
        self._got = 0
        self._pending = 0
        self._quick = QUICK_ACKS
        self.window = WINDOW
        """It grows ahead of the data, as receive buffers are tuned (Linux tcp_moderate_rcvbuf)."""

    @property
    def ended(self) -> bool:
        """FIN has come in order."""
        return self._fin_at is not None and self.next > self._fin_at

    def take(self, seq: int, data: bytes, fin: bool, now: float) -> bytes:
        """A segment has arrived: what can be handed on in order."""
        end = seq + len(data)
        if fin:
            self._fin_at = end
        if end + fin <= self.next:
            if end + fin > seq:
                self._duplicate = (seq, end + fin)
                self.ack_at = -inf
            return b""
        if seq > self.next:
            if seq in self._chunks and len(self._chunks[seq]) >= len(data):
                self._duplicate = (seq, end)
            elif data:
                self._keep(seq, end, data)
            self.ack_at = -inf
            return b""
        out = data[self.next - seq :] if seq < self.next else data
        self.next = end
        filled = bool(self._ranges)
        if filled:
            parts = [out]
            while (chunk := self._chunks.pop(self.next, None)) is not None:
                parts.append(chunk)
                self.next += len(chunk)
            out = b"".join(parts)
            self._ranges = [r for r in self._ranges if r[1] > self.next]
            if not self._ranges:
                self._chunks.clear()
        self._got += len(out)
        self.window = min(WINDOW + 2 * self._got, MAX_WINDOW)
        if self._fin_at == self.next:
            self.next += 1
            self.ack_at = -inf
        elif filled:
            self.ack_at = -inf
        else:
            self._pending += 1
            if self._quick > 0 or self._pending >= 2:
                self._quick -= 1
                self.ack_at = -inf
            elif self.ack_at == inf:
                self.ack_at = now + DELAYED_ACK_S
        return out

    def _keep(self, seq: int, end: int, data: bytes) -> None:
        self._chunks[seq] = data
        apart = []
        for left, right in self._ranges:
            if right < seq or left > end:
                apart.append((left, right))
            else:
                seq, end = min(seq, left), max(end, right)
        self._ranges = [(seq, end), *apart]

    def acknowledged(self) -> Sack:
        """An ACK goes out now: the SACK blocks it carries."""
        self.ack_at = inf
        self._pending = 0
        if self._duplicate is not None:
            first, self._duplicate = self._duplicate, None
            return (first, *self._ranges[: BLOCKS - 1])
        return tuple(self._ranges[:BLOCKS]) if self._ranges else ()
