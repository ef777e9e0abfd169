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

from ringback.record import Outcome, Round, StreamOutcome
from ringback.verdict.bet import Bet, log_mean_e, struck
from ringback.verdict.permutation import Lot
from ringback.verdict.scores import (
    Direction,
    datagrams_of,
    directions,
    finish_times,
    median_lag,
    score_matrix,
    slowness,
    streams_of,
    transport_kind,
    undelivered,
    undone_share,
)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

DRAWS = 64
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
# -- streams
FAIL_SHARE = 1 / 2
STREAM_CUT = 2 / 3  # of all its bytes, but never below the cut-off that counts as a restriction
TEXT_LOSS, MEDIA_LOSS = 0.20, 0.10
TEXT_DELAY_S = 1.3
TEXT_CUT_BYTES, MEDIA_CUT_BYTES = 4_000, 64_000
TEXT_POLICE_KBPS, TEXT_POLICE_BURST = 24.0, 2_000  # 16 kbit/s counts as a restriction
MEDIA_POLICE_KBPS, MEDIA_POLICE_BURST = 1_500.0, 40_000  # 1,000 kbit/s and 32 kB count
LEAD_SCALE = 48_000.0  # bytes ahead of a policer's burst that count as wholly unharmed
MEDIA_POLICE_SHARE = 0.75  # of the references' own goodput, where that is slower: half of the link counts
INITIAL_RTO_S, MIN_RTO_S = 1.0, 0.2  # RFC 6298; the smaller one is what common stacks use
SEGMENT = 1448  # bytes of TCP payload in 1500 B packets with timestamps
MATHIS = 1.22  # Mathis et al. 1997: rate = 1.22 MSS / (RTT sqrt(p)); timeouts make real ones slower


FINE = (8.0, 24.0, 64.0, 160.0)  # small differences of well-measured shares
MIXED = (32.0, 64.0, 96.0)  # the same where only a share of the exchanges is struck
COARSE = (2.0, 6.0, 20.0)  # exchanges that fail or do not


def _filled(scores: Floats) -> Floats:
    """Scores where nothing is known are alike, so they bet nothing for or against a harm."""
    return np.clip(np.nan_to_num(scores, nan=0.0, posinf=1.0), 0.0, 1.0)


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
    scores = _filled(shares[0] if len(shares) == 1 else _mean_of_known(shares[0], shares[1]))
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
    return Bet(_filled(_mean_of_known(shares[0], shares[1]))[None, :], COARSE)


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
    rows = np.arange(len(met))
    tokens, last = burst.copy(), np.full(len(met), np.nan)
    for column in order.T:
        t, size = met[rows, column], sizes[rows, column]
        real = ~np.isnan(t)
        if not real.any():
            break
        gap = np.where(real & ~np.isnan(last), t - last, 0.0)
        tokens = np.minimum(burst, tokens + gap * limit)
        over = real & (tokens < size)
        tokens = np.where(real & ~over, tokens - size, tokens)
        last = np.where(real, t, last)
        dropped[rows, column] = over
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
    return Bet(_filled(_mean_of_known(shares[0], shares[1]))[None, :], FINE)


def _call_delay(calls: _Calls, reference: Flags, way: Direction) -> Bet:
    lag = median_lag(way, np.inf) + CALL_DELAY_S * reference
    return Bet(_filled(np.where(np.isnan(lag), np.nan, lag / DELAY_SCALE_S))[None, :], FINE)


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
    return Bet(_filled(np.where(hit, 1.0, bad)), COARSE, odds)


NAME_HARMS: Mapping[str, Callable[[_Calls, Lot, np.random.Generator], Bet]] = {"answer": _answers}


# -- streams ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Streams:
    outcomes: Sequence[StreamOutcome]
    undone: Floats
    finish: Floats
    connected: Floats


def _fails(s: _Streams, lot: Lot, rng: np.random.Generator) -> Bet:
    """Half of the tries fail: what counts as a restriction fails all of them."""
    hit, odds = struck(lot, FAIL_SHARE, rng)
    return Bet(_filled(np.where(hit, 1.0, s.undone)), COARSE, odds)


