"""The generated scenarios are repeatable and cover what a rule can be made of."""

from ringback.lab.scenario import KINDS, TRIGGERS
from ringback.lab.truth import truth
from ringback.lab.wires import cells
from tests.lab.generator import DIRECTIONS, coverage, scenarios


def test_thirty_scenarios_cover_every_action_trigger_direction_and_strength() -> None:
    seen = coverage(scenarios())
    for row in sorted(seen):
        print(*row)
    actions, triggers, directions, strengths = map(set, zip(*seen, strict=True))
    assert (actions, triggers, directions) == (set(KINDS), set(TRIGGERS), set(DIRECTIONS))
    assert strengths == {"strong", "weak"}
    assert len(seen) >= 25, "few of the thirty are alike"


def test_they_are_the_same_for_the_same_seed_and_others_for_another() -> None:
    assert scenarios(5) == scenarios(5)
    assert scenarios(5) != scenarios(5, seed=2)


def test_the_strong_restrict_or_impair_something_and_the_weak_are_never_scored_as_restricted() -> None:
    for text, read in scenarios():
        found = [truth(read, read.networks[0], 0, cell) for cell in cells(read)]
        statuses = {one.status for one in found}
        if text.startswith("# weak"):
            assert "restricted" not in statuses, text
        elif "delay" not in text:  # of media it is never scored, and one of all UDP leaves calls usable
            assert statuses & {"restricted", "impaired"}, text
