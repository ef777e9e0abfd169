"""What a whole session takes: seconds of one core, and of virtual time, and bytes, against the budgets."""

import time
from collections.abc import Iterator
from random import Random
from typing import Any

from ringback import catalogue
from ringback.lab.country import Place, sim_net
from ringback.lab.run import far_end, session_settings
from ringback.lab.scenario import Scenario, parse
from ringback.sim.world import World
from ringback.trial.session import Session
from ringback.trial.terms import Settings

MEGA = 1e6
MODES: dict[str, tuple[dict[str, Any], float, float, float]] = {
    "default": ({}, 3.0, 200.0, 40.0),
    "quick": ({"mode": "quick", "functions": ("text", "voice"), "directions": ("outgoing",)}, 1.0, 25.0, 6.0),
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


def scenario(text: str) -> Scenario:
    return parse(HEAD + text, "bench.toml")


def session(on: Scenario, changes: dict[str, Any], seed: int) -> tuple[float, float, float, float]:
    """Seconds of one core, virtual seconds, MB through the access link both ways, and the share of cells decided."""
    place = Place(on, on.networks[0], 0, seed)
    base = session_settings(place, None, False)
    settings = Settings(**{**{name: getattr(base, name) for name in Settings.__struct_fields__}, **changes})
    known = catalogue.load()
    began = time.process_time()
    near = Session(settings, known, Random(seed))
    world = World(near, far_end(Random(seed + 1)), sim_net(place), seed)
    world.run(7200)
    wall = time.process_time() - began
    result = near.result()
    decided = [trial.decided for trial in result.trials]
    return wall, result.seconds, sum(t.bytes for t in result.trials) / MEGA, sum(decided) / len(decided)


def run() -> Iterator[dict[str, Any]]:
    for mode, (changes, core, virtual, megabytes) in MODES.items():
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
