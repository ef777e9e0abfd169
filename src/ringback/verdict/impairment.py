"""Networks on which the function is unusable whatever the app: by their link, by how they treat UDP, by a white list.

Read off the controls alone. The thresholds are contracts.md's: voice below a MOS of 2.5, media below 200 kbit/s
either way, text where set-up fails in over 20 % of tries; each must lie wholly outside the controls' 95 % interval.

A MOS is that of one call alone, and a round's own calls may be what overfills a link. So what many at once met makes no
call unusable: one or two at a time must have met it too on average, but where nothing passes in any case.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtrit

from ringback.record import Arm, Cell, DatagramOutcome, Mechanism, NetworkState, Round, StreamOutcome, Trigger, Try, Udp
from ringback.verdict import mechanism, quality, shares, transfers
from ringback.verdict.arrivals import Call, Floats, Way, as_call, clock_offset, read_end
from ringback.verdict.finding import Finding

MIN_MOS = 2.5
MIN_KBPS = 200.0
MAX_FAILURES = 0.20
TEXT_TRY_S = 10.0  # after which a try of text fails
TWICE_AGAIN_S = 6.0  # by which a SYN was sent again at 1 and at 3 s (RFC 6298), and answered if that was heard
LEAST_HEARD_S = 2.5
FEW = 2  # calls at once that are as good as one alone
ONE_TRIP_MS = 900.0  # a connect slower than this needed a second SYN (RFC 6298: 1 s), or is hopeless anyhow
TRANSPORT: tuple[Mechanism, ...] = ("drop", "icmp", "corrupt", "drop-after", "police", "shape", "loss")


@dataclass(frozen=True)
class Impairment:
    """Why: `trigger` and mechanism where a cause is known, else the link. reason: a token for the words."""

    finding: Finding
    trigger: Trigger | None
    reason: str


def by_state(cell: Cell, tries: Sequence[Try], state: NetworkState) -> Impairment | None:
    """A network that is offline; or a white list on which this app (on a VPN path: its exit) is not."""
    if state == "offline":
        return Impairment(Finding("none"), None, "offline")
    here = [t for t in tries if t.where == "here" and t.path == cell.path and t.form != "dns"]
    if cell.path == "direct":
        here = [t for t in here if t.kind == "app" and t.app == cell.app]
    answered = any(t.answered for t in here)
    if state == "whitelist" and not answered and (here or cell.path != "direct"):
        return Impairment(Finding(_way_of_the_list(tries)), "not-listed", "not-listed")
    return None


def _way_of_the_list(tries: Sequence[Try]) -> Mechanism:
    """What a white list does to the others, as hosts of no app show: most are told by ICMP, or nobody is told."""
    silent = [t for t in tries if (t.where, t.path, t.kind) == ("here", "direct", "neutral") and not t.answered]
    told = sum(bool(t.icmp) for t in silent)
    return "icmp" if 2 * told > len(silent) else "drop"


def by_controls(
    cell: Cell, rounds: Sequence[Round], tries: Sequence[Try], codec: quality.Codec, udp: Udp = "open"
) -> Impairment | None:
    """What the controls suffer makes the function unusable; with trigger `transport` where streams fare much better,
    or where the network was found to let no UDP pass."""
    controls = [x.outcome for r in rounds if r.form != "dns" for x in r.exchanges if x.spec.arm.payload == "control"]
    calls = [c for c in controls if isinstance(c, DatagramOutcome)]
    if calls and cell.function not in ("text", "media"):
        if not _unusable(rounds, codec):
            return None
        if any(map(_passes_at_all, calls)) and udp != "blocked" and not _unusable_alone(rounds, codec):
            return None
        if udp == "blocked" or streams_fare_better(calls, [t for t in tries if t.path == cell.path]):
            return Impairment(_transport_finding([r for r in rounds if r.form != "dns"]), "transport", "udp-unusable")
        return Impairment(Finding("none"), None, "link-unusable")
    return _link(streams_unusable(cell, rounds))


def streams_unusable(cell: Cell, rounds: Sequence[Round]) -> bool:
    """Whether the controls show text or media to be unusable on this link: most of media's uploads, or most of its
    downloads, are too slow (their median is, whatever few were held up), or too many tries of text are not set up."""
    controls = [x for r in rounds if r.form != "dns" for x in r.exchanges if x.spec.arm.payload == "control"]
    streams = [(c.outcome, c.spec.seconds) for c in controls if isinstance(c.outcome, StreamOutcome)]
    if cell.function == "media":
        rates = [[transfer.kbps for s, _ in streams if (transfer := of(s))] for of in (transfers.upload, _begun)]
        return any(_mostly(sum(rate < MIN_KBPS for rate in way), len(way), 0.5) for way in rates)
    return _mostly(sum(_not_set_up(s, seconds) for s, seconds in streams), len(streams), MAX_FAILURES)


def _mostly(hits: int, n: int, share: float) -> bool:
    """Whether more than that share is hit, by the two-sided 95 % interval, as elsewhere here."""
    return shares.counted(hits, n, 0.975).lower > share


def _begun(stream: StreamOutcome) -> transfers.Transfer | None:
    """The download, where anything of it came: before that it may not have had the time."""
    received = transfers.download(stream)
    return received if received is not None and received.arrivals else None


def _not_set_up(stream: StreamOutcome, seconds: float) -> bool:
    """A try of text without any answer that was refused, never connected though its first packet was sent again twice,
    or had the time after which one fails: a slow link's answer takes longer than its handshake."""
    if stream.arrivals or stream.failure is None:
        return False
    refused, unconnected = (
        stream.failure != "generic_timeout_error",
        stream.connected is None and seconds >= TWICE_AGAIN_S,
    )
    return refused or unconnected or seconds >= TEXT_TRY_S


