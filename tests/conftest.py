"""What every test may count on: marked suites that run where the machine can, real data, and a machine left clean."""

import importlib.util
import os
import shutil
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
TAG = "RINGBACK_TEST_SESSION"

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=60, database=None)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def realdata_directory() -> Path:
    """Where the real captures and data sets lie, whether or not they do."""
    return Path(os.environ.get("RINGBACK_REALDATA") or ROOT.parent / "shared" / "data")


def _lacks_namespaces() -> str | None:
    if not shutil.which("unshare"):
        return "no unshare command"
    refused = subprocess.run(["unshare", "-Urnm", "true"], capture_output=True, timeout=10, check=False).returncode
    return "user namespaces refused" if refused else None


def _lacks_command(*names: str) -> str | None:
    return None if any(shutil.which(name) for name in names) else f"{' or '.join(names)} not installed"


def _lacks_modules(*names: str) -> str | None:
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    return f"{', '.join(missing)} not installed" if missing else None


def _lacks_vpn() -> str | None:
    wireguard = shutil.which("wireguard-go") and shutil.which("wg") and os.access("/dev/net/tun", os.R_OK | os.W_OK)
    return None if wireguard or shutil.which("ss-tunnel") else "neither wireguard-go with a TUN device nor ss-tunnel"


# Each marked suite: why it can't run here, or None where it can.
LACKS: dict[str, Callable[[], str | None]] = {
    "namespaces": _lacks_namespaces,
    "ndpi": lambda: _lacks_modules("nfstream"),
    "coturn": lambda: _lacks_command("turnserver"),
    "chromium": lambda: _lacks_command("chromium", "chromium-browser", "google-chrome"),
    "vpn": _lacks_vpn,
    "realdata": lambda: None if realdata_directory().is_dir() else "RINGBACK_REALDATA names no folder",
    "spark": lambda: _lacks_modules("pysail", "pyspark"),
    "validate": lambda: None if os.environ.get("RINGBACK_VALIDATE") == "1" else "make validate runs it",
}


# What shares a costly fixture, or measures in real time, keeps to one process of several (pytest-xdist's groups).
TOGETHER = {"namespaces": "kernels", "coturn": "kernels", "vpn": "kernels", "ndpi": "kernels", "chromium": "pages"}
# The group that takes longest begins first, so that it is not left to one process while the other has nothing to do;
# what runs in real time waits its turn with the lab's tests, and what keeps both processors busy by itself for the end.
FIRST, LAST = "pages", "tests/collect/test_kill.py"


def _group(item: pytest.Item) -> str:
    marked = next((group for name, group in TOGETHER.items() if item.get_closest_marker(name)), None)
    room = item.path.relative_to(ROOT / "tests").parts[0]
    return marked or ("pages" if room == "view" else item.nodeid.partition("::")[0])


def _turn(item: pytest.Item) -> tuple[int, str]:
    group, room = _group(item), item.path.relative_to(ROOT / "tests").parts[0]
    return {FIRST: 0, LAST: 2}.get(group, 1), "lab" if group == "kernels" else room


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=_turn)
    used = {marker.name for item in items for marker in item.iter_markers()}
    reasons = {name: reason for name, lacks in LACKS.items() if name in used and (reason := lacks())}
    for item in items:
        for name, reason in reasons.items():
            if item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=f"{name} ({reason})"))
                break


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[-1]).removeprefix("Skipped: ") for report in skipped)
    if reasons:
        told = "; ".join(f"{reason}: {count}" for reason, count in sorted(reasons.items()))
        terminalreporter.write_line(f"not run here: {told}")


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder with the real captures and data sets; the test is skipped where there is none."""
    directory = realdata_directory()
    if not directory.is_dir():
        pytest.skip("realdata (RINGBACK_REALDATA names no folder)")
    return directory


def _network_things() -> set[str]:
    """Named namespaces, and the kinds of interface that a test could have made in the machine's own namespace."""
    named = {f"namespace {path.name}" for path in Path("/run/netns").glob("*")}
    made = ("veth", "tun", "tap", "wg", "br", "dummy", "rb")
    links = {f"interface {path.name}" for path in Path("/sys/class/net").glob("*") if path.name.startswith(made)}
    return named | links


def tagged_processes(tag: str) -> set[str]:
    """Living processes that inherited this session's tag, orphans among them too."""
    found = set()
    wanted = f"{TAG}={tag}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if int(process.name) != os.getpid() and wanted in (process / "environ").read_bytes().split(b"\0"):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                found.add(f"process {process.name} {command}")
        except OSError:  # gone meanwhile, or another user's
            continue
    return found


@pytest.fixture(scope="session", autouse=True)
def _leaves_nothing_behind() -> Iterator[None]:
    """Fail the session that leaves a namespace, an interface or a process on the machine."""
    before = _network_things()
    tag = uuid.uuid4().hex
    os.environ[TAG] = tag
    yield
    deadline = time.monotonic() + 2.0  # what was told to end may need a moment
    while left := (_network_things() - before) | tagged_processes(tag):
        if time.monotonic() > deadline:
            pytest.fail("left behind: " + "; ".join(sorted(left)))
        time.sleep(0.05)
