"""One operator: the devices of a participant's network, made from the rules that stand before the participant."""

import hashlib
from collections.abc import Sequence
from random import Random

from ringback.catalogue import Catalogue
from ringback.lab.operator.device import Device
from ringback.lab.rules import Network, Rule, Scenario
from ringback.lab.standing import standing
from ringback.sim.packet import Box


class Operator:
    """What stands at the hops of one network.

    rules: in order, country-wide ones first. catalogue: host patterns, ports and the lab overlay's prefixes. routers:
    address of each hop, from the participant outwards. rng: decides losses and the like. started: Unix time at
    virtual time 0, for rules with a beginning or an end.
    """

    def __init__(
        self, rules: Sequence[Rule], catalogue: Catalogue, routers: Sequence[str], rng: Random, started: float
    ) -> None:
        self.hops = tuple(sorted({rule.hop for rule in rules}))
        """Hops at which a rule stands."""
        self._boxes = {
            hop: Device([r for r in rules if r.hop == hop], catalogue, routers[hop - 1], rng, started)
            for hop in self.hops
        }

    @classmethod
    def of(
        cls,
        scenario: Scenario,
        network: Network,
        participant: int,
        seed: int,
        catalogue: Catalogue,
        routers: Sequence[str],
    ) -> "Operator":
        """The operator as this participant meets it. seed: decides who sits behind which rule, and all chance."""
        text = f"operator/{seed}/{network.name}/{participant}"
        rng = Random(hashlib.blake2b(text.encode(), digest_size=8).digest())
        return cls(standing(scenario, network, participant, seed), catalogue, routers, rng, scenario.at)

    def box(self, hop: int) -> Box:
        """Raises KeyError for a hop without a rule."""
        return self._boxes[hop]
