"""From a cell's raw outcomes to its verdict. The same function judges what the lab, a real network or an archive gave.

Precedence: an app whose whole service is down (docs/decisions/0009); then a network that is offline, or a white list
on which the app is not (nothing else can be told apart there); then restricted, service-down of this one function,
impaired, working, insufficient: the first that holds. `restricted` is said only when the cell's one e-value has
reached its threshold, or by the contrast of destinations on that contrast's own conditions. What triggered it and how
it works is named afterwards and accuses nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from ringback.record import (
    Cell,
    ClearTo,
    DatagramOutcome,
    Mechanism,
    NetworkState,
    Round,
    StreamOutcome,
    Trigger,
    Try,
    Udp,
    Verdict,
)
from ringback.verdict import contrast, impairment, mechanism, penalty
from ringback.verdict.arrivals import UDP_HEADER, Factor, singled_out, struck_by
from ringback.verdict.evidence import CellEvidence, cell_evidence
from ringback.verdict.finding import NUMBERS, RANK, Finding
from ringback.verdict.quality import MIN_MOS, Codec, due
from ringback.verdict.transfers import MSS

NAMED = 20.0  # a factor of an accusing cell is named when its own e-value reaches this, or is the greatest
TCP_HEADER = 32  # bytes in each segment's IP payload, with timestamps (RFC 7323)
SLACK_S = 0.3  # a call of ten seconds has its last packet a little before its end


@dataclass(frozen=True)
class Context:
    """What a cell is judged in, fixed beforehand but for the network's state.

    threshold: 1 / (alpha w) of this cell's test. quality: the app's codec's place in the E-model. outer: the verdict on
    the VPN path's own outer protocol, for a cell on that path. forms: those planned. evidence: where it was kept up to
    date while the rounds ran; else it is worked out here. bypassed_by: paths on which the same cell is `working`.
    spillover: a device that punishes was found in the session, so that the controls' silence is not the link's doing.
    """

    threshold: float
    quality: Codec
    state: NetworkState = "normal"
    udp: Udp = "open"
    outer: Verdict | None = None
    forms: tuple[str, ...] | None = None
    bypassed_by: tuple[str, ...] = ()
    evidence: CellEvidence | None = None
    min_seconds: float = 10.0
    min_packets: int = 30
    working_threshold: float = 100.0
    spillover: bool = False


def judge(cell: Cell, rounds: Sequence[Round], tries: Sequence[Try], context: Context) -> Verdict:
    """The verdict on a cell from its rounds (all of its forms, in the order run; those of kind `trial` count) and the
    session's tries."""
    weighed = [r for r in rounds if r.kind == "trial"]
    evidence = context.evidence or cell_evidence(weighed, context.forms)
    trials = [r for r in weighed if r.drawn != "slot"]
    slots = [r for r in rounds if r.drawn == "slot"]
    beside = impairment.own_protocol(trials) if cell.function == "outer" else None
    seen = _Seen(cell, trials, slots, tries, context, evidence, contrast.compare(cell, tries, beside))
    for rule in (_app_down, _by_state, _by_outer, _randomised, _contrast, _service_down, _impaired, _working):
        verdict = rule(seen)
        if verdict is not None:
            return verdict
    return _insufficient(seen)


@dataclass(frozen=True)
class _Seen:
    """All that the rules look at. slots: rounds that drew the slot of the first original, whose controls tell of a
    penalty and not of the link."""

    cell: Cell
    rounds: list[Round]
    slots: list[Round]
    tries: Sequence[Try]
    context: Context
    evidence: CellEvidence
    contrast: contrast.Contrast

    def base(self, struck: Factor = "payload", rounds: Sequence[Round] | None = None) -> Verdict:
        """What every verdict on this cell carries, whatever it says. `struck`: whose MOS stands against whose. rounds:
        those that it is taken from; default: all, or those with the fewest calls at once where that is better, since it
        is that of one call alone, which others beside it can only harm."""
        own, control = _scores(self, struck, self.rounds if rounds is None else rounds)
        if rounds is None:
            alone = _scores(self, struck, impairment.fewest_at_once(self.rounds))
            if alone[1] is not None and control is not None and alone[1] > control:
                own, control = alone
        ran = bool(self.rounds or self.slots)
        return Verdict(
            status="insufficient",
            mos=own,
            control_mos=control,
            e_value=self.evidence.e_value if ran else None,
            threshold=self.context.threshold if ran else None,
            e_working=self.evidence.e_working if ran else None,
        )


