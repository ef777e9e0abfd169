"""The contrast of destinations: the app's own relays and hosts, here and from the vantage, beside neutral hosts here.

Its null (all destinations alike) is false by nature, so it accuses only where the vantage's lower 95 % bound lies above
this network's upper bound, at least 0.9 answer at the vantage, the neutral hosts answer here, and the app's upper
bound here lies below the neutral hosts' lower 99 % bound here. Alpha does not cover it.

Two things are counted, and either may accuse: flows that had an answer at all (a flow is blocked as one, so that its
pings are no independent witnesses), and, on the flows that had, pings that were answered, counted in clusters
(`shares.clustered`). Pings are small and few: a limited rate or a late cut-off escapes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ringback.record import Cell, Mechanism, Trigger, Try
from ringback.verdict.finding import Finding
from ringback.verdict.shares import CONFIDENCE, Share, clustered, counted

AT_VANTAGE = 0.9
NEUTRAL_HERE = 0.5
NEUTRAL_CONFIDENCE = 0.99  # the link's own loss strikes both, and often: what guards against it is strict
MIN_DOWN = 3  # silent tries on each side that make a service down
MIN_TAIL = 8  # pings without an answer that make a cut
ANSWERS = 0.9

Outcome = Literal["accuses", "down", "agrees", "undecided"]


@dataclass(frozen=True)
class Contrast:
    """accuses: the app's hosts are restricted here. down: they answer nowhere. agrees: they answer here as elsewhere.
    undecided: too little was tried, or the bounds overlap."""

    outcome: Outcome
    finding: Finding
    trigger: Trigger | None = None


UNDECIDED = Contrast("undecided", Finding("none"))


def compare(cell: Cell, tries: Sequence[Try]) -> Contrast:
    """Over the tries of this cell's app, function and path; names (dns), datagrams and streams are compared apart.
    One group that accuses is enough; a service is down only if no group answers anywhere."""
    own = [t for t in tries if t.kind == "app" and t.app == cell.app and t.function == cell.function]
    neutral = [t for t in tries if t.kind == "neutral" and t.where == "here" and t.path == cell.path]
    groups = [[t for t in own if _group(t) == name] for name in ("udp", "tcp", "dns")]
    results = [_group_contrast(group, neutral, cell.path) for group in groups if group]
    for result in results:
        if result.outcome == "accuses":
            return result
    hosts = [r for r, group in zip(results, [g for g in groups if g], strict=True) if _group(group[0]) != "dns"]
    if hosts and all(r.outcome == "down" for r in hosts):
        return hosts[0]
    if hosts and all(r.outcome == "agrees" for r in results):
        return hosts[0]
    return UNDECIDED


def _group(each: Try) -> str:
    return "dns" if each.form == "dns" else each.transport


def _group_contrast(own: Sequence[Try], neutral: Sequence[Try], path: str) -> Contrast:
    here = [t for t in own if t.where == "here" and t.path == path]
    vantage = [t for t in own if t.where == "vantage"]
    alike = [t for t in neutral if _group(t) == _group(own[0])] or list(neutral)
    if not here or not _neutral_answers(neutral):
        return UNDECIDED
    if len(here) >= MIN_DOWN and len(vantage) >= MIN_DOWN and not any(good(t) for t in own):
        return Contrast("down", Finding("none"))
    # pings of our own silent flows are left out: their silence is the flows' matter. The others' are left in.
    alive = [t for t in here if good(t)]
    for count, own_here in ((flows, here), (pings, alive)):
        ours, theirs, others = count(own_here), count(vantage), count(alike, NEUTRAL_CONFIDENCE)
        if own_here and theirs.lower > ours.upper and theirs.value >= AT_VANTAGE and ours.upper < others.lower:
            return Contrast("accuses", finding(here), "dns" if _group(own[0]) == "dns" else "destination")
    ours, theirs = pings(alive), pings(vantage)
    if flows(here).value >= ANSWERS and ours.value >= ANSWERS * (theirs.value if vantage else 1.0):
        return Contrast("agrees", Finding("none"))
    return UNDECIDED


def _neutral_answers(neutral: Sequence[Try]) -> bool:
    targets = {t.target for t in neutral}
    answering = {t.target for t in neutral if t.answered}
    return bool(targets) and len(answering) > NEUTRAL_HERE * len(targets)


def good(each: Try) -> int:
    """Questions answered as they should be: a forged name is no answer, nor is what came before a reset."""
    failed = each.failure is not None and (each.sent <= 1 or each.form == "dns")
    return 0 if failed else min(each.answered, each.sent)


def flows(tries: Sequence[Try], confidence: float = CONFIDENCE) -> Share:
    """Tries that had an answer."""
    return counted(sum(good(t) > 0 for t in tries), len(tries), confidence)


def pings(tries: Sequence[Try], confidence: float = CONFIDENCE) -> Share:
    """Questions that were answered."""
    return clustered([good(t) for t in tries], [t.sent for t in tries], confidence)


def finding(here: Sequence[Try]) -> Finding:
    """The mechanism that the failed tries here show. A delay is never accused: distance is nature's."""
    failed = [t for t in here if good(t) < t.sent]
    for mechanism, failures in _FAILURES:
        if sum(_shows(t, mechanism, failures) for t in failed) > len(failed) / 2:
            return Finding(mechanism)
    silent = sum(t.answered == 0 for t in failed)
    if silent > len(here) / 2:
        return Finding("drop")
    if (cut := _cut(here)) is not None:
        return cut
    # a question and its answer: both ways are passed, and either or each of them may lose
    both = pings([t for t in here if good(t)])
    keep, high = np.sqrt([both.value, both.upper])
    return Finding("loss", loss=float(1 - keep), loss_interval=(float(1 - high), float(1 - both.lower)))


_FAILURES: tuple[tuple[Mechanism, tuple[str, ...]], ...] = (
    ("icmp", ("host_unreachable", "network_unreachable")),
    ("reset", ("connection_reset", "connection_refused")),  # a stream that is refused got a reset to its SYN
    ("dns", ("dns_nxdomain_error", "dns_foreign_answer", "dns_server_failure", "dns_no_answer")),
)


def _shows(each: Try, mechanism: Mechanism, failures: tuple[str, ...]) -> bool:
    if mechanism == "icmp" and each.icmp:
        return True
    if mechanism == "reset" and each.transport == "udp":
        return False
    if mechanism == "dns" and each.form == "dns":
        return each.failure is not None and "timeout" not in each.failure
    return each.failure in failures


def _cut(here: Sequence[Try]) -> Finding | None:
    """Trains that fall silent at a common count. A ping and its answer are two packets; the question that was one too
    many may itself have been the last to pass, or the last answer have come although it was too many, where questions
    alone are dropped."""
    trains = [t for t in here if t.sent > MIN_TAIL and t.answered_indices]
    cut = [t for t in trains if t.sent - 1 - max(t.answered_indices) >= MIN_TAIL]
    if len(cut) <= len(trains) / 2 or not cut:
        return None
    passed = [2 * t.answered for t in cut]
    reach = [2 * (max(t.answered_indices) + 1) + 1 for t in cut]
    most, high = max(passed), max(max(passed) + 1, min(reach))
    return Finding("drop-after", after_packets=most, after_packets_interval=(float(most - 1), float(high)))
