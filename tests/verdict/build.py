"""Synthetic rounds for the verdict tests: scripts of a call or of a download, run through a small network model.

The model knows what a real one would (loss with bursts, jitter, a queue that comes and goes) and one `Effect` that
strikes exchanges chosen by payload or port. Outcomes are drawn from a seeded generator that is made here, never global.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ringback.record import (
    Arm,
    Cell,
    DatagramOutcome,
    ExchangeRecord,
    ExchangeSpec,
    IcmpError,
    Lane,
    Outcome,
    Round,
    StreamOutcome,
)

Floats = NDArray[np.float64]
CLOCK_OFFSET = 5000.0  # the far end's clock minus the near end's, s
CHECKPOINTS = [1.0, 2.5, 5.0, 10.5]


@dataclass(frozen=True)
class Effect:
    """What the network does to the exchanges that `trigger` picks. Rates are of IP packets (28 bytes of headers)."""

    trigger: Literal["payload", "port", "none"] = "payload"
    direction: Literal["both", "out", "in"] = "both"
    drop: bool = False
    loss: float = 0.0
    after_packets: int | None = None  # counts both ways together
    delay_ms: float = 0.0
    police_kbps: float | None = None
    burst_kbytes: float = 1.0
    icmp: bool = False
    corrupt: bool = False
    reset: bool = False
    after_bytes: int | None = None  # streams: the download stops there
    wrong_answer: bool = False  # dns: an answer of its own comes instead
    share: float = 1.0  # of the exchanges picked, at random

    def strikes(self, arm: Arm, rng: np.random.Generator) -> bool:
        picked = (self.trigger == "payload" and arm.payload == "original") or (
            self.trigger == "port" and arm.port == "app"
        )
        return bool(picked and rng.random() < self.share)


NOTHING = Effect(trigger="none")


def lost_in_bursts(rng: np.random.Generator, packets: int, loss: float, burst: float) -> NDArray[np.bool_]:
    """Gilbert-Elliott loss of one direction: long-run share `loss`, mean burst of `burst` packets."""
    if loss <= 0:
        return np.zeros(packets, bool)
    if burst <= 1:
        return rng.random(packets) < loss
    leave = 1 / burst
    enter = min(1.0, loss / (1 - loss) * leave)
    draws = rng.random(packets + 1)
    bad = bool(draws[0] < loss)
    lost = np.zeros(packets, bool)
    for i in range(packets):
        lost[i] = bad
        bad = draws[i + 1] >= leave if bad else draws[i + 1] < enter
    return lost


def policed(times: Floats, sizes: Floats, kbps: float, burst: float) -> NDArray[np.bool_]:
    """Which packets a token bucket drops; times ascending (s), sizes and burst in bytes. NaN times never reach it."""
    tokens, last = burst, None
    dropped = np.zeros(len(times), bool)
    for i, (t, size) in enumerate(zip(times, sizes, strict=True)):
        if np.isnan(t):
            continue
        tokens = min(burst, tokens + (t - last) * kbps * 125) if last is not None else burst
        last = t
        dropped[i] = tokens < size
        tokens -= 0 if dropped[i] else size
    return dropped


def arms(rng: np.random.Generator, n_per_arm: int, ports: tuple[str, ...] = ("app", "other")) -> list[Arm]:
    cells = [Arm(payload, port) for payload in ("original", "control") for port in ports]  # type: ignore[arg-type]
    deck = cells * n_per_arm
    return [deck[i] for i in rng.permutation(len(deck))]


def paired(rng: np.random.Generator, pairs: int) -> list[Arm]:
    """The labels of a quiet round: in each pair one original and one on the app's port, thrown apart."""
    labels = []
    for original, app in rng.random((pairs, 2)) < 0.5:
        labels += [
            Arm("original" if first == original else "control", "app" if first == app else "other")
            for first in (True, False)
        ]
    return labels


