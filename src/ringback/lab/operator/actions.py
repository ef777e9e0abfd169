"""What a rule does to a packet that it acts on. Each action is a function made once for a rule."""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from ringback.lab.operator.flows import Flow
from ringback.lab.operator.lookups import is_query, wrong_answer
from ringback.lab.rules import Rule
from ringback.sim.packet import (
    ACK,
    FIN,
    ICMP,
    ICMP_HEADER,
    IPV4_HEADER,
    RST,
    SYN,
    TCP,
    TCP_HEADER,
    UDP,
    UDP_HEADER,
    Packet,
    Passage,
)

PORT_UNREACHABLE = (3, 3)  # ICMP type and code, RFC 792
QUOTED = IPV4_HEADER + 8  # of the packet that an ICMP error quotes, in bytes
WRONG_ADDRESS = "192.0.2.254"  # where a forged answer sends people: nobody is there
SEQUENCE = 1 << 32
FLIPPED = 16  # of so many payload bytes one is changed, and one at least


class Effect(NamedTuple):
    """packet: None where it is dropped. when: it leaves. injected: what leaves besides."""

    packet: Packet | None
    when: float
    injected: tuple[Passage, ...] = ()


Act = Callable[[Flow, Packet, bool, float], Effect | None]
"""(flow, packet, outward, when it reached the action) to its effect; None lets the packet pass untouched."""


class Context(NamedTuple):
    """place: the rule's number at its hop. router: the hop's address. memory: what limiters for all flows keep."""

    place: int
    router: str
    rng: Random
    memory: dict[object, float]


def action(rule: Rule, context: Context) -> Act:
    return MAKERS[rule.action.kind](rule, context)


def _drop(rule: Rule, context: Context) -> Act:
    return lambda flow, packet, outward, when: Effect(None, when)


def _drop_after(rule: Rule, context: Context) -> Act:
    packets, octets = rule.action.packets, rule.action.bytes

    def act(flow: Flow, packet: Packet, outward: bool, when: float) -> Effect | None:
        over = flow.packets > packets if packets is not None else flow.bytes > (octets or 0)
        return Effect(None, when) if over else None

    return act


def _loss(rule: Rule, context: Context) -> Act:
    share, draw = rule.action.share or 0.0, context.rng.random
    return lambda flow, packet, outward, when: Effect(None, when) if draw() < share else None


def _slot(rule: Rule, context: Context) -> Callable[[Flow, bool], tuple[dict[object, float], object]]:
    """Where a limiter keeps its level: with the flow, the participant or the network, each direction its own."""
    per, index, shared = rule.action.per, context.place, context.memory
    keys = (index, False), (index, True)
    if per == "flow":
        return lambda flow, outward: (flow.memory, keys[outward])
    if per == "host":
        return lambda flow, outward: (shared, (index, flow.local, outward))
    return lambda flow, outward: (shared, keys[outward])


def _police(rule: Rule, context: Context) -> Act:
    """A token bucket over IP bytes, full at first. It is kept as the time at which it was (or will be) full."""
    rate = (rule.action.kbps or 0.0) * 125
    depth = (rule.action.burst_kbytes or 0.0) * 1000 / rate
    slot = _slot(rule, context)
    own = rule.action.per == "flow"
    keys = (context.place, False), (context.place, True)
    spent = depth + 1e-9

    def act(flow: Flow, packet: Packet, outward: bool, when: float) -> Effect | None:
        memory, key = (flow.memory, keys[outward]) if own else slot(flow, outward)
        full = memory.get(key, when)
        full = (full if full > when else when) + packet.size / rate
        if full - when > spent:
            return Effect(None, when)
        memory[key] = full
        return None

    return act


def _shape(rule: Rule, context: Context) -> Act:
    """A queue drained at the rate; what would wait longer than the queue is dropped."""
    rate, queue = (rule.action.kbps or 0.0) * 125, (rule.action.queue_ms or 0.0) / 1e3
    slot = _slot(rule, context)

    def act(flow: Flow, packet: Packet, outward: bool, when: float) -> Effect | None:
        memory, key = slot(flow, outward)
        free = max(memory.get(key, when), when)
        if free - when > queue + 1e-9:
            return Effect(None, when)
        memory[key] = leaves = free + packet.size / rate
        return Effect(packet, leaves)

    return act


