"""Both languages say the same things, and every phrase is there for whatever a record can hold."""

import re
from pathlib import Path
from typing import get_args

import pytest

from ringback import record, words
from ringback.errors import BadInput
from ringback.words.phrases import LANGUAGES, Language, compare, load, placeholders, plural

SOURCE = Path(words.__file__).parent


def test_the_shipped_languages_fit_each_other() -> None:
    english, russian = load("en"), load("ru")
    assert {k for k in english.keys if not k.startswith("count.")} == {
        k for k in russian.keys if not k.startswith("count.")
    }
    assert len(english.keys) > 150


@pytest.mark.parametrize(
    ("russian", "says"),
    [
        ({"a": "{x}"}, "b is not in both"),
        ({"a": "{x}", "b": "", "c": ""}, "c is not in both"),
        ({"a": "{y}", "b": ""}, "a is filled in differently"),
        ({"a": "{x}", "b": "", "count.cat.one": "{n}", "count.cat.few": "{n}"}, "count.cat.many is absent"),
    ],
)
def test_a_language_that_lags_behind_is_refused(russian: dict[str, str], says: str) -> None:
    english = {"a": "{x}", "b": "", "count.cat.one": "{n} cat", "count.cat.other": "{n} cats"}
    with pytest.raises(BadInput, match=says):
        compare({"en": english, "ru": russian})


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_value_that_a_verdict_can_hold_has_its_words(language: Language) -> None:
    phrases = load(language)
    wanted = [f"how.{mechanism}" for mechanism in get_args(record.Mechanism)]
    wanted += [f"trigger.{trigger}" for trigger in get_args(record.Trigger)]
    wanted += [
        f"{kind}.{function}" for kind in ("fails", "worse", "function") for function in get_args(record.Function)
    ]
    wanted += [f"also.{status}" for status in get_args(record.Status)]
    wanted += [f"function.voice-{direction}" for direction in get_args(record.Direction)]
    assert [key for key in wanted if not phrases.has(key)] == []


def test_every_case_has_its_three_sentences_and_every_situation_its_answers() -> None:
    keys = load("en").keys
    cases = {key.split(".")[1] for key in keys if key.startswith("case.")}
    assert all(f"case.{case}.{part}" in keys for case in cases for part in ("means", "not", "next"))
    situations = {key.split(".")[1] for key in keys if key.startswith("summary.")}
    assert all(f"summary.{name}.{part}" in keys for name in situations for part in ("head", "me", "app", "next"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_phrase_speaks_of_e_values_or_says_that_an_app_works(language: Language) -> None:
    phrases = load(language)
    for key in phrases.keys:
        text = phrases.say(key, **dict.fromkeys(phrases.wants(key), "X"))
        if not key.startswith("page."):  # pages show how an e-value grew; what a participant is told does not
            assert not re.search(r"e-value|e-знач|p-value", text, re.I), key
        if re.search(r"\bapp works|приложение работает", text, re.I):
            assert key == "case.working-peer.not", key


def test_russian_counts_as_russian_does() -> None:
    russian = load("ru")
    assert [russian.counted("packets", n) for n in (1, 3, 25, 111, 1021)] == [
        "1 пакет",
        "3 пакета",
        "25 пакетов",
        "111 пакетов",
        "1 021 пакет",
    ]
    assert russian.counted("up_to_packets", 21) == "21 пакета"
    assert plural("en", 1) == "one"
    assert load("en").counted("packets", 1284) == "1,284 packets"


def test_amounts_and_rough_numbers_read_as_people_write_them() -> None:
    english, russian = load("en"), load("ru")
    assert [english.amount(n) for n in (900, 6_200, 64_000, 212_345, 40_000_000)] == [
        "900 bytes",
        "6.2 kB",
        "64 kB",
        "212 kB",
        "40 MB",
    ]
    assert [english.rough(x) for x in (0, 1.05, 34.6, 143.7, 1284)] == ["0", "1.1", "35", "140", "1,300"]
    assert russian.amount(6_200) == "6,2 кБ"


def test_placeholders_are_found() -> None:
    assert placeholders("{a} and {b} and {a}") == {"a", "b"}


def test_every_phrase_is_used() -> None:
    """A key is used when it is written in the source, or when the part after its group is filled in by a record."""
    rooms = [*SOURCE.glob("*.py"), *(SOURCE.parent / "cli").glob("*.py")]
    rooms += [*(SOURCE.parent / "view").glob("*.py"), *(SOURCE.parent / "view" / "templates").glob("*.html")]
    source = "\n".join(path.read_text() for path in rooms)
    templates = {re.sub(r"\{[^}]*\}", "*", text) for text in re.findall(r'f?"([a-z_*{][^"\n ]*)"', source)}
    patterns = [re.compile(re.escape(t).replace(r"\*", ".+") + "$") for t in templates if re.match(r"[a-z_]+\.", t)]
    filled = ("case.", "summary.", "number.", "count.")
    unused = [k for k in load("en").keys if not k.startswith(filled) and not any(p.match(k) for p in patterns)]
    assert sorted(unused) == []
