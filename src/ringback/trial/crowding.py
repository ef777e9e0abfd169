"""Whether a round's calls were what overfilled the link, and how many of them run at once next.

A round of many calls, with competing traffic or a limit on a whole class, may overfill a link that one call alone would
not. So where calls fared badly one round has each of them alone; where that goes clearly better, the cell's further
rounds have fewer at once, and where it does not, the link is bad whatever one does. All of this is read off a round's
calls without their labels: by the half that lost least, which is bad only where neither arm fares well.
"""

import numpy as np

from ringback.catalogue import Catalogue
from ringback.record import DatagramOutcome, Round
from ringback.trial.plan import Width
from ringback.verdict.impairment import FEW, at_once, round_scores
from ringback.verdict.quality import Codec

BAD_MOS = 3.0  # of the better half; an unusable link's calls have less than 2.5 on average
CLEARLY = 0.7  # of MOS; so much better alone is not the luck of a link that loses in bursts


def codec_of(catalogue: Catalogue, app: str) -> Codec:
    """The app's; any app's where there is none of that name (a VPN's protocol carries all of them)."""
    known = catalogue.apps.get(app)
    return known.quality if known is not None else next(iter(catalogue.apps.values())).quality


class Heard:
    """How the calls of a cell fared, round by round."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._rounds: list[tuple[int, float]] = []  # how many at once, MOS of the better half

    def add(self, each: Round) -> None:
        calls = [x.outcome for x in each.exchanges if isinstance(x.outcome, DatagramOutcome)]
        if calls and each.form != "dns":
            better = sorted(calls, key=_lost)[: -(-len(calls) // 2)]
            scores = round_scores(better, better, each.read_to, self._codec)
            self._rounds.append((at_once(each), float(np.mean(scores))))

    def _mos(self, least: int, most: int) -> float | None:
        """Mean over the rounds with so many calls at once; None where there was none."""
        found = [mos for n, mos in self._rounds if least <= n <= most]
        return float(np.mean(found)) if found else None

    @property
    def unheard(self) -> bool:
        """Whether calls fared badly many at once, and none was yet heard with at most one beside it."""
        many = self._mos(FEW + 1, 1_000)
        return many is not None and many < BAD_MOS and self._mos(1, FEW) is None

    @property
    def crowded(self) -> bool:
        """Whether calls fare badly beside each other and clearly better alone."""
        alone, beside = self._mos(1, 1), self._mos(2, 1_000)
        return alone is not None and beside is not None and beside < min(BAD_MOS, alone - CLEARLY)

    def width(self, usual: Width) -> Width:
        """Of the next round. usual: what the link's size allows."""
        alone, pair, many = self._mos(1, 1), self._mos(2, FEW), self._mos(FEW + 1, 1_000)
        if alone is None:
            bad = min(mos for mos in (many, pair, np.inf) if mos is not None) < BAD_MOS
            return "alone" if bad else usual
        if not self.crowded:
            return usual
        return "alone" if pair is not None and pair < min(BAD_MOS, alone - CLEARLY) else "pair"

    @property
    def alone(self) -> int:
        """Rounds in which each call was alone."""
        return sum(n == 1 for n, _ in self._rounds)


def _lost(call: DatagramOutcome) -> int:
    return call.outward.received.count(None) + call.inward.received.count(None)
