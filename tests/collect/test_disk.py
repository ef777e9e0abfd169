"""A disk that is full, and a spool that was cut: said clearly, and nothing that was acknowledged is lost."""

import os
import signal
import subprocess
from collections import Counter
from pathlib import Path

import httpx
import msgspec
import pytest

from ringback.store import Lake, check
from tests.collect.reports import encoded, report
from tests.collect.test_kill import Collector, collector, free_port, measurements

JSON = {"Content-Type": "application/json"}
MEGABYTES = 3


def once(ids: list[str]) -> Counter[str]:
    return Counter(f"{one}-0" for one in ids)


def refused(answer: httpx.Response, status: int, detail: str) -> None:
    """A problem as RFC 9457 has it, with when to come again."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["detail"] == detail
    assert answer.json()["status"] == status
    assert int(answer.headers["retry-after"]) > 0


class Disk:
    """A real one of a few megabytes: a tmpfs that only the collector's mount namespace has."""

    def __init__(self, running: Collector, folder: Path) -> None:
        self.folder = Path(f"/proc/{running.starter}/root{folder}")
        self._ballast = self.folder / "ballast"

    def fill(self, leave: int) -> None:
        """Until only so many bytes are free."""
        there = os.statvfs(self.folder)
        size = there.f_bavail * there.f_frsize - leave
        with self._ballast.open("wb") as out:
            os.posix_fallocate(out.fileno(), 0, size)

    def empty(self) -> None:
        self._ballast.unlink()


def disk_of(folder: Path) -> list[str]:
    """A command that runs another one where `folder` is a small disk of its own."""
    script = f'mount -t tmpfs -o size={MEGABYTES}m tmpfs "$0" && exec "$@"'
    return ["unshare", "-Urm", "sh", "-c", script, str(folder)]


def no_disk() -> str | None:
    tried = subprocess.run([*disk_of(Path("/mnt")), "true"], capture_output=True, timeout=20, check=False)
    return tried.stderr.decode(errors="replace").strip()[:120] or "refused" if tried.returncode else None


@pytest.mark.slow
@pytest.mark.namespaces
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
async def test_a_full_disk_is_said_costs_nothing_acknowledged_and_when_room_returns_reports_are_taken(
    tmp_path: Path, end: signal.Signals
) -> None:
    if reason := no_disk():
        pytest.skip(f"no disk of our own: {reason}")
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1/reports"
    ids: list[str] = []
    number = 0
    async with collector(tmp_path, port, *disk_of(tmp_path)) as running, httpx.AsyncClient(trust_env=False) as client:

        async def until_refused() -> None:
            nonlocal number
            for _ in range(2_000):
                number += 1
                answer = await client.post(url, content=encoded(report(number)), headers=JSON)
                if answer.status_code != 201:
                    return refused(answer, 507, "no room is left on the disk")
                ids.append(answer.json()["id"])
            raise AssertionError("the disk never filled up")

        await running.start()
        disk = Disk(running, tmp_path)
        for leave in (200_000, 0):
            disk.fill(leave)
            await until_refused()
            known = await client.post(url, content=encoded(report(1)), headers=JSON)
            assert known.json() == {"status": "known", "id": ids[0]}, "what was acknowledged is known while it is full"
            assert (await client.get(f"http://127.0.0.1:{port}/v1/collector")).status_code == 200
            assert await running.end(end) == (-end if end == signal.SIGKILL else 0)
            await running.start()  # on the full disk
            await until_refused()
            disk.empty()
            answer = await client.post(url, content=encoded(report(number)), headers=JSON)
            assert answer.status_code == 201, "without a restart"
            ids.append(answer.json()["id"])
        assert await running.end(signal.SIGTERM) == 0
        lake = Lake(disk.folder / "lake")
        assert measurements(disk.folder) == once(ids)
        assert [one for one in check(lake) if one.fault != "unlisted"] == []
    assert len(ids) > 10


@pytest.mark.slow
async def test_what_a_crash_cut_off_was_never_acknowledged_and_what_was_is_there(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1/reports"
    ids: list[str] = []
    async with collector(tmp_path, port) as running, httpx.AsyncClient(trust_env=False) as client:
        await running.start("20000")  # the lake can't grow: everything waits in the spool
        for number in range(3):
            answer = await client.post(url, content=encoded(report(number)), headers=JSON)
            ids.append(answer.json()["id"])
        assert await running.end(signal.SIGKILL) == -signal.SIGKILL
        with max((tmp_path / "spool").glob("*.log")).open("ab") as file:
            file.write(file.name.encode() + b"RBS1" + bytes(40))  # of a frame that was being written
        await running.start()
        told = (await client.get(f"http://127.0.0.1:{port}/v1/collector")).json()
        assert told["damaged"] <= 1
        for number in range(3):
            answer = await client.post(url, content=encoded(report(number)), headers=JSON)
            assert answer.json() == {"status": "known", "id": ids[number]}
        assert await running.end(signal.SIGTERM) == 0
    assert measurements(tmp_path) == once(ids)
    assert len(list((tmp_path / "spool" / "damaged").iterdir())) == 1


@pytest.mark.slow
async def test_a_file_that_may_not_grow_is_a_full_disk(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1/reports"
    ids = []
    async with collector(tmp_path, port) as running, httpx.AsyncClient(trust_env=False) as client:
        await running.start("20000")  # no file may grow beyond: the lake's can't either
        large = b"\n".join(encoded(report(i)) for i in range(30))
        for number in range(5):
            answer = await client.post(url, content=large, headers={"Content-Type": "application/x-ndjson"})
            refused(answer, 507, "no room is left on the disk")
            answer = await client.post(url, json=msgspec.to_builtins(report(5_000 + number)))
            assert answer.status_code == 201, "what fits is taken"
            ids.append(answer.json()["id"])
        assert await running.end(signal.SIGKILL) == -signal.SIGKILL
        await running.start()
        assert await running.end(signal.SIGTERM) == 0
    assert measurements(tmp_path) == once(ids)
