"""Reports with raw outcomes, as their senders chose to publish them: `open/DAY/ID.json`, scrubbed."""

import logging
import os
import re
from contextlib import suppress
from datetime import date
from pathlib import Path

import msgspec

from ringback.errors import Damaged, RingbackError, Unavailable
from ringback.record import Measurement, Report

log = logging.getLogger("ringback.collect")
_ID = re.compile(r"[0-9a-f]{32}")


class Published:
    """A folder. What is put is on the disk when `put` returns; putting the same again changes nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, report: Report) -> None:
        """A scrubbed one. Raises Unavailable."""
        file = self.folder / report.created_at[:10] / f"{report.id}.json"
        part = file.with_suffix(".part")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as out:
                out.write(msgspec.json.encode(report))
                out.flush()
                os.fsync(out.fileno())
            part.replace(file)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise Unavailable(f"{file} can't be written: {error.strerror}") from error

    def get(self, id: str) -> Report | None:
        """None where nobody published that. Raises Damaged where it is no longer whole, Unavailable where it can't be
        read."""
        if not _ID.fullmatch(id):
            return None
        file = next(self.folder.glob(f"*/{id}.json"), None)
        if file is None:
            return None
        try:
            return msgspec.json.decode(file.read_bytes(), type=Report)
        except OSError as error:
            raise Unavailable(f"{file} can't be read: {error.strerror}", "check the folder's rights") from error
        except (ValueError, RecursionError) as error:
            raise Damaged(f"is no whole report: {error}", str(file)) from error

    def days(self) -> list[date]:
        found = []
        for each in self.folder.glob("????-??-??"):
            with suppress(ValueError):  # a folder that somebody else put here
                found.append(date.fromisoformat(each.name))
        return sorted(found)

    def of(self, day: date) -> list[str]:
        """Ids of a day, in order."""
        return sorted(file.stem for file in (self.folder / day.isoformat()).glob("*.json"))

    def newest(self, most: int) -> list[tuple[str, int, Measurement]]:
        """(report, number, measurement), the newest day first. A report that can't be read hinders no other."""
        found: list[tuple[str, int, Measurement]] = []
        for day in reversed(self.days()):
            for id in self.of(day):
                try:
                    report = self.get(id)
                except RingbackError as error:
                    log.warning("a published report is left out: %s", error)
                    continue
                found += [(id, number, one) for number, one in enumerate(report.measurements)] if report else []
                if len(found) >= most:
                    return found[:most]
        return found
