"""An access link: rate and drop-tail queue, bursty loss, jitter and competing traffic, each direction on its own.

Loss is the two-state model of Gilbert (1960) and Elliott (1963) in its simplest form (all packets of a bad run are
lost, none of a good run). Its state moves once a packet of the link and direction.
"""

from dataclasses import dataclass
from math import inf

import numpy as np

from ringback.errors import BadInput

LOST = -1.0
"""What `OneWay.admit` returns instead of a time."""

CROSS_BYTES = 1500  # one packet of competing traffic
CROSS_PERIOD_S = 1.0  # mean length of its on and of its off periods (exponential, one to one)
JITTER_REACH = 3.0  # standard deviations at which the jitter's normal distribution is cut
BLOCK = 2048  # packets whose fate is drawn at once


@dataclass(frozen=True)
class LinkParameters:
    """A network's access link, as a scenario's `[link]` names it; see there for units and meaning.

    loss_burst: mean burst in packets; at 1 (and up to 1 / (1 - loss), what chance alone makes) losses are independent.
    cross_kbps: rate of the competing traffic while it is on; it is on half of the time.
    """

    rtt_ms: float = 40.0
    jitter_ms: float = 5.0
    loss: float = 0.005
    loss_burst: float = 3.0
    up_kbps: float = 8000.0
    down_kbps: float = 30000.0
    queue_ms: float = 200.0
    cross_kbps: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rtt_ms", "jitter_ms", "queue_ms", "cross_kbps"):
            if getattr(self, name) < 0:
                raise BadInput(f"{name} is negative", "link")
        for name in ("up_kbps", "down_kbps"):
            if getattr(self, name) <= 0:
                raise BadInput(f"{name} must be more than 0", "link")
        if not 0 <= self.loss <= 1:
            raise BadInput("loss must be between 0 and 1", "link")
        if self.loss_burst < 1:
            raise BadInput("loss_burst must be 1 or more", "link")

    @property
    def access_ms(self) -> float:
        """The part of the one-way delay that lies before hop 1: a quarter, or as much as the jitter needs to swing."""
        return min(self.rtt_ms / 2, max(self.rtt_ms / 8, JITTER_REACH * self.jitter_ms))

    @property
    def beyond_ms(self) -> float:
        """The rest of the one-way delay: from hop 1 to the far end."""
        return self.rtt_ms / 2 - self.access_ms


class OneWay:
    """One direction of a link. Ask it in the order of time."""

    __slots__ = (
        "_access",
        "_bad",
        "_block",
        "_busy",
        "_cross_gap",
        "_cross_next",
        "_cross_until",
        "_drawn",
        "_into_bad",
        "_jitter",
        "_last",
        "_out_of_bad",
        "_queue",
        "_rng",
        "_run",
        "_seconds_per_byte",
        "dropped",
        "lost",
    )

    def __init__(self, parameters: LinkParameters, kbps: float, rng: np.random.Generator) -> None:
        p = parameters
        self.lost = 0
        """Packets lost by chance; `dropped`: by the full queue."""
        self.dropped = 0
        self._drawn = 0
        self._rng = rng
        self._access = p.access_ms / 1e3
        self._jitter = p.jitter_ms / 1e3
        self._queue = p.queue_ms / 1e3
        self._seconds_per_byte = 8.0 / (kbps * 1e3)
        self._busy = 0.0
        self._last = 0.0
        self._block: list[float] = []

        burst = max(p.loss_burst, 1 / (1 - p.loss) if p.loss < 1 else inf)
        self._out_of_bad = 1 / burst
        self._into_bad = p.loss / (burst * (1 - p.loss)) if p.loss < 1 else 1.0
        self._bad = bool(rng.random() < p.loss)
        self._run = 0
        self._start_run()

        self._cross_gap = CROSS_BYTES * 8 / (p.cross_kbps * 1e3) if p.cross_kbps else inf
        self._cross_next = rng.exponential(CROSS_PERIOD_S) if p.cross_kbps else inf
        self._cross_until = self._cross_next + rng.exponential(CROSS_PERIOD_S) if p.cross_kbps else inf

    @property
    def admitted(self) -> int:
        """All packets that came."""
        return self._drawn - len(self._block) + self.dropped

    def admit(self, now: float, size: int) -> float:
        """When a packet of `size` bytes that meets the link at `now` leaves it; `LOST` where it does not."""
        if self._cross_next <= now:
            self._compete(now)
        busy = self._busy
        if busy < now:
            busy = now
        elif busy - now > self._queue:
            self.dropped += 1
            return LOST
        self._busy = busy = busy + size * self._seconds_per_byte
        delay = (self._block or self._fill()).pop()
        if delay < 0.0:
            self.lost += 1
            return LOST
        out = busy + delay
        if out < self._last:
            return self._last
        self._last = out
        return out

    def _compete(self, now: float) -> None:
        """Let the packets of the competing traffic up to `now` into the queue."""
        when, busy, queue = self._cross_next, self._busy, self._queue
        size = CROSS_BYTES * self._seconds_per_byte
        while when <= now:
            if busy < when:
                busy = when + size
            elif busy - when <= queue:
                busy += size
            when += self._cross_gap
            if when > self._cross_until:
                when = self._cross_until + self._rng.exponential(CROSS_PERIOD_S)
                self._cross_until = when + self._rng.exponential(CROSS_PERIOD_S)
        self._cross_next, self._busy = when, busy

    def _start_run(self) -> None:
        leave = self._out_of_bad if self._bad else self._into_bad
        self._run = int(min(self._rng.geometric(leave), 1 << 40)) if leave > 0 else 1 << 40

    def _fill(self) -> list[float]:
        """Draw the delays of the next packets, `LOST` for those that get lost; kept backwards, for `pop`."""
        delays = np.full(BLOCK, self._access)
        if self._jitter:
            delays += self._jitter * self._swings()
        at = 0
        while at < BLOCK:
            run = min(self._run, BLOCK - at)
            if self._bad:
                delays[at : at + run] = LOST
            at += run
            self._run -= run
            if not self._run:
                self._bad = not self._bad
                self._start_run()
        self._drawn += BLOCK
        self._block = delays[::-1].tolist()
        return self._block

    def _swings(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Standard normal, cut at `JITTER_REACH` and where the delay would be negative, by drawing again."""
        low = max(-JITTER_REACH, -self._access / self._jitter)
        swings = self._rng.standard_normal(BLOCK)
        while (out := (swings < low) | (swings > JITTER_REACH)).any():
            swings[out] = self._rng.standard_normal(int(out.sum()))
        return swings


class Link:
    """Both directions: `up` from the participant, `down` towards the participant."""

    __slots__ = ("down", "parameters", "up")

    def __init__(self, parameters: LinkParameters, rng: np.random.Generator) -> None:
        up, down = rng.spawn(2)
        self.parameters = parameters
        self.up = OneWay(parameters, parameters.up_kbps, up)
        self.down = OneWay(parameters, parameters.down_kbps, down)
