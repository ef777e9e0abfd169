"""What kind of network this is: normal, a white list, or offline; and how it treats UDP.

Read off the tries at hosts that belong to no messenger, made here on the direct path. A name server's answers do not
count: a white list lets DNS pass, and an offline network may.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from statistics import mean

from ringback.record import DatagramOutcome, NetworkState, Round, StreamOutcome, Transport, Try, Udp

Door = tuple[Transport, int]
"""A transport and a port of the far side."""

MOST = 0.5
FEW = 0.2
ONE_TRIP_MS = 900.0
LIMITED = 0.7  # of UDP's questions answered, as a share of TCP's: below it UDP is limited


def network_state(tries: Sequence[Try], rounds: Iterable[Round] = ()) -> tuple[NetworkState, Udp]:
    """`whitelist`: most neutral hosts are silent, and something else (an app, a site, the peer) answers. `offline`:
    nothing answers, so no UDP passes either. Hosts to which nothing could be sent (their names were not found, there
    was no route) are silent as well, but no sign of a white list: that lets DNS pass. Nor is silence at a port that is
    closed towards the peer too, while its other ports are open, nor over a transport of which nothing gets there. UDP
    is judged by neutral hosts and the peer, in tries and, where given, the rounds' controls."""
    here = [t for t in tries if t.where == "here" and t.path == "direct" and t.form != "dns"]
    held = list(rounds)
    shut, closed = _shut(held), _closed(held)
    state = _state([t for t in here if t.kind != "neutral" or t.transport not in shut], closed)
    return state, "blocked" if state == "offline" else _udp([t for t in here if t.sent], held)


def _state(here: Sequence[Try], closed: Set[Door]) -> NetworkState:
    if not here:
        return "normal"
    answering = {(t.kind, t.target) for t in here if t.answered}
    if not answering:
        return "offline"
    neutral = {t.target for t in here if t.kind == "neutral" and t.sent and (t.transport, t.port) not in closed}
    silent = {target for target in neutral if ("neutral", target) not in answering}
    others = any(kind != "neutral" for kind, _ in answering)
    return "whitelist" if neutral and len(silent) > MOST * len(neutral) and others else "normal"


def _udp(here: Sequence[Try], rounds: Sequence[Round]) -> Udp:
    trusted = [t for t in here if t.kind in ("neutral", "peer")]
    udp = [t.answered / t.sent for t in trusted if t.transport == "udp" and t.sent]
    udp += [_delivered(outcome) for outcome in _controls(rounds)]
    # a connect that needed a second SYN (RFC 6298: after 1 s) lost a round trip as a ping does that is not answered
    tcp = [
        float(t.answered > 0 and (t.rtt_ms is None or t.rtt_ms < ONE_TRIP_MS)) for t in trusted if t.transport == "tcp"
    ]
    if not udp:
        return "open"
    answered = sum(udp) / len(udp)
    if not any(udp):
        return "blocked"
    usual = sum(tcp) / len(tcp) if tcp else 1.0
    return "limited" if answered < LIMITED * max(usual, 0.5) else "open"


def _closed(rounds: Sequence[Round]) -> set[Door]:
    """Ports of apps at which next to none of the controls got through to the peer, while most did at its others."""
    at: dict[Door, list[bool]] = defaultdict(list)
    beside: dict[Door, list[bool]] = defaultdict(list)
    for each in rounds:
        controls = [x for x in each.exchanges if x.spec.arm.payload == "control"]
        doors = {(x.spec.transport, x.spec.port) for x in controls if x.spec.arm.port == "app"}
        if each.cell.path != "direct" or each.form == "dns":
            continue
        for x in controls:
            kept = at if x.spec.arm.port == "app" else beside
            for door in doors:
                kept[door].append(_passed(x.outcome))
    return {door for door, passed in at.items() if mean(passed) < FEW and beside[door] and mean(beside[door]) > MOST}


def _shut(rounds: Sequence[Round]) -> set[Transport]:
    """Transports of which no control got through to the peer at ports that are no app's, while most of another did."""
    passed: dict[Transport, list[bool]] = defaultdict(list)
    for each in rounds:
        if each.cell.path == "direct" and each.form != "dns":
            for x in each.exchanges:
                if (x.spec.arm.payload, x.spec.arm.port) == ("control", "other"):
                    passed[x.spec.transport].append(_passed(x.outcome))
    open_ = [transport for transport, seen in passed.items() if mean(seen) > MOST]
    return {transport for transport, seen in passed.items() if open_ and not any(seen)}


def _passed(outcome: DatagramOutcome | StreamOutcome) -> bool:
    return outcome.connected is not None if isinstance(outcome, StreamOutcome) else _delivered(outcome) > 0


def _controls(rounds: Sequence[Round]) -> list[DatagramOutcome]:
    return [
        x.outcome
        for each in rounds
        if each.cell.path == "direct" and each.form != "dns"
        for x in each.exchanges
        if x.spec.arm.payload == "control" and isinstance(x.outcome, DatagramOutcome)
    ]


def _delivered(outcome: DatagramOutcome) -> float:
    """Share of the packets sent towards the participant that came; of those due, where nothing was ever sent."""
    sent = sum(at is not None for at in outcome.inward.sent)
    came = sum(at is not None for at in outcome.inward.received)
    return came / max(sent, came, 1)
