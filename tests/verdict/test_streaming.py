"""Streams over the simulator's TCP, through a box that does one thing to a flow once it has seen payload."""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import pytest

from ringback.flow.script import StreamScript, Turn
from ringback.record import StreamOutcome
from ringback.sim.link import LinkParameters
from ringback.sim.net import SimNet, SimPath
from ringback.sim.packet import RST, TCP, Packet, Passage
from ringback.sim.world import World
from ringback.trial.seam import Accepted, Command, Connected, Delivered, Ended, Event, Open
from ringback.trial.streams import FarStream, NearStream
from ringback.verdict import streaming
from ringback.verdict.finding import Finding
from tests.sim.hands import HERE, PEER, ROUTERS, HandEnd

TEXT = ((True, 517), (False, 3000), (True, 400), (False, 600), (True, 1500), (False, 2500))
MEDIA = ((True, 517), (False, 3500), (True, 300), (False, 400_000))
LINKS = {
    "default": LinkParameters(),
    "mobile": LinkParameters(rtt_ms=60, jitter_ms=10, loss=0.02, loss_burst=6),
    "wifi": LinkParameters(rtt_ms=10, jitter_ms=2, loss=0.01, loss_burst=1),
}
Does = tuple[str, Mapping[str, float]]


class Striking:
    """What an operator's box does to one flow; `does` names the action and its numbers."""

    def __init__(self, does: Does, rng: np.random.Generator) -> None:
        self.kind, self.number = does
        self.rng = rng
        self.recognised = False
        self.packets = 0
        self.bytes = 0
        self.tokens = {True: self.number.get("burst", 0.0), False: self.number.get("burst", 0.0)}
        self.last = {True: 0.0, False: 0.0}
        self.free = {True: 0.0, False: 0.0}

    def packet(self, packet: Packet, outward: bool, now: float) -> tuple[Passage, ...]:
        self.packets += 1
        self.bytes += packet.size - 20
        self.recognised |= bool(packet.payload)
        passes = ((now, packet, outward),)
        return getattr(self, self.kind)(packet, outward, now, passes) if self.recognised else passes

    def nothing(self, packet, outward, now, passes):
        return passes

    def drop(self, packet, outward, now, passes):
        return ()

    def reset(self, packet, outward, now, passes):
        if not outward:
            return ()
        return ((now, Packet(TCP, PEER, 443, HERE, packet.sport, b"", 40, 64, packet.ack, 0, RST), False),)

    def loss(self, packet, outward, now, passes):
        return () if self.rng.random() < self.number["share"] else passes

    def after_packets(self, packet, outward, now, passes):
        return passes if self.packets <= self.number["n"] else ()

    def after_bytes(self, packet, outward, now, passes):
        return passes if self.bytes <= self.number["n"] else ()

    def delay(self, packet, outward, now, passes):
        return ((now + self.number["ms"] / 1000, packet, outward),)

    def police(self, packet, outward, now, passes):
        fresh = (now - self.last[outward]) * self.number["kbps"] * 125
        self.tokens[outward] = min(self.number["burst"], self.tokens[outward] + fresh)
        self.last[outward] = now
        if self.tokens[outward] < packet.size:
            return ()
        self.tokens[outward] -= packet.size
        return passes

    def shape(self, packet, outward, now, passes):
        start = max(self.free[outward], now)
        if start - now > self.number["queue_ms"] / 1000:
            return ()
        self.free[outward] = start + packet.size / (self.number["kbps"] * 125)
        return ((self.free[outward], packet, outward),)


