"""The tables of phrases: TOML files of each language, with the same keys and the same placeholders in each."""

import math
import string
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal, get_args

from ringback.errors import BadInput

Language = Literal["en", "ru"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
PLURALS: Mapping[Language, tuple[str, ...]] = {"en": ("one", "other"), "ru": ("one", "few", "many")}
"""Categories of whole numbers, as Unicode CLDR names them."""


def plural(language: Language, n: int) -> str:
    """CLDR's plural category of the whole number n.

    >>> [plural("ru", n) for n in (1, 3, 5, 11, 21, 22, 112)]
    ['one', 'few', 'many', 'many', 'one', 'few', 'many']
    """
    if language == "en":
        return "one" if n == 1 else "other"
    if n % 10 == 1 and n % 100 != 11:
        return "one"
    return "few" if n % 10 in (2, 3, 4) and n % 100 not in (12, 13, 14) else "many"


def placeholders(text: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


class Phrases:
    """One language. `say` fills a phrase in; an unknown key is a KeyError, for keys come from code alone."""

    def __init__(self, language: Language, table: Mapping[str, str]) -> None:
        self.language = language
        self._table = table

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(self._table)

    def has(self, key: str) -> bool:
        return key in self._table

    def wants(self, key: str) -> frozenset[str]:
        """The placeholders of a phrase."""
        return placeholders(self._table[key])

    def say(self, key: str, **values: object) -> str:
        return self._table[key].format(**values)

    def number(self, value: float, decimals: int = 0) -> str:
        plain = f"{value:,.{decimals}f}"
        swap = {",": self._table["number.thousands"], ".": self._table["number.decimal"]}
        return "".join(swap.get(character, character) for character in plain)

    def counted(self, noun: str, n: int) -> str:
        """`25 packets`; noun: a key of `count`."""
        return self.say(f"count.{noun}.{plural(self.language, n)}", n=self.number(n))

    def amount(self, size: int) -> str:
        """Bytes in the unit that fits, two digits at least: `64 kB`."""
        for unit, scale in (("megabytes", 1_000_000), ("kilobytes", 1_000)):
            if size >= scale:
                short = size < 10 * scale and size % scale != 0
                return self.say(f"unit.{unit}", n=self.number(size / scale, 1 if short else 0))
        return self.say("unit.bytes", n=self.number(size))

    def rough(self, value: float) -> str:
        """Two significant digits, for what is known about."""
        if value <= 0:
            return self.number(0)
        digits = 1 - math.floor(math.log10(value))
        return self.number(round(value, digits), max(0, digits))


def flatten(tree: Mapping[str, Any], where: str, prefix: str = "") -> dict[str, str]:
    """`{"a": {"b": "x"}}` as `{"a.b": "x"}`. Raises BadInput for a value that is no text."""
    flat: dict[str, str] = {}
    for name, value in tree.items():
        key = prefix + name
        if isinstance(value, dict):
            flat.update(flatten(value, where, key + "."))
        elif isinstance(value, str):
            flat[key] = value
        else:
            raise BadInput(f"{key} is no text", where)
    return flat


def compare(tables: Mapping[Language, Mapping[str, str]]) -> None:
    """Raises BadInput where a language lacks a phrase, has one of its own, or fills it in differently."""
    first = LANGUAGES[0]
    shared = {language: {k for k in table if not k.startswith("count.")} for language, table in tables.items()}
    for language, table in tables.items():
        for key in sorted(shared[first] ^ shared[language]):
            raise BadInput(f"{key} is not in both {first} and {language}", f"{language}.toml")
        for key in sorted(shared[language]):
            if placeholders(table[key]) != placeholders(tables[first][key]):
                raise BadInput(f"{key} is filled in differently from {first}", f"{language}.toml")
        for noun in {key.split(".")[1] for each in tables.values() for key in each if key.startswith("count.")}:
            for category in PLURALS[language]:
                if placeholders(table.get(f"count.{noun}.{category}", "")) != {"n"}:
                    raise BadInput(f"count.{noun}.{category} is absent or lacks {{n}}", f"{language}.toml")


@cache
def _tables() -> Mapping[Language, Mapping[str, str]]:
    folder = resources.files("ringback.words") / "data"
    tables: dict[Language, dict[str, str]] = {language: {} for language in LANGUAGES}
    for language, table in tables.items():
        for file in (f"{language}.toml", f"pages.{language}.toml"):
            table |= flatten(tomllib.loads((folder / file).read_text("utf-8")), file)
    compare(tables)
    return tables


@cache
def load(language: Language) -> Phrases:
    """Raises BadInput where the tables of the languages do not fit each other."""
    return Phrases(language, _tables()[language])
