"""Evidence of a cell: what its randomised rounds are worth, as e-values that may be looked at at any time.

Each factor of each form (way on the wire) has an e-process over that form's rounds: the equal mean of three bets,

- `global`: one score kind, checkpoint and lambda held over all rounds, mixed outside the product,
- `per-round`: the same mixture made anew in every round (an effect that appears late is not averaged with nothing),
- `ranks`: ranks of the worst half, mixed in every round (a few exchanges hit hard, scores of wild scale).

Each is a martingale started at 1 if the network ignores the factor, so their mean is; rounds that draw the slot of the
first original (`penalty`) multiply it by e-values of their own. So the mean over a cell's factors is a martingale too:
by Ville's inequality it ever reaches x with probability at most 1 / x. Checkpoints carry fixed weights that sum to 1
and their weighted e-values are added: what was read so far is a lower bound of the round's e-value, so a round may be
judged while it runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ringback.record import Round
from ringback.verdict import penalty
from ringback.verdict.harms import working_evidence
from ringback.verdict.permutation import Lot, log_e_values, log_mix, lots_of, worst_half_ranks
from ringback.verdict.scores import KIND_WEIGHTS, datagram_ways, scores_of

Floats = NDArray[np.float64]
Factor = tuple[str, str]
"""(form, `payload` or `port`)."""

RAW_LAMBDAS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
RANK_LAMBDAS = (1.0, 2.0, 4.0, 8.0, 16.0)
FIRST_SHARE, LAST_SHARE = 0.25, 0.40  # weights of the first checkpoint (drops) and the last (loss)


def checkpoint_weights(n: int) -> Floats:
    """Weights of n checkpoints, summing to 1; those between the first and the last share equally."""
    if n <= 2:
        return np.array([[], [1.0], [1 - LAST_SHARE, LAST_SHARE]][n])
    middle = (1 - FIRST_SHARE - LAST_SHARE) / (n - 2)
    return np.array([FIRST_SHARE, *[middle] * (n - 2), LAST_SHARE])


@dataclass(frozen=True)
class FactorBets:
    """One factor in one round. raw: log e-values (kinds, checkpoints, lambdas), -inf where not read; weights: the same
    shape, summing to 1; ranks: log of the mixed e-value of the rank bet."""

    raw: Floats
    weights: Floats
    ranks: float

    @property
    def log_raw(self) -> float:
        return log_mix(self.raw, self.weights)


@dataclass(frozen=True)
class RoundEvidence:
    """factors: bets by factor name. working: log e-values, one a slope, by (factor name, harm). slots: of a round that
    drew the slot of the first original, its log e-values by pattern, by factor name (see `penalty`)."""

    number: int
    form: str
    checkpoints: tuple[float, ...]
    factors: Mapping[str, FactorBets]
    working: Mapping[tuple[str, str], Floats]
    slots: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def e_value(self) -> float:
        """The round's own e-value: mean over the factors of the mean of its bets (global and per-round agree here)."""
        if not self.factors:
            return float(np.prod([_exp(penalty.log_e_value([bets])) for bets in self.slots.values()]))
        return float(np.mean([(2 * _exp(b.log_raw) + _exp(b.ranks)) / 3 for b in self.factors.values()]))


@dataclass(frozen=True)
class CellEvidence:
    """What a cell's rounds say together.

    e_value: the cell's one accusing e-value, the mean over `factors`, which are keyed (form, factor name). working:
    e-value against each declared harm, the least over forms and factors; e_working: the least of these (0 where
    nothing was bet, at most 1 where a planned form has not run).
    """

    e_value: float
    factors: Mapping[Factor, float]
    e_working: float
    working: Mapping[str, float]


def _exp(x: float) -> float:
    return float(np.exp(min(x, 700.0)))


def factor_bets(scores: Mapping[str, Floats], kinds: Mapping[str, float], lot: Lot, read: Sequence[bool]) -> FactorBets:
    """Bets of one factor from label-blind scores, each kind (checkpoints, exchanges); `read`: checkpoints looked at."""
    at = checkpoint_weights(len(read))
    unread = ~np.asarray(read, dtype=bool)
    matrix = np.stack([scores[kind] for kind in kinds])
    share = np.array([kinds[kind] for kind in kinds])[:, None] * at
    raw = log_e_values(matrix, lot.chosen, lot.strata, RAW_LAMBDAS)
    raw[:, unread, :] = -np.inf
    ranked = log_e_values(worst_half_ranks(matrix, lot.strata), lot.chosen, lot.strata, RANK_LAMBDAS)
    ranked[:, unread, :] = -np.inf
    return FactorBets(
        raw=raw,
        weights=np.broadcast_to(share[..., None] / len(RAW_LAMBDAS), raw.shape),
        ranks=log_mix(ranked, np.broadcast_to(share[..., None] / len(RANK_LAMBDAS), ranked.shape)),
    )


