"""A device that punishes: once it has seen an original, it stops everything from this participant, or between the two
addresses, for a while. Then controls suffer as originals do, and no comparison within a round tells them apart.

So *when* the first original runs is drawn instead: in a round of many short exchanges, all of them controls, one slot
between the margins carries the other value of a factor. If the network ignores that factor, what becomes of all
exchanges does not depend on which slot it was. For any positive weights w of the slots that are worked out from the
outcomes alone, the weight of the drawn slot over the mean of all w that could have been drawn has mean 1: an e-value,
worth at most the number of slots. Here w says how near the slot lies to the moment from which nothing more was heard of
any exchange for longest.

Rounds multiply. How long after the slot's start a silence begins, and how exactly, is mixed: outside their product, so
that a device's habit is paid for once, and within each round.
"""

from collections.abc import Sequence
from itertools import product

import msgspec
import numpy as np
from numpy.typing import NDArray

from ringback.errors import BadInput
from ringback.record import DatagramOutcome, ExchangeRecord, Outcome, Round, StreamOutcome
from ringback.verdict.permutation import log_mix

Floats = NDArray[np.float64]

LAGS_S = np.concatenate([np.arange(0.0, 1.0, 0.1), np.arange(1.0, 10.0, 0.25)])  # from the slot's start to the silence
SCALES_S = (0.05, 0.2)  # by which it may be off, in the mean
PATTERNS = tuple(product(LAGS_S.tolist(), SCALES_S))
SOON_S = 0.1  # most devices look at the first packets: later ones weigh as 1 / (SOON_S + lag)
FARTHEST = 12.0  # scales beyond which one slot is as far off as another
LATELY = 3  # slots before the first that could be drawn, in which something must be heard
SHOWN = float(np.log(20.0))  # log of an e-value at which a penalty explains what happened; it accuses nobody


def _weights() -> Floats:
    each = np.array([1 / (SOON_S + lag) for lag, _ in PATTERNS])
    return np.asarray(each / each.sum())


WEIGHTS = _weights()


def factor_of(round_: Round) -> str:
    """`payload` or `port`: in what the exchange of the drawn slot differs from the others. Raises BadInput where the
    round is not one of these."""
    return _drawn(round_)[1]


def _drawn(round_: Round) -> tuple[int, str]:
    """(slot, factor) that was drawn."""
    arms = [x.spec.arm for x in round_.exchanges]
    odd = [i for i, arm in enumerate(arms) if arms.count(arm) == 1]
    before, after = round_.margins
    if round_.drawn != "slot" or len(set(arms)) != 2 or len(odd) != 1:
        raise BadInput("not one exchange among others that are alike", f"round {round_.number}")
    if not 0 <= before <= odd[0] < len(arms) - after:
        raise BadInput("the drawn slot lies in a margin", f"round {round_.number}")
    own, other = arms[odd[0]], arms[odd[0] - 1]
    if own.payload != other.payload and own.port != other.port:
        raise BadInput("the drawn slot differs in two things", f"round {round_.number}")
    return odd[0], "payload" if own.payload != other.payload else "port"


def slot_bets(round_: Round) -> Floats:
    """log e-values of one round, by pattern: shape (len(PATTERNS),). Raises BadInput as `factor_of`."""
    slot, _ = _drawn(round_)
    before, after = round_.margins
    silence = silent_from(round_)
    starts = np.array([x.started_at for x in round_.exchanges[before : len(round_.exchanges) - after]])
    lags, scales = np.array(PATTERNS).T
    far = np.abs(silence - starts - lags[:, None]) / scales[:, None]
    fit = -np.minimum(far, FARTHEST)
    return np.asarray(fit[:, slot - before] - np.log(np.exp(fit).mean(axis=1)))


def log_e_value(bets: Sequence[Floats]) -> float:
    """log of what all rounds on one factor are worth together, 0 without any: the equal mean of one pattern held over
    all rounds and of patterns mixed anew in each, since a lost packet delays now and then what is punished."""
    if not bets:
        return 0.0
    held, anew = log_mix(np.sum(bets, axis=0), WEIGHTS), sum(log_mix(each, WEIGHTS) for each in bets)
    return log_mix(np.array([held, anew]), np.full(2, 0.5))


def shown(rounds: Sequence[Round]) -> bool:
    """Whether those of the rounds that drew a slot show a penalty for any factor."""
    seen: dict[tuple[str, str], list[Floats]] = {}
    for each in rounds:
        if each.drawn == "slot":
            seen.setdefault((each.form, factor_of(each)), []).append(slot_bets(each))
    return any(log_e_value(bets) >= SHOWN for bets in seen.values())


def silent_from(round_: Round) -> float:
    """When the longest silence begins, on the session's clock and in whichever direction has it: label-blind. One that
    began before the first slot that could be drawn is that one's earlier past, and counts from there; the round ends it
    at the latest."""
    began = round_.exchanges[round_.margins[0]].started_at
    last = round_.exchanges[-1]
    ended = last.started_at + last.spec.seconds
    found = [_longest([began, *sorted(t for t in signs if began < t < ended), ended]) for signs in _signs(round_)]
    return max(found)[1]


def _longest(times: Sequence[float]) -> tuple[float, float]:
    """(seconds, beginning) of the longest gap."""
    gaps = np.diff(times)
    at = int(np.argmax(gaps))
    return float(gaps[at]), times[at]


def _signs(round_: Round) -> list[list[float]]:
    """Signs of life by direction, on this end's clock; outward, when each packet that arrived had left."""
    outcomes = [(x.started_at, x.outcome) for x in round_.exchanges]
    inward = [at for start, outcome in outcomes for at in _heard(start, outcome)]
    outward = [
        at
        for _, outcome in outcomes
        if isinstance(outcome, DatagramOutcome)
        for at, came in zip(outcome.outward.sent, outcome.outward.received, strict=True)
        if at is not None and came is not None
    ]
    return [inward, outward] if outward else [inward]


def _heard(start: float, outcome: Outcome) -> list[float]:
    if isinstance(outcome, StreamOutcome):
        connected = [] if outcome.connected is None else [outcome.connected]
        return [start + at for at in (*connected, *(at for at, _ in outcome.arrivals))]
    return [at for at in outcome.inward.received if at is not None]


def lively(round_: Round) -> bool:
    """Whether anything was heard shortly before the first slot that could be drawn: else this round shows little."""
    first = round_.exchanges[round_.margins[0]].started_at
    lately = round_.exchanges[round_.margins[0] - LATELY].started_at
    return any(lately <= at < first for signs in _signs(round_) for at in signs)


def unpunished(round_: Round) -> Round:
    """What tells how the drawn exchange itself was treated: it, and the others that were over when it began."""
    slot, _ = _drawn(round_)
    own = round_.exchanges[slot]

    def over(x: ExchangeRecord) -> bool:
        ended = x.outcome.finished if isinstance(x.outcome, StreamOutcome) else x.spec.seconds
        return ended is not None and x.started_at + ended <= own.started_at

    before = [x for x in round_.exchanges[:slot] if over(x)]
    return msgspec.structs.replace(round_, exchanges=[*before, own], drawn="arms", margins=(0, 0))
