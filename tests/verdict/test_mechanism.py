"""Calls and streams through a network that does one thing to the originals: the fit must name it, and its number."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from ringback.record import DatagramOutcome, Lane, Round
from ringback.verdict import mechanism
from ringback.verdict.finding import Finding
from tests.verdict.build import Effect, dns_round, voice_round


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


@pytest.mark.timeout(300)  # hundreds of fits
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


@pytest.mark.parametrize("link", ["default", "wifi", "mobile", "weak"])
@pytest.mark.parametrize("packets", [25, 150, 600])
def test_a_cut_off_is_counted_to_within_its_interval(packets: int, link: str) -> None:
    finding = fitted(Effect(after_packets=packets), LINKS[link], 3)
    assert finding.after_bytes is None
    assert finding.after_packets == pytest.approx(packets, abs=2 + 0.1 * packets * LINKS[link].link_loss / 0.05)
    assert finding.after_packets_interval is not None
    low, high = finding.after_packets_interval
    assert low <= packets <= high
    assert high - low <= 4 + 0.2 * packets


def test_packets_of_many_sizes_tell_a_count_of_bytes_from_one_of_packets() -> None:
    rng = np.random.default_rng(8)
    built = a_round(Effect(trigger="none"), LINKS["default"], 8)
    for exchange in built.exchanges:
        outcome = exchange.outcome
        assert isinstance(outcome, DatagramOutcome)
        for lane in (outcome.outward, outcome.inward):
            lane.sizes = [int(size) for size in rng.integers(40, 240, len(lane.sizes))]
        if exchange.spec.arm.payload == "original":
            cut_after_bytes(outcome, 12_000)
    finding = mechanism.fit([built], "payload")
    assert (finding.mechanism, finding.after_packets) == ("drop-after", None)
    assert finding.after_bytes == pytest.approx(12_000, abs=200)
    assert finding.after_bytes_interval is not None
    assert finding.after_bytes_interval[0] <= 12_000 <= finding.after_bytes_interval[1]


def cut_after_bytes(outcome: DatagramOutcome, limit: int) -> None:
    """Lets `limit` bytes of IP payload pass, both ways together in the order of passing the participant, in place."""
    passing = [
        (at, lane, i)
        for lane, times in ((outcome.outward, outcome.outward.sent), (outcome.inward, outcome.inward.received))
        for i, at in enumerate(times)
        if at is not None
    ]
    total = 0
    for _, lane, i in sorted(passing, key=lambda entry: entry[0]):
        total += lane.sizes[i] + 8
        if total > limit:
            lane.received[i] = None


@pytest.mark.parametrize("limit", [6_000, 20_000])
def test_bytes_are_told_from_packets_where_sizes_differ_little(limit: int) -> None:
    """A count of bytes leaves over what the next packet is too long for, a count of packets nothing."""
    named = Counter[str]()
    for seed in range(6):
        rng = np.random.default_rng(seed)
        built = a_round(Effect(trigger="none"), LINKS["default"], 60 + seed)
        for exchange in built.exchanges:
            outcome = exchange.outcome
            assert isinstance(outcome, DatagramOutcome)
            for lane in (outcome.outward, outcome.inward):
                lane.sizes = [int(size) for size in rng.integers(150, 220, len(lane.sizes))]
            if exchange.spec.arm.payload == "original":
                cut_after_bytes(outcome, limit)
        finding = mechanism.fit([built], "payload")
        named["bytes" if finding.after_bytes is not None else "packets"] += 1
    assert named["bytes"] >= 5


@pytest.mark.parametrize("link", ["default", "mobile", "weak"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_policers_own_rate_is_found_and_held_by_its_interval(share: float, link: str) -> None:
    finding = fitted(Effect(police_kbps=share * CALL_KBPS, burst_kbytes=2), LINKS[link], 4)
    assert finding.mechanism == "police"
    assert finding.rate_kbps == pytest.approx(share * CALL_KBPS, rel=0.06)


@pytest.mark.parametrize("queue", [Queue(0.8 * CALL_KBPS, 200), Queue(0.5 * CALL_KBPS, 400)])
def test_a_shapers_own_rate_is_found(queue: Queue) -> None:
    assert fitted(queue, LINKS["default"], 5).rate_kbps == pytest.approx(queue.kbps, rel=0.06)


@pytest.mark.parametrize("link", ["default", "mobile"])
def test_a_policer_beside_a_delay_is_no_queue(link: str) -> None:
    finding = fitted(Effect(police_kbps=0.5 * CALL_KBPS, delay_ms=120), LINKS[link], 28)
    assert finding.mechanism == "police"


@pytest.mark.parametrize("seed", range(40, 46))
def test_what_is_lost_behind_a_policer_does_not_hide_it(seed: int) -> None:
    """It took its tokens along."""
    built = a_round(Effect(trigger="none"), Link(0.0, 1, 2, 40), seed)
    rng = np.random.default_rng(seed)
    for exchange in built.exchanges:
        if exchange.spec.arm.payload == "original" and isinstance(exchange.outcome, DatagramOutcome):
            lane, tokens, last = exchange.outcome.inward, 4_000.0, 0.0
            for i, (sent, got) in enumerate(zip(lane.sent, lane.received, strict=True)):
                if sent is None or got is None:
                    continue
                tokens, last = min(4_000.0, tokens + (sent - last) * 0.5 * CALL_KBPS * 125 if last else tokens), sent
                if tokens < lane.sizes[i] + 28:
                    lane.received[i] = None
                    continue
                tokens -= lane.sizes[i] + 28
                if rng.random() < 0.01:
                    lane.received[i] = None
    assert mechanism.fit([built], "payload").mechanism == "police"


def test_a_limit_that_all_flows_share_is_found_although_no_flow_shows_it() -> None:
    """One bucket for all twelve originals, each direction: half of what they send passes."""
    built = a_round(Effect(trigger="none"), LINKS["default"], 6)
    originals = [x.outcome for x in built.exchanges if x.spec.arm.payload == "original"]
    for side in ("outward", "inward"):
        lanes = [getattr(outcome, side) for outcome in originals]
        packets = sorted((at, k, i) for k, lane in enumerate(lanes) for i, at in enumerate(lane.sent) if at is not None)
        tokens, last = 4000.0, packets[0][0]
        for at, k, i in packets:
            tokens, last = min(4000.0, tokens + (at - last) * 336 * 125), at
            if tokens < 140:
                lanes[k].received[i] = None
            elif lanes[k].received[i] is not None:
                tokens -= 140
    finding = mechanism.fit([built], "payload")
    assert finding.mechanism == "police"
    assert finding.rate_kbps == pytest.approx(336, rel=0.06)


@pytest.mark.parametrize("link", ["default", "weak"])
@pytest.mark.parametrize("share", [0.15, 0.4])
def test_loss_is_what_the_controls_do_not_lose_as_well(share: float, link: str) -> None:
    finding = fitted(Effect(loss=share, direction="in"), LINKS[link], 7)
    assert (finding.mechanism, finding.side) == ("loss", "in")
    assert finding.loss == pytest.approx(share, abs=0.03)
    assert finding.loss_interval is not None
    assert finding.loss_interval[0] <= share <= finding.loss_interval[1]


def test_a_delay_is_one_way_and_in_the_way_that_shows_it() -> None:
    finding = fitted(Effect(delay_ms=150, direction="out"), LINKS["mobile"], 8)
    assert (finding.mechanism, finding.side) == ("delay", "out")
    assert finding.delay_ms == pytest.approx(150, abs=5)


def in_order(lane: Lane, mean: float, deviation: float, rng: np.random.Generator) -> None:
    """Delays a lane's packets by chance, none before the one ahead of it, in place."""
    last = 0.0
    for i, (sent, got) in enumerate(zip(lane.sent, lane.received, strict=True)):
        if sent is not None and got is not None:
            last = max(last, sent + max(0.0, rng.normal(mean, deviation)))
            lane.received[i] = got + last - sent


