"""The one place where errors of the system become the words of the seam.

Streams: OONI's failure strings (https://github.com/ooni/spec, data-formats/df-007-errors.md). Datagrams: the ICMP
type and code (RFC 792, RFC 4443) that a router would have used to say what our own kernel says by an errno.
"""

import errno

UNKNOWN = "unknown_failure"

FAILURES = {
    errno.ECONNREFUSED: "connection_refused",
    errno.ECONNRESET: "connection_reset",
    errno.ECONNABORTED: "connection_reset",
    errno.EPIPE: "connection_reset",
    errno.EHOSTUNREACH: "host_unreachable",
    errno.EHOSTDOWN: "host_unreachable",
    errno.EACCES: "host_unreachable",  # ICMP communication administratively prohibited, or our own packet filter
    errno.EPERM: "host_unreachable",
    errno.ENETUNREACH: "network_unreachable",
    errno.ENETDOWN: "network_unreachable",
    errno.ENODEV: "network_unreachable",  # the interface of a path is gone
    errno.EADDRNOTAVAIL: "network_unreachable",
    errno.ETIMEDOUT: "generic_timeout_error",
}

# errno of a send: (type, code) on IPv4, on IPv6
UNREACHABLE = {
    errno.ENETUNREACH: ((3, 0), (1, 0)),
    errno.ENETDOWN: ((3, 0), (1, 0)),
    errno.ENODEV: ((3, 0), (1, 0)),
    errno.EADDRNOTAVAIL: ((3, 0), (1, 0)),
    errno.EHOSTUNREACH: ((3, 1), (1, 3)),
    errno.EHOSTDOWN: ((3, 1), (1, 3)),
    errno.ECONNREFUSED: ((3, 3), (1, 4)),
    errno.EMSGSIZE: ((3, 4), (2, 0)),
    errno.EACCES: ((3, 13), (1, 1)),
    errno.EPERM: ((3, 13), (1, 1)),
}

HINTS = frozenset((*UNREACHABLE, errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.EPROTO))
"""What an ICMP error makes a call on an established stream say once; the stream goes on (RFC 1122 section 4.2.3.9)."""


def failure_of(error: BaseException) -> str:
    """The failure string of an exception, found along its causes; `unknown_failure` where none of them says."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, TimeoutError):
            return "generic_timeout_error"
        if isinstance(seen, EOFError):
            return "eof_error"
        if isinstance(seen, OSError) and seen.errno in FAILURES:
            return FAILURES[seen.errno]
        seen = seen.__cause__ or seen.__context__
    return UNKNOWN


def failure_of_errno(number: int) -> str:
    return FAILURES.get(number, UNKNOWN)
