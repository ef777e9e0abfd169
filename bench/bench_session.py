"""What a whole session takes: seconds of one core, and of virtual time, and bytes, against the budgets."""

import time
from collections.abc import Iterator
from random import Random
from typing import Any

from ringback import catalogue
from ringback.cli.garbage import seldom_sought
from ringback.lab.country import Place, sim_net
from ringback.lab.run import far_end, rendered, session_settings
from ringback.lab.scenario import Scenario, parse
from ringback.sim.world import World
from ringback.trial.rendering import once_for_both
from ringback.trial.session import Session
from ringback.trial.terms import Settings
from ringback.verdict.weights import ALPHA

MEGA = 1e6
CELLS = 16  # four apps
KNOWN = catalogue.load()
MODES: dict[str, tuple[dict[str, Any], float, float, float]] = {
    "default": ({}, 3.0, 200.0, 40.0),
    "quick": ({"mode": "quick", "functions": ("text", "voice"), "directions": ("outgoing",)}, 1.0, 25.0, 6.0),
    "quiet": ({"mode": "quiet"}, 3.0, 1800.0, 40.0),
}
"""By mode: settings, then the targets: seconds of a core, virtual seconds, MB."""

HEAD = """
name = "bench"
[[network]]
name = "plain"
asn = 64500
region = "RU-MOW"
hops = 4
"""
GOOD = "link = { rtt_ms = 60, loss = 0.005, up_kbps = 8000 }\n"  # the budgets' own link


RULE = """[[network.rule]]
hop = 2
match = { app = "whatsapp", function = "FUNCTION" }
trigger = "payload"
action = { ACTION }
"""
EFFECTS: dict[str, tuple[str, str]] = {
    "calls dropped": ("voice", 'kind = "drop"'),
    "calls cut after 25 packets": ("voice", 'kind = "drop-after", packets = 25'),
    "calls lose 0.3": ("voice", 'kind = "loss", share = 0.3'),
    "calls lose 0.15": ("voice", 'kind = "loss", share = 0.15'),
    "calls policed to 8 kbit/s": ("voice", 'kind = "police", kbps = 8, burst_kbytes = 4'),
    "calls delayed by 150 ms": ("voice", 'kind = "delay", ms = 150'),
    "text dropped": ("text", 'kind = "drop"'),
    "media policed to 500 kbit/s": ("media", 'kind = "police", kbps = 500, burst_kbytes = 16'),
}
"""What is done to one cell, the weakest that counts as a restriction among it; and the cell's function."""

SEEDS = 5


def scenario(text: str) -> Scenario:
    return parse(HEAD + text, "bench.toml")


def driven(on: Scenario, changes: dict[str, Any], seed: int, cells: int | None = None) -> Session:
    """A session that is over. cells: whose share of alpha each cell has; None: as many as there are."""
    place = Place(on, on.networks[0], 0, seed)
    base = session_settings(place, None, False)
    settings = Settings(**{**{name: getattr(base, name) for name in Settings.__struct_fields__}, **changes})
    renderer = once_for_both(rendered)
    near = Session(settings, KNOWN, Random(seed), renderer=renderer)
    if cells is not None:
        for trial in near.result().trials:
            trial.threshold = cells / ALPHA
    World(near, far_end(Random(seed + 1), renderer), sim_net(place), seed).run(7200)
    return near


def session(on: Scenario, changes: dict[str, Any], seed: int) -> tuple[float, float, float, float]:
    """Seconds of one core, virtual seconds, MB through the access link both ways, and the share of cells decided."""
    began = time.process_time()
    near = driven(on, changes, seed)
    wall = time.process_time() - began
    result = near.result()
    decided = [trial.decided for trial in result.trials]
    return wall, result.seconds, sum(t.bytes for t in result.trials) / MEGA, sum(decided) / len(decided)


def power(mode: str) -> Iterator[dict[str, Any]]:
    """Share of sessions of one restricted cell that accuse, and the mean of their seconds, with the threshold of
    sixteen cells (four apps)."""
    for what, (function, action) in EFFECTS.items():
        rule = RULE.replace("FUNCTION", function).replace("ACTION", action)
        on = scenario(GOOD + rule)
        changes = {
            "mode": mode, "apps": ("whatsapp",), "functions": (function,), "directions": ("outgoing",), "tries": (),
        }  # fmt: skip
        found = [accusation(on, changes, seed) for seed in range(1, SEEDS + 1)]
        for name, value, unit in (
            ("found", sum(accused for accused, _ in found) / SEEDS, "share"),
            ("time", sum(seconds for _, seconds in found) / SEEDS, "s"),
        ):
            yield {"name": f"power, {mode}: {what}, {name}", "value": round(value, 2), "unit": unit, "peer": None,
                   "peer_value": None, "ratio": None}  # fmt: skip


def accusation(on: Scenario, changes: dict[str, Any], seed: int) -> tuple[bool, float]:
    """Whether the one cell was accused, and after how many seconds of its own."""
    near = driven(on, changes, seed, CELLS)
    (trial,) = near.result().trials
    return trial.accused, trial.seconds


def run() -> Iterator[dict[str, Any]]:
    for mode, (changes, core, virtual, megabytes) in MODES.items():
        with seldom_sought():  # as `lab run` has it
            found = [session(scenario(GOOD), changes, seed) for seed in (1, 2, 3)]
        wall, seconds, size, decided = (sum(column) / len(found) for column in zip(*found, strict=True))
        for what, value, unit, target in (
            ("of one core", wall, "s", core),
            ("of virtual time", seconds, "s", virtual),
            ("data", size, "MB", megabytes),
            ("cells decided", decided, "share", 1.0),
        ):
            yield {
                "name": f"session, {mode}: {what}",
                "value": round(value, 2),
                "unit": unit,
                "peer": "target",
                "peer_value": target,
                "ratio": round(value / target, 2),
            }
    yield from power("default")
    yield from power("quiet")
