"""`working` is a claim too: what would have been seen if the originals were harmed, and how surely they were not.

Each declared harm is applied to the outcomes of the *reference* exchanges (the controls; or, for the port, those on
the other port). If the originals suffered that harm, harmed references and originals would be exchangeable within each
stratum, so the exact permutation e-value that the harmed references are worse has an expectation of at most 1. A large
value says that the originals did better than the harm allows. Harms are random: the e-value is the mean over many
draws, which is an e-value too; strata are drawn apart, so every pair of draws counts and the mean is a product of
means. Draws come from a generator seeded with the round's number and start times, which know of no outcome.

A declared harm is at most two thirds of what counts as a restriction (losses, delays; a rate half again as high), a
cut-off no earlier than one that counts; `DECLARED` is the list that a `working` verdict names. A harm that the
data can't show (a link slower than the policer, an exchange shorter than the cut-off) leaves its e-value at about 1.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ringback.record import Outcome, Round
from ringback.verdict.bet import COARSE, DRAWS, FINE, Bet, filled, log_mean_e, struck
from ringback.verdict.permutation import Lot
from ringback.verdict.scores import Direction, Ways, median_lag, streams_of, undelivered
from ringback.verdict.stream_harms import STREAM_HARMS, Bets, streams

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

IP_UDP_HEADERS = 28  # bytes (RFC 791, RFC 768)

# -- calls: 2/3 of 0.15 loss, 150 ms, 0.2 of the rate; a cut-off as late as it can be told from the link's loss
CALL_LOSS = 0.10
FLOW_SHARE = 1 / 3
CALL_CUT = 0.90  # of the call's length
CALL_POLICE = 0.87  # of the call's own rate in each direction
CALL_POLICE_BURST_S = 0.65  # s of the call's rate: (1 - 0.87) * 5 s
CALL_DELAY_S = 0.100
DELAY_SCALE_S = 0.300
# -- names
ANSWER_SHARE = 0.5
MIXED = (32.0, 64.0, 96.0)  # FINE where only a share of the exchanges is struck


# -- calls ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Calls:
    outward: Direction
    inward: Direction
    seconds: float
    policed: tuple[Flags, Flags]  # what a policer would drop of each exchange, outward and inward

    @property
    def ways(self) -> tuple[Direction, Direction]:
        return self.outward, self.inward


def _missing_after_loss(way: Direction, struck: Flags, rng: np.random.Generator) -> Floats:
    """Missing share (draws, n) when each packet of the exchanges `struck` (draws, n) is lost with CALL_LOSS more."""
    counted, arrived = way.counted.sum(axis=1), way.arrived.sum(axis=1)
    kept = rng.binomial(np.broadcast_to(arrived, struck.shape), 1 - CALL_LOSS)
    left = np.where(struck, kept, arrived)
    return np.where(counted > 0, 1 - left / np.maximum(counted, 1), np.nan)


def _mean_of_known(a: Floats, b: Floats) -> Floats:
    return np.where(np.isnan(a), b, np.where(np.isnan(b), a, (a + b) / 2))


def _call_loss(calls: _Calls, lot: Lot, rng: np.random.Generator, ways: str, share: float) -> Bet:
    if share < 1:
        hit, odds = struck(lot, share, rng)
    else:
        hit, odds = np.broadcast_to(~lot.chosen, (DRAWS, len(lot.chosen))), None
    shares = [
        _missing_after_loss(way, hit, rng)
        for name, way in (("out", calls.outward), ("in", calls.inward))
        if name in ways
    ]
    scores = filled(shares[0] if len(shares) == 1 else _mean_of_known(shares[0], shares[1]))
    return Bet(scores, FINE if share == 1 else MIXED, odds, share, margin=CALL_LOSS / 5)


def _call_cut(calls: _Calls, lot: Lot, rng: np.random.Generator) -> Bet:
    """Nothing passes after 0.9 of the call: the missing share of what was due then."""
    reference = ~lot.chosen
    shares = []
    for way in calls.ways:
        due = way.counted & (way.scheduled >= CALL_CUT * calls.seconds)
        n = due.sum(axis=1)
        arrived = (due & way.arrived & ~reference[:, None]).sum(axis=1)
        shares.append(np.where(n > 0, 1 - arrived / np.maximum(n, 1), np.nan))
    return Bet(filled(_mean_of_known(shares[0], shares[1]))[None, :], COARSE)


def policed(way: Direction, met: Floats) -> Flags:
    """Which packets a policer of each exchange's own declared rate drops; `met`: when each met it, NaN for never."""
    sizes = np.nan_to_num(way.sizes) + IP_UDP_HEADERS
    due = np.where(way.counted, way.scheduled, np.nan)
    last_due = np.where(way.counted, due, -np.inf).max(axis=1, initial=-np.inf)
    span = last_due - np.where(way.counted, due, np.inf).min(axis=1, initial=np.inf)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(span > 0, np.where(way.counted, sizes, 0).sum(axis=1) / span, np.inf)  # bytes a second
    limit = np.where(np.isfinite(rate), CALL_POLICE * rate, 0.0)
    burst = np.where(np.isfinite(rate), CALL_POLICE_BURST_S * rate, np.inf)
    dropped = np.zeros(met.shape, dtype=bool)
    order = np.argsort(np.where(np.isnan(met), np.inf, met), axis=1)
    when, size = np.take_along_axis(met, order, 1), np.take_along_axis(sizes, order, 1)
    real = ~np.isnan(when)  # in each row before all that are not
    gaps = np.where(real, np.diff(when, axis=1, prepend=when[:, :1]), 0.0)
    refill, size = np.ascontiguousarray((gaps * limit[:, None]).T), np.ascontiguousarray(np.where(real, size, 0.0).T)
    over = np.zeros_like(size, dtype=bool)
    tokens = burst
    for i in range(int(real.any(axis=0).sum())):
        tokens = np.minimum(burst, tokens + refill[i])
        np.less(tokens, size[i], out=over[i])
        tokens = tokens - np.where(over[i], 0.0, size[i])
    np.put_along_axis(dropped, order, over.T, 1)
    return dropped