def _app_down(seen: _Seen) -> Verdict | None:
    """Accuses nobody. What the rounds with the partner showed stays beside it: the e-value and its threshold."""
    if not contrast.whole_app_down(seen.cell.app, seen.tries, seen.context.state == "whitelist"):
        return None
    return _with(seen.base(), Finding("none"), status="service-down", basis="contrast", scope="app",
                 reason="silent-everywhere")  # fmt: skip


def _by_state(seen: _Seen) -> Verdict | None:
    found = impairment.by_state(seen.cell, seen.tries, seen.context.state)
    return None if found is None else _impaired_by(seen, found)


def _by_outer(seen: _Seen) -> Verdict | None:
    """A restriction of the tunnel holds for all that goes through it."""
    outer = seen.context.outer
    if outer is None or outer.status not in ("restricted", "impaired") or seen.cell.path == "direct":
        return None
    if _down_outside(seen):
        return _down(seen)
    own = seen.base()
    by_address = (outer.status, outer.basis) == ("restricted", "contrast")
    return msgspec.structs.replace(
        outer, mos=own.mos, control_mos=own.control_mos, bypassed_by=list(seen.context.bypassed_by),
        reason="exit" if by_address else "outer-protocol",
    )  # fmt: skip


def _down_outside(seen: _Seen) -> bool:
    """Whether the function's own hosts answer nowhere by what was tried outside of the tunnel: inside, where nothing
    passes, neutral hosts are silent too, so that silence there says nothing of a service. One answer of any function's
    host, and the app is not down: then the tunnel's restriction is what the cell has."""
    hosts = [t for t in seen.tries if (t.kind, t.app) == ("app", seen.cell.app) and t.form != "dns"]
    if any(t.answered or t.received for t in hosts):
        return False
    return contrast.compare(msgspec.structs.replace(seen.cell, path="direct"), seen.tries).outcome == "down"


def _randomised(seen: _Seen) -> Verdict | None:
    if not seen.evidence.e_value >= seen.context.threshold:
        return None
    strength = _strengths(seen)
    factors = named(strength)
    punished = {factor: _punished(seen.slots, factor) for factor in factors}
    found = {factor: finding_of(punished[factor] or seen.rounds, factor, factors) for factor in factors}
    (form, factor), finding = min(found.items(), key=lambda item: (RANK[item[1].mechanism], -strength[item[0]]))
    agrees = seen.contrast.outcome == "accuses"
    apart = punished[form, factor]
    base = seen.base("port" if factor == "port" else "payload", apart or seen.rounds)
    if apart:
        base = msgspec.structs.replace(base, spillover=True)
    if apart and all(each.partner == "lost" for each in apart):  # what passed outwards before a cut-off is not known
        finding = msgspec.structs.replace(
            finding, after_packets=None, after_packets_interval=None, after_bytes=None, after_bytes_interval=None
        )
    if finding.mechanism == "drop-after" and base.mos is not None:
        base = msgspec.structs.replace(base, mos=MIN_MOS)  # a call that is cut, however soon the round was stopped
    return _with(
        base,
        finding,
        status="restricted",
        basis="randomised",
        scope="app" if agrees else "peer",
        trigger=_trigger(form, factor, factors),
        bypassed_by=list(seen.context.bypassed_by),
        reason="penalty" if apart else "difference",
    )


def named(factors: Mapping[tuple[str, str], float]) -> list[tuple[str, str]]:
    """Which factors made the difference: those with evidence of their own, the strongest in any case."""
    strongest = max(factors, key=lambda key: factors[key])
    return [key for key, e_value in factors.items() if e_value >= NAMED or key == strongest]


def _strengths(seen: _Seen) -> Mapping[tuple[str, str], float]:
    """E-values by factor, with the rounds that only ask what is punished once the cell is accused."""
    asked = [r for r in seen.slots if r.kind == "confirm"]
    shown = {
        (form, name): np.exp(penalty.log_e_value([penalty.slot_bets(r) for r in asked if _is(r, form, name)]))
        for form, name in seen.evidence.factors
    }
    return {factor: e_value * float(shown[factor]) for factor, e_value in seen.evidence.factors.items()}


