"""What arrived, pooled over a cell's rounds: each exchange as arrays, apart by whether a factor singles it out.

Datagram exchanges become `Call`s on one clock (the near end's), streams stay as they are. Packets that were still
under way when the round was read are left out, whichever arm they belong to.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ringback.record import Arm, DatagramOutcome, ExchangeRecord, Lane, Round, StreamOutcome

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Factor = Literal["payload", "port"]
Timed = tuple[float, StreamOutcome]
"""A stream and when it began, s, near clock."""

UDP_HEADERS = 28  # IPv4 and UDP; bytes
UDP_HEADER = 8
IN_FLIGHT, MOST_IN_FLIGHT = 0.5, 5.0  # s that what is sent just before the reading needs, where nothing came; at most
MARGIN = 0.05  # s over the delay that nearly all packets keep
GRACE = 0.6  # s after a call's last packet in which stragglers still count


@dataclass(frozen=True)
class Way:
    """One direction of one exchange: packets that left, in order of leaving.

    at: when each left, s, near clock. passed: whether it arrived. delay: s, NaN where it did not arrive. The offset
    between the clocks is taken out as half the difference of the two directions' least delays; what is wrong with that
    is the same for all exchanges of a round. size: UDP payload bytes. corrupted: packets that arrived changed."""

    at: Floats
    passed: Bools
    delay: Floats
    size: NDArray[np.int64]
    corrupted: int

    @property
    def packets(self) -> int:
        return len(self.at)

    @property
    def arrived(self) -> int:
        return int(self.passed.sum())


@dataclass(frozen=True)
class Call:
    """One datagram exchange. outward is None where the far half's record never came; inward then holds what came as
    if all of it had been sent on schedule. icmp: errors that came to either end. foreign: answers that equal no
    packet of the script."""

    outward: Way | None
    inward: Way
    icmp: int
    foreign: int
    round: int

    @property
    def ways(self) -> tuple[Way, ...]:
        return (self.inward,) if self.outward is None else (self.outward, self.inward)


@dataclass(frozen=True)
class Pool:
    """The exchanges that a factor singles out (`struck`) and the ones like them but for it (`spared`).

    together, together_streams: all that the factor singles out, also where another strikes as well: what a limit that
    they share would meet."""

    struck: tuple[Call, ...]
    spared: tuple[Call, ...]
    struck_streams: tuple[StreamOutcome, ...]
    spared_streams: tuple[StreamOutcome, ...]
    together: tuple[Call, ...] = ()
    together_streams: tuple[Timed, ...] = ()

    @property
    def streams(self) -> bool:
        return len(self.struck_streams) > len(self.struck)


def struck_by(factor: Factor, arm: Arm) -> bool:
    return arm.payload == "original" if factor == "payload" else arm.port == "app"


def pool(rounds: Sequence[Round], factor: Factor, other: Factor | None = None) -> Pool:
    """Exchanges of all rounds. `other`: the second factor, where it strikes as well; exchanges that it strikes are
    then left out of both sides."""
    struck: list[Call] = []
    spared: list[Call] = []
    struck_streams: list[StreamOutcome] = []
    spared_streams: list[StreamOutcome] = []
    together: list[Call] = []

    def hit(arm: Arm, by: Factor | None) -> bool:
        return by is not None and struck_by(by, arm)

    for number, each in enumerate(rounds):
        datagrams = [(x.spec.arm, x.outcome) for x in each.exchanges if isinstance(x.outcome, DatagramOutcome)]
        offset = clock_offset([outcome for arm, outcome in datagrams if not hit(arm, other)])
        end = read_end(each, offset)
        for arm, outcome in datagrams:
            if hit(arm, factor) or not hit(arm, other):
                call = as_call(outcome, offset, number, end)
                together += [call] if hit(arm, factor) else []
                if not hit(arm, other):
                    (struck if hit(arm, factor) else spared).append(call)
        for x in each.exchanges:
            if isinstance(x.outcome, StreamOutcome) and not hit(x.spec.arm, other):
                (struck_streams if hit(x.spec.arm, factor) else spared_streams).append(_from_start(x))
    return Pool(
        tuple(struck), tuple(spared), tuple(struck_streams), tuple(spared_streams), tuple(together),
        tuple(singled_out(rounds, [factor])),
    )  # fmt: skip


def singled_out(rounds: Iterable[Round], factors: Collection[Factor]) -> list[Timed]:
    """The streams that any of the factors strikes."""
    return [
        (x.started_at, _from_start(x))
        for each in rounds
        for x in each.exchanges
        if isinstance(x.outcome, StreamOutcome) and any(struck_by(factor, x.spec.arm) for factor in factors)
    ]


def _from_start(x: ExchangeRecord) -> StreamOutcome:
    """The stream with `up_first` in seconds after its start too, but for the clocks' offset, which is one a session."""
    assert isinstance(x.outcome, StreamOutcome)
    first = x.outcome.up_first
    return x.outcome if first is None else msgspec.structs.replace(x.outcome, up_first=first - x.started_at)


