"""How much the access link carries, roughly: a train of full-size datagrams each way, before anything is measured.

It only sizes rounds (fewer flows, smaller downloads); nothing is concluded from it. Rate by dispersion of the train
(Dovrolis et al., Packet-dispersion techniques, 2004): loss thins a train but hardly stretches it.
"""

import hashlib

from ringback.flow.script import DatagramScript, Script, Send, StreamScript, Turn
from ringback.record import DatagramOutcome, ExchangeSpec, Lane

FORM = "probe"
KNOCK = "knock"  # a short stream over each path: a TCP handshake proves the address that its datagrams will come from
KNOCK_BYTES = 64
KNOCK_SECONDS = 4.0
TRAIN = 40
SIZE = 1200  # bytes of payload
REPLY_AT = 0.8  # seconds: the train back starts after the one out has drained from a slow link


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
    """kbit/s of IP packets at which the train arrived; None with fewer than 5 arrivals."""
    arrived = sorted(t for t in lane.received if t is not None)
    if len(arrived) < 5:
        return None
    seconds = max(arrived[-1] - arrived[0], 1e-4)
    return (len(arrived) - 1) * (SIZE + 28) * 8 / seconds / 1000


def link(outcome: DatagramOutcome) -> tuple[float | None, float | None]:
    """(up, down) in kbit/s."""
    return rate_kbps(outcome.outward), rate_kbps(outcome.inward)
