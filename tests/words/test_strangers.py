"""What others wrote commands nothing and hides nothing, and keeps what their languages are written with."""

import sys
from unicodedata import category

import pytest

from ringback.words import harmless

JOINERS = "\u200c\u200d"
SEEN = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"  # before numbers


@pytest.mark.parametrize("text", ["می‌خواهم", "👩‍💻 ❤️", "Дом.ру & Co. 5G", "日本語", "नेटवर्क", "\u0601 ١٢", "a\u0301"])
def test_what_people_write_stays(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x9b0m", "\ufffd[31mred\ufffd0m"),
        ("a\r\nb\tc", "a\ufffd\ufffdb\ufffdc"),
        ("net\u202e%001", "net\ufffd%001"),
        ("what\u00adsapp\u200b\u2060\u3164", "what\ufffdsapp\ufffd\ufffd\ufffd"),
        ("\ud800", "\ufffd"),
    ],
)
def test_what_commands_or_hides_is_a_sign(text: str, shown: str) -> None:
    assert harmless(text) == shown
    assert harmless("a\n\tb", lines=True) == "a\n\tb"


def test_of_unicodes_controls_and_formats_none_is_left_but_what_is_seen_or_joins() -> None:
    unseen = {chr(n) for n in range(sys.maxunicode + 1) if category(chr(n)) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert {one for one in unseen if harmless(one) == one} == {*JOINERS, *SEEN}
