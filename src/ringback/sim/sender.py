"""The sending half of a TCP connection: what to send when, and what is lost.

SACK (RFC 2018), RACK-TLP (RFC 8985), proportional rate reduction (RFC 6937), the timer of RFC 6298 with Linux's minimum
of 200 ms, CUBIC. Segments keep their boundaries when they are sent again.
"""

from collections import deque
from collections.abc import Callable
from math import ceil, inf

from ringback.sim.cubic import Cubic

MSS = 1448  # payload of a 1500-byte packet with timestamps
INITIAL_RTO = 1.0  # s, RFC 6298
MIN_RTO = 0.2  # s, Linux; RFC 6298 has 1 s
MAX_RTO = 120.0  # s
DUPLICATES = 3  # segments that arrived later before one counts as lost at once
MAX_TRIES = 15  # Linux, tcp_retries2
TRIM = 1 << 18  # sent bytes after which the buffer is cut (and once all are sent): segments keep their own

Sack = tuple[tuple[int, int], ...]


class _Segment:
    __slots__ = ("data", "end", "fin", "lost", "sacked", "sent", "seq", "tries")

    def __init__(self, seq: int, data: bytes, fin: bool, now: float) -> None:
        self.seq = seq
        self.end = seq + len(data) + fin
        self.data = data
        self.fin = fin
        self.sent = now
        self.tries = 1
        self.sacked = False
        self.lost = False


