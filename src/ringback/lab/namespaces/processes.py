"""Work in a process of its own that ends when it should: when done, when stopped, and when its parent is gone.

Two processes each: a supervisor and the worker. The supervisor adopts whatever the worker leaves behind and kills
it, so that servers and browsers that the worker started do not outlive it. If our own process is killed, by signal 9
too, the kernel tells the supervisor (PR_SET_PDEATHSIG).
"""

import asyncio
import contextlib
import gc
import os
import pickle
import select
import signal
import struct
import sys
import traceback
from collections.abc import Callable
from time import monotonic
from typing import Any

from ringback.errors import RingbackError
from ringback.lab.namespaces import kernel

LENGTH = struct.Struct("=I")
Report = Callable[[object], None]


class Child:
    """Our side of it. What the worker raised is raised here, with its traceback as a note."""

    def __init__(self, name: str, supervisor: int, pipe: int) -> None:
        self.name = name
        self._supervisor: int | None = supervisor
        self._pipe = pipe
        self._received = b""

    def fileno(self) -> int:
        """For `select`: readable when the worker has said something, or ended."""
        return self._pipe

    def ready(self, timeout: float | None = None) -> Any:
        """What the worker reports first. Raises TimeoutError, what the worker raised, or RingbackError if it ended."""
        kind, value = self._message(timeout)
        if kind == "done":
            raise RingbackError(f"{self.name} ended before it was ready")
        return value

    def result(self, timeout: float | None = None) -> Any:
        """What the worker returns; then it is gone. Raises like `ready`."""
        until = None if timeout is None else monotonic() + timeout
        while True:
            kind, value = self._message(None if until is None else max(until - monotonic(), 0.0))
            if kind == "done":
                self.stop()
                return value

    def check(self) -> None:
        """Raise what the worker raised, or RingbackError if it ended, where it was to go on; else return at once."""
        if self._supervisor is None:
            return
        try:
            kind, _ = self._message(0.0)
        except TimeoutError:
            return
        if kind == "done":
            raise RingbackError(f"{self.name} ended too early")

    def stop(self) -> None:
        """End it and all that it started, however deep. Harmless when it is gone already."""
        if self._supervisor is None:
            return
        supervisor, self._supervisor = self._supervisor, None
        with contextlib.suppress(ProcessLookupError):
            os.kill(supervisor, signal.SIGTERM)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(supervisor, 0)
        os.close(self._pipe)

    def _message(self, timeout: float | None) -> tuple[str, Any]:
        if self._supervisor is None:
            raise RingbackError(f"{self.name} was stopped")
        until = None if timeout is None else monotonic() + timeout
        while True:
            if len(self._received) >= LENGTH.size:
                (length,) = LENGTH.unpack_from(self._received)
                if len(self._received) >= LENGTH.size + length:
                    message = self._received[LENGTH.size : LENGTH.size + length]
                    self._received = self._received[LENGTH.size + length :]
                    kind, value = pickle.loads(message)  # from our own child
                    if kind == "raised":
                        self.stop()
                        raise value
                    return kind, value
            wait = None if until is None else max(until - monotonic(), 0.0)
            if not select.select([self._pipe], [], [], wait)[0]:
                raise TimeoutError(f"{self.name} said nothing for {timeout:.1f} s")
            got = os.read(self._pipe, 1 << 20)
            if not got:
                self.stop()
                raise RingbackError(f"{self.name} ended without a word")
            self._received += got


def launch(name: str, work: Callable[[Report], object], enter: Callable[[], None]) -> Child:
    """Fork, `enter()` the place it is to be in, and do `work(report)` there. `report` and the returned value are
    pickled; `work` itself need not be picklable, it is already there after the fork."""
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    us = os.getpid()
    supervisor = os.fork()
    if supervisor:
        os.close(writing)
        return Child(name, supervisor, reading)
    try:
        os.close(reading)
        _supervise(us, writing, work, enter)
    finally:
        os._exit(1)


def _supervise(parent: int, pipe: int, work: Callable[[Report], object], enter: Callable[[], None]) -> None:
    signal.set_wakeup_fd(-1)  # the parent may be running a loop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    awaited = {signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    kernel.die_with(parent, signal.SIGTERM)
    kernel.adopt_orphans()
    us = os.getpid()
    worker = os.fork()
    if not worker:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, awaited)
            _work(us, pipe, work, enter)
        finally:
            os._exit(1)
    os.close(pipe)
    status = _watch(worker, awaited)
    _end_descendants()
    os._exit(status)


def _work(supervisor: int, pipe: int, work: Callable[[Report], object], enter: Callable[[], None]) -> None:
    asyncio.events._set_running_loop(None)  # the parent's, if it had one, did not come along
    gc.freeze()  # a full collection over all that came with the fork, page by page copied, holds sockets up for 0.3 s
    message: tuple[str, object]
    try:
        enter()
        kernel.die_with(supervisor, signal.SIGKILL)  # after entering: changed credentials forget it
        message = ("done", work(lambda value: _write(pipe, ("ready", value))))
    except BaseException as error:
        error.add_note("in a process of the lab:\n" + traceback.format_exc())
        message = ("raised", error)
    try:
        _write(pipe, message)
    except Exception:  # can't be pickled
        _write(pipe, ("raised", RingbackError(f"can't be handed over: {message[1]!r}")))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _write(pipe: int, message: tuple[str, object]) -> None:
    data = pickle.dumps(message)
    data = LENGTH.pack(len(data)) + data
    while data:
        data = data[os.write(pipe, data) :]


def _watch(worker: int, awaited: set[signal.Signals]) -> int:
    """Until the worker has ended (its exit status) or we are told to stop (0)."""
    while signal.sigwait(awaited) == signal.SIGCHLD:
        while True:
            try:
                ended, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return 1
            if ended == worker:
                return os.waitstatus_to_exitcode(status) & 0xFF
            if not ended:
                break
    return 0


def _end_descendants() -> None:
    """Kill our children until there are none; theirs become ours as soon as they are orphans."""
    while True:
        for child in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> list[int]:
    us = os.getpid()
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as file:
                if int(file.read().rpartition(")")[2].split()[1]) == us:
                    found.append(int(name))
    return found
