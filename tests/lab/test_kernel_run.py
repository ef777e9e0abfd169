"""A scenario between real kernels: what is said of it, side by side, and that nothing of it stays."""

import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ringback.errors import BadInput, Unavailable
from ringback.lab import kernel_run, namespaces, scenario
from ringback.lab.kernel_run import run_namespaces
from ringback.lab.run import in_virtual_time
from ringback.lab.scenario import Scenario
from ringback.record import Measurement, NetworkRecord

DROPPED = """
name = "dropped"
apps = ["whatsapp"]
functions = ["media", "voice"]
[[network]]
name = "moscow-fixed"
asn = 64500
region = "RU-MOW"
hops = 3
[[network.rule]]
hop = 2
match = { app = "whatsapp", function = "voice" }
trigger = "payload"
action = { kind = "drop" }
"""
TWO = """
name = "two"
apps = ["signal"]
functions = ["voice"]
[[rule]]
match = { app = "signal", function = "voice" }
trigger = "payload"
action = { kind = "drop" }
[[network]]
name = "slow"
asn = 64500
region = "RU-MOW"
hops = 2
link = { rtt_ms = 160 }
[[network]]
name = "fast"
asn = 64501
region = "RU-SPE"
hops = 2
link = { rtt_ms = 20 }
"""
namespaced = [
    pytest.mark.namespaces,
    pytest.mark.skipif(namespaces.supported() is not None, reason=str(namespaces.supported())),
]


def parsed(text: str) -> Scenario:
    return scenario.parse(text, "test.toml")


@pytest.mark.usefixtures("alone")
class TestBetweenKernels:
    pytestmark = namespaced

    def test_dropped_calls_are_found_and_downloads_are_not_accused(self) -> None:
        steps: list[tuple[int, int]] = []
        *measured, network = run_namespaces(
            parsed(DROPPED), progress=lambda _, done, of: steps.append((done, of)), mode="quick"
        )
        assert isinstance(network, NetworkRecord)
        assert (network.state, network.udp) == ("normal", "open")
        by_function = {(m.function, m.direction): m for m in measured if isinstance(m, Measurement)}
        for direction in ("outgoing", "incoming"):
            call = by_function["voice", direction]
            assert call.truth is not None
            assert call.verdict.status == call.truth.status == "restricted"
            assert (call.verdict.mechanism, call.verdict.trigger) == ("drop", "payload")
        media = by_function["media", None].verdict
        assert media.e_value is not None
        assert media.threshold is not None
        assert media.e_value < media.threshold / 10  # by chance in 1 of 300 runs at most: the times are a real clock's
        assert media.status in ("working", "insufficient")
        assert steps[-1] == (3, 3)

    def test_networks_side_by_side_are_told_in_the_scenarios_order(self) -> None:
        began = time.monotonic()
        rows = list(run_namespaces(parsed(TWO), parallel=2))
        assert [row.network for row in rows] == ["slow"] * 3 + ["fast"] * 3
        assert {row.verdict.status for row in rows if isinstance(row, Measurement)} == {"restricted"}
        alone = sum(in_virtual_time(place, None, None, False).seconds for place in kernel_run.places(parsed(TWO), 1))
        assert time.monotonic() - began < alone + 5

    def test_who_stops_listening_ends_it(self, alone: str) -> None:
        heard: list[int] = []

        def hear(_: str, done: int, of: int) -> None:
            heard.append(len(tagged(alone)))
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            list(run_namespaces(parsed(TWO), progress=hear))
        assert heard[0] >= 20  # a supervisor and a worker each of two participants, routers, peers, hosts and sessions
        assert not left(alone)

    def test_an_interrupted_or_killed_parent_leaves_nothing(self, alone: str) -> None:
        script = textwrap.dedent(
            """
            from tests.lab.test_kernel_run import DROPPED, parsed
            from ringback.lab.kernel_run import run_namespaces
            list(run_namespaces(parsed(DROPPED)))
            """
        )
        for ending in (signal.SIGINT, signal.SIGKILL):
            parent = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
            until = time.monotonic() + 20
            while len(tagged(alone)) < 9 and time.monotonic() < until:  # a supervisor and a worker for each of four
                time.sleep(0.02)
            assert len(tagged(alone)) >= 9
            os.kill(parent.pid, ending)
            assert parent.wait(10) != 0
            assert not left(alone)

    def test_what_fails_inside_is_raised_outside(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(place: object) -> None:
            raise BadInput("a broken box", "hop 2")

        monkeypatch.setattr(kernel_run, "sim_net", broken)
        with pytest.raises(BadInput, match="a broken box"):
            list(run_namespaces(parsed(TWO)))


def test_where_namespaces_are_refused_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_run, "supported", lambda: "user namespaces are refused")
    with pytest.raises(Unavailable, match="user namespaces are refused.*--net sim"):
        next(run_namespaces(parsed(TWO)))


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A mark on all processes that descend from those this test starts; none may be left."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv("RINGBACK_TEST_RUN", mark)
    yield mark
    assert not left(mark)


def tagged(mark: str) -> set[int]:
    """Started programs with the mark, and forks of this very process."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parents = (process / "stat").read_text().rpartition(")")[2].split()
            marked = mark.encode() in (process / "environ").read_bytes()
        except OSError:
            continue
        if parents[0] != "Z" and (marked or ours(int(process.name))):
            found.add(int(process.name))
    return found


def ours(process: int) -> bool:
    """Whether we are among its ancestors."""
    while process > 1:
        try:
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
        if process == os.getpid():
            return True
    return False


def left(mark: str) -> set[int]:
    """What still runs after a moment."""
    until = time.monotonic() + 5
    while (running := tagged(mark)) and time.monotonic() < until:
        time.sleep(0.02)
    return running


@pytest.mark.validate
@pytest.mark.namespaces
@pytest.mark.parametrize("name", scenario.shipped())
def test_every_shipped_scenario_is_seen_as_it_is(name: str) -> None:
    """One participant of each network, in real time: minutes each."""
    loaded = scenario.load(name)
    networks = tuple(msgspec.structs.replace(network, participants=1) for network in loaded.networks)
    loaded = msgspec.structs.replace(loaded, networks=networks)
    wrong = []
    for row in run_namespaces(loaded):
        if isinstance(row, Measurement) and row.truth is not None and row.truth.scored:
            seen, truth = row.verdict, row.truth
            if seen.status != truth.status:
                why = f"{seen.status} ({seen.reason}, e {seen.e_value}, clear {seen.e_working})"
                wrong.append(f"{row.id}: {why}, truth {truth.status} {truth.mechanism}")
                print(wrong[-1])
    assert not wrong
