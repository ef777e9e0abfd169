"""The harms that a stream's `working` excludes, as they would show in the references' outcomes (see `harms`).

Text is judged by the whole exchange, each way with a policer of its own. Media has an upload and a download, each with
a policer and a loss of its own to be excluded, by that transfer's own time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ringback.record import StreamOutcome
from ringback.verdict import transfers
from ringback.verdict.bet import COARSE, DRAWS, Bet, filled, struck
from ringback.verdict.permutation import Lot
from ringback.verdict.scores import TIME_RATIO, finish_times, score_matrix, slowness, undone_share
from ringback.verdict.transfers import MSS, Transfer

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FAIL_SHARE = 1 / 2
STREAM_CUT = 2 / 3  # of all its bytes, but never below the cut-off that counts as a restriction
TEXT_LOSS, MEDIA_LOSS = 0.20, 0.10
TEXT_DELAY_S = 1.3
TRIP_SLACK_S = 0.2  # of a trip, half of it at most, not taken off what an answer needs: jitter makes some come earlier
TEXT_CUT_BYTES, MEDIA_CUT_BYTES = 4_000, 64_000
TEXT_POLICE_KBPS, TEXT_POLICE_BURST = 24.0, 2_000  # 16 kbit/s counts as a restriction
MEDIA_POLICE_KBPS, MEDIA_POLICE_BURST = 1_500.0, 40_000  # 1,000 kbit/s and 32 kB count
LEAD_SCALE, TEXT_LEAD_SCALE = 48_000.0, 1_000.0  # bytes ahead of a policer's burst that count as wholly unharmed
MEDIA_POLICE_SHARE = 0.75  # of the references' own goodput, where that is slower: half of the link counts
INITIAL_RTO_S, MIN_RTO_S = 1.0, 0.2  # RFC 6298; the smaller one is what common stacks use
SHORT_TRIP_S = 0.010  # a path so short that loss is felt by its timeouts, and our own ends are as slow as it
FAR_FASTER = 0.5  # of the time that loss takes over SHORT_TRIP_S: below the least timeout, and none was met
MATHIS = 1.22  # Mathis et al. 1997: rate = 1.22 MSS / (RTT sqrt(p)), of long transfers
BRIEF = 86_000.0  # bytes of a transfer that is twice as fast as the formula: it begins with more than a loss leaves it
SLOW_SEGMENT_S = 0.010  # between two segments of a link of 1,200 kbit/s: from which they come one by one
FASTER = 25  # per cent of the transfers that show the link's pace: half of them may have been slowed
PAUSE = 3.0  # times as long as usual
IN_FLIGHT = 16  # segments after one that was lost whose loss may share its pause: twice what a window then holds
OWN = 4  # segments whose loss may share a pause that there is in any case
TOO_LITTLE = 1 / 2  # of its bytes, below which a transfer counts as the worst: so few say nothing of pauses
PAUSES_SCALE = 8.0
STEEP = (*COARSE, 60.0)
A_WAIT, MANY_WAITS = 0.75, 6.0  # of MIN_RTO_S beyond a round trip that make a wait; as many as count as the worst


@dataclass(frozen=True)
class Streams:
    """A round's outcomes, with what the harms are read from. finish: seconds to the last byte, inf for never."""

    outcomes: Sequence[StreamOutcome]
    undone: Floats
    finish: Floats
    connected: Floats
    transfers: Mapping[str, Sequence[Transfer | None]] = field(default_factory=dict)


def streams(outcomes: Sequence[StreamOutcome], until: float) -> Streams:
    return Streams(
        outcomes,
        score_matrix(outcomes, [until])["undone"][0],
        finish_times(outcomes, until),
        np.array([o.connected if o.connected is not None else np.inf for o in outcomes]),
        {way: [of(o) for o in outcomes] for way, of in transfers.WAYS.items()},
    )


Bets = tuple[Bet, ...]
"""On one harm, the same ones in every round: each is held over all rounds, and their mean is a bet."""


def _fails(s: Streams, lot: Lot, rng: np.random.Generator) -> Bets:
    """Half of the tries fail: what counts as a restriction fails all of them."""
    hit, odds = struck(lot, FAIL_SHARE, rng)
    return (Bet(filled(np.where(hit, 1.0, s.undone)), COARSE, odds),)


