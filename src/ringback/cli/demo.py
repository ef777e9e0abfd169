"""`ringback demo`: the emulated country, measured, and a partner on this machine to measure towards."""

import asyncio
from pathlib import Path

from rich.padding import Padding
from rich.text import Text

from ringback.cli import speech
from ringback.cli.exits import Exit
from ringback.cli.folders import data_folder
from ringback.record import Measurement
from ringback.words import Language, load, summarise

COUNTRY = "2025-08-13"


def demo(
    *, once: bool = False, country: Path | None = None, data: Path | None = None, lang: Language | None = None
) -> Exit:
    """Show the main job without a network: an emulated country is measured, and each network's finding is told.

    One participant of each network is measured, in virtual time, towards the lab's own partner; nothing leaves this
    machine. Then a real partner runs on this machine until Ctrl-C.

    Parameters
    ----------
    once
        Only measure the country, then end: no server.
    country
        Another scenario file. Default: the country of 13 August 2025.
    data
        The folder of the partner's key. Default: the user's data folder.
    lang
        Language of the words. Default: from the environment.
    """
    language = speech.language(lang)
    scenario = str(country) if country is not None else COUNTRY
    _show(scenario, language)
    if not once:
        asyncio.run(_partner(data if data is not None else data_folder(), language))
    return Exit.VERDICT


def _show(scenario: str, language: Language) -> None:
    import msgspec

    from ringback.lab.run import run_sim
    from ringback.lab.scenario import load as load_scenario

    phrases = load(language)
    loaded = load_scenario(scenario)
    networks = tuple(msgspec.structs.replace(network, participants=1) for network in loaded.networks)
    loaded = msgspec.structs.replace(loaded, networks=networks)
    console = speech.console(json=False)
    console.print(Text(phrases.say("demo.heading", name=loaded.name), style="bold"))
    own: list[Measurement] = []
    for row in run_sim(loaded):
        if isinstance(row, Measurement):
            own.append(row)
            continue
        told = summarise(own, row, language)
        sentences = [told.head, told.also.get("restricted"), told.questions[-1][1]]
        console.print(Text(), Text(row.network, style="bold"), Padding(" ".join(filter(None, sentences)), (0, 0, 0, 2)))
        own = []
    console.print(Text(), Text(phrases.say("demo.more", scenario=scenario)))


async def _partner(folder: Path, language: Language) -> None:
    """A peer on the loopback address, on a free port, until it is told to stop."""
    from ringback.cli.serve import free_port, serving

    phrases = load(language)

    def ready(url: str) -> None:
        for line in ("peer", "try"):
            print(phrases.say(f"demo.{line}", url=url))
        print(phrases.say("demo.stop"), flush=True)

    await serving(folder, "127.0.0.1", free_port("127.0.0.1"), ready)
