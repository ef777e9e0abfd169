"""`ringback lab`: the emulated country, its scenarios, and what Ringback says of them beside the truth."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import App
from rich.text import Text

from ringback.cli import exits, speech
from ringback.cli.exits import Exit, FailOn
from ringback.cli.garbage import seldom_sought
from ringback.cli.progress import progress
from ringback.cli.switches import SWITCHES
from ringback.errors import BadInput
from ringback.record import Measurement, NetworkRecord
from ringback.words import Language, load, table

if TYPE_CHECKING:
    from ringback.flow import Replay

lab = App(
    name="lab", help="An emulated operator with known truth: list the scenarios, run one.", default_parameter=SWITCHES
)


@lab.command(name="list")
def list_scenarios(*, json: bool = False) -> Exit:
    """List the scenarios that come along; any other is given by its path.

    Parameters
    ----------
    json
        One JSON object a line: name, networks, participants.
    """
    from ringback.lab import scenario

    with speech.Records(json, None) as records:
        for name in scenario.shipped():
            loaded = scenario.load(name)
            people = sum(network.participants for network in loaded.networks)
            records.write({"name": name, "networks": len(loaded.networks), "participants": people})
            if not json:
                print(name)
    return Exit.VERDICT


@lab.command
def run(
    scenario: str,
    /,
    *,
    net: Literal["sim", "namespaces"] = "sim",
    seed: int | None = None,
    replay: Path | None = None,
    locate: bool = False,
    json: bool = False,
    out: Path | None = None,
    fail_on: FailOn | None = None,
    lang: Language | None = None,
) -> Exit:
    """Run a scenario: every participant's measurements, each with its truth.

    In virtual time the same scenario and seed give the same records. Ctrl-C keeps the records printed so far.

    Parameters
    ----------
    scenario
        The name of a scenario that comes along (`ringback lab list`), or a path.
    net
        Where it runs: sim, the simulator in virtual time; namespaces, real kernels with the operator between them, in
        real time (minutes), two participants at once. Where a machine has no namespaces it says so and takes sim.
    seed
        Fixes every random choice. Default: the scenario's own.
    replay
        A capture with a call, or a file that `ringback trace --out` wrote: its bytes stand in for that app's calls.
    locate
        Look afterwards for the hop at which what is restricted on the direct path is treated.
    json
        One JSON record a line on standard output; words go to standard error.
    out
        Write the same records to this file, readable by you alone.
    fail_on
        interference: end with exit code 10 when any verdict is `restricted`.
    lang
        Language of the words. Default: from the environment.
    """
    from ringback.lab.scenario import load as load_scenario

    language = speech.language(lang)
    if seed is not None and seed < 0:
        raise BadInput(f"a seed is 0 or more, not {seed}", "--seed")
    loaded = load_scenario(scenario)
    call = None if replay is None else _call(replay, loaded.apps)
    world = _world(net, language)
    title = load(language).say("progress.lab", scenario=loaded.name)
    seen: list[Measurement] = []
    with speech.Records(json, out) as records, progress(title) as report:
        try:
            rows = world(loaded, seed=seed, progress=report, replay=call, locate=locate)
            for measurements, network in _participants(rows, records, seen):
                _tell(measurements, network, json, language)
        except KeyboardInterrupt:
            print(load(language).say("progress.interrupted"), file=sys.stderr)
    return exits.of_measurements(seen, fail_on)


def _call(file: Path, apps: Sequence[str]) -> "Replay":
    """The call of one of these apps in a capture. Raises BadInput where there is none."""
    from ringback.capture import replay_file

    refusals: list[BadInput] = []
    for app in apps:
        try:
            return replay_file(file, app)
        except BadInput as error:
            refusals.append(error)
    raise refusals[0]


def _world(
    net: Literal["sim", "namespaces"], language: Language
) -> Callable[..., Iterator[Measurement | NetworkRecord]]:
    """What runs it. Where namespaces are refused that is virtual time, and a line says what this leaves out."""
    if net == "sim":
        return _in_virtual_time
    from ringback.lab.kernel_run import refused, run_namespaces

    if (why := refused()) is None:
        return run_namespaces
    print(load(language).say("progress.no-kernels", why=why), file=sys.stderr)
    return _in_virtual_time


def _in_virtual_time(*given: Any, **named: Any) -> Iterator[Measurement | NetworkRecord]:
    from ringback.lab.run import run_sim

    with seldom_sought():
        yield from run_sim(*given, **named)


def _participants(
    rows: Iterator[Measurement | NetworkRecord], records: speech.Records, seen: list[Measurement]
) -> Iterator[tuple[list[Measurement], NetworkRecord]]:
    """Writes each record as it comes; hands over a participant's when its closing line has come."""
    own: list[Measurement] = []
    for row in rows:
        records.write(row)
        if isinstance(row, Measurement):
            seen.append(row)
            own.append(row)
        else:
            yield own, row
            own = []


def _tell(measurements: Sequence[Measurement], network: NetworkRecord, json: bool, language: Language) -> None:
    console = speech.console(json)
    console.rule(Text(f"{network.network} #{network.participant}"), align="left", style="dim")
    console.print(table(measurements, network, language), Text())