def _is(slot: Round, form: str, factor: str) -> bool:
    return slot.form == form and penalty.factor_of(slot) == factor


def _punished(slots: Sequence[Round], factor: tuple[str, str]) -> list[Round]:
    """What rounds that drew a slot tell of how the drawn exchanges themselves were treated, where they show a penalty
    for this factor."""
    own = [r for r in slots if _is(r, *factor)]
    return [penalty.unpunished(r) for r in own if penalty.lively(r)] if penalty.shown(own) else []


def finding_of(rounds: Sequence[Round], factor: tuple[str, str], named: Sequence[tuple[str, str]]) -> Finding:
    form = factor[0]
    struck = _factor(factor)
    other: Factor = "payload" if struck == "port" else "port"
    both = (form, other) in named
    beside = [
        stream
        for another in sorted({f for f, _ in named} - {form})
        for stream in singled_out(_of_form(rounds, another), {_factor(each) for each in named if each[0] == another})
    ]
    return mechanism.fit(_of_form(rounds, form), struck, other if both else None, beside)


def _factor(named: tuple[str, str]) -> Factor:
    return "port" if named[1] == "port" else "payload"


def _of_form(rounds: Sequence[Round], form: str) -> list[Round]:
    return [r for r in rounds if r.form == form]


def _trigger(form: str, factor: str, named: Sequence[tuple[str, str]]) -> Trigger:
    """A TLS original differs from its control by its server name alone, and a question by the name asked for."""
    if factor == "port":
        return "port"
    forms = {f for f, which in named if which == "payload"}
    if form == "dns":
        return "dns"
    return "sni" if forms - {"dns"} == {"tls"} else "payload"


def _contrast(seen: _Seen) -> Verdict | None:
    if seen.contrast.outcome != "accuses":
        return None
    return _with(
        seen.base(),
        seen.contrast.finding,
        status="restricted",
        basis="contrast",
        scope="app",
        trigger=seen.contrast.trigger,
        mos=None,  # the calls were to the peer, not to the hosts that are restricted
        e_value=None,
        threshold=None,
        bypassed_by=list(seen.context.bypassed_by),
        reason="own-hosts",
    )


def _service_down(seen: _Seen) -> Verdict | None:
    return _down(seen) if seen.contrast.outcome == "down" else None


def _down(seen: _Seen) -> Verdict:
    return _with(seen.base(), Finding("none"), status="service-down", basis="contrast", scope="app", e_value=None,
                 threshold=None, reason="silent-everywhere")  # fmt: skip


def _impaired(seen: _Seen) -> Verdict | None:
    if seen.context.spillover:
        return None
    found = impairment.by_controls(seen.cell, seen.rounds, seen.tries, seen.context.quality, seen.context.udp)
    return None if found is None else _impaired_by(seen, found)


def _impaired_by(seen: _Seen, found: impairment.Impairment) -> Verdict:
    basis = "randomised" if found.reason == "link-unusable" else "contrast"
    base = seen.base(rounds=impairment.fewest_at_once(seen.rounds))
    return _with(
        base,
        found.finding,
        status="impaired",
        basis=basis,
        trigger=found.trigger,
        e_value=base.e_value if basis == "randomised" else None,
        threshold=base.threshold if basis == "randomised" else None,
        bypassed_by=list(seen.context.bypassed_by),
        reason=found.reason,
    )


def _working(seen: _Seen) -> Verdict | None:
    if seen.evidence.e_working < seen.context.working_threshold:
        return None
    if impairment.unheard(seen.cell, seen.rounds, seen.context.quality):
        return None
    clear = clear_to(seen.rounds)
    if clear is None or not _far_enough(seen, clear):
        return None
    agrees = seen.contrast.outcome == "agrees"
    return _with(seen.base(), Finding("none"), status="working", scope="app" if agrees else "peer", clear_to=clear,
                 reason="no-difference")  # fmt: skip


def _far_enough(seen: _Seen, clear: ClearTo) -> bool:
    """A cut-off after N packets looks healthy before N: a call must have been heard for its full length."""
    if seen.cell.function in ("text", "media"):
        return True
    return clear.packets >= seen.context.min_packets and clear.seconds >= seen.context.min_seconds - SLACK_S


