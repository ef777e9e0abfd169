"""Streams whose ends take turns, timed by both: what is done to one way is told from what is done to the other."""

from collections.abc import Callable
from itertools import chain, repeat

import msgspec
import numpy as np
import pytest

from ringback.record import StreamOutcome
from ringback.verdict import messages, streaming
from ringback.verdict.finding import Finding
from ringback.verdict.turns import clocks, turns

TRIP, OFFSET = 0.03, 40.0
SIZES = (300, 350, 150, 100, 200, 90, 5500, 5800)  # of the turns, the near end's first
MSS, LIFE = 1448, 10.0

Pass = Callable[[float, int, np.random.Generator], float]
"""When a segment handed over at a time (s) with so many bytes comes out, a trip aside."""


def at_once(at: float, size: int, rng: np.random.Generator) -> float:
    return at


def late_by(seconds: float) -> Callable[[], Pass]:
    return lambda: lambda at, size, rng: at + seconds


def losing(share: float) -> Callable[[], Pass]:
    def passing(at: float, size: int, rng: np.random.Generator) -> float:
        again = 0.23
        while rng.random() < share:
            at, again = at + again, 2 * again
        return at

    return lambda: passing


def policed(kbps: float, burst: float) -> Callable[[], Pass]:
    """A bucket of bytes; what does not pass is sent again after a quarter of a second."""

    def fresh() -> Pass:
        state = [burst, 0.0]

        def passing(at: float, size: int, rng: np.random.Generator) -> float:
            while True:
                state[0], state[1] = min(burst, state[0] + (at - state[1]) * kbps * 125), at
                if state[0] >= size:
                    state[0] -= size
                    return at
                at += 0.25

        return passing

    return fresh


def one_by_one(kbps: float, burst: float, timer: float) -> Callable[[], Pass]:
    """A bucket with room for one segment, met by a sender whose timer doubles for each that did not pass."""

    def fresh() -> Pass:
        state = [burst, 0.0]

        def passing(at: float, size: int, rng: np.random.Generator) -> float:
            at, again = max(at, state[1]), timer
            while min(burst, state[0] + (at - state[1]) * kbps * 125) < size:
                at, again = at + again, 2 * again
            state[:] = [min(burst, state[0] + (at - state[1]) * kbps * 125) - size, at]
            return at

        return passing

    return fresh


def queued(kbps: float) -> Callable[[], Pass]:
    def fresh() -> Pass:
        free = [0.0]

        def passing(at: float, size: int, rng: np.random.Generator) -> float:
            free[0] = max(free[0], at) + size / (kbps * 125)
            return free[0]

        return passing

    return fresh


def untouched() -> Pass:
    return at_once


def stream(rng: np.random.Generator, out: Pass, back: Pass, life: float = LIFE) -> StreamOutcome:
    """Turns to and fro; segments of one are handed over in order, and come in order."""
    now = 2 * TRIP
    near: list[tuple[float, int]] = []
    far: list[tuple[float, int]] = []
    for i, size in enumerate(SIZES):
        way, rows = (out, far) if i % 2 == 0 else (back, near)
        came, total = now, rows[-1][1] if rows else 0
        for at in range(0, size, MSS):
            piece = min(MSS, size - at)
            came = max(came, way(now, piece + 52, rng) + TRIP + rng.uniform(0, 0.004))
            total += piece
            rows.append((came, total))
        now = rows[-1][0]
    over = now > life
    near, far = ([row for row in rows if row[0] < life] for rows in (near, far))
    return StreamOutcome(
        connected=2 * TRIP, failure="generic_timeout_error" if over else None, failed_at=life if over else None,
        finished=None if over else now, up_expected=sum(SIZES[::2]), down_expected=sum(SIZES[1::2]), arrivals=near,
        up_received=far[-1][1] if far else 0, up_first=far[0][0] + OFFSET if far else None, up_last=SIZES[-2],
        up_arrivals=[(at - far[0][0], n) for at, n in far], down_last=SIZES[-1],
    )  # fmt: skip


def fitted(out: Callable[[], Pass], back: Callable[[], Pass], seed: int = 1, count: int = 12) -> Finding:
    rng = np.random.default_rng(seed)
    struck = [stream(rng, out(), back()) for _ in range(count)]
    return streaming.fit(struck, [stream(rng, at_once, at_once) for _ in range(count)])


def test_turns_are_told_apart_on_one_clock() -> None:
    rng = np.random.default_rng(1)
    streams = [stream(rng, at_once, at_once) for _ in range(6)]
    by = clocks(streams)
    assert by is not None
    assert by.offset == pytest.approx(OFFSET, abs=0.004)
    assert by.trip == pytest.approx(TRIP, abs=0.004)
    found = turns(streams[0], by)
    assert [turn.way for turn in found] == ["out", "in"] * 4
    assert [turn.arrivals[-1][1] for turn in found] == list(SIZES)


@pytest.mark.parametrize(("side", "out", "back"), [("out", 1.2, 0.0), ("in", 0.0, 1.2), ("both", 0.9, 0.9)])
def test_a_delay_is_of_the_way_that_shows_it(side: str, out: float, back: float) -> None:
    finding = fitted(late_by(out), late_by(back))
    assert (finding.mechanism, finding.side) == ("delay", side)
    assert finding.delay_ms == pytest.approx(1000 * max(out, back), abs=5)
    assert finding.delay_ms_interval is not None
    assert finding.delay_ms_interval[0] <= 1000 * max(out, back) <= finding.delay_ms_interval[1]


