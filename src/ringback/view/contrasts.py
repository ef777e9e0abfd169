"""One group beside another, from the lake: a region and the others, the preferred app and the others, a VPN and none.

Networks count once each, whatever their size. Everything is of those who took part.
"""

from datetime import date

import msgspec
import numpy as np

from ringback.catalogue import load as catalogue
from ringback.evidence import observed
from ringback.evidence.contrasts import Difference, Network, each_against_the_rest, preference_gap
from ringback.evidence.prevalence import prevalence
from ringback.evidence.shares import share
from ringback.store import Reading, Selection

PREFERRED = "max"
"""The app whose being spared would be a preference."""
LEAST_NETWORKS = 3
SEED = 20250813  # the same data give the same digits


class RegionContrast(msgspec.Struct, frozen=True):
    """difference: mean restricted share of the region's networks minus that of all others, -1..1, with an interval that
    holds for all regions together (95 %); networks: how many of the region's with something decided; settled: the
    interval excludes 0."""

    region: str
    difference: float | None
    interval: tuple[float, float] | None
    networks: int
    settled: bool


class Gap(msgspec.Struct, frozen=True):
    """How much oftener `app` is restricted than `preferred` on the same networks, -1..1. withheld: why there is no
    number: `unverified`, the preferred app's wire is not known well enough for an operator to have recognised what was
    measured, so it would work everywhere; `few`, under LEAST_NETWORKS networks have both."""

    app: str
    preferred: str
    difference: float | None
    interval: tuple[float, float] | None
    networks: int
    withheld: str | None


class Bypass(msgspec.Struct, frozen=True):
    """Of the people who were restricted directly and tried a VPN on the same day, the share for whom it worked.
    n: those; networks: theirs; withheld: `few`."""

    worked: float | None
    interval: tuple[float, float] | None
    n: int
    networks: int
    withheld: str | None


class Contrasts(msgspec.Struct, frozen=True):
    """Of one function of one app within the days, both included. Regions come in order of their names."""

    app: str
    function: str
    since: date | None
    until: date | None
    regions: list[RegionContrast]
    preference: list[Gap]
    bypass: Bypass


def contrasts(reading: Reading, chosen: Selection, app: str, function: str, least: int = 0) -> Contrasts:
    """chosen: which days (and networks) count. least: participants that a region, or all together, need to be told
    of."""
    direct = msgspec.structs.replace(chosen, app=(app,), function=(function,), path=("direct",))
    rivals = [other for other in catalogue().apps if other != PREFERRED] if app == PREFERRED else [app]
    return Contrasts(
        app=app,
        function=function,
        since=chosen.since,
        until=chosen.until,
        regions=_regions(reading, direct, least),
        preference=[_gap(reading, direct, rival, least) for rival in rivals],
        bypass=_bypass(reading, msgspec.structs.replace(direct, path=None), least),
    )


class _Network(msgspec.Struct, frozen=True):
    asn: int | None
    region: str | None


def _networks(reading: Reading, chosen: Selection) -> dict[_Network, Network]:
    """What is known of each network's share, region by region; None where tests failed and none was decided."""
    cells = reading.cells(("asn", "region"), chosen, clustered=True)
    estimated = zip(cells, prevalence(observed.counts(cells)), strict=True)
    telling = [(cell, found.posterior) for cell, found in estimated if found.posterior is not None or cell.doubtful]
    keyed = ((msgspec.convert(cell.keys, _Network), posterior) for cell, posterior in telling)
    return {key: posterior for key, posterior in keyed if key.asn is not None}


def _regions(reading: Reading, chosen: Selection, least: int) -> list[RegionContrast]:
    people = {cell.keys["region"]: cell.participants for cell in reading.cells(("region",), chosen)}
    groups: dict[str, list[Network]] = {}
    for key, one in sorted(_networks(reading, chosen).items(), key=lambda item: (item[0].region or "", item[0].asn)):
        if key.region is not None:
            groups.setdefault(key.region, []).append(one)
    return [
        RegionContrast(
            region, found.value, found.interval, sum(one is not None for one in groups[region]), found.settled
        )
        for region, found in each_against_the_rest(groups, np.random.default_rng(SEED)).items()
        if people.get(region, 0) >= least
    ]


def _gap(reading: Reading, chosen: Selection, rival: str, least: int) -> Gap:
    known = catalogue().apps.get(PREFERRED)
    if known is None or not known.verified:
        return Gap(rival, PREFERRED, None, None, 0, "unverified")
    preferred, other = (
        {(key.asn, key.region): one for key, one in _networks(reading, with_app).items()}
        for with_app in (msgspec.structs.replace(chosen, app=(name,)) for name in (PREFERRED, rival))
    )
    people = reading.cells(("app",), msgspec.structs.replace(chosen, app=(rival,)))
    found = preference_gap(preferred, other, np.random.default_rng(SEED), verified=True)
    if found.n < LEAST_NETWORKS or sum(cell.participants for cell in people) < least:
        found = Difference(None, None, found.n, "few")
    return Gap(rival, PREFERRED, found.value, found.interval, found.n, found.withheld)


def _bypass(reading: Reading, chosen: Selection, least: int) -> Bypass:
    sessions = reading.bypassed(chosen)
    networks = len({asn for asn, _, _ in sessions})
    if networks < LEAST_NETWORKS or len(sessions) < least:
        return Bypass(None, None, len(sessions), networks, "few")
    found = share([worked for _, _, worked in sessions], [(asn, person) for asn, person, _ in sessions])
    return Bypass(found.value, found.interval, found.n, networks, None)
