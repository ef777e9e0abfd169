"""Work in processes of its own: what it returns comes back, and nothing of it stays."""

import os
import subprocess
import sys
import time

import pytest

from ringback.errors import BadInput, RingbackError
from ringback.lab.namespaces.processes import launch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prctl and /proc are Linux's")


def stay() -> None:
    """No place to enter."""


def gone(pid: int, patience: float = 5.0) -> bool:
    until = time.monotonic() + patience
    while time.monotonic() < until:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


def test_what_work_returns_comes_back_from_another_process() -> None:
    ours = os.getpid()
    child = launch("work", lambda report: (os.getpid(), "x" * 3_000_000), stay)
    pid, text = child.result(10)
    assert pid != ours
    assert len(text) == 3_000_000
    assert gone(pid)


def test_what_work_raises_is_raised_here_and_says_where() -> None:
    def work(report: object) -> None:
        raise BadInput("no such thing", "there")

    with pytest.raises(BadInput, match="no such thing") as raised:
        launch("work", work, stay).result(10)
    assert "raise BadInput" in "".join(raised.value.__notes__)


def test_a_worker_that_dies_is_noticed() -> None:
    with pytest.raises(RingbackError, match="without a word"):
        launch("work", lambda report: os._exit(3), stay).result(10)


def test_a_server_says_when_it_is_ready_and_stops_with_all_it_started() -> None:
    def serve(report) -> None:
        inner = subprocess.Popen(["sh", "-c", "sleep 1000 & echo $!; wait"], stdout=subprocess.PIPE)
        assert inner.stdout is not None
        report((os.getpid(), inner.pid, int(inner.stdout.readline())))
        time.sleep(1000)

    child = launch("server", serve, stay)
    pids = child.ready(10)
    assert not any(gone(pid, 0.05) for pid in pids)
    child.stop()
    assert all(gone(pid) for pid in pids)


def test_waiting_has_an_end() -> None:
    child = launch("slow", lambda report: time.sleep(1000), stay)
    with pytest.raises(TimeoutError, match="slow"):
        child.result(0.1)
    child.stop()


def test_work_may_run_a_loop_when_the_caller_does() -> None:
    import asyncio

    async def inner() -> str:
        await asyncio.sleep(0)
        return "inner"

    async def outer() -> str:
        return launch("loop", lambda report: asyncio.run(inner()), stay).result(10)

    assert asyncio.run(outer()) == "inner"
