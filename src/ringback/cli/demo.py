"""`ringback demo`: the emulated country, measured, and a partner on this machine to measure towards."""

import asyncio
import os
import shlex
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ringback.cli import speech
from ringback.cli.exits import Exit
from ringback.cli.progress import progress
from ringback.cli.serve import data_of
from ringback.errors import BadInput, Unavailable
from ringback.record import Measurement, NetworkRecord, Truth, Verdict
from ringback.words import Language, Phrases, cell, harmless, load
from ringback.words.naming import listed
from ringback.words.table import STYLES

if TYPE_CHECKING:
    from ringback.flow import Replay
    from ringback.lab.nation import Nation
    from ringback.lab.rules import Scenario
    from ringback.lab.tour import Leg

COUNTRY = "2025-08-13"
NATION = "ru-2025-08"
REAL = "moscow-fixed"
"""The network of that country which is shown between real kernels as well."""
CAPTURES = "pcap/*whatsapp*call*"


def demo(
    *, once: bool = False, country: Path | None = None, data: Path | None = None, lang: Language | None = None
) -> Exit:
    """Show the main job without a network: an emulated country is measured, and what was seen stands beside the truth.

    One participant of each network is measured in virtual time, towards the lab's own partner; of the country of 13
    August 2025 a part of one network also between real kernels, where this machine has network namespaces, and once
    more with a captured call in place of synthetic ones, where there is a capture. Nothing leaves this machine. It
    takes two to three minutes on two processors, longer beside other work. Then an emulated country's people measure
    through the weeks around that day; their reports go to a collector on this machine by HTTP, and its pages stay up,
    beside a real partner, until Ctrl-C.

    Parameters
    ----------
    once
        Only measure, then end: no server. Of a country of several weeks it says what was found; the store is kept, and
        its folder named.
    country
        Another country's file (regions, networks, weeks), or a scenario's. Default: the countries that come along.
    data
        The folder of the partner's key, and of the emulated country's store, for the commands that read one. Default:
        the user's data folder; the country's store then has a folder of its own in it.
    lang
        Language of the words. Default: from the environment.
    """
    from ringback.lab.nation import is_country
    from ringback.lab.scenario import load as load_scenario

    language = speech.language(lang)
    # Files are read before a folder is made: one that is refused leaves nothing behind.
    if country is not None and is_country(country):
        nation = _nation(country)
        data_of(data)
        _observatory(nation, data, language, once)
        return Exit.VERDICT
    scenario = load_scenario(COUNTRY if country is None else str(country))
    if not once:
        data_of(data)
    _show(country, scenario, load(language))
    if not once and country is None:
        _observatory(_nation(NATION), data, language, once)
    elif not once:
        asyncio.run(_partner(data_of(data), language))
    return Exit.VERDICT


def _nation(path_or_name: str | Path) -> "Nation":
    from ringback.cli import country_run

    return country_run.read(path_or_name)


def _show(country: Path | None, loaded: "Scenario", phrases: Phrases) -> None:
    from ringback.lab import kernel_run
    from ringback.lab.tour import tour

    scenario = COUNTRY if country is None else str(country)
    notes: list[str] = []
    real, replay = None, None
    if country is None:
        refused = kernel_run.refused()
        if refused is not None:
            notes.append(phrases.say("demo.no-kernel", why=refused))
        else:
            real, replay = REAL, _captured()
            if replay is None:
                notes.append(phrases.say("demo.no-capture"))
    with progress(phrases.say("demo.title")) as report:
        legs = list(tour(loaded, real, replay, report))
    console = speech.console(json=False)
    console.print(Text(phrases.say("demo.heading", name=loaded.name), style="bold"), Text())
    console.print(_table(legs, phrases))
    for note in [*notes, phrases.say("demo.more", scenario=scenario), phrases.say("demo.own")]:
        console.print(Text(note))


def _captured() -> "Replay | None":
    """A real call of the first app, where the real captures are at hand."""
    from ringback.capture.replays import replay_file

    folder = Path(os.environ.get("RINGBACK_REALDATA") or Path.cwd().parent / "shared" / "data")
    for file in sorted(folder.glob(CAPTURES)):
        try:
            return replay_file(file)
        except (BadInput, Unavailable):  # a chat, or another app's call
            continue
    return None