def _cut(s: Streams, reference: Flags, least: int) -> Bets:
    """Nothing passes after two thirds of the bytes, both ways together."""
    scores = s.undone.copy()
    for i in map(int, np.flatnonzero(reference)):
        o = s.outcomes[i]
        total = o.up_expected + o.down_expected
        limit = max(STREAM_CUT * total, least)
        if limit < total:
            left = max(0.0, limit - o.up_expected) / o.down_expected if o.down_expected else limit / total
            scores[i] = max(scores[i], undone_share(min(1.0, left), failed=True))
    return (Bet(filled(scores)[None, :], COARSE),)


def _slower(times: Floats, reference: Flags, least: Floats) -> Bet:
    """References take no less than `least` (draws or 1, n)."""
    harmed = np.where(reference, np.maximum(times, least), times)
    return Bet(slowness(np.atleast_2d(harmed)), STEEP)


def _wire_bytes(payload: int) -> float:
    return payload + 40.0 * (1 + payload // MSS)


def _needed(payload: int, kbps: float, burst: int) -> float:
    """Seconds until a policer has let so much pass: the excess waits for tokens, and what is sent again only adds."""
    return max(0.0, _wire_bytes(payload) - burst) / (kbps * 125)


def _ahead(arrivals: Sequence[tuple[float, int]], kbps: float) -> float:
    """By how many bytes arrivals (seconds, bytes in all) were ever ahead of `kbps`: at most the burst behind a policer,
    whatever was lost later, for what the application is given is never ahead of what passed. 0 where nothing came."""
    return max((n * (1 + 40 / MSS) - at * kbps * 125 for at, n in arrivals), default=0.0)


def _early(lead: Floats, reference: Flags, burst: int, scale: float) -> Bet:
    """Leads over a policer: references have none beyond its burst."""
    lead = np.where(reference, np.minimum(lead, burst), lead)
    return Bet((1.0 - np.clip((lead - burst) / scale, 0.0, 1.0))[None, :], STEEP)


# -- text -------------------------------------------------------------------------------------------------------


def _text_police(s: Streams, lot: Lot, way: str) -> Bets:
    """A bucket for this way: the references take as long as it lets them, and are never ahead of it by more than its
    burst. The second tires neither of a link's losses nor of long round trips."""
    reference = ~lot.chosen
    sizes = [o.up_expected if way == "out" else o.down_expected for o in s.outcomes]
    needed = np.array([_needed(n, TEXT_POLICE_KBPS, TEXT_POLICE_BURST) for n in sizes])
    slower = _slower(s.finish, reference, s.connected + needed)
    least = _least_trip(s)
    trip = least - min(TRIP_SLACK_S, least / 2) if way == "in" else 0.0
    lead = np.array([_messages_lead(o, way, TEXT_POLICE_KBPS, trip) for o in s.outcomes])
    return slower, _early(lead, reference, TEXT_POLICE_BURST, TEXT_LEAD_SCALE)


def _least_trip(s: Streams) -> float:
    """Seconds of the quickest handshake of the round; 0 where there was none."""
    known = s.connected[np.isfinite(s.connected)]
    return float(known.min()) if len(known) else 0.0


def _messages_lead(o: StreamOutcome, way: str, kbps: float, trip: float = 0.0) -> float:
    """By how many bytes what came this way was ever ahead of `kbps` since it could begin, or its last message since
    it could be sent: a bucket that was full then has let pass no more than its burst beyond that, whatever was lost
    later. Outward, by the far end's clock, it begins with the first byte. Inward no answer is here before a `trip`
    after it was asked for, wherever on the way the bucket is, and not before all that asks for it had passed the link:
    counted from then on, or a long round trip, or a thin link, alone would hide a few kB behind the policer's rate."""
    if o.connected is None:
        return 0.0
    start, rows, before = o.connected, o.arrivals, o.down_expected - o.down_last
    if way == "out":
        start, rows, before = 0.0, o.up_arrivals, o.up_expected - o.up_last
    asked = next((at for at, n in rows if n >= before), None) if before else start
    if way == "in" and asked is not None:
        asked += _asking_s(o)
    last = [] if asked is None else [(at - asked, n - before) for at, n in rows if n > before]
    whole = [(at - start, n) for at, n in rows]
    return max(_ahead([(max(0.0, at - trip), n) for at, n in part], kbps) for part in (whole, last))


def _asking_s(o: StreamOutcome) -> float:
    """Seconds, by the far end's clock, from the first to the last of what the near end said last."""
    before = o.up_expected - o.up_last
    rows = [at for at, n in o.up_arrivals if n > before]
    return rows[-1] - rows[0] if rows else 0.0


def _text_loss(s: Streams, lot: Lot, rng: np.random.Generator) -> Bets:
    """Loss in one direction: a lost SYN or its answer costs 1 s and doubles (RFC 6298), a lost first segment of each
    later trip 0.2 s. Further segments of a trip are left out, so the harm is at least as bad as this. Bet by the time
    that it takes, by whether there was any wait, and by how many there were: an original that nature delayed much must
    not outweigh ten that it did not."""
    reference = ~lot.chosen
    trips = [_trips(o) for o, ref in zip(s.outcomes, reference, strict=True) if ref and o.finished is not None]
    again = rng.geometric(1 - TEXT_LOSS, (1 + int(np.median(trips or [1])), DRAWS, len(reference))) - 1
    waits = 2.0**again - 1
    harmed = s.finish + INITIAL_RTO_S * waits[0] + MIN_RTO_S * waits[1:].sum(axis=0)
    slower = _slower(s.finish, reference, harmed)
    finish = np.where(reference, harmed, s.finish)
    delayed = slowness(finish) > 0
    late = (finish > finish.min(axis=-1, keepdims=True) + MIN_RTO_S / 2) & delayed
    counted = _waits(s)[None, :] + np.where(reference, (again > 0).sum(axis=0), 0)
    return slower, Bet(late.astype(float), STEEP), Bet(filled(counted / MANY_WAITS), STEEP)


def _trips(o: StreamOutcome) -> int:
    """Answers that came at least half a round trip after the one before: the exchange's turns, as far as seen."""
    return max(1, int((_gaps(o) > (o.connected or 0.0) / 2).sum()))


def _gaps(o: StreamOutcome) -> Floats:
    """Seconds from one arrival to the next, the first since it was connected."""
    return np.diff([0.0 if o.connected is None else o.connected, *[at for at, _ in o.arrivals]])


def _waits(s: Streams) -> Floats:
    """How often each exchange waited as long as for a packet that was lost, its end without the rest counted as one;
    inf where it was never connected."""
    trip = _least_trip(s)
    waits = [
        (o.connected >= INITIAL_RTO_S) + (_gaps(o) > trip + A_WAIT * MIN_RTO_S).sum() + (o.finished is None)
        if o.connected is not None
        else np.inf
        for o in s.outcomes
    ]
    return np.array(waits, dtype=np.float64)


def _text_delay(s: Streams, lot: Lot, rng: np.random.Generator) -> Bets:
    """One way: of the handshake and of the first answer."""
    return (_slower(s.finish, ~lot.chosen, s.finish + 2 * TEXT_DELAY_S),)


# -- media ------------------------------------------------------------------------------------------------------


def _known(s: Streams, way: str) -> list[Transfer] | None:
    found = [one for one in s.transfers[way] if one is not None]
    return found if len(found) == len(s.outcomes) else None


def _nothing(s: Streams) -> Bets:
    """All alike: neither for nor against."""
    return (Bet(np.zeros((1, len(s.outcomes))), STEEP),) * 2


def _media_police(s: Streams, lot: Lot, way: str) -> Bets:
    """A bucket for this way: the references take as long as it lets them, and are never ahead of it by more than its
    burst."""
    ones = _known(s, way)
    if ones is None:
        return _nothing(s)
    reference = ~lot.chosen
    speeds = [one.steady_kbps for one, ref in zip(ones, reference, strict=True) if ref]
    known = [v for v in speeds if v is not None]
    limit = min(MEDIA_POLICE_KBPS, MEDIA_POLICE_SHARE * float(np.median(known))) if known else MEDIA_POLICE_KBPS
    least = np.array([one.trip + _needed(one.size, limit, MEDIA_POLICE_BURST) for one in ones])
    slower = _slower(np.array([one.seconds for one in ones]), reference, least)
    lead = np.array([_ahead(one.arrivals, limit) for one in ones])
    return slower, _early(lead, reference, MEDIA_POLICE_BURST, LEAD_SCALE)


def _pauses(ones: Sequence[Transfer]) -> Floats | None:
    """How many pauses each transfer had for a segment of what came; None where the link is too fast for them to tell.

    On a slow link segments come one by one, evenly, from the first on. One that was lost holds up what was sent after
    it, whatever the sender does, until it has come again: a round trip, and what was queued by then."""
    gaps = [float(np.median(np.diff([at for at, _ in one.arrivals]))) for one in ones if len(one.arrivals) > 1]
    if not gaps or (usual := float(np.percentile(gaps, FASTER))) < SLOW_SEGMENT_S:
        return None
    pause = max(PAUSE * usual, min(one.trip for one in ones))
    counts = [(np.diff([at for at, _ in one.arrivals]) > pause).sum() for one in ones]
    return np.array([n / max(1.0, one.got / MSS) for n, one in zip(counts, ones, strict=True)])


def _more_pauses(pauses: Floats, ones: Sequence[Transfer], reference: Flags, rng: np.random.Generator) -> Bet:
    """What added loss does to them, at least: of the segments lost, those soon after one before, whose pause they may
    share, are not counted, nor those close to a pause that there was without."""
    segments = np.array([int(one.got / MSS) for one in ones])
    spared = (segments * np.maximum(0.0, 1 - OWN * pauses)).astype(int)
    each = MEDIA_LOSS / (1 + MEDIA_LOSS * IN_FLIGHT)
    more = rng.binomial(np.broadcast_to(spared, (DRAWS, len(spared))), each) / np.maximum(1, segments)
    scores = np.where(reference, pauses + more, pauses)
    little = np.array([one.got < TOO_LITTLE * one.size for one in ones])
    return Bet(filled(np.where(little, 1.0, PAUSES_SCALE * scores)), STEEP)


def _media_loss(s: Streams, lot: Lot, way: str, rng: np.random.Generator) -> Bets:
    """The rate that loss allows (Mathis, and more to a brief transfer): the link's own, as the reference's goodput
    implies it, and the harm's, over the round trip that the references had; outward what is sent again takes the access
    link's time again. Fitted to the harm itself in the simulator, so that a bet against it does not gain where it is
    done (docs/error-rates.md). On a slow link little more than that shows, so it
    is bet once more without the dead zone below which nothing counts as a restriction. On a path of next to no round
    trip it is what loss does over a short one, as long as every transfer of the round was far faster than that: there
    the formula's rate is that at which programs work, and what loss adds are timeouts. Where a link is so slow
    that a loss takes little of its rate, the pauses that each makes are bet on in place of that second bet."""
    ones = _known(s, way)
    if ones is None:
        return _nothing(s)
    reference = ~lot.chosen
    times = np.array([one.seconds for one in ones])
    trips = [one.trip for one, ref in zip(ones, reference, strict=True) if ref and one.trip > 0]
    if not trips:
        return _nothing(s)
    sizes = np.array([one.size for one in ones])
    trips_needed = sizes / ((1 + BRIEF / sizes) * MATHIS * MSS / np.sqrt(MEDIA_LOSS))
    trip = float(np.median(trips))
    if bool(np.all(times < FAR_FASTER * SHORT_TRIP_S * trips_needed)):
        trip = max(trip, SHORT_TRIP_S)
    again = 1 / (1 - MEDIA_LOSS) if way == "out" else 1.0
    harmed = times.copy()
    for i in map(int, np.flatnonzero(reference & np.isfinite(times))):
        span = again * (ones[i].seconds - ones[i].trip)
        harmed[i] = ones[i].trip + np.sqrt(span**2 + (trips_needed[i] * trip) ** 2)
    slower = _slower(times, reference, harmed)
    if (pauses := _pauses(ones)) is not None:
        return slower, _more_pauses(pauses, ones, reference, rng)
    best = float(harmed.min())
    plain = np.log(harmed / max(best, 1e-3)) / np.log(TIME_RATIO) if np.isfinite(best) else np.ones(len(harmed))
    return slower, Bet(filled(plain)[None, :], STEEP)


STREAM_HARMS: Mapping[str, Mapping[str, Callable[[Streams, Lot, np.random.Generator], Bets]]] = {
    "text": {
        "failure": _fails,
        "cut-off": lambda s, lot, g: _cut(s, ~lot.chosen, TEXT_CUT_BYTES),
        "police-out": lambda s, lot, g: _text_police(s, lot, "out"),
        "police-in": lambda s, lot, g: _text_police(s, lot, "in"),
        "loss": _text_loss,
        "delay": _text_delay,
    },
    "media": {
        "failure": _fails,
        "cut-off": lambda s, lot, g: _cut(s, ~lot.chosen, MEDIA_CUT_BYTES),
        "police-out": lambda s, lot, g: _media_police(s, lot, "out"),
        "police-in": lambda s, lot, g: _media_police(s, lot, "in"),
        "loss-out": lambda s, lot, g: _media_loss(s, lot, "out", g),
        "loss-in": lambda s, lot, g: _media_loss(s, lot, "in", g),
    },
}