def _stream_cut(s: _Streams, reference: Flags, least: int) -> Bet:
    """Nothing passes after two thirds of the bytes, both ways together."""
    scores = s.undone.copy()
    for i in map(int, np.flatnonzero(reference)):
        o = s.outcomes[i]
        total = o.up_expected + o.down_expected
        limit = max(STREAM_CUT * total, least)
        if limit < total:
            left = max(0.0, limit - o.up_expected) / o.down_expected if o.down_expected else limit / total
            scores[i] = max(scores[i], undone_share(min(1.0, left), failed=True))
    return Bet(_filled(scores)[None, :], COARSE)


def _slower(s: _Streams, reference: Flags, least_finish: Floats) -> Bet:
    """References finish no earlier than `least_finish` (draws or 1, n)."""
    finish = np.where(reference, np.maximum(s.finish, least_finish), s.finish)
    return Bet(slowness(np.atleast_2d(finish)), (*COARSE, 60.0))


def _wire_bytes(payload: int) -> float:
    return payload + 40.0 * (1 + payload // SEGMENT)


def _stream_police(s: _Streams, reference: Flags, kbps: float, burst: int) -> Bet:
    """A bucket of its own each way; the excess can't pass before tokens came for it. Retransmissions only add."""
    worst = np.array([max(_wire_bytes(o.up_expected), _wire_bytes(o.down_expected)) for o in s.outcomes])
    needed = np.maximum(0.0, worst - burst) / (kbps * 125)
    return _slower(s, reference, s.connected + needed)


def _media_police(s: _Streams, lot: Lot, rng: np.random.Generator) -> Bet:
    reference = ~lot.chosen
    speeds = [_steady_kbps(o) for o, ref in zip(s.outcomes, reference, strict=True) if ref]
    known = [v for v in speeds if v is not None]
    limit = min(MEDIA_POLICE_KBPS, MEDIA_POLICE_SHARE * float(np.median(known))) if known else MEDIA_POLICE_KBPS
    finish = _stream_police(s, reference, limit, MEDIA_POLICE_BURST)
    lead = np.array([_lead(o, limit) for o in s.outcomes])
    lead = np.where(reference, np.minimum(lead, MEDIA_POLICE_BURST), lead)
    early = 1.0 - np.clip((lead - MEDIA_POLICE_BURST) / LEAD_SCALE, 0.0, 1.0)
    return Bet(np.vstack([finish.scores, early[None, :]]), finish.slopes)  # two bets on one harm; their mean is one


def _lead(o: StreamOutcome, kbps: float) -> float:
    """By how many bytes a download was ever ahead of `kbps` since its first byte: at most the burst behind a policer,
    whatever was lost later, for what the application is given is never ahead of what passed. 0 where nothing came."""
    if not o.arrivals:
        return 0.0
    times, got = np.array([at for at, _ in o.arrivals]), np.array([float(n) for _, n in o.arrivals])
    return float((got * (1 + 40 / SEGMENT) - (times - times[0]) * kbps * 125).max())


def _steady_kbps(o: StreamOutcome) -> float | None:
    """Goodput of the second half of a download's bytes: past slow start."""
    if o.finished is None or len(o.arrivals) < 2:
        return None
    total = o.arrivals[-1][1]
    at, n = next((at, n) for at, n in o.arrivals if n >= total / 2)
    return (total - n) / 125 / (o.arrivals[-1][0] - at) if o.arrivals[-1][0] > at else None


def _media_loss(s: _Streams, lot: Lot, rng: np.random.Generator) -> Bet:
    """The rate that loss allows (Mathis): the link's own, as the reference's goodput implies it, and the harm's."""
    reference = ~lot.chosen
    finish = s.finish.copy()
    trips = s.connected[reference & np.isfinite(s.connected)]
    if not len(trips):
        return Bet(slowness(finish[None, :]), COARSE)
    allowed = MATHIS * SEGMENT / trips.min() / np.sqrt(MEDIA_LOSS)  # bytes a second; least RTT: a lost SYN is none
    for i in map(int, np.flatnonzero(reference & np.isfinite(finish))):
        o = s.outcomes[i]
        if o.arrivals and finish[i] > o.arrivals[0][0]:
            begun = o.arrivals[0][0]
            rate = o.down_expected / (finish[i] - begun)
            finish[i] = begun + o.down_expected * np.sqrt(1 / rate**2 + 1 / allowed**2)
    return _slower(s, reference, finish)


def _text_loss(s: _Streams, lot: Lot, rng: np.random.Generator) -> Bet:
    """Loss in one direction: a lost SYN or its answer costs 1 s and doubles (RFC 6298), a lost first segment of each
    later trip 0.2 s. Further segments of a trip are left out, so the harm is at least as bad as this."""
    reference = ~lot.chosen
    trips = max((_trips(o) for o, ref in zip(s.outcomes, reference, strict=True) if ref), default=1)
    again = rng.geometric(1 - TEXT_LOSS, (1 + trips, DRAWS, len(reference))) - 1
    waits = 2.0**again - 1
    harmed = s.finish + INITIAL_RTO_S * waits[0] + MIN_RTO_S * waits[1:].sum(axis=0)
    slower = _slower(s, reference, harmed)
    # the same once more as yes or no: an original that nature delayed much must not outweigh ten that it did not
    finish = np.where(reference, harmed, s.finish)
    delayed = slowness(finish) > 0
    late = (finish > finish.min(axis=-1, keepdims=True) + MIN_RTO_S / 2) & delayed
    return Bet(np.vstack([slower.scores, late.astype(float)]), slower.slopes)


def _trips(o: StreamOutcome) -> int:
    """Answers that came at least half a round trip after the one before: the exchange's turns, as far as seen."""
    if o.connected is None or not o.arrivals:
        return 1
    times = np.array([o.connected, *[at for at, _ in o.arrivals]])
    return max(1, int((np.diff(times) > o.connected / 2).sum()))


STREAM_HARMS: Mapping[str, Mapping[str, Callable[[_Streams, Lot, np.random.Generator], Bet]]] = {
    "text": {
        "failure": _fails,
        "cut-off": lambda s, lot, g: _stream_cut(s, ~lot.chosen, TEXT_CUT_BYTES),
        "police": lambda s, lot, g: _stream_police(s, ~lot.chosen, TEXT_POLICE_KBPS, TEXT_POLICE_BURST),
        "loss": _text_loss,
        "delay": lambda s, lot, g: _slower(
            s, ~lot.chosen, s.finish + 2 * TEXT_DELAY_S
        ),  # handshake and first answer, one way each
    },
    "media": {
        "failure": _fails,
        "cut-off": lambda s, lot, g: _stream_cut(s, ~lot.chosen, MEDIA_CUT_BYTES),
        "police": _media_police,
        "loss": _media_loss,
    },
}


DECLARED: Mapping[str, tuple[str, ...]] = {
    "calls": tuple(CALL_HARMS),
    "names": tuple(NAME_HARMS),
    "text": tuple(STREAM_HARMS["text"]),
    "media": tuple(STREAM_HARMS["media"]),
}


# -- all of them---------------------------------------------------------------------------------------------------


def working_evidence(round_: Round, drawn: Mapping[str, Lot]) -> dict[tuple[str, str], Floats]:
    """log e-values against each declared harm, one a slope, by (factor name, harm), for each factor of the round.

    The slopes of a harm are the same in every round: a cell's rounds are multiplied slope by slope, then averaged.

    Factor `payload`: originals against harmed controls; `port`: the app's port against the other, harmed.
    """
    outcomes = [exchange.outcome for exchange in round_.exchanges]
    starts = np.array([exchange.started_at for exchange in round_.exchanges], dtype=np.float64)
    rng = np.random.default_rng([0x52494E47, round_.number, *map(int, starts.view(np.uint32))])
    result: dict[tuple[str, str], Floats] = {}
    bets_of = _bets_of(round_, outcomes, rng)
    for factor, lot in drawn.items():
        for harm, bet in bets_of(lot).items():
            result[factor, harm] = log_mean_e(bet, lot)
    return result


def _bets_of(round_: Round, outcomes: Sequence[Outcome], rng: np.random.Generator) -> Callable[[Lot], dict[str, Bet]]:
    """The bets on every harm that applies to this round's form, once the references are named."""
    if transport_kind(outcomes) == "datagram":
        names = round_.form == "dns"
        calls = _calls(*directions(datagrams_of(outcomes)), with_police=not names)
        call_table = NAME_HARMS if names else CALL_HARMS
        return lambda lot: {harm: strike(calls, lot, rng) for harm, strike in call_table.items()}
    streams, until = streams_of(outcomes), round_.checkpoints[-1]
    state = _Streams(
        streams,
        score_matrix(streams, [until])["undone"][0],
        finish_times(streams, until),
        np.array([o.connected if o.connected is not None else np.inf for o in streams]),
    )
    stream_table = STREAM_HARMS["text" if round_.cell.function == "text" else "media"]
    return lambda lot: {harm: strike(state, lot, rng) for harm, strike in stream_table.items()}
