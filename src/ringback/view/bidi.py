"""What others wrote, beside our own words: it neither turns the direction in which these are read nor hides in them.

Pages put names of apps, functions and networks into sentences, tables, titles and pictures. Characters that command
the direction of writing (Unicode Standard Annex #9), or that nobody sees, are shown as a sign that something was there.
A name in letters that go from right to left gets isolates around it: the numbers after it would be read before it.
"""

import re
from typing import Any
from unicodedata import bidirectional

from markupsafe import Markup

_FIRST_STRONG, _POP = "\u2068", "\u2069"
_COMMANDS = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, without tab and line feed
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction: marks, embeddings, overrides, isolates
    "\u180e\u200b\u2028\u2029\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # nothing to be seen
)  # joiners (U+200C, U+200D) stay: Persian is written with them
_COMMAND = re.compile(f"[{_COMMANDS}]")
_ISOLATED_OR_COMMAND = re.compile(f"{_FIRST_STRONG}[^{_COMMANDS}]*{_POP}|[{_COMMANDS}]")
_SIGN = "\ufffd"
_RIGHT_TO_LEFT = ("R", "AL", "AN")


def harmless(value: Any) -> Any:
    """A template's value as it is written out: without commands, but for isolates around a name."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _ISOLATED_OR_COMMAND.sub(lambda found: found[0] if len(found[0]) > 1 else _SIGN, value)


def isolated(name: str) -> str:
    """A name to stand among other words."""
    plain = _COMMAND.sub(_SIGN, name)
    if any(bidirectional(one) in _RIGHT_TO_LEFT for one in plain):
        return f"{_FIRST_STRONG}{plain}{_POP}"
    return plain
