"""The contrast of destinations: the app's own relays and hosts, here and from the vantage, beside neutral hosts here.

Its null (all destinations alike) is false by nature, so it accuses only where, of some quantity, the vantage's lower
95 % bound lies above this network's upper bound, at least 0.9 answer at the vantage, the neutral hosts answer here,
and the app's upper bound here lies below the neutral hosts' lower 99 % bound here; both by a margin where quantities
are so well known that nature's own differences would show. Alpha does not cover it.

Like is compared with like only: names with names, trains as long as calls with such, streams with streams. What each
kind is counted by stands in `COUNTS`; any of them may accuse. A delay is accused where the way to the app's host is
longer than the way there by way of the partner, which nature keeps to, and than neutral hosts make expect.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from ringback.record import Cell, Trigger, Try
from ringback.verdict import tried
from ringback.verdict.finding import RANK, Finding
from ringback.verdict.shares import Share
from ringback.verdict.tried import flows, good, group, pings, prompt, through

AT_VANTAGE = 0.9
NEUTRAL_HERE = 0.5
NEUTRAL_CONFIDENCE = 0.99  # the link's own loss strikes both, and often: what guards against it is strict
MIN_DOWN = 3  # silent tries on each side that make a service down
ANSWERS = 0.9
MIN_DELAY_MS: Mapping[str, float] = {"voice": 100.0, "outer": 100.0, "text": 1333.0}
"""Two thirds of the one-way delay that makes each unusable; other functions suffer no delay."""

SLOW = ("loss", "drop-after", "police", "shape")

FUNCTIONS_OF_AN_APP = 2  # at least, whose own hosts are silent, before the whole app counts as down

Outcome = Literal["accuses", "down", "agrees", "undecided"]


@dataclass(frozen=True)
class Counted:
    """A share by which one kind of tries is compared. margin: between bounds, at least. confidence: of the neutral
    hosts' bound."""

    share: Callable[[Sequence[Try], float], Share]
    margin: float = 0.0
    confidence: float = NEUTRAL_CONFIDENCE


ANSWERED = Counted(flows)
LOST = Counted(pings, margin=0.10)  # two thirds of the loss that makes calls unusable
THROUGH = Counted(through)
PROMPT = Counted(prompt, margin=0.10, confidence=0.999)
"""One lost packet in a dozen makes a stream late, on any link: it takes most of them to accuse."""

FORM_PROMPT = Counted(prompt, margin=0.20, confidence=0.999)

COUNTS: Mapping[str, tuple[Counted, ...]] = {
    "udp": (ANSWERED, LOST),
    "train": (LOST,),  # whether a flow is answered at all is told by the short ones
    "tcp": (ANSWERED, THROUGH, PROMPT),
    "form": (ANSWERED, THROUGH, FORM_PROMPT),  # streams of one form among several
    "dns": (ANSWERED, LOST),
}


@dataclass(frozen=True)
class Contrast:
    """accuses: the app's hosts are restricted here. down: they answer nowhere. agrees: they answer here as elsewhere.
    undecided: too little was tried, or the bounds overlap."""

    outcome: Outcome
    finding: Finding
    trigger: Trigger | None = None


UNDECIDED = Contrast("undecided", Finding("none"))


