"""A collector that is killed in the middle of its work, over and over: what it acknowledged is there, once."""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from ringback.collect.spool import Spool
from ringback.store import Lake, Reading
from ringback.store import schema as lake_schema
from tests.collect.reports import encoded, report

SENDERS = 64
IN_FLIGHT = 50
ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Collector:
    """See `alone`. starter: process id of what the collectors are forked from."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.starter, self.pid = process.pid, 0

    async def _ask(self, line: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line.encode() + b"\n")
        return int(await self._process.stdout.readline())

    async def start(self, limit: str = "") -> None:
        self.pid = await self._ask(f"start {limit}")

    async def end(self, number: signal.Signals) -> int:
        """Its return code."""
        os.kill(self.pid, number)
        return await self._ask("wait")


@asynccontextmanager
async def collector(folder: Path, port: int, *within: str, apart: bool = False) -> AsyncIterator[Collector]:
    """within: a command that runs another one. apart: the lake's writer is a process of its own, as in `serve`."""
    pipe = asyncio.subprocess.PIPE
    own = [sys.executable, "-m", "tests.collect.alone", str(folder), str(port), *(["apart"] if apart else [])]
    command = [*within, *own]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe)
    try:
        yield Collector(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


def measurements(folder: Path) -> Counter[str]:
    """How often each measurement is in the lake."""
    import pyarrow.parquet as pq

    found: Counter[str] = Counter()
    for part in Lake(folder / "lake").parts():
        with pq.ParquetFile(part) as file:
            found.update(one.measurement or "" for one in lake_schema.observations(file.read()))
    return found


class Senders:
    """Many participants that send until told to stop, each the same report again until it is acknowledged."""

    def __init__(self, port: int) -> None:
        self.ledger: list[str] = []
        self.in_flight = self.answered_twice = 0
        self._number = 0
        self._url = f"http://127.0.0.1:{port}/v1/reports"
        self._over = False

    async def _one(self, client: httpx.AsyncClient) -> None:
        while not self._over:
            self._number += 1
            body, tries = encoded(report(self._number)), 0
            while not self._over:
                self.in_flight += 1
                tries += 1
                try:
                    answer = await client.post(self._url, content=body, headers={"Content-Type": "application/json"})
                except httpx.TransportError:
                    self.in_flight -= 1
                    await asyncio.sleep(0.02)
                    continue
                self.in_flight -= 1
                if answer.status_code in (200, 201):
                    self.ledger.append(answer.json()["id"])
                    self.answered_twice += answer.status_code == 200
                    assert tries > 1 or answer.status_code == 201
                    break
                assert answer.status_code in (503, 507)
                await asyncio.sleep(0.02)

    async def send(self, over: asyncio.Event) -> None:
        limits = httpx.Limits(max_connections=SENDERS, max_keepalive_connections=SENDERS)
        async with (
            httpx.AsyncClient(trust_env=False, limits=limits, timeout=30) as client,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(SENDERS):
                group.create_task(self._one(client))
            await over.wait()
            self._over = True


async def killed(folder: Path, kills: int, seed: int, apart: bool = False) -> Senders:
    rng = random.Random(seed)
    port = free_port()
    senders, over = Senders(port), asyncio.Event()
    async with collector(folder, port, apart=apart) as running, asyncio.TaskGroup() as group:
        await running.start()
        group.create_task(senders.send(over))
        for _ in range(kills):
            seen = written(folder)
            while apart and written(folder) < seen + 2:  # noqa: ASYNC110 - its writer is a program that starts
                await asyncio.sleep(0.01)
            until = len(senders.ledger) + rng.randint(0, 80)  # moments of its work, however fast the machine is
            while len(senders.ledger) < until:  # noqa: ASYNC110 - a count, looked at now and then
                await asyncio.sleep(0.001)
            while senders.in_flight < IN_FLIGHT:  # noqa: ASYNC110 - a count, looked at now and then
                await asyncio.sleep(0.001)
            assert await running.end(signal.SIGKILL) == -signal.SIGKILL
            await running.start()
        await asyncio.sleep(0.5)
        over.set()
        assert await running.end(signal.SIGTERM) == 0
    return senders


def written(folder: Path) -> int:
    """How often the lake was changed."""
    return Lake(folder / "lake").manifest().generation


async def proven(folder: Path, kills: int, seed: int, apart: bool = False) -> None:
    senders = await killed(folder, kills, seed, apart)
    assert len(senders.ledger) > 20 * kills, "it was at work"
    assert len(set(senders.ledger)) == len(senders.ledger)
    there = measurements(folder)
    lost = [one for one in senders.ledger if f"{one}-0" not in there]
    doubled = {one: count for one, count in there.items() if count > 1}
    assert (lost, doubled) == ([], {})
    assert Spool(folder / "spool").waiting == 0
    assert sum(cell.n for cell in Reading(Lake(folder / "lake")).cells(by=["app"])) == len(there)


@pytest.mark.slow
async def test_eight_kills_lose_nothing_that_was_acknowledged_and_double_nothing(tmp_path: Path) -> None:
    await proven(tmp_path, 8, 1)


@pytest.mark.slow
async def test_the_same_while_the_lakes_writer_is_a_process_that_outlives_the_collector_by_a_batch(
    tmp_path: Path,
) -> None:
    await proven(tmp_path, 4, 3, apart=True)


@pytest.mark.validate
async def test_a_hundred_kills(tmp_path: Path) -> None:
    await proven(tmp_path, 100, 2)
