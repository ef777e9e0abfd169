"""What others wrote, beside our own words: it commands nothing, and nothing hides in it.

Names of apps, networks and files, and what another server answers, stand on terminals and pages among what we say. Of
Unicode's characters (general categories Cc, Cf, Cs, Zl, Zp) those that command a terminal or the direction of writing
(Unicode Standard Annex #9) and those that nobody sees are shown as a sign that something was there.
"""

import re

SIGN = "\ufffd"
COMMANDS = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, without tab and line feed
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction: marks, embeddings, overrides, isolates
    "\xad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2028\u2029\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"
    "\ufff0-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"  # unseen
    "\ud800-\udfff"  # halves of characters, which can't be written out
)
"""A class for a regular expression. Joiners (U+200C, U+200D) and choices of a form (U+FE00-FE0F) are not in it: Persian
and emoji are written with them. Nor are the marks of Arabic, Syriac and Kaithi that stand before numbers: one sees
them, though Unicode counts them among Cf."""
_COMMAND = re.compile(f"[{COMMANDS}]")
_COMMAND_OR_LINE = re.compile(f"[\t\n{COMMANDS}]")


def harmless(text: str, lines: bool = False) -> str:
    """For among our own words. lines: tabs and line feeds stay, which mean nothing where it goes."""
    return (_COMMAND if lines else _COMMAND_OR_LINE).sub(SIGN, text)