class Sender:
    """`emit(seq, data, fin)` puts one segment on the wire. `timer_at`: when `expire` wants to be called, or inf.

    unacked, next: sequence numbers of the oldest outstanding byte and of the next new one. dead: given up.
    """

    def __init__(self, first: int, emit: Callable[[int, bytes, bool], None]) -> None:
        self.unacked = self.next = first
        self.timer_at = inf
        self.dead = False
        self.retransmitted = 0
        self.cubic = Cubic()
        self.rto = INITIAL_RTO
        self._emit = emit
        self._buffer = bytearray()
        self._at = 0  # where in the buffer the unsent bytes begin
        self._fin = "no"  # then "wanted", then "sent"
        self._window = 65535
        self._segments: deque[_Segment] = deque()
        self._by_seq: dict[int, _Segment] = {}
        self._walked: dict[int, int] = {}  # SACK blocks by left edge: how far they were marked
        self._sacked = 0
        self._sacked_top = first
        self._lost = 0
        self._lost_queue: deque[_Segment] = deque()
        self._state = "open"  # or "recovery", or "loss" after a timeout
        self._recovery_end = first
        self._prr_delivered = self._prr_out = self._prr_pipe = 0
        self._rack = (-1.0, first)  # of the segment sent last among those that arrived: when, and its end
        self._rack_rtt = 0.0
        self._reordered = False
        self._tail_probe: int | None = None  # `next` when the probe went out
        self._probe_was_copy = False
        self._limited = False  # the window was what held us back
        self._srtt = 0.0
        self._var = 0.0
        self._backoff = 0
        self._timer = "rto"  # or "probe", or "reorder": what timer_at means

    # -- from the application ---------------------------------------------------------------------------------------

    def write(self, data: bytes, now: float) -> None:
        if not self._segments and now - self._rack[0] > self.rto:
            self.cubic.idle()
        self._buffer += data
        self.pump(now)

    def finish(self, now: float) -> None:
        """Send FIN after everything written."""
        if self._fin == "no":
            self._fin = "wanted"
            self.pump(now)

    @property
    def done(self) -> bool:
        """Everything written, and FIN, was acknowledged."""
        return self._fin == "sent" and not self._segments

    # -- from the network -------------------------------------------------------------------------------------------

    def measured(self, rtt: float) -> None:
        """A round-trip time (s), RFC 6298 section 2 with Linux's floor under the variance's part."""
        if self._srtt == 0.0:
            self._srtt, self._var = rtt, rtt / 2
        else:
            self._var += (abs(self._srtt - rtt) - self._var) / 4
            self._srtt += (rtt - self._srtt) / 8
        spread = 4 * self._var
        self.rto = self._srtt + (spread if spread > MIN_RTO else MIN_RTO)

    def acknowledged(self, ack: int, sack: Sack, window: int, now: float) -> None:
        """An ACK has arrived."""
        self._window = window if window > MSS else MSS  # no zero-window probes: receivers here never close their window
        if not self._segments:
            return
        pipe = len(self._segments) - self._sacked - self._lost
        delivered, rtt_first, rtt_last = self._take_acked(ack, now)
        advanced = delivered or ack > self.unacked
        if ack > self.unacked:
            self.unacked = ack
        if sack:
            more, first, last = self._take_sacked(sack, now)
            delivered += more
            if rtt_last is None:
                rtt_first, rtt_last = first, last
        if rtt_first is not None and rtt_last is not None:
            self.measured(rtt_first)
            self.cubic.sampled(rtt_last, self.unacked, self.next)
        if advanced:
            self._backoff = 0
        if self._tail_probe is not None and ack >= self._tail_probe:
            self._end_probe(ack, sack)

        lost_before = self._lost
        waiting = self._find_lost(now) if self._sacked or self._state != "open" else inf
        if self._state != "open" and self.unacked >= self._recovery_end:
            if self._state == "recovery":
                self.cubic.window = max(self.cubic.threshold, 2.0)
            self._state = "open"
        if self._lost and self._state == "open":
            self._enter_recovery(pipe)
        if self._state == "recovery":
            self._reduce(delivered, bool(advanced) and self._lost <= lost_before)
        elif delivered and self._limited:
            self.cubic.grow(delivered, now, self._srtt)
        self.pump(now)
        self._arm(now, waiting)

    def expire(self, now: float) -> None:
        """The time `timer_at` has come."""
        self.timer_at = inf
        if not self._segments:
            return
        if self._timer == "reorder":
            pipe = len(self._segments) - self._sacked - self._lost
            waiting = self._find_lost(now)
            if self._lost and self._state == "open":
                self._enter_recovery(pipe)
                self._reduce(0, False)
            self.pump(now)
            self._arm(now, waiting)
        elif self._timer == "probe":
            self._tail_probe = self.next
            if not self._send_new(now):
                self._send_again(self._segments[-1], now)
            self._set("rto", now + self._rto_now())
        else:
            self._time_out(now)

    # -- what arrived -----------------------------------------------------------------------------------------------

    def _take_acked(self, ack: int, now: float) -> tuple[int, float | None, float | None]:
        segments, count = self._segments, 0
        first: float | None = None
        last: float | None = None
        while segments and segments[0].end <= ack:
            segment = segments.popleft()
            del self._by_seq[segment.seq]
            if segment.lost:
                self._lost -= 1
                segment.lost = False
            if segment.sacked:
                self._sacked -= 1
                continue
            count += 1
            if segment.tries == 1:
                last = now - segment.sent
                first = last if first is None else first
                self._reordered |= segment.end < self._sacked_top
            self._arrived(segment, now)
        self._walked = {left: right for left, right in self._walked.items() if right > ack} if self._walked else {}
        return count, first, last

    def _take_sacked(self, sack: Sack, now: float) -> tuple[int, float | None, float | None]:
        count = 0
        first: float | None = None
        last: float | None = None
        for left, right in sack:
            if right <= self.unacked:
                continue  # a duplicate reported (RFC 2883)
            segment = self._by_seq.get(self._walked.get(left, left))
            while segment is not None and segment.end <= right:
                if not segment.sacked:
                    segment.sacked = True
                    self._sacked += 1
                    count += 1
                    if segment.lost:
                        segment.lost = False
                        self._lost -= 1
                    if segment.tries == 1:
                        last = now - segment.sent
                        first = last if first is None else first
                        self._reordered |= segment.end < self._sacked_top
                    self._arrived(segment, now)
                    self._sacked_top = max(self._sacked_top, segment.end)
                self._walked[left] = segment.end
                segment = self._by_seq.get(segment.end)
        return count, first, last

    def _arrived(self, segment: _Segment, now: float) -> None:
        """RFC 8985 section 6.2 step 2."""
        rtt = now - segment.sent
        if segment.tries > 1 and rtt < self.cubic.rtt_min:
            return  # the answer to an earlier copy
        if (segment.sent, segment.end) > self._rack:
            self._rack = (segment.sent, segment.end)
            self._rack_rtt = rtt

    def _find_lost(self, now: float) -> float:
        """Mark what is lost (RFC 8985 section 6.2 step 5); when the next may turn out to be, or inf."""
        if self._reordered or (self._state == "open" and self._sacked < DUPLICATES):
            patience = min(self.cubic.rtt_min / 4, self._srtt)
        else:
            patience = 0.0
        rack, limit, waiting = self._rack, self._rack_rtt + patience, inf
        for segment in self._segments:
            if segment.sacked or segment.lost:
                continue
            if (segment.sent, segment.end) >= rack:
                if segment.tries == 1:
                    break  # segments sent once are in the order of time
                continue
            due = segment.sent + limit
            if due <= now + 1e-9:
                segment.lost = True
                self._lost += 1
                self._lost_queue.append(segment)
            elif due < waiting:
                waiting = due
        return waiting

    # -- congestion -------------------------------------------------------------------------------------------------

    def _enter_recovery(self, pipe: int) -> None:
        self._state = "recovery"
        self._recovery_end = self.next
        self.cubic.reduce()
        self._prr_delivered = self._prr_out = 0
        self._prr_pipe = max(pipe, 1)

    def _reduce(self, delivered: int, good: bool) -> None:
        """RFC 6937, with the slow-start bound as Linux has it. good: the ACK moved on and showed no further loss."""
        target = int(self.cubic.threshold)
        pipe = len(self._segments) - self._sacked - self._lost
        self._prr_delivered += delivered
        if pipe > target:
            send = ceil(self._prr_delivered * target / self._prr_pipe) - self._prr_out
        elif good:
            send = min(target - pipe, max(self._prr_delivered - self._prr_out, delivered) + 1)
        else:
            send = min(target - pipe, delivered)
        send = max(send, 0 if self._prr_out else 1)
        self.cubic.window = pipe + send

    def _time_out(self, now: float) -> None:
        if self._segments[0].tries > MAX_TRIES:
            self.dead = True
            return
        if self._state != "loss" or self.unacked >= self._recovery_end:
            self.cubic.reduce()
        self._state = "loss"
        self._recovery_end = self.next
        self._tail_probe = None
        self._lost_queue.clear()
        self._lost = 0
        for segment in self._segments:
            if not segment.sacked:
                segment.lost = True
                self._lost += 1
                self._lost_queue.append(segment)
        self.cubic.window = 1.0
        self._limited = True
        self._backoff += 1
        self.pump(now)
        self._set("rto", now + self._rto_now())

    def _end_probe(self, ack: int, sack: Sack) -> None:
        """RFC 8985 section 7.4: was the probe a needless copy, or did it repair a loss that must slow us down?"""
        needless = any(right <= ack for _, right in sack)
        probed, self._tail_probe = self._tail_probe, None
        if not needless and self._state == "open" and self._probe_was_copy and probed is not None:
            self.cubic.reduce()
            self.cubic.window = min(self.cubic.window, self.cubic.threshold)

    # -- sending ----------------------------------------------------------------------------------------------------

    def pump(self, now: float) -> None:
        """Send what the windows allow, what is lost first."""
        started = bool(self._segments)
        window = max(int(self.cubic.window), 1)
        while len(self._segments) - self._sacked - self._lost < window:
            if self._lost:
                segment = self._lost_queue.popleft()
                if segment.lost:
                    segment.lost = False
                    self._lost -= 1
                    self._send_again(segment, now)
            elif not self._send_new(now):
                self._limited = self.cubic.window < self.cubic.threshold and (
                    self.cubic.window < 2 * len(self._segments)
                )
                break
        else:
            self._limited = True
        if not started and self._segments:
            self._arm(now, inf)

    def _send_new(self, now: float) -> bool:
        at, buffer = self._at, self._buffer
        size = len(buffer) - at
        fin = False
        if size > MSS:
            size = MSS
        elif self._fin == "wanted":
            fin = True
        elif size <= 0:
            return False
        if self.next + size > self.unacked + self._window:
            return False
        end = at + size
        data = bytes(buffer[at:end])
        if end > TRIM or end == len(buffer):
            del buffer[:end]
            end = 0
        self._at = end
        if fin:
            self._fin = "sent"
        segment = _Segment(self.next, data, fin, now)
        self._segments.append(segment)
        self._by_seq[segment.seq] = segment
        self.next = segment.end
        self._prr_out += 1
        self._probe_was_copy = False
        self._emit(segment.seq, data, fin)
        return True

    def _send_again(self, segment: _Segment, now: float) -> None:
        segment.sent = now
        segment.tries += 1
        self.retransmitted += 1
        self._prr_out += 1
        self._probe_was_copy = True
        self._emit(segment.seq, segment.data, segment.fin)

    # -- the timer --------------------------------------------------------------------------------------------------

    def _rto_now(self) -> float:
        return min(self.rto * 2.0**self._backoff, MAX_RTO)

    def _set(self, what: str, when: float) -> None:
        self._timer, self.timer_at = what, when

    def _arm(self, now: float, waiting: float) -> None:
        if not self._segments:
            self.timer_at = inf
        elif waiting < inf:
            self._set("reorder", waiting)
        elif self._state == "open" and not self._sacked and self._srtt and self._tail_probe is None:
            probe = 2 * self._srtt + (MIN_RTO if len(self._segments) == 1 else 0.0)  # its ACK may be delayed
            self._set("probe", now + min(probe, self._rto_now()))
        else:
            self._set("rto", now + self._rto_now())
