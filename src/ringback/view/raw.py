"""One published measurement: its rounds, what arrived of originals and controls, and the e-value as it grew."""

import math
from collections.abc import Sequence

import msgspec

from ringback.record import DatagramOutcome, ExchangeRecord, Measurement, Report, Round
from ringback.verdict.evidence import RoundEvidence, combine, round_evidence


class Arrived(msgspec.Struct, frozen=True):
    """One exchange. original: carries the app's own bytes; app_port: on the app's port. out, inward: share 0..1 of its
    packets (of a stream: bytes) that arrived, None where unknown."""

    original: bool
    app_port: bool
    out: float | None
    inward: float | None


class Drawn(msgspec.Struct, frozen=True):
    """One round. e_value: of all rounds up to this one; e_working: against the declared harms, up to this one."""

    number: int
    form: str
    e_value: float
    e_working: float
    exchanges: list[Arrived]


def rounds_of(report: Report, measurement: Measurement) -> list[Round]:
    """The accusing rounds of a measurement's cell, in order."""
    wanted = (measurement.app, measurement.function, measurement.direction, measurement.route, measurement.path)
    return [
        each
        for each in report.rounds
        if each.kind == "trial"
        and (each.cell.app, each.cell.function, each.cell.direction, each.cell.route, each.cell.path) == wanted
    ]


def drawn(rounds: Sequence[Round]) -> list[Drawn]:
    """Judged again by this version's rules, as it would have been after each round."""
    forms = list(dict.fromkeys(each.form for each in rounds))
    seen: list[RoundEvidence] = []
    found = []
    for each in rounds:
        seen.append(round_evidence(each))
        so_far = combine(seen, forms)
        ordered = sorted(each.exchanges, key=lambda one: one.started_at)
        found.append(Drawn(each.number, each.form, so_far.e_value, so_far.e_working, [arrived(one) for one in ordered]))
    return found


def arrived(exchange: ExchangeRecord) -> Arrived:
    arm, outcome = exchange.spec.arm, exchange.outcome
    if isinstance(outcome, DatagramOutcome):
        known = outcome.partner == "reported"
        out = _share(outcome.outward.received) if known else None
        inward = _share(outcome.inward.received)
    else:
        out = (
            outcome.up_received / outcome.up_expected
            if outcome.up_received is not None and outcome.up_expected
            else None
        )
        inward = outcome.down_received / outcome.down_expected if outcome.down_expected else None
    return Arrived(arm.payload == "original", arm.port == "app", out, inward)


def _share(received: Sequence[float | None]) -> float | None:
    return sum(one is not None for one in received) / len(received) if received else None


class Growth(msgspec.Struct, frozen=True):
    """Points of the picture of log10 of the e-value over rounds; threshold: y of the line, None where none is known."""

    width: int
    height: int
    line: str
    dots: list[tuple[float, float, int, float]]
    levels: list[tuple[float, int]]
    threshold: float | None


def growth(found: Sequence[Drawn], threshold: float | None) -> Growth:
    width, height, left, top = 640, 220, 52, 14
    logs = [0.0, *(math.log10(max(one.e_value, 1e-3)) for one in found)]
    limit = math.log10(threshold) if threshold and threshold > 0 else None
    high = max(1.0, *logs, limit or 0.0) * 1.05
    low = min(0.0, *logs)

    def x(index: int) -> float:
        return round(left + index * (width - left - 12) / max(1, len(found)), 1)

    def y(value: float) -> float:
        return round(top + (high - value) / (high - low) * (height - 2 * top), 1)

    step = max(1, math.ceil(high / 5))
    return Growth(
        width=width,
        height=height,
        line=" ".join(f"{x(i)},{y(value)}" for i, value in enumerate(logs)),
        dots=[(x(i), y(logs[i]), one.number, one.e_value) for i, one in enumerate(found, 1)],
        levels=[(y(power), power) for power in range(0, math.floor(high) + 1, step)],
        threshold=None if limit is None else y(limit),
    )
