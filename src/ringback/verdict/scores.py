"""How bad each exchange of a round was: numbers in [0, 1], higher is worse, made without labels.

Everything here takes outcomes and never specs: what a score means can't depend on what an exchange carried. Scaling is
by the round's own outcomes, which no relabelling changes. Dead zones keep differences that are too small to be felt
(an end that needs a millisecond more to build an original) from ever being a bet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ringback.errors import BadInput
from ringback.record import DatagramOutcome, Outcome, StreamOutcome
from ringback.verdict import transfers

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

GRACE = 1.0  # s after a checkpoint within which what was scheduled before it may arrive: the longest usable round trip
DELAY_DEAD_ZONE = 0.020  # s of median one-way delay above the round's best that count as nothing
DELAY_SCALE = 0.300  # s above the dead zone that count as the worst: conversation breaks down (ITU-T G.114: 400 ms)
TIME_DEAD_ZONE = (1.15, 0.020)  # a stream's finish up to 1.15 times the round's best plus 20 ms counts as nothing
TIME_RATIO = 8.0  # times that, which counts as the worst

KIND_WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "datagram": {"undelivered": 0.75, "late": 0.25},
    "stream": {"undone": 0.5, "slow": 0.5},
}


@dataclass(frozen=True)
class Direction:
    """One direction of a round's datagram exchanges as arrays of shape (exchanges, packets); NaN is never or padding.

    scheduled: s after the exchange's start. sizes: UDP payload bytes. counted: the packet was due, and whether it
    arrived is known. offered: s after the start at which it was sent, on a clock that ran from the exchange's start.
    elapsed: the same for its arrival. lag: one-way delay above the least of the round, s. wrong: (exchanges,) packets
    that arrived and equal none of the script.
    """

    scheduled: Floats
    sizes: Floats
    counted: Flags
    offered: Floats
    elapsed: Floats
    lag: Floats
    wrong: Floats

    @cached_property
    def arrived(self) -> Flags:
        return self.counted & ~np.isnan(self.elapsed)

    def due(self, until: float) -> Flags:
        return self.counted & (self.scheduled <= until)


Ways = tuple[Direction, Direction]
"""Outward and inward."""


def _dense(rows: Sequence[Sequence[float | None]], width: int) -> Floats:
    table = np.full((len(rows), width), np.nan)
    for i, row in enumerate(rows):
        if row:
            table[i, : len(row)] = np.array(row, dtype=np.float64)
    return table


def _above_least(delay: Floats, rows: Flags) -> Floats:
    """`delay` less its least value among `rows`; other rows untouched."""
    chosen = delay[rows]
    if chosen.size and not np.isnan(chosen).all():
        delay = delay.copy()
        delay[rows] = chosen - np.nanmin(chosen)
    return delay


def directions(outcomes: Sequence[DatagramOutcome]) -> Ways:
    """(outward, inward) of a round. The two ends' clocks need not agree: only differences to the round's least count.

    Where the far half's record never came, outward is not counted at all and inward is counted against the script. The
    same holds for inward where the far end sent nothing, since then nothing of ours had reached it.
    """
    lost = np.array([o.partner == "lost" for o in outcomes], dtype=bool)

    def tables(lanes: Sequence[object]) -> tuple[Floats, Floats, Floats, Floats]:
        width = max((len(lane.scheduled) for lane in lanes), default=0)  # type: ignore[attr-defined]
        return (
            _dense([lane.scheduled for lane in lanes], width),  # type: ignore[attr-defined]
            _dense([lane.sizes for lane in lanes], width),  # type: ignore[attr-defined]
            _dense([lane.sent for lane in lanes], width),  # type: ignore[attr-defined]
            _dense([lane.received for lane in lanes], width),  # type: ignore[attr-defined]
        )

    due, sizes, sent, received = tables([o.outward for o in outcomes])
    start = np.zeros((len(outcomes), 1))
    for i, (out_due, out_sent) in enumerate(zip(due, sent, strict=True)):
        known = np.flatnonzero(~np.isnan(out_sent))
        if len(known):  # the first packet is timed, later ones may be replies that went out early
            start[i, 0] = out_sent[known[0]] - out_due[known[0]]
    lag = _above_least(received - sent, ~lost)
    outward = Direction(
        scheduled=due,
        sizes=sizes,
        counted=~np.isnan(due) & ~lost[:, None],
        offered=sent - start,
        elapsed=sent - start + lag,
        lag=lag,
        wrong=np.array([o.outward.corrupted for o in outcomes], dtype=np.float64),
    )

    due, sizes, sent, received = tables([o.inward for o in outcomes])
    silent = lost | np.isnan(sent).all(axis=1)
    counted = np.where(silent[:, None], ~np.isnan(due), ~np.isnan(sent))
    lag = _above_least(_above_least(received - np.where(silent[:, None], start + due, sent), ~silent), silent)
    elapsed = received - start
    inward = Direction(
        scheduled=due,
        sizes=sizes,
        counted=counted,
        offered=np.where(silent[:, None], due, elapsed - lag),
        elapsed=elapsed,
        lag=lag,
        wrong=np.array([o.inward.corrupted for o in outcomes], dtype=np.float64),
    )
    return outward, inward


def undelivered(way: Direction, until: float) -> Floats:
    """Share of the packets due by `until` (s) that had not arrived intact a grace later; NaN where none was due."""
    due = way.due(until)
    with np.errstate(invalid="ignore"):
        arrived = due & (way.elapsed <= until + GRACE)
    n = due.sum(axis=1)
    missing = n - arrived.sum(axis=1) + way.wrong
    return np.where(n > 0, np.minimum(1.0, missing / np.maximum(n, 1)), np.nan)


def median_lag(way: Direction, until: float) -> Floats:
    """Median one-way delay (s) of what was due and arrived by `until`, above that of the round's best exchange.

    inf where nothing arrived, NaN where nothing was due.
    """
    due = way.due(until)
    with np.errstate(invalid="ignore"):
        arrived = due & (way.elapsed <= until + GRACE) & ~np.isnan(way.lag)
    if not due.shape[1]:
        return np.full(len(due), np.nan)
    ordered = np.sort(np.where(arrived, way.lag, np.inf), axis=1)
    n, rows = arrived.sum(axis=1), np.arange(len(due))
    medians = (ordered[rows, np.maximum(n - 1, 0) // 2] + ordered[rows, np.minimum(n // 2, due.shape[1] - 1)]) / 2
    medians[~due.any(axis=1)] = np.nan
    finite = np.isfinite(medians)
    return np.asarray(medians - medians[finite].min() if finite.any() else medians)


def _worse(a: Floats, b: Floats) -> Floats:
    return np.nan_to_num(np.fmax(a, b), nan=0.0, posinf=np.inf)


def call_scores(outward: Direction, inward: Direction, checkpoints: Sequence[float]) -> dict[str, Floats]:
    """The datagram scores of `score_matrix`, from the two directions."""
    lost, late = [], []
    for t in checkpoints:
        lost.append(_worse(undelivered(outward, t), undelivered(inward, t)))
        delay = _worse(median_lag(outward, t), median_lag(inward, t))
        late.append(np.clip((delay - DELAY_DEAD_ZONE) / DELAY_SCALE, 0.0, 1.0))
    return {"undelivered": np.array(lost), "late": np.array(late)}


def undone_share(delivered: float, failed: bool) -> float:
    """A stream's score from the share of its bytes that came: failed ones are worse than any that still run."""
    return 0.5 * (1 - delivered) + (0.5 if failed else 0.0)