def a_round(
    cell: Cell, form: str, transport: str, labels: list[Arm], outcomes: list[Outcome], starts: Floats, number: int,
    checkpoints: list[float], seconds: float, size: int = 0,
) -> Round:  # fmt: skip
    records = []
    for slot, (arm, outcome) in enumerate(zip(labels, outcomes, strict=True)):
        spec = ExchangeSpec(
            number=100 * number + slot, app=cell.app, function=cell.function, direction=cell.direction,
            route=cell.route, form=form, arm=arm, transport=transport,  # type: ignore[arg-type]
            port=3478 if arm.port == "app" else 40000, seconds=seconds, size=size,
        )  # fmt: skip
        records.append(ExchangeRecord(spec=spec, slot=slot, started_at=float(starts[slot]), outcome=outcome))
    return Round(number, cell, form, 0.0, records, checkpoints)


def _known(values: Floats) -> list[float | None]:
    return [None if np.isnan(v) else float(v) for v in values]


def call(
    rng: np.random.Generator, start: float, effect: Effect, *, seconds: float = 10.5, every: float = 0.06,
    size: int = 112, link_loss: float = 0.005, burst: float = 3.0, jitter_ms: float = 5.0, rtt_ms: float = 40.0,
) -> DatagramOutcome:  # fmt: skip
    """One call: each side sends `size` bytes every `every` seconds; the far side starts with the first arrival."""
    at = np.arange(0.0, seconds, every)
    n = len(at)
    acts_out, acts_in = effect.direction in ("both", "out"), effect.direction in ("both", "in")
    # the far side is heard about an RTT later: packets of both sides meet a counting box alternately
    position = {"out": 2 * np.arange(n), "in": 2 * np.arange(n) + 1}

    def passes(way: str, acts: bool, sent: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        delay = rtt_ms / 2000 + np.maximum(-rtt_ms / 4000, rng.normal(0, jitter_ms / 1000, n))
        gone = lost_in_bursts(rng, n, link_loss, burst)
        damaged = np.zeros(n, bool)
        if acts:
            delay = delay + effect.delay_ms / 1000
            if effect.drop or effect.icmp:
                gone |= True
            if effect.loss:
                gone |= rng.random(n) < effect.loss
            if effect.after_packets is not None:
                gone |= position[way] >= effect.after_packets
            if effect.police_kbps is not None:
                passed = np.where(gone, np.nan, sent)
                gone |= policed(passed, np.full(n, size + 28.0), effect.police_kbps, effect.burst_kbytes * 1000)
            if effect.corrupt:
                damaged = ~gone
        return np.where(gone | damaged, np.nan, sent + delay), damaged

    out_sent = start + at
    out_received, out_damaged = passes("out", acts_out, out_sent)
    reached = np.flatnonzero(~np.isnan(out_received))
    if len(reached):
        first = reached[0]
        far_epoch = out_received[first] - at[first]
        in_sent = np.where(far_epoch + at >= out_received[first], far_epoch + at, np.nan)
        in_received, in_damaged = passes("in", acts_in, in_sent)
    else:
        in_sent, in_received, in_damaged = np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, bool)
    return DatagramOutcome(
        outward=Lane(list(at), [size] * n, _known(out_sent), _known(out_received + CLOCK_OFFSET),
                     corrupted=int(out_damaged.sum())),
        inward=Lane(list(at), [size] * n, _known(in_sent + CLOCK_OFFSET), _known(in_received),
                    corrupted=int(in_damaged.sum())),
        icmp=[IcmpError(start + 0.02, 3, 3)] if effect.icmp else [],
    )  # fmt: skip


