"""A run that is written down event by event tells the same as one in which sends are only noted."""

from random import Random

import pytest

from ringback import catalogue
from ringback.lab.country import Place, sim_net
from ringback.lab.run import far_end, session_settings
from ringback.lab.scenario import parse
from ringback.sim.world import World
from ringback.trial.seam import Sent
from ringback.trial.session import Session

SCENARIO = """
name = "written"
apps = ["telegram"]
[[network]]
name = "plain"
asn = 64500
region = "RU-MOW"
hops = 4
[[network.rule]]
hop = 2
match = { app = "telegram", function = "voice" }
trigger = "payload"
action = { kind = "drop-after", packets = 25 }
"""


@pytest.fixture(scope="module")
def worlds() -> dict[bool, tuple[World, Session]]:
    made = {}
    for record in (False, True):
        on = parse(SCENARIO, "written.toml")
        place = Place(on, on.networks[0], 0, 1)
        near = Session(session_settings(place, None, False), catalogue.load(), Random(1))
        world = World(near, far_end(Random(2)), sim_net(place), 1, record=record)
        world.run(7200)
        made[record] = world, near
    return made


def test_both_tell_the_same(worlds):
    written, noted = (worlds[record][1].result() for record in (True, False))
    assert [trial.rounds for trial in written.trials] == [trial.rounds for trial in noted.trials]
    assert (written.tries, written.digests, written.seconds) == (noted.tries, noted.digests, noted.seconds)


def test_what_left_is_written_down_of_both_ends(worlds):
    sent = {who for _, who, what in worlds[True][0].transcript if isinstance(what, Sent)}
    assert sent == {"near", "far"}