def _undone(outcome: StreamOutcome, until: float) -> float:
    if outcome.finished is not None and outcome.finished <= until + GRACE and not outcome.unexpected:
        return 0.0
    if outcome.unexpected or outcome.connected is None or outcome.connected > until + GRACE:
        return 1.0
    came = max((n for at, n in outcome.arrivals if at <= until + GRACE), default=0)
    shares = [min(1.0, came / outcome.down_expected)] if outcome.down_expected else []
    if outcome.up_expected and outcome.up_received is not None:
        shares.append(min(1.0, outcome.up_received / outcome.up_expected))
    failed = outcome.failure is not None and (outcome.failed_at is None or outcome.failed_at <= until + GRACE)
    return undone_share(min(shares, default=0.0), failed)


def finish_times(outcomes: Sequence[StreamOutcome], until: float) -> Floats:
    """Seconds to the last byte; inf where it had not come intact by `until` plus the grace."""
    return np.array([
        o.finished if o.finished is not None and o.finished <= until + GRACE and not o.unexpected else np.inf
        for o in outcomes
    ])  # fmt: skip


def slowness(times: Floats) -> Floats:
    """Finish times (..., n) as scores: logarithm of the ratio to the round's best. All alike where none finished."""
    least = times.min(axis=-1, keepdims=True)
    factor, extra = TIME_DEAD_ZONE
    with np.errstate(invalid="ignore", divide="ignore"):
        score = np.log(np.maximum(times, 1e-9) / (factor * np.maximum(least, 0.0) + extra)) / np.log(TIME_RATIO)
    return np.where(np.isinf(times), 1.0, np.clip(score, 0.0, 1.0))


