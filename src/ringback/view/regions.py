"""Regions of a country as ISO 3166-2 has them: names, and places in a grid of equal squares. One file a country."""

import tomllib
from functools import cache
from importlib.resources import files

import msgspec


class Region(msgspec.Struct, frozen=True):
    """column, row: in the grid, from the west and the north, from 0."""

    code: str
    column: int
    row: int
    en: str
    ru: str

    def name(self, language: str) -> str:
        return self.ru if language == "ru" else self.en


@cache
def regions(country: str) -> dict[str, Region]:
    """By code; empty for a country without a file."""
    file = files("ringback.view") / "data" / f"{country}.toml"
    if len(country) != 2 or not country.isalpha() or not file.is_file():
        return {}
    tables = tomllib.loads(file.read_text("utf-8"))
    return {code: Region(code, one["at"][0], one["at"][1], one["en"], one["ru"]) for code, one in tables.items()}


def region_name(code: str, language: str) -> str:
    """A code that no file knows is its own name."""
    known = regions(code[:2]).get(code)
    return known.name(language) if known else code
