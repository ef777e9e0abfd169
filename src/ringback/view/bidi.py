"""What others wrote, on a page: it neither turns the direction in which our words are read nor hides in them.

A name in letters that go from right to left gets isolates around it (Unicode Standard Annex #9): the numbers after it
would be read before it. What commands anything else is shown as a sign, as `words.strangers` has it.
"""

import re
from typing import Any
from unicodedata import bidirectional

from markupsafe import Markup

from ringback.words import harmless
from ringback.words.strangers import COMMANDS, SIGN

_FIRST_STRONG, _POP = "\u2068", "\u2069"
_ISOLATED_OR_COMMAND = re.compile(f"{_FIRST_STRONG}[^{COMMANDS}]*{_POP}|[{COMMANDS}]")
_RIGHT_TO_LEFT = ("R", "AL", "AN")


def written(value: Any) -> Any:
    """A template's value as it is written out: without commands, but for isolates around a name."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _ISOLATED_OR_COMMAND.sub(lambda found: found[0] if len(found[0]) > 1 else SIGN, value)


def isolated(name: str) -> str:
    """A name to stand among other words."""
    plain = harmless(name, lines=True)
    if any(bidirectional(one) in _RIGHT_TO_LEFT for one in plain):
        return f"{_FIRST_STRONG}{plain}{_POP}"
    return plain
