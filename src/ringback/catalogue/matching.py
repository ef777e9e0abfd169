"""Which (app, function) a host name or a port belongs to. Several may share one."""

from fnmatch import fnmatchcase

from ringback.catalogue.entries import Catalogue, FunctionEntry
from ringback.record import Transport


def matches_host(entry: FunctionEntry, name: str) -> bool:
    """Whether a host name (any case, trailing dot allowed) is one of this function's."""
    name = name.lower().rstrip(".")
    return any(fnmatchcase(name, pattern) for pattern in entry.hosts)


def functions_with_host(catalogue: Catalogue, name: str) -> tuple[tuple[str, str], ...]:
    """(app, function) of each entry whose patterns match the name."""
    return tuple(
        (app.name, entry.name)
        for app in catalogue.apps.values()
        for entry in app.functions.values()
        if matches_host(entry, name)
    )


def functions_on_port(catalogue: Catalogue, transport: Transport, port: int) -> tuple[tuple[str, str], ...]:
    """(app, function) of each entry that uses this destination port with this transport."""
    return tuple(
        (app.name, entry.name)
        for app in catalogue.apps.values()
        for entry in app.functions.values()
        if any(r.transport == transport and port in r for r in entry.ports)
    )
