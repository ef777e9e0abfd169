"""The lake: observations in Parquet, a folder a UTC day, and the raw files that they were made from.

    manifest.json                              what belongs to the lake, with checksums
    observations/date=2023-11-08/HASH.2.parquet  rows in order of time, 2: version of the columns
    raw/KIND/HASH.zst                          imported files, unpacked and packed again

Adding is idempotent by an observation's id. An id covers the time, so that a day knows all its doubles.
"""

import io
import os
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from hashlib import sha256
from pathlib import Path
from time import time
from typing import IO

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ringback.collect.importing.files import DAMAGE
from ringback.errors import BadInput
from ringback.record import Observation
from ringback.store import leftovers, schema
from ringback.store import manifest as listing
from ringback.store.manifest import Manifest, Part, Raw

BATCH = 50_000  # observations held in memory by `extend`
GRACE_S = 600.0  # for which parts stay that others took the place of
MANY = 4  # parts of a day, alike in size, from which `extend` joins them

Reader = Callable[[str, Path], Iterator[Observation]]
"""(kind, raw file) to its observations."""


class Added(msgspec.Struct, frozen=True):
    """kept: ids that are new; doubled: how many the lake had already, or were given twice."""

    kept: tuple[str, ...]
    doubled: int


class Lake:
    """A folder. Several processes may read and write it: writers take turns, readers see whole changes only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: tuple[object, Mapping[str, Part]] = (None, {})

    def manifest(self) -> Manifest:
        """Raises BadInput where it is damaged."""
        return listing.load(self.folder)

    def parts(self, since: date | None = None, until: date | None = None) -> list[Path]:
        """Files that hold days within [since, until], in order of time."""
        low, high = (since or date.min).isoformat(), (until or date.max).isoformat()
        parts = self._listed()
        return [self.folder / path for path in sorted(parts) if low <= parts[path].day <= high]

    def days(self, since: date | None = None, until: date | None = None) -> list[date]:
        """UTC days within [since, until] that have observations, in order."""
        days = {date.fromisoformat(part.day) for part in self._listed().values()}
        return sorted(day for day in days if (since or date.min) <= day <= (until or date.max))

    def _listed(self) -> Mapping[str, Part]:
        """The parts, read from the list only where that is another file than the last time."""
        try:
            told = (self.folder / listing.NAME).stat()
        except OSError:
            return self.manifest().parts
        state = (told.st_ino, told.st_mtime_ns, told.st_size)
        if self._seen[0] != state:
            self._seen = (state, self.manifest().parts)
        return self._seen[1]

    def append(self, observations: Iterable[Observation], *, derived: bool = False) -> Added:
        """Adds what is not there. derived: made from a raw file in this lake, so `rebuild` makes it again.

        Raises Damaged where a part of the same day is (`check` says which), Unavailable where nothing can be written.
        """
        with listing.locked(self.folder):
            manifest = self.manifest()
            kept, doubled = self._add(manifest, observations, derived)
            if kept:
                self._swap(manifest, ())
        return Added(tuple(kept), doubled)

    def extend(self, observations: Iterable[Observation], *, derived: bool = False) -> int:
        """`append` in batches, for many; how many were new. Parts of a day that are many and alike in size are joined:
        so a row is written again once for each fourfold growth of its day, and no oftener (as in O'Neil et al., "The
        log-structured merge-tree", 1996)."""
        new = 0
        batch: list[Observation] = []
        for observation in observations:
            batch.append(observation)
            if len(batch) >= BATCH:
                new += len(self.append(batch, derived=derived).kept)
                batch = []
        new += len(self.append(batch, derived=derived).kept)
        self.compact(MANY, alike=True)
        return new

    def keep_raw(self, kind: str, name: str, content: IO[bytes]) -> str:
        """Keeps what is about to be imported; its path in the lake. The same content is kept once.

        Content whose packing is damaged is kept as far as it can be read. It is open to the lake's owner alone: it may
        hold exact times and a participant's own words.
        """
        folder = self.folder / "raw" / kind
        with listing.locked(self.folder):
            for place in (folder.parent, folder):
                place.mkdir(mode=0o700, exist_ok=True)
                place.chmod(0o700)
            part = folder / f".{os.getpid()}.part"
            try:
                digest = _pack(content, part)
                path = f"raw/{kind}/{digest[:32]}.zst"
                manifest = self.manifest()
                if path not in manifest.raw or _faulty(self.folder / path, manifest.raw[path].sha256):
                    manifest.raw[path] = Raw(kind, name, part.stat().st_size, listing.checksum(part))
                    part.replace(self.folder / path)
                    listing.save(self.folder, manifest)
            finally:
                part.unlink(missing_ok=True)
        return path

    def drop_raw(self, path: str) -> None:
        """Forgets a raw file of which nothing was kept."""
        with listing.locked(self.folder):
            manifest = self.manifest()
            if manifest.raw.pop(path, None) is not None:
                listing.save(self.folder, manifest)
            (self.folder / path).unlink(missing_ok=True)

    def compact(self, from_parts: int = 2, *, before: date | None = None, alike: bool = False) -> int:
        """Joins the parts of each day that has at least so many; how many days. Nothing else changes.

        before: only days before it. alike: count and join only those of the same order of size, see `extend`. A crash
        leaves the parts as they were; the list is written when all the joined ones are on the disk. What an earlier
        crash left behind is cleared away, unless `alike`.
        """
        with listing.locked(self.folder):
            manifest = self.manifest()
            days: dict[tuple[str, bool, int], list[str]] = defaultdict(list)
            for path, part in manifest.parts.items():
                if before is None or part.day < before.isoformat():
                    days[part.day, part.derived, _order_of(part.rows) if alike else 0].append(path)
            many = {key: paths for key, paths in days.items() if len(paths) >= max(2, from_parts)}
            old: list[str] = []
            for (day, derived, _), paths in sorted(many.items()):
                rows = pa.concat_tables([schema.current(self._read(path)) for path in sorted(paths)])
                for path in paths:
                    del manifest.parts[path]
                old += paths
                self._write(manifest, day, rows, derived)
            if old:
                self._swap(manifest, old)
            if not alike:
                self._sweep(manifest)
        return len({day for day, *_ in many})

    def _sweep(self, manifest: Manifest) -> None:
        """Away with what interrupted changes left and the lake has besides."""
        for path in list(leftovers.unlisted(self.folder, manifest)):
            if leftovers.kind(self.folder, manifest, path) == "left":
                (self.folder / path).unlink(missing_ok=True)

    def rebuild(self, read: Reader) -> int:
        """Makes everything derived anew from the raw files; how many observations that are. Nothing raw is touched.

        What a collector added (`derived` false) is raw itself and stays: there is no second form of it. Its parts that
        are missing or damaged are read no more and stay in the list as `lost`, until a backup brings them back. A list
        that is lost is derived too: it is made from the files that are whole (see `leftovers`), and what the lake
        lacked of them is taken in. Raises BadInput where a listed raw file is damaged, before anything changed.
        """
        with listing.locked(self.folder):
            manifest = self._manifest_or_none() or Manifest()
            for path in leftovers.unlisted(self.folder, manifest):
                if (found := leftovers.raw(self.folder, path)) is not None:
                    manifest.raw[path] = found
            for path, raw in manifest.raw.items():
                if fault := _faulty(self.folder / path, raw.sha256):
                    raise BadInput(f"{fault}; import {raw.name} again", path)
            old = [path for path, part in manifest.parts.items() if part.derived]
            added = {path: part for path, part in manifest.parts.items() if not part.derived}
            received = manifest.lost | added
            manifest.lost = {path: part for path, part in received.items() if _faulty(self.folder / path, part.sha256)}
            manifest.parts = {path: part for path, part in added.items() if path not in manifest.lost}
            made = 0
            for path, raw in sorted(manifest.raw.items()):
                for batch in _batches(read(raw.kind, self.folder / path)):
                    made += len(self._add(manifest, batch, True)[0])
            old += self._taken_in(manifest, set(old))
            self._swap(manifest, old)
        return made

    def _manifest_or_none(self) -> Manifest | None:
        """None where it is lost; a damaged one is kept aside."""
        try:
            return self.manifest()
        except listing.Lost:
            with suppress(FileNotFoundError):
                (self.folder / listing.NAME).replace(self.folder / f"{listing.NAME}.damaged")
            return None

    def _taken_in(self, manifest: Manifest, old: Container[str]) -> list[str]:
        """Lists what unlisted parts hold and the lake lacks; those of them that nobody needs any more."""
        done = []
        for path in list(leftovers.unlisted(self.folder, manifest)):
            rows = None if path in old else leftovers.part(self.folder, path)
            if rows is None:
                continue
            lacking = leftovers.missing(self.folder, manifest, path, rows)
            if lacking.num_rows == rows.num_rows:
                manifest.parts[path] = leftovers.as_listed(self.folder, path, rows)
                continue
            done.append(path)
            if lacking.num_rows:
                self._write(manifest, leftovers.day_of(path), lacking, False)
        return done

    def _add(self, manifest: Manifest, observations: Iterable[Observation], derived: bool) -> tuple[list[str], int]:
        days: dict[str, list[Observation]] = defaultdict(list)
        for one in observations:
            days[one.time.date().isoformat()].append(one)
        kept: list[str] = []
        given = 0
        for day, several in sorted(days.items()):
            given += len(several)
            new = {one.id: one for one in several}
            for known in self._known(manifest, day, list(new)):
                del new[known]
            if new:
                self._write(manifest, day, schema.table(sorted(new.values(), key=_order)), derived)
                kept += new
        return kept, given - len(kept)

    def _known(self, manifest: Manifest, day: str, ids: Sequence[str]) -> set[str]:
        """Which of these the day has already."""
        paths = [path for path, part in manifest.parts.items() if part.day == day]
        wanted = pa.array(ids, pa.string())
        columns = (self._read(path, ["id"]).column("id") for path in paths)
        return {one for column in columns for one in column.filter(pc.is_in(column, wanted)).to_pylist()}

    def _read(self, path: str, columns: list[str] | None = None) -> pa.Table:
        try:
            with pq.ParquetFile(self.folder / path) as part:
                schema.version(part.schema_arrow, path)
                return part.read(columns)
        except (OSError, pa.ArrowException) as error:
            if told := listing.fault(error, [self.folder / path]):
                raise told from error
            raise

    def _write(self, manifest: Manifest, day: str, rows: pa.Table, derived: bool) -> None:
        packed = io.BytesIO()
        pq.write_table(rows.sort_by([("time", "ascending"), ("id", "ascending")]), packed, compression="zstd")
        content = packed.getvalue()
        digest = sha256(content).hexdigest()
        path = f"observations/date={day}/{digest[:24]}{schema.SUFFIX}"
        listing.write(self.folder / path, content)
        manifest.parts[path] = Part(day, rows.num_rows, len(content), digest, derived)

    def _swap(self, manifest: Manifest, old: Sequence[str]) -> None:
        """The new list first. What it no longer lists stays for a while, as readers of the old list need it."""
        now = time()
        over = [path for path, since in manifest.retired.items() if not 0 <= now - since < GRACE_S]
        kept = {path: since for path, since in manifest.retired.items() if path not in over}
        manifest.retired = {path: kept.get(path, now) for path in (*kept, *old) if path not in manifest.parts}
        listing.save(self.folder, manifest)
        for path in over:
            if path not in manifest.parts and path not in manifest.retired:
                (self.folder / path).unlink(missing_ok=True)


def _order_of(rows: int) -> int:
    """Of a part's size: one more for each fourfold."""
    return max(rows, 1).bit_length() // 2


def _order(observation: Observation) -> tuple[object, str]:
    return observation.time, observation.id


def _batches(observations: Iterator[Observation]) -> Iterator[list[Observation]]:
    batch: list[Observation] = []
    for one in observations:
        batch.append(one)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    yield batch


def _pack(content: IO[bytes], file: Path) -> str:
    """Writes it as zstd; SHA-256 of what was packed, hex."""
    digest = sha256()
    own = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(own, "wb") as raw, pa.CompressedOutputStream(raw, "zstd") as out:
        try:
            while piece := content.read(1 << 20):
                digest.update(piece)
                out.write(piece)
        except DAMAGE:
            pass
    return digest.hexdigest()


def _faulty(file: Path, wanted: str) -> str | None:
    try:
        return None if listing.checksum(file) == wanted else "is damaged: its checksum is another one"
    except OSError as error:
        return f"is missing: {error.strerror}"
