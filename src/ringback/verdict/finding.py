"""A mechanism with its numbers: what the fits hand to the judge."""

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
