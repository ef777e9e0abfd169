"""Observations and cells, as the store yields them, turned into what evidence is folded from."""

from collections.abc import Iterable, Mapping, Sequence

from ringback.evidence.cells import Count, Graded, Key
from ringback.evidence.claims import Verdicts
from ringback.record.observation import CellCount, Observation, Point, Said

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
    return f"{one.source} {one.test_version or one.software or ''} rules {one.rules} {one.target or ''}".rstrip()


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


def counts(cells: Sequence[CellCount]) -> list[Count]:
    """Clustered cells of the store; those of one app, function and path lean on each other."""
    made = []
    for cell in cells:
        pool = tuple(cell.keys.get(name) for name in ("app", "function", "path"))
        clusters = tuple((float(a), float(b)) for a, b, times in cell.clusters or () for _ in range(times))
        undecided = cell.n - cell.working - cell.restricted
        made.append(Count(tuple(cell.keys.items()), clusters, undecided, cell.participants, cell.visits, pool))
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
