"""A mechanism with its numbers: what the fits hand to the judge."""

from typing import Literal

import msgspec

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


NUMBERS = (
    "after_packets", "after_packets_interval", "after_bytes", "after_bytes_interval", "rate_kbps",
    "rate_kbps_interval", "loss", "loss_interval", "delay_ms", "delay_ms_interval",
)  # fmt: skip