def round_evidence(round_: Round, *, working: bool = True) -> RoundEvidence:
    """Evidence of one round. No round is left out for what happened in it: one whose controls or partner failed counts.

    working=False leaves the bets on declared harms out (for a look at a running round).
    Raises `ringback.errors.BadInput` for a round without exchanges or of mixed transports.
    """
    if round_.drawn == "slot":
        bets = {penalty.factor_of(round_): penalty.slot_bets(round_)}
        return RoundEvidence(round_.number, round_.form, tuple(round_.checkpoints), {}, {}, bets)
    outcomes = [exchange.outcome for exchange in round_.exchanges]
    ways = datagram_ways(outcomes)
    kinds = KIND_WEIGHTS["stream" if ways is None else "datagram"]
    scores = scores_of(outcomes, ways, round_.checkpoints)
    read = [round_.read_to is None or t <= round_.read_to + 1e-9 for t in round_.checkpoints]
    drawn = lots_of(round_)
    return RoundEvidence(
        number=round_.number,
        form=round_.form,
        checkpoints=tuple(round_.checkpoints),
        factors={name: factor_bets(scores, kinds, lot, read) for name, lot in drawn.items()},
        working=working_evidence(round_, drawn, ways) if working else {},
    )


def factor_e_value(rounds: Sequence[tuple[tuple[float, ...], FactorBets]]) -> float:
    """Running e-value of one factor over (checkpoints, bets) of its rounds in order.

    The global bet is held over rounds that were read at the same checkpoints; rounds of another plan have their own.
    """
    plans: dict[tuple[float, ...], list[FactorBets]] = {}
    for checkpoints, bets in rounds:
        plans.setdefault(checkpoints, []).append(bets)
    held = sum(log_mix(np.sum([b.raw for b in bets], axis=0), bets[0].weights) for bets in plans.values())
    anew = sum(b.log_raw for _, b in rounds)
    ranks = sum(b.ranks for _, b in rounds)
    return (_exp(held) + _exp(anew) + _exp(ranks)) / 3


def early_e_value(evidence: Sequence[RoundEvidence], until: float) -> float:
    """The greatest running e-value of any factor that checkpoints up to `until` (s) give alone; 1 without rounds."""
    bets: dict[Factor, list[tuple[tuple[float, ...], FactorBets]]] = {}
    for each in evidence:
        late = np.array([t > until for t in each.checkpoints])
        for name, seen in each.factors.items():
            raw = np.where(late[:, None], -np.inf, seen.raw)
            bets.setdefault((each.form, name), []).append((each.checkpoints, replace(seen, raw=raw, ranks=-np.inf)))
    return max(map(factor_e_value, bets.values()), default=1.0)


def combine(evidence: Sequence[RoundEvidence], forms: Sequence[str] | None = None) -> CellEvidence:
    """The cell's evidence from that of its rounds, in the order in which they ran.

    forms: the forms planned beforehand; one that has not run yet counts with an e-value of 1, so that the mean's
    denominator does not depend on when one stops. None: those that ran.
    """
    seen = list(dict.fromkeys(e.form for e in evidence))
    factors: dict[Factor, float] = {}
    harms: dict[str, list[float]] = {}
    missing = False
    for form in dict.fromkeys([*(forms or ()), *seen]):
        own = [e for e in evidence if e.form == form]
        compared = [name for e in own for name in e.factors]
        if not compared:  # or in no round but those that drew a slot
            missing = True
            compared = ["payload"] if form == "dns" else ["payload", "port"]
        for name in dict.fromkeys(compared):
            rounds = factor_e_value([(e.checkpoints, e.factors[name]) for e in own if name in e.factors])
            slots = penalty.log_e_value([e.slots[name] for e in own if name in e.slots])
            factors[form, name] = rounds * _exp(slots)
        for name, harm in dict.fromkeys(key for e in own for key in e.working):
            slopes = np.sum([e.working[name, harm] for e in own if (name, harm) in e.working], axis=0)
            harms.setdefault(harm, []).append(_exp(log_mix(slopes, np.full(len(slopes), 1 / len(slopes)))))
    working = {harm: min(values) for harm, values in harms.items()}
    least = min(working.values(), default=0.0)
    return CellEvidence(
        e_value=float(np.mean(list(factors.values()))) if factors else 1.0,
        factors=factors,
        e_working=min(1.0, least) if missing else least,
        working=working,
    )


def cell_evidence(rounds: Sequence[Round], forms: Sequence[str] | None = None, *, working: bool = True) -> CellEvidence:
    """Evidence of a cell from all its rounds of kind `trial`, in order (see `combine`).

    Who asks after every round keeps each round's `round_evidence` and combines these: most of the time goes there.
    """
    return combine([round_evidence(r, working=working) for r in rounds if r.kind == "trial"], forms)
