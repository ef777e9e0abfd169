"""What tries at one kind of host show: shares that can be counted, and the mechanism behind those that fail.

A flow is blocked as one, so its pings are no independent witnesses: flows are counted by themselves, and pings in
clusters (`shares.clustered`). Of streams are counted those that the server met with its first flight, that were seen
through to their end, and that needed no retransmission.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

from ringback.record import Mechanism, Try
from ringback.verdict import mechanism
from ringback.verdict.arrivals import UDP_HEADERS, Call, Floats, Way
from ringback.verdict.finding import Finding
from ringback.verdict.shares import CONFIDENCE, Share, clustered, counted

TRAIN = 50  # pings; what has more is as long as a call
MIN_TAIL = 8  # pings without an answer that make a cut
DAMAGED = 0.3  # of what was not answered well, where answers come back that can't have been sent so
AGAIN_MS = 900.0  # a connect so much longer than the shortest needed a second SYN (RFC 6298: after 1 s)
SLACK_MS = 30.0  # with half a round trip less than any retransmission takes (by timeout 200 ms on Linux)
MIN_LOSSES = 20  # of a train's pings, to speak of a pattern
REGULAR = 0.4  # variance of the gaps between losses, as a share of what chance makes it
STEADY = 0.3  # relative deviation
FEW = 0.15  # of streams that lost their first packet, as a link may


def group(each: Try) -> str:
    """Tries that may be compared with each other."""
    if each.form == "dns":
        return "dns"
    return "train" if each.transport == "udp" and each.sent > TRAIN else each.transport


def good(each: Try) -> int:
    """Questions answered as they should be: a forged name is no answer, nor is what came before a reset, nor what was
    changed on its way."""
    failed = each.failure is not None and (each.sent <= 1 or each.form == "dns")
    return 0 if failed or (each.transport == "tcp" and each.damaged) else min(each.answered, each.sent)


def flows(tries: Sequence[Try], confidence: float = CONFIDENCE) -> Share:
    """Tries that had an answer."""
    return counted(sum(good(t) > 0 for t in tries), len(tries), confidence)


def pings(tries: Sequence[Try], confidence: float = CONFIDENCE) -> Share:
    """Questions that were answered, on flows that had an answer at all."""
    alive = [t for t in tries if good(t)]
    return clustered([good(t) for t in alive], [t.sent for t in alive], confidence)


def through(tries: Sequence[Try], confidence: float = CONFIDENCE) -> Share:
    """Streams that were seen to their end."""
    return counted(sum(bool(good(t)) and t.through for t in tries), len(tries), confidence)


def prompt(tries: Sequence[Try], confidence: float = CONFIDENCE) -> Share:
    """Streams on which nothing came so late that it must have been sent again."""
    usual = _usual_ms(tries)
    hits = sum(bool(good(t)) and t.through and _at_once(t, usual) and not _late(t, usual) for t in tries)
    return counted(hits, len(tries), confidence)


def _usual_ms(tries: Sequence[Try]) -> float:
    """A connect's round trip where the first SYN and its answer passed."""
    known = [t.rtt_ms for t in tries if t.rtt_ms is not None]
    return float(np.median([ms for ms in known if ms < min(known) + AGAIN_MS])) if known else 0.0


def _at_once(each: Try, usual: float) -> bool:
    return each.rtt_ms is not None and each.rtt_ms < usual + AGAIN_MS


def _late(each: Try, usual: float) -> bool:
    """Whether a step after the connect took longer than a round trip and a half."""
    return _later(each.flight_ms, usual) or _later(each.end_ms, usual)


def _later(ms: float | None, usual: float) -> bool:
    return ms is not None and ms > 1.5 * usual + SLACK_MS


# -- round trips --------------------------------------------------------------------------------------------------


def trip_ms(tries: Sequence[Try], confidence: float = CONFIDENCE) -> tuple[float, float, float] | None:
    """(lower bound, mean, upper bound) over flows of their round trips, ms (Student; one-sided). None of fewer than
    three."""
    known = np.array([t.rtt_ms for t in tries if t.rtt_ms is not None], dtype=float)
    if len(known) < 3:
        return None
    half = float(student.ppf(confidence, len(known) - 1)) * float(np.std(known, ddof=1)) / np.sqrt(len(known))
    mean = float(known.mean())
    return mean - half, mean, mean + half


# -- mechanisms ---------------------------------------------------------------------------------------------------


def finding(here: Sequence[Try], neutral: Sequence[Try]) -> Finding:
    """The mechanism that the failed tries here show, all of one `group`; neutral: those alike at neutral hosts."""
    failed = [t for t in here if good(t) < t.sent or (t.transport == "tcp" and not t.through)]
    for name, failures in _FAILURES:
        if sum(_shows(t, name, failures) for t in failed) > len(failed) / 2:
            return Finding(name)
    if _damaged(failed):
        return Finding("corrupt")
    silent = [t for t in failed if t.answered == 0 and not t.received]
    if len(silent) > len(here) / 2:
        if sum(t.transport == "tcp" and t.rtt_ms is not None for t in silent) > len(silent) / 2:
            # SYN and its answer passed, no answer's first packet, which would be the sixth; not dropped by address
            return Finding("drop-after", after_packets=4, after_packets_interval=(2.0, 5.0))
        return Finding("drop")
    if here[0].transport == "tcp":
        return _of_streams(here)
    if (cut := _cut(here)) is not None:
        return cut
    if group(here[0]) == "train":
        fitted = mechanism.fit_calls(_calls(here), _calls(neutral))
        if fitted.mechanism in ("police", "shape"):
            return fitted
        if (limit := _policed(here)) is not None:
            return limit
    return _both_ways(pings(here))


