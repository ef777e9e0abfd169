"""Whom this machine asks for names."""

from pathlib import Path

RESOLVER_FILE = Path("/etc/resolv.conf")


def system_resolver(file: Path = RESOLVER_FILE) -> str | None:
    """The first name server of resolv.conf(5), None where there is none."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, ValueError):
        return None
    servers = [fields[1] for fields in map(str.split, lines) if len(fields) > 1 and fields[0] == "nameserver"]
    return servers[0].partition("%")[0] if servers else None
