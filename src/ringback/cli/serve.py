"""`ringback serve`: the other half of the measurements, the collector of their reports, and the pages: one process."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ringback.cli.exits import Exit
from ringback.cli.folders import data_folder, lake_folder, make_private
from ringback.errors import BadInput, Unavailable

OTHERS = 0o077


def serve(
    *, data: Path | None = None, host: str = "0.0.0.0", port: int = 8080, networks: list[Path] | None = None
) -> Exit:
    """Be the partner of other people's measurements, take their reports and show what they say, until Ctrl-C.

    Listens for requests by HTTP on one port, and for exchanges on the ports that the messengers use; where one of those
    can't be had (below 1024 without the right to, or in use) another is taken and said. Reports that people
    choose to send are stripped of what could name them and added to the store.

    Parameters
    ----------
    data
        The folder of the server's key and of the store. Default: the user's data folder.
    host
        The address to listen on.
    port
        The port for HTTP.
    networks
        A MaxMind database from address to AS number, region or both; may be given several times. A report's address
        is looked up in it when it comes, and forgotten.
    """

    def ready(url: str) -> None:
        print(url, flush=True)
        print("Ctrl-C stops it.", file=sys.stderr)

    check_address(host, port)
    asyncio.run(serving(data_of(data), host, port, ready, networks or ()))
    return Exit.VERDICT


def check_address(host: str, port: int) -> None:
    """Raises BadInput for what can't be listened on because it is no port, or no address of this machine."""
    if not 0 <= port < 65536:
        raise BadInput("is a port, 1 to 65535, or 0 for any that is free", f"--port {port}")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no name of a host"
        raise BadInput(f"is no address of this machine: {why}", f"--host {host}") from error


def data_of(named: Path | None) -> Path:
    """The data folder: the user's own, or the one named. Where it is new nobody else can read it; the modes of one that
    somebody else made are theirs, and a line says what others can see. Raises Unavailable where it can't be made,
    BadInput for a file."""
    if named is None or not named.exists():
        return make_private(data_folder() if named is None else named)
    if not named.is_dir():
        raise BadInput("is no folder", f"--data {named}")
    if named.stat().st_mode & OTHERS:
        print(f"others can look into {named}: chmod go= {named}", file=sys.stderr)
    return named


async def serving(
    folder: Path, host: str, port: int, ready: Callable[[str], None], networks: Sequence[Path] = ()
) -> None:
    """Runs peer, collector and pages until Ctrl-C or being told to end; `ready` hears their address.

    Raises Unavailable where it can't, BadInput for a file among `networks` that is no database.
    """
    try:
        from ringback.collect.collector import collecting
        from ringback.peer import Serving, keys
        from ringback.peer import serve as run
        from ringback.store.receiving import receiving
        from ringback.view import Pages, refusing, router
        from ringback.view.warming import warming
    except ImportError as error:
        raise Unavailable(f"{error.name} is not installed", "pip install 'ringback[observatory]'") from error

    def up(running: Serving) -> None:
        for moved in running.moved:
            print(f"port moved: {moved}", file=sys.stderr)
        print(f"key: {running.fingerprint}", file=sys.stderr)
        ready(running.url)

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    pages = Pages.of(folder, lake_folder(folder))
    place = lake_folder(folder)
    with receiving(place, folder, {keys.load(folder)[1]}) as lake, warming(folder, place):
        async with collecting(folder, lake, networks) as collector:
            await run(folder, host, port, up, stop, [*collector, router(pages)], refusing(pages))


def free_port(host: str) -> int:
    """A TCP port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
