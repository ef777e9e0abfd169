"""Runs a check: resolves names, drives the session over real sockets, and keeps what came of it."""

import asyncio
import contextlib
import ipaddress
import secrets
import signal
import socket
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from ringback.catalogue import Catalogue
from ringback.cli import targets
from ringback.cli.progress import Report
from ringback.cli.request import CheckRequest
from ringback.errors import RingbackError
from ringback.net import drive, resolver
from ringback.net.control import ControlClient, parse_server
from ringback.record import Cell, Measurement, NetworkRecord, Try, Verdict
from ringback.trial.conclude import Where, conclude
from ringback.trial.control import TrySpec
from ringback.trial.session import Session
from ringback.trial.terms import Result, Settings

SIGNALS = (signal.SIGINT, signal.SIGTERM)
HERE = "here"  # the network's name on a real one: nothing about it is known


@dataclass(frozen=True)
class Checked:
    """interrupted: Ctrl-C ended it. refusal: the peer's reason for saying no, where it gave one; stranger: something
    answered there that is no peer."""

    result: Result
    measurements: list[Measurement]
    network: NetworkRecord
    interrupted: bool
    refusal: str | None
    stranger: bool = False


async def peer_address(url: str) -> tuple[str | None, str]:
    """(address, family) of the peer, IPv4 if it has one; no address where the name does not resolve."""
    host, port = parse_server(url)
    with contextlib.suppress(ValueError):
        return host, f"ipv{ipaddress.ip_address(host).version}"
    try:
        async with asyncio.timeout(targets.PATIENCE_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        return None, "ipv4"
    first = min(found, key=lambda info: info[0] != socket.AF_INET)
    return str(first[4][0]), "ipv4" if first[0] == socket.AF_INET else "ipv6"


@contextlib.contextmanager
def _stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """The first Ctrl-C, or being told to end, sets `stop`; a second one is whatever it usually is."""
    loop = asyncio.get_running_loop()

    def first() -> None:
        stop.set()
        for number in SIGNALS:
            loop.remove_signal_handler(number)

    try:
        for number in SIGNALS:
            loop.add_signal_handler(number, first)
    except (NotImplementedError, RuntimeError, ValueError):  # not the main thread, or a system without
        yield
        return
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


async def _until(stop: asyncio.Event, work: Awaitable[dict[str, str]]) -> dict[str, str]:
    """What `work` finds, or nothing when `stop` comes first."""
    task = asyncio.ensure_future(work)  # noqa: TID251 - awaited or cancelled right here
    async with asyncio.TaskGroup() as group:
        stopping = group.create_task(stop.wait())
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
    if not task.done():
        task.cancel()
        return {}
    return task.result()


def settings(request: CheckRequest, peer: str | None, tries: Sequence[TrySpec]) -> Settings:
    return Settings(
        apps=request.apps,
        functions=request.functions,
        paths=list(request.paths),
        peer=peer,
        tries=tries,
        route=request.route,
        mode=request.mode,
        budget_s=request.budget_s,
        outer=request.outer,
        replay=request.replay.digest if request.replay else None,
        replays=(msgspec.msgpack.encode(request.replay),) if request.replay else (),
        directions=request.directions,
        locate=request.locate,
    )


async def measure(request: CheckRequest, catalogue: Catalogue, progress: Report | None) -> Checked:
    """Raises what the engine raises on purpose; Ctrl-C is no error, and what was measured by then is handed back."""
    stop = asyncio.Event()
    started_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with _stopped_by_signals(stop):
        peer, family = (None, "ipv4") if request.server is None else await peer_address(request.server)
        names = targets.names_to_resolve(catalogue, request.apps, request.functions)
        addresses = await _until(stop, targets.resolve(names, family))
        tries = targets.tries(catalogue, request.apps, request.functions, addresses, resolver.system_resolver())
        session = Session(settings(request, peer, tries), catalogue, secrets.SystemRandom(), progress)
        client: ControlClient | None = None
        if not stop.is_set():
            async with contextlib.AsyncExitStack() as stack:
                ask: Callable[[str, bytes], Awaitable[bytes]] = _nobody
                if request.server is not None:
                    client = await stack.enter_async_context(ControlClient(request.server, family))
                    ask = client.ask
                await drive(session, ask=ask, paths=request.paths, stop=stop)
    result = session.result()
    stranger = client is not None and result.partner == "unreachable" and client.answered and not client.explained
    if peer is not None and result.partner == "unreachable" and client is not None and client.answered:
        result.tries.append(_heard(peer))
    if not stop.is_set():
        result.tries += targets.unresolved(catalogue, addresses)
    where = Where(network=HERE, participant=0, asn=None, region=None, started_at=started_at, family=family)
    measurements, network = conclude(result, catalogue, where, request.outer)
    interrupted = stop.is_set()
    own = uuid.uuid4().hex[:12]  # the same cell is measured again and again from the same place
    named = [
        msgspec.structs.replace(with_reason(each, request, result, interrupted), id=f"{own}-{each.id}")
        for each in measurements
    ]
    return Checked(result, named, network, interrupted, client.refusal if client else None, stranger)


def _heard(peer: str) -> Try:
    """What answers in a partner's place, or refuses, shows all the same that something gets through."""
    return Try("here", "direct", "peer", peer, None, None, "control", "tcp", 0, 0.0, 1, 1)


async def _nobody(what: str, body: bytes) -> bytes:
    raise RingbackError(f"no partner to ask for {what}")


def with_reason(each: Measurement, request: CheckRequest, result: Result, interrupted: bool) -> Measurement:
    """Why a cell was never run, or not for long, which only the one who ran the session knows. Where nobody answered
    and no partner was there, nothing was measured: it may be a cable."""
    if each.verdict.reason == "offline" and result.partner == "unreachable":
        each = msgspec.structs.replace(each, verdict=Verdict(status="insufficient", reason="no-rounds"))
    if each.verdict.reason in ("undecided", "too-short") and _lost_with_partner(each, result):
        return msgspec.structs.replace(each, verdict=msgspec.structs.replace(each.verdict, reason="partner-lost"))
    if each.verdict.reason in ("undecided", "too-short") and request.mode == "quick" and len(request.apps) > 1:
        return msgspec.structs.replace(each, verdict=msgspec.structs.replace(each.verdict, reason="quick"))
    if each.verdict.status != "insufficient" or each.verdict.reason != "no-rounds":
        return each
    if request.server is None:
        reason = "no-partner"
    elif result.partner == "unreachable":
        reason = "interrupted" if interrupted else "partner-unreachable"
    elif result.partner == "vanished":
        reason = "partner-lost"
    else:
        reason = "interrupted" if interrupted else "budget"
    return msgspec.structs.replace(each, verdict=msgspec.structs.replace(each.verdict, reason=reason))


def _lost_with_partner(each: Measurement, result: Result) -> bool:
    """Whether this cell's own rounds are missing for a partner that vanished: it told nothing of some of them, or went
    before all were run. A cell that had all that it was to have says itself why it is undecided."""
    own = [trial for trial in result.trials if _is_of(each, trial.cell)]
    return result.partner == "vanished" and any(
        trial.wants_more or any(ran.partner == "lost" for ran in trial.rounds) for trial in own
    )


def _is_of(each: Measurement, cell: Cell) -> bool:
    named = (each.app, each.function, each.direction, each.route, each.path)
    return named == (cell.app, cell.function, cell.direction, cell.route, cell.path)
