"""The box at one hop: it follows flows, knows them by its rules' triggers, and does what the rules say, in order."""

from collections.abc import Iterable, Sequence
from random import Random
from typing import NamedTuple

from ringback.catalogue import Catalogue
from ringback.lab.operator.actions import ANSWERING, Act, Context, Effect, action
from ringback.lab.operator.flows import Flow, Reassembly
from ringback.lab.operator.lookups import is_query, question
from ringback.lab.operator.signatures import REALMS, openvpn_answers, openvpn_session, recognise
from ringback.lab.operator.triggers import DNS_PORT, SHOWN, Known, known, realms
from ringback.lab.rules import Rule
from ringback.sim.packet import ACK, ICMP, IPV4_HEADER, SYN, TCP, UDP, Packet, Passage

IDLE_S = 300.0  # a flow that is silent for so long is forgotten
MOST_FLOWS = 65_536  # beyond these the oldest is forgotten
LOOKED_AT = 64  # datagrams of a flow that are inspected; one that has shown nothing by then is let be


class Standing(NamedTuple):
    """A rule at work. always: nothing but its match decides whether it acts: no time of its own, no block that an
    earlier match has left."""

    rule: Rule
    known: Known
    act: Act
    always: bool


class Device:
    """rules: those at this hop, in order. started: Unix time at virtual time 0."""

    def __init__(self, rules: Sequence[Rule], catalogue: Catalogue, router: str, rng: Random, started: float) -> None:
        memory: dict[object, float] = {}
        self._rules: tuple[Standing, ...] = tuple(
            Standing(
                rule,
                known(rule, catalogue),
                action(rule, Context(i, router, rng, memory)),
                rule.residual_s == 0 and rule.since is None and rule.until is None,
            )
            for i, rule in enumerate(rules)
        )
        shown = tuple(i for i, rule in enumerate(rules) if rule.trigger in SHOWN)
        self._by_bytes = {
            UDP: tuple(i for i in shown if rules[i].trigger != "sni"),
            TCP: tuple(i for i in shown if rules[i].trigger != "dns"),
        }
        self._at_once = tuple(i for i, rule in enumerate(rules) if rule.trigger not in SHOWN)
        self._unmatched = self._acting(())
        self._blocks: tuple[dict[object, float], ...] = tuple({} for _ in rules)  # what each keeps blocked, until when
        self._realms = {**REALMS, **realms(catalogue)}
        self._started = started
        self._flows: dict[tuple[int, str, int, str, int], Flow] = {}

    def packet(self, packet: Packet, outward: bool, now: float) -> tuple[Passage, ...]:
        proto = packet.proto
        if outward:
            key = (proto, packet.src, packet.sport, packet.dst, packet.dport)
        else:
            key = (proto, packet.dst, packet.dport, packet.src, packet.sport)
        flow = self._flows.get(key)
        if flow is None or now - flow.last > IDLE_S or (proto == TCP and packet.flags & (SYN | ACK) == SYN):
            if proto == ICMP:
                return ((now, packet, outward),)  # errors and echoes are nobody's calls
            flow = self._begin(key, packet, now)
        flow.last = now
        flow.packets += 1
        flow.bytes += packet.size - IPV4_HEADER
        if flow.looking:
            self._look(flow, packet, outward)
        acting = flow.acting[outward]
        if not acting:
            return ((now, packet, outward),)
        if len(acting) > 1 or not (standing := self._rules[acting[0]]).always:
            return self._act(acting, flow, packet, outward, now)
        effect = standing.act(flow, packet, outward, now)  # one rule, which always holds: nearly all that are acted on
        if effect is None:
            return ((now, packet, outward),)
        if effect.packet is None:
            return effect.injected
        return (*effect.injected, (effect.when, effect.packet, outward))

    def _acting(self, matched: Iterable[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Indices of the rules that packets of a flow that these rules recognise have to pass, inwards and outwards:
        these, and those whose blocks may outlast a flow."""
        concerned = [i for i, standing in enumerate(self._rules) if i in matched or standing.rule.residual_s > 0]
        directions = [(i, self._rules[i].rule.direction) for i in concerned]
        return tuple(i for i, way in directions if way != "out"), tuple(i for i, way in directions if way != "in")

    def _begin(self, key: tuple[int, str, int, str, int], packet: Packet, now: float) -> Flow:
        old = self._flows.pop(key, None)
        if old is not None and old.opening is not None and not old.opening.restarted(packet.seq):
            self._flows[key] = old  # its SYN, sent again
            return old
        flow = Flow(key, now)
        if len(self._flows) >= MOST_FLOWS:
            del self._flows[next(iter(self._flows))]
        self._flows[key] = flow
        flow.matched = tuple(i for i in self._at_once if self._rules[i].known(flow))
        flow.acting = self._acting(flow.matched) if flow.matched else self._unmatched
        flow.waiting = self._by_bytes[key[0]]
        if key[0] == TCP:
            flow.opening = Reassembly()
            if packet.flags & (SYN | ACK) == SYN:
                flow.opening.start(packet.seq)
        flow.looking = bool(flow.waiting)
        return flow

    def _look(self, flow: Flow, packet: Packet, outward: bool) -> None:
        """See what this packet shows of its flow, and match the rules that were waiting for it."""
        if not packet.payload:
            return
        if packet.proto == UDP:
            shown = self._datagram(flow, packet.payload, outward)
        else:
            shown = outward and flow.opening is not None and self._segment(flow, flow.opening, packet)
        if not shown:
            return
        found = [i for i in flow.waiting if self._rules[i].known(flow)]
        if found:
            flow.matched = (*flow.matched, *found)
            flow.acting = self._acting(flow.matched)
            flow.waiting = tuple(i for i in flow.waiting if i not in found)
            flow.looking = flow.looking and bool(flow.waiting)

    def _segment(self, flow: Flow, opening: Reassembly, packet: Packet) -> bool:
        if not opening.add(packet.seq, packet.payload):
            return False
        flow.looking = False
        if opening.seen is not None:
            flow.sni, flow.host, flow.label = opening.seen
        return True

    def _datagram(self, flow: Flow, data: bytes, outward: bool) -> bool:
        if flow.key[4] == DNS_PORT:
            asked = question(data) if outward and is_query(data) else None
            if asked is None or asked[0] in flow.names:
                return False
            flow.names.add(asked[0])
            return True
        flow.looked += 1
        flow.looking = flow.looked < LOOKED_AT
        if flow.label is None:
            flow.label = recognise(data, self._realms)
            if flow.label is None and outward:
                flow.session = openvpn_session(data) or flow.session
            elif flow.label is None and flow.session is not None and openvpn_answers(data, flow.session):
                flow.label = ("openvpn", "outer")
        if flow.label is not None:
            flow.looking = False
        return flow.label is not None

    def _act(self, acting: Iterable[int], flow: Flow, packet: Packet, outward: bool, now: float) -> tuple[Passage, ...]:
        when = now
        injected: tuple[Passage, ...] = ()
        for i in acting:
            standing = self._rules[i]
            if standing.always:
                effect = standing.act(flow, packet, outward, when)
            else:
                effect = self._effect(i, standing, flow, packet, outward, when)
            if effect is None:
                continue
            injected += effect.injected
            if effect.packet is None:
                return injected
            packet, when = effect.packet, effect.when
        passed = (when, packet, outward)
        return (*injected, passed) if injected else (passed,)

    def _effect(
        self, i: int, standing: Standing, flow: Flow, packet: Packet, outward: bool, when: float
    ) -> Effect | None:
        """What this rule does to the packet: its action, or the block that an earlier match has left."""
        rule, matched, key = standing.rule, i in flow.matched, _residual_key(standing.rule, flow)
        blocked = rule.residual_s > 0 and when < self._blocks[i].get(key, 0.0)
        if blocked and not (matched and rule.action.kind in ANSWERING):
            return Effect(None, when)
        if not matched or not rule.holds(self._started + when):
            return None
        effect = standing.act(flow, packet, outward, when)
        if effect is not None and rule.residual_s > 0:
            self._blocks[i][key] = when + rule.residual_s
        return effect


def _residual_key(rule: Rule, flow: Flow) -> object:
    if rule.residual == "flow":
        return flow.key
    return (flow.local, flow.remote) if rule.residual == "pair" else flow.local