def voice_round(
    seed: int, n_per_arm: int = 6, *, effect: Effect = NOTHING, number: int = 0, seconds: float = 10.5,
    every: float = 0.06, size: int = 112, link_loss: float = 0.005, burst: float = 3.0, jitter_ms: float = 5.0,
    rtt_ms: float = 40.0, direction: Literal["outgoing", "incoming"] = "outgoing", app: str = "whatsapp",
    partner: Literal["reported", "lost"] = "reported",
) -> Round:  # fmt: skip
    """A round of calls run side by side, 4 arms of `n_per_arm`; `partner="lost"`: the far half's record never came."""
    rng = np.random.default_rng([seed, number])
    labels = arms(rng, n_per_arm)
    starts = np.sort(rng.uniform(0, 0.5, len(labels)))
    outcomes: list[Outcome] = []
    for arm, start in zip(labels, starts, strict=True):
        hit = effect if effect.strikes(arm, rng) else NOTHING
        outcome = call(rng, float(start), hit, seconds=seconds, every=every, size=size, link_loss=link_loss,
                       burst=burst, jitter_ms=jitter_ms, rtt_ms=rtt_ms)  # fmt: skip
        if partner == "lost":
            nothing: list[float | None] = [None] * len(outcome.outward.sent)
            outcome.outward.received, outcome.inward.sent = nothing, list(nothing)
            outcome.partner = "lost"
        outcomes.append(outcome)
    cell = Cell(app, "voice", direction, "relay")
    checkpoints = [t for t in CHECKPOINTS if t < seconds] + [seconds]
    result = a_round(cell, "relay-call", "udp", labels, outcomes, starts, number, checkpoints, seconds)
    result.partner = partner
    return result


