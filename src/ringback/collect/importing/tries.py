"""What a set of tries at an app's own hosts says: which failures a network can cause, and when they are enough.

One device's failures without a randomised control are a contrast between destinations, never more. So a single
measurement is called `restricted` only where every try failed and there were enough of them; a few failures among
many are noise (Kenya 2023: 1 to 4 of 12 at any time); what lies between is `insufficient`, and its counts are kept
for those who look at many measurements.
"""

from collections import Counter

import msgspec

from ringback.collect.importing.scrubbing import text
from ringback.record import Mechanism, Status, Trigger

# OONI's failure strings, old ones too (data format df-007). What is not listed is no sign of a network: certificates
# that an old probe does not know, a device's own resolver or routes, a probe's own faults.
CAUSED: dict[str, Mechanism] = {
    "generic_timeout_error": "drop",
    "timed_out": "drop",
    "deferred_timeout_error": "drop",
    "tcp_timed_out_error": "drop",
    "connection_reset": "reset",
    "connection_aborted": "reset",
    "connection_refused": "reset",
    "connection_refused_error": "reset",
    "eof_error": "reset",
    "response_never_received": "reset",
    "host_unreachable": "icmp",
    "dns_nxdomain_error": "dns",
    "dns_name_error": "dns",
    "dns_refused_error": "dns",
    "dns_bogon_error": "dns",
}
ANSWERED = frozenset({"http_unexpected_status_code", "http_request_failed", "http_unexpected_redirect_url"})
"""The host did answer, whatever it said."""

NOISE = 1 / 3  # share of failed tries up to which the function is called working


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """See `record.Observation`: attempted excludes unclear."""

    attempted: int
    failed: int
    unclear: int
    failure: str | None


class Tries:
    """Counts tries one by one."""

    def __init__(self) -> None:
        self.succeeded = 0
        self.failures: Counter[str] = Counter()

    def add(self, failure: object) -> None:
        """failure: OONI's; None and False (old records) are success, what is no text is an unknown failure."""
        if failure is None or failure is False or (isinstance(failure, str) and failure in ANSWERED):
            self.succeeded += 1
        else:
            self.failures[text(failure) or "unknown_failure"] += 1

    def counts(self) -> Counts:
        failed = sum(n for failure, n in self.failures.items() if failure in CAUSED)
        ranked = sorted(self.failures.items(), key=lambda one: (one[0] not in CAUSED, -one[1], one[0]))
        return Counts(
            attempted=self.succeeded + failed,
            failed=failed,
            unclear=self.failures.total() - failed,
            failure=ranked[0][0] if ranked else None,
        )


class Conclusion(msgspec.Struct, frozen=True):
    status: Status
    mechanism: Mechanism = "none"
    trigger: Trigger | None = None
    reason: str | None = None


def conclude(counts: Counts, need: int, trigger: Trigger | None = None) -> Conclusion:
    """need: tries that have to have failed, all of them. A single time-out is never enough."""
    if counts.attempted and counts.failed == counts.attempted:
        mechanism = CAUSED.get(counts.failure or "", "unknown")
        if counts.attempted >= max(need, 2 if mechanism == "drop" else 1) and counts.unclear <= counts.failed:
            return Conclusion("restricted", mechanism, "dns" if mechanism == "dns" else trigger, "all-tries-failed")
        return Conclusion("insufficient", reason="few-tries")
    if counts.attempted > 0 and counts.failed <= NOISE * counts.attempted and counts.unclear <= counts.attempted:
        return Conclusion("working")
    return Conclusion("insufficient", reason="some-tries-failed" if counts.attempted else "no-tries")
