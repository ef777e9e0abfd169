"""Networks that are bad, and blind to what they carry: vectorised outcomes for the error rate of the shipped bets.

A family draws what happened to the flows of a round in their start order, and only then are labels drawn, unless it is
one whose device reacts to labels alike (connections counted by name). The scores and bets are those of the verdict.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ringback.record import Arm
from ringback.verdict.evidence import FactorBets, factor_bets, factor_e_value
from ringback.verdict.permutation import lots
from ringback.verdict.scores import KIND_WEIGHTS, Direction, call_scores, score_matrix
from tests.verdict.build import StreamOutcome, arms, paired

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FLOWS, PACKETS, SECONDS = 24, 42, 10.5
CHECKPOINTS = (1.0, 2.5, 5.0, 10.5)
SCHEDULED = np.arange(PACKETS) * SECONDS / PACKETS


@dataclass(frozen=True)
class Way:
    """One direction: which packets (flows, packets) were lost, and the one-way delay of the others in s."""

    lost: Flags
    delay: Floats


Family = Callable[[np.random.Generator], tuple[Way, Way]]


def gilbert(rng: np.random.Generator, loss: float | Floats, burst: float, shape: tuple[int, int]) -> Flags:
    """Gilbert-Elliott loss of many flows at once; loss may differ by flow."""
    share = np.broadcast_to(np.asarray(loss, dtype=float), (shape[0],))
    leave = 1 / burst
    enter = np.minimum(1.0, share / (1 - share) * leave)
    bad = rng.random(shape[0]) < share
    lost = np.zeros(shape, bool)
    for i in range(shape[1]):
        lost[:, i] = bad
        draw = rng.random(shape[0])
        bad = np.where(bad, draw >= leave, draw < enter)
    return lost


def jitter(rng: np.random.Generator, owd: float | Floats, spread: float) -> Floats:
    return np.maximum(0.0005, owd + spread * rng.standard_normal((FLOWS, PACKETS)))


def plain(rng: np.random.Generator, loss: float, burst: float, owd: float = 0.02, spread: float = 0.005) -> Way:
    return Way(gilbert(rng, loss, burst, (FLOWS, PACKETS)), jitter(rng, owd, spread))


def preset(owd_ms: float, jitter_ms: float, loss: float) -> Family:
    """The public presets of bad networks; losses come in bursts of two."""
    return lambda rng: (
        plain(rng, loss, 2, owd_ms / 1000, jitter_ms / 1000),
        plain(rng, loss, 2, owd_ms / 1000, jitter_ms / 1000),
    )


def heavy_bursts(rng: np.random.Generator) -> tuple[Way, Way]:
    loss, burst = rng.uniform(0.1, 0.5), rng.uniform(1.5, 4)
    return plain(rng, loss, burst), plain(rng, loss, burst)


def drift(rng: np.random.Generator) -> tuple[Way, Way]:
    """Each flow fares worse than the one that started before it."""
    worse = np.linspace(0, rng.uniform(0.2, 0.8), FLOWS)
    late = worse[:, None] * 0.3
    return (
        Way(gilbert(rng, worse, 2, (FLOWS, PACKETS)), jitter(rng, 0.02, 0.005) + late),
        Way(gilbert(rng, worse / 2, 2, (FLOWS, PACKETS)), jitter(rng, 0.02, 0.005)),
    )


def shared_queue(rng: np.random.Generator) -> tuple[Way, Way]:
    """Competing traffic fills one buffer: all flows lose and wait at the same moments."""
    full = gilbert(rng, 0.3, 6, (1, PACKETS))
    lost = full & (rng.random((FLOWS, PACKETS)) < 0.6)
    return Way(lost, jitter(rng, 0.02, 0.003) + 0.2 * full), plain(rng, 0.01, 3)


def bad_leg(rng: np.random.Generator) -> tuple[Way, Way]:
    """Half of the 5-tuples hash to a broken leg of an ECMP bundle."""
    leg = rng.random(FLOWS) < 0.5
    return (
        Way(
            gilbert(rng, np.where(leg, 0.7, 0.005), 3, (FLOWS, PACKETS)), jitter(rng, 0.02 + 0.05 * leg[:, None], 0.004)
        ),
        plain(rng, 0.005, 3),
    )


def nat_deaths(rng: np.random.Generator) -> tuple[Way, Way]:
    """A NAT forgets some flows: nothing comes back after that."""
    death = np.where(rng.random(FLOWS) < 0.35, rng.uniform(0, SECONDS, FLOWS), np.inf)
    inward = plain(rng, 0.01, 3)
    return plain(rng, 0.01, 3), Way(inward.lost | (death[:, None] < SCHEDULED), inward.delay)


def outage(rng: np.random.Generator) -> tuple[Way, Way]:
    """Some flows see nothing at all, the rest everything; or the whole link goes down in the middle."""
    dead = rng.random(FLOWS) < rng.uniform(0, 1)
    gone = dead[:, None] | (rng.uniform(0, 30) < SCHEDULED)
    way = plain(rng, 0.005, 3)
    return Way(way.lost | gone, way.delay), Way(way.lost | gone, way.delay)


FAMILIES: dict[str, Family] = {
    "clean": preset(20, 5, 0.005),
    "heavy bursts": heavy_bursts,
    "drift": drift,
    "shared queue": shared_queue,
    "bad leg": bad_leg,
    "nat deaths": nat_deaths,
    "outage": outage,
    "wifi": preset(5, 2, 0.01),
    "weak wifi": preset(15, 10, 0.05),
    "crowded wifi": preset(10, 20, 0.10),
    "cellular": preset(50, 15, 0.02),
    "satellite": preset(300, 30, 0.03),
    "congested": preset(80, 40, 0.10),
}


def direction(way: Way) -> Direction:
    shape = (FLOWS, PACKETS)
    scheduled = np.broadcast_to(SCHEDULED, shape)
    lag = np.where(way.lost, np.nan, way.delay)
    if not way.lost.all():
        lag = lag - np.nanmin(lag)
    return Direction(
        scheduled=scheduled,
        sizes=np.full(shape, 120.0),
        counted=np.ones(shape, bool),
        offered=scheduled,
        elapsed=scheduled + lag,
        lag=lag,
        wrong=np.zeros(FLOWS),
    )


@dataclass(frozen=True)
class Drawn:
    """One round of a family: its scores, who carried what, and its flows' missing share at the end."""

    scores: dict[str, Floats]
    labels: list[Arm]
    missing: Floats
    kind: str = "datagram"
    checkpoints: tuple[float, ...] = CHECKPOINTS
    pairs: tuple[int, ...] | None = None

    def bets(self) -> dict[str, FactorBets]:
        read = [True] * len(self.checkpoints)
        return {
            name: factor_bets(self.scores, KIND_WEIGHTS[self.kind], lot, read)
            for name, lot in lots(self.labels, self.pairs).items()
        }


