"""Which rules stand before a participant, and in which order. The operator and the truth both ask here."""

import hashlib
import math
from random import Random

from ringback.lab.rules import Network, Rule, Scenario


def standing(scenario: Scenario, network: Network, participant: int, seed: int) -> tuple[Rule, ...]:
    """The rules that this participant (0 to participants - 1) sits behind: country-wide first, then the network's,
    each in file order. Whether a rule is in force at a time is another question."""
    rules = (*scenario.rules, *network.rules)
    return tuple(
        rule for i, rule in enumerate(rules) if participant in _behind(rule.share, network, _draw(seed, network, i))
    )


def _draw(seed: int, network: Network, index: int) -> Random:
    text = f"share/{seed}/{network.name}/{index}"
    return Random(hashlib.blake2b(text.encode(), digest_size=8).digest())


def _behind(share: float, network: Network, draw: Random) -> frozenset[int]:
    """Participants behind a rule: that part of them, drawn anew for each rule; a fraction left over is a chance."""
    exact = share * network.participants
    count = math.floor(exact + 1e-9)
    if draw.random() < exact - count:
        count += 1
    return frozenset(draw.sample(range(network.participants), count))