def delayed(low: float, mean: float, high: float) -> Finding:
    """A round trip that is longer by about `mean` ms, at least `low`, at most `high`: delays are one way, and either of
    the ways or both may have it."""
    return Finding("delay", delay_ms=mean / 2, delay_ms_interval=(low / 2, high))


def _both_ways(answered: Share) -> Finding:
    """Of a question and its answer: both ways are passed, and either or each of them may lose."""
    keep, high = np.sqrt([answered.value, answered.upper])
    return Finding("loss", loss=float(1 - keep), loss_interval=(float(1 - high), float(1 - answered.lower)))


_FAILURES: tuple[tuple[Mechanism, tuple[str, ...]], ...] = (
    ("icmp", ("host_unreachable", "network_unreachable")),
    ("reset", ("connection_reset", "connection_refused")),  # a stream that is refused got a reset to its SYN
    ("dns", ("dns_nxdomain_error", "dns_foreign_answer", "dns_server_failure", "dns_no_answer")),
)


def _shows(each: Try, name: Mechanism, failures: tuple[str, ...]) -> bool:
    if name == "icmp" and each.icmp:
        return True
    if name == "reset" and each.transport == "udp":
        return False
    if name == "dns" and each.form == "dns":
        return each.failure is not None and "timeout" not in each.failure
    return each.failure in failures


def _damaged(failed: Sequence[Try]) -> bool:
    """A server that gets a damaged opening may also leave without a word."""
    missing = sum(t.sent - good(t) for t in failed)
    signs = sum(t.sent if t.failure == "eof_error" else min(t.damaged, t.sent) for t in failed)
    return missing > 0 and signs >= DAMAGED * missing


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


def _alike(times: Floats) -> bool:
    """Times that one rate makes; those that chance losses make differ by as much as they last."""
    return len(times) >= 4 and float(np.std(times) / times.mean()) < STEADY


def _calls(trains: Sequence[Try]) -> list[Call]:
    """Trains as calls of one direction: a ping and its answer are one packet, as large as the larger of them."""
    calls = []
    for number, each in enumerate(trains):
        passed = np.zeros(each.sent, dtype=bool)
        passed[each.answered_indices] = True
        delay = np.full(each.sent, np.nan)
        delay[each.answered_indices] = np.array(each.rtts_ms, dtype=float) / 1000
        at = each.started_at + np.arange(each.sent) * (each.every_ms or 0.0) / 1000
        size = np.full(each.sent, max(each.size - UDP_HEADERS, 0), dtype=np.int64)
        calls.append(Call(None, Way(at, passed, delay, size, each.damaged), len(each.icmp), 0, number))
    return calls


def _policed(trains: Sequence[Try]) -> Finding | None:
    """A bucket that fills at a steady rate lets pings of a steady pace pass at steady intervals: far steadier than
    those of losses by chance, which are geometric, or burstier still."""
    rates, ratios = [], []
    for each in trains:
        lost = np.setdiff1d(np.arange(each.sent), each.answered_indices)
        if len(lost) < MIN_LOSSES or not each.every_ms:
            continue
        passed = np.array([i for i in each.answered_indices if lost[0] <= i <= lost[-1]])
        span = float(lost[-1] - lost[0])
        rarer = passed if len(passed) < span / 2 else lost
        if len(rarer) < MIN_LOSSES:
            continue
        share = len(rarer) / span
        ratios.append(float(np.var(np.diff(rarer))) * share**2 / (1 - share))
        rates.append(8 * each.size * len(passed) / (span * each.every_ms))
    if len(rates) <= len(trains) / 2 or float(np.median(ratios)) > REGULAR:
        return None
    rate = float(np.median(rates))
    return Finding("police", rate_kbps=rate, rate_kbps_interval=(0.9 * rate, 1.1 * rate))


def _of_streams(here: Sequence[Try]) -> Finding:
    """Cut where streams stop in the middle without having been late; a limited rate where each connects at once and
    each flight is late; else losses, of which connects tell."""
    usual = _usual_ms(here)
    at_once = [t for t in here if _at_once(t, usual)]
    stopped = sum(not t.through and not _late(t, usual) for t in at_once)
    if stopped > len(here) / 2:
        return Finding("drop-after")
    flights = np.array([t.flight_ms for t in at_once if t.flight_ms is not None], dtype=float)
    if len(at_once) > (1 - FEW) * len(here) and _alike(flights) and all(_late(t, usual) for t in at_once):
        rate = float(np.median([8 * t.received / t.flight_ms for t in at_once if t.flight_ms]))
        waited = all(_later(t.first_ms, usual) for t in at_once)  # a policer lets the first segment pass at once
        return Finding("shape" if waited else "police", rate_kbps=rate, rate_kbps_interval=(rate / 2, rate * 2))
    return _both_ways(counted(len(at_once), len(here)))
