"""Tunnels on this machine (Linux): whether the default route is one, and what protocol an interface speaks outside."""

from pathlib import Path

NET = Path("/sys/class/net")
ROUTES = Path("/proc/net/route")
UP = 0x1  # RTF_UP


def is_tunnel(interface: str, net: Path = NET) -> bool:
    """WireGuard, TUN or point-to-point interfaces."""
    return (
        protocol(interface, net) is not None
        or (net / interface / "tun_flags").exists()
        or interface.startswith(("ppp", "ipsec", "wg"))
    )


def protocol(interface: str, net: Path = NET) -> str | None:
    """`wireguard` where the kernel says so; None where it does not say."""
    try:
        text = (net / interface / "uevent").read_text()
    except (OSError, ValueError):
        return None
    return "wireguard" if "DEVTYPE=wireguard" in text.split() else None


def default_interfaces(routes: Path = ROUTES) -> list[str]:
    """Interfaces that everything, or one half of everything (as VPN clients set it), leaves by."""
    try:
        lines = routes.read_text().splitlines()[1:]
    except OSError:
        return []
    found = []
    for line in lines:
        fields = line.split()
        halves = fields[1] in ("00000000", "00000080") and fields[7] in ("00000000", "00000080")
        if int(fields[3], 16) & UP and halves:
            found.append(fields[0])
    return list(dict.fromkeys(found))


def tunnels_in_use() -> list[str]:
    return [name for name in default_interfaces() if is_tunnel(name)]
