"""Scenarios of other shapes, drawn by three generators: the verdicts agree with the truth, and none accuses falsely."""

from collections.abc import Callable

import pytest

from ringback.lab.rules import Scenario
from tests.lab.generator import coverage, scenarios
from tests.proof.broad import broad
from tests.proof.countries import countries
from tests.proof.outcomes import Told, run, show

COUNT = 30
SCORED, RIGHT = 0.9, 0.95
FAMILIES: dict[str, tuple[Callable[[int, int], list[tuple[str, Scenario]]], int]] = {
    "generated": (scenarios, 1),
    "generated-again": (scenarios, 2),
    "countries": (countries, 77),
    "countries-again": (countries, 78),
    "broad": (broad, 1),
    "broad-again": (broad, 2),
}


def reachable(text: str) -> bool:
    """Residual blocks of pairs and hosts hit other cells too, so that those are not scored."""
    return not any(f'residual = "{what}"' in text for what in ("pair", "host"))


def told(family: str, count: int = COUNT, every: int = 1) -> list[Told]:
    make, seed = FAMILIES[family]
    found: list[Told] = []
    for number, (text, scenario) in list(enumerate(make(count, seed)))[::every]:
        if reachable(text):
            found += run(f"{family}-{number}", text, scenario, scenario.seed).told
    return found


def test_some_of_the_generated_scenarios_are_told_right() -> None:
    found = told("generated", every=15)
    show(found)
    assert all(one.right for one in found if one.scored)
    assert not any(one.accuses_falsely for one in found)


@pytest.mark.validate
@pytest.mark.parametrize("family", FAMILIES)
def test_thirty_scenarios_of_other_shapes_are_told_right(family: str) -> None:
    if family.startswith("generated"):
        for row in sorted(coverage(FAMILIES[family][0](COUNT, FAMILIES[family][1]))):
            print(*row)
    found = told(family)
    show(found)
    scored = [one for one in found if one.scored]
    assert not any(one.accuses_falsely for one in scored)
    assert sum(one.right for one in scored) >= RIGHT * len(scored)
    if family == "generated":
        assert len(scored) >= SCORED * len(found)