def _delay(rule: Rule, context: Context) -> Act:
    """Later by `ms` and normal jitter, never before the flow's packet ahead of it."""
    mean, deviation = (rule.action.ms or 0.0) / 1e3, (rule.action.jitter_ms or 0.0) / 1e3
    index, normal = context.place, context.rng.gauss

    def act(flow: Flow, packet: Packet, outward: bool, when: float) -> Effect | None:
        leaves = when + max(0.0, normal(mean, deviation) if deviation else mean)
        leaves = max(leaves, flow.memory.get((index, outward), 0.0))
        flow.memory[index, outward] = leaves
        return Effect(packet, leaves)

    return act


def _reset(rule: Rule, context: Context) -> Act:
    """Drops TCP and resets its sender, and with the first packet the other side as well. UDP passes."""
    index = context.place

    def act(flow: Flow, packet: Packet, outward: bool, when: float) -> Effect | None:
        if packet.proto != TCP:
            return None
        if packet.flags & RST:
            return Effect(None, when)
        injected = [(when, _refusal(packet), not outward)]
        if not flow.memory.setdefault(index, 0.0) and not packet.flags & SYN:
            injected.append((when, _abort(packet), outward))
        flow.memory[index] = 1.0
        return Effect(None, when, tuple(injected))

    return act


def _refusal(packet: Packet) -> Packet:
    """The reset that the sender would have got from the other side (RFC 9293 section 3.10.7.1)."""
    taken = len(packet.payload) + bool(packet.flags & SYN) + bool(packet.flags & FIN)
    return Packet(
        TCP,
        packet.dst,
        packet.dport,
        packet.src,
        packet.sport,
        b"",
        IPV4_HEADER + TCP_HEADER,
        seq=packet.ack if packet.flags & ACK else 0,
        ack=(packet.seq + taken) % SEQUENCE,
        flags=RST | ACK,
        window=0,
    )


def _abort(packet: Packet) -> Packet:
    """A reset in the sender's name, where its next byte is expected."""
    return Packet(
        TCP,
        packet.src,
        packet.sport,
        packet.dst,
        packet.dport,
        b"",
        IPV4_HEADER + TCP_HEADER,
        seq=packet.seq,
        ack=packet.ack,
        flags=RST | (packet.flags & ACK),
        window=0,
    )


def _icmp(rule: Rule, context: Context) -> Act:
    kind, code = PORT_UNREACHABLE
    size = IPV4_HEADER + ICMP_HEADER + QUOTED

    def act(flow: Flow, packet: Packet, outward: bool, when: float) -> Effect | None:
        error = Packet(ICMP, context.router, kind, packet.src, code, b"", size, quoted=packet)
        return Effect(None, when, ((when, error, not outward),))

    return act


def _answer(address: str | None) -> Callable[[Rule, Context], Act]:
    """Answers a query in the resolver's name, or puts its own answer in place of the resolver's."""

    def make(rule: Rule, context: Context) -> Act:
        def act(flow: Flow, packet: Packet, outward: bool, when: float) -> Effect | None:
            if packet.proto != UDP or is_query(packet.payload) != outward:
                return None
            payload = wrong_answer(packet.payload, address)
            if payload is None:
                return None
            size = IPV4_HEADER + UDP_HEADER + len(payload)
            if not outward:
                return Effect(packet.copy(payload=payload, size=size), when)
            answer = Packet(UDP, packet.dst, packet.dport, packet.src, packet.sport, payload, size)
            return Effect(None, when, ((when, answer, False),))

        return act

    return make


def _corrupt(rule: Rule, context: Context) -> Act:
    rng = context.rng

    def act(flow: Flow, packet: Packet, outward: bool, when: float) -> Effect | None:
        if not packet.payload:
            return None
        payload = bytearray(packet.payload)
        for _ in range(1 + len(payload) // FLIPPED):
            payload[rng.randrange(len(payload))] ^= rng.randrange(1, 256)
        if payload == packet.payload:  # two changes of one byte undid each other
            payload[0] ^= 0xFF
        return Effect(packet.copy(payload=bytes(payload)), when)

    return act


MAKERS: dict[str, Callable[[Rule, Context], Act]] = {
    "drop": _drop,
    "drop-after": _drop_after,
    "loss": _loss,
    "police": _police,
    "shape": _shape,
    "delay": _delay,
    "reset": _reset,
    "icmp": _icmp,
    "nxdomain": _answer(None),
    "forge": _answer(WRONG_ADDRESS),
    "corrupt": _corrupt,
}
ANSWERING = frozenset(("reset", "icmp", "nxdomain", "forge"))
"""Actions that answer: they do so for every packet of their own traffic, also while it is blocked anyway."""
