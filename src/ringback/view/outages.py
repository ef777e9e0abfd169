"""Days on which a network let nothing through, or only what is on a list: folded from what sessions said of it.

Such sessions accuse nobody and count in no share (their functions are `impaired`), so they are shown by themselves.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Literal, get_args

import msgspec

from ringback.record import CellCount
from ringback.store import Reading, Selection

OutageState = Literal["offline", "whitelist"]
BY = ("asn", "region", "network_state", "day")


class Outage(msgspec.Struct, frozen=True):
    """Days in a row, both ends included (UTC). share: 0..1 of the days' measurements on this network that were made in
    that state; n: how many those were; participants: the largest number of distinct pseudonyms on a day."""

    asn: int
    region: str | None
    state: OutageState
    since: date
    until: date
    share: float
    n: int
    participants: int

    def lasted(self, since: date | None, until: date | None) -> bool:
        """Whether some of these days (UTC, both included; None: no bound) are among its own."""
        return (since is None or self.until >= since) and (until is None or self.since <= until)


class _Day(msgspec.Struct, frozen=True):
    """A cell's keys, as `BY` names them."""

    asn: int
    region: str | None
    network_state: OutageState
    day: date


_Cells = list[tuple[_Day, CellCount]]


def outages(reading: Reading, least: int) -> list[Outage]:
    """The runs of days of each network, in order of time. least: participants that a public run has on its fullest
    day."""
    struck: dict[tuple[int, str], _Cells] = defaultdict(list)
    for cell in reading.cells(BY, Selection(network_state=get_args(OutageState))):
        if cell.keys["asn"] is not None:
            key = msgspec.convert(cell.keys, _Day)
            struck[key.asn, key.network_state].append((key, cell))
    whole: dict[tuple[object, object], int] = {}
    if struck:  # of what else these networks measured the numbers alone
        days = sorted(key.day for own in struck.values() for key, _ in own)
        networks = Selection(asn=tuple(sorted({asn for asn, _ in struck})), since=days[0], until=days[-1])
        whole = {(cell.keys["asn"], cell.keys["day"]): cell.n for cell in reading.cells(("asn", "day"), networks)}
    found = [_outage(run, whole) for own in struck.values() for run in _runs(own)]
    return sorted((one for one in found if one.participants >= least), key=lambda one: (one.since, one.asn))


def overlapping(found: Sequence[Outage]) -> list[list[Outage]]:
    """Those of a state that have days in common, one after the other, as one."""
    groups: list[list[Outage]] = []
    last = date.min
    for one in sorted(found, key=lambda one: (one.state, one.since, one.asn)):
        if groups and groups[-1][0].state == one.state and one.since <= last:
            groups[-1].append(one)
            last = max(last, one.until)
        else:
            groups.append([one])
            last = one.until
    return groups


def _runs(cells: _Cells) -> list[_Cells]:
    runs: list[_Cells] = []
    for key, cell in sorted(cells, key=lambda one: one[0].day):
        if runs and key.day - runs[-1][-1][0].day <= timedelta(days=1):
            runs[-1].append((key, cell))
        else:
            runs.append([(key, cell)])
    return runs


def _outage(run: _Cells, whole: Mapping[tuple[object, object], int]) -> Outage:
    people: dict[date, int] = defaultdict(int)
    for key, cell in run:
        people[key.day] += cell.participants
    n = sum(cell.n for _, cell in run)
    most = max(run, key=lambda one: one[1].n)[0]
    return Outage(
        asn=most.asn,
        region=most.region,
        state=most.network_state,
        since=min(people),
        until=max(people),
        share=n / sum(whole[most.asn, day] for day in people),
        n=n,
        participants=max(people.values()),
    )