def _ends_early(seen: _Seen) -> bool:
    """Whether a captured call is over before one counts as heard, so that no further round would help."""
    calls = [
        lanes
        for each in seen.rounds
        if each.form == "replay"
        for x in each.exchanges
        if isinstance(x.outcome, DatagramOutcome) and x.spec.seconds >= seen.context.min_seconds
        for lanes in [due(x.outcome, None)]
    ]
    packets = max((sum(len(lane.scheduled) for lane in lanes) for lanes in calls), default=0)
    seconds = max((at for lanes in calls for lane in lanes for at in lane.scheduled), default=0.0)
    return bool(calls) and not _far_enough(seen, ClearTo(packets, 0, seconds))


def _insufficient(seen: _Seen) -> Verdict:
    if not seen.rounds:
        reason = "no-rounds"
    elif all(r.partner == "lost" for r in seen.rounds):
        reason = "partner-lost"
    elif _ends_early(seen):
        reason = "short-call"
    elif seen.evidence.e_working >= seen.context.working_threshold or impairment.unheard(
        seen.cell, seen.rounds, seen.context.quality
    ):
        reason = "too-short"
    else:
        reason = "undecided"
    return msgspec.structs.replace(seen.base(), reason=reason, spillover=seen.context.spillover)


def _with(base: Verdict, finding: Finding, **changes: object) -> Verdict:
    numbers = {name: getattr(finding, name) for name in NUMBERS}
    named: Mechanism = finding.mechanism
    return msgspec.structs.replace(base, mechanism=named, **numbers, **changes)


def _scores(seen: _Seen, struck: Factor, rounds: Sequence[Round]) -> tuple[float | None, float | None]:
    """Mean MOS of the struck calls and of the others, two decimals; None where there were no calls."""
    own: list[float] = []
    others: list[float] = []
    for each in rounds:
        calls = [(struck_by(struck, x.spec.arm), x.outcome) for x in each.exchanges]
        split = {hit: [c for h, c in calls if h is hit and isinstance(c, DatagramOutcome)] for hit in (True, False)}
        if each.form == "dns" or not split[False] or seen.cell.function in ("text", "media"):
            continue
        own += impairment.round_scores(split[True], split[False], each.read_to, seen.context.quality)
        others += impairment.round_scores(split[False], split[False], each.read_to, seen.context.quality)
    return _mean(own), _mean(others)


def _mean(scores: Sequence[float]) -> float | None:
    return round(float(np.mean(scores)), 2) if scores else None


def clear_to(rounds: Sequence[Round]) -> ClearTo | None:
    """How far an original got without being cut: the exchange that passed most packets. None where none passed.

    The greatest and not the least extent: a cut-off at N would have stopped every original at N, while one flow that
    lost much says nothing of where cut-offs lie. Packets of a stream are its data segments, as few as they can be."""
    extents = [
        extent
        for each in rounds
        if each.form != "dns"
        for x in each.exchanges
        if x.spec.arm.payload == "original" and (extent := _extent(x.outcome, each.read_to)) is not None
    ]
    return max(extents, key=lambda extent: extent.packets, default=None)


def _extent(outcome: DatagramOutcome | StreamOutcome, read_to: float | None) -> ClearTo | None:
    if isinstance(outcome, StreamOutcome):
        if outcome.finished is None:
            return None
        up = outcome.up_expected if outcome.up_received is None else outcome.up_received
        segments = -(-up // MSS) + -(-outcome.down_received // MSS)
        return ClearTo(segments, up + outcome.down_received + TCP_HEADER * segments, round(outcome.finished, 2))
    lanes = due(outcome, read_to)
    passed = [
        (at, size)
        for lane in lanes
        for at, size, got in zip(lane.scheduled, lane.sizes, lane.received, strict=True)
        if got is not None
    ]
    if not passed:
        return None
    sent = [at for at, got in zip(outcome.outward.scheduled, outcome.outward.received, strict=True) if got is not None]
    last = max([at for at, _ in passed] + [at for at in sent if read_to is None or at <= read_to])
    return ClearTo(len(passed), sum(size + UDP_HEADER for _, size in passed), round(last, 2))
