"""Events from the lake: read as columns, and walked again only where something changed."""

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from ringback.evidence import observed
from ringback.evidence.cells import DAY, HOUR, Graded, Key
from ringback.evidence.detector import SETTINGS
from ringback.evidence.events import Event, walk
from ringback.evidence.turns import Turns, turns
from ringback.store import Lake, Reading, Selection
from ringback.view import watching
from ringback.view.figures import Figures
from tests.store.observations import seen

KEY = Key("whatsapp", "voice", 64500, "RU-MOW")
BEGIN = datetime(2025, 8, 1, tzinfo=UTC)


def same(one: Turns, other: Turns) -> bool:
    return all(np.array_equal(getattr(one, name.name), getattr(other, name.name)) for name in fields(Turns))


def test_columns_make_the_very_turns_that_records_do(observatory: Path) -> None:
    reading = Reading(Lake(observatory / "lake"))
    records, declared = observed.histories(reading.every_series())
    columns, known = observed.columns(reading.points())
    assert known == declared
    assert set(columns) == set(records)
    assert all(same(turns(columns[key]), turns(records[key])) for key in records)
    some = next(key for key in records)
    assert {key.asn for key in observed.columns(reading.points(), {some.asn or 0})[0]} == {some.asn}


def test_columns_of_other_tools_too(tmp_path: Path) -> None:
    """Sites, versions, clusters, graded counts and what was never attempted, several at one time."""
    lake = Lake(tmp_path)
    random = np.random.default_rng(1)

    def one(n: int) -> Any:
        kind = int(random.integers(4))
        given: dict[str, Any] = {
            "pseudonym": (None, f"p{random.integers(5)}", None, "")[kind],
            "cluster": (f"c{random.integers(9)}", None, None, None)[kind],
            "target": (None, "a.example", "b.example", "")[random.integers(4)],
            "region": (None, "RU-MOW", "RU-SPE", "KZ-ALA")[random.integers(4)],
            "test_version": (None, "", "1", "2")[random.integers(4)],
            "software": (None, "1", "x")[random.integers(3)],
            "attempted": (None, 0, 3, 7)[random.integers(4)],
            "failed": (None, 0, 1, 3)[random.integers(4)],
            "status": ("working", "restricted", "insufficient")[random.integers(3)],
            "asn": int(random.integers(64500, 64504)),
        }
        return msgspec.structs.replace(seen(n, hours=int(random.integers(40))), **given)

    lake.append([one(n) for n in range(2000)])
    reading = Reading(lake)
    records, declared = observed.histories(reading.every_series())
    columns, known = observed.columns(reading.points())
    assert known == declared
    assert set(columns) == set(records)
    assert all(same(turns(columns[key]), turns(records[key])) for key in records)


def history(days: int = 30) -> list[Graded]:
    return [
        Graded(day * DAY + hour * HOUR, f"{day} {hour % 5}", 1, int(day >= 20))
        for day in range(days)
        for hour in range(0, 24, 2)
    ]


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[Key]:
    """Whose histories were walked."""
    done: list[Key] = []

    def told(key: Key, *given: Any) -> tuple[Event, ...]:
        done.append(key)
        return walk(key, *given)

    monkeypatch.setattr(watching, "walk", told)
    return done


def test_a_history_is_walked_again_only_where_something_that_decides_it_changed(walks: list[Key]) -> None:
    kept, cell = watching.Walked(), turns(history())
    given: tuple[Key, Turns, Sequence[float], float, float, Any] = (KEY, cell, [0.01], 9.0, 5.0, SETTINGS)
    first = kept.walk(*given)
    assert first
    assert kept.walk(*given) is first
    assert kept.walk(KEY, turns(history()), *given[2:]) == first == walk(*given)
    assert len(walks) == 1
    others: list[tuple[Any, ...]] = [
        (replace(KEY, region=None), *given[1:]),
        (KEY, turns(history(29)), *given[2:]),
        (KEY, replace(cell, score=np.where(cell.score > 0, 0.5, 0.0)), *given[2:]),
        (KEY, cell, [0.02], *given[3:]),
        (*given[:3], 9.5, *given[4:]),
        (*given[:4], 5.5, SETTINGS),
        (*given[:5], replace(SETTINGS, run_length_years=2.0)),
    ]
    for other in others:
        assert kept.walk(*other) == walk(*other)
    assert len(walks) == 1 + len(others)


def test_what_is_kept_of_walks_is_bounded(walks: list[Key]) -> None:
    kept, cells = watching.Walked(most=4), [turns(history(days)) for days in (5, 6, 7, 8, 9, 10)]
    for cell in cells:
        assert kept.walk(KEY, cell, [0.01], 9.0, 5.0, SETTINGS) == ()
    kept.walk(KEY, cells[-1], [0.01], 9.0, 5.0, SETTINGS)
    assert len(walks) == 6
    kept.walk(KEY, cells[0], [0.01], 9.0, 5.0, SETTINGS)  # the oldest went
    assert len(walks) == 7


def test_a_new_report_has_its_own_network_walked_again_and_the_page_told(tmp_path: Path, walks: list[Key]) -> None:
    lake = Lake(tmp_path)

    def report(n: int, asn: int, hour: float, cut: bool) -> Any:
        told = {"asn": asn, "pseudonym": f"{asn} {n % 8}", "time": BEGIN + timedelta(hours=hour)}
        state = {"status": "restricted" if cut else "working", "attempted": 1, "failed": int(cut)}
        return msgspec.structs.replace(seen(n), id=f"{asn}-{n}", **told, **state)

    lake.append([report(n, asn, 2 * n, 240 <= n < 330) for asn in (64500, 64501) for n in range(330)])
    figures = Figures(lake)
    before = figures.events("whatsapp", "voice")
    assert {one.asn for one in before} == {64500, 64501}
    assert len(walks) == 2
    assert figures.events("whatsapp", "voice") is before
    lake.append([report(n, 64501, 2 * n, True) for n in range(330, 334)])
    after = figures.events("whatsapp", "voice")
    assert [key.asn for key in walks[2:]] == [64501]
    assert [one for one in after if one.asn == 64500] == [one for one in before if one.asn == 64500]
    (longer,), (shorter,) = ([one for one in told if one.asn == 64501] for told in (after, before))
    assert longer.n == shorter.n + 4
    chosen = Selection(app=("whatsapp",), function=("voice",))
    assert len(after) == len(watching.events(Reading(lake), chosen))
