"""One limit that all streams share, told from a limit on each and from chance by what comes of all of them together.

Up to three connections run at once, and a policer or a queue per host or network serves them from one bucket: how fast
one is depends on how many there are, so that no curve alone comes up to a line. Of each direction time is cut into
windows, and three explanations foretell the bytes of each from what came before: a bucket for all, a bucket for each,
and chance, where every transfer goes on at its own speed. Each has two numbers and a width, so likelihoods compare as
they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ringback.record import StreamOutcome
from ringback.verdict import transfers, turns
from ringback.verdict.arrivals import Floats, Timed
from ringback.verdict.finding import Side

FEWEST = 5  # transfers of one way
PART, LEAST_S, MOST_S = 1 / 3, 0.25, 1.5  # a window: so much of a transfer, s
AHEAD = 5.0  # log likelihood by which one bucket for all must be ahead of both others
NEAR = 1.92  # log likelihood within which a rate is in its 95 % interval
GRAIN = 500.0  # bytes: no explanation is more exact than part of a segment
OWED = 3_000.0  # bytes that may have come ahead of the bucket: held back behind a lost segment, they came in a jump
BURSTS = np.array([0, 2, 4, 8, 12, 16, 20, 24, 32, 40, 50, 64]) * 1000.0
STEPS = np.exp(np.linspace(-0.8, 0.8, 65))
EACH = np.exp(np.linspace(-1.5, 0.5, 41))  # of the rate of all: where flows run side by side, each has part of it
LINE_AT = (0.1, 0.3, 0.5)  # of a transfer: over what times the line above all of them is to be lowest
BELOW, ABOVE = 0.95, 1.1  # of the line: what TCP leaves unused; what acknowledgements take


@dataclass(frozen=True)
class Curve:
    """One transfer: at (s, one clock for all), got (bytes so far) and until when it went on."""

    at: Floats
    got: Floats
    until: float

    @property
    def seconds(self) -> float:
        return self.until - float(self.at[0])


@dataclass(frozen=True)
class Shared:
    """rate: bytes a second of payload, and its interval. ahead: log likelihood over the better of the others."""

    side: Side
    rate: float
    interval: tuple[float, float]
    ahead: float


def fit(timed: Sequence[Timed], spared: Sequence[StreamOutcome], slow: Sequence[Side]) -> list[Shared]:
    """The limits that hold for streams together, of the ways that are `slow`. timed: each with when it began, s."""
    found = []
    for side in slow:
        own = curves(timed, spared, side)
        if len(own) < FEWEST:
            continue
        table = _table(own)
        likely, (least, most) = _all(table)
        ahead = likely - max(_each(table), _chance(table))
        if ahead > AHEAD:
            low, rate, high = envelope(own)
            found.append(Shared(side, rate, (BELOW * min(low, least), ABOVE * max(high, most)), ahead))
    return found


def curves(timed: Sequence[Timed], spared: Sequence[StreamOutcome], side: Side) -> list[Curve]:
    by = turns.clocks(spared)
    found = []
    for start, stream in timed:
        one = transfers.WAYS[side](stream)
        if one is None or not one.arrivals:
            continue
        rows = len(one.arrivals)
        if side == "in":
            first = stream.arrivals[-rows][0]
        elif stream.up_first is not None and by is not None:
            first = stream.up_first - by.offset + stream.up_arrivals[-rows][0]
        else:
            continue
        at = start + first + np.array([t for t, _ in one.arrivals])
        over = stream.failed_at if not np.isfinite(one.seconds) else None
        until = float(at[-1]) if over is None else max(float(at[-1]), start + over)
        found.append(Curve(at, np.array([n for _, n in one.arrivals], dtype=float), until))
    return found


@dataclass(frozen=True)
class _Table:
    """Windows in which anything went on: their bounds, and of each transfer (columns) seconds, bytes and whether it
    began there."""

    since: Floats
    until: Floats
    seconds: Floats
    got: Floats
    began: Floats

    @property
    def total(self) -> Floats:
        return np.asarray(self.got.sum(axis=1))

    @property
    def rate(self) -> float:
        return float(self.got.sum() / (self.until - self.since).sum())

    def log_likelihood(self, errors: Floats) -> Floats:
        """Of normal errors (windows last) at their best width, up to a constant."""
        return np.asarray(-0.5 * errors.shape[-1] * np.log(np.mean(errors**2, axis=-1) + GRAIN**2))


def _table(own: Sequence[Curve]) -> _Table:
    busy: list[list[float]] = []
    for begun, over in sorted((float(c.at[0]), c.until) for c in own):
        if busy and begun <= busy[-1][1]:
            busy[-1][1] = max(over, busy[-1][1])
        else:
            busy.append([begun, over])
    length = min(max(PART * float(np.median([c.seconds for c in own])), LEAST_S), MOST_S)
    edges = [np.linspace(a - 1e-6, b + 1e-6, max(1, round((b - a) / length)) + 1) for a, b in busy]
    since, until = np.concatenate([e[:-1] for e in edges]), np.concatenate([e[1:] for e in edges])
    seconds = np.stack([np.maximum(0.0, np.minimum(until, c.until) - np.maximum(since, c.at[0])) for c in own], axis=1)
    got = np.stack([_by(c, until) - _by(c, since) for c in own], axis=1)
    began = np.stack([(since <= c.at[0]) & (c.at[0] < until) for c in own], axis=1).astype(float)
    return _Table(since, until, seconds, got, began)


def _by(curve: Curve, when: Floats) -> Floats:
    """Bytes that had come by then."""
    return np.asarray(np.concatenate(([0.0], curve.got))[np.searchsorted(curve.at, when, side="right")])


def _chance(table: _Table) -> float:
    """Each goes on at a speed that does not depend on the others, after what it begins with."""
    speed, began = table.seconds.sum(axis=1), table.began.sum(axis=1)
    both = np.stack([speed, began], axis=1)
    weights = np.linalg.lstsq(both, table.total, rcond=None)[0]
    if weights[1] < 0:
        weights = np.array([float(table.total @ speed) / float(speed @ speed), 0.0])
    return float(table.log_likelihood(table.total - both @ weights))


def _all(table: _Table) -> tuple[float, tuple[float, float]]:
    """All that comes is what one bucket had left and what ran into it since. With the rates that are as likely."""
    rate, burst = (grid.ravel() for grid in np.meshgrid(table.rate * STEPS, BURSTS))
    left, errors = burst.copy(), np.zeros((len(rate), len(table.since)))
    last, total = table.since[0], table.total
    for i in range(len(table.since)):
        left = np.minimum(burst, left + rate * (table.since[i] - last)) + rate * (table.until[i] - table.since[i])
        last = table.until[i]
        errors[:, i] = left - total[i]
        left = np.clip(errors[:, i], -OWED, burst)
    likely = table.log_likelihood(errors)
    near = rate[likely > likely.max() - NEAR]
    return float(likely.max()), (float(near.min()), float(near.max()))


def _each(table: _Table) -> float:
    """The same with a bucket for each, full at first."""
    rate, burst = (grid.reshape(-1, 1) for grid in np.meshgrid(table.rate * EACH, BURSTS))
    left = np.repeat(burst, table.got.shape[1], axis=1)
    errors = np.zeros((len(rate), len(table.since)))
    for i in range(len(table.since)):
        on = table.seconds[i] > 0
        after = left[:, on] + rate * table.seconds[i, on] - table.got[i, on]
        errors[:, i] = after.sum(axis=1)
        left[:, on] = np.clip(after, -OWED, burst)
    return float(table.log_likelihood(errors).max())


def envelope(own: Sequence[Curve]) -> tuple[float, float, float]:
    """(least, middle, greatest) rate in bytes a second of a bucket that all of it came through."""
    at = np.concatenate([c.at for c in own])
    order = np.argsort(at, kind="stable")
    at, got = at[order], np.concatenate([np.diff(c.got, prepend=0.0) for c in own])[order]
    typical = float(np.median([c.seconds for c in own]))
    rates = sorted(_lowest(at, got, part * typical) for part in LINE_AT)
    return rates[0], rates[len(rates) // 2], rates[-1]


def _lowest(at: Floats, got: Floats, over: float) -> float:
    """The rate at which burst + rate x `over` is least, with the smallest burst that lets all of it through."""
    rates = float(got.sum() / (at[-1] - at[0])) * np.exp(np.linspace(-0.5, 3.5, 200))
    so_far = np.cumsum(got)
    ahead = so_far - rates[:, None] * at
    bursts = (ahead - np.minimum.accumulate(ahead - got, axis=1)).max(axis=1)
    return float(rates[int(np.argmin(bursts + rates * over))])
