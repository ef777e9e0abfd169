"""Between requests and the spool: many wait for one sync, and what waits too long to be taken is turned away."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from ringback.collect.published import Published
from ringback.collect.scrub import observed
from ringback.collect.spool import Entry, Spool
from ringback.errors import RingbackError, Unavailable
from ringback.record import Observation, Report

WAITING_ENTRIES = 2_000
WAITING_BYTES = 64 << 20
DRAIN_S = 5.0
DRAIN_LATER_S = 30.0  # after the lake refused

log = logging.getLogger("ringback.collect")

Lake = Callable[[Sequence[Observation]], object]
"""Adds observations, each once by its id; durable when it returns. Raises RingbackError where it can't."""


class Busy(Unavailable):
    """More waits already than may wait."""


class Intake:
    """`add` returns when what it was given is on the disk. Made by `intake`."""

    def __init__(self, spool: Spool, lake: Lake, published: Published) -> None:
        self.spool = spool
        self._lake, self._published = lake, published
        self._queue: list[tuple[Sequence[Entry], asyncio.Future[list[bool]]]] = []
        self._entries = self._bytes = 0
        self._wake = asyncio.Event()
        self._writer = ThreadPoolExecutor(1, "ringback-spool")
        self._drainer = ThreadPoolExecutor(1, "ringback-drain")

    async def add(self, entries: Sequence[Entry]) -> list[bool]:
        """For each: was it new? Raises Busy, spool.Full or Unavailable; then none of them is counted."""
        size = sum(len(one.payload) for one in entries)
        if self._entries and (self._entries + len(entries) > WAITING_ENTRIES or self._bytes + size > WAITING_BYTES):
            raise Busy("too many reports wait to be written")
        done: asyncio.Future[list[bool]] = asyncio.get_running_loop().create_future()
        self._queue.append((entries, done))
        self._entries += len(entries)
        self._bytes += size
        self._wake.set()
        try:
            return await done
        finally:
            self._entries -= len(entries)
            self._bytes -= size

    async def drain(self) -> int:
        """Hands what waits to the lake; how many reports. What the lake raises is passed on."""
        return await asyncio.get_running_loop().run_in_executor(self._drainer, self.spool.drain, self._sink)

    def _sink(self, entries: Sequence[Entry]) -> None:
        observations: list[Observation] = []
        for one in entries:
            report = msgspec.json.decode(one.payload, type=Report)
            observations += observed(report)
            if report.open:
                self._published.put(report)
        self._lake(observations)

    async def write(self) -> None:
        """Until cancelled: all that came while the last sync ran is written and synced at once."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            taken, self._queue = self._queue, []
            flat = [one for entries, _ in taken for one in entries]
            try:
                new = await loop.run_in_executor(self._writer, self.spool.add, flat)
            except Exception as error:
                for _, done in taken:
                    if not done.done():
                        done.set_exception(error)
                continue
            at = 0
            for entries, done in taken:
                if not done.done():
                    done.set_result(new[at : at + len(entries)])
                at += len(entries)

    async def keep_draining(self, every: float) -> None:
        while True:
            try:
                await self.drain()
                await asyncio.sleep(every)
            except (RingbackError, OSError) as error:
                log.error("the lake takes nothing, reports wait in the spool: %s", error)
                await asyncio.sleep(DRAIN_LATER_S)

    def close(self) -> None:
        self._writer.shutdown()
        self._drainer.shutdown()
        self.spool.close()


@asynccontextmanager
async def intake(folder: Path, lake: Lake, every: float = DRAIN_S) -> AsyncIterator[Intake]:
    """An intake while the context lasts: spool and published reports in `folder`. What an earlier one left in its spool
    goes to the lake first. Raises Unavailable where the folder can't be had."""
    found = Intake(Spool(folder / "spool"), lake, Published(folder / "open"))
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(found.write()), group.create_task(found.keep_draining(every))]
            try:
                yield found
            finally:
                for task in tasks:
                    task.cancel()
        with suppress(RingbackError, OSError):  # it waits in the spool for the next start
            await found.drain()
    finally:
        found.close()
