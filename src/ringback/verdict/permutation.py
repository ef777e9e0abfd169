"""Exact e-values of a randomised comparison: the labels' own distribution, no model of the network.

Scores s_i in [0, 1] (higher is worse) belong to exchanges; a known number of those in each stratum was *chosen* by lot
(the originals, say). With w_i = exp(lambda s_i), the e-value of a stratum is the product of w over the chosen, divided
by its mean over all sets that the lot could have chosen: e_k(w) / C(n, k), the elementary symmetric polynomial
(cf. Vovk and Wang, "E-values", Ann. Statist. 2021; Koning, "Post-hoc and anytime-valid permutation tests", 2023). If
labels are exchangeable given the outcomes its expectation is 1 for any positive w, with ties, whatever the scores' law.

Strata are drawn independently, so the product over strata at one lambda is an e-value; the mixture over lambda is taken
outside it. Betting one common lambda pays the price of not knowing it once, not once a stratum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, log, prod

import numpy as np
from numpy.typing import NDArray

from ringback.record import Arm, Round

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


LARGEST_LOG = 600.0  # of a float's 700: products of weights as far apart stay floats, sums of them as well


@dataclass(frozen=True)
class Lot:
    """What chance decided in a round for one factor: which exchanges it chose, within which strata. Both (n,)."""

    chosen: Flags
    strata: Ints


def lots(arms: Sequence[Arm], pairs: Sequence[int] | None = None) -> dict[str, Lot]:
    """The lot of each factor that varies in the round: `payload` within each port, `port` within each payload.

    pairs: the pair that each exchange belongs to, where both factors were drawn within pairs, each apart: a pair has
    one original and one control, and one on the app's port, so that exchanging either label within it changes nothing
    about the other factor.
    """
    original = np.array([arm.payload == "original" for arm in arms])
    app_port = np.array([arm.port == "app" for arm in arms])
    within = (app_port.astype(np.int64), original.astype(np.int64)) if pairs is None else (np.array(pairs),) * 2
    factors = {"payload": Lot(original, within[0]), "port": Lot(app_port, within[1])}
    return {name: lot for name, lot in factors.items() if lot.chosen.any() and not lot.chosen.all()}


def lots_of(round_: Round) -> dict[str, Lot]:
    """The lots of a round that ran, as it was drawn."""
    pairs = [x.slot // 2 for x in round_.exchanges] if round_.drawn == "pairs" else None
    return lots([x.spec.arm for x in round_.exchanges], pairs)


def log_symmetric(log_weights: Floats, k: int) -> Floats:
    """log of the elementary symmetric polynomial e_k of exp(log_weights) over the last axis; O(n k).

    Weights so far apart that their products leave the range of a float are added in logarithms, ten times as slowly;
    for the others both ways agree to a float's precision, since nothing is ever subtracted.
    """
    n = log_weights.shape[-1]
    if not 0 <= k <= n:
        raise ValueError(f"can't choose {k} of {n}")
    rows = np.asarray(log_weights, dtype=np.float64).reshape(prod(log_weights.shape[:-1]), n)
    if not rows.size:
        return np.zeros(log_weights.shape[:-1])
    top = rows.max(axis=-1)
    with np.errstate(invalid="ignore"):  # -inf less -inf: of no use as a float either
        scaled = rows - top[:, None]
    if k * -scaled.min() < LARGEST_LOG:
        result = np.log(_symmetric(np.exp(scaled), k)) + k * top
    else:
        near = k * -scaled.min(axis=-1) < LARGEST_LOG
        result = np.empty(len(rows))
        result[near] = np.log(_symmetric(np.exp(scaled[near]), k)) + k * top[near]
        result[~near] = _symmetric_of_logarithms(rows[~near], k)
    return np.asarray(result.reshape(log_weights.shape[:-1]))


def _symmetric(weights: Floats, k: int) -> Floats:
    """e_k over the last axis of (m, n), (m,)."""
    n = weights.shape[1]
    table = np.zeros((k + 1, len(weights)))  # [j]: e_j of the first i, later ones not yet counted
    table[0] = 1.0
    for i, weight in enumerate(np.ascontiguousarray(weights.T)):
        low, top = max(0, k - (n - i)), min(i + 1, k)  # below low, too few are left to reach k
        table[low + 1 : top + 1] += table[low:top] * weight
    return np.asarray(table[k], dtype=np.float64)


def _symmetric_of_logarithms(log_weights: Floats, k: int) -> Floats:
    """The logarithm of the same, from logarithms."""
    n = log_weights.shape[1]
    table = np.full((k + 1, len(log_weights)), -np.inf)
    table[0] = 0.0
    for i, weight in enumerate(np.ascontiguousarray(log_weights.T)):
        low, top = max(0, k - (n - i)), min(i + 1, k)
        np.logaddexp(table[low + 1 : top + 1], table[low:top] + weight, out=table[low + 1 : top + 1])
    return np.asarray(table[k], dtype=np.float64)


def names_of(strata: Ints) -> list[int]:
    """Each stratum once, in order: `np.unique`, which takes ten times as long for so few."""
    return sorted(set(strata.tolist()))


def log_e_by_stratum(log_weights: Floats, chosen: Flags, strata: Ints) -> Floats:
    """log e-value of each stratum, (strata, ...), for weights (..., n) whose logarithms are given.

    The most a stratum of n with k chosen can give is C(n, k); one whose exchanges are all chosen, or none, gives 1.
    """
    members = [np.flatnonzero(strata == stratum) for stratum in names_of(strata)]
    chosen_of = [inside[chosen[inside]] for inside in members]
    sizes = [(len(inside), len(picked)) for inside, picked in zip(members, chosen_of, strict=True)]
    result = np.stack([log_weights[..., picked].sum(axis=-1) for picked in chosen_of])
    for n, k in set(sizes):  # mostly the same for all, which then are reckoned at once
        alike = [i for i, size in enumerate(sizes) if size == (n, k)]
        symmetric = log_symmetric(log_weights[..., np.stack([members[i] for i in alike])], k)
        result[alike] = result[alike] - np.moveaxis(symmetric, -1, 0) + log(comb(n, k))
    return result


def log_e_values(scores: Floats, chosen: Flags, strata: Ints, lambdas: Sequence[float]) -> Floats:
    """log e-value for each lambda that the chosen exchanges are worse than the lot explains.

    scores: (..., n) in [0, 1]; chosen: (n,), those that the lot picked, in numbers fixed beforehand, within the strata
    (n,). Returns (..., len(lambdas)). Adding a constant to a stratum's scores changes nothing.
    """
    grid = np.asarray(lambdas, dtype=np.float64)
    return np.asarray(log_e_by_stratum(grid[:, None] * scores[..., None, :], chosen, strata).sum(axis=0))


def worst_half_ranks(scores: Floats, strata: Ints) -> Floats:
    """Scores replaced by their mid-ranks within the stratum: 0 for the better half, rising to 1 for the worst.

    scores: (..., n). Depends on the scores alone, so it is as label-blind as they are. Ties share their mean rank.
    """
    ranks = np.zeros_like(scores)
    for stratum in names_of(strata):
        inside = np.flatnonzero(strata == stratum)
        s, n = scores[..., inside], len(inside)
        if n < 2:
            continue
        below = (s[..., :, None] > s[..., None, :]).sum(axis=-1)
        equal = (s[..., :, None] == s[..., None, :]).sum(axis=-1)
        midrank = below + (equal - 1) / 2  # 0 .. n - 1
        ranks[..., inside] = np.maximum(0.0, midrank - (n - 1) / 2) / ((n - 1) / 2)
    return ranks


def log_mix(log_values: Floats, weights: Floats) -> float:
    """log of the weighted sum of exp(log_values) over all axes; weights of the same shape, zero weights allowed."""
    live = (weights > 0) & (log_values > -np.inf)
    if not live.any():
        return -np.inf
    terms = log_values[live] + np.log(weights[live])
    top = terms.max()
    return float(top + np.log(np.exp(terms - top).sum()))