def _slow(outcomes: Sequence[StreamOutcome], checkpoints: Sequence[float]) -> Floats:
    """The worst of the whole exchange, its upload and its download, each against the round's best."""
    slow = np.array([slowness(finish_times(outcomes, t)) for t in checkpoints])
    for way in transfers.WAYS:
        times = transfers.seconds(outcomes, way)
        if not np.isnan(times).any():
            slow = np.maximum(slow, slowness(times))
    return slow


def _stream_scores(outcomes: Sequence[StreamOutcome], checkpoints: Sequence[float]) -> dict[str, Floats]:
    return {
        "undone": np.array([[_undone(o, t) for o in outcomes] for t in checkpoints]),
        "slow": _slow(outcomes, checkpoints),
    }


def datagrams_of(outcomes: Sequence[Outcome]) -> list[DatagramOutcome]:
    return [o for o in outcomes if isinstance(o, DatagramOutcome)]


def streams_of(outcomes: Sequence[Outcome]) -> list[StreamOutcome]:
    return [o for o in outcomes if isinstance(o, StreamOutcome)]


def transport_kind(outcomes: Sequence[Outcome]) -> str:
    """`datagram` or `stream`. Raises BadInput where a round has both or nothing."""
    if outcomes and len(datagrams_of(outcomes)) == len(outcomes):
        return "datagram"
    if outcomes and len(streams_of(outcomes)) == len(outcomes):
        return "stream"
    raise BadInput("the exchanges of a round must be of one transport, and at least one", "round")


def datagram_ways(outcomes: Sequence[Outcome]) -> Ways | None:
    """(outward, inward) of a round of datagrams; None of streams. Raises BadInput as `transport_kind`."""
    return directions(datagrams_of(outcomes)) if transport_kind(outcomes) == "datagram" else None


def score_matrix(outcomes: Sequence[Outcome], checkpoints: Sequence[float]) -> dict[str, Floats]:
    """Scores by kind, each of shape (checkpoints, exchanges) in [0, 1].

    Datagrams: `undelivered`, the worse direction's missing share (corrupted, refused and never started count as
    missing; an unequal answer counts as one); `late`, the worse direction's median delay above the round's best.
    Streams: `undone`, bytes that had not come (1 where no set-up); `slow`, time to the last byte against the best,
    and that of an upload and a download by themselves.
    A score at checkpoint t (s after each exchange's start) uses what was due by t and had come within a grace of 1 s.
    """
    return scores_of(outcomes, datagram_ways(outcomes), checkpoints)


def scores_of(outcomes: Sequence[Outcome], ways: Ways | None, checkpoints: Sequence[float]) -> dict[str, Floats]:
    """The same, where `datagram_ways` are known already."""
    if ways is not None:
        return call_scores(*ways, checkpoints)
    return _stream_scores(streams_of(outcomes), checkpoints)
