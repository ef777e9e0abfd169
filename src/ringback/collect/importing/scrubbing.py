"""Strings from outside are hostile: what of them gets into an observation, and in which form.

Everything here takes any value and gives a harmless one or None; nothing raises.
"""

import re
from datetime import UTC, datetime
from hashlib import sha256
from ipaddress import IPv4Network, ip_address
from typing import Literal

TEXT = 120  # characters of a short string: a version, a failure, a host
KEY = 240  # characters of another tool's key of a measurement

# C0 and C1 controls, line and paragraph separators, marks that turn the direction of writing, and half surrogates.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_~-]*")
_HOST = re.compile(r"[0-9a-z_.:\[\]-]+")
_COUNTRY = re.compile(r"[A-Z]{2}")
_REGION = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
_BENCHMARKING = IPv4Network("198.18.0.0/15")  # RFC 2544; tunnels on the device itself answer names from it

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)


def text(value: object, limit: int = TEXT) -> str | None:
    """A string without what can't be printed, cut to `limit` characters; None for anything else and for nothing."""
    if not isinstance(value, str) or not value:
        return None
    cut = value[:limit]
    return (cut if cut.isascii() and cut.isprintable() else _UNPRINTABLE.sub("\ufffd", cut)) or None


def token(value: object, limit: int = TEXT) -> str | None:
    """A version or name of letters, digits and `.+_~-`; None for anything else."""
    return value if isinstance(value, str) and len(value) <= limit and _VERSION.fullmatch(value) else None


def host(value: object) -> str | None:
    """A host in lower case, with port where it had one; None where it is none."""
    if not isinstance(value, str) or not 0 < len(value) <= 255:
        return None
    small = value.lower()
    if not small.isascii():
        try:
            small = small.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    return small if _HOST.fullmatch(small) else None


def asn(value: object) -> int | None:
    """An AS number, 1 to 2^32 - 1, from `AS30722`, `30722` or a number; 0 is nobody's (RFC 7607)."""
    if isinstance(value, str):
        digits = value[2:] if value[:2] in ("AS", "as") else value
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 10):
            return None
        value = int(digits)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 32 else None


def country(value: object) -> str | None:
    """ISO 3166-1 alpha-2; None for `ZZ`, which OONI writes where it does not know."""
    return value if isinstance(value, str) and value != "ZZ" and _COUNTRY.fullmatch(value) else None


def region(value: object) -> str | None:
    """ISO 3166-2, or a country."""
    return value if isinstance(value, str) and value != "ZZ" and _REGION.fullmatch(value) else None


def time(value: object) -> datetime | None:
    """UTC to the second, from ISO 8601 as OONI, the speed tests and Ringback write it; None outside 2000 to 2099."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    written = value.removesuffix(" UTC").removesuffix("Z")
    try:
        read = datetime.fromisoformat(written)
    except ValueError:
        return None
    try:
        aware = read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except OverflowError:
        return None
    return aware.replace(microsecond=0) if EARLIEST <= aware < LATEST else None


def digest(value: object, kind: str) -> str | None:
    """Sixteen hex digits in place of what ties records together (a net, a probe, a run); None where nothing is."""
    if not isinstance(value, str) or not value:
        return None
    return sha256(f"{kind}\0{value}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def number(value: object, low: float = 0.0, high: float = 1e12) -> float | None:
    """A finite number within [low, high], from a number or its decimal notation."""
    if isinstance(value, str) and 0 < len(value) <= 32:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if low <= value <= high else None


def address_kind(value: object) -> Literal["public", "private", "tunnel"] | None:
    """Of an IP address: can it belong to a public name? None where it is no address."""
    if not isinstance(value, str) or not 0 < len(value) <= 45:
        return None
    try:
        address = ip_address(value)
    except ValueError:
        return None
    if address.version == 4 and address in _BENCHMARKING:
        return "tunnel"
    return "public" if address.is_global else "private"
