"""Observations and cells, as the store yields them, turned into what evidence is folded from."""

from collections.abc import Container, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ringback.evidence.cells import Column, Count, Graded, Key
from ringback.evidence.claims import Verdicts
from ringback.record.observation import CellCount, Observation, Point, Said
from ringback.record.points import Points

VERDICT_RATE = 0.01  # share of `restricted` among decided verdicts of our own where nothing is restricted, at most


def _key(one: Said) -> Key:
    return Key(one.app, one.function, one.asn, one.region, one.path)


def _cluster(one: Observation | Point | Said) -> str:
    return one.cluster or one.pseudonym or one.id


def graded(one: Observation | Point) -> Graded:
    """The tries that were made and failed, where the source counts them; else the verdict as one try."""
    attempted, failed = one.attempted, one.failed
    if attempted is None or failed is None:
        attempted, failed = int(one.status in ("working", "restricted")), int(one.status == "restricted")
    return Graded(one.time.timestamp(), _cluster(one), attempted, failed, _instrument(one))


def _instrument(one: Observation | Point) -> str:
    return _named(one.source, one.test_version or one.software, one.rules, one.target)


def _named(source: str | None, version: str | None, rules: str | None, target: str | None) -> str:
    return f"{source} {version or ''} rules {rules} {target or ''}".rstrip()


def _place(regions: set[str]) -> str | None:
    """What these regions have in common."""
    for places in (regions, {region[:2] for region in regions}):
        if len(places) == 1:
            return next(iter(places))
    return None


def histories(
    series: Mapping[tuple[str, str, int], Sequence[Point]],
) -> tuple[dict[Key, list[Graded]], dict[str, float]]:
    """(app, function, asn) to its history on the direct path, one for each site where points name one: a list that
    turns to other sites changes no history. And the instruments whose rate is known by design: our
    verdicts. A network's region is told where all who know one name the same, else its country where they agree on
    that."""
    found: dict[Key, list[Graded]] = {}
    declared: dict[str, float] = {}
    for (app, function, asn), points in series.items():
        place = _place({one.region for one in points if one.region is not None})
        for one in points:
            found.setdefault(Key(app, function, asn, place, target=one.target), []).append(graded(one))
        declared |= {_instrument(one): VERDICT_RATE for one in points if one.source == "ringback"}
    return found, declared


def columns(points: Points, among: Container[int] | None = None) -> tuple[dict[Key, Column], dict[str, float]]:
    """The same of points as columns, see `histories`. among: of these AS numbers only."""
    several = (points.app, points.function, points.target, points.region, points.source, points.version, points.rules)
    app, function, target, region, source, version, rules = (one.places for one in several)
    instrument, kinds = _apart(source, version, rules, target)
    told = [
        _named(*(None if at < 0 else one.words[at] for one, at in zip((*several[4:], points.target), row, strict=True)))
        for row in kinds.tolist()
    ]
    names = tuple(dict.fromkeys(told))
    places = {name: place for place, name in enumerate(names)}
    instrument = np.array([places[name] for name in told], dtype=np.int64)[instrument]
    ours = np.array([*(name == "ringback" for name in points.source.words), False])[source]
    statuses = [*points.status.words, None]
    own = np.array([status == "restricted" for status in statuses])[points.status.places]
    decided = np.array([status in ("working", "restricted") for status in statuses])[points.status.places]
    graded = (points.attempted >= 0) & (points.failed >= 0)
    attempted = np.where(graded, points.attempted, decided)
    failed = np.where(graded, points.failed, own)
    at = points.time / 1e6
    network, networks = _apart(app, function, points.asn)
    _, placed = _apart(network, region)
    regions: dict[int, set[str]] = {}
    for where, place in placed.tolist():
        regions.setdefault(where, set()).update(points.region.words[place : place + 1] if place >= 0 else ())
    found: dict[Key, Column] = {}
    history, whose = _apart(network, target)
    order = np.argsort(history, kind="stable")
    edges = np.searchsorted(history[order], np.arange(len(whose) + 1))
    declared: dict[str, float] = {}
    for number, (where, site) in enumerate(whose.tolist()):
        rows = order[edges[number] : edges[number + 1]]
        a, f, asn = networks[where].tolist()
        if among is not None and asn not in among:
            continue
        declared |= {names[one]: VERDICT_RATE for one in np.unique(instrument[rows[ours[rows]]]).tolist()}
        key = Key(
            points.app.words[a],
            points.function.words[f],
            asn,
            _place(regions[where]),
            target=points.target.words[site] if site >= 0 else None,
        )
        found[key] = Column(at[rows], points.unit[rows], attempted[rows], failed[rows], instrument[rows], names)
    return found, declared


def _apart(*columns: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each row the number of its combination of values, and these combinations."""
    place = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        apart, own = np.unique(column, return_inverse=True)
        _, place = np.unique(place * (len(apart) + 1) + own, return_inverse=True)  # stays small, whatever is combined
    _, first = np.unique(place, return_index=True)
    return place, np.stack([column[first] for column in columns], axis=1)


def counts(cells: Sequence[CellCount]) -> list[Count]:
    """Clustered cells of the store; those of one app, function and path lean on each other."""
    made = []
    for cell in cells:
        pool = tuple(cell.keys.get(name) for name in ("app", "function", "path"))
        clusters = tuple((float(a), float(b)) for a, b, times in cell.clusters or () for _ in range(times))
        undecided = cell.n - cell.working - cell.restricted
        made.append(
            Count(tuple(cell.keys.items()), clusters, undecided, cell.participants, cell.visits, pool, cell.doubtful)
        )
    return made


def verdicts(observations: Iterable[Said]) -> list[Verdicts]:
    """Those on the direct path, each with what the same participant's tunnel said on the same day, where one was
    tried and decided."""
    own = list(observations)
    tunnels: dict[tuple[str, str, str, int | None, int], bool] = {}
    for one in own:
        if one.path != "direct" and one.status in ("working", "restricted"):
            session = (_cluster(one), one.app, one.function, one.asn, one.time.toordinal())
            tunnels[session] = tunnels.get(session, False) or one.status == "working"
    made = []
    keys: dict[Key, Key] = {}  # one of each, that many share: it is compared again and again
    for one in own:
        if one.path == "direct":
            tunnel = tunnels.get((_cluster(one), one.app, one.function, one.asn, one.time.toordinal()))
            bypassed = True if one.bypassed_by else tunnel
            made.append(
                Verdicts(
                    keys.setdefault(key := _key(one), key),
                    one.time.timestamp(),
                    _cluster(one),
                    one.status,
                    one.mechanism,
                    one.trigger,
                    bypassed,
                    daily=one.cluster is None and one.pseudonym is not None,
                )
            )
    return made