def compare(cell: Cell, tries: Sequence[Try], beside: Share | None = None) -> Contrast:
    """Over the tries of this cell's app, function and path; names (dns), datagrams and streams are compared apart.
    One group that accuses is enough; a service is down only if no group answers anywhere. beside: how the same packets
    fare at the peer, where that is known; an exit's are larger than what neutral hosts are asked, so that a limit on
    all UDP can strike them alone, and are accused of nothing that the peer's suffer too."""
    own = [t for t in tries if t.kind == "app" and t.app == cell.app and t.function == cell.function]
    if cell.function == "outer":
        own, cell = _outside_of(cell, own)
    others = [t for t in tries if t.kind == "neutral" and t.path in (cell.path, "direct")]
    ways = [t.rtt_ms for t in tries if t.kind == "peer" and t.path == cell.path and t.rtt_ms is not None]
    peer_ms = max(ways, default=None)
    results: dict[str, Contrast] = {}
    trains = [t for t in own if group(t) in ("udp", "train")]
    for name, group_of in _groups(own).items():
        kind = "form" if name.startswith("form ") else name
        alike = [t for t in others if group(t) == group(group_of[0])]
        results[name] = _Group(cell, group_of, alike, others, peer_ms, beside, trains).contrast(COUNTS[kind])
    accusing = [r for r in results.values() if r.outcome == "accuses"]
    if accusing:
        return min(accusing, key=lambda r: RANK[r.finding.mechanism])
    hosts = [r for name, r in results.items() if name in ("udp", "tcp")]
    if hosts and all(r.outcome == "down" for r in hosts):
        return hosts[0]
    if hosts and all(r.outcome == "agrees" for name, r in results.items() if not name.startswith("form ")):
        return hosts[0]
    return UNDECIDED


def _outside_of(outer: Cell, own: Sequence[Try]) -> tuple[list[Try], Cell]:
    """The tries at the exit of an outer protocol's path, which are its target, and the cell where they were made: not
    in the tunnel that ends there."""
    at_exit = [t for t in own if t.target == outer.path]
    where = next((t.path for t in at_exit if t.where == "here"), outer.path)
    return at_exit, msgspec.structs.replace(outer, path=where)


def whole_app_down(app: str, tries: Sequence[Try], walled: bool = False) -> bool:
    """Whether the app's whole service is down: of two functions at least, and of every one that was tried, no host
    answers a single try, here over any path or from the vantage, while neutral hosts do at the vantage, and here they
    do or the partner does: a rule may silence neutral hosts here as well (a port of theirs), and then what answers at
    the vantage has to do. walled: behind a white list, which may silence the partner too."""
    own = [t for t in tries if t.kind == "app" and t.app == app and t.form != "dns" and t.sent]
    if any(t.answered or t.received for t in own):
        return False
    functions = {t.function for t in own}
    silent = [sum(t.function == f and t.where == w for t in own) for f in functions for w in ("here", "vantage")]
    if len(functions) < FUNCTIONS_OF_AN_APP or min(silent) < MIN_DOWN:
        return False
    neutral = [t for t in tries if t.kind == "neutral" and t.form != "dns"]
    paths = {t.path for t in own if t.where == "here"}
    here = [[t for t in neutral if t.where == "here" and t.path == path] for path in paths]
    outside = [t for t in neutral if t.where == "vantage"]
    partner = any(t.kind == "peer" and t.where == "here" and t.answered for t in tries)
    return _neutral_answers(outside) and (walled or partner or any(map(_neutral_answers, here)))


def _groups(own: Sequence[Try]) -> dict[str, list[Try]]:
    found: dict[str, list[Try]] = {}
    for each in own:
        found.setdefault(group(each), []).append(each)
    forms = sorted({t.form for t in found.get("tcp", [])})
    if len(forms) > 1:  # what stops one of them may leave the other, shorter one alone
        found |= {f"form {form}": [t for t in found["tcp"] if t.form == form] for form in forms}
    return found


