"""The spool: what was acknowledged and is not in the lake yet, on the disk.

Files `spool/NUMBER.log` of frames, each written once, at the end, and synced before anybody hears of it:

    magic "RBS1" | payload's length, 4 | CRC-32 of what follows, 4 | key, 16 | day, 4 (proleptic ordinal) | payload

Numbers are big-endian. A file is sealed, handed to the lake and deleted; the keys of what went through stay in
`spool/accepted/DAY.ids`, 16 bytes each, so that a report that comes again after years is known. Damage costs what is
damaged: reading goes on at the next whole frame, and the bytes between are kept aside in `spool/damaged`.
"""

import errno
import fcntl
import logging
import os
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from threading import Lock
from zlib import crc32

import msgspec

from ringback.errors import Unavailable

MAGIC = b"RBS1"
_HEAD = struct.Struct(">4sII")
_NAME = struct.Struct(">16sI")
KEY = 16  # bytes
FILE_BYTES = 32 << 20  # from which a file is sealed
MOST_BYTES = 2 << 30  # on the disk and not in the lake, from which nothing more is taken
DAMAGED = "damaged"  # folder of what is kept aside
LOCK = ".lock"  # held by the process whose spool it is
DAYS = 64  # whose accepted keys are held in memory

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

log = logging.getLogger("ringback.collect")


class Full(Unavailable):
    """The disk, or the room that the spool may take, is used up."""


class Entry(msgspec.Struct, frozen=True):
    """key: 16 bytes that name the content. day: the content's own, where its key is kept."""

    key: bytes
    day: date
    payload: bytes


class Damage(msgspec.Struct, frozen=True):
    """Bytes from `start` to `end` of a file that are no frame."""

    start: int
    end: int


Sink = Callable[[Sequence[Entry]], object]
"""Takes entries and returns when they are safe. May be given the same again after a crash."""


def frame(entry: Entry) -> bytes:
    body = _NAME.pack(entry.key, entry.day.toordinal()) + entry.payload
    return _HEAD.pack(MAGIC, len(entry.payload), crc32(body)) + body


def frames(content: bytes) -> Iterator[Entry | Damage]:
    """Every whole frame of a file, and what lies between. Never raises."""
    at = good = 0
    while at < len(content):
        found = _frame_at(content, at)
        if found is None:
            at = content.find(MAGIC, at + 1)
            if at < 0:
                break
            continue
        if at > good:
            yield Damage(good, at)
        yield found
        at += _HEAD.size + _NAME.size + len(found.payload)
        good = at
    if good < len(content):
        yield Damage(good, len(content))


