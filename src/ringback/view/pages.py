"""The pages: each gathers its figures and hands them to its template. What comes in is already parsed."""

import re
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ringback import __version__
from ringback.collect.published import Published
from ringback.errors import BadInput
from ringback.evidence.claims import PolicyEvent, timeline
from ringback.store import Lake
from ringback.view import drawing, raw, telling
from ringback.view.address import APPS, FUNCTIONS, PATHS, START, View
from ringback.view.bidi import isolated, written
from ringback.view.contrasts import RegionContrast
from ringback.view.drawing import Axis, Mark
from ringback.view.figures import COLUMNS, DayShare, Figures, K, Measured, RegionShare, Share
from ringback.view.outages import Outage, overlapping
from ringback.view.saying import Saying
from ringback.words import LANGUAGES, Language, explain

ANSWERS = ("contradicted", "supported", "untested", "not-measurable")
LONGEST_NAME = 60
SHOWN = (("whatsapp", "voice"), ("telegram", "voice"))  # day by day, on every network's page
MOST_APART = 8  # regions that the overview compares
MOST_DAYS = 400  # of one page, the last ones: a year and some
MOST_EVENTS = 1000  # of one page, and outages, the last ones
MOST_OPEN = 12  # published measurements that the overview lists
WHOLE = {"networks": "networks", "days": "timeline", "events": "events", "outages": "outages"}
"""Tables that have a page of their own, each with the API's name for the same."""
START_COUNTRY = "RU"  # whose map stands where nothing was measured


