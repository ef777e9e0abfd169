"""Names that others gave: they end where they end, whatever letters and commands are in them."""

from pathlib import Path

import pytest
from litestar.testing import TestClient

from ringback.collect.published import Published
from ringback.store import Lake
from ringback.view import Pages, application
from ringback.view.bidi import isolated, written
from ringback.view.figures import Figures
from tests.view.test_pages import one_of

ARABIC = "شبكة 7"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Дом.ру & Co. 5G", "Дом.ру & Co. 5G"),
        ("net\u202e%001", "net\ufffd%001"),
        ("a\u2068b", "a\ufffdb"),
        ("\u2066a\u2069", "\ufffda\ufffd"),
        ("\u200b\ufeffwhatsapp\x1b[31m", "\ufffd\ufffdwhatsapp\ufffd[31m"),
        ("می\u200cخواهم", "\u2068می\u200cخواهم\u2069"),
        (ARABIC, f"\u2068{ARABIC}\u2069"),
        (f"\u2069{ARABIC}", f"\u2068\ufffd{ARABIC}\u2069"),
    ],
)
def test_a_name_commands_nothing_and_is_isolated_where_it_goes_from_right_to_left(name: str, shown: str) -> None:
    assert isolated(name) == shown
    assert written(f"{isolated(name)}: 12") == f"{shown}: 12", "what is written out keeps that"


@pytest.mark.parametrize("text", ["\u202eb", "\u2068b", "b\u2069", "\u2068\u202eb\u2069", "\u2067b\u2069"])
def test_nothing_that_was_left_open_is_written_out(text: str) -> None:
    told = written(f"{text}: 12")
    assert not set(told) & set("\u202e\u2067\u2068\u2069")
    assert told.endswith("b\ufffd: 12" if text.endswith("\u2069") else "b: 12")


def test_networks_and_apps_of_any_name_leave_the_words_around_them_in_order(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.append([one_of(measurement=f"m{n}", cluster=f"c{n}", pseudonym=f"p{n}", app=ARABIC) for n in range(9)])
    named = {64500: f"{ARABIC}\u202e"}
    with TestClient(application(Pages(Figures(lake), Published(tmp_path / "open"), named))) as client:
        page = client.get("/en/network/64500/").text
        assert f"<h1>\u2068{ARABIC}\ufffd\u2069</h1>" in page
        assert f"({ARABIC}" not in page
        assert page.count(ARABIC) == page.count(f"\u2068{ARABIC}")
        assert client.get("/api/v1/networks/64500").json()["name"] == named[64500], "data are as they are"
