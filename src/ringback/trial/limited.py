"""Exchanges whose first packets die on the way: a call's opening that ends at a hop, then a control's tail.

Original and control have the same tail to the byte's size and time, so all that tells them apart is what the hops up to
the TTL have seen. The call is told three times as fast: what a device does within ten seconds shows within three.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence

import msgspec

from ringback.errors import BadInput
from ringback.flow.script import DatagramScript, Script, Send, StreamScript
from ringback.record import DatagramOutcome, ExchangeSpec, Lane

TAILED, BARE = "locate/", "opening/"  # before the form: an opening with a control's tail, an opening alone
TRACE = "trace"
FASTER = 3.0  # than the call itself
LONGEST = 30.0  # seconds of call that are rendered
TRIGGER_S = 0.5  # seconds of the exchange (1.5 of the call) and packets at most that carry the small TTL
TRIGGER_PACKETS = 12
FARTHEST = 30  # hops that a trace looks for
REPEATS = 3
TRACE_EVERY = 0.01  # seconds
TRACE_BYTES = 64


def is_limited(form: str) -> bool:
    """Whether `render` knows this form."""
    return form == TRACE or form.startswith((TAILED, BARE))


def render(spec: ExchangeSpec, seed: bytes, write: Callable[[ExchangeSpec], Script]) -> Script:
    """The script of a locating exchange or of a trace. write: renders an exchange of the form that is limited.

    All datagrams are timed, none is a reply: what answers a packet that never arrives would tell the arms apart.
    Raises BadInput for a tail to a form that is no call's and for more than LONGEST seconds of it.
    """
    if spec.form == TRACE:
        return _trace(spec, seed)
    if spec.form.startswith(BARE):
        return _bare(write(msgspec.structs.replace(spec, form=spec.form.removeprefix(BARE))), spec.seconds)
    seconds = spec.seconds * FASTER
    if seconds > LONGEST:
        raise BadInput(f"more than {LONGEST:g} s of a call", "exchange spec")
    call = msgspec.structs.replace(spec, form=spec.form.removeprefix(TAILED), seconds=seconds)
    opening = write(call)
    rest = write(msgspec.structs.replace(call, arm=msgspec.structs.replace(spec.arm, payload="control")))
    if not isinstance(opening, DatagramScript) or not isinstance(rest, DatagramScript):
        raise BadInput(f"`{call.form}` is no call", "exchange spec")
    n = trigger_length([send.at / FASTER for send in rest.near])
    begins = rest.near[n].at if n < len(rest.near) else seconds
    near = _timed((*opening.near[:n], *rest.near[n:]))
    return DatagramScript(near, _timed(send for send in rest.far if send.at >= begins), spec.seconds)


def _timed(sends: Iterable[Send]) -> tuple[Send, ...]:
    return tuple(Send(send.at / FASTER, send.data) for send in sends)


def _bare(whole: Script, seconds: float) -> Script:
    """A stream that waits for its first answer, or the datagrams that the near side says first."""
    if not isinstance(whole, DatagramScript):
        return StreamScript(whole.turns, seconds)
    near = [send for send in whole.near if send.after is None and send.at < seconds][:TRIGGER_PACKETS]
    return DatagramScript(tuple(Send(send.at, send.data) for send in near), (), seconds)


def _trace(spec: ExchangeSpec, seed: bytes) -> DatagramScript:
    number = spec.number.to_bytes(4, "big")
    count = FARTHEST * REPEATS
    free = hashlib.shake_128(seed + b"trace" + number).digest(count * TRACE_BYTES)
    near = tuple(Send(TRACE_EVERY * i, free[i * TRACE_BYTES : (i + 1) * TRACE_BYTES]) for i in range(count))
    return DatagramScript(near, (), spec.seconds)


def trigger_length(scheduled: Sequence[float]) -> int:
    """How many of the near side's packets, whose times these are, carry the small TTL."""
    return min(TRIGGER_PACKETS, sum(at < TRIGGER_S for at in scheduled))


def ttls(form: str, ttl: int | None, script: Script) -> tuple[int | None, ...]:
    """The IP TTL of each near packet, None for the usual one; of a stream that of all it writes. () for usual ones."""
    if not is_limited(form):
        return ()
    if form == TRACE and ttl is None:
        return tuple(range(1, FARTHEST + 1)) * REPEATS
    if not isinstance(script, DatagramScript):
        return (ttl,)
    if form == TRACE or form.startswith(BARE):
        return (ttl,) * len(script.near)
    n = trigger_length([send.at for send in script.near])
    return (ttl,) * n + (None,) * (len(script.near) - n)


def tail(outcome: DatagramOutcome) -> DatagramOutcome:
    """The outcome without the packets that were never to arrive."""
    lane = outcome.outward
    n = trigger_length(lane.scheduled)
    rest = Lane(lane.scheduled[n:], lane.sizes[n:], lane.sent[n:], lane.received[n:], lane.duplicates, lane.corrupted)
    return msgspec.structs.replace(outcome, outward=rest)


def hops_of(traces: Sequence[DatagramOutcome]) -> int | None:
    """Hops of the path: one less than the smallest TTL with which a trace's packet came through. None where none did.

    Only the far end's word counts, so it does not matter whether routers answer. If all of a TTL were lost it is too
    many, which costs a search time and leads it nowhere else.
    """
    arrived = [1 + i % FARTHEST for trace in traces for i, at in enumerate(trace.outward.received) if at is not None]
    return min(arrived) - 1 if arrived else None
