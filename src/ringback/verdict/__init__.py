"""From raw outcomes to conclusions. Pure: the same outcomes give the same verdict, now and when read again later.

`judge` is the door; what it stands on, each its own module: `evidence` (e-values of the randomised rounds, by
`permutation` over `scores`, and against declared `harms`), `weights` (thresholds), `mechanism` (with `cutoff`,
`bucket`, `streaming`), `contrast`, `network`, `impairment`, and `quality` (the E-model).
"""

from ringback.verdict.contrast import Contrast, compare
from ringback.verdict.evidence import CellEvidence, RoundEvidence, cell_evidence, combine, round_evidence
from ringback.verdict.finding import Finding
from ringback.verdict.judge import Context, judge
from ringback.verdict.network import network_state
from ringback.verdict.quality import link_mos, mos
from ringback.verdict.weights import ALPHA, thresholds

__all__ = [
    "ALPHA",
    "CellEvidence",
    "Context",
    "Contrast",
    "Finding",
    "RoundEvidence",
    "cell_evidence",
    "combine",
    "compare",
    "judge",
    "link_mos",
    "mos",
    "network_state",
    "round_evidence",
    "thresholds",
]
