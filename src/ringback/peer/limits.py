"""How much one address may ask: a token bucket each, in a bounded table."""

from collections import OrderedDict

REQUESTS_PER_S = 20.0  # a session asks about two a second
BURST = 100.0
ADDRESSES = 10_000


class Requests:
    """`allow(address, now)`: False when the address asks faster than REQUESTS_PER_S for long. The least recently seen
    address is forgotten when the table is full."""

    def __init__(self, per_s: float = REQUESTS_PER_S, burst: float = BURST, addresses: int = ADDRESSES) -> None:
        self._per_s, self._burst, self._most = per_s, burst, addresses
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, address: str, now: float) -> bool:
        tokens, at = self._buckets.pop(address, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._per_s)
        allowed = tokens >= 1.0
        self._buckets[address] = (tokens - 1.0 if allowed else tokens, now)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return allowed
