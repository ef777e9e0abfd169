"""Rounds as they can be: what a stranger publishes is judged again and drawn, which counts on lanes that are aligned
and on numbers that a session can have.
"""

from collections.abc import Sequence
from itertools import pairwise

from ringback.errors import BadInput
from ringback.record import DatagramOutcome, ExchangeRecord, IcmpError, Lane, Outcome, Round, StreamOutcome

Bounds = tuple[float, float]

TIME: Bounds = (-1e10, 1e10)  # seconds of any clock, a Unix time too
SPAN: Bounds = (0, 1e7)  # seconds
COUNT: Bounds = (0, 1e12)
DATAGRAM: Bounds = (0, 65_507)  # bytes of UDP payload over IPv4 (RFC 768)
PORT: Bounds = (0, 65_535)
MOST_CHECKPOINTS, MOST_EXCHANGES = 64, 256  # some times what a session has
ROUND = {"number": COUNT, "epoch": TIME, "read_to": SPAN}
SPEC = {"number": COUNT, "port": PORT, "seconds": SPAN, "size": COUNT, "upload": COUNT}
EXCHANGE = {"slot": (0, MOST_EXCHANGES - 1), "started_at": TIME}
LANE = {"duplicates": COUNT, "corrupted": COUNT}
STREAM = {
    **dict.fromkeys(("connected", "failed_at", "finished"), SPAN),
    **dict.fromkeys(("up_expected", "up_received", "down_expected", "up_last", "down_last"), COUNT),
    "up_first": TIME,
}
LANES = {"scheduled": SPAN, "sizes": DATAGRAM, "sent": TIME, "received": TIME}
ICMP = {"at": TIME, "type": (0, 255), "code": (0, 255)}


def within(value: float | None, bounds: Bounds, where: str) -> None:
    """Raises BadInput for a number out of its bounds (both included); None is no number."""
    low, high = bounds
    if value is not None and not low <= value <= high:
        raise BadInput(f"is no number from {low} to {high}", where)


def possible(round_: Round, where: str) -> None:
    """Raises BadInput, naming the place below `where`, for a round that no session can have run."""
    _fields(round_, ROUND, where)
    checkpoints = round_.checkpoints
    if not 0 < len(checkpoints) <= MOST_CHECKPOINTS or checkpoints != sorted(checkpoints):
        raise BadInput(f"are not 1 to {MOST_CHECKPOINTS} times in order", f"{where}.checkpoints")
    _all(checkpoints, SPAN, f"{where}.checkpoints")
    _all(round_.margins, (0, MOST_EXCHANGES), f"{where}.margins")
    slots = [exchange.slot for exchange in round_.exchanges]
    if not 0 < len(slots) <= MOST_EXCHANGES or len(set(slots)) < len(slots):
        raise BadInput(f"are not 1 to {MOST_EXCHANGES}, each in a slot of its own", f"{where}.exchanges")
    kind = type(round_.exchanges[0].outcome)
    for n, exchange in enumerate(round_.exchanges):
        here = f"{where}.exchanges[{n}]"
        if type(exchange.outcome) is not kind:
            raise BadInput("is of another transport than the first", f"{here}.outcome")
        _exchange(exchange, here)


def _exchange(exchange: ExchangeRecord, where: str) -> None:
    _fields(exchange, EXCHANGE, where)
    _fields(exchange.spec, SPEC, f"{where}.spec")
    outcome = exchange.outcome
    if isinstance(outcome, DatagramOutcome):
        _lane(outcome.outward, f"{where}.outcome.outward")
        _lane(outcome.inward, f"{where}.outcome.inward")
    else:
        _stream(outcome, f"{where}.outcome")
    _icmp(outcome, f"{where}.outcome")


def _lane(lane: Lane, where: str) -> None:
    _fields(lane, LANE, where)
    for name, bounds in LANES.items():
        found: Sequence[float | None] = getattr(lane, name)
        if len(found) != len(lane.sizes):
            raise BadInput(f"holds {len(found)} of {len(lane.sizes)} packets", f"{where}.{name}")
        _all(found, bounds, f"{where}.{name}")


def _stream(outcome: StreamOutcome, where: str) -> None:
    _fields(outcome, STREAM, where)
    for name in ("arrivals", "up_arrivals"):  # more than was expected comes where an answer is forged
        found: list[tuple[float, int]] = getattr(outcome, name)
        if any(later[0] < each[0] or later[1] < each[1] for each, later in pairwise([(0.0, 0), *found])):
            raise BadInput("goes back in time or bytes", f"{where}.{name}")
        for last in found[-1:]:
            within(last[0], SPAN, f"{where}.{name}")
            within(last[1], COUNT, f"{where}.{name}")


def _icmp(outcome: Outcome, where: str) -> None:
    for name in ("icmp", "far_icmp"):
        found: list[IcmpError] = getattr(outcome, name)
        for n, error in enumerate(found):
            _fields(error, ICMP, f"{where}.{name}[{n}]")


def _fields(holder: object, bounds: dict[str, Bounds], where: str) -> None:
    for name, each in bounds.items():
        within(getattr(holder, name), each, f"{where}.{name}")


def _all(values: Sequence[float | None], bounds: Bounds, where: str) -> None:
    low, high = bounds
    for n, value in enumerate(values):  # of tens of thousands: only what is wrong is named
        if value is not None and not low <= value <= high:
            within(value, bounds, f"{where}[{n}]")