def stream(
    rng: np.random.Generator, effect: Effect, *, size: int, up: int, rtt_ms: float, goodput_kbps: float,
    link_loss: float, timeout: float, upload: int = 0,
) -> StreamOutcome:  # fmt: skip
    """One TCP exchange: connect, `up` bytes, then, where there is an upload, a hello back and that; then `size` bytes
    back. Both at about `goodput_kbps`; loss costs timeouts."""
    rtt = rtt_ms / 1000 * rng.uniform(1.0, 1.2) + 2 * effect.delay_ms / 1000
    loss = 1 - (1 - link_loss) * (1 - effect.loss)
    expected = StreamOutcome(up_expected=up, up_received=0, down_expected=size)
    silent = effect.drop or effect.icmp
    connected = rtt + sum(1.0 * 2**i for i in range(5) if rng.random() < loss * 0.8**i and i == 0)
    if silent:
        expected.failure = "connection_refused" if effect.icmp else "generic_timeout_error"
        expected.failed_at = rtt if effect.icmp else timeout
        return expected
    expected.connected = connected
    if effect.reset:
        expected.failure, expected.failed_at = "connection_reset", connected + rtt
        return expected
    expected.partner = "reported"
    # a simple goodput under loss (Mathis et al. 1997), with the drawn rate as the upper bound
    rate = goodput_kbps * rng.uniform(0.8, 1.0)
    if loss > 0:
        rate = min(rate, 1.22 * 1448 * 8 / 1000 / (rtt * loss**0.5))
    if effect.police_kbps is not None:
        rate = min(rate, effect.police_kbps)

    def leg(start: float, n: int, before: int) -> tuple[list[tuple[float, int]], bool]:
        """Arrivals of n bytes, of which nothing passes beyond the cut-off, and whether all came in time."""
        segments = max(1, -(-n // 1448))
        times = start + np.arange(1, segments + 1) * (n / segments) * 8 / 1000 / rate
        hits = rng.random(segments) < loss * min(1.0, 8 / segments)
        times = times + np.cumsum(np.where(hits, max(0.2, rtt), 0.0))
        bytes_ = np.minimum(n, (np.arange(1, segments + 1) * n) // segments)
        limit = effect.after_bytes if effect.after_bytes is not None else before + n + 1
        reached = (times <= timeout) & (bytes_ + before <= limit)
        return [(float(a), int(b)) for a, b in zip(times[reached], bytes_[reached], strict=True)], bool(reached.all())

    expected.up_expected, expected.up_received, expected.down_last, expected.up_last = up + upload, up, size, up
    at, whole, hello = connected + rtt, True, 0
    if upload:
        hello = 3_500
        expected.down_expected += hello
        expected.arrivals, expected.up_last = [(at, hello)], upload
        sent, whole = leg(at + rtt, upload, up + hello)
        expected.up_received = up + (sent[-1][1] if sent else 0)
        expected.up_arrivals = [(0.0, up), *((when - connected - rtt / 2, up + n) for when, n in sent)]
        at = (sent[-1][0] if sent else at) + rtt
    if whole:
        got, whole = leg(at, size, expected.up_received + hello)
        expected.arrivals = [*expected.arrivals, *((when, hello + n) for when, n in got)]
    if whole:
        expected.finished = expected.arrivals[-1][0]
        expected.unexpected = effect.corrupt
        if effect.corrupt:
            expected.failure, expected.failed_at, expected.finished = "eof_error", expected.finished, None
    else:
        expected.failure, expected.failed_at = "generic_timeout_error", timeout
    return expected


def stream_round(
    seed: int, n_per_arm: int = 6, *, function: Literal["text", "media"] = "text", effect: Effect = NOTHING,
    number: int = 0, size: int | None = None, rtt_ms: float = 40.0, goodput_kbps: float = 12_000.0,
    link_loss: float = 0.005, app: str = "whatsapp", form: str | None = None,
) -> Round:  # fmt: skip
    """A sequence of TCP exchanges, 4 arms of `n_per_arm`. Text: 8 kB both ways in 10 s; media: 400 kB there and back in
    20 s, or `size` each way."""
    rng = np.random.default_rng([seed, number])
    labels = arms(rng, n_per_arm)
    text = function == "text"
    down = size if size is not None else (8_000 if text else 400_000)
    timeout = 10.0 if text else 20.0
    starts = np.arange(len(labels)) * 0.4 + rng.uniform(0, 0.1, len(labels))
    outcomes: list[Outcome] = [
        stream(rng, effect if effect.strikes(arm, rng) else NOTHING, size=down, up=8_000 if text else 600,
               rtt_ms=rtt_ms, goodput_kbps=goodput_kbps, link_loss=link_loss, timeout=timeout,
               upload=0 if text else down)
        for arm in labels
    ]  # fmt: skip
    cell = Cell(app, function)
    return a_round(cell, form or ("noise" if text else "tls"), "tcp", labels, outcomes, starts, number, [timeout],
                   timeout, down)  # fmt: skip


def dns_round(
    seed: int, n_per_arm: int = 12, *, effect: Effect = NOTHING, number: int = 0, function: str = "text",
    link_loss: float = 0.005, app: str = "whatsapp",
) -> Round:  # fmt: skip
    """Queries with one answer each, original or control name, all on the app port."""
    rng = np.random.default_rng([seed, number])
    labels = arms(rng, n_per_arm, ports=("app",))
    starts = np.arange(len(labels)) * 0.05 + rng.uniform(0, 0.01, len(labels))
    outcomes: list[Outcome] = []
    for arm, start in zip(labels, starts, strict=True):
        hit = effect if effect.strikes(arm, rng) else NOTHING
        lost = hit.drop or hit.wrong_answer
        out = None if lost or rng.random() < link_loss else float(start) + 0.02
        back = None if out is None or rng.random() < link_loss else out + 0.02
        outcomes.append(DatagramOutcome(
            outward=Lane([0.0], [60], [float(start)], [None if out is None else out + CLOCK_OFFSET]),
            inward=Lane([0.02], [76], [None if out is None else out + CLOCK_OFFSET], [back],
                        corrupted=int(hit.wrong_answer)),
            answers=[b"forged"] if hit.wrong_answer else [],
        ))  # fmt: skip
    return a_round(Cell(app, function), "dns", "udp", labels, outcomes, starts, number, [2.0], 2.0)
