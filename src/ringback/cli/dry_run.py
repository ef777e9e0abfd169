"""What a check would send where: from the very plans, scripts and tries that it would run, without sending any."""

from collections.abc import Iterator
from math import ceil
from random import Random

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ringback.catalogue import Catalogue
from ringback.cli import targets
from ringback.cli.request import CheckRequest
from ringback.flow import DatagramScript, Script
from ringback.flow import tries as try_bytes
from ringback.net import resolver as system
from ringback.net.control import parse_server
from ringback.record import Arm, Cell, ExchangeSpec
from ringback.trial import limited, penalties, probe
from ringback.trial.control import Grant, TrySpec
from ringback.trial.locating import MOST_ROUNDS
from ringback.trial.pairs import FLOWS_OF_A_PAIR, draw_pairs
from ringback.trial.plan import CALL_SECONDS, Planned, Sizing, cells_of, draw_round, form_plans
from ringback.trial.rendering import render
from ringback.trial.schedule import most_series
from ringback.trial.tries import PATIENCE, SPACING
from ringback.words import Language, Phrases, load
from ringback.words.naming import app_title

UDP_HEADERS, TCP_HEADERS = 28, 40  # bytes a packet: IPv4 with UDP, with TCP
HANDSHAKE = 7 * TCP_HEADERS  # opening and closing a connection
MSS = 1448
FLOWS_AT_ONCE = 24
USUAL_SERIES = (1, 2)  # that decide where the link is good and nothing is restricted
STAND_IN = {"udp": list(range(40_001, 40_017)), "tcp": list(range(40_001, 40_017))}
GRANT = Grant("dry-run", bytes(32), {}, STAND_IN, "", b"")


class Line(msgspec.Struct, frozen=True):
    """flows and bytes at most, both directions, headers counted; seconds that one round takes, 0 for tries. series: how
    often it runs at most, which flows and bytes count; 0 for what only a restriction brings about.

    where: host name or address, or `server`, whose other ports are drawn by the server (`other`).
    """

    what: str
    where: str
    transport: str
    ports: str
    path: str
    flows: int
    bytes: int
    seconds: float
    series: int = 1


class Plan(msgspec.Struct, frozen=True):
    """names: looked up by the system's resolver. seconds: the most it takes. usual: bytes on a good link, where nothing
    is restricted: with as few series as decide that, and with as many; None where it may well take the most."""

    names: list[str]
    lines: list[Line]
    bytes: int
    seconds: float
    usual: tuple[int, int] | None = None


