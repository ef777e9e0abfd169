"""Whether a rule that acts on a cell is strong enough to be scored, and whether a link alone leaves it unusable.

The bounds are those of the contracts' "Truth"; a kB there is 1,024 bytes where it bounds a cut-off, so that both
readings of "64 kB" are scored, and 1,000 bytes where it bounds a burst, as in the scenario file.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping

import msgspec

from ringback.catalogue import App
from ringback.flow import DatagramScript, render
from ringback.lab.rules import Action, Link, Rule, Way
from ringback.record import Arm, ExchangeSpec
from ringback.verdict.quality import link_mos

REACHED_S = 10.0  # a cut-off must come within so many seconds of one call
HEADERS = 28  # IPv4 and UDP
UDP_HEADER = 8
SEGMENT = 1500  # bytes of the largest packet
STOPPING = ("drop", "reset", "icmp", "nxdomain", "forge", "corrupt")


class Call(msgspec.Struct, frozen=True):
    """One call's first ten seconds: kbit/s of IP packets away from and towards the participant; packets, and bytes of
    IP payload, both ways together."""

    out_kbps: float
    in_kbps: float
    packets: int
    bytes: int

    def kbps(self, way: Way) -> float:
        """The rate of the direction acted on; the higher where both are."""
        return {"out": self.out_kbps, "in": self.in_kbps, "both": max(self.out_kbps, self.in_kbps)}[way]


@functools.cache
def call_of(app: str, function: str, form: str, port: int, direction: str) -> Call:
    """Measured on a rendered exchange of the form."""
    arm = Arm("original", "app")
    spec = ExchangeSpec(1, app, function, direction, None, form, arm, "udp", port, REACHED_S + 0.5)
    script = render(spec, bytes(32))
    assert isinstance(script, DatagramScript)
    near = [len(send.data) for send in script.near if send.at <= REACHED_S]
    far = [len(send.data) for send in script.far if send.at <= REACHED_S]
    rates = [8 * sum(size + HEADERS for size in sizes) / REACHED_S / 1000 for sizes in (near, far)]
    both = near + far
    return Call(rates[0], rates[1], len(both), sum(both) + UDP_HEADER * len(both))


def voice(action: Action, way: Way, call: Call) -> bool:
    if action.kind == "drop-after":
        return (action.packets or 0) < call.packets if action.packets else (action.bytes or 0) < call.bytes
    rate = call.kbps(way)
    limited = (action.kbps or 0.0) < 0.8 * rate
    tests: Mapping[str, bool] = {
        "loss": (action.share or 0.0) >= 0.15,
        "delay": (action.ms or 0.0) >= 150,
        "police": limited and (action.burst_kbytes or 0.0) * 8 <= (rate - (action.kbps or 0.0)) * 5,
        "shape": limited,
    }
    return action.kind in ("drop", "icmp", "corrupt") or tests.get(action.kind, False)


def media(action: Action, way: Way, link: Link) -> bool:
    if action.kind == "drop-after":
        return (action.bytes or (action.packets or 0) * (SEGMENT - 20)) <= 64 * 1024
    carried = link.up_kbps if way == "out" else link.down_kbps
    limited = (action.kbps or 0.0) <= 1000 and (action.kbps or 0.0) < carried / 2
    tests: Mapping[str, bool] = {
        "loss": (action.share or 0.0) >= 0.15,
        "police": limited and (action.burst_kbytes or 0.0) <= 32,
        "shape": limited,
    }
    return action.kind in STOPPING or tests.get(action.kind, False)


def text(action: Action) -> bool:
    if action.kind == "drop-after":
        return (action.packets or math.inf) <= 10 or (action.bytes or math.inf) <= 4 * 1024
    limited = (action.kbps or 0.0) < 16
    tests: Mapping[str, bool] = {
        "loss": (action.share or 0.0) >= 0.30,
        "delay": (action.ms or 0.0) >= 2000,
        "police": limited and (action.burst_kbytes or 0.0) <= 2,
        "shape": limited,
    }
    return action.kind in STOPPING or tests.get(action.kind, False)


# -- what a match leaves blocked --------------------------------------------------------------------------------

LEAST_BLOCK_S = 1.0  # a shorter one is a gap that calls and streams get over
EXCHANGED: Mapping[str, tuple[int, int]] = {"text": (12, 4_000), "media": (120, 150_000)}  # packets, bytes
EVERY_PACKET = ("delay", "shape", "corrupt")


def blocks(rule: Rule, function: str, call: Call | None) -> bool:
    """Whether the rule's own matches leave an exchange blocked where its action would let it go on: `residual_s` after
    the first packet that the action was applied to. An action that stops the flow by itself is none of these.
    call: of voice, and of what a VPN carries; else None."""
    action = rule.action
    if rule.residual_s < LEAST_BLOCK_S:
        return False
    packets, size = EXCHANGED[function] if call is None else (call.packets, call.bytes)
    if action.kind == "police":
        slower = call is None or (action.kbps or 0.0) < call.kbps(rule.direction)
        return slower and size > 1000 * (action.burst_kbytes or 0.0)
    if action.kind == "corrupt" and call is None:
        return False  # the opening arrives changed before anything is blocked
    return action.kind in EVERY_PACKET or (action.share or 0.0) * packets >= 1


# -- the link alone ---------------------------------------------------------------------------------------------

LEAST_MOS, LEAST_KBPS, MOST_FAILURES = 2.5, 200.0, 0.2
MSS, LEAST_RTO_S = 1460, 0.2
SHORT_AND_SACK, COLLAPSE_AT, COLLAPSE_STEEPNESS = 4.0, 0.4, 6
HELLO_STEPS = 2  # opening and its answer
SYN_TIMES, DATA_TIMES = 4, 5  # sendings of one packet within ten seconds: 0, 1, 3, 7 s, and 0.2 s doubled


def voice_unusable(link: Link, app: App, call: Call) -> bool:
    """MOS of a control under 2.5. A link slower than the call loses the excess and keeps its queue full."""
    rate = min(link.up_kbps / call.out_kbps, link.down_kbps / call.in_kbps)
    loss = 1 - (1 - link.loss) * min(1.0, rate)
    rtt = link.rtt_ms + (link.queue_ms if rate < 1 else 0.0)
    return link_mos(rtt, link.jitter_ms, loss, link.loss_burst, app.quality) < LEAST_MOS


def media_unusable(link: Link) -> bool:
    """An upload or a download under 200 kbit/s, for pictures are sent as well as received: the link's rate less half of
    the competing traffic, or what TCP reaches under its loss, whichever is less."""
    free = max(min(link.up_kbps, link.down_kbps) - link.cross_kbps / 2, 0.0) * MSS / SEGMENT
    return min(free, _tcp_kbps(link)) < LEAST_KBPS


def _tcp_kbps(link: Link) -> float:
    """What a download of 150 kB reaches (Padhye et al., Modeling TCP Throughput, 1998, equation 30, a burst as one loss
    event), with two corrections fitted to medians of the simulator's TCP at 3 to 50 % of loss, bursts of 1 to 8 and
    round trips of 40 and 120 ms: SACK and a short transfer make it four times faster, and where a burst takes a whole
    window again and again it collapses. Within a factor of two of those medians, but for bursts of 8."""
    p = link.loss / max(link.loss_burst, 1.0)
    if p == 0:
        return math.inf
    rtt = max(link.rtt_ms, 1.0) / 1000
    timeout = max(LEAST_RTO_S, rtt + 4 * link.jitter_ms / 1000)
    acked = 2  # segments an acknowledgement
    recovering = rtt * math.sqrt(2 * acked * p / 3)
    waiting = timeout * min(1.0, 3 * math.sqrt(3 * acked * p / 8)) * p * (1 + 32 * p * p)
    collapse = 1 + (link.loss * math.sqrt(link.loss_burst) / COLLAPSE_AT) ** COLLAPSE_STEEPNESS
    return SHORT_AND_SACK * MSS * 8 / 1000 / (recovering + waiting) / collapse


def text_unusable(link: Link) -> bool:
    """Setup fails in over 20 % of tries: handshake, opening or answer lost as often as it can be sent in ten seconds.
    A burst outlasts packets, not time: a retransmission is the link's next packet and so meets the same burst."""
    p = link.loss
    again = max(p, 1 - 1 / max(link.loss_burst, 1.0))
    either, either_again = 1 - (1 - p) ** 2, 1 - (1 - again) * (1 - p)
    no_handshake = either * max(either, either_again) ** (SYN_TIMES - 1)
    no_step = p * again ** (DATA_TIMES - 1)
    return 1 - (1 - no_handshake) * (1 - no_step) ** HELLO_STEPS > MOST_FAILURES


