"""Drivers of the engine's seam over real sockets (asyncio): the participant's end, and the peer's.

Nothing here knows what a packet is for. Times handed to an end are seconds since its driver began, monotonic.
"""

from ringback.net.far import FarDriver, Ports
from ringback.net.near import drive
from ringback.net.paths import Direct, Interface, PathBinding, Socks5, missing, parse_path, proxy_problem

__all__ = [
    "Direct",
    "FarDriver",
    "Interface",
    "PathBinding",
    "Ports",
    "Socks5",
    "drive",
    "missing",
    "parse_path",
    "proxy_problem",
]
