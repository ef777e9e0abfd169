"""Numbers, days and findings in a language's words, for templates and sentences."""

import math
from collections.abc import Callable, Sequence
from datetime import date, datetime

from ringback.evidence.claims import PolicyEvent, Told
from ringback.view.address import View
from ringback.view.bidi import isolated
from ringback.view.figures import K, MatrixCell, Measured, RegionShare, Share
from ringback.view.ledger import Entry, Weighed
from ringback.view.outages import Outage
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

    def points(self, difference: float) -> str:
        """A difference of two shares, in percentage points."""
        whole = round(100 * difference)
        sign = "+" if whole > 0 else "\u2212" if whole < 0 else ""
        return self.say("page.points", n=sign + self.phrases.number(abs(whole)))

    def points_range(self, pair: tuple[float, float]) -> str:
        """Rounded outwards, as `interval` is."""
        low, high = math.floor(100 * pair[0] + 1e-9), math.ceil(100 * pair[1] - 1e-9)
        shown = [
            ("+" if end > 0 else "\u2212" if end < 0 else "") + self.phrases.number(abs(end)) for end in (low, high)
        ]
        return self.say("page.points_range", low=shown[0], high=shown[1])

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

    def days(self, since: date, until: date) -> str:
        """One day, or two with a dash."""
        if since == until:
            return self.day(until)
        return f"{self.from_day(since, until)}{'–' if since.month == until.month else ' – '}{self.day(until)}"

    def from_day(self, since: date, until: date) -> str:
        """The first of two days, without what the second says as well."""
        if since.year != until.year:
            return self.day(since)
        month = self.say(f"page.months.m{since.month}")
        return str(since.day) if since.month == until.month else self.say("page.day_bare", day=since.day, month=month)

    def dated(self, day: str) -> str:
        """An ISO day."""
        return self.day(date.fromisoformat(day))

    def moment(self, time: datetime | None, short: bool = False) -> str:
        if time is None:
            return self.say("page.none")
        month = self.say(f"page.{'short' if short else 'months'}.m{time.month}")
        key = "page.moment_short" if short else "page.moment"
        return self.say(key, day=time.day, month=month, year=time.year, time=f"{time:%H:%M}")

    def lasting(self, since: datetime, until: datetime) -> str:
        """From one time to another, without saying a day twice."""
        if since.date() != until.date():
            return f"{self.moment(since)} – {self.moment(until)}"
        times = dict.fromkeys((f"{since:%H:%M}", f"{until:%H:%M}"))
        month = self.say(f"page.months.m{since.month}")
        return self.say("page.moment", day=since.day, month=month, year=since.year, time="–".join(times))

    def app(self, app: str) -> str:
        key = f"page.app.{app}"
        return self.say(key) if self.phrases.has(key) else isolated(app_title(app))

    def what(self, function: str) -> str:
        key = f"page.what.{function}"
        return self.say(key) if self.phrases.has(key) else isolated(function)

    def column(self, function: str, direction: str | None) -> str:
        key = f"page.column.{function}-{direction}" if direction else f"page.column.{function}"
        return self.say(key) if self.phrases.has(key) else isolated(function)

    def path(self, path: str) -> str:
        return self.say(f"page.{path}") if path in ("direct", "vpn") else isolated(path)

    def region(self, code: str | None) -> str:
        return isolated(region_name(code, self.language)) if code else self.say("page.unknown")

    def region_coded(self, code: str) -> str:
        """Its name with its code, where it has one."""
        name = self.region(code)
        return name if name == isolated(code) else f"{name} ({code})"

    def title(self, view: View) -> str:
        said = self.say("page.overview.title", what=self.what(view.function), app=self.app(view.app))
        return self.first(said)

    def headline(self, view: View, days: tuple[date | None, date | None], total: Share) -> str:
        """What is so, in one sentence made from the numbers."""
        key = f"page.{'imported' if total.imported else 'overview'}.{total.seen}"
        values = {
            **self._between(days),
            "what": self.what(view.function),
            "app": self.app(view.app),
            "path": self.say(f"page.by.{view.path}") if view.path in ("direct", "vpn") else isolated(view.path),
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
            if hit and len(regions) > 1:
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
        key = "page.event.title" if event.kind == "event" else "page.event.title_suspicion"
        return self.first(self.say(key, what=what, app=app, network=network))

    def event_lead(self, event: Measured, imported: bool) -> str:
        """What was seen and by how many. imported: by other tools alone, whose tries are not verdicts."""
        kind = "_suspicion" if event.kind != "event" else "" if event.onset else "_before"
        said = self.say(
            f"page.event.lead{kind}",
            onset=self.moment(event.onset or event.windows[0][0]),
            what=self.what(event.function),
            app=self.app(event.app),
            inside=self.say(
                "page.imported.inside" if imported else "page.event.inside", level=self.percent(event.level)
            ),
            n=self.number(event.n),
            clusters=self.number(event.clusters),
        )
        return self.first(said)

    def policy(self, event: PolicyEvent) -> str:
        return event.ru or event.event if self.language == "ru" else event.event

    def claim(self, entry: Entry) -> Told:
        return entry.told(self.language)

    def condition(self, one: Weighed) -> str:
        """What quantity a claim is held against."""
        key = f"page.condition.{one.kind}"
        values = {
            "what": self.what(one.function),
            "app": self.app(one.app),
            "regions": ", ".join(map(self.region, one.regions)),
            "values": ", ".join(self._cause(value) for value in one.values),
        }
        said = self.say(key, **{name: values[name] for name in self.phrases.wants(key)})
        if one.where is not None:
            said += self.say("page.condition.where", what=self.what(one.where))
        if one.regions and one.kind != "contrast":
            said += self.say("page.condition.within", regions=values["regions"])
        return self.first(said)

    def estimate(self, one: Weighed) -> tuple[str, str]:
        """A condition's number and its interval; it has both."""
        assert one.estimate is not None
        assert one.interval is not None
        if one.kind == "contrast":
            return self.points(one.estimate), self.points_range(one.interval)
        return self.percent(one.estimate), self.interval(one.interval)

    def _cause(self, value: str) -> str:
        key = f"page.cause.{value}"
        return self.say(key) if self.phrases.has(key) else isolated(value)

    def true_between(self, one: Weighed) -> tuple[float, float]:
        """The part of its scale in which a condition makes the claim true."""
        lowest = -1.0 if one.kind == "contrast" else 0.0
        return (lowest if one.above is None else one.above, 1.0 if one.below is None else min(one.below, 1.0))

    def outages(self, found: Sequence[Outage], network: Callable[[int], str]) -> list[str]:
        """A sentence for each state: what was seen, where and when."""
        said = []
        for state in ("offline", "whitelist"):
            own = [one for one in found if one.state == state]
            if own:
                days = self.days(min(one.since for one in own), max(one.until for one in own))
                named = ", ".join(f"{network(one.asn)} ({self.region(one.region)})" for one in own[:WORST])
                if len(own) > WORST:
                    named += self.say("page.and_more", n=len(own) - WORST)
                said.append(self.say(f"page.overview.{state}", days=days, networks=named))
        return said

    def network(self, cells: Sequence[MatrixCell], days: tuple[date | None, date | None]) -> str:
        """What one network did to which app in these days, in one sentence."""
        told: dict[str, dict[str, Share]] = {"restricted": {}, "clear": {}}
        for cell in cells:
            if cell.path == "direct" and cell.share.seen in told:
                what = self.say("page.network.one", what=self.what(cell.function), app=self.app(cell.app))
                told[cell.share.seen][what] = cell.share
        hit, clear = told["restricted"], told["clear"]
        named = ", ".join(f"{what} ({self.share(share)})" for what, share in hit.items()) or ", ".join(clear)
        imported = any(share.imported for share in (hit or clear).values())
        if hit:
            key = "page.imported.restricts" if imported else "page.network.restricts"
        elif clear:
            key = "page.imported.nothing" if imported else "page.network.clear"
        else:
            key = "page.network.unknown"
        values = {**self._between(days), "what": named}
        return self.say(key, **{name: values[name] for name in self.phrases.wants(key)})

    def _between(self, days: tuple[date | None, date | None]) -> dict[str, str]:
        first, last = days
        return {"since": self.from_day(first, last) if first and last else self.day(first), "until": self.day(last)}

    def first(self, text: str) -> str:
        """With a capital to begin with."""
        return text[:1].upper() + text[1:]

    def few(self, key: str) -> str:
        return self.say(key, k=K)
