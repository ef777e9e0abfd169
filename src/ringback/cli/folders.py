"""Where a user's own things lie (XDG Base Directory Specification 0.8), and files that only the user can read."""

import os
from pathlib import Path

from ringback.errors import BadInput, Unavailable

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
MARK = "emulated"
"""Stands in a data folder whose measurements are those of invented people, with the country's name."""


def _base(variable: str, fallback: str) -> Path:
    given = os.environ.get(variable, "")
    return Path(given) if given.startswith("/") else Path.home() / fallback  # a relative one is to be ignored


def config_folder() -> Path:
    return _base("XDG_CONFIG_HOME", ".config") / "ringback"


def data_folder() -> Path:
    return _base("XDG_DATA_HOME", ".local/share") / "ringback"


def results_folder() -> Path:
    return data_folder() / "results"


def make_private(folder: Path) -> Path:
    """The folder, made if need be, open to its owner alone. Raises Unavailable where that can't be had."""
    try:
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        folder.chmod(PRIVATE_FOLDER)
    except OSError as error:
        raise Unavailable(f"{folder} can't be made private: {error.strerror}", "set XDG_DATA_HOME elsewhere") from error
    return folder


def write_private(file: Path, content: bytes) -> None:
    """Writes a file that only its owner can read, at once or not at all. Raises OSError where it can't be written."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def lake_folder(data: Path | None) -> Path:
    """The observatory's lake in a data folder; None: the user's."""
    return (data if data is not None else data_folder()) / "lake"


def kept_lake(data: Path | None) -> Path:
    """The same, to read from. Raises BadInput for a named folder that isn't there (it would look empty) or is none."""
    if data is not None and not data.exists():
        raise BadInput("there is no such folder", f"--data {data}")
    return lake_to_fill(data)


def lake_to_fill(data: Path | None) -> Path:
    """The same, to write to: a named folder may have to be made. Raises BadInput for one that is none."""
    if data is not None and data.exists() and not data.is_dir():
        raise BadInput("is a file, not a folder", f"--data {data}")
    return lake_folder(data)


def invented(folder: Path) -> str | None:
    """The emulated country that a data folder is marked as; None: of real networks, or of none yet."""
    mark = folder / MARK
    if not mark.exists():
        return None
    return mark.read_text("utf-8", "replace").partition("\n")[0][:60] or "of another name"