def calls(family: Family, rng: np.random.Generator) -> Drawn:
    outward, inward = family(rng)
    scores = call_scores(direction(outward), direction(inward), CHECKPOINTS)
    return Drawn(scores, arms(rng, FLOWS // 4), scores["undelivered"][-1])


def in_pairs(drawer: Callable[[np.random.Generator], Drawn]) -> Callable[[np.random.Generator], Drawn]:
    """The same flows as a quiet round: labels thrown within pairs of neighbours."""

    def draw(rng: np.random.Generator) -> Drawn:
        return replace(drawer(rng), labels=paired(rng, FLOWS // 2), pairs=tuple(i // 2 for i in range(FLOWS)))

    return draw


def _stream(finish: float) -> StreamOutcome:
    if finish > 10:
        return StreamOutcome(0.1, "generic_timeout_error", 10.0, None, 600, 600, 8000)
    return StreamOutcome(0.1, None, None, finish, 600, 600, 8000, [(finish, 8000)])


def connection_counter(rng: np.random.Generator, pairs: tuple[int, ...] | None = None) -> Drawn:
    """A device that freezes each connection from the fourth on that names one host, originals and controls alike."""
    labels = arms(rng, FLOWS // 4) if pairs is None else paired(rng, FLOWS // 2)
    seen = {"original": 0, "control": 0}
    finish = rng.lognormal(-1, 0.4, FLOWS)
    for i, arm in enumerate(labels):
        seen[arm.payload] += 1
        if seen[arm.payload] > 3:
            finish[i] = 99.0
    scores = score_matrix([_stream(f) for f in finish], [10.0])
    return Drawn(scores, labels, scores["undone"][-1], "stream", (10.0,), pairs)


def flaky_streams(rng: np.random.Generator) -> Drawn:
    """Heavy-tailed times to finish, some tries never do, later slots fare worse."""
    finish = rng.lognormal(-1, 1.2, FLOWS) * np.linspace(1, 3, FLOWS)
    scores = score_matrix([_stream(f) for f in finish], [10.0])
    return Drawn(scores, arms(rng, FLOWS // 4), scores["undone"][-1], "stream", (10.0,))


DRAWERS: dict[str, Callable[[np.random.Generator], Drawn]] = {
    **{name: (lambda rng, family=family: calls(family, rng)) for name, family in FAMILIES.items()},
    "connection counter": connection_counter,
    "flaky streams": flaky_streams,
    **{f"{name}, quiet": in_pairs(lambda rng, family=family: calls(family, rng)) for name, family in FAMILIES.items()},
    "connection counter, quiet": lambda rng: connection_counter(rng, tuple(i // 2 for i in range(FLOWS))),
    "flaky streams, quiet": in_pairs(flaky_streams),
}


def running(rounds: list[Drawn]) -> list[float]:
    """The cell's e-value after each round: mean over factors, as shipped."""
    history: dict[str, list[tuple[tuple[float, ...], FactorBets]]] = {}
    values = []
    for drawn in rounds:
        for name, bets in drawn.bets().items():
            history.setdefault(name, []).append((drawn.checkpoints, bets))
        values.append(float(np.mean([factor_e_value(h) for h in history.values()])))
    return values


def sessions(seed: int, count: int, rounds: int = 2) -> tuple[Floats, Floats]:
    """(e-value of each first round, largest running e-value of each session): families in turn."""
    names = list(DRAWERS)
    first, largest = np.zeros(count), np.zeros(count)
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        values = running([DRAWERS[names[i % len(names)]](rng) for _ in range(rounds)])
        first[i], largest[i] = values[0], max(values)
    return first, largest


def at_most(count: int, trials: int, rate: float, doubt: float = 1e-4) -> bool:
    """Could `count` of `trials` come from a rate of at most `rate`? False: chance below `doubt` (binomial tail)."""
    k = np.arange(trials + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials + 1)))])
    log_p = (
        log_factorial[-1] - log_factorial[k] - log_factorial[::-1] + k * np.log(rate) + (trials - k) * np.log1p(-rate)
    )
    return float(np.exp(log_p[count:]).sum()) >= doubt