def read_end(each: Round, offset: float) -> float:
    """Seconds of script up to which a round's packets had the time to arrive before it was stopped, or before its ends
    ceased to listen; beyond the script where all had."""
    delays = [
        got - sent - shift
        for x in each.exchanges
        if isinstance(x.outcome, DatagramOutcome)
        for lane, shift in ((x.outcome.outward, offset), (x.outcome.inward, -offset))
        for sent, got in pairs(lane)
    ]
    usual = max(0.0, float(np.percentile(delays, 99))) + MARGIN if delays else IN_FLIGHT
    usual = min(MOST_IN_FLIGHT, usual)
    if each.read_to is not None:
        return each.read_to - usual
    return min((x.spec.seconds for x in each.exchanges), default=0.0) + GRACE - usual


def clock_offset(outcomes: Sequence[DatagramOutcome]) -> float:
    """Far clock minus near clock, s: half the difference of the two directions' least delays. 0 where one of them
    never saw a packet (the offset is then of no use either)."""
    least = [
        min((got - sent for lane in lanes for sent, got in pairs(lane)), default=None)
        for lanes in ([o.outward for o in outcomes], [o.inward for o in outcomes])
    ]
    out, inward = least
    if out is None or inward is None:
        return next((-delay if i else delay for i, delay in enumerate(least) if delay is not None), 0.0)
    return (out - inward) / 2


def pairs(lane: Lane) -> list[tuple[float, float]]:
    """(sent, received) of each packet of which both are known."""
    return [
        (sent, got) for sent, got in zip(lane.sent, lane.received, strict=True) if sent is not None and got is not None
    ]


def as_call(outcome: DatagramOutcome, offset: float, number: int, end: float) -> Call:
    """An exchange on the near clock, with the packets scheduled before `end` (see `read_end`)."""
    known = outcome.partner == "reported"
    outward = _way(outcome.outward, 0.0, -offset, end) if known else None
    if known:
        end -= max(0.0, _behind(outcome, offset) - MARGIN)
    inward = _way(outcome.inward, -offset, 0.0, end) if known else _guessed(outcome, end)
    return Call(outward, inward, len(outcome.icmp) + len(outcome.far_icmp), len(outcome.answers), number)


def _behind(outcome: DatagramOutcome, offset: float) -> float:
    """Seconds by which the far end, which begins when it hears the near one, is behind the script."""
    begun = []
    for lane, shift in ((outcome.inward, -offset), (outcome.outward, 0.0)):
        went = [sent + shift - at for at, sent in zip(lane.scheduled, lane.sent, strict=True) if sent is not None]
        begun.append(min(went, default=0.0))
    return begun[0] - begun[1]


def _way(lane: Lane, sender: float, receiver: float, end: float) -> Way:
    """`sender`, `receiver`: what to add to each clock to come to the near one."""
    keep = [
        i
        for i, sent in enumerate(lane.sent)
        if sent is not None and (lane.scheduled[i] < end or lane.received[i] is not None)
    ]
    keep.sort(key=lambda i: lane.sent[i] or 0.0)
    sent = np.array([lane.sent[i] for i in keep], dtype=float)
    got = np.array([lane.received[i] for i in keep], dtype=float)  # None becomes NaN
    size = np.array([lane.sizes[i] for i in keep], dtype=np.int64)
    return Way(sent + sender, ~np.isnan(got), got + receiver - sent - sender, size, lane.corrupted)


def _guessed(outcome: DatagramOutcome, end: float) -> Way:
    """The inward lane without the far end's word: as if sent on schedule after the near end's first packet."""
    start = min((t for t in outcome.outward.sent if t is not None), default=0.0)
    lane = outcome.inward
    last = max((s for s, t in zip(outcome.outward.scheduled, outcome.outward.sent, strict=True) if t is not None),
               default=0.0)  # fmt: skip
    sent: list[float | None] = [start + at if at <= last else None for at in lane.scheduled]
    return _way(Lane(lane.scheduled, lane.sizes, sent, lane.received, lane.duplicates, lane.corrupted), 0.0, 0.0, end)
