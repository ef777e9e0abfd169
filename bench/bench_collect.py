"""How many reports a collector acknowledges a second, each on the disk by then, and how long the slowest 1 % wait;
beside a bare loop that appends one report to a file and syncs it, then the next.

The collector runs in a process of its own, with its lake. 64 participants send at once, one report a request and the
next when it is answered (single), or eight send 50 a request as NDJSON packed with gzip (batch): then a request waits
for all the others, and its p99 is a matter of the rate. What waits at a rate below that is told by 100 reports a second
(paced), each from the moment when it was due, however late it could be sent. A p99 is that of a request.
"""

import asyncio
import gzip
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import msgspec

from ringback.record import ClearTo, Cost, Measurement, NetworkRecord, Report, Verdict

SECONDS = 8.0
SENDERS = 64
BATCH = 50
PACE = 100.0  # reports a second
FUNCTIONS = (("text", None), ("media", None), ("voice", "outgoing"), ("voice", "incoming"))


def report(number: int) -> bytes:
    """Four apps, all functions: 16 measurements, 14 kB."""
    verdict = Verdict(status="working", e_value=0.4, threshold=32_000.0, clear_to=ClearTo(1_284, 143_000, 10.5))
    measurements = [
        Measurement(
            id=f"{app}-{function}-{direction}",
            started_at="2025-08-13T09:00:00Z",
            network="here",
            participant=0,
            asn=64_500 + number % 50,
            region="RU-MOW",
            app=app,
            function=function,
            direction=direction,
            route="relay" if direction else None,
            path="direct",
            verdict=verdict,
            cost=Cost(4.1, 210_000),
        )
        for app in ("whatsapp", "telegram", "signal", "max")
        for function, direction in FUNCTIONS
    ]
    network = NetworkRecord(network="here", participant=0, state="normal", udp="open")
    return msgspec.json.encode(
        Report(
            id=str(number),
            created_at="2025-08-13T09:00:00Z",
            software="ringback/0",
            consent="1",
            pseudonym=str(number),
            network=network,
            measurements=measurements,
        )
    )


# -- the collector ----------------------------------------------------------------------------------------------


async def serve(folder: Path, port: int) -> None:
    from ringback.collect.api import Allowance
    from ringback.collect.collector import collecting
    from ringback.peer.http import mounted
    from ringback.peer.serving import listening
    from ringback.store.receiving import receiving

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    with receiving(folder / "lake", folder) as lake:
        async with (
            collecting(folder, lake, allowance=Allowance(1e9, 1e9)) as handlers,
            listening(mounted(handlers), "127.0.0.1", port),
        ):
            print("up", flush=True)
            await stop.wait()


# -- those who send ---------------------------------------------------------------------------------------------


class Sending:
    """Requests over connections that stay open, without a client library that would cost more than the server."""

    def __init__(self, port: int, size: int, pace: float | None = None) -> None:
        self.port, self.size, self.pace = port, size, pace
        self.taken, self.rate = 0, 0.0  # reports; reports a second
        self.waits: list[float] = []
        self._number = 0

    def _request(self) -> bytes:
        first, self._number = self._number, self._number + self.size
        if self.size == 1:
            body, headers = report(first), "Content-Type: application/json"
        else:
            lines = b"\n".join(report(first + i) for i in range(self.size))
            body = gzip.compress(lines, 1)
            headers = "Content-Type: application/x-ndjson\r\nContent-Encoding: gzip"
        head = f"POST /v1/reports HTTP/1.1\r\nHost: x\r\n{headers}\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

    async def _one(self, until: float, due: float, step: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        while max(due, perf_counter()) < until:
            request = self._request()
            if step:
                await asyncio.sleep(due - perf_counter())
            began = due if step else perf_counter()
            due += step
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            self.waits.append(perf_counter() - began)
            taken = body.count(b'"accepted"')
            if taken != self.size:
                raise RuntimeError(f"not acknowledged: {head!r} {body[:300]!r}")
            self.taken += taken
        writer.close()

    async def run(self, senders: int) -> None:
        began = perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(senders):
                due, step = (began + number / self.pace, senders / self.pace) if self.pace else (began, 0.0)
                group.create_task(self._one(began + SECONDS, due, step))
        self.rate = self.taken / (perf_counter() - began)


def measured(size: int, senders: int, pace: float | None = None) -> Sending:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        command = [sys.executable, "-m", "bench.bench_collect", folder, str(port)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                process.stdout.readline()
                sending = Sending(port, size, pace)
                asyncio.run(sending.run(senders))
            except BaseException as error:
                if (code := process.poll()) is not None:  # then it is no fault of a connection
                    raise RuntimeError(f"the collector ended with {code}") from error
                raise
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait()
    return sending


def bare() -> tuple[float, list[float]]:
    """(reports a second, seconds each) of an append and a sync for each report."""
    waits: list[float] = []
    with tempfile.NamedTemporaryFile(dir=Path.cwd()) as file:
        began = perf_counter()
        while perf_counter() < began + SECONDS:
            body = report(len(waits))
            at = perf_counter()
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
            waits.append(perf_counter() - at)
        return len(waits) / (perf_counter() - began), waits


def _p99(waits: list[float]) -> float:
    return 1000 * sorted(waits)[int(0.99 * len(waits))]


def _row(name: str, value: float, unit: str, peer: float) -> dict[str, object]:
    return {
        "name": name,
        "value": round(value, 2),
        "unit": unit,
        "peer": "append and fsync, one report at a time",
        "peer_value": round(peer, 2),
        "ratio": round(value / peer, 3),
    }


def run() -> Iterator[dict[str, object]]:
    rate, waits = bare()
    for name, size, senders in (("single", 1, SENDERS), ("batch", BATCH, 8)):
        found = measured(size, senders)
        yield _row(f"collect.{name}.reports", found.rate, "reports/s", rate)
        yield _row(f"collect.{name}.p99", _p99(found.waits), "ms", _p99(waits))
    paced = measured(1, SENDERS, PACE)
    if paced.rate < 0.9 * PACE:
        raise RuntimeError(f"{PACE:.0f} reports a second can't be taken here: {paced.rate:.0f} were")
    yield _row("collect.paced.p99", _p99(paced.waits), "ms", _p99(waits))


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