def _frame_at(content: bytes, at: int) -> Entry | None:
    start = at + _HEAD.size
    if start + _NAME.size > len(content):
        return None
    magic, length, check = _HEAD.unpack_from(content, at)
    end = start + _NAME.size + length
    if magic != MAGIC or end > len(content) or crc32(memoryview(content)[start:end]) != check:
        return None
    key, ordinal = _NAME.unpack_from(content, start)
    if not 1 <= ordinal <= date.max.toordinal():
        return None
    return Entry(key, date.fromordinal(ordinal), content[start + _NAME.size : end])


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """While the context lasts no other process has this spool: two would hand over each other's files and delete them
    while they are written to. The lock ends with its process, however that ends. Raises Unavailable where another has
    it, or the folder can't be had."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unusable(folder, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unavailable(
                f"another collector takes reports into {folder}", "stop it, or give another --data"
            ) from error
        yield
    finally:
        os.close(handle)


def _unusable(folder: Path, error: OSError) -> Unavailable:
    return Unavailable(f"{folder} can't be used as a spool: {error.strerror}", "give another --data")


class Spool:
    """One process owns a spool, see `owned`. Methods may be called from several threads, `drain` from one at a time.

    waiting: bytes that are not in the lake yet. Raises Unavailable where the folder can't be had.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES, file_bytes: int = FILE_BYTES) -> None:
        self.folder = folder
        self._most, self._file_bytes = most_bytes, file_bytes
        self._lock = Lock()
        self._pending: dict[bytes, date] = {}
        self._accepted: OrderedDict[date, set[bytes]] = OrderedDict()
        self._sealed: list[Path] = []
        self._handle: int | None = None
        self._file = folder
        self._size = 0
        self.waiting = 0
        try:
            for each in (folder, folder / "accepted", folder / DAMAGED):
                each.mkdir(mode=0o700, parents=True, exist_ok=True)
            for file in sorted(folder.glob("*.log")):
                content = file.read_bytes()
                self._pending.update((one.key, one.day) for one in frames(content) if isinstance(one, Entry))
                self._sealed.append(file)
                self.waiting += len(content)
        except OSError as error:
            raise _unusable(folder, error) from error
        self._number = max((int(file.stem) for file in self._sealed if file.stem.isdigit()), default=0)

    def add(self, entries: Sequence[Entry]) -> list[bool]:
        """For each entry: was it new? All of them are on the disk when this returns, and none is counted if it raises.

        Raises Full where there is no room, Unavailable where the disk fails.
        """
        with self._lock:
            fresh: dict[bytes, Entry] = {}
            new = []
            for one in entries:
                new.append(one.key not in fresh and not self._known(one))
                if new[-1]:
                    fresh[one.key] = one
            if fresh:
                self._write(b"".join(map(frame, fresh.values())))
                self._pending.update((one.key, one.day) for one in fresh.values())
            return new

    def drain(self, sink: Sink) -> int:
        """Hands everything that waits to `sink`, file by file; how many entries. What `sink` raises is passed on, and
        the file stays for the next time."""
        with self._lock:
            self._seal()
        drained = 0
        while self._sealed:
            file = self._sealed[0]
            content = file.read_bytes()
            entries = []
            for one in frames(content):
                if isinstance(one, Damage):
                    self._keep_aside(file, content, one)
                elif one.key not in self._accepted_of(one.day):
                    entries.append(one)
            if entries:
                sink(entries)
                with self._lock:
                    self._accept(entries)
            drained += len(entries)
            with self._lock:
                for gone in frames(content):
                    if isinstance(gone, Entry):
                        self._pending.pop(gone.key, None)
                file.unlink()
                self._sealed.remove(file)
                self.waiting -= min(len(content), self.waiting)
        return drained

    def close(self) -> None:
        with self._lock:
            self._seal()

    @property
    def damaged(self) -> int:
        """How many pieces were kept aside."""
        return sum(1 for _ in (self.folder / DAMAGED).iterdir())

    def _known(self, entry: Entry) -> bool:
        return entry.key in self._pending or entry.key in self._accepted_of(entry.day)

    def _accepted_of(self, day: date) -> set[bytes]:
        if day in self._accepted:
            self._accepted.move_to_end(day)
            return self._accepted[day]
        try:
            content = self._ids(day).read_bytes()
        except FileNotFoundError:
            content = b""
        except OSError as error:
            raise Unavailable(f"the keys of {day} can't be read: {error.strerror}") from error
        keys = {content[at : at + KEY] for at in range(0, len(content) - KEY + 1, KEY)}
        self._accepted[day] = keys
        if len(self._accepted) > DAYS:
            self._accepted.popitem(last=False)
        return keys

    def _ids(self, day: date) -> Path:
        return self.folder / "accepted" / f"{day.isoformat()}.ids"

    def _accept(self, entries: Sequence[Entry]) -> None:
        days: dict[date, list[bytes]] = {}
        for one in entries:
            days.setdefault(one.day, []).append(one.key)
        for day, keys in days.items():
            with open(self._ids(day), "ab") as ids:
                ids.truncate(ids.tell() // KEY * KEY)  # a torn key of a crash
                ids.write(b"".join(keys))
                ids.flush()
                os.fsync(ids.fileno())
            self._accepted_of(day).update(keys)
        _sync(self.folder / "accepted")

    def _write(self, content: bytes) -> None:
        if self.waiting + len(content) > self._most:
            raise Full(f"{self.waiting} bytes wait for the lake", "try again later")
        try:
            if self._handle is None:
                self._open()
            assert self._handle is not None
            there = os.fstat(self._handle)
            if there.st_size != self._size or there.st_nlink == 0:
                log.error(
                    "%s holds %d bytes, %d were written: a new file begins", self._file, there.st_size, self._size
                )
                self._seal()
                raise Unavailable("the spool was changed by something else", "send it again")
            _write_all(self._handle, content)
            os.fsync(self._handle)
        except OSError as error:
            self._undo()
            log.error("the spool can't be written: %s", error.strerror)
            if error.errno in _FULL:
                raise Full("no room is left on the disk", "try again later") from error
            raise Unavailable(f"the disk fails: {error.strerror}", "try again later") from error
        self._size += len(content)
        self.waiting += len(content)
        if self._size >= self._file_bytes:
            self._seal()

    def _open(self) -> None:
        file = self.folder / f"{self._number + 1:012d}.log"
        self._handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._number, self._file, self._size = self._number + 1, file, 0
        _sync(self.folder)

    def _undo(self) -> None:
        """Takes back what was not acknowledged, and begins a new file: after a failed sync nobody knows what this one
        holds (fsync(2), and "Can Applications Recover from fsync Failures?", Rebello et al., 2020)."""
        if self._handle is None:
            return
        try:
            os.ftruncate(self._handle, self._size)
        except OSError as error:
            log.error("%s can't be cut back: %s", self._file, error.strerror)  # reading it skips a torn frame
        self._seal()

    def _seal(self) -> None:
        if self._handle is None:
            return
        os.close(self._handle)
        self._handle = None
        if self._file.exists():
            self._sealed.append(self._file)

    def _keep_aside(self, file: Path, content: bytes, damage: Damage) -> None:
        log.warning("%s: bytes %d to %d are no whole report, kept aside", file, damage.start, damage.end)
        aside = self.folder / DAMAGED / f"{file.stem}-{damage.start}"
        with open(aside, "wb") as out:
            out.write(content[damage.start : damage.end])


def _write_all(handle: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
