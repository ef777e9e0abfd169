"""Runs a scenario: every participant's session, the same engine in virtual time, its verdicts beside the truth."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from random import Random

import msgspec

from ringback import catalogue
from ringback.flow import Replay
from ringback.flow.script import Script
from ringback.lab.country import Place, known_in, places, sim_net
from ringback.lab.scenario import Scenario
from ringback.lab.truth import truth
from ringback.record import Cell, ExchangeSpec, Measurement, NetworkRecord
from ringback.sim.world import World
from ringback.trial.conclude import Where, conclude
from ringback.trial.contrast import exit_tries, targets
from ringback.trial.far import FarEnd
from ringback.trial.far import Settings as FarSettings
from ringback.trial.rendering import Renderer, once_for_both, render
from ringback.trial.session import Session
from ringback.trial.terms import Result, Settings

KNOWN = catalogue.load()
OTHER = {"udp": tuple(range(42_000, 42_016)), "tcp": tuple(range(43_000, 43_016))}
LONGEST_S = 7200.0  # of virtual time; a session is over long before

Progress = Callable[[str, int, int], None]
Row = Measurement | NetworkRecord


def run_sim(
    scenario: Scenario,
    seed: int | None = None,
    progress: Progress | None = None,
    replay: Replay | None = None,
    locate: bool = False,
) -> Iterator[Row]:
    """Each participant's measurements, then its network record; deterministic for (scenario, seed)."""
    for place in places(scenario, scenario.seed if seed is None else seed):
        yield from rows(place, in_virtual_time(place, progress, replay, locate))


def session_settings(place: Place, replay: Replay | None, locate: bool) -> Settings:
    scenario, known = place.scenario, known_in(place.scenario)
    overlay = known.overlay
    tunnels = [path for path in scenario.paths if path != "direct"]
    return Settings(
        apps=scenario.apps,
        functions=scenario.functions,
        paths=scenario.paths,
        peer=overlay.peer,
        tries=targets(
            known,
            scenario.apps,
            scenario.functions,
            lambda name: overlay.hosts.get(name) or overlay.sites.get(name),
            lambda app: overlay.relays[app],
            overlay.neutral,
            known.sites,
            overlay.resolver,
        ),
        everywhere=True,
        outer=dict.fromkeys(tunnels, scenario.vpn),
        exits=[t for path in tunnels for t in exit_tries(path, known.vpns[scenario.vpn], overlay.vpn_exit)],
        outside="direct",
        replay=replay.digest if replay else None,
        replay_app=replay.app if replay else None,
        replays=(msgspec.msgpack.encode(replay),) if replay else (),
        locate=locate,
    )


def rendered(spec: ExchangeSpec, seed: bytes, replays: Sequence[bytes]) -> Script:
    return render(spec, seed, replays, KNOWN)


def far_end(draw: Random, renderer: Renderer = rendered) -> FarEnd:
    """The lab's peer. Its signature is a keyed hash: nobody outside the lab relies on it."""
    key = draw.randbytes(32)
    settings = FarSettings(
        OTHER,
        draw.randbytes,
        lambda message: hashlib.blake2b(message, key=key).digest(),
        key,
        resolver=KNOWN.overlay.resolver,
    )
    return FarEnd(settings, renderer)


def in_virtual_time(place: Place, progress: Progress | None, replay: Replay | None, locate: bool) -> Result:
    renderer = once_for_both(rendered)
    near = Session(session_settings(place, replay, locate), KNOWN, place.random("session"), progress, renderer)
    world = World(near, far_end(place.random("peer"), renderer), sim_net(place), place.number("world"))
    world.run(LONGEST_S)
    return near.result()


def rows(place: Place, result: Result) -> Iterator[Row]:
    """What the contract prints of one participant: measurements with their truth, then the network."""
    scenario, network = place.scenario, place.network
    outer = {path: scenario.vpn for path in scenario.paths if path != "direct"}
    where = Where(
        network=network.name,
        participant=place.participant,
        asn=network.asn,
        region=network.region,
        started_at=rfc3339(scenario.at),
        asn_of_hop=dict(enumerate(network.hop_asn, 1)),
    )
    measurements, closing = conclude(result, KNOWN, where, outer)
    for measurement in measurements:
        cell = Cell(
            measurement.app,
            measurement.function,
            measurement.direction,  # type: ignore[arg-type]
            measurement.route,  # type: ignore[arg-type]
            measurement.path,
        )
        yield msgspec.structs.replace(measurement, truth=truth(scenario, network, place.participant, cell, place.seed))
    yield closing


def rfc3339(seconds: float) -> str:
    """RFC 3339 in UTC of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
