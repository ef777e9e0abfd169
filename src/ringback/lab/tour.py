"""A country shown at once: every network in virtual time, and one of them between real kernels beside it."""

import os
import sys
from collections.abc import Iterator
from functools import partial
from typing import Literal, NamedTuple

import msgspec

from ringback.flow import Replay
from ringback.lab import kernel_run
from ringback.lab.country import Place, places
from ringback.lab.run import Progress, Row, in_virtual_time, rows
from ringback.lab.scenario import Scenario
from ringback.lab.side_by_side import Work, side_by_side
from ringback.record import Measurement

World = Literal["virtual", "kernel", "captured"]
"""captured: between real kernels, with a captured call's packets instead of synthetic ones."""

BETWEEN_KERNELS = (
    (("whatsapp",), ("text", "voice"), ("direct", "vpn")),
    (("telegram",), ("text", "media", "voice"), ("direct",)),
    (("max",), ("voice",), ("direct",)),
)
"""(apps, functions, paths) of the sessions between kernels, where time is real: each in a country of its own, the
longest first. Together about two minutes; all of the scenario one after the other would take ten."""
STANDING_BACK = 5
"""Niceness of what runs in virtual time: it must not take a processor from what has to be on time."""


class Leg(NamedTuple):
    """One participant of one network, as one world has it."""

    network: str
    world: World
    rows: list[Row]


def tour(
    country: Scenario, real: str | None = None, replay: Replay | None = None, progress: Progress | None = None
) -> Iterator[Leg]:
    """One participant of each network; then, between real kernels, what BETWEEN_KERNELS has of the network `real` and,
    if there is a `replay`, its app's calls with that. Up to four sessions at once, in processes of their own.

    Raises Unavailable for `real` where there are no namespaces.
    """
    if real is not None and (problem := kernel_run.refused()) is not None:
        raise problem
    virtual = list(places(_one_each(country, {network.name for network in country.networks}), country.seed))
    legs: list[tuple[World, Place, Work[list[Row]]]] = []
    if real is not None:  # first, since they take longest
        shown = _one_each(country, {real})
        for piece in _pieces(shown):
            legs.append(("kernel", place := _first(piece), partial(kernel_run.measured, place, None)))
        if replay is not None:
            app = replay.app or country.apps[0]
            call = msgspec.structs.replace(shown, apps=(app,), functions=("voice",), paths=("direct",))
            legs.append(("captured", place := _first(call), partial(kernel_run.measured, place, replay)))
    legs += [("virtual", place, partial(_simulated, place)) for place in virtual]
    names = [(f"{place.network.name}, {world}", work) for world, place, work in legs]
    told = (
        side_by_side(names, 4, progress) if sys.platform == "linux" else (_alone(work, progress) for _, work in names)
    )
    done: dict[tuple[str, World], list[Row]] = {}
    for (world, place, _), measured in zip(legs, told, strict=True):
        done.setdefault((place.network.name, world), []).extend(measured)
    yield from sorted(
        (Leg(network, world, _as_one(measured)) for (network, world), measured in done.items()),
        key=lambda leg: leg.world != "virtual",
    )


def _pieces(shown: Scenario) -> list[Scenario]:
    """The sessions between kernels, as far as the scenario has their cells; else its first app's alone."""
    pieces = []
    for apps, functions, paths in BETWEEN_KERNELS:
        kept = [
            tuple(name for name in wanted if name in there)
            for wanted, there in ((apps, shown.apps), (functions, shown.functions), (paths, shown.paths))
        ]
        if all(kept):
            pieces.append(msgspec.structs.replace(shown, apps=kept[0], functions=kept[1], paths=kept[2]))
    return pieces or [msgspec.structs.replace(shown, apps=shown.apps[:1], paths=shown.paths[:1])]


def _as_one(measured: list[Row]) -> list[Row]:
    """The measurements of one network's sessions, then one closing record: the network is the same for all."""
    closing = [row for row in measured if not isinstance(row, Measurement)]
    return [*(row for row in measured if isinstance(row, Measurement)), *closing[:1]]


def _first(scenario: Scenario) -> Place:
    return next(places(scenario, scenario.seed))


def _one_each(country: Scenario, names: set[str]) -> Scenario:
    networks = (network for network in country.networks if network.name in names)
    return msgspec.structs.replace(
        country, networks=tuple(msgspec.structs.replace(network, participants=1) for network in networks)
    )


def _alone(work: Work[list[Row]], progress: Progress | None) -> list[Row]:
    return work(progress or (lambda *_: None))


def _simulated(place: Place, progress: Progress) -> list[Row]:
    if sys.platform == "linux":
        os.nice(STANDING_BACK)
    return list(rows(place, in_virtual_time(place, progress, None, False)))
