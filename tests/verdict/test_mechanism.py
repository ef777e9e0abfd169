"""Calls and streams through a network that does one thing to the originals: the fit must name it, and its number."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from ringback.record import DatagramOutcome, Lane, Round
from ringback.verdict import mechanism
from ringback.verdict.finding import Finding
from tests.verdict.build import Effect, voice_round


@dataclass(frozen=True)
class Link:
    link_loss: float
    burst: float
    jitter_ms: float
    rtt_ms: float


LINKS = {
    "default": Link(0.005, 3, 5, 40),
    "wifi": Link(0.01, 1, 2, 10),
    "mobile": Link(0.02, 6, 10, 60),
    "weak": Link(0.05, 3, 10, 80),
    "satellite": Link(0.03, 2, 20, 600),
}

CALL_KBPS = (112 + 28) * 8 / 0.02 / 1000  # 56 kbit/s of IP packets, 50 packets a second


@dataclass(frozen=True)
class Queue:
    """A shaper on each original and direction: rate in kbit/s of IP packets, room in ms, tail dropped."""

    kbps: float
    ms: float


EFFECTS: dict[str, tuple[str, Effect | Queue]] = {
    "drop": ("drop", Effect(drop=True)),
    "drop out": ("drop", Effect(drop=True, direction="out")),
    "drop in": ("drop", Effect(drop=True, direction="in")),
    "after 25": ("drop-after", Effect(after_packets=25)),
    "after 150": ("drop-after", Effect(after_packets=150)),
    "after 600": ("drop-after", Effect(after_packets=600)),
    "after 80 in": ("drop-after", Effect(after_packets=80, direction="in")),
    "loss 0.15": ("loss", Effect(loss=0.15)),
    "loss 0.15 in": ("loss", Effect(loss=0.15, direction="in")),
    "loss 0.5": ("loss", Effect(loss=0.5)),
    "police 0.8": ("police", Effect(police_kbps=0.8 * CALL_KBPS)),
    "police 0.8 late": ("police", Effect(police_kbps=0.8 * CALL_KBPS, burst_kbytes=7)),
    "police 0.5 in": ("police", Effect(police_kbps=0.5 * CALL_KBPS, burst_kbytes=3, direction="in")),
    "police 0.2": ("police", Effect(police_kbps=0.2 * CALL_KBPS)),
    "delay 150": ("delay", Effect(delay_ms=150)),
    "delay 400 out": ("delay", Effect(delay_ms=400, direction="out")),
    "shape 0.8": ("shape", Queue(0.8 * CALL_KBPS, 200)),
    "shape 0.5": ("shape", Queue(0.5 * CALL_KBPS, 400)),
    "shape endless": ("shape", Queue(0.7 * CALL_KBPS, 60_000)),
    "icmp": ("icmp", Effect(icmp=True)),
    "corrupt": ("corrupt", Effect(corrupt=True)),
}


def shaped(lane: Lane, queue: Queue) -> None:
    """Lets a lane's packets through a queue, in place."""
    free, rate = -1e9, queue.kbps * 125
    for i, (sent, got) in enumerate(zip(lane.sent, lane.received, strict=True)):
        if sent is None or got is None:
            continue
        start = max(free, sent)
        if start - sent > queue.ms / 1000:
            lane.received[i] = None
            continue
        free = start + (lane.sizes[i] + 28) / rate
        lane.received[i] = got + free - sent


def a_round(effect: Effect | Queue, link: Link, seed: int) -> Round:
    built = voice_round(
        seed,
        effect=effect if isinstance(effect, Effect) else Effect(trigger="none"),
        every=0.02,
        link_loss=link.link_loss,
        burst=link.burst,
        jitter_ms=link.jitter_ms,
        rtt_ms=link.rtt_ms,
    )
    if isinstance(effect, Queue):
        for exchange in built.exchanges:
            if exchange.spec.arm.payload == "original" and isinstance(exchange.outcome, DatagramOutcome):
                shaped(exchange.outcome.outward, effect)
                shaped(exchange.outcome.inward, effect)
    return built


def fitted(effect: Effect | Queue, link: Link, seed: int) -> Finding:
    return mechanism.fit([a_round(effect, link, seed)], "payload")


def test_mechanisms_are_told_apart_over_strengths_and_links() -> None:
    confusion: dict[str, Counter[str]] = {}
    by_case: dict[str, Counter[str]] = {}
    for seed, (name, (truth, effect)) in enumerate(EFFECTS.items()):
        for link_name, link in LINKS.items():
            named = fitted(effect, link, 100 + seed).mechanism
            confusion.setdefault(truth, Counter())[named] += 1
            if named != truth:
                by_case.setdefault(name, Counter())[f"{link_name}: {named}"] += 1
    for truth, named_counts in confusion.items():
        print(f"{truth:>10}: {dict(named_counts)}")
    print({name: dict(wrong) for name, wrong in by_case.items()})
    macro = float(np.mean([named[truth] / named.total() for truth, named in confusion.items()]))
    print(f"macro-averaged {macro:.3f}")
    assert macro >= 0.95