def _calls(outward: Direction, inward: Direction, with_police: bool) -> _Calls:
    """Outward, the access link's loss comes before the policer and spares tokens; inward it comes behind."""
    ends = [float(way.scheduled[way.counted].max()) for way in (outward, inward) if way.counted.any()]
    none = np.zeros_like(outward.counted), np.zeros_like(inward.counted)
    met = np.where(outward.arrived, outward.offered, np.nan), np.where(inward.counted, inward.offered, np.nan)
    drops = (policed(outward, met[0]), policed(inward, met[1])) if with_police else none
    return _Calls(outward, inward, max(ends, default=0.0), drops)


def _call_police(calls: _Calls, lot: Lot, rng: np.random.Generator) -> Bet:
    """Missing share in the second half, when the bucket has run empty."""
    reference = ~lot.chosen
    shares = []
    for way, dropped in zip(calls.ways, calls.policed, strict=True):
        drop = dropped & reference[:, None]
        due = way.counted & (way.scheduled >= calls.seconds / 2)
        n = due.sum(axis=1)
        shares.append(np.where(n > 0, 1 - (due & way.arrived & ~drop).sum(axis=1) / np.maximum(n, 1), np.nan))
    return Bet(filled(_mean_of_known(shares[0], shares[1]))[None, :], FINE)


def _call_delay(calls: _Calls, reference: Flags, way: Direction) -> Bet:
    lag = median_lag(way, np.inf) + CALL_DELAY_S * reference
    return Bet(filled(np.where(np.isnan(lag), np.nan, lag / DELAY_SCALE_S))[None, :], FINE)


CALL_HARMS: Mapping[str, Callable[[_Calls, Lot, np.random.Generator], Bet]] = {
    "loss-out": lambda c, lot, g: _call_loss(c, lot, g, "out", 1.0),
    "loss-in": lambda c, lot, g: _call_loss(c, lot, g, "in", 1.0),
    "loss-both": lambda c, lot, g: _call_loss(c, lot, g, "out in", 1.0),
    "loss-third": lambda c, lot, g: _call_loss(c, lot, g, "out in", FLOW_SHARE),
    "cut-off": _call_cut,
    "police": _call_police,
    "delay-out": lambda c, lot, g: _call_delay(c, ~lot.chosen, c.outward),
    "delay-in": lambda c, lot, g: _call_delay(c, ~lot.chosen, c.inward),
}


def _answers(calls: _Calls, lot: Lot, rng: np.random.Generator) -> Bet:
    """Half of the names get no right answer."""
    bad = np.fmax(undelivered(calls.outward, np.inf), undelivered(calls.inward, np.inf))
    hit, odds = struck(lot, ANSWER_SHARE, rng)
    return Bet(filled(np.where(hit, 1.0, bad)), COARSE, odds)


NAME_HARMS: Mapping[str, Callable[[_Calls, Lot, np.random.Generator], Bet]] = {"answer": _answers}


DECLARED: Mapping[str, tuple[str, ...]] = {
    "calls": tuple(CALL_HARMS),
    "names": tuple(NAME_HARMS),
    "text": tuple(STREAM_HARMS["text"]),
    "media": tuple(STREAM_HARMS["media"]),
}


# -- all of them---------------------------------------------------------------------------------------------------


def working_evidence(round_: Round, drawn: Mapping[str, Lot], ways: Ways | None) -> dict[tuple[str, str], Floats]:
    """log e-values against each declared harm, one a bet and slope, by (factor, harm), for each factor of the round.

    The bets and slopes of a harm are the same in every round: a cell's rounds are multiplied one by one, then averaged.

    Factor `payload`: originals against harmed controls; `port`: the app's port against the other, harmed. ways: the
    round's, None for one of streams.
    """
    outcomes = [exchange.outcome for exchange in round_.exchanges]
    starts = np.array([exchange.started_at for exchange in round_.exchanges], dtype=np.float64)
    rng = np.random.default_rng([0x52494E47, round_.number, *map(int, starts.view(np.uint32))])
    result: dict[tuple[str, str], Floats] = {}
    bets_of = _bets_of(round_, outcomes, ways, rng)
    for factor, lot in drawn.items():
        for harm, bets in bets_of(lot).items():
            result[factor, harm] = np.concatenate([log_mean_e(bet, lot) for bet in bets])
    return result


def _bets_of(
    round_: Round, outcomes: Sequence[Outcome], ways: Ways | None, rng: np.random.Generator
) -> Callable[[Lot], dict[str, Bets]]:
    """The bets on every harm that applies to this round's form, once the references are named."""
    if ways is not None:
        names = round_.form == "dns"
        calls = _calls(*ways, with_police=not names)
        call_table = NAME_HARMS if names else CALL_HARMS
        return lambda lot: {harm: (strike(calls, lot, rng),) for harm, strike in call_table.items()}
    state = streams(streams_of(outcomes), round_.checkpoints[-1])
    stream_table = STREAM_HARMS["text" if round_.cell.function == "text" else "media"]
    return lambda lot: {harm: strike(state, lot, rng) for harm, strike in stream_table.items()}
