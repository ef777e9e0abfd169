"""What a country file's truth makes of each claim: the same predicates over what is so, without an interval."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from ringback.evidence.cells import DAY, Key
from ringback.evidence.claims import LEAST_NETWORKS, Claim, Condition, Verdicts, claims

Onsets = dict[Key, float]


def answers(true: Sequence[Verdicts], onsets: Onsets) -> dict[str, str]:
    """Claim to `supported`, `contradicted` or `untested`: not measurable, or not about anything that was met."""
    return {claim.id: _answer(claim, true, onsets) for claim in claims()}


def _answer(claim: Claim, true: Sequence[Verdicts], onsets: Onsets) -> str:
    start = datetime(claim.date.year, claim.date.month, claim.date.day, tzinfo=UTC).timestamp()
    span = (start, start + claim.days * DAY)
    met = [one for one in true if span[0] <= one.at < span[1]]
    values = [_value(condition, met, onsets, span) for condition in claim.conditions]
    held = [
        value is not None and condition.above < value < condition.below
        for condition, value in zip(claim.conditions, values, strict=True)
    ]
    if any(value is not None and not so for value, so in zip(values, held, strict=True)):
        return "contradicted"
    return "supported" if held and all(held) else "untested"


def _value(condition: Condition, met: Sequence[Verdicts], onsets: Onsets, span: tuple[float, float]) -> float | None:
    name = (condition.app, condition.function)
    if condition.kind == "event":
        keys = {one.key for one in met if (one.key.app, one.key.function) == name}
        begun = [key for key in keys if span[0] <= onsets.get(key, 0.0) < span[1]]
        return len(begun) / len(keys) if len(keys) >= LEAST_NETWORKS else None
    own = [one for one in met if (one.key.app, one.key.function) == name]
    if condition.where is not None:
        there = (condition.app, condition.where)
        hit = {one.key.asn for one in met if (one.key.app, one.key.function) == there and one.status == "restricted"}
        own = [one for one in own if one.key.asn in hit]
    if condition.kind in ("share", "contrast"):
        return _share(condition, own)
    cut = [one for one in own if one.status == "restricted"]
    if condition.kind == "bypass":
        cut = [one for one in cut if one.bypassed is not None]
        so = [bool(one.bypassed) for one in cut]
    else:
        so = [(one.mechanism if condition.kind == "mechanism" else one.trigger) in condition.values for one in cut]
    return float(np.mean(so)) if len({one.key.asn for one in cut}) >= LEAST_NETWORKS else None


def _share(condition: Condition, own: Sequence[Verdicts]) -> float | None:
    tallies: dict[Key, list[bool]] = {}
    for one in own:
        if one.status in ("working", "restricted"):
            tallies.setdefault(one.key, []).append(one.status == "restricted")
    shares = {key: float(np.mean(tally)) for key, tally in tallies.items()}
    here = [share for key, share in shares.items() if not condition.regions or key.region in condition.regions]
    there = [share for key, share in shares.items() if key.region not in condition.regions]
    if len(here) < LEAST_NETWORKS or (condition.kind == "contrast" and len(there) < LEAST_NETWORKS):
        return None
    return float(np.mean(here)) - (float(np.mean(there)) if condition.kind == "contrast" else 0.0)
