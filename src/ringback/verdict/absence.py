"""That a harm found before is *not* there in other rounds: the bets of `harms`, sized by what was found.

`harms` declares harms for cells of which nothing is known. Where a cell's treatment is known already, its references
are harmed by two thirds of just that; a bet against what is large needs far fewer packets than one against what is
barely felt.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from ringback.record import Round
from ringback.verdict.bet import DRAWS, FINE, Bet, log_mean_e
from ringback.verdict.evidence import RoundEvidence
from ringback.verdict.finding import Finding
from ringback.verdict.permutation import Lot, log_mix, lots_of
from ringback.verdict.scores import Direction, datagrams_of, directions

Floats = NDArray[np.float64]

LIMITED = 0.4  # of the packets in the second half, where a call three times as fast meets a limit below its own rate
WAYS = ("out", "in", "both")
ANY = ("loss-out", "loss-in", "loss-both", "cut-off", "police", "delay-out", "delay-in")


class Harm(msgspec.Struct, frozen=True):
    """What would be seen. declared: names in `harms.DECLARED`; thinned: share of the packets that would be missing
    besides, from `since` on (share of the exchange), in one direction or both."""

    declared: tuple[str, ...] = ()
    thinned: float = 0.0
    since: float = 0.0


CUT = Harm(thinned=1.0, since=0.9)  # nothing more towards the end, in one direction at least


def harm_of(found: Finding) -> Harm:
    """The harm to look for in exchanges three times as fast as those in which `found` was found."""
    if found.mechanism in ("drop", "icmp", "corrupt", "drop-after"):
        return CUT
    if found.mechanism in ("police", "shape"):
        return Harm(thinned=LIMITED, since=0.5)
    if found.mechanism == "loss" and found.loss is not None:
        return Harm(thinned=2 / 3 * found.loss)
    return Harm(("delay-out", "delay-in")) if found.mechanism == "delay" else Harm(ANY)


def absent(rounds: Sequence[Round], evidence: Sequence[RoundEvidence], harm: Harm) -> float:
    """E-value that the originals of these rounds (calls of one form, with their evidence) do not suffer it: the least
    over all ways in which they might. 0 without rounds."""
    logs: dict[str, Floats] = {}
    for each, seen in zip(rounds, evidence, strict=True):
        bets = {name: seen.working["payload", name] for name in harm.declared}
        if harm.thinned:
            bets.update(_thinned(each, harm))
        for name, slopes in bets.items():
            logs[name] = logs.get(name, np.zeros(len(slopes))) + slopes
    values = [log_mix(slopes, np.full(len(slopes), 1 / len(slopes))) for slopes in logs.values()]
    return float(np.exp(min(*values, 700.0))) if values else 0.0


def _thinned(each: Round, harm: Harm) -> dict[str, Floats]:
    lot = lots_of(each)["payload"]
    outcomes = datagrams_of([x.outcome for x in each.exchanges])
    rng = np.random.default_rng([0x54484E, each.number])
    out, inward = (_missing(way, lot, harm, rng) for way in directions(outcomes))
    scores = dict(zip(WAYS, (out, inward, (out + inward) / 2), strict=True))
    return {way: log_mean_e(Bet(missing, FINE), lot) for way, missing in scores.items()}


def _missing(way: Direction, lot: Lot, harm: Harm, rng: np.random.Generator) -> Floats:
    """Missing share (draws, n) once the references are thinned; 0 where nothing was due."""
    last = way.scheduled[way.counted].max() if way.counted.any() else 0.0
    first = way.scheduled[way.counted].min() if way.counted.any() else 0.0
    window = way.counted & (way.scheduled >= first + harm.since * (last - first))
    due, arrived = window.sum(axis=1), (window & way.arrived).sum(axis=1)
    kept = rng.binomial(np.broadcast_to(arrived, (DRAWS, len(arrived))), 1 - harm.thinned)
    return np.where(due > 0, 1 - np.where(lot.chosen, arrived, kept) / np.maximum(due, 1), 0.0)