def _cost(script: Script) -> int:
    if isinstance(script, DatagramScript):
        return sum(len(send.data) + UDP_HEADERS for send in (*script.near, *script.far))
    sizes = [len(turn.data) for turn in script.turns]
    return HANDSHAKE + sum(size + 2 * TCP_HEADERS * -(-size // MSS) for size in sizes)


def _round_cost(planned: Planned, request: CheckRequest, catalogue: Catalogue) -> int:
    """One exchange of each arm is rendered; the others of its arm have its size within a few per cent."""
    replays = (msgspec.msgpack.encode(request.replay),) if request.replay else ()
    of_arm: dict[object, tuple[ExchangeSpec, int]] = {}
    for spec in planned.specs:
        first, count = of_arm.get(spec.arm, (spec, 0))
        of_arm[spec.arm] = (first, count + 1)
    return sum(count * _cost(render(spec, GRANT.seed, replays, catalogue)) for spec, count in of_arm.values())


def _cells(request: CheckRequest, catalogue: Catalogue) -> list[Cell]:
    outer = [Cell(vpn, "outer", path=path) for path, vpn in request.outer.items()]
    cells = cells_of(catalogue, request.apps, request.functions, list(request.paths), request.route)
    return [*outer, *(cell for cell in cells if cell.direction is None or cell.direction in request.directions)]


def _series(request: CheckRequest, catalogue: Catalogue, function: str) -> int:
    """How often a cell's forms run at most."""
    calls = sum(cell.function in ("voice", "outer") for cell in _cells(request, catalogue))
    return most_series(request.mode, function, calls)


def _partner_lines(request: CheckRequest, catalogue: Catalogue) -> Iterator[Line]:
    random = Random(0)  # the plan's sizes, not its draws, are what is shown
    for cell in _cells(request, catalogue):
        for plan in form_plans(catalogue, cell, request.replay is not None):
            replay = request.replay.digest if request.replay else None
            if request.mode == "quiet":
                planned = draw_pairs(cell, plan, 1, 1, GRANT, random, Sizing(), replay)
            else:
                planned = draw_round(cell, plan, 1, 1, GRANT, random, Sizing(), request.mode, replay)
            series = _series(request, catalogue, cell.function)
            what = " ".join(filter(None, (cell.app, cell.function, cell.direction, plan.form)))
            other = "+other" if "port" in plan.factors else ""
            yield Line(
                what, "server", plan.transport, f"{plan.app_port}{other}", cell.path, series * len(planned.specs),
                series * _round_cost(planned, request, catalogue), round(planned.seconds, 1), series,
            )  # fmt: skip


def _locating_lines(request: CheckRequest, catalogue: Catalogue) -> Iterator[Line]:
    """The most that looking for hops takes: every app's calls restricted, every hop decided late."""
    replay = request.replay.digest if request.replay else None
    replays = (msgspec.msgpack.encode(request.replay),) if request.replay else ()
    for app in request.apps if request.locate and "voice" in request.functions else ():
        cell, seconds = Cell(app, "voice", "outgoing", request.route), CALL_SECONDS / limited.FASTER
        for plan in form_plans(catalogue, cell, request.replay is not None):
            form, arm = limited.TAILED + plan.form, Arm("control", "app")
            spec = ExchangeSpec(
                1, app, "voice", "outgoing", request.route, form, arm, "udp", plan.app_port, seconds, replay=replay
            )
            flows = MOST_ROUNDS * FLOWS_AT_ONCE
            cost = flows * _cost(render(spec, GRANT.seed, replays, catalogue))
            yield Line(f"{app} voice {form}", "server", "udp", str(plan.app_port), "direct", flows, cost, seconds, 0)


def _penalty_lines(request: CheckRequest, catalogue: Catalogue) -> Iterator[Line]:
    """The most that asking for penalties takes: calls that fall silent, for as long as there is time."""
    if request.mode != "default" or request.budget_s is None or "direct" not in request.paths:
        return
    replay = request.replay.digest if request.replay else None
    replays = (msgspec.msgpack.encode(request.replay),) if request.replay else ()
    apps = request.apps if "voice" in request.functions else ()
    rounds = ceil(request.budget_s / (penalties.CALLS / penalties.CALLS_AT_ONCE * penalties.LEAST_CALL_S))
    for app in apps:
        cell = Cell(app, "voice", "outgoing", request.route)
        for plan in form_plans(catalogue, cell, request.replay is not None):
            spec = ExchangeSpec(
                1, app, "voice", "outgoing", request.route, plan.form, Arm("control", "other"), "udp", plan.app_port,
                penalties.LEAST_CALL_S, replay=replay,
            )  # fmt: skip
            flows = ceil(rounds / len(apps)) * penalties.CALLS
            cost = flows * _cost(render(spec, GRANT.seed, replays, catalogue))
            what = f"{app} voice {plan.form} (penalty)"
            yield Line(what, "server", "udp", f"{plan.app_port}+other", "direct", flows, cost, 0.0, 0)


def _try_cost(spec: TrySpec) -> int:
    """Requests, and answers taken to be as large."""
    seed, name = bytes(32), spec.name or spec.target
    if spec.transport == "udp":
        asked = try_bytes.dns_query(name, seed) if spec.form == "dns" else try_bytes.ping(spec.app or "", seed, 0)
        return 2 * spec.pings * (len(asked) + UDP_HEADERS)
    opening = try_bytes.opening(spec.app or "", spec.function or "", spec.form, name, seed)
    return HANDSHAKE + len(opening) + MSS + 4 * TCP_HEADERS


def _try_lines(request: CheckRequest, catalogue: Catalogue, names: list[str]) -> Iterator[Line]:
    resolver = system.system_resolver()
    specs = targets.tries(catalogue, request.apps, request.functions, {name: name for name in names}, resolver)
    for path in request.paths:
        alike: dict[tuple[str, str, str, int], list[TrySpec]] = {}
        for spec in specs:
            what = " ".join(filter(None, (spec.app or spec.kind, spec.function, spec.form)))
            alike.setdefault((what, spec.address, spec.transport, spec.port), []).append(spec)
        for (what, where, transport, port), same in alike.items():
            yield Line(what, where, transport, str(port), path, len(same), sum(map(_try_cost, same)), 0.0)


def plan(request: CheckRequest, catalogue: Catalogue) -> Plan:
    names = targets.names_to_resolve(catalogue, request.apps, request.functions)
    lines = list(_try_lines(request, catalogue, names))
    flows = sum(line.flows for line in lines)
    quiet = request.mode == "quiet"
    seconds = PATIENCE * flows / FLOWS_OF_A_PAIR if quiet else SPACING * flows / len(request.paths) + PATIENCE
    if request.server is not None:
        train = 2 * probe.TRAIN * (probe.SIZE + UDP_HEADERS)
        lines.append(Line("link", "server", "udp", "other", "direct", 1, train, 2.0))
        rounds = list(_partner_lines(request, catalogue))
        lines += rounds
        worth = {cell.function: _series(request, catalogue, cell.function) for cell in _cells(request, catalogue)}
        of = [(line.seconds * worth[_function(line)], _function(line)) for line in rounds]
        calls = sum(s for s, function in of if function in ("voice", "outer"))
        media = max((s for s, function in of if function == "media"), default=0.0)
        text = max((s for s, function in of if function == "text"), default=0.0)
        locating = list(_locating_lines(request, catalogue))
        lines += [*locating, *_penalty_lines(request, catalogue)]
        together = sum(s for s, _ in of) if quiet else max(calls + media, text)
        seconds += together + MOST_ROUNDS * sum(line.seconds for line in locating)
    if request.budget_s is not None:
        seconds = min(seconds, request.budget_s)
    usual = tuple(sum(_worth(line, n) for line in lines) for n in USUAL_SERIES)
    most = sum(line.bytes for line in lines)
    told = request.mode == "default" and request.server is not None and usual[1] < most
    return Plan(names, lines, most, round(seconds, 1), (usual[0], usual[1]) if told else None)


def _worth(line: Line, series: int) -> int:
    """Bytes of so many of its series."""
    return line.bytes * min(series, line.series) // max(1, line.series)


def _function(line: Line) -> str:
    return line.what.split()[1]


def told(made: Plan, request: CheckRequest, language: Language) -> RenderableType:
    """The plan for people."""
    phrases = load(language)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold underline")
    for key in ("row_what", "row_where"):
        table.add_column(phrases.say(f"dry_run.{key}"), overflow="fold")
    for key in ("row_flows", "row_bytes"):
        table.add_column(phrases.say(f"dry_run.{key}"), justify="right", no_wrap=True)
    server = parse_server(request.server)[0] if request.server is not None else ""
    for line in made.lines:
        first, _, rest = line.what.partition(" ")
        over = "" if line.path == "direct" else f" ({line.path})"
        where = server if line.where == "server" else line.where
        table.add_row(
            f"{app_title(first)} {rest}{over}".strip(),
            f"{where} {line.transport}/{line.ports}",
            phrases.number(line.flows),
            phrases.number(line.bytes),
        )
    blocks: list[RenderableType] = [
        Text(phrases.say("dry_run.heading"), style="bold"),
        Text(phrases.say("dry_run.names", names=", ".join(made.names))),
    ]
    if request.server is not None:
        blocks.append(Text(phrases.say("dry_run.control", url=request.server)))
    total = phrases.say(
        "dry_run.total",
        bytes=phrases.amount(made.bytes),
        seconds=phrases.number(made.seconds),
        flows=FLOWS_OF_A_PAIR if request.mode == "quiet" else FLOWS_AT_ONCE,
    )
    usual = [] if made.usual is None else [Text(_usual(made.usual, phrases), style="bold")]
    return Group(*blocks, Text(), table, Text(), *usual, Text(total, style="bold"))


def _usual(found: tuple[int, int], phrases: Phrases) -> str:
    low, high = map(phrases.amount, found)
    return phrases.say("dry_run.usual", low=low, high=high)
