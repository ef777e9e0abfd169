"""What is shown is in the address: app, function, path and days. The same address shows the same again."""

import re
from datetime import date
from typing import Any, Literal
from urllib.parse import quote, urlencode

import msgspec

from ringback.errors import BadInput

APPS = ("whatsapp", "telegram", "signal", "max")
FUNCTIONS = ("text", "media", "voice")
PATHS = ("direct", "vpn")
ASKED = {
    "regions": ("app", "function", "path", "since", "until"),
    "networks": ("app", "function", "path", "since", "until"),
    "contrasts": ("app", "function", "since", "until"),
    "matrix": ("since", "until"),
    "timeline": ("app", "function", "path"),
    "events": ("app", "function"),
}
"""What each of the API's quantities that pages link to can be asked for, by its parameters."""
TOKEN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")


class Misread(BadInput):
    """An address that means nothing. why: for words about it."""

    def __init__(self, why: Literal["name", "order", "day", "unknown", "twice"], what: str, where: str) -> None:
        super().__init__(what, where)
        self.why = why


class View(msgspec.Struct, frozen=True):
    """since, until: UTC days, both included; None: the last week that has data."""

    app: str = "whatsapp"
    function: str = "voice"
    path: str = "direct"
    since: date | None = None
    until: date | None = None

    @property
    def place(self) -> str:
        """Its address below a language's root."""
        return self.below()

    def below(self, part: str = "") -> str:
        """The address of a part of it that has a page of its own, such as `networks/`."""
        if (self.app, self.function, self.path) == (START.app, START.function, START.path):
            bare = ""
        else:
            bare = f"of/{quote(self.app)}/{quote(self.function)}/{quote(self.path)}/"
        return bare + part + self.days

    @property
    def days(self) -> str:
        """The days that were chosen, as an address ends with them; nothing where none were."""
        days = {key: day.isoformat() for key in ("since", "until") if (day := getattr(self, key)) is not None}
        return f"?{urlencode(days)}" if days else ""

    def asked_of(self, what: str) -> str:
        """The same choice as parameters of one of the API's quantities, those alone that it has."""
        given = {name: getattr(self, name) for name in ASKED[what]}
        return urlencode({name: value for name, value in given.items() if value is not None})

    def but(self, **changes: Any) -> "View":
        return msgspec.structs.replace(self, **changes)


START = View()


def parsed(app: str, function: str, path: str, since: str | None = None, until: str | None = None) -> View:
    """Raises Misread for what can't be an app, a function, a path or a day, or days in the wrong order."""
    for name, value in (("app", app), ("function", function), ("path", path)):
        if not TOKEN.fullmatch(value):
            raise Misread("name", "is no name: lower-case letters, digits, `.`, `_` and `-`, at most 40", name)
    view = View(app, function, path, _day("since", since), _day("until", until))
    if view.since and view.until and view.since > view.until:
        raise Misread("order", "is after `until`", "since")
    return view


def _day(name: str, written: str | None) -> date | None:
    if not written:
        return None
    try:
        day = date.fromisoformat(written)
    except ValueError:
        day = None
    if day is None or day.isoformat() != written:  # ISO 8601's other forms are not in the description
        raise Misread("day", "is no day like 2025-08-13", name)
    return day
