"""A mechanism with its numbers: what the fits hand to the judge."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np

from ringback.record import Mechanism
from ringback.record.verdict import Interval

Side = Literal["out", "in", "both"]

_ORDER: tuple[Mechanism, ...] = (
    "drop", "reset", "icmp", "dns", "corrupt", "drop-after", "police", "shape", "loss", "delay", "unknown", "none",
)  # fmt: skip
RANK: dict[Mechanism, int] = {mechanism: rank for rank, mechanism in enumerate(_ORDER)}
"""Which of several that act is named: contracts.md, "Truth"."""


class Finding(msgspec.Struct, frozen=True):
    """Numbers are as in `record.Verdict`; `side`: the direction that shows it; `weight`: how much, within a fit."""

    mechanism: Mechanism
    after_packets: int | None = None
    after_packets_interval: Interval | None = None
    after_bytes: int | None = None
    after_bytes_interval: Interval | None = None
    rate_kbps: float | None = None
    rate_kbps_interval: Interval | None = None
    loss: float | None = None
    loss_interval: Interval | None = None
    delay_ms: float | None = None
    delay_ms_interval: Interval | None = None
    side: Side | None = None
    weight: float = 0.0

    def __post_init__(self) -> None:
        """Fits reckon with numpy, whose numbers no record can carry."""
        for name in NUMBERS:
            msgspec.structs.force_setattr(self, name, _plain(getattr(self, name)))


NUMBERS = (
    "after_packets", "after_packets_interval", "after_bytes", "after_bytes_interval", "rate_kbps",
    "rate_kbps_interval", "loss", "loss_interval", "delay_ms", "delay_ms_interval",
)  # fmt: skip


def _plain(number: Any) -> Any:
    if isinstance(number, tuple):
        return tuple(map(_plain, number))
    return number.item() if isinstance(number, np.generic) else number


_NUMBER_OF: dict[Mechanism, Literal["rate_kbps", "loss", "delay_ms"]] = {
    "police": "rate_kbps",
    "shape": "rate_kbps",
    "loss": "loss",
    "delay": "delay_ms",
}


def joined(found: Sequence[Finding]) -> Finding:
    """Both directions as one: the higher-ranked mechanism; where they show the same, the mean of numbers that agree,
    else the number of the direction that shows it more. `unknown` of nothing."""
    if not found:
        return Finding("unknown")
    best, *others = sorted(found, key=lambda finding: (RANK[finding.mechanism], -finding.weight))
    number = _NUMBER_OF.get(best.mechanism)
    if not others or others[0].mechanism != best.mechanism or number is None:
        return best
    name = f"{number}_interval"
    (low, high), (low2, high2) = getattr(best, name), getattr(others[0], name)
    a, b = getattr(best, number), getattr(others[0], number)
    if max(low, low2) > min(high, high2) and abs(a - b) > 0.15 * max(a, b):
        return best
    return msgspec.structs.replace(
        best, **{number: (a + b) / 2, name: ((low + low2) / 2, (high + high2) / 2), "side": "both"}
    )
