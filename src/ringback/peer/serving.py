"""Runs a peer: listening sockets, HTTP in the same process and loop, until it is told to stop."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from granian.constants import Interfaces
from granian.server.embed import Server

from ringback import catalogue, flow
from ringback.net.far import FarDriver
from ringback.peer import http, keys
from ringback.trial.far import FarEnd, Settings
from ringback.trial.session import render

OTHER_PORTS = 16  # per transport, of no app, at random
FIRST_OTHER, LAST_OTHER = 20_000, 60_000


@dataclass(frozen=True)
class Serving:
    """A running peer. moved: the ports that could not be had, for people (`tcp/443 -> tcp/40123`)."""

    address: str
    port: int
    ports: dict[str, int]
    moved: tuple[str, ...]
    key: bytes


def wanted_ports() -> tuple[list[int], list[int]]:
    """(UDP, TCP) ports that the catalogue's forms use."""
    known = catalogue.load()
    udp: set[int] = set()
    tcp: set[int] = set()
    for app in known.apps.values():
        for entry in app.functions.values():
            for form in flow.forms_of(known, app.name, entry.name, "relay"):
                (udp if form.transport == "udp" else tcp).add(form.app_port)
    udp |= {vpn.app_port for vpn in known.vpns.values() if vpn.transport == "udp"}
    return sorted(udp), sorted(tcp)


@contextlib.asynccontextmanager
async def running(folder: Path, host: str, port: int, listen: str | None = None) -> AsyncIterator[Serving]:
    """A peer while the context lasts. folder: where its key is kept; listen: address of the measuring sockets, `host`
    if None. Raises Unavailable where the HTTP port can't be had."""
    sign, key = keys.load(folder)
    known = catalogue.load()
    udp, tcp = wanted_ports()
    draw = secrets.SystemRandom()
    other = draw.sample(range(FIRST_OTHER, LAST_OTHER), 2 * OTHER_PORTS)
    others = {"udp": other[:OTHER_PORTS], "tcp": other[OTHER_PORTS:]}
    had: dict[str, int] = {}
    had_other: dict[str, list[int]] = {"udp": [], "tcp": []}
    settings = Settings(had_other, secrets.token_bytes, sign, key, had)
    driver = FarDriver(FarEnd(settings, lambda spec, seed, replays: render(spec, seed, replays, known)))
    ports = await driver.start(listen or host, [*udp, *others["udp"]], [*tcp, *others["tcp"]])
    for transport, wanted, got in (("udp", udp, ports.udp), ("tcp", tcp, ports.tcp)):
        had.update({f"{transport}/{want}": got[want] for want in wanted if want in got})
        had_other[transport] += [got[want] for want in others[transport] if want in got]
    about: dict[str, object] = {"ports": had, "key": key.hex()}
    server = Server(http.application(driver.answer, about), host, port, interface=Interfaces.ASGI, log_enabled=False)
    task = asyncio.ensure_future(server.serve())  # noqa: TID251 - awaited below; the server has no context manager
    try:
        await _listening(host, port, task)
        yield Serving(host, port, had, ports.moved, key)
    finally:
        server.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({task}, timeout=5)
        await driver.stop()


async def _listening(host: str, port: int, task: "asyncio.Future[None]") -> None:
    for _ in range(200):
        if task.done():
            await task
        try:
            _, writer = await asyncio.open_connection("127.0.0.1" if host in ("0.0.0.0", "::") else host, port)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        writer.close()
        return
    raise TimeoutError(f"the HTTP server did not come up on {host}:{port}")


async def serve(folder: Path, host: str, port: int, ready: Callable[[Serving], None], stop: asyncio.Event) -> None:
    """Runs a peer until `stop` is set; `ready` hears what it serves."""
    async with running(folder, host, port) as serving:
        ready(serving)
        await stop.wait()
