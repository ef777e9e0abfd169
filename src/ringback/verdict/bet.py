"""A bet against one declared harm: scores with the harm applied to the references, in many draws, and its e-value."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from ringback.verdict.permutation import Ints, Lot, log_e_by_stratum, names_of

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

DRAWS = 64
FINE = (8.0, 24.0, 64.0, 160.0)  # slopes: small differences of well-measured shares
COARSE = (2.0, 6.0, 20.0)  # exchanges that fail or do not


@dataclass(frozen=True)
class Bet:
    """scores: (draws, exchanges). slopes: of the log weight. odds: log weight of each draw in each stratum, (strata,
    draws), None for equal ones. share: of the exchanges that the harm strikes, and margin: the score above a stratum's
    median from which one looks struck, see `_log_weights`."""

    scores: Floats
    slopes: tuple[float, ...]
    odds: Floats | None = None
    share: float = 1.0
    margin: float = 0.0


def filled(scores: Floats) -> Floats:
    """Scores where nothing is known are alike, so they bet nothing for or against a harm."""
    return np.clip(np.nan_to_num(scores, nan=0.0, posinf=1.0), 0.0, 1.0)


def struck(lot: Lot, share: float, rng: np.random.Generator) -> tuple[Flags, Floats]:
    """Draws in which each reference is struck with chance `share`: flags (draws, n), log odds (strata, draws).

    The number struck in a stratum is enumerated and weighted with its binomial chance, only who it is is drawn: the
    mean over draws then holds in every round and not just over many (few draws with all struck carry much of it).
    """
    strata = [np.flatnonzero((lot.strata == name) & ~lot.chosen) for name in names_of(lot.strata)]
    draws = max(len(members) for members in strata) * 12 + 12
    flags = np.zeros((draws, len(lot.chosen)), dtype=bool)
    odds = np.full((len(strata), draws), -np.inf)
    for row, members in enumerate(strata):
        k = len(members)
        numbers = np.arange(draws) % (k + 1)
        order = rng.permuted(np.broadcast_to(np.arange(k), (draws, k)), axis=1)
        flags[:, members] = order < numbers[:, None]
        repeats = np.bincount(numbers, minlength=k + 1)
        chances = [comb(k, b) * share**b * (1 - share) ** (k - b) for b in range(k + 1)]
        odds[row] = np.log(np.array(chances) / repeats)[numbers]
    return flags, odds


def _log_weights(scores: Floats, slopes: Sequence[float], share: float, margin: float, strata: Ints) -> Floats:
    """log w, (draws, slopes, n). share 1: exp(slope s). Less: as of a mixture in which that share is struck,
    1 - share + share exp(slope (s - m)), with m the margin above the stratum's median: noise below is no bet. Of two
    the lower one stands for the median: at most one of a pair is meant to look struck.
    """
    grid = np.asarray(slopes, dtype=np.float64)[:, None]
    if share == 1:
        return np.asarray(grid * scores[:, None, :])
    middle = np.zeros_like(scores)
    for name in names_of(strata):
        inside = strata == name
        own = scores[:, inside]
        usual = own.min(axis=1, keepdims=True) if own.shape[1] == 2 else np.median(own, axis=1, keepdims=True)
        middle[:, inside] = usual + margin
    return np.asarray(np.logaddexp(np.log(1 - share), np.log(share) + grid * (scores - middle)[:, None, :]))


def log_mean_e(bet: Bet, lot: Lot) -> Floats:
    """log, for each slope, of the mean over draws (apart in each stratum) of the e-value that references are worse."""
    weights = _log_weights(bet.scores, bet.slopes, bet.share, bet.margin, lot.strata)
    logs = log_e_by_stratum(weights, ~lot.chosen, lot.strata)  # (strata, draws, slopes)
    odds = bet.odds if bet.odds is not None else np.full(logs.shape[:2], -np.log(logs.shape[1]))
    weighted = logs + odds[..., None]
    top = weighted.max(axis=1, keepdims=True)
    return np.asarray((top[:, 0] + np.log(np.exp(weighted - top).sum(axis=1))).sum(axis=0))
