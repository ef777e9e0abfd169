"""Numbers, days and findings in a language's words, for templates and sentences."""

import math
from datetime import date, datetime

from ringback.view.address import View
from ringback.view.figures import K, MatrixCell, Measured, RegionShare, Share
from ringback.view.regions import region_name
from ringback.words import Language, load
from ringback.words.naming import app_title

WORST = 3  # regions named
FUNCTIONS = ("text", "media", "voice")


class Saying:
    """One language. Every method hands back plain text; the templates escape it."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.phrases = load(language)
        self.say = self.phrases.say

    def percent(self, share: float) -> str:
        return self.say("page.percent", n="<1" if 0 < share < 0.005 else self.phrases.number(100 * share))

    def interval(self, pair: tuple[float, float] | None, key: str = "page.range") -> str:
        """In whole percent, rounded outwards: never narrower than it is."""
        if pair is None:
            return self.say("page.none")
        low, high = math.floor(100 * pair[0] + 1e-9), math.ceil(100 * pair[1] - 1e-9)
        return self.say(key, low=self.phrases.number(low), high=self.phrases.number(high))

    def share(self, share: Share) -> str:
        return self.percent(share.restricted) if share.restricted is not None else self.say("page.few")

    def signed(self, value: float | None) -> str:
        return self.say("page.none") if value is None else self.percent(value)

    def number(self, value: float) -> str:
        return self.phrases.number(value)

    def large(self, value: float) -> str:
        """An e-value or odds: two digits, a power of ten from a million on."""
        if value < 1e6:
            return self.phrases.rough(value)
        digits, _, power = f"{value:.1e}".partition("e")
        raised = str(int(power)).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"{digits.replace('.', self.say('number.decimal'))} × 10{raised}"

    def day(self, day: date | None, *, short: bool = False) -> str:
        if day is None:
            return self.say("page.none")
        if short:
            return self.say("page.day_short", day=day.day, month=self.say(f"page.short.m{day.month}"))
        return self.say("page.day", day=day.day, month=self.say(f"page.months.m{day.month}"), year=day.year)

    def moment(self, time: datetime | None) -> str:
        if time is None:
            return self.say("page.none")
        month = self.say(f"page.months.m{time.month}")
        return self.say("page.moment", day=time.day, month=month, year=time.year, time=f"{time:%H:%M}")

    def app(self, app: str) -> str:
        return app_title(app)

    def what(self, function: str) -> str:
        key = f"page.what.{function}"
        return self.say(key) if self.phrases.has(key) else function

    def column(self, function: str, direction: str | None) -> str:
        key = f"page.column.{function}-{direction}" if direction else f"page.column.{function}"
        return self.say(key) if self.phrases.has(key) else function

    def path(self, path: str) -> str:
        return self.say(f"page.{path}") if path in ("direct", "vpn") else path

    def region(self, code: str | None) -> str:
        return region_name(code, self.language) if code else self.say("page.unknown")

    def title(self, view: View) -> str:
        said = self.say("page.overview.title", what=self.what(view.function), app=self.app(view.app))
        return self.first(said)

    def headline(self, view: View, days: tuple[date | None, date | None], total: Share) -> str:
        """What is so, in one sentence made from the numbers."""
        key = f"page.overview.{total.seen}"
        values = {
            "since": self.day(days[0]),
            "until": self.day(days[1]),
            "what": self.what(view.function),
            "app": self.app(view.app),
            "path": self.say(f"page.by.{view.path}") if view.path in ("direct", "vpn") else view.path,
            "share": self.share(total),
            "range": self.interval(total.interval, "page.range_long"),
            "high": self.percent(total.interval[1]) if total.interval else "",
        }
        return self.say(key, **{name: values[name] for name in self.phrases.wants(key)})

    def beside(self, view: View, matrix: list[MatrixCell], regions: list[RegionShare], total: Share) -> list[str]:
        """What stands beside it: where it is worst, what was spared, what gets around it."""
        said = []
        if total.seen == "restricted":
            hit = [one for one in regions if one.share.seen == "restricted"]
            hit.sort(key=lambda one: -(one.share.restricted or 0))
            if hit:
                named = ", ".join(f"{self.region(r.region)} ({self.share(r.share)})" for r in hit[:WORST])
                said.append(self.say("page.overview.worst", regions=named))
        for cell in matrix:
            if cell.app != view.app or cell.share.restricted is None or cell.direction == "incoming":
                continue
            range_ = self.interval(cell.share.interval)
            if cell.path == "direct" and view.path == "direct" and cell.function != view.function:
                what = self.what(cell.function)
                said.append(self.say("page.overview.spared", what=what, share=self.share(cell.share), range=range_))
            elif cell.path != "direct" and cell.function == view.function and view.path == "direct":
                said.append(self.say("page.overview.bypass", share=self.share(cell.share), range=range_))
        return [self.first(text) for text in said]

    def event(self, event: Measured, network: str) -> str:
        what, app = self.what(event.function), self.app(event.app)
        said = self.say("page.event.title", what=what, app=app, network=network)
        return self.first(said)

    def first(self, text: str) -> str:
        """With a capital to begin with."""
        return text[:1].upper() + text[1:]

    def few(self, key: str) -> str:
        return self.say(key, k=K)
