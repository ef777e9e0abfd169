"""Geometry of the pictures: where what stands, in units of the SVG's own box. Templates turn it into marks."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

import msgspec

from ringback.view.figures import DayShare, RegionShare, Share
from ringback.view.regions import regions

TILE, GAP = 46, 5
STEPS = (0.05, 0.2, 0.4, 0.6, 0.8)  # lower ends of the classes of colour, after the first
WIDTH, HEIGHT, LEFT, RIGHT, TOP = 960, 260, 52, 12, 12
LANE = 26


class Tile(msgspec.Struct, frozen=True):
    code: str
    label: str
    x: int
    y: int
    share: Share
    shade: str


class Map(msgspec.Struct, frozen=True):
    width: int
    height: int
    tiles: list[Tile]
    elsewhere: list[RegionShare]


def shade(share: Share) -> str:
    """`few`, or the class of its share, `s0` to `s5`."""
    if share.restricted is None:
        return "few"
    return f"s{sum(share.restricted >= step for step in STEPS)}"


def tile_map(country: str, found: Sequence[RegionShare]) -> Map:
    """Every region of the country, measured or not; elsewhere: what was measured and has no place in the grid."""
    known = regions(country)
    shares = {one.region: one.share for one in found}
    step = TILE + GAP
    tiles = [
        Tile(
            code=code,
            label=code.partition("-")[2],
            x=one.column * step,
            y=one.row * step,
            share=shares.get(code, Share()),
            shade=shade(shares.get(code, Share())),
        )
        for code, one in known.items()
    ]
    width = max((tile.x for tile in tiles), default=0) + TILE
    height = max((tile.y for tile in tiles), default=0) + TILE
    return Map(width, height, tiles, [one for one in found if one.region not in known])


class Mark(msgspec.Struct, frozen=True):
    """Something at a time. number: of a policy event, as the list beside names it."""

    x: float
    label: str
    number: int = 0
    href: str = ""


class Chart(msgspec.Struct, frozen=True):
    """band, line: the points of SVG's `points`, one a stretch of days without a gap. dots: (x, y, label)."""

    width: int
    height: int
    base: int
    left: int
    bands: list[str]
    lines: list[str]
    dots: list[tuple[float, float, str]]
    ticks: list[tuple[float, str]]
    levels: list[tuple[float, str]]
    onsets: list[Mark]
    policies: list[Mark]


class Axis:
    """Days to x."""

    def __init__(self, first: date, last: date) -> None:
        self.first, self.last = first, max(last, first + timedelta(days=1))
        self.days = (self.last - self.first).days + 1

    def x(self, at: date | datetime) -> float:
        """The middle of a day; a time where it lies within its day."""
        if isinstance(at, datetime):
            within = (at.hour + at.minute / 60) / 24
            day = at.date()
        else:
            within, day = 0.5, at
        place = ((day - self.first).days + within) / self.days
        return round(LEFT + place * (WIDTH - LEFT - RIGHT), 1)

    def holds(self, at: date) -> bool:
        return self.first <= at <= self.last

    def marks(self) -> list[date]:
        """About eight days to name."""
        step = max(1, round(self.days / 8))
        return [self.first + timedelta(days=n) for n in range(0, self.days, step)]


def y(share: float) -> float:
    return round(TOP + (1 - share) * (HEIGHT - 2 * TOP), 1)


def stretches(days: Sequence[DayShare]) -> list[list[DayShare]]:
    """Public days, cut where days are missing."""
    found: list[list[DayShare]] = []
    for one in days:
        if one.share.restricted is None:
            continue
        if found and (one.day - found[-1][-1].day).days == 1:
            found[-1].append(one)
        else:
            found.append([one])
    return found


def band(axis: Axis, days: Sequence[DayShare]) -> str:
    pairs = [(axis.x(one.day), one.share.interval or (0.0, 1.0)) for one in days]
    upper = [f"{x},{y(high)}" for x, (_, high) in pairs]
    lower = [f"{x},{y(low)}" for x, (low, _) in reversed(pairs)]
    return " ".join(upper + lower)


def chart(
    axis: Axis,
    days: Sequence[DayShare],
    name_day: Callable[[date], str],
    tell: Callable[[Share], str],
    onsets: Sequence[Mark] = (),
    policies: Sequence[Mark] = (),
) -> Chart:
    """Shares by day with their interval, over lanes of marks. name_day, tell: how a day and a share are said."""
    runs = stretches(days)
    lanes = LANE * (bool(onsets) + bool(policies))  # under the days' names
    return Chart(
        width=WIDTH,
        height=HEIGHT + 14 + lanes,
        base=HEIGHT,
        left=LEFT,
        bands=[band(axis, run) for run in runs],
        lines=[" ".join(f"{axis.x(one.day)},{y(one.share.restricted or 0)}" for one in run) for run in runs],
        dots=[
            (axis.x(one.day), y(one.share.restricted or 0), f"{name_day(one.day)}: {tell(one.share)}")
            for run in runs
            for one in run
        ],
        ticks=[(axis.x(day), name_day(day)) for day in axis.marks()],
        levels=[(y(level), f"{round(100 * level)}") for level in (0.0, 0.25, 0.5, 0.75, 1.0)],
        onsets=list(onsets),
        policies=list(policies),
    )
