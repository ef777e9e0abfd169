"""Runs a scenario between real kernels: the same sessions, boxes and hosts as in virtual time, in namespaces."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import msgspec

from ringback import catalogue, flow
from ringback.errors import BadInput, Unavailable
from ringback.flow import Replay
from ringback.lab.country import Place, places, sim_net
from ringback.lab.namespaces import supported
from ringback.lab.namespaces.session import converse
from ringback.lab.run import OTHER, Progress, Row, far_end, rows, session_settings
from ringback.lab.scenario import Scenario
from ringback.lab.side_by_side import side_by_side
from ringback.record import Transport
from ringback.trial.control import TrySpec
from ringback.trial.plan import Mode
from ringback.trial.session import Session
from ringback.trial.terms import Result

KNOWN = catalogue.load()
REMEDY = "as root they work everywhere; for ordinary users see sysctl kernel.unprivileged_userns_clone; or --net sim"


def refused() -> Unavailable | None:
    """Why this machine can't run a scenario in namespaces; None where it can."""
    reason = supported()
    return None if reason is None else Unavailable(f"no network namespaces: {reason}", REMEDY)


def run_namespaces(
    scenario: Scenario,
    seed: int | None = None,
    progress: Progress | None = None,
    replay: Replay | None = None,
    locate: bool = False,
    parallel: int = 2,
    mode: Mode = "default",
) -> Iterator[Row]:
    """The rows of `run_sim`, in the same order, from sessions that take as long as they take.

    Plans, labels and the operator's chance are fixed by (scenario, seed); when packets leave and arrive is not. So many
    participants as `parallel` are measured at once, each in a country of its own. All processes, interfaces and
    namespaces are gone when this ends or is closed, however that comes. Raises Unavailable where there are none.
    """
    if (problem := refused()) is not None:
        raise problem
    pieces = [
        (f"{place.network.name} #{place.participant}", partial(measured, place, replay, locate=locate, mode=mode))
        for place in places(scenario, scenario.seed if seed is None else seed)
    ]
    for done in side_by_side(pieces, parallel, progress):
        yield from done


def measured(
    place: Place, replay: Replay | None, progress: Progress, *, locate: bool = False, mode: Mode = "default"
) -> list[Row]:
    """One participant's rows, in a country of its own. Call it where no other threads run."""
    return list(rows(place, between_kernels(place, progress, replay, locate, mode)))


def between_kernels(
    place: Place, progress: Progress | None, replay: Replay | None, locate: bool, mode: Mode = "default"
) -> Result:
    """One participant's session, as `run.in_virtual_time`, over real sockets. Raises RingbackError where it fails."""
    settings = msgspec.structs.replace(session_settings(place, replay, locate), mode=mode)
    near = Session(settings, KNOWN, place.random("session"), progress)
    far, seed = far_end(place.random("peer")), place.number("world")
    tries = ports_of_tries(settings.tries)
    result: Result = converse(near, far, sim_net(place), seed, peer_ports(), tries, Session.result)
    if result.partner == "unreachable":
        raise BadInput(f"the lab's own peer was {result.partner}: {'; '.join(result.notes)}", place.network.name)
    return result


def ports_of_tries(tries: Sequence[TrySpec]) -> Mapping[Transport, Sequence[int]]:
    """Where the lab's hosts have to listen: on what nobody tries they need not."""
    kinds: tuple[Transport, ...] = ("udp", "tcp")
    return {kind: sorted({spec.port for spec in tries if spec.transport == kind}) for kind in kinds}


def peer_ports() -> Mapping[Transport, Sequence[int]]:
    """Where the lab's peer listens: the ports of the catalogue's forms and VPNs, and those of no app."""
    ports: dict[Transport, set[int]] = {"udp": set(OTHER["udp"]), "tcp": set(OTHER["tcp"])}
    for app in KNOWN.apps.values():
        for entry in app.functions.values():
            for form in flow.forms_of(KNOWN, app.name, entry.name, "relay"):
                ports[form.transport].add(form.app_port)
    for vpn in KNOWN.vpns.values():
        ports[vpn.transport].add(vpn.app_port)
    return {transport: sorted(numbers) for transport, numbers in ports.items()}
