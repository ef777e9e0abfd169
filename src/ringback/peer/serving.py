"""Runs a peer: listening sockets, HTTP in the same process and loop, until it is told to stop."""

import asyncio
import contextlib
import gc
import hashlib
import os
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from litestar import Litestar, Router
from litestar.handlers import BaseRouteHandler

from ringback import catalogue, flow
from ringback.errors import Unavailable
from ringback.net import resolver
from ringback.net.far import FarDriver
from ringback.peer import http, keys, vantage
from ringback.trial.far import FarEnd, Settings
from ringback.trial.rendering import render

OTHER_PORTS = 16  # per transport, of no app, at random
FIRST_OTHER, LAST_OTHER = 20_000, 60_000
CONNECTIONS = 1024  # of HTTP, at once
IDLE_MS = 20_000  # after which an HTTP connection that asks nothing is closed
STOP_S = 5.0
THREADS_END_S = 0.02  # seconds between looks at whether they have


@dataclass(frozen=True)
class Serving:
    """A running peer. port: of HTTP; moved: the ports that could not be had, for people (`tcp/443 -> tcp/40123`);
    key: public, 32 bytes."""

    address: str
    port: int
    ports: dict[str, int]
    moved: tuple[str, ...]
    key: bytes

    @property
    def url(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}:{self.port}"

    @property
    def fingerprint(self) -> str:
        """Of the key, short enough to be read out: the first 16 bytes of its SHA-256."""
        return hashlib.sha256(self.key).hexdigest()[:32]


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
async def running(
    folder: Path,
    host: str,
    port: int,
    listen: str | None = None,
    beside: Sequence[BaseRouteHandler | Router] = (),
    refusing: http.Refusing = http.refused,
) -> AsyncIterator[Serving]:
    """A peer while the context lasts. folder: where its key is kept; port: of HTTP, 0 for any; listen: address of the
    measuring sockets, `host` if None; beside: further HTTP handlers; refusing: what none of all takes.

    Raises Unavailable where an address or the HTTP port can't be had.
    """
    sign, key = keys.load(folder)
    known = catalogue.load()
    port = _free(host, port)
    udp, tcp = wanted_ports()
    numbers = [number for number in range(FIRST_OTHER, LAST_OTHER) if number not in (*udp, *tcp, port)]
    other = secrets.SystemRandom().sample(numbers, 2 * OTHER_PORTS)
    others = {"udp": other[:OTHER_PORTS], "tcp": other[OTHER_PORTS:]}
    had: dict[str, int] = {}
    had_other: dict[str, list[int]] = {"udp": [], "tcp": []}
    with vantage.Lookup(vantage.names_of(known)) as lookup:
        settings = Settings(
            had_other,
            secrets.token_bytes,
            sign,
            key,
            had,
            resolver.system_resolver(),
            vantage.Permits(known, lookup.addresses),
        )
        driver = FarDriver(FarEnd(settings, lambda spec, seed, replays: render(spec, seed, replays, known)))
        try:
            ports = await driver.start(listen or host, [*udp, *others["udp"]], [*tcp, *others["tcp"]])
        except OSError as error:
            raise Unavailable(f"can't listen on {listen or host}: {error.strerror}") from error
        try:
            for transport, wanted, got in (("udp", udp, ports.udp), ("tcp", tcp, ports.tcp)):
                had.update({f"{transport}/{want}": got[want] for want in wanted})
                had_other[transport] += [got[want] for want in others[transport]]
            application = http.application(driver.attend, {"ports": had, "key": key.hex()}, beside, refusing)
            async with listening(application, host, port):
                yield Serving(host, port, had, ports.moved, key)
        finally:
            await driver.stop()


def _free(host: str, port: int) -> int:
    """The port, or any free one for 0: the HTTP server can't say which it got, and would share one silently."""
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            return int(probe.getsockname()[1])
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error.strerror  # without the address again
        raise Unavailable(f"can't listen on {host}, port {port}: {why}", "give another --port") from error


@contextlib.asynccontextmanager
async def listening(application: Litestar, host: str, port: int) -> AsyncIterator[None]:
    """Answers HTTP while the context lasts. Raises Unavailable where it does not come up."""
    server = Server(
        application,
        host,
        port,
        interface=Interfaces.ASGI,
        websockets=False,
        backlog=1024,
        backpressure=CONNECTIONS,
        http1_settings=HTTP1Settings(header_read_timeout=IDLE_MS),
        log_enabled=False,
    )
    before = _foreign_threads()
    task = asyncio.ensure_future(server.serve())  # noqa: TID251 - awaited below; the server has no context manager
    try:
        await _listening(host, port, task)
        yield
    finally:
        server.stop()  # type: ignore[no-untyped-call]
        done, _ = await asyncio.wait({task}, timeout=STOP_S)
        if not done:
            task.cancel()
            await asyncio.wait({task})
        await _outlive(before)


def _foreign_threads() -> set[int]:
    """Native ids of threads that Python did not start; empty where the system does not list them."""
    try:
        tasks = {int(task) for task in os.listdir("/proc/self/task")}
    except OSError:
        return set()
    return tasks - {thread.native_id for thread in threading.enumerate() if thread.native_id is not None}


async def _outlive(before: set[int]) -> None:
    """Waits until the HTTP server's own threads have ended. One that still drops its objects while the interpreter
    finalizes aborts the process (CPython's issue 87135: such a thread is killed in the middle of foreign code)."""
    for _ in range(int(STOP_S / THREADS_END_S)):
        await asyncio.sleep(THREADS_END_S)
        if not _foreign_threads() - before:
            return


async def _listening(host: str, port: int, task: "asyncio.Future[None]") -> None:
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    for _ in range(200):
        if task.done():
            await task
            break
        try:
            _, writer = await asyncio.open_connection(local, port)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        writer.close()
        return
    raise Unavailable(f"the HTTP server did not come up on {host}, port {port}")


async def serve(
    folder: Path,
    host: str,
    port: int,
    ready: Callable[[Serving], None],
    stop: asyncio.Event,
    beside: Sequence[BaseRouteHandler | Router] = (),
    refusing: http.Refusing = http.refused,
) -> None:
    """Runs a peer until `stop` is set; `ready` hears what it serves; beside, refusing: see `running`."""
    async with running(folder, host, port, beside=beside, refusing=refusing) as serving:
        gc.collect()
        gc.freeze()  # what was imported stays; without it a full collection holds the measuring sockets up for longer
        try:
            ready(serving)
            await stop.wait()
        finally:
            gc.unfreeze()  # or an engine's own modules complain, at the interpreter's end, of what was kept from them
