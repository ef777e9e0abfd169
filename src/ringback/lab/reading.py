"""Reads TOML tables key by key, so that whatever is wrong is said with file, line and reason."""

import datetime
import difflib
import math
import re
import tomllib
from collections.abc import Collection, Mapping
from typing import Any, Final, NoReturn

from ringback.errors import BadInput
from ringback.lab.lines import Path, lines_of

REQUIRED: Final = object()
"""As a default: the key must be there."""

RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
LAST_TIME = datetime.datetime(9000, 1, 1, tzinfo=datetime.UTC)
AT_LINE = re.compile(r"\s*\(at line (\d+), column \d+\)$|\s*\(at end of document\)$")


class Table:
    """One table of a file, read key by key. `only` says which keys it may have and refuses any other."""

    def __init__(self, values: Mapping[str, Any], file: str, lines: Mapping[Path, int], path: Path = ()) -> None:
        self._values = values
        self._file = file
        self._lines = lines
        self._path = path

    def __contains__(self, key: str) -> bool:
        return key in self._values

    @property
    def names(self) -> tuple[str, ...]:
        """Its keys, in file order."""
        return tuple(self._values)

    @property
    def line(self) -> int:
        """Where the table stands."""
        return self._line(self._path)

    def fail(self, what: str, *keys: str | int) -> NoReturn:
        """Raises BadInput at the line of the key at `keys` below this table, or of the nearest that encloses it."""
        raise BadInput(what, f"{self._file}:{self._line((*self._path, *keys))}")

    def _line(self, path: Path) -> int:
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]

    def _take(self, key: str, default: object) -> Any:
        if key in self._values:
            return self._values[key]
        if default is REQUIRED:
            self.fail(f"`{key}` is missing")
        return default

    def string(self, key: str, default: Any = REQUIRED, among: Collection[str] | None = None, what: str = "") -> Any:
        """A string that is not empty; `among`: one of these (`what` they are)."""
        value = self._take(key, default)
        if key not in self._values:
            return value
        if not isinstance(value, str):
            self.fail(f"`{key}` must be a string", key)
        if not value.strip():
            self.fail(f"`{key}` is empty", key)
        if not value.isprintable():
            self.fail(f"`{key}` has a character that can't be printed", key)
        if among is not None and value not in among:
            self.fail(f"`{key}`: {_unknown(value, among, what)}", key)
        return value

    def strings(self, key: str, default: tuple[str, ...] | object, among: Collection[str] | None, what: str) -> Any:
        """An array of different strings."""
        value = self._take(key, default)
        if key not in self._values:
            return value
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.fail(f"`{key}` must be an array of strings", key)
        for i, item in enumerate(value):
            if among is not None and item not in among:
                self.fail(f"`{key}`: {_unknown(item, among, what)}", key, i)
            if item in value[:i]:
                self.fail(f"`{key}` has `{item}` twice", key, i)
        return tuple(value)

    def number(
        self, key: str, default: Any = REQUIRED, low: float = 0, high: float = math.inf, above: float | None = None
    ) -> Any:
        """A finite number from `low` to `high`, and more than `above` where that is given."""
        value = self._take(key, default)
        if key not in self._values:
            return value
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.fail(f"`{key}` must be a number", key)
        if not low <= value <= high or (above is not None and value <= above):
            bound = f"more than {above:g}" if above is not None else f"{low:g} or more"
            self.fail(f"`{key}` is {value:g}: it must be {bound}{_up_to(high)}", key)
        return float(value)

    def integer(self, key: str, default: Any = REQUIRED, low: int = 0, high: float = math.inf) -> Any:
        value = self._take(key, default)
        if key not in self._values:
            return value
        if isinstance(value, bool) or not isinstance(value, int):
            self.fail(f"`{key}` must be a whole number", key)
        if not low <= value <= high:
            self.fail(f"`{key}` is {value}: it must be {low} or more{_up_to(high)}", key)
        return value

    def integers(self, key: str, default: Any, low: int, high: int) -> Any:
        value = self._take(key, default)
        if key not in self._values:
            return value
        if not isinstance(value, list):
            self.fail(f"`{key}` must be an array of whole numbers", key)
        for i, item in enumerate(value):
            if isinstance(item, bool) or not isinstance(item, int) or not low <= item <= high:
                self.fail(f"`{key}` must have whole numbers from {low} to {high}", key, i)
        return tuple(value)

    def truth(self, key: str, default: Any = REQUIRED) -> Any:
        value = self._take(key, default)
        if key in self._values and not isinstance(value, bool):
            self.fail(f"`{key}` must be true or false", key)
        return value

    def time(self, key: str, default: Any = REQUIRED) -> Any:
        """Unix time of an RFC 3339 time: a string, or TOML's own date and time with an offset."""
        value = self._take(key, default)
        if key not in self._values:
            return value
        try:
            if isinstance(value, str) and RFC3339.fullmatch(value):
                value = datetime.datetime.fromisoformat(value.upper())
        except ValueError:
            value = None
        if not isinstance(value, datetime.datetime) or value.tzinfo is None:
            self.fail(f"`{key}` must be an RFC 3339 time like 2025-08-13T09:00:00Z", key)
        if not EPOCH <= value < LAST_TIME:
            self.fail(f"`{key}` is outside the years 1970 to 8999", key)
        return (value - EPOCH).total_seconds()

    def table(self, key: str, default: object = REQUIRED) -> "Table":
        value = self._take(key, default)
        if not isinstance(value, Mapping):
            self.fail(f"`{key}` must be a table", key)
        return Table(value, self._file, self._lines, (*self._path, key))

    def tables(self, key: str) -> list["Table"]:
        """An array of tables; empty where the key is absent."""
        value = self._take(key, [])
        if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
            self.fail(f"`{key}` must be an array of tables: [[{key}]]", key)
        return [Table(item, self._file, self._lines, (*self._path, key, i)) for i, item in enumerate(value)]

    def only(self, *keys: str) -> "Table":
        """The table itself. Raises BadInput for a key that is none of `keys`: it is misspelt or does not belong."""
        for key in self._values:
            if key not in keys:
                near = difflib.get_close_matches(key, keys, 1)
                self.fail(f"unknown key `{key}`" + (f": did you mean `{near[0]}`?" if near else ""), key)
        return self


def decoded(content: bytes, file: str) -> str:
    """A file's text without its byte order mark, each line ended by a line feed. Raises BadInput with the line that is
    not UTF-8."""
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInput("not TOML: not UTF-8", f"{file}:{line}") from error


def read(text: str, file: str) -> Table:
    """The whole text as a table. Raises BadInput where it is no TOML."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = AT_LINE.search(str(error))
        line = at[1] if at and at[1] else text.count("\n") + 1
        raise BadInput(f"not TOML: {AT_LINE.sub('', str(error))}", f"{file}:{line}") from error
    except RecursionError as error:
        raise BadInput("not TOML that anyone would write: nested too deeply", file) from error
    return Table(values, file, lines_of(text))


def _up_to(high: float) -> str:
    return "" if math.isinf(high) else f" and at most {high:g}"


def _unknown(value: str, among: Collection[str], what: str) -> str:
    near = difflib.get_close_matches(value, among, 1)
    hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(among)}"
    return f"no {what or 'such word'} `{value}`; {hint}"