def link_under(action: Action, way: Way, link: Link, call: Call) -> Link:
    """The link as a call meets it where a rule acts on everything: the rule's harm added to the link's own. Its
    queue is the longest that the call fills, either way."""
    ways = 2 if way == "both" else 1
    share = action.share or 0.0
    if action.kind == "drop-after":
        passed, sent = (action.packets, call.packets) if action.packets else (action.bytes or 0, call.bytes)
        share = max(0.0, 1 - passed / sent)
    rate = action.kbps or math.inf
    up = link.up_kbps if way == "in" else min(link.up_kbps, rate)
    down = link.down_kbps if way == "out" else min(link.down_kbps, rate)
    queue_ms = 0.0 if action.kind == "police" else action.queue_ms  # a policer keeps nothing waiting
    if queue_ms is None:
        queue_ms = link.queue_ms
    filled = [  # the rule's own where it is narrower than the link, and else the link's
        queue_ms if narrowed < own else link.queue_ms
        for narrowed, own, needed in ((up, link.up_kbps, call.out_kbps), (down, link.down_kbps, call.in_kbps))
        if narrowed < needed
    ]
    return dataclasses.replace(
        link,
        loss=1 - (1 - link.loss) * (1 - share),
        loss_burst=link.loss_burst if share == 0 else 1.0,
        rtt_ms=link.rtt_ms + ways * (action.ms or 0.0),
        jitter_ms=math.hypot(link.jitter_ms, action.jitter_ms or 0.0),
        up_kbps=up,
        down_kbps=down,
        queue_ms=max(filled, default=link.queue_ms),
    )
