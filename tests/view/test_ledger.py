"""Claims of overlapping days are answered from verdicts that were asked for once."""

from datetime import date
from pathlib import Path

from ringback.evidence import observed
from ringback.evidence.claims import claims
from ringback.record import Said
from ringback.store import Lake, Reading, Selection
from ringback.store.queries import EVERYTHING
from ringback.view.ledger import Days, days_of


def test_each_day_is_asked_for_once_and_every_claim_gets_all_of_its_own(observatory: Path) -> None:
    asked: list[Selection] = []

    class Watched(Reading):
        def said(self, selection: Selection = EVERYTHING) -> list[Said]:
            asked.append(selection)
            return super().said(selection)

    own = sorted((one for one in claims() if one.conditions), key=lambda one: (one.date, one.days))
    lake = Lake(observatory / "lake")
    days = Days(Watched(lake), own)
    apps = sorted({condition.app for one in own for condition in one.conditions})
    plain = Reading(lake)
    counted = 0
    for since, until in dict.fromkeys(map(days_of, own)):
        alone = plain.said(Selection(source=("ringback",), app=apps, since=since, until=until))
        assert days.within(since, until) == observed.verdicts(alone)
        counted += len(alone)
    assert counted > 1000
    spans = [range((one.since or date.min).toordinal(), (one.until or date.max).toordinal() + 1) for one in asked]
    assert len({day for span in spans for day in span}) == sum(map(len, spans))