def unheard(cell: Cell, rounds: Sequence[Round], codec: quality.Codec) -> bool:
    """Whether calls were unusable many at once, and never heard one or two at a time: then nobody knows."""
    if cell.function in ("text", "media") or any(at_once(each) <= FEW for each in fewest_at_once(rounds)):
        return False
    return _unusable(rounds, codec)


def _unusable_alone(rounds: Sequence[Round], codec: quality.Codec) -> bool:
    few = [each for each in fewest_at_once(rounds) if at_once(each) <= FEW]
    return bool(few) and float(np.mean(control_scores(few, codec) or [quality.MAX_MOS])) < MIN_MOS


def _unusable(rounds: Sequence[Round], codec: quality.Codec) -> bool:
    return _upper(np.array(control_scores(rounds, codec))) < MIN_MOS


def at_once(each: Round) -> int:
    """How many of its exchanges were under way at once at most, by the time that each was given."""
    starts = sorted(x.started_at for x in each.exchanges)
    ends = sorted(x.started_at + x.spec.seconds for x in each.exchanges)
    return max((i - bisect_right(ends, start) for i, start in enumerate(starts, 1)), default=0)


def fewest_at_once(rounds: Sequence[Round]) -> list[Round]:
    """Of rounds of calls those in which each was alone; where there are none those with two at once, else all."""
    rounds = [each for each in rounds if each.form != "dns"]
    for most in range(1, FEW + 1):
        few = [each for each in rounds if at_once(each) <= most]
        if few:
            return few
    return rounds


def _link(unusable: bool) -> Impairment | None:
    return Impairment(Finding("none"), None, "link-unusable") if unusable else None


def control_scores(rounds: Sequence[Round], codec: quality.Codec) -> list[float]:
    """MOS of each control call, as of one call alone. A call that was heard for a second, because the round was stopped
    there, is a handful of packets that one burst strikes in all calls at once: it counts only where none passed."""
    scores: list[float] = []
    for each in rounds:
        calls = [
            x.outcome
            for x in each.exchanges
            if x.spec.arm.payload == "control" and isinstance(x.outcome, DatagramOutcome)
        ]
        heard = round_scores(calls, calls, each.read_to, codec)
        brief = each.read_to is not None and each.read_to < LEAST_HEARD_S
        scores += [score for score, call in zip(heard, calls, strict=True) if not (brief and _passes(call))]
    return scores


