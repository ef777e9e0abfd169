"""One published measurement: its rounds, what arrived of originals and controls, and the e-value as it grew."""

import math
from collections.abc import Sequence

import msgspec

from ringback.collect.possible import possible
from ringback.errors import BadInput
from ringback.record import DatagramOutcome, ExchangeRecord, Measurement, Report, Round
from ringback.verdict.arrivals import Way, as_call, clock_offset, read_end
from ringback.verdict.evidence import RoundEvidence, combine, round_evidence


class Arrived(msgspec.Struct, frozen=True):
    """One exchange. original: carries the app's own bytes; app_port: on the app's port. out, inward: share 0..1 of its
    packets (of a stream: bytes) that arrived, of those sent; None where that is unknown, or nothing was sent."""

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
    """Judged again by this version's rules, as it would have been after each round. What a stranger sent as a round and
    is none is left out."""
    forms = list(dict.fromkeys(each.form for each in rounds))
    seen: list[RoundEvidence] = []
    found = []
    for each in rounds:
        try:
            possible(each, "round")
            seen.append(round_evidence(each))
        except BadInput:
            continue
        so_far = combine(seen, forms)
        offset = clock_offset([one.outcome for one in each.exchanges if isinstance(one.outcome, DatagramOutcome)])
        end = read_end(each, offset)
        ordered = sorted(each.exchanges, key=lambda one: one.started_at)
        told = [arrived(one, offset, end) for one in ordered]
        found.append(Drawn(each.number, each.form, so_far.e_value, so_far.e_working, told))
    return found


def arrived(exchange: ExchangeRecord, offset: float = 0.0, end: float = math.inf) -> Arrived:
    """offset, end: of the exchange's round, see `verdict.arrivals`: what was never sent, or still under way when the
    round was read, did not fail to arrive."""
    arm, outcome = exchange.spec.arm, exchange.outcome
    original, app_port = arm.payload == "original", arm.port == "app"
    if isinstance(outcome, DatagramOutcome):
        call = as_call(outcome, offset, 0, end)
        out = _share(call.outward) if call.outward is not None else None
        return Arrived(original, app_port, out, _share(call.inward))
    out = outcome.up_received / outcome.up_expected if outcome.up_received is not None and outcome.up_expected else None
    inward = outcome.down_received / outcome.down_expected if outcome.down_expected else None
    return Arrived(original, app_port, out, inward)


def _share(way: Way) -> float | None:
    return way.arrived / way.packets if way.packets else None


NAMED = 4  # rounds below the picture


class Growth(msgspec.Struct, frozen=True):
    """The picture of log10 of the e-value over rounds. line: `points` of SVG, across in thousandths of the width. dots:
    (x in percent, y, round, e-value). threshold: y of the line, None where none is known. apart: every so many rounds
    one is named below, so that names stand apart on a phone."""

    height: int
    line: str
    dots: list[tuple[float, float, int, float]]
    levels: list[tuple[float, int]]
    threshold: float | None
    apart: int


def growth(found: Sequence[Drawn], threshold: float | None) -> Growth:
    height, top = 220, 24
    logs = [0.0, *(math.log10(max(one.e_value, 1e-3)) for one in found)]
    limit = math.log10(threshold) if threshold and threshold > 0 else None
    high = max(1.0, *logs, limit or 0.0) * 1.05
    low = min(0.0, *logs)

    def x(index: int) -> float:
        return round(100 * index / max(1, len(found)), 2)

    def y(value: float) -> float:
        return round(top + (high - value) / (high - low) * (height - 2 * top), 1)

    step = max(1, math.ceil(high / 5))
    return Growth(
        height=height,
        line=" ".join(f"{10 * x(i):g},{y(value)}" for i, value in enumerate(logs)),
        dots=[(x(i), y(logs[i]), one.number, one.e_value) for i, one in enumerate(found, 1)],
        levels=[(y(power), power) for power in range(0, math.floor(high) + 1, step)],
        threshold=None if limit is None else y(limit),
        apart=max(1, math.ceil(len(found) / NAMED)),
    )