def test_a_delay_that_no_turn_gets_over_twice_is_still_one() -> None:
    rng = np.random.default_rng(2)
    struck = [stream(rng, late_by(2.5)(), late_by(2.5)(), life=6.0) for _ in range(12)]
    finding = streaming.fit(struck, [stream(rng, at_once, at_once) for _ in range(12)])
    assert (finding.mechanism, finding.side) == ("delay", "both")
    assert finding.delay_ms == pytest.approx(2500, abs=5)


@pytest.mark.parametrize("share", [0.3, 0.45])
@pytest.mark.parametrize("side", ["out", "in", "both"])
def test_the_share_of_first_packets_sent_again_is_the_loss(share: float, side: str) -> None:
    held = 0
    for seed in range(10):
        lossy = losing(share)
        finding = fitted(untouched if side == "in" else lossy, untouched if side == "out" else lossy, seed)
        assert finding.mechanism == "loss"
        assert finding.loss == pytest.approx(share, abs=0.2)
        assert finding.loss_interval is not None
        held += finding.loss_interval[0] <= share <= finding.loss_interval[1]
    assert held >= 8


@pytest.mark.parametrize(("out", "back", "side"), [(15.0, None, "out"), (None, 15.0, "in"), (12.0, 12.0, "both")])
def test_a_policer_of_either_way_is_no_loss(out: float | None, back: float | None, side: str) -> None:
    ways = (untouched if kbps is None else policed(kbps, 2_000) for kbps in (out, back))
    finding = fitted(*ways)
    assert (finding.mechanism, finding.side) == ("police", side)
    assert finding.rate_kbps_interval is not None
    assert finding.rate_kbps_interval[0] <= (out or back or 0.0) <= finding.rate_kbps_interval[1]


@pytest.mark.parametrize(("kbps", "timer"), [(6.0, 0.25), (8.0, 0.3), (12.0, 0.27), (14.0, 0.25)])
def test_the_tokens_that_a_small_bucket_spills_are_in_the_interval(kbps: float, timer: float) -> None:
    finding = fitted(untouched, one_by_one(kbps, 1_550, timer))
    assert (finding.mechanism, finding.side) == ("police", "in")
    assert finding.rate_kbps_interval is not None
    assert finding.rate_kbps_interval[0] <= kbps <= finding.rate_kbps_interval[1]


@pytest.mark.parametrize("kbps", [8.0, 15.0])
def test_behind_a_queue_each_turn_is_late_by_its_length(kbps: float) -> None:
    finding = fitted(queued(kbps), untouched)
    assert (finding.mechanism, finding.side) == ("shape", "out")
    assert finding.rate_kbps == pytest.approx(kbps, rel=0.1)


def test_a_bucket_that_no_whole_segment_fits_into_is_no_cut_off() -> None:
    rng = np.random.default_rng(3)

    def narrow() -> Pass:
        small = policed(6.0, 600)()
        return lambda at, size, rng: small(at, size, rng) if size < 600 else at + 1e6

    struck = [stream(rng, narrow(), at_once) for _ in range(12)]
    assert streaming.fit(struck, [stream(rng, at_once, at_once) for _ in range(12)]).mechanism == "police"
    cut = [stream(rng, lambda at, size, rng: at if size < 600 else at + 1e6, at_once) for _ in range(12)]
    assert streaming.fit(cut, [stream(rng, at_once, at_once) for _ in range(12)]).mechanism == "drop-after"


def test_a_few_losses_before_a_cut_off_are_no_bucket() -> None:
    """A first turn that the link lost twice in twelve: whether a bucket was full then, only later turns would tell."""
    rng = np.random.default_rng(7)

    def cut(late: float) -> Pass:
        seen = chain((late,), repeat(1e6))
        return lambda at, size, rng: at + next(seen)

    struck = [stream(rng, cut(0.23 if i < 2 else 0.0), at_once) for i in range(12)]
    assert streaming.fit(struck, [stream(rng, at_once, at_once) for _ in range(12)]).mechanism == "drop-after"


def test_connections_that_take_seconds_alike_are_delayed_although_nothing_else_came() -> None:
    rng = np.random.default_rng(4)
    spared = [stream(rng, at_once, at_once) for _ in range(12)]
    silent = StreamOutcome(failure="generic_timeout_error", failed_at=6.0, up_expected=300, down_expected=350)
    late = [msgspec.structs.replace(silent, connected=4.06 + rng.uniform(-0.01, 0.01)) for _ in range(12)]
    finding = streaming.fit(late, spared)
    assert finding.mechanism == "delay"
    assert finding.delay_ms_interval is not None
    assert finding.delay_ms_interval[0] <= 2000 <= finding.delay_ms_interval[1]
    lost = [msgspec.structs.replace(silent, connected=(1.06, 3.06, 0.06)[i % 3]) for i in range(12)]
    assert streaming.fit(lost, spared).mechanism == "drop"


def test_where_nothing_differs_turns_name_nothing() -> None:
    rng, named = np.random.default_rng(5), 0
    for _ in range(20):
        both = [[stream(rng, losing(0.03)(), losing(0.03)()) for _ in range(12)] for _ in range(2)]
        named += messages.fit(*both) is not None
    assert named <= 4  # each of two ways at 95 %


def test_without_the_far_ends_times_nothing_is_told_by_turns() -> None:
    rng = np.random.default_rng(6)
    streams = [msgspec.structs.replace(stream(rng, at_once, at_once), up_first=None) for _ in range(12)]
    assert messages.fit(streams, streams) is None
