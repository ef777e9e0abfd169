"""What `check` was asked to measure, read and refused before anything is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ringback.catalogue import Catalogue
from ringback.cli.tunnels import protocol
from ringback.errors import BadInput
from ringback.flow import Replay
from ringback.net import Interface, PathBinding, missing, parse_path
from ringback.net.control import parse_server
from ringback.trial.plan import Mode

FUNCTIONS = ("text", "media", "voice")
DEFAULT_BUDGET_S, QUIET_BUDGET_S = 200.0, 1800.0
LOCATING_S = 160.0  # more, where hops are looked for: four messengers' calls


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options of `ringback check` that say what to measure, as they were typed; None where not given."""

    server: str | None = None
    apps: Sequence[str] | None = None
    functions: Sequence[str] | None = None
    via: Sequence[str] | None = None
    route: Literal["relay", "p2p"] = "relay"
    quick: bool = False
    quiet: bool = False
    budget_s: float | None = None
    replay: Path | None = None
    locate: bool = False


@dataclass(frozen=True)
class CheckRequest:
    """paths: by name, the direct one first. outer: path name to outer protocol, where known. directions: of calls."""

    apps: tuple[str, ...]
    functions: tuple[str, ...]
    directions: tuple[str, ...]
    paths: dict[str, PathBinding]
    outer: dict[str, str]
    server: str | None
    route: Literal["relay", "p2p"]
    mode: Mode
    budget_s: float | None
    replay: Replay | None
    locate: bool = False


def _known(kind: str, asked: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    for name in asked or ():
        if name not in known:
            raise BadInput(f"no such {kind}: {name}; there are {', '.join(known)}", f"--{kind}")
    return tuple(dict.fromkeys(asked or known))


def _paths(via: Sequence[str] | None) -> dict[str, PathBinding]:
    paths: dict[str, PathBinding] = {"direct": parse_path("direct")}
    for each in via or ():
        name, equals, path = each.partition("=")
        if not equals or not name:
            raise BadInput("is NAME=PATH, for example vpn=interface:wg0", f"--via {each}")
        if name in paths:
            raise BadInput(f"the name {name} is taken", f"--via {each}")
        try:
            paths[name] = parse_path(path)
        except BadInput as error:
            raise BadInput(error.what, f"--via {each}") from error
        if (why := missing(paths[name])) is not None:
            raise BadInput(why, f"--via {each}")
    return paths


def _replay(catalogue: Catalogue, asked: Asked) -> tuple[str, Replay] | None:
    """The app whose call is sent again, and the call: of a capture the first app's that has one there.

    Raises BadInput for a file without a call, and where several apps were named: one call is one app's.
    """
    if asked.replay is None:
        return None
    if asked.server is None:
        raise BadInput("needs a partner: give --server as well", "--replay")
    if len(asked.apps or ()) > 1:
        raise BadInput("is one app's call: name one --app, or none", "--replay")
    from ringback.capture import replay_file

    problems: list[BadInput] = []
    for app in asked.apps or catalogue.apps:
        try:
            return app, replay_file(asked.replay, app)
        except BadInput as error:
            problems.append(error)
    if len({problem.what for problem in problems}) > 1:  # it can be read, then, and each names its app
        raise BadInput(f"holds no call of {', '.join(catalogue.apps)} with packets of both sides", str(asked.replay))
    raise problems[0]


def read_request(catalogue: Catalogue, asked: Asked) -> CheckRequest:
    """Raises BadInput, naming the option. Quick: text and outgoing calls, unless functions were named."""
    if asked.server is not None:
        try:
            parse_server(asked.server)
        except BadInput as error:
            raise BadInput(error.what, f"--server {asked.server}") from error
    if asked.budget_s is not None and not asked.budget_s > 0:
        raise BadInput("is a number of seconds above 0", "--budget-s")
    if asked.quiet and asked.quick:
        raise BadInput("can't be had together with --quick", "--quiet")
    if asked.quiet and asked.locate:
        raise BadInput("looks with many packets at once, and can't be had together with --quiet", "--locate")
    apps = _known("app", asked.apps, tuple(catalogue.apps))
    call = _replay(catalogue, asked)
    paths = _paths(asked.via)
    spoken = {name: protocol(path.name) for name, path in paths.items() if isinstance(path, Interface)}
    chosen = asked.functions or (["text", "voice"] if asked.quick else None)
    return CheckRequest(
        apps=apps if call is None else (call[0],),
        functions=_known("function", chosen, FUNCTIONS),
        directions=("outgoing",) if asked.quick else ("outgoing", "incoming"),
        paths=paths,
        outer={name: speaks for name, speaks in spoken.items() if speaks is not None and speaks in catalogue.vpns},
        server=asked.server,
        route=asked.route,
        mode="quick" if asked.quick else "quiet" if asked.quiet else "default",
        budget_s=asked.budget_s if asked.budget_s is not None else _budget(asked),
        replay=None if call is None else call[1],
        locate=asked.locate,
    )


def _budget(asked: Asked) -> float | None:
    if asked.quick:
        return None
    if asked.quiet:
        return QUIET_BUDGET_S
    return DEFAULT_BUDGET_S + (LOCATING_S if asked.locate else 0.0)