def _table(legs: "Sequence[Leg]", phrases: Phrases) -> Group:
    """A heading for each network, and a row for what was seen alike on it."""
    parts: list[RenderableType] = [_grid(phrases, head=True)]
    for leg in legs:
        network = next(row for row in leg.rows if isinstance(row, NetworkRecord))
        alike: dict[tuple[str, str], list[Measurement]] = {}
        for row in leg.rows:
            if isinstance(row, Measurement):
                alike.setdefault((_seen(row, network, phrases), _truth(row, network, phrases)), []).append(row)
        grid = _grid(phrases, head=False)
        for (seen, truth), group in alike.items():
            style = STYLES[group[0].verdict.status]
            grid.add_row(listed(group, phrases), Text(seen, style=style), truth, _cost(group, phrases))
        parts += [Text(phrases.say(f"demo.{leg.world}", network=leg.network), style="bold"), grid, Text()]
    return Group(*parts)


def _grid(phrases: Phrases, head: bool) -> Table:
    """All as wide, so that they read as one table."""
    grid = Table(
        box=None, padding=(0, 2, 0, 0), pad_edge=False, expand=True, show_header=head, header_style="underline"
    )
    for column, ratio in (("what", 3), ("seen", 4), ("truth", 3), ("cost", 2)):
        grid.add_column(phrases.say(f"demo.{column}"), ratio=ratio)
    return grid


def _seen(measurement: Measurement, network: NetworkRecord, phrases: Phrases) -> str:
    """The cell's words, for what works without how far it was seen to, so that rows can be told together."""
    verdict = msgspec.structs.replace(measurement.verdict, clear_to=None)
    words = cell(msgspec.structs.replace(measurement, verdict=verdict), phrases, network)
    if not verdict.bypassed_by:
        return words
    return f"{words}; {phrases.say('demo.around', paths=', '.join(verdict.bypassed_by))}"


def _truth(measurement: Measurement, network: NetworkRecord, phrases: Phrases) -> str:
    """The same words for what the scenario makes true."""
    truth = measurement.truth
    assert isinstance(truth, Truth), "the lab's measurements have it"
    if truth.status == "working":
        return phrases.say("demo.free")
    numbers = ("after_packets", "after_bytes", "rate_kbps", "loss", "delay_ms", "mechanism", "trigger", "status")
    verdict = Verdict(scope="peer", basis="randomised", **{name: getattr(truth, name) for name in numbers})
    return cell(msgspec.structs.replace(measurement, verdict=verdict), phrases, network)


def _cost(group: Sequence[Measurement], phrases: Phrases) -> str:
    """Bytes add up; seconds do not, for much is measured side by side."""
    seconds = phrases.rough(max(each.cost.seconds for each in group))
    size = phrases.amount(sum(each.cost.bytes for each in group))
    return phrases.say("demo.price" if len(group) == 1 else "demo.price-each", seconds=seconds, bytes=size)


def _observatory(nation: "Nation", data: Path | None, language: Language, once: bool) -> None:
    """Serves an observatory on the loopback address, sends it a country's reports, and says where its pages are."""
    from ringback.cli import country_run, findings
    from ringback.cli.serve import free_port, serving

    phrases = load(language)
    folder = country_run.folder_of(data, nation)
    failed: list[Exception] = []
    landed = threading.Event()

    def fill(url: str) -> None:
        try:
            country_run.send(nation, url, phrases)
            if once:
                landed.set()
            else:
                print(phrases.say("page.demo.pages", url=url))
                print(phrases.say("demo.peer", url=url))
                print(phrases.say("demo.stop"), flush=True)
        except Exception as error:  # carried over to the main thread
            failed.append(error)
        if once or failed:
            signal.raise_signal(signal.SIGTERM)

    def ready(url: str) -> None:
        threading.Thread(target=fill, args=(url,), daemon=True).start()

    asyncio.run(serving(folder, "127.0.0.1", free_port("127.0.0.1"), ready))
    if failed:
        raise failed[0]
    if landed.is_set():
        for line in findings.told(folder, language):
            print(harmless(line))
        named = shlex.quote(str(folder))
        for key in ("findings.more", "demo.kept"):
            print(phrases.say(key, folder=named))


async def _partner(folder: Path, language: Language) -> None:
    """A peer on the loopback address, on a free port, until it is told to stop."""
    from ringback.cli.serve import free_port, serving

    phrases = load(language)

    def ready(url: str) -> None:
        for line in ("peer", "try"):
            print(phrases.say(f"demo.{line}", url=url))
        print(phrases.say("demo.stop"), flush=True)

    await serving(folder, "127.0.0.1", free_port("127.0.0.1"), ready)
