"""How much the access link carries, roughly: a train of full-size datagrams each way, before anything is measured.

It only sizes rounds (fewer flows, smaller downloads); nothing is concluded from it. Rate by dispersion of the train
(Dovrolis et al., Packet-dispersion techniques, 2004): loss thins a train but hardly stretches it.
"""

import hashlib
from collections.abc import Sequence

from ringback.flow.script import DatagramScript, Script, Send, StreamScript, Turn
from ringback.record import Arm, Cell, DatagramOutcome, ExchangeSpec, Lane, Round, StreamOutcome, Transport
from ringback.trial.plan import CALL_KBPS, Patience, Planned, Sizing, sizing
from ringback.verdict import transfers

FORM = "probe"
KNOCK = "knock"  # a short stream over each path: a TCP handshake proves the address that its datagrams will come from
KNOCK_BYTES = 64
KNOCK_SECONDS = 4.0
TRAIN = 40
SIZE = 1200  # bytes of payload
SECONDS = 2.0
INITIAL_RTO_S = 1.0  # RFC 6298
MOST_PATIENCE = Patience(media=4.0, text=2.0)  # text fails after ten seconds in any case
FASTEST = 0.9  # of a series' transfers are slower than what is taken for the link's rate
HURRIED = 1 / 10  # of a series' controls: not over in time once connected; so much longer at most
REPLY_AT = 0.8  # seconds: the train back starts after the one out has drained from a slow link


def planned(number: int, exchange: int, form: str, transport: Transport, port: int, path: str) -> Planned:
    """The round of one train (FORM) or one knock (KNOCK) over a path."""
    arm = Arm("control", "other")
    spec = ExchangeSpec(exchange, "probe", "probe", None, None, form, arm, transport, port, SECONDS)
    return Planned(number, Cell("probe", "probe", path=path), form, [spec], [0.0], (SECONDS,), SECONDS)


def render(spec: ExchangeSpec, seed: bytes) -> Script:
    """Both ends' trains, or the knock and its answer, from the session's seed."""
    if spec.form == KNOCK:
        free = hashlib.shake_128(seed + b"knock" + spec.number.to_bytes(4, "big")).digest(2 * KNOCK_BYTES)
        return StreamScript((Turn(True, free[:KNOCK_BYTES]), Turn(False, free[KNOCK_BYTES:])), KNOCK_SECONDS)
    stream = hashlib.shake_128(seed + b"probe" + spec.number.to_bytes(4, "big")).digest(2 * TRAIN * SIZE)
    chunks = [stream[i * SIZE : (i + 1) * SIZE] for i in range(2 * TRAIN)]
    near = tuple(Send(0.0005 * i, chunk) for i, chunk in enumerate(chunks[:TRAIN]))
    far = tuple(Send(REPLY_AT + 0.0005 * i, chunk) for i, chunk in enumerate(chunks[TRAIN:]))
    return DatagramScript(near, far, REPLY_AT + 1.2)


def rate_kbps(lane: Lane) -> float | None:
    """kbit/s of IP packets at which the train arrived; None with fewer than two arrivals. A slow link's buffer holds no
    more of a train than two or three, and what it is then told is its rate all the same."""
    arrived = sorted(t for t in lane.received if t is not None)
    if len(arrived) < 2:
        return None
    seconds = max(arrived[-1] - arrived[0], 1e-4)
    return (len(arrived) - 1) * (SIZE + 28) * 8 / seconds / 1000


def _fastest_kbps(streams: Sequence[StreamOutcome], way: str) -> float | None:
    """kbit/s that hardly any of the transfers this way exceeds: they share the link, and some lose packets."""
    ended = [one.steady_kbps for s in streams if (one := transfers.WAYS[way](s)) is not None]
    known = sorted(kbps for kbps in ended if kbps is not None)
    return known[int(FASTEST * (len(known) - 1))] if known else None


class Link:
    """What is known of the first path's access link. Rates in kbit/s, by the train, or where none came through by what
    transfers had of it; round trip in seconds; None while unknown.
    patience: how much longer streams take than the link's size and round trip ask for, for losses and other traffic.
    """

    def __init__(self) -> None:
        self.up: float | None = None
        self.down: float | None = None
        self.rtt: float | None = None
        self.patience = Patience()

    def take(self, seen: Round, first_path: str) -> None:
        """A train, or a knock, is over."""
        outcome = seen.exchanges[0].outcome
        if isinstance(outcome, DatagramOutcome):
            self.up, self.down = rate_kbps(outcome.outward), rate_kbps(outcome.inward)
        elif seen.cell.path == first_path:
            self.rtt = outcome.connected
            if self.rtt is not None and self.rtt > INITIAL_RTO_S:  # a lost SYN, sooner than such a round trip
                self.rtt -= INITIAL_RTO_S

    def fared(self, function: str, series: Sequence[Round], patience: float) -> None:
        """A series of media or text is over that was begun with so much patience. A transfer that is cut short says
        nothing of losses and little of rates, so where many controls were, the next ones may take twice as long. A
        network that lets no train through leaves the link's rates to the first transfers."""
        controls = [x.outcome for each in series for x in each.exchanges if x.spec.arm.payload == "control"]
        streams = [o for o in controls if isinstance(o, StreamOutcome) and o.connected is not None]
        self.up, self.down = self.up or _fastest_kbps(streams, "out"), self.down or _fastest_kbps(streams, "in")
        unfinished = [o.finished is None for o in streams]
        hurried = sum(unfinished) > HURRIED * len(unfinished)
        if hurried and patience == self.patience.of(function):
            self.patience = self.patience._replace(**{function: min(MOST_PATIENCE.of(function), 2 * patience)})

    def sizing(self, faster: float = 1.0) -> Sizing:
        """What it bears; of calls that are told so much faster than the app's."""
        return sizing(self.up, self.down, faster * CALL_KBPS, self.rtt)
