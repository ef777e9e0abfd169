"""What tries at one kind of host show: shares that can be counted, and the mechanism behind those that fail.

A flow is blocked as one, so its pings are no independent witnesses: flows are counted by themselves, and pings in
clusters (`shares.clustered`). Of streams are counted those that the server met with its first flight, that were seen
through to their end, and that needed no retransmission.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from scipy.special import stdtrit

from ringback.record import Mechanism, Try
from ringback.verdict import mechanism
from ringback.verdict.arrivals import UDP_HEADER, UDP_HEADERS, Call, Floats, Way
from ringback.verdict.finding import Finding
from ringback.verdict.shares import CONFIDENCE, Share, clustered, counted

TRAIN = 50  # pings; what has more is as long as a call
LAST_PING = 1.5  # s for a ping's answer after the last was sent
SLOWER = (1.25, 100.0)  # than the slowest answer an answer may be, times and ms, and still be under way
MIN_TAIL = 8  # pings without an answer that make a cut,
MAX_CHANCE = 1e-3  # and how likely they may be by the losses before them
DAMAGED = 0.3  # of what was not answered well, where answers come back that can't have been sent so
AGAIN_MS = 900.0  # a connect so much longer than the shortest needed a second SYN (RFC 6298: after 1 s)
SLACK_MS = 30.0  # with half a round trip less than any retransmission takes (by timeout 200 ms on Linux)
IP_HEADER = UDP_HEADERS - UDP_HEADER
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
    half = float(stdtrit(len(known) - 1, confidence)) * float(np.std(known, ddof=1)) / np.sqrt(len(known))
    mean = float(known.mean())
    return mean - half, mean, mean + half


# -- mechanisms ---------------------------------------------------------------------------------------------------


def finding(here: Sequence[Try], neutral: Sequence[Try], together: Sequence[Try] = ()) -> Finding:
    """The mechanism that the failed tries here show, all of one `group`; neutral: those alike at neutral hosts.
    together: trains of any length at the same hosts, which a limit that holds for all of them meets."""
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
    if (cut := _cut(here, together)) is not None:
        return cut
    if group(here[0]) == "train":
        fitted = mechanism.fit_calls(_calls(here), _calls(neutral), together=_calls(together))
        limit = fitted if fitted.mechanism in ("police", "shape") else _policed(here)
        if limit is not None:
            return _either_way(limit, here, pings(neutral))
    return _both_ways(pings(here))


def delayed(low: float, mean: float, high: float) -> Finding:
    """A round trip that is longer by about `mean` ms, at least `low`, at most `high`: delays are one way, and either of
    the ways or both may have it."""
    return Finding("delay", delay_ms=mean / 2, delay_ms_interval=(low / 2, high))


def _either_way(limit: Finding, here: Sequence[Try], usual: Share) -> Finding:
    """A rate reckoned with the larger of ping and answer: if the limit is on the others alone, it is the lower. What
    the link lost behind the limit had passed it."""
    shares = [t.least / t.size for t in here if t.least and t.size]
    if limit.rate_kbps_interval is None:
        return limit
    low, high = limit.rate_kbps_interval
    low, high = low * (float(np.median(shares)) if shares else 1.0), high / max(0.5, usual.value if usual.n else 1.0)
    return msgspec.structs.replace(limit, rate_kbps_interval=(low, high))


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


def _cut(here: Sequence[Try], together: Sequence[Try] = ()) -> Finding | None:
    """Trains that fall silent at a common count, beyond which the longer ones do not go on either. All pings are alike,
    so that packets and bytes count the same: both numbers are told."""
    trains = [t for t in here if t.sent > MIN_TAIL and t.answered_indices]
    cut = [t for t in trains if _is_cut(t)]
    if len(cut) <= len(trains) / 2 or not cut:
        return None
    lows, likely, highs = zip(*map(_passed, cut), strict=True)
    low, after, high = max(lows), int(np.median(likely)), min(highs)
    if not low <= after <= high:  # packets that the link lost are counted differently in each
        low, high = min(lows), max(highs)
    longer = [t for t in together if t.sent > high + MIN_TAIL]
    if sum(max(t.answered_indices, default=0) > high for t in longer) > len(longer) / 2:
        return None
    found = Finding("drop-after", after_packets=after, after_packets_interval=(float(low), float(high)))
    sizes = [(t.size - IP_HEADER, t.least - IP_HEADER) for t in cut if t.least]
    if not sizes:
        return found
    larger, smaller = np.median(sizes, axis=0)
    each = (larger + smaller) / 2
    edges = low * each - larger / 2, (high + 1) * each + larger / 2  # what was left over was less than the next packet
    return msgspec.structs.replace(found, after_bytes=round(after * each), after_bytes_interval=edges)


def _passed(each: Try) -> tuple[int, int, int]:
    """(at least, most likely, at most) packets of a train, pings and answers, that passed a counter near the
    participant before it cut. If answers are dropped (or both), the last to come was counted, and the next would have
    been one too many; if questions alone are, the same holds of these, which are ahead of answers by a round trip."""
    every = each.every_ms or 1.0
    trips = _trips(each)
    came = np.sort(np.array(each.answered_indices) * every + np.array(trips))
    last = max(each.answered_indices)
    missing = last + 1 - each.answered  # lost before or behind the counter

    def counted(at: float) -> int:
        return int(at // every) + 1 + int(np.searchsorted(came, at, "right"))

    here = counted(last * every + trips[-1])
    following = counted((last + 1) * every + trips[-1] + every / 2)
    return max(1, counted(last * every) - missing - 1), here, following + missing


def _trips(each: Try) -> list[float]:
    """Round trips of the pings that were answered, ms; zeros where a stranger's record does not tell one of each."""
    return each.rtts_ms if len(each.rtts_ms) == len(each.answered_indices) else [0.0] * len(each.answered_indices)


def _is_cut(each: Try) -> bool:
    last = max(each.answered_indices)
    tail = _due(each) - 1 - last
    lost = max(0.02, 1 - each.answered / (last + 1))
    return tail >= MIN_TAIL and tail * np.log(lost) < np.log(MAX_CHANCE)


def _due(each: Try) -> int:
    """How many of a train's pings had the time to be answered, slowly as the slowest of them was."""
    times, more = SLOWER
    short = times * max(each.rtts_ms, default=0.0) + more - 1000 * LAST_PING
    return each.sent if short <= 0 or not each.every_ms else max(0, each.sent - int(np.ceil(short / each.every_ms)))


def _alike(times: Floats) -> bool:
    """Times that one rate makes; those that chance losses make differ by as much as they last."""
    return len(times) >= 4 and float(np.std(times) / times.mean()) < STEADY


def _calls(trains: Sequence[Try]) -> list[Call]:
    """Trains as calls of one direction: a ping and its answer are one packet, as large as the larger of them. They run
    side by side, so that what holds for a host meets them all: they count as calls of one round."""
    calls = []
    for each in trains:
        sent = max([_due(each), *(i + 1 for i in each.answered_indices)])
        passed = np.zeros(sent, dtype=bool)
        passed[each.answered_indices] = True
        delay = np.full(sent, np.nan)
        delay[each.answered_indices] = np.array(_trips(each)) / 1000
        at = each.started_at + np.arange(sent) * (each.every_ms or 0.0) / 1000
        size = np.full(sent, max(each.size - UDP_HEADERS, 0), dtype=np.int64)
        calls.append(Call(None, Way(at, passed, delay, size, each.damaged), len(each.icmp), 0, 0))
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
