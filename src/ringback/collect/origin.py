"""From an address to a network and a region, by local databases; the address itself goes nowhere.

Databases are MaxMind DB files (format 2.0). Keys of the usual ones are read: GeoLite2 and DB-IP with nested names,
flat tables with `asn` and `country_code`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import maxminddb
import msgspec

from ringback.collect.importing import scrubbing
from ringback.errors import BadInput


class Origin(msgspec.Struct, frozen=True):
    """asn: of the network, region: ISO 3166-2 or a country; None where nobody knows."""

    asn: int | None = None
    region: str | None = None


UNKNOWN = Origin()
Lookup = Callable[[str], Origin]


def nowhere(_: str) -> Origin:
    """Where there is no database."""
    return UNKNOWN


@contextmanager
def databases(files: Sequence[Path]) -> Iterator[Lookup]:
    """What the first database that knows it says, of each. Raises BadInput for a file that is no database."""
    with ExitStack() as stack:
        readers = []
        for file in files:
            try:
                readers.append(stack.enter_context(maxminddb.open_database(file)))
            except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
                raise BadInput(f"is no database of addresses: {error}", str(file)) from error

        def look(address: str) -> Origin:
            parsed = _parsed(address)
            if parsed is None:
                return UNKNOWN
            found = [_read(reader.get(parsed)) for reader in readers if _fits(reader, parsed)]
            return Origin(
                next((one.asn for one in found if one.asn is not None), None),
                next((one.region for one in found if one.region is not None), None),
            )

        yield look


def _parsed(address: str) -> str | None:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)


def _fits(reader: maxminddb.Reader, address: str) -> bool:
    return ":" not in address or reader.metadata().ip_version == 6


def _read(record: object) -> Origin:
    if not isinstance(record, Mapping):
        return UNKNOWN
    asn = scrubbing.asn(record.get("autonomous_system_number") or record.get("asn"))
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, Mapping) else record.get("country_code") or country
    region = scrubbing.country(code)
    parts = record.get("subdivisions")
    if region is not None and isinstance(parts, Sequence) and parts and isinstance(parts[0], Mapping):
        region = scrubbing.region(f"{region}-{parts[0].get('iso_code')}") or region
    return Origin(asn, region)