def exchange(seed: int, does: Does, sizes: Sequence[tuple[bool, int]], link: LinkParameters) -> StreamOutcome:
    """One exchange from its start to its end or its timeout, as the engine would record it."""
    rng = np.random.default_rng(seed)
    script = StreamScript(tuple(Turn(by_near, rng.bytes(n)) for by_near, n in sizes), 10.0 if sizes is TEXT else 20.0)
    near, far = NearStream(1, 443, 0.0, script), FarStream(1, 443, script)

    def participant(event: Event, now: float) -> Sequence[Command]:
        if isinstance(event, Connected):
            return near.connect(event)
        if isinstance(event, Delivered):
            return near.deliver(event)
        return near.end(event) if isinstance(event, Ended) else ()

    def peer(event: Event, now: float) -> Sequence[Command]:
        if isinstance(event, Accepted):
            far.begin(event.flow, now)
        if isinstance(event, Delivered):
            return far.deliver(event.data, event.at)
        return ()

    ends = HandEnd([Open(1, "tcp", PEER, 443, "direct")], participant, lambda end: near.over), HandEnd(rule=peer)
    net = SimNet(HERE, PEER, {"direct": SimPath(link, ROUTERS, {2: Striking(does, rng)})})
    World(*ends, net, seed).run(until=script.timeout)
    if not near.over:
        near.expire(script.timeout)
    outcome = near.outcome()
    outcome.up_received, outcome.up_arrivals = far.got, far.arrivals
    outcome.partner = "reported"
    return outcome


NOTHING: Does = ("nothing", {})
CASES: dict[str, list[tuple[str, Does]]] = {
    "text": [
        ("drop", ("drop", {})),
        ("reset", ("reset", {})),
        ("drop-after", ("after_packets", {"n": 10})),
        ("drop-after", ("after_bytes", {"n": 4000})),
        ("police", ("police", {"kbps": 14, "burst": 2000})),
        ("police", ("police", {"kbps": 10, "burst": 1600})),
        ("shape", ("shape", {"kbps": 14, "queue_ms": 800})),
        ("shape", ("shape", {"kbps": 15, "queue_ms": 3000})),
        ("loss", ("loss", {"share": 0.35})),
        ("delay", ("delay", {"ms": 2000})),
        ("delay", ("delay", {"ms": 700})),
    ],
    "media": [
        ("drop", ("drop", {})),
        ("reset", ("reset", {})),
        ("drop-after", ("after_bytes", {"n": 64_000})),
        ("drop-after", ("after_bytes", {"n": 20_000})),
        ("drop-after", ("after_packets", {"n": 40})),
        ("police", ("police", {"kbps": 1000, "burst": 32_000})),
        ("police", ("police", {"kbps": 256, "burst": 20_000})),
        ("shape", ("shape", {"kbps": 800, "queue_ms": 200})),
        ("shape", ("shape", {"kbps": 200, "queue_ms": 400})),
        ("loss", ("loss", {"share": 0.15})),
        ("loss", ("loss", {"share": 0.25})),
        ("delay", ("delay", {"ms": 250})),
    ],
}
SHAPES = {"text": TEXT, "media": MEDIA}


def run(name: str, does: Does, link: LinkParameters, first: int, count: int = 12) -> list[StreamOutcome]:
    return [exchange(first + i, does, SHAPES[name], link) for i in range(count)]


def fitted(name: str, does: Does, link: str = "default", first: int = 9000) -> Finding:
    return streaming.fit(run(name, does, LINKS[link], first), run(name, NOTHING, LINKS[link], first + 500))


def test_mechanisms_are_told_apart_over_strengths_and_links() -> None:
    confusion: dict[str, Counter[str]] = {}
    wrong: list[str] = []
    for name, cases in CASES.items():
        for link_name, link in LINKS.items():
            spared = run(name, NOTHING, link, 7000)
            for i, (truth, does) in enumerate(cases):
                named = streaming.fit(run(name, does, link, 1000 + 100 * i), spared).mechanism
                confusion.setdefault(truth, Counter())[named] += 1
                if named != truth:
                    wrong.append(f"{name} on {link_name}, {does}: {named}")
    for truth, named_counts in confusion.items():
        print(f"{truth:>10}: {dict(named_counts)}")
    macro = float(np.mean([named[truth] / named.total() for truth, named in confusion.items()]))
    print(f"macro-averaged {macro:.3f}", *wrong, sep="\n")
    assert macro >= 0.95


@pytest.mark.parametrize("limit", [20_000, 64_000])
def test_a_download_that_stops_says_after_how_many_bytes(limit: int) -> None:
    finding = fitted("media", ("after_bytes", {"n": limit}))
    assert finding.after_bytes == pytest.approx(limit, rel=0.1)
    assert finding.after_bytes_interval is not None
    assert finding.after_bytes_interval[0] <= limit <= finding.after_bytes_interval[1]


