"""CUBIC (RFC 9438) with the delay half of HyStart (Ha and Rhee 2011, RFC 9406), as Linux ships it. In segments."""

from math import inf

C = 0.4
BETA = 0.7
FRIENDLY = 3 * (1 - BETA) / (1 + BETA)  # RFC 9438 section 4.3
INITIAL_WINDOW = 10.0  # RFC 6928
FLOOR = 2.0

HYSTART_LOW = 16  # segments of window below which slow start is left alone
HYSTART_SAMPLES = 8
HYSTART_DELAY = (0.004, 0.016)  # bounds of the rise that ends slow start, s; between them an eighth of the RTT


class Cubic:
    """`window`: segments that may be in flight. `threshold`: below it slow start."""

    __slots__ = (
        "_epoch",
        "_friendly",
        "_max",
        "_origin",
        "_round_end",
        "_round_min",
        "_round_samples",
        "_to_origin",
        "rtt_min",
        "threshold",
        "window",
    )

    def __init__(self) -> None:
        self.window = INITIAL_WINDOW
        self.threshold = inf
        self.rtt_min = inf
        self._epoch: float | None = None
        self._max = 0.0
        self._origin = 0.0
        self._to_origin = 0.0
        self._friendly = 0.0
        self._round_end = 0
        self._round_min = inf
        self._round_samples = 0

    def sampled(self, rtt: float, acked: int, sent: int) -> None:
        """An RTT was measured (s); `acked` and `sent`: how far the other side acknowledged and we have sent."""
        if rtt < self.rtt_min:
            self.rtt_min = rtt
        if self.window >= self.threshold:
            return
        if acked >= self._round_end:
            self._round_end, self._round_min, self._round_samples = sent, inf, 0
        if self._round_samples < HYSTART_SAMPLES:
            self._round_samples += 1
            self._round_min = min(self._round_min, rtt)
            return
        low, high = HYSTART_DELAY
        if self.window >= HYSTART_LOW and self._round_min > self.rtt_min + min(max(self.rtt_min / 8, low), high):
            self.threshold = self.window

    def grow(self, acked: int, now: float, rtt: float) -> None:
        """`acked` segments were acknowledged while the window was the limit; rtt: smoothed (s)."""
        if self.window < self.threshold:
            take = min(acked, max(self.threshold - self.window, 0.0))
            self.window += take
            acked -= int(take)
            if acked <= 0:
                return
        if self._epoch is None:
            self._epoch = now
            self._friendly = self.window
            self._origin = max(self._max, self.window)
            self._to_origin = ((self._origin - self.window) / C) ** (1 / 3)
        since = now - self._epoch + rtt
        target = min(self._origin + C * (since - self._to_origin) ** 3, 1.5 * self.window)
        self._friendly += FRIENDLY * acked / self.window
        if target > self.window:
            self.window += acked * (target - self.window) / self.window
        else:
            self.window += acked / (100 * self.window)
        if self.window < self._friendly:
            self.window = self._friendly

    def reduce(self) -> None:
        """A loss: set where to go down to (`threshold`); the sender moves the window there."""
        self._epoch = None
        self._max = self.window * (1 + BETA) / 2 if self.window < self._max else self.window  # fast convergence
        self.threshold = max(self.window * BETA, FLOOR)

    def idle(self) -> None:
        """Nothing was in flight for longer than a timeout: begin again (RFC 5681 section 4.1)."""
        self._epoch = None
        self.window = min(self.window, INITIAL_WINDOW)
