"""How much one address may ask: a token bucket each, in a bounded table."""

import ipaddress
from collections import OrderedDict

REQUESTS_PER_S, REQUESTS_BURST = 20.0, 100.0  # a session asks about two a second
SESSIONS_PER_S, SESSIONS_BURST = 1 / 30, 30.0  # of one address: a household, or a carrier's NAT (RFC 6888)
ADDRESSES = 10_000


class Buckets:
    """`allow(address, now)`: False when the address asks faster than per_s for long. The least recently seen address
    is forgotten when the table is full. An IPv6 network of 64 bits counts as one address: it is one customer's."""

    def __init__(self, per_s: float, burst: float, addresses: int = ADDRESSES) -> None:
        self._per_s, self._burst, self._most = per_s, burst, addresses
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, address: str, now: float) -> bool:
        key = customer(address)
        tokens, at = self._buckets.pop(key, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._per_s)
        allowed = tokens >= 1.0
        self._buckets[key] = (tokens - 1.0 if allowed else tokens, now)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return allowed

    def __len__(self) -> int:
        return len(self._buckets)


def customer(address: str) -> str:
    """What counts as one address. Anything that is none counts as itself."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