@dataclass(frozen=True)
class _Group:
    """Tries of one kind at an app's hosts (own) and at neutral hosts (alike; others: of any kind), from everywhere.
    together: trains at the app's hosts, whatever their length."""

    cell: Cell
    own: Sequence[Try]
    alike: Sequence[Try]
    others: Sequence[Try]
    peer_ms: float | None
    beside: Share | None
    together: Sequence[Try] = ()

    def _here(self, tries: Sequence[Try]) -> list[Try]:
        return [t for t in tries if t.where == "here" and t.path == self.cell.path]

    def contrast(self, counts: Sequence[Counted]) -> Contrast:
        here, alike = self._here(self.own), self._here(self.alike)
        vantage = [t for t in self.own if t.where == "vantage"]
        hosts = [t for t in self._here(self.others) if t.form != "dns"]  # a name is no host
        if not here or not _neutral_answers(hosts):
            return UNDECIDED
        if len(here) >= MIN_DOWN and len(vantage) >= MIN_DOWN and not any(good(t) for t in self.own):
            return Contrast("down", Finding("none"))
        trigger: Trigger = "dns" if group(here[0]) == "dns" else "destination"
        if _neutral_answers(alike):
            if any(_worse(count, here, vantage, alike, self.beside) for count in counts):
                return Contrast("accuses", self._found(here, alike), trigger)
            if trigger == "destination" and (late := self._late()) is not None:
                return Contrast("accuses", tried.delayed(*late), trigger)
        # late streams are the link's as a rule, and of two questions for a name one is enough
        telling = [c for c in counts if c.share is not prompt and not (c is LOST and trigger == "dns")]
        if all(_as_elsewhere(count, here, vantage) for count in telling):
            return Contrast("agrees", Finding("none"))
        return UNDECIDED

    def _found(self, here: Sequence[Try], alike: Sequence[Try]) -> Finding:
        found = tried.finding(here, alike, self._here(self.together))
        if found.mechanism in SLOW and here[0].transport == "tcp" and (late := self._late()):
            return tried.delayed(*late)  # from the first packet on, and so late that streams were given up
        return found

    def _late(self) -> tuple[float, float, float] | None:
        """How much longer the round trip to the app's hosts is, ms: at least, by way of the partner; most likely and at
        most, by what neutral hosts make expect. None where that accuses nobody."""
        margin = MIN_DELAY_MS.get(self.cell.function)
        outside = [tried.trip_ms([t for t in tries if t.where == "vantage"]) for tries in (self.own, self.alike)]
        inside = tried.trip_ms(self._here(self.own)), tried.trip_ms(self._here(self.alike), NEUTRAL_CONFIDENCE)
        (own_there, neutral_there), (own, neutral) = outside, inside
        if margin is None or self.peer_ms is None or not (own_there and neutral_there and own and neutral):
            return None
        if flows([t for t in self.own if t.where == "vantage"]).value < AT_VANTAGE:
            return None
        way = max(self.peer_ms, neutral[2] - neutral_there[0])
        shortest = min(t.rtt_ms for t in self._here(self.own) if t.rtt_ms is not None)  # lost SYNs make no delay
        least = min(own[0], shortest) - own_there[2] - way
        neutral_way = neutral[1] - neutral_there[1]
        likely, most = own[1] - own_there[1] - neutral_way, own[2] - own_there[0] - (neutral[0] - neutral_there[2])
        return (least, likely, most) if least > margin else None


def _worse(
    count: Counted, here: Sequence[Try], vantage: Sequence[Try], alike: Sequence[Try], beside: Share | None
) -> bool:
    ours, theirs, others = count.share(here, 0.95), count.share(vantage, 0.95), count.share(alike, count.confidence)
    if not ours.n or theirs.value < AT_VANTAGE:
        return False
    least = min(theirs.lower, others.lower, 1.0 if beside is None else beside.lower)
    return least - ours.upper > count.margin


def _as_elsewhere(count: Counted, here: Sequence[Try], vantage: Sequence[Try]) -> bool:
    there = count.share(vantage, 0.95).value if vantage else 1.0
    floor = 1.0 if count is ANSWERED else there
    return count.share(here, 0.95).value >= ANSWERS * floor


def _neutral_answers(neutral: Sequence[Try]) -> bool:
    targets = {t.target for t in neutral}
    answering = {t.target for t in neutral if t.answered}
    return bool(targets) and len(answering) > NEUTRAL_HERE * len(targets)