def _passes(call: DatagramOutcome) -> bool:
    """Whether anything of it passed in each direction that is known."""
    lanes = (call.inward,) if call.partner == "lost" else (call.outward, call.inward)
    return all(any(at is not None for at in lane.received) for lane in lanes)


def _passes_at_all(call: DatagramOutcome) -> bool:
    lanes = (call.outward, call.inward)
    return any(at is not None for lane in lanes for at in lane.received)


def round_scores(
    calls: Sequence[DatagramOutcome],
    controls: Sequence[DatagramOutcome],
    read_to: float | None,
    codec: quality.Codec,
) -> list[float]:
    """MOS of each of a round's calls; bursts are those that the round's controls share (`shared_burst_ratio`)."""
    each = {id(call): call for call in (*controls, *calls)}  # the same ones often
    due = {key: quality.due(call, read_to) for key, call in each.items()}
    parts = [due[id(control)] for control in controls]
    burst = max(quality.shared_burst_ratio([lanes[side] for lanes in parts if len(lanes) > side]) for side in (0, 1))
    return [quality.lane_quality(due[id(call)], codec, burst) for call in calls]


def streams_fare_better(calls: Sequence[DatagramOutcome], tries: Sequence[Try]) -> bool:
    """Whether UDP's round trips succeed more seldom than TCP's: the controls' packets, out and back, against connects
    to neutral hosts and the peer that needed no second SYN. The bounds must part."""
    tcp = [t for t in tries if t.transport == "tcp" and t.where == "here" and t.kind in ("neutral", "peer", "site")]
    quick = sum(t.answered > 0 and (t.rtt_ms is None or t.rtt_ms < ONE_TRIP_MS) for t in tcp)
    return shares.counted(quick, len(tcp)).lower > _round_trips([(call, None) for call in calls]).upper


def own_protocol(rounds: Sequence[Round]) -> shares.Share:
    """The originals' round trips to the peer at the app's port: how the same protocol fares at another address."""
    own = Arm("original", "app")
    calls = [(x.outcome, r.read_to) for r in rounds for x in r.exchanges if x.spec.arm == own]
    return _round_trips([(call, read_to) for call, read_to in calls if isinstance(call, DatagramOutcome)])


def _round_trips(calls: Sequence[tuple[DatagramOutcome, float | None]]) -> shares.Share:
    """Packets that would have passed out and back, of calls that were read so far."""
    trips, sizes = [], []
    for call, read_to in calls:
        lanes = quality.due(call, read_to)
        got = [sum(at is not None for at in lane.received) / max(1, len(lane.received)) for lane in lanes]
        sizes.append(float(max(1, min(len(lane.received) for lane in lanes))))
        trips.append(float(np.prod(got)) * sizes[-1])
    return shares.clustered(trips, sizes)


def _transport_finding(rounds: Sequence[Round]) -> Finding:
    """What the network does to all UDP: all calls fitted against calls that lose nothing and wait for nothing."""
    calls: list[Call] = []
    for number, each in enumerate(rounds):
        outcomes = [x.outcome for x in each.exchanges if isinstance(x.outcome, DatagramOutcome)]
        offset = clock_offset(outcomes)
        calls += [as_call(outcome, offset, number, read_end(each, offset)) for outcome in outcomes]
    found = mechanism.fit_calls(calls, [_flawless(call) for call in calls])
    return found if found.mechanism in TRANSPORT else Finding("unknown")


def _flawless(call: Call) -> Call:
    outward = None if call.outward is None else _flawless_way(call.outward)
    return replace(call, outward=outward, inward=_flawless_way(call.inward), icmp=0, foreign=0)


def _flawless_way(way: Way) -> Way:
    least = float(np.nanpercentile(way.delay, 10)) if way.arrived else 0.0
    return replace(way, passed=np.ones(way.packets, dtype=bool), delay=np.full(way.packets, least), corrupted=0)


def _upper(values: Floats) -> float:
    """Upper end of the mean's two-sided 95 % interval (Student); no bound from fewer than three values."""
    if len(values) < 3:
        return float("inf")
    error = float(np.std(values, ddof=1)) / np.sqrt(len(values))
    return float(values.mean() + stdtrit(len(values) - 1, 0.975) * error)
