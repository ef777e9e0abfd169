"""The whole answer for a terminal: summary, one row for each app and function, and what each verdict means."""

import io
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ringback.record import Measurement, NetworkRecord, Status, Try
from ringback.words.cell import cell
from ringback.words.explanation import Explanation, explain_all
from ringback.words.naming import app_title, function_name, path_name, paths_of
from ringback.words.phrases import Language, Phrases, load
from ringback.words.summary import Summary, summarise

STYLES: dict[Status, str] = {
    "working": "green",
    "restricted": "bold red",
    "impaired": "yellow",
    "service-down": "magenta",
    "insufficient": "dim",
}


def _pairs(rows: Sequence[tuple[str, str]], style: str) -> Table:
    """Labels with their text beside them."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style=style)
    grid.add_column()
    for label, text in rows:
        grid.add_row(label, Text(text))
    return grid


def _head(summary: Summary) -> RenderableType:
    lines: list[RenderableType] = [Text(summary.head, style="bold"), *map(Text, summary.also.values())]
    return Group(*lines, Text(), _pairs(summary.questions, "bold"))


def _matrix(measurements: Sequence[Measurement], network: NetworkRecord | None, phrases: Phrases) -> Table:
    paths = paths_of(measurements)
    cells = {(m.app, function_name(m, phrases), m.path): m for m in measurements}
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold underline")
    table.add_column(phrases.say("table.app"), no_wrap=True)
    table.add_column(phrases.say("table.function"), no_wrap=len(paths) < 3)
    for path in paths:
        table.add_column(path_name(path, phrases), ratio=1)
    seen = ""
    for app, function in dict.fromkeys((app, function) for app, function, _ in cells):
        row: list[Text] = []
        for path in paths:
            found = cells.get((app, function, path))
            if found is None:
                row.append(Text(phrases.say("table.unmeasured"), style="dim"))
            else:
                row.append(Text(cell(found, phrases, network), style=STYLES[found.verdict.status]))
        table.add_row("" if app == seen else app_title(app), function, *row)
        seen = app
    return table


def _explained(each: Explanation, phrases: Phrases) -> RenderableType:
    parts = [
        (phrases.say("part.means"), each.means),
        (phrases.say("part.not"), each.does_not_mean),
        (phrases.say("part.next"), each.next),
    ]
    title = Text(each.about, style="bold")
    says = [Text(each.says)] if each.says else []
    return Group(title, *says, Padding(_pairs(parts, "italic"), (0, 0, 0, 2)))


def table(
    measurements: Sequence[Measurement], network: NetworkRecord | None = None, language: Language = "en"
) -> RenderableType:
    """One participant's measurements as something that rich can print, at 80 columns or more."""
    phrases = load(language)
    blocks: list[RenderableType] = [_head(summarise(measurements, network, language))]
    if measurements:
        legend = Text(phrases.say("table.legend"), style="dim")
        blocks += [Text(), _matrix(measurements, network, phrases), Text(), legend]
    for each in explain_all(measurements, network, language):
        blocks += [Text(), _explained(each, phrases)]
    return Group(*blocks)


def tries_table(tries: Sequence[Try], language: Language = "en") -> RenderableType:
    """How many of the tries at the apps' own servers, and at others, got a good answer (a name that is denied
    or falsely told has none); from here and from outside."""
    from ringback.verdict.tried import good  # numpy and scipy come with it: too long for who asks for help

    phrases = load(language)
    kinds = {
        "neutral": phrases.say("tries.neutral"),
        "site": phrases.say("tries.sites"),
        "peer": phrases.say("tries.partner"),
    }
    rows: dict[tuple[str, str], dict[tuple[str, str], list[Try]]] = {}
    for one in tries:
        function = phrases.say(f"function.{one.function}") if one.function else ""
        label = (app_title(one.app) if one.app else kinds.get(one.kind, one.kind), function)
        rows.setdefault(label, {}).setdefault((one.where, one.path), []).append(one)
    columns = list(dict.fromkeys((one.where, one.path) for one in tries))
    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold underline")
    grid.add_column(phrases.say("table.app"), no_wrap=True)
    grid.add_column(phrases.say("table.function"), no_wrap=True)
    for where, path in columns:
        here = phrases.say("tries.from") if path == "direct" else path_name(path, phrases)
        grid.add_column(here if where == "here" else phrases.say("tries.outside"))
    for (who, function), found in rows.items():
        told = []
        for column in columns:
            asked = found.get(column, [])
            answered = sum(good(one) > 0 for one in asked)
            told.append(phrases.say("tries.line", answered=answered, asked=len(asked)) if asked else "")
        grid.add_row(who, function, *told)
    return Group(Text(phrases.say("tries.heading"), style="bold"), grid)


def plain(renderable: RenderableType, width: int = 80) -> str:
    """Without colour, for files and pages; no line ends in a blank."""
    console = Console(
        file=io.StringIO(), width=width, color_system=None, force_terminal=False, legacy_windows=False, markup=False
    )
    console.print(renderable)
    written = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in written.splitlines()) + "\n"
