"""A quiet round: a sequence of pairs, one original and one control side by side, and never more than two flows open.

Every start is drawn beforehand, and a pair's time is over, whatever became of it, before the next pair's begins. In
each pair one exchange goes to the app's port and one to another, and one is the original: two throws of a coin, apart
from each other, so that either label may be exchanged within its pair (`record.Round.drawn`). A pair is worth at most
two, however long it is; so calls are heard in full only as often as that needs.
"""

from collections.abc import Sequence

from ringback.flow import FormPlan
from ringback.record import Arm, Cell
from ringback.trial.cells import ENOUGH_WORKING, PATCHY, SUSPECT, CellTrial
from ringback.trial.control import Grant
from ringback.trial.plan import (
    CALLS,
    Chance,
    Length,
    Planned,
    Sizing,
    draw_ports,
    least_media_life,
    media_sizes,
    specs_of,
)
from ringback.verdict.arrivals import GRACE

FLOWS_OF_A_PAIR = 2
SPREAD = 0.1  # seconds within which a pair's two exchanges start
MARGIN = 0.05  # seconds from a pair's end to the next one's time
CALL_PAIRS = {"full": 4, "sample": 5}  # in a round, by its length
ALONE_PAIRS = {"full": 3, "sample": 5}  # likewise, where each call is alone
STREAM_PAIRS = 6  # likewise, of connections and of names: twelve exclude that every second one fails
NAME_SECONDS = 1.1  # a question, and its repetition after a second
EARLY_S = 3.0  # seconds of a call that a sample hears
EARLY_SUSPECT = 1.2  # e-value of those seconds from which samples are the way to more evidence
RETRY_S = 1.2  # seconds that a lost SYN costs (RFC 6298), and a little
TEXT_TRIPS = 15  # round trips of a whole exchange, with some to spare


def next_length(trial: CellTrial) -> Length:
    """Of the next round. What shows in a call's first seconds is pursued in samples of calls, what shows later in full
    ones. Where nothing shows, calls are heard in full until only those struck here and there remain to be excluded."""
    seen = trial.evidence
    if seen is None:
        return "full"
    if trial.early(EARLY_S) >= EARLY_SUSPECT:
        return "sample"
    others = [e for harm, e in seen.working.items() if harm != PATCHY]
    excluded = bool(others) and min(others) >= ENOUGH_WORKING
    return "sample" if excluded and seen.e_value <= SUSPECT else "full"


def draw_pairs(
    cell: Cell,
    plan: FormPlan,
    number: int,
    first_exchange: int,
    grant: Grant,
    random: Chance,
    size: Sizing,
    replay: str | None = None,
    length: Length = "full",
    alone: bool = False,
) -> Planned:
    """One quiet round of `plan.form`. Exchange numbers run from first_exchange. length: see `next_length`. alone: the
    two of a pair do not run side by side either, but one after the other."""
    count, seconds, checkpoints = _pair(cell, plan, size, length)
    if alone and plan.transport == "udp":
        count = ALONE_PAIRS[length]
    slot = pair_seconds(plan, seconds)
    on = draw_ports(plan, grant, random)
    starts: list[float] = []
    ports: list[str] = []
    for pair in range(count):
        if alone:
            starts += [(2 * pair + i) * slot + random.uniform(0.0, SPREAD) for i in range(2)]
        else:
            starts += sorted(pair * slot + random.uniform(0.0, SPREAD) for _ in range(2))
        ports += _thrown(("app", "other"), random) if "port" in plan.factors else ("app", "app")
    payloads = [payload for _ in range(count) for payload in _thrown(("original", "control"), random)]
    arms = [Arm(payload, port) for payload, port in zip(payloads, ports, strict=True)]  # type: ignore[arg-type]
    sizes = media_sizes(size) if cell.function == "media" and plan.transport == "tcp" else {}
    specs = specs_of(cell, plan, arms, first_exchange, on, seconds, sizes, replay)
    took = (2 if alone else 1) * count * slot
    return Planned(number, cell, plan.form, specs, starts, checkpoints, took, drawn="pairs")


def _thrown(labels: Sequence[str], random: Chance) -> list[str]:
    order = list(labels)
    random.shuffle(order)
    return order


def pair_seconds(plan: FormPlan, seconds: float) -> float:
    """From one pair's start to the next one's, where an exchange may take so many seconds."""
    return SPREAD + seconds + (GRACE if plan.transport == "udp" else 0.0) + MARGIN


def _pair(cell: Cell, plan: FormPlan, size: Sizing, length: Length) -> tuple[int, float, tuple[float, ...]]:
    """(pairs, seconds that an exchange may take, checkpoints) of a round."""
    if plan.form == "dns":
        return STREAM_PAIRS, NAME_SECONDS, (NAME_SECONDS,)
    if plan.transport == "udp":
        seconds, checkpoints = CALLS[length]
        return CALL_PAIRS[length], seconds, checkpoints
    if cell.function == "media":
        life = least_media_life(size)
    else:
        life = size.text_life if size.rtt is None else min(size.text_life, RETRY_S + TEXT_TRIPS * size.rtt)
    return STREAM_PAIRS, life, (life,)