class Pages:
    """names: what networks call themselves, by ASN. note: a word on what the data are, by language, or none."""

    def __init__(
        self, figures: Figures, published: Published, names: Mapping[int, str] | None = None, emulated: bool = False
    ) -> None:
        self.figures = figures
        self.published = published
        self.names = names or {}
        self.emulated = emulated
        self._environment = Environment(
            loader=PackageLoader("ringback.view", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=written,
        )
        self._environment.filters["code"] = code
        self._sayings = {language: Saying(language) for language in LANGUAGES}

    @classmethod
    def of(cls, folder: Path, lake: Path) -> "Pages":
        """Of an observatory's folder: `open` holds published reports, `networks.json` names, and `emulated` stands
        there where the people are invented."""
        figures = Figures(Lake(lake))
        return cls(
            figures, Published(folder / "open"), names_of(folder / "networks.json"), (folder / "emulated").exists()
        )

    def saying(self, language: Language) -> Saying:
        return self._sayings[language]

    def plain_name(self, asn: int) -> str:
        return self.names.get(asn, "")[:LONGEST_NAME] or f"AS{asn}"

    def name(self, asn: int) -> str:
        return isolated(self.plain_name(asn))

    def _page(self, template: str, language: Language, place: str, **values: Any) -> str:
        """place: the page's address below its language's root. Links are relative: a mirror may stand anywhere."""
        saying = self._sayings[language]
        up = values.pop("up", "../" * (place.partition("?")[0].count("/") + 1))
        return self._environment.get_template(template).render(
            language=language,
            languages=LANGUAGES,
            place=place,
            root=f"{up}{language}/",
            top=up,
            s=saying,
            say=saying.say,
            name=self.name,
            version=__version__,
            emulated=self.emulated,
            shade=drawing.shade,
            K=K,
            **values,
        )

    def overview(self, language: Language, view: View) -> str:
        figures, saying = self.figures, self._sayings[language]
        days = figures.days(view)
        total, regions = figures.total(view), figures.regions(view)
        matrix, daily = figures.matrix(view), figures.daily(view)
        measured, outages = self._events(view), figures.outages()
        policies = self._policies({one.region[:2] for one in regions} or {self._country(regions)})
        contrasts = figures.contrasts(view) if view.path == "direct" else None
        others = figures.measured()
        first, last = days
        during = [one for one in outages if first and last and one.since <= last and one.until >= first]
        return self._page(
            "overview.html",
            language,
            view.place,
            view=view,
            days=days,
            extent=figures.extent(),
            total=total,
            headline=saying.headline(view, days, total),
            beside=saying.beside(view, matrix, regions, total) + saying.outages(during, self.name),
            map=drawing.tile_map(self._country(regions), regions),
            regions=[
                (saying.region_coded(one.region), one.share)
                for one in sorted(regions, key=lambda one: -(one.share.restricted or -1))
            ],
            matrix=matrix,
            columns=COLUMNS,
            daily=_dated(saying, telling.days(daily)),
            chart=self._chart(saying, daily, measured, policies, outages),
            contrasts=contrasts,
            regions_apart=_apart(contrasts.regions) if contrasts else [],
            events=telling.events(measured, first, last),
            outages=telling.outages(outages),
            policies=policies,
            networks=telling.networks(figures.networks(view)),
            opened=self.published.newest(MOST_OPEN),
            apps=list(dict.fromkeys([*(cell.app for cell in matrix), view.app])) or APPS,
            functions=list(dict.fromkeys([*FUNCTIONS, *(f for app, f in others if app == view.app), view.function])),
            others=[view.but(app=app, function=function) for app, function in others],
            paths=PATHS,
        )

    def whole(self, language: Language, part: str, view: View) -> str | None:
        """All rows of a table of which the overview shows the most telling. None for what is no such table."""
        figures, saying = self.figures, self._sayings[language]
        if part not in WHOLE:
            return None
        first, last = figures.days(view)
        days = saying.days(first, last) if first and last else saying.say("page.none")
        rows: list[Any] = []
        if part == "networks":
            rows += figures.networks(view)
        elif part == "days":
            rows += _rows(saying, [one for one in figures.daily(view) if not view.until or one.day <= view.until])
        elif part == "events":
            rows += self._events(view)
        else:
            rows += figures.outages()
        shown = rows if part == "networks" else rows[-(MOST_DAYS if part == "days" else MOST_EVENTS) :]
        return self._page(
            "whole.html",
            language,
            view.below(f"{part}/"),
            part=part,
            chosen=view.days,
            rows=shown,
            left=len(rows) - len(shown),
            kicker=saying.title(view),
            above=view.place,
            head=saying.say(f"page.whole.{part}"),
            note=saying.say(f"page.whole.{part}_note", **({"days": days} if part == "networks" else {})),
            data=WHOLE[part] + ("" if part == "outages" else f"?{view.asked_of(WHOLE[part])}"),
        )

    def network_days(self, language: Language, asn: int, view: View) -> str | None:
        """All days of one function of one app on one network. None where nobody measured that there."""
        saying, daily = self._sayings[language], self.figures.daily(view, asn)
        if not daily:
            return None
        return self._page(
            "whole.html",
            language,
            _days_of(asn, view),
            part="days",
            chosen="",
            rows=_rows(saying, daily[-MOST_DAYS:]),
            left=max(0, len(daily) - MOST_DAYS),
            kicker=self.name(asn),
            above=f"network/{asn}/",
            head=_day_by_day(saying, view),
            note=saying.say("page.whole.days_note"),
            data=f"timeline?{view.asked_of('timeline')}&asn={asn}",
        )

    def network(self, language: Language, asn: int, view: View = START) -> str | None:
        """None for a network that nobody measured."""
        figures, saying = self.figures, self._sayings[language]
        region = figures.region_of(asn)
        matrix = figures.matrix(view, asn)
        known = sorted(figures.measured(asn), key=_place)
        events = [one for what in known for one in figures.events(*what) if one.asn == asn]
        outages = [one for one in figures.outages() if one.asn == asn]
        charts = []
        worth = [what for what in SHOWN if what in known] or known[:1] or SHOWN[:1]
        for app, function in dict.fromkeys([*worth, *((one.app, one.function) for one in events)]):
            own_view = View(app, function)
            daily = figures.daily(own_view, asn)
            own = [one for one in events if (one.app, one.function) == (app, function)]
            chart = self._chart(saying, daily, own, (), outages)
            told = _dated(saying, telling.days(daily))
            charts.append((_day_by_day(saying, own_view), chart, told, _days_of(asn, own_view)))
        if region is None and not any(told.all for _, _, told, _ in charts) and all(not c.share.public for c in matrix):
            return None
        return self._page(
            "network.html",
            language,
            f"network/{asn}/{view.days}",
            asn=asn,
            chosen=view.days,
            region=region,
            days=figures.days(view),
            headline=saying.network(matrix, figures.days(view)),
            beside=saying.outages(outages, self.name),
            matrix=matrix,
            columns=COLUMNS,
            charts=charts,
            events=events,
            outages=outages,
            hidden=all(not cell.share.public for cell in matrix),
        )

    def event(self, language: Language, id: str) -> str | None:
        figures, saying = self.figures, self._sayings[language]
        event = figures.event(id)
        if event is None:
            return None
        view = View(event.app, event.function)
        daily = figures.daily(view, event.asn)
        outages = [one for one in figures.outages() if one.asn == event.asn]
        policies = self._policies({event.region[:2]} if event.region else None)
        return self._page(
            "event.html",
            language,
            f"event/{id}/",
            event=event,
            lead=saying.event_lead(event, figures.imported(event.app, event.function, event.asn)),
            daily=_dated(saying, telling.days(daily)),
            all_days=_days_of(event.asn, view),
            policies=policies,
            chart=self._chart(saying, daily, [event], policies, outages, event.windows),
        )

    def measurement(self, language: Language, report: str, number: int) -> str | None:
        """None where nobody published that."""
        found = self.published.get(report)
        if found is None or not 0 <= number < len(found.measurements):
            return None
        measurement = found.measurements[number]
        drawn = raw.drawn(raw.rounds_of(found, measurement))
        return self._page(
            "measurement.html",
            language,
            f"measurement/{report}/{number}/",
            report=found,
            m=measurement,
            day=date.fromisoformat(measurement.started_at[:10]),
            rounds=drawn,
            growth=raw.growth(drawn, measurement.verdict.threshold),
            explanation=explain(measurement, language, found.network, found.measurements),
        )

    def claims(self, language: Language) -> str:
        claims = self.figures.ledger()
        groups = [(answer, [one for one in claims if one.answer == answer]) for answer in ANSWERS]
        return self._page("claims.html", language, "claims/", claims=claims, groups=groups)

    def method(self, language: Language) -> str:
        return self._page("method.html", language, "method/")

    def problem(self, language: Language, path: str, told: str) -> str:
        """path: what was asked for; links go from there."""
        return self._page("problem.html", language, "", up="../" * (path.count("/") - 1), told=told)

    def _events(self, view: View) -> list[Measured]:
        return self.figures.events(view.app, view.function) if view.path == "direct" else []

    def _span(self) -> tuple[date, date]:
        extent = self.figures.extent()
        today = date(2025, 8, 13)  # of an empty store: any day will do, nothing is drawn
        return extent.first or today, extent.last or today

    def _policies(self, countries: Container[str] | None) -> list[tuple[int, PolicyEvent]]:
        """(number, policy event) of these countries, within the days that have data. None: nobody knows which."""
        first, last = self._span()
        own = (one for one in timeline() if countries is None or one.country in countries)
        return list(enumerate((one for one in own if first <= one.date <= last), 1))

    def _country(self, found: Sequence[RegionShare]) -> str:
        """The country that most was measured in; where nothing was of this choice, of any other."""
        for what in (None, *self.figures.measured()):
            regions = found if what is None else self.figures.regions(View(*what))
            counted: Counter[str] = Counter()
            for one in regions:
                counted[one.region[:2]] += one.share.n
            if counted:
                return max(sorted(counted), key=counted.__getitem__)
        return START_COUNTRY

    def _chart(
        self,
        saying: Saying,
        daily: Sequence[DayShare],
        measured: Sequence[Measured] = (),
        policies: Sequence[tuple[int, PolicyEvent]] = (),
        outages: Sequence[Outage] = (),
        windows: Sequence[tuple[datetime, datetime]] = (),
    ) -> drawing.Chart:
        axis = Axis(*self._span())
        onsets = [
            Mark(axis.x(one.onset), f"{self.name(one.asn)}: {saying.moment(one.onset)}", 1)
            for one in measured
            if one.onset is not None and axis.holds(one.onset.date()) and one.kind == "event"
        ]
        lasted = [axis.span(a, b, f"{saying.moment(a)} – {saying.moment(b)}", "window") for a, b in windows]

        def several(n: int, first: str) -> str:
            return saying.say("page.chart.several", n=n, first=first)

        for group in overlapping(outages):
            one, networks = group[0], len({other.asn for other in group})
            told = f"{self.name(one.asn)}: {saying.say(f'page.state.{one.state}')}, {saying.days(one.since, one.until)}"
            told = told if networks == 1 else several(networks, told)
            lasted.append(axis.span(one.since, max(other.until for other in group), told, one.state))

        def tell(share: Share) -> str:
            return f"{saying.share(share)} ({saying.interval(share.interval)}), n = {saying.number(share.n)}"

        return drawing.chart(
            axis,
            daily,
            lambda day: saying.day(day, short=True),
            tell,
            drawing.gathered(onsets, several),
            [Mark(axis.x(one.date), f"{saying.day(one.date)}: {saying.policy(one)}", n) for n, one in policies],
            lasted,
        )


def code(text: str) -> Markup:
    """What stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _place(what: tuple[str, str]) -> tuple[int, str, int, str]:
    """Where an app's function stands among others: the catalogue's order first."""
    app, function = what
    return (
        APPS.index(app) if app in APPS else len(APPS),
        app,
        FUNCTIONS.index(function) if function in FUNCTIONS else len(FUNCTIONS),
        function,
    )


def _apart(found: Sequence[RegionContrast]) -> list[RegionContrast]:
    """The regions that surely differ from the others, by how much."""
    apart = [one for one in found if one.settled and one.difference is not None]
    return sorted(apart, key=lambda one: -abs(one.difference or 0))[:MOST_APART]


def _rows(saying: Saying, daily: Sequence[DayShare]) -> list[tuple[str, Share]]:
    return [(saying.day(one.day), one.share) for one in daily]


def _dated(saying: Saying, shown: telling.Telling[DayShare]) -> telling.Telling[tuple[str, Share]]:
    return telling.Telling(_rows(saying, shown.rows), shown.all)


def _day_by_day(saying: Saying, view: View) -> str:
    said = saying.say("page.network.timeline", what=saying.what(view.function), app=saying.app(view.app))
    return saying.first(said)


def _days_of(asn: int, view: View) -> str:
    """The address of the page with all days of a function on a network, below its language's root."""
    return f"network/{asn}/{quote(view.app, safe='')}/{quote(view.function, safe='')}/"


def names_of(file: Path) -> dict[int, str]:
    """Names of networks by ASN, from a JSON object; none where the file is absent. Raises BadInput."""
    if not file.is_file():
        return {}
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[int, str])
    except msgspec.MsgspecError as error:
        raise BadInput(f"no names of networks: {error}", str(file)) from error
