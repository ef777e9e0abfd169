"""A partner that goes while it is needed: the network is not blamed for it."""

from dataclasses import replace

import pytest

from ringback.lab.country import places, sim_net
from ringback.lab.run import KNOWN, LONGEST_S, far_end, rows, session_settings
from ringback.lab.scenario import parse
from ringback.record import Measurement
from ringback.sim.packet import Packet, Passage
from ringback.sim.world import World
from ringback.trial.session import Session

SCENARIO = """
name = "gone"
apps = ["signal"]
functions = ["text", "voice"]
[[network]]
name = "n"
asn = 64500
region = "RU-MOW"
hops = 3
"""


class Gone:
    """From an instant (s) on nothing reaches the peer, and nothing comes of it."""

    def __init__(self, peer: str, since: float) -> None:
        self.peer, self.since = peer, since

    def packet(self, packet: Packet, outward: bool, now: float) -> tuple[Passage, ...]:
        there = packet.dst if outward else packet.src
        return () if now > self.since and there == self.peer else ((now, packet, outward),)


@pytest.mark.parametrize("since", [22.0, 30.0])
def test_what_fails_once_the_partner_is_gone_is_no_poor_connection(since: float) -> None:
    (place,) = places(parse(SCENARIO, "gone.toml"), 7)
    net = sim_net(place)
    path = net.paths[net.direct]
    boxed = replace(path, boxes={**path.boxes, 3: Gone(net.peer, since)})
    near = Session(session_settings(place, None, False), KNOWN, place.random("session"))
    World(near, far_end(place.random("peer")), replace(net, paths={net.direct: boxed}), 7).run(LONGEST_S)
    result = near.result()
    assert result.partner == "vanished"
    found = [row.verdict for row in rows(place, result) if isinstance(row, Measurement)]
    assert {verdict.status for verdict in found} <= {"working", "insufficient"}
    assert {"partner-lost", "no-rounds"} & {verdict.reason for verdict in found}
