"""Signs that a packet met a device, where it can't have reached its destination: what came back, or did not.

A sign is seen or not, exchange by exchange; whether it comes with a factor is decided by the labels' own distribution,
and its absence by the same bet with every reference showing the sign.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from ringback.record import DatagramOutcome, IcmpError, Outcome, Round, StreamOutcome
from ringback.verdict.evidence import RAW_LAMBDAS
from ringback.verdict.permutation import Flags, Floats, Ints, log_e_values, log_mix, lots_of

Factor = Literal["payload", "port"]
Sign = Callable[[Outcome], bool]

UNREACHABLE_HOST = ((3, 1), (1, 3))  # RFC 792, RFC 4443
TIME_EXCEEDED, TIME_EXCEEDED_V6 = (11, 0), (3, 0)  # ICMP type and code "in transit": RFC 792, RFC 4443


def expired(error: IcmpError) -> bool:
    """Whether a router said that a TTL had run out. What has no source was not said by a router."""
    if error.source is None:
        return False
    return (error.type, error.code) == (TIME_EXCEEDED_V6 if ":" in error.source else TIME_EXCEEDED)


def said_by_router(error: IcmpError) -> bool:
    """The same for an established stream, of which the system may say no more than that a host can't be reached."""
    return expired(error) or (error.source is None and (error.type, error.code) in UNREACHABLE_HOST)


def reset(outcome: Outcome) -> bool:
    """An established connection was reset."""
    return (
        isinstance(outcome, StreamOutcome) and outcome.connected is not None and outcome.failure == "connection_reset"
    )


def foreign(outcome: Outcome) -> bool:
    """Something answered that is not the partner."""
    return isinstance(outcome, DatagramOutcome) and bool(outcome.answers)


def silent(outcome: Outcome) -> bool:
    """No router said that the TTL had run out: the packets were gone before, or it never says so."""
    if isinstance(outcome, StreamOutcome):  # one that never connected sent nothing that could be lost
        return outcome.connected is not None and not any(map(said_by_router, outcome.icmp))
    return not any(map(expired, outcome.icmp))


def shown(rounds: Sequence[Round], sign: Sign, factor: Factor, enough: float) -> bool | None:
    """Whether the factor brings the sign: True or False where the e-value for it is `enough`, None while it is open."""
    present = absent = np.zeros(len(RAW_LAMBDAS))
    for each in rounds:
        lot = lots_of(each)[factor]
        scores = np.array([float(sign(x.outcome)) for x in each.exchanges])
        present = present + _bets(scores, lot.chosen, lot.strata)
        absent = absent + _bets(np.where(lot.chosen, scores, 1.0), ~lot.chosen, lot.strata)
    if _mean(present) >= enough * max(1.0, _mean(absent)):
        return True
    return False if _mean(absent) >= enough * max(1.0, _mean(present)) else None


def _bets(scores: Floats, chosen: Flags, strata: Ints) -> Floats:
    return log_e_values(scores, chosen, strata, RAW_LAMBDAS)


def _mean(logs: Floats) -> float:
    return float(np.exp(min(700.0, log_mix(logs, np.full(len(logs), 1 / len(logs))))))
