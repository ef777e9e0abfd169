"""Reports with raw outcomes, as their senders chose to publish them: `open/DAY/ID.json`, scrubbed."""

import os
import re
from datetime import date
from pathlib import Path

import msgspec

from ringback.errors import Unavailable
from ringback.record import Report

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
        """None where nobody published that."""
        if not _ID.fullmatch(id):
            return None
        file = next(self.folder.glob(f"*/{id}.json"), None)
        return None if file is None else msgspec.json.decode(file.read_bytes(), type=Report)

    def days(self) -> list[date]:
        return sorted(date.fromisoformat(each.name) for each in self.folder.glob("????-??-??"))

    def of(self, day: date) -> list[str]:
        """Ids of a day, in order."""
        return sorted(file.stem for file in (self.folder / day.isoformat()).glob("*.json"))