def test_a_stream_that_stops_after_packets_says_about_how_many() -> None:
    finding = fitted("media", ("after_packets", {"n": 40}))
    assert finding.after_packets_interval is not None
    assert finding.after_packets_interval[0] <= 40 <= finding.after_packets_interval[1]


@pytest.mark.parametrize(
    ("name", "does", "tolerance"),
    [
        ("media", ("police", {"kbps": 256, "burst": 20_000}), 0.15),
        ("media", ("police", {"kbps": 1000, "burst": 32_000}), 0.15),
        ("media", ("shape", {"kbps": 800, "queue_ms": 200}), 0.03),
        ("text", ("shape", {"kbps": 14, "queue_ms": 800}), 0.1),
    ],
)
def test_a_limits_own_rate_is_found(name: str, does: Does, tolerance: float) -> None:
    assert fitted(name, does).rate_kbps == pytest.approx(does[1]["kbps"], rel=tolerance)


@pytest.mark.parametrize("name", ["text", "media"])
def test_a_delay_is_given_one_way(name: str) -> None:
    assert fitted(name, ("delay", {"ms": 600})).delay_ms == pytest.approx(600, rel=0.05)


@pytest.mark.parametrize("ms", [3600, 4500])
def test_a_delay_that_outlasts_the_try_is_told_by_when_the_opening_came(ms: float) -> None:
    """The answer to an opening that took so long comes after the end."""
    struck = [unanswered(s, ms / 1000) for s in run("text", NOTHING, LINKS["default"], 9100)]
    spared = [timed(s, 0.0) for s in run("text", NOTHING, LINKS["default"], 9600)]
    finding = streaming.fit(struck, spared)
    assert finding.mechanism == "delay"
    assert finding.delay_ms == pytest.approx(ms, rel=0.02)


def timed(stream: StreamOutcome, late: float) -> StreamOutcome:
    """With when the opening came, by the far end's clock, half a round trip and `late` after the handshake, s."""
    assert stream.connected is not None
    return msgspec.structs.replace(stream, up_first=1.5 * stream.connected + late)


def unanswered(stream: StreamOutcome, late: float) -> StreamOutcome:
    """The try as it were, had its opening been late by so much that no answer came before its end."""
    silent = msgspec.structs.replace(
        stream, arrivals=[], finished=None, failure="generic_timeout_error", failed_at=1.9 * late, up_received=517,
        up_arrivals=stream.up_arrivals[:1],
    )  # fmt: skip
    return timed(silent, late)


@pytest.mark.parametrize("packets", [8, 9, 10])
def test_small_turns_count_as_packets_of_their_own(packets: int) -> None:
    turns = ((True, 108), (False, 96), (True, 64), (False, 500), (True, 700), (False, 2500))
    struck = [exchange(40 + i, ("after_packets", {"n": packets}), turns, LINKS["default"]) for i in range(8)]
    spared = [exchange(80 + i, NOTHING, turns, LINKS["default"]) for i in range(8)]
    finding = streaming.fit(struck, spared)
    assert finding.mechanism == "drop-after"
    assert finding.after_packets_interval is not None
    assert finding.after_packets_interval[0] <= packets <= finding.after_packets_interval[1]


@pytest.mark.parametrize("share", [0.15, 0.25])
def test_the_loss_that_slows_a_download_is_found_to_within_a_factor(share: float) -> None:
    finding = fitted("media", ("loss", {"share": share}))
    assert finding.loss == pytest.approx(share, rel=0.5)
    assert finding.loss_interval is not None
    assert finding.loss_interval[0] <= share <= finding.loss_interval[1]


def test_bytes_that_differ_are_corruption_and_no_streams_are_unknown() -> None:
    struck = [StreamOutcome(connected=0.1, unexpected=True, arrivals=[(0.2, 100)], down_expected=100) for _ in range(5)]
    assert streaming.fit(struck, [StreamOutcome(connected=0.1, finished=0.2)] * 5).mechanism == "corrupt"
    assert streaming.fit([], []).mechanism == "unknown"
    alike = run("text", NOTHING, LINKS["default"], 1)
    assert streaming.fit(alike, alike).mechanism == "unknown"
