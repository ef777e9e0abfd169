"""On which line of a TOML text each key stands. `tomllib` reads values and forgets where they were.

The text must already have been accepted by `tomllib`: what is scanned here is known to be well formed.
"""

from bisect import bisect_right

Path = tuple[str | int, ...]

BARE_END = " \t\r\n.=]}#,"
ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


def lines_of(text: str) -> dict[Path, int]:
    """Line (from 1) of each key path; array elements, and tables of an array of tables, have their index in it."""
    return _Scan(text).found


class _Scan:
    def __init__(self, text: str) -> None:
        self.text = text + "\n"
        self.at = 0
        self.newlines = [i for i, c in enumerate(self.text) if c == "\n"]
        self.found: dict[Path, int] = {(): 1}
        self.tables: dict[Path, int] = {}  # arrays of tables and how many they have so far
        here: Path = ()
        while self._skip():
            if self.text.startswith("[", self.at):
                here = self._header()
            else:
                self._pair(here)

    def _line(self) -> int:
        return bisect_right(self.newlines, self.at - 1) + 1

    def _skip(self, also: str = "") -> bool:
        """Go past space, newlines, comments and the characters in `also`; False at the end of the text."""
        while self.at < len(self.text):
            c = self.text[self.at]
            if c == "#":
                self.at = self.text.index("\n", self.at)
            elif c in " \t\r\n" or c in also:
                self.at += 1
            else:
                return True
        return False

    def _header(self) -> Path:
        line = self._line()
        array = self.text.startswith("[[", self.at)
        self.at += 2 if array else 1
        keys = self._keys()
        self.at += 2 if array else 1
        path: Path = ()
        for key in keys[:-1]:
            path = self._current((*path, key))
            self.found.setdefault(path, line)
        path = (*path, keys[-1])
        if array:
            self.found.setdefault(path, line)
            self.tables[path] = self.tables.get(path, 0) + 1
            path = self._current(path)
        self.found[path] = line
        return path

    def _current(self, path: Path) -> Path:
        return (*path, self.tables[path] - 1) if path in self.tables else path

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._skip()
            keys.append(self._key())
            while self.text[self.at] in " \t":
                self.at += 1
            if self.text[self.at] != ".":
                return keys
            self.at += 1

    def _key(self) -> str:
        start = self.at
        if self.text[start] in "\"'":
            self._string()
            inside = self.text[start + 1 : self.at - 1]
            return _unescaped(inside) if self.text[start] == '"' else inside
        while self.text[self.at] not in BARE_END:
            self.at += 1
        return self.text[start : self.at]

    def _pair(self, here: Path) -> None:
        line = self._line()
        path = here
        for key in self._keys():
            path = (*path, key)
            self.found.setdefault(path, line)
        self.at = self.text.index("=", self.at) + 1
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip()
        c = self.text[self.at]
        if c == "{":
            self.at += 1
            while self._skip(also=",") and self.text[self.at] != "}":
                self._pair(path)
            self.at += 1
        elif c == "[":
            self.at += 1
            index = 0
            while self._skip(also=",") and self.text[self.at] != "]":
                self.found[*path, index] = self._line()
                self._value((*path, index))
                index += 1
            self.at += 1
        elif c in "\"'":
            self._string()
        else:
            while self.text[self.at] not in ",]}#\n":
                self.at += 1

    def _string(self) -> None:
        """Go past a string of any of the four kinds."""
        quote = self.text[self.at]
        long = self.text.startswith(quote * 3, self.at)
        end = quote * 3 if long else quote
        self.at += len(end)
        while not self.text.startswith(end, self.at):
            self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
        self.at += len(end)
        while long and self.text[self.at] == quote:  # up to two quotes may stand just before the closing ones
            self.at += 1


def _unescaped(inside: str) -> str:
    out, i = [], 0
    while i < len(inside):
        if inside[i] != "\\":
            out.append(inside[i])
            i += 1
        elif inside[i + 1] in "uU":
            digits = 4 if inside[i + 1] == "u" else 8
            out.append(chr(int(inside[i + 2 : i + 2 + digits], 16)))
            i += 2 + digits
        else:
            out.append(ESCAPES[inside[i + 1]])
            i += 2
    return "".join(out)
