"""The loss that media's `working` excludes, done to originals by the operator: betting against it must win nothing."""

from random import Random

import numpy as np
import pytest

from ringback.lab.country import places
from ringback.lab.run import in_virtual_time
from ringback.lab.scenario import parse
from ringback.verdict.evidence import cell_evidence
from ringback.verdict.stream_harms import MEDIA_LOSS

SCENARIO = """
name = "declared"
apps = ["{app}"]
functions = ["media"]
[[network]]
name = "n"
asn = 64500
region = "RU-MOW"
hops = 3
link = {{ {link} }}
[[network.rule]]
hop = 2
match = {{ app = "{app}", function = "media" }}
trigger = "payload"
direction = "{direction}"
action = {{ kind = "loss", share = {loss} }}
"""
CLEAN = "rtt_ms = {}, jitter_ms = 0, loss = 0, up_kbps = 8000, down_kbps = {}, queue_ms = 50"


def against_loss(app: str, direction: str, link: str, seed: int) -> float:
    """The session's e-value against that loss."""
    text = SCENARIO.format(app=app, direction=direction, link=link, loss=MEDIA_LOSS)
    (place,) = places(parse(text, "declared.toml"), seed)
    (trial,) = in_virtual_time(place, None, None, False).trials
    return cell_evidence([r for r in trial.rounds if r.kind == "trial"]).working[f"loss-{direction}"]


@pytest.mark.parametrize(
    ("app", "direction", "rtt_ms", "down_kbps"),
    [("whatsapp", "out", 10, 5_000), ("whatsapp", "out", 40, 100_000), ("signal", "in", 5, 100_000),
     ("max", "in", 100, 10_000), ("telegram", "out", 130, 30_000)],
)  # fmt: skip
def test_losses_that_are_done_are_not_ruled_out_on_quick_and_on_long_paths(
    app: str, direction: str, rtt_ms: int, down_kbps: int
) -> None:
    assert max(against_loss(app, direction, CLEAN.format(rtt_ms, down_kbps), seed) for seed in (7, 59)) < 10


def drawn(random: Random) -> str:
    values = {
        "rtt_ms": [5, 10, 20, 40, 60, 80, 100, 130, 180],
        "jitter_ms": [0, 2, 5, 10],
        "loss": [0, 0.005, 0.01, 0.02, 0.03],
        "loss_burst": [1, 3, 6],
        "up_kbps": [2500, 5000, 8000, 20000],
        "down_kbps": [5000, 10000, 30000, 100000],
        "queue_ms": [50, 100, 200, 400],
        "cross_kbps": [0, 0, 500, 1500],
    }
    return ", ".join(f"{key} = {random.choice(these)}" for key, these in values.items())


@pytest.mark.validate
def test_nothing_is_won_by_betting_against_a_loss_that_is_done() -> None:
    found = []
    for seed in range(6001, 6121):
        random = Random(seed)
        app, direction = random.choice(["whatsapp", "telegram", "signal", "max"]), random.choice(["in", "out"])
        found.append(against_loss(app, direction, drawn(random), seed))
    values = np.array(found)
    print(f"\nmean {values.mean():.3f}, of 1 or more {(values >= 1).sum()}, greatest {np.sort(values)[-5:].round(2)}")
    assert values.mean() <= 1 + 4 * values.std() / np.sqrt(len(values))
    assert np.mean(values >= 100) <= 0.02
