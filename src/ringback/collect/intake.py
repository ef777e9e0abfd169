"""Between requests and the spool: many wait for one sync, and what waits too long to be taken is turned away."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from ringback.collect.attestation import NOBODY, Keys
from ringback.collect.published import Published
from ringback.collect.scrub import observed
from ringback.collect.spool import DAMAGED, Entry, Sink, Spool, owned
from ringback.errors import BadInput, RingbackError, Unavailable
from ringback.record import Observation, Report

WAITING_ENTRIES = 2_000
WAITING_BYTES = 64 << 20
DRAIN_S = 5.0
DRAIN_LATER_S = 30.0  # after the lake refused
OPEN, SPOOL = "open", "spool"  # folders

log = logging.getLogger("ringback.collect")

Lake = Callable[[Sequence[Observation]], object]
"""Adds observations, each once by its id; durable when it returns. Raises RingbackError where it can't."""


def sink(lake: Lake, folder: Path, known: Keys = NOBODY) -> Sink:
    """From the spool in `folder` to the lake, and to the published reports in `folder`, in this process. known: keys of
    the peers whose signatures are known here.

    What is no report, or none any more, is kept aside beside the spool's other damage: it must not hold up what comes
    after it."""
    published = Published(folder / OPEN)

    def take(entries: Sequence[Entry]) -> None:
        observations: list[Observation] = []
        for one in entries:
            try:
                report = msgspec.json.decode(one.payload, type=Report)
                found = observed(report, known)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, BadInput) as error:
                log.error("what was spooled as %s is no report now and is kept aside: %.200s", one.key.hex(), error)
                aside = folder / SPOOL / DAMAGED / f"{one.key.hex()}.json"
                aside.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                aside.write_bytes(one.payload)
                continue
            observations += found
            if report.open:
                published.put(report)
        lake(observations)

    return take


class Busy(Unavailable):
    """More waits already than may wait."""


class Intake:
    """`add` returns when what it was given is on the disk. Made by `intake`."""

    def __init__(self, spool: Spool, into: Sink) -> None:
        self.spool = spool
        self._into = into
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
        return await asyncio.get_running_loop().run_in_executor(self._drainer, self.spool.drain, self._into)

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
            except Exception as error:  # whatever it is, it must not end the taking of reports
                log.error("the lake takes nothing, reports wait in the spool: %s", error, exc_info=_odd(error))
                await asyncio.sleep(DRAIN_LATER_S)

    def close(self) -> None:
        self._writer.shutdown()
        self._drainer.shutdown()
        self.spool.close()


def _odd(error: Exception) -> Exception | None:
    """What nobody foresaw is told with where it came from."""
    return None if isinstance(error, RingbackError | OSError) else error


@asynccontextmanager
async def intake(folder: Path, into: Sink, every: float = DRAIN_S) -> AsyncIterator[Intake]:
    """An intake while the context lasts, with its spool in `folder`. What an earlier one left there goes on first.
    Raises Unavailable where the folder can't be had, or is another collector's."""
    with owned(folder / SPOOL):
        async with _running(folder, into, every) as found:
            yield found


@asynccontextmanager
async def _running(folder: Path, into: Sink, every: float) -> AsyncIterator[Intake]:
    found = Intake(Spool(folder / SPOOL), into)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(found.write()), group.create_task(found.keep_draining(every))]
            try:
                yield found
            finally:
                for task in tasks:
                    task.cancel()
        try:
            await found.drain()
        except Exception as error:
            log.error("reports wait in the spool for the next start: %s", error, exc_info=_odd(error))
    finally:
        found.close()
