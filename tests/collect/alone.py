"""Collectors as processes of their own, one after the other, each forked from a program that has loaded everything:
`python -m tests.collect.alone FOLDER PORT [apart]`, with `apart` the lake's writer is a process of its own.

Told by lines on standard input: `start [MOST_FILE_BYTES]` is answered by the collector with its process id once it
listens, `wait` with its return code once it has ended.
"""

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ringback.collect.api import Allowance
from ringback.collect.collector import collecting
from ringback.collect.intake import sink
from ringback.collect.spool import Sink
from ringback.peer.http import mounted
from ringback.peer.serving import listening
from ringback.store import Lake
from ringback.store.receiving import receiving


@contextmanager
def lake(folder: Path, apart: bool) -> Iterator[Sink]:
    if apart:
        with receiving(folder / "lake", folder) as into:
            yield into
    else:
        yield sink(Lake(folder / "lake").extend, folder)


async def main(folder: Path, port: int, apart: bool) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    generous = Allowance(1e6, 1e6)
    with lake(folder, apart) as into:
        async with (
            collecting(folder, into, allowance=generous, every=0.2) as handlers,
            listening(mounted(handlers), "127.0.0.1", port),
        ):
            print(os.getpid(), flush=True)
            await stop.wait()


def child(folder: Path, port: int, limits: list[str]) -> int:
    for limit in limits:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    asyncio.run(main(folder, port, "apart" in sys.argv[3:]))
    return 0


if __name__ == "__main__":
    running = 0
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "start":
            running = os.fork()
            if not running:
                status = 1
                try:
                    status = child(Path(sys.argv[1]), int(sys.argv[2]), rest)
                finally:
                    os._exit(status)
        else:
            print(os.waitstatus_to_exitcode(os.waitpid(running, 0)[1]), flush=True)
            running = 0
    if running:
        os.kill(running, signal.SIGKILL)
        os.waitpid(running, 0)
