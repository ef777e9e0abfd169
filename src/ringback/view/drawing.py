"""Geometry of the pictures: where what stands. Templates turn it into marks.

A chart is as wide as its page: across it everything is in percent (bands and lines in thousandths, since SVG wants
plain numbers there), down it in pixels. So its words keep their size on a phone.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

import msgspec

from ringback.view.figures import DayShare, RegionShare, Share
from ringback.view.regions import regions

TILE, GAP = 46, 5
HALVED = 10  # columns from which a map is cut in two, which a phone puts below each other
STEPS = (0.05, 0.2, 0.4, 0.6, 0.8)  # lower ends of the classes of colour, after the first
HEIGHT, TOP, TICKS = 260, 12, 16
LANE = 26
MOST_DOTS = 92  # days: of more, a dot for each would be a second line, and most of the page's bytes
APART = 6.0  # percent of the width: marks that are nearer to each other than that stand below each other
TOGETHER = 4.0  # percent, on a phone the width of a mark: onsets nearer to each other are one, with their number


class Tile(msgspec.Struct, frozen=True):
    code: str
    label: str
    x: int
    y: int
    share: Share
    shade: str


class Half(msgspec.Struct, frozen=True):
    """Some columns of a map. columns: how many. width: with the gap after the last, so that halves fit together."""

    columns: int
    width: int
    tiles: list[Tile]


class Map(msgspec.Struct, frozen=True):
    """halves: from the west, one or two. elsewhere: what was measured and has no place in the grid."""

    columns: int
    height: int
    halves: list[Half]
    elsewhere: list[RegionShare]

    @property
    def silent(self) -> bool:
        """Whether all that was measured lies elsewhere: in no region, or of a country without a grid."""
        return not self.columns or bool(self.elsewhere) and not any(t.share.n for h in self.halves for t in h.tiles)


def shade(share: Share) -> str:
    """`few`; `unsure` where little was seen, but it could be much; else the class of its share, `s0` to `s5`."""
    if share.restricted is None:
        return "few"
    if share.restricted < STEPS[0] and share.seen == "unsure":
        return "unsure"
    return f"s{sum(share.restricted >= step for step in STEPS)}"


def tile_map(country: str, found: Sequence[RegionShare]) -> Map:
    """Every region of the country, measured or not."""
    known = regions(country)
    shares = {one.region: one.share for one in found}
    step = TILE + GAP
    columns = max((one.column for one in known.values()), default=-1) + 1
    rows = max((one.row for one in known.values()), default=-1) + 1
    cuts = [0, (columns + 1) // 2, columns] if columns >= HALVED else [0, columns]
    halves = [
        Half(
            columns=last - first,
            width=(last - first) * step,
            tiles=[
                Tile(
                    code=code,
                    label=code.partition("-")[2],
                    x=(one.column - first) * step,
                    y=one.row * step,
                    share=shares.get(code, Share()),
                    shade=shade(shares.get(code, Share())),
                )
                for code, one in known.items()
                if first <= one.column < last
            ],
        )
        for first, last in zip(cuts, cuts[1:], strict=False)
    ]
    return Map(columns, rows * step, halves, [one for one in found if one.region not in known])


class Mark(msgspec.Struct, frozen=True):
    """Something at a time. x: percent. number: of a policy event, as the list beside names it; of onsets, how many.
    y: set by `chart`."""

    x: float
    label: str
    number: int = 0
    y: int = 0


class Span(msgspec.Struct, frozen=True):
    """Something that lasted. x, width: percent. kind: the name of its colour."""

    x: float
    width: float
    label: str
    kind: str
    y: int = 0


class Chart(msgspec.Struct, frozen=True):
    """band, line: the points of SVG's `points`, one a stretch of days without a gap. dots: (x, y, label). edges: where
    days begin, where there are few enough to tell them apart."""

    height: int
    base: int
    bands: list[str]
    lines: list[str]
    dots: list[tuple[float, float, str]]
    ticks: list[tuple[float, str]]
    edges: list[float]
    levels: list[tuple[float, str]]
    onsets: list[Mark]
    spans: list[Span]
    policies: list[Mark]


class Axis:
    """Days to percent of the width."""

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
        return round(100 * ((day - self.first).days + within) / self.days, 2)

    def span(self, since: date | datetime, until: date | datetime, label: str, kind: str) -> Span:
        """From one time to another; of days, both whole."""
        half = 50 / self.days
        left = self.x(since) if isinstance(since, datetime) else self.x(since) - half
        right = self.x(until) if isinstance(until, datetime) else self.x(until) + half
        left, right = max(0.0, left), min(100.0, right)
        return Span(round(left, 2), round(max(right - left, 0.0), 2), label, kind)

    def holds(self, at: date) -> bool:
        return self.first <= at <= self.last

    def marks(self) -> list[date]:
        """About eight days to name, never more than eleven."""
        step = max(1, round(self.days / 8))
        return [self.first + timedelta(days=n) for n in range(0, self.days, step)]

    def edges(self) -> list[float]:
        """Where days begin and the last one ends, where there are at most three weeks."""
        return [round(100 * n / self.days, 2) for n in range(self.days + 1)] if self.days <= 21 else []


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
    pairs = [(across(axis, one), one.share.interval or (0.0, 1.0)) for one in days]
    upper = [f"{x},{y(high)}" for x, (_, high) in pairs]
    lower = [f"{x},{y(low)}" for x, (low, _) in reversed(pairs)]
    return " ".join(upper + lower)


def across(axis: Axis, one: DayShare) -> float:
    """A day's place in thousandths of the width."""
    return round(10 * axis.x(one.day), 1)