@pytest.mark.parametrize("deviation", [0.0, 0.04, 0.08, 0.12])
def test_a_delay_is_a_mean_although_packets_that_are_late_hold_up_others(deviation: float) -> None:
    rng = np.random.default_rng(3)
    built = a_round(Effect(trigger="none"), LINKS["default"], 21)
    for exchange in built.exchanges:
        if exchange.spec.arm.payload == "original" and isinstance(exchange.outcome, DatagramOutcome):
            in_order(exchange.outcome.outward, 0.3, deviation, rng)
    finding = mechanism.fit([built], "payload")
    assert (finding.mechanism, finding.side) == ("delay", "out")
    assert finding.delay_ms == pytest.approx(300, abs=3 + 150 * deviation)
    assert finding.delay_ms_interval is not None
    assert finding.delay_ms_interval[0] <= 300 <= finding.delay_ms_interval[1]


def test_jitter_that_keeps_no_order_holds_nothing_up() -> None:
    rng = np.random.default_rng(4)
    built = a_round(Effect(trigger="none"), LINKS["default"], 22)
    for exchange in built.exchanges:
        if exchange.spec.arm.payload == "original" and isinstance(exchange.outcome, DatagramOutcome):
            lane = exchange.outcome.outward
            lane.received = [None if got is None else got + rng.normal(0.3, 0.04) for got in lane.received]
    assert mechanism.fit([built], "payload").delay_ms == pytest.approx(300, abs=3)


