"""Devices that punish, at length; and outages, which look the same to a round and must accuse nobody."""

from itertools import product
from random import Random

import msgspec
import numpy as np
import pytest

from ringback.lab.run import run_sim
from ringback.lab.scenario import parse
from ringback.record import Measurement
from ringback.verdict import penalty
from tests.lab.test_penalties import HEAD, RULE
from tests.proof.keeping import kept
from tests.proof.neutral import LINKS, Neutral, default, measured
from tests.proof.rates import surprise

APPS = ("whatsapp", "telegram", "signal", "max")
SHORT, LONG = 2, 120
THOUSANDTH = 1e-3

KINDS = (
    ("voice", "payload", 'kind = "drop"'),
    ("voice", "payload", 'kind = "drop-after", packets = 25'),
    ("voice", "port", 'kind = "drop"'),
    ("text", "payload", 'kind = "drop"'),
    ("media", "sni", 'kind = "reset"'),
)
GRID = list(product(KINDS, ("pair", "host"), (20, 60, 180, 420)))


class Outages(msgspec.Struct, frozen=True):
    """Of a session: whether any cell was accused, and the e-value of each question about penalties that was asked."""

    accused: bool
    e_values: list[float]
    rounds: int


def outages(number: int) -> Outages:
    random = Random(number)
    network = Neutral(list(LINKS)[number % len(LINKS)], "blackouts", random.random() < 0.4)
    app = random.choice(APPS)

    def work() -> Outages:
        trials = measured(network, number, default(app, "")).trials
        bets: dict[tuple[int, str, str], list[penalty.Floats]] = {}
        for i, trial in enumerate(trials):
            for each in trial.rounds:
                if each.drawn == "slot":
                    bets.setdefault((i, each.form, penalty.factor_of(each)), []).append(penalty.slot_bets(each))
        e_values = [float(np.exp(penalty.log_e_value(own))) for own in bets.values()]
        return Outages(any(trial.accused for trial in trials), e_values, sum(map(len, bets.values())))

    return kept("outages", f"{network}/{app}", number, Outages, work)


def told(sessions: list[Outages]) -> None:
    e_values = [e for one in sessions for e in one.e_values]
    print(f"{len(sessions)} sessions, {sum(one.accused for one in sessions)} accused; {len(e_values)} questions in "
          f"{sum(one.rounds for one in sessions)} rounds, greatest e-value {max(e_values, default=1.0):.3g}, "
          f"mean {np.mean(e_values or [1.0]):.3g}")  # fmt: skip


def test_outages_accuse_nobody() -> None:
    sessions = [outages(10_000 + number) for number in range(SHORT)]
    told(sessions)
    assert not any(one.accused for one in sessions)


@pytest.mark.validate
def test_outages_accuse_nobody_in_many_sessions() -> None:
    sessions = [outages(number) for number in range(LONG)]
    told(sessions)
    assert not any(one.accused for one in sessions)
    assert sum(one.rounds for one in sessions) >= LONG, "outages make them ask"
    assert surprise([e for one in sessions for e in one.e_values]) > THOUSANDTH


class Told(msgspec.Struct, frozen=True):
    """scored cells; of these restricted at random, and named as Truth names them; and others that were accused."""

    scored: int
    found: int
    named: int
    accused: int


def punished(number: int) -> Told:
    (function, trigger, action), what, seconds = GRID[number % len(GRID)]
    rule = RULE.format(function=function, trigger=trigger, action=action, what=what, seconds=seconds)
    text = HEAD.format(functions='["text", "media", "voice"]') + rule

    def work() -> Told:
        scored = found = named = accused = 0
        for row in run_sim(parse(text, "penalty.toml"), number):
            if not isinstance(row, Measurement) or row.truth is None:
                continue
            verdict, truth = row.verdict, row.truth
            hit = (verdict.status, verdict.basis) == ("restricted", "randomised")
            if truth.scored and truth.status == "restricted":
                scored, found = scored + 1, found + hit
                named += hit and (verdict.mechanism, verdict.trigger) == (truth.mechanism, truth.trigger)
            else:
                accused += verdict.status == "restricted"
        return Told(scored, found, named, accused)

    return kept("penalties", f"{function} {trigger} {action} {what} {seconds}", number, Told, work)


@pytest.mark.validate
def test_what_is_punished_is_found_in_most_cells() -> None:
    cells = [punished(2_000 + number) for number in range(2 * len(GRID))]
    scored, found, named, accused = (sum(getattr(c, name) for c in cells) for name in Told.__struct_fields__)
    print(f"{found} of {scored} found, {named} named rightly; {accused} others accused")
    assert not accused
    assert found >= 0.9 * scored
    assert named >= 0.95 * found