def gathered(marks: Sequence[Mark], told: Callable[[int, str], str]) -> list[Mark]:
    """Onsets, those that would cover each other as one. told: how many, and the first of them, in words."""
    groups: list[list[Mark]] = []
    for mark in sorted(marks, key=lambda one: one.x):
        if groups and mark.x - groups[-1][0].x < TOGETHER:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    return [own[0] if len(own) == 1 else Mark(own[0].x, told(len(own), own[0].label), len(own)) for own in groups]


def stacked(marks: Sequence[Mark], top: int) -> tuple[list[Mark], int]:
    """Each in the first row that has room for it, and how many rows that makes."""
    rows: list[float] = []
    placed = []
    for mark in sorted(marks, key=lambda one: one.x):
        row = next((n for n, last in enumerate(rows) if mark.x - last >= APART), len(rows))
        rows[row : row + 1] = [mark.x]
        placed.append(msgspec.structs.replace(mark, y=top + row * LANE))
    return placed, len(rows)


def chart(
    axis: Axis,
    days: Sequence[DayShare],
    name_day: Callable[[date], str],
    tell: Callable[[Share], str],
    onsets: Sequence[Mark] = (),
    policies: Sequence[Mark] = (),
    spans: Sequence[Span] = (),
) -> Chart:
    """Shares by day with their interval, over lanes of marks. name_day, tell: how a day and a share are said. Every
    day has a dot as long as there are few; then those alone that no line goes through."""
    runs = stretches(days)
    dotted = runs if sum(map(len, runs)) <= MOST_DOTS else [run for run in runs if len(run) == 1]
    lane = HEIGHT + TICKS + LANE // 2
    begun = [msgspec.structs.replace(one, y=lane) for one in onsets]
    lane += LANE * bool(begun)
    lasted = [msgspec.structs.replace(one, y=lane) for one in spans]
    lane += LANE * bool(lasted)
    announced, rows = stacked(policies, lane)
    return Chart(
        height=lane + LANE * rows - LANE // 2 + 2,
        base=HEIGHT,
        bands=[band(axis, run) for run in runs],
        lines=[" ".join(f"{across(axis, one)},{y(one.share.restricted or 0)}" for one in run) for run in runs],
        dots=[
            (axis.x(one.day), y(one.share.restricted or 0), f"{name_day(one.day)}: {tell(one.share)}")
            for run in dotted
            for one in run
        ],
        ticks=[(axis.x(day), name_day(day)) for day in axis.marks()],
        edges=axis.edges(),
        levels=[(y(level), f"{round(100 * level)}") for level in (0.0, 0.25, 0.5, 0.75, 1.0)],
        onsets=begun,
        spans=lasted,
        policies=announced,
    )