def test_few_losses_beside_a_delay_do_not_name_it() -> None:
    built = a_round(Effect(delay_ms=400, loss=0.04), LINKS["default"], 24)
    assert mechanism.fit([built], "payload").mechanism == "delay"
    built = a_round(Effect(delay_ms=150, loss=0.3), LINKS["default"], 25)
    assert mechanism.fit([built], "payload").mechanism == "loss"


@pytest.mark.parametrize(
    ("delay_ms", "loss", "expected"), [(180, 0.11, "delay"), (180, 0.15, "loss"), (120, 0.11, "loss")]
)
def test_of_losses_beside_a_delay_that_one_is_named_which_is_a_restriction(
    delay_ms: float, loss: float, expected: str
) -> None:
    """As the truth has it: 0.15 of loss, and then 150 ms (contracts.md)."""
    built = a_round(Effect(delay_ms=delay_ms, loss=loss), LINKS["default"], 26)
    assert mechanism.fit([built], "payload").mechanism == expected


def test_losses_that_are_no_restriction_do_not_name_a_delay_on_the_other_way() -> None:
    built = a_round(Effect(delay_ms=200, direction="out"), LINKS["default"], 27)
    rng = np.random.default_rng(5)
    for exchange in built.exchanges:
        if exchange.spec.arm.payload == "original" and isinstance(exchange.outcome, DatagramOutcome):
            lane = exchange.outcome.inward
            lane.received = [None if rng.random() < 0.1 else got for got in lane.received]
    assert mechanism.fit([built], "payload").mechanism == "delay"


def test_what_acts_on_a_port_is_fitted_by_port_and_apart_from_what_acts_on_bytes() -> None:
    built = voice_round(9, effect=Effect(trigger="port", loss=0.3), every=0.02)
    dropped = voice_round(9, effect=Effect(drop=True), every=0.02)
    for exchange, other in zip(built.exchanges, dropped.exchanges, strict=True):
        assert exchange.spec.arm == other.spec.arm
        if exchange.spec.arm.payload == "original":
            exchange.outcome = other.outcome
    assert mechanism.fit([built], "payload", "port").mechanism == "drop"
    by_port = mechanism.fit([built], "port", "payload")
    assert by_port.mechanism == "loss"
    assert by_port.loss == pytest.approx(0.3, abs=0.04)


def test_without_the_far_halfs_word_the_way_in_still_speaks() -> None:
    cases = ((Effect(drop=True), "drop"), (Effect(loss=0.3), "loss"), (Effect(after_packets=60), "drop-after"))
    for effect, expected in cases:
        built = voice_round(10, effect=effect, every=0.02, partner="lost")
        assert mechanism.fit([built], "payload").mechanism == expected


def test_a_round_stopped_early_does_not_mistake_what_is_under_way_for_a_cut() -> None:
    built = voice_round(11, effect=Effect(loss=0.3), every=0.02, seconds=2.5, rtt_ms=600)
    built.read_to = 2.5
    for exchange in built.exchanges:
        outcome = exchange.outcome
        assert isinstance(outcome, DatagramOutcome)
        end = exchange.started_at + 2.5
        inward = outcome.inward
        inward.received = [at if at is not None and at < end else None for at in inward.received]
    assert mechanism.fit([built], "payload").mechanism == "loss"


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        (Effect(wrong_answer=True), "dns"),
        (Effect(drop=True), "drop"),
    ],
)
def test_questions_are_forged_or_dropped(effect: Effect, expected: str) -> None:
    assert mechanism.fit([dns_round(12, effect=effect)], "payload").mechanism == expected


def test_where_nothing_differs_nothing_is_named() -> None:
    assert fitted(Effect(trigger="none"), LINKS["default"], 13).mechanism == "unknown"
    assert mechanism.fit([], "payload").mechanism == "unknown"
