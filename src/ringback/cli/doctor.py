"""`ringback doctor`: what this installation can and cannot do, and why."""

import importlib.util
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.table import Table
from rich.text import Text

from ringback import __version__
from ringback.cli import consent, folders, speech
from ringback.cli.exits import Exit
from ringback.cli.tunnels import tunnels_in_use
from ringback.words import Language, load

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "observatory": ("granian", "ibis", "jinja2", "litestar", "maxminddb"),
    "lab": ("pyroute2",),
    "cluster": ("pysail", "pyspark"),
}
BUILT = datetime(2025, 8, 1, tzinfo=UTC)  # a clock before this is wrong
LEAST_FREE = 100_000_000  # bytes
CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW = 10, 12, 13  # capabilities(7)
PRIVILEGED = 1024


class Check(msgspec.Struct, frozen=True):
    """ok: can do; detail: what was found, or what is missing and how to get it."""

    name: str
    ok: bool
    detail: str


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", sys.version_info >= (3, 11), f"{version}, ringback {__version__}")


def _extra(name: str) -> Check:
    missing = [module for module in EXTRAS[name] if importlib.util.find_spec(module) is None]
    if missing:
        return Check(f"extra {name}", False, f"{', '.join(missing)} not installed: pip install 'ringback[{name}]'")
    return Check(f"extra {name}", True, ", ".join(EXTRAS[name]))


def _namespaces() -> Check:
    name = "user namespaces"
    if shutil.which("unshare") is None:
        return Check(name, False, "no unshare command (util-linux): the lab runs in the simulator only")
    tried = subprocess.run(["unshare", "-Urn", "true"], capture_output=True, timeout=10, check=False)
    if tried.returncode:
        return Check(name, False, "refused by this system: the lab runs in the simulator only")
    return Check(name, True, "the lab can run between real kernels")


def _low_ports() -> Check:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
        lowest = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        lowest = PRIVILEGED
    able = lowest <= 53 or "net_bind_service" in _capabilities()
    return Check("ports below 1024", able, "serve takes the real ports" if able else "serve falls back to others")


def _capabilities() -> list[str]:
    names = {
        CAP_NET_BIND_SERVICE: "net_bind_service",
        CAP_NET_ADMIN: "net_admin",
        CAP_NET_RAW: "net_raw",
    }
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        mask = int(next(line.split()[1] for line in lines if line.startswith("CapEff")), 16)
    except (OSError, StopIteration, ValueError):
        return []
    return [name for bit, name in names.items() if mask >> bit & 1]


def _rights() -> Check:
    held = _capabilities()
    return Check("capabilities", True, ", ".join(held) if held else "none, and none is needed")


def _command(name: str, commands: tuple[str, ...], without: str) -> Check:
    found = next((path for command in commands if (path := shutil.which(command))), None)
    return Check(name, found is not None, found or without)


def _disk() -> Check:
    folder = folders.data_folder()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    return Check("disk", free >= LEAST_FREE, f"{free // 1_000_000:,} MB free at {folder}")


def _clock() -> Check:
    now = datetime.now(UTC)
    return Check("clock", now >= BUILT, now.strftime("%Y-%m-%dT%H:%M:%SZ"))


def _results() -> Check:
    folder = folders.results_folder()
    if not folder.exists():
        return Check("results", True, f"{folder} (made at the first check)")
    files = [path for path in (folder, *folder.iterdir()) if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if files:
        return Check("results", False, f"others can read {files[0]}: chmod -R go= {folder}")
    return Check("results", os.access(folder, os.W_OK), str(folder))


def _consent() -> Check:
    given = consent.recorded()
    wanted = load("en").say("consent.version")
    if given is None or given.version != wanted:
        return Check("consent", False, "not given yet: the first check asks, or takes --yes for itself alone")
    return Check("consent", True, f"version {given.version}, {given.given_at}")


def _tunnel() -> Check:
    names = tunnels_in_use()
    return Check("no tunnel in use", not names, ", ".join(names) or "results would be this network's own")


CHECKS: tuple[Callable[[], Check], ...] = (
    _python,
    lambda: _extra("observatory"),
    lambda: _extra("lab"),
    lambda: _extra("cluster"),
    _namespaces,
    _low_ports,
    _rights,
    lambda: _command("coturn", ("turnserver",), "not installed: one witness fewer in the tests"),
    lambda: _command(
        "chromium", ("chromium", "chromium-browser", "google-chrome"), "not installed: pages are not tested in one"
    ),
    _disk,
    _clock,
    _results,
    _consent,
    _tunnel,
)


def doctor(*, json: bool = False, lang: Language | None = None) -> Exit:
    """Say what this installation can and cannot do, and why. Sends nothing.

    Parameters
    ----------
    json
        One JSON object a line on standard output: name, ok, detail.
    lang
        Language of the headings. Default: from the environment.
    """
    phrases = load(speech.language(lang))
    grid = Table.grid(padding=(0, 2))
    with speech.Records(json, None) as records:
        for run in CHECKS:
            found = run()
            records.write(found)
            word, style = ("yes", "green") if found.ok else ("no", "yellow")
            grid.add_row(found.name, Text(phrases.say(f"doctor.{word}"), style=style), Text(found.detail))
    console = speech.console(json)
    console.print(Text(phrases.say("doctor.heading"), style="bold"))
    console.print(grid)
    return Exit.VERDICT
