"""What the shipped scenarios make true is what their sessions say, seed after seed."""

from importlib.resources import files
from statistics import mean

import pytest

from ringback.lab.scenario import load, shipped
from tests.proof.outcomes import Told, confusion, recalls, run, show

SEEDS = range(1001, 1021)
SLICE = ("s2-telegram-voice-degraded", "s4-media-kept-working", "service-down")
MACRO, EACH = 0.9, 0.8


def told(name: str, seed: int) -> list[Told]:
    text = files("ringback.lab").joinpath("scenarios", f"{name}.toml").read_text("utf-8")
    return run(name, text, load(name), seed).told


@pytest.mark.parametrize("name", SLICE)
def test_a_shipped_scenario_is_told_right(name: str) -> None:
    found = told(name, SEEDS[0])
    show(found)
    assert all(one.right for one in found if one.scored)
    assert not any(one.accuses_falsely for one in found)


@pytest.mark.validate
def test_every_shipped_scenario_at_twenty_seeds() -> None:
    found = [one for seed in SEEDS for name in shipped() for one in told(name, seed)]
    show(found)
    assert all(one.right for one in found if one.scored)
    assert not any(one.accuses_falsely for one in found)
    by_mechanism = recalls(confusion(found))
    print(
        {name: round(share, 3) for name, share in by_mechanism.items()}, "mean", round(mean(by_mechanism.values()), 3)
    )
    assert mean(by_mechanism.values()) >= MACRO
    assert min(by_mechanism.values()) >= EACH
