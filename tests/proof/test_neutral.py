"""Whole sessions of the full engine on networks that are bad and neutral: hardly ever an accusation."""

import os
from random import Random

import msgspec
import pytest

from tests.proof.keeping import kept
from tests.proof.neutral import BOXES, LINKS, MODES, Neutral, e_values, measured
from tests.proof.rates import LEVELS, interval, reached, surprise

ALPHA = 0.001
APPS = ("whatsapp", "telegram", "signal", "max")
FUNCTIONS = ("voice", "text", "media")
SHORT, LONG = {"quick": 30, "quiet": 30, "default": 4}, 1000  # a default session costs five of the others
THOUSANDTH = 1e-3


class Unharmed(msgspec.Struct, frozen=True):
    """A session's greatest e-value, and whether any cell reached its threshold."""

    e_value: float
    accused: bool


def drawn(number: int) -> tuple[Neutral, str, str]:
    """Network, app and function of session `number`: every link and box in turn, the rest by lot."""
    random = Random(number)
    links, boxes = list(LINKS), list(BOXES)
    network = Neutral(links[number % len(links)], boxes[number // len(links) % len(boxes)], random.random() < 0.4)
    return network, random.choice(APPS), random.choice(FUNCTIONS)


def session(number: int, mode: str) -> Unharmed:
    network, app, function = drawn(number)

    def work() -> Unharmed:
        found = e_values(measured(network, number, MODES[mode](app, function)))
        return Unharmed(max(e for _, e in found), any(trial.accused for trial, _ in found))

    name = "neutral" if mode == "quick" else f"neutral-{mode}"
    return kept(name, f"{network}/{app}/{function}", number, Unharmed, work)


def told(sessions: list[Unharmed]) -> None:
    hits = sum(one.accused for one in sessions)
    low, high = interval(hits, len(sessions))
    print(f"{len(sessions)} sessions, {hits} accusations; 95 % interval of the rate {low:.5f} to {high:.5f}")
    found = reached([one.e_value for one in sessions])
    for level in LEVELS:
        print(f"e of {level:g} or more: {found[level]}, at most {len(sessions) / level:.1f} to be expected")


@pytest.mark.parametrize("mode", MODES)
def test_bad_networks_are_not_accused(mode: str) -> None:
    sessions = [session(number * 7, mode) for number in range(SHORT[mode])]
    told(sessions)
    assert not any(one.accused for one in sessions)
    assert surprise([one.e_value for one in sessions]) > THOUSANDTH


@pytest.mark.validate
@pytest.mark.parametrize("mode", MODES)
def test_a_thousand_sessions_on_bad_networks(mode: str) -> None:
    sessions = [session(number, mode) for number in range(int(os.environ.get("RINGBACK_VALIDATE_NEUTRAL", LONG)))]
    told(sessions)
    low, _ = interval(sum(one.accused for one in sessions), len(sessions))
    assert low <= ALPHA
    assert surprise([one.e_value for one in sessions]) > THOUSANDTH


def test_the_drawn_networks_cover_all_there_are() -> None:
    networks = {(n.link, n.box) for n, _, _ in map(drawn, range(LONG))}
    assert networks == {(link, box) for link in LINKS for box in BOXES}
