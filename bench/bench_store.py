"""The overview's queries on five million observations, a year of a country's reports: how long, how much memory; and
the overview's page of them: how long a view takes, how many bytes it transfers.

The lake is made anew from a seed, in a folder that goes away. The first time a question is put its summary
is made, then it is kept. A machine with other work makes all of it wait, so the processor's time is told beside.
BENCH_STORE_ROWS makes a smaller lake.
"""

import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from litestar.testing import TestClient

from ringback.store import Lake, Reading, Selection, manifest, schema
from ringback.view import Pages, application
from ringback.view.application import STATIC

ROWS = int(os.environ.get("BENCH_STORE_ROWS", "5000000"))
DAYS = 365
FIRST = date(2025, 8, 1)
REPEATS = 8
TARGET_MS, TARGET_MB, TARGET_KB = 300.0, 2048.0, 150.0
APPS = ("whatsapp", "telegram", "signal", "max")
CELLS = [
    (app, *rest)
    for app in APPS
    for rest in (("text", None), ("media", None), ("voice", "outgoing"), ("voice", "incoming"))
]
NETWORKS, REGIONS = 120, 83
QUERIES: dict[str, tuple[list[str], Selection, bool]] = {
    "app, function": (["app", "function"], Selection(), False),
    "region of one function": (["region"], Selection(app=["whatsapp"], function=["voice"]), True),
    "asn of one function": (["asn"], Selection(app=["telegram"], function=["voice"]), True),
    "app, function, region of a month": (
        ["app", "function", "region"],
        Selection(since=FIRST + timedelta(days=300), until=FIRST + timedelta(days=330)),
        True,
    ),
    "day of one network": (["app", "function", "day"], Selection(asn=[64512 + 7]), False),
}


def day(number: int, rows: int, random: np.random.Generator) -> pa.Table:
    """A day's reports, each of all cells, from one network; a tenth of the networks restricts voice."""
    reports = rows // len(CELLS) + 1
    who = np.repeat(np.arange(reports), len(CELLS))[:rows]
    cell = np.tile(np.arange(len(CELLS)), reports)[:rows]
    network = (random.pareto(1.2, reports) * 8).astype(int)[who] % NETWORKS
    region = (network * 7 + random.integers(0, 5, reports)[who]) % REGIONS
    voice = cell % 4 >= 2
    restricted = voice & (network % 10 == 0) & (random.random(rows) < 0.9)
    status = np.where(restricted, "restricted", np.where(random.random(rows) < 0.1, "insufficient", "working"))
    seconds = np.sort(random.integers(0, 86_400, rows))
    start = datetime.combine(FIRST + timedelta(days=number), datetime.min.time(), UTC)
    ids = [random.bytes(16).hex() for _ in range(rows)]
    people = np.array([random.bytes(8).hex() for _ in range(reports)])[who]
    given: dict[str, Any] = {
        "schema": pa.array(["ringback/observation/1"] * rows),
        "id": pa.array(ids),
        "source": pa.array(["ringback"] * rows),
        "measurement": pa.array(ids),
        "time": pa.array(np.datetime64(start.replace(tzinfo=None), "us") + seconds.astype("timedelta64[s]")).cast(
            pa.timestamp("us", tz="UTC")
        ),
        "app": pa.array(np.array([c[0] for c in CELLS])[cell]),
        "function": pa.array(np.array([c[1] for c in CELLS])[cell]),
        "direction": pa.array([CELLS[i][2] for i in cell]),
        "path": pa.array(["direct"] * rows),
        "asn": pa.array(64512 + network),
        "region": pa.array(np.char.add("RU-", region.astype(str))),
        "attempted": pa.array((status != "insufficient").astype(np.int64)),
        "failed": pa.array(restricted.astype(np.int64)),
        "pseudonym": pa.array(people),
        "status": pa.array(status),
        "mechanism": pa.array(np.where(restricted, "drop", "none")),
        "basis": pa.array(["randomised"] * rows),
        "scope": pa.array(["peer"] * rows),
        "e_value": pa.array(random.pareto(1.0, rows)),
        "rules": pa.array(["1"] * rows),
        "day": pa.array([start.date()] * rows, pa.date32()),
    }
    columns = [given[f.name].cast(f.type) if f.name in given else pa.nulls(rows, f.type) for f in schema.COLUMNS]
    return pa.Table.from_arrays(columns, schema=schema.COLUMNS)


def made(folder: Path, rows: int, seed: int = 1) -> Lake:
    """A lake of so many rows, spread over a year."""
    random = np.random.default_rng(seed)
    listed = manifest.Manifest()
    for number in range(DAYS):
        table = day(number, rows // DAYS + (number < rows % DAYS), random)
        packed = BytesIO()
        pq.write_table(table, packed, compression="zstd")
        content = packed.getvalue()
        digest = sha256(content).hexdigest()
        when = (FIRST + timedelta(days=number)).isoformat()
        path = f"observations/date={when}/{digest[:24]}.parquet"
        manifest.write(folder / path, content)
        listed.parts[path] = manifest.Part(when, table.num_rows, len(content), digest, False)
    manifest.save(folder, listed)
    return Lake(folder)


def run() -> Iterator[dict[str, object]]:
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as folder:
        lake = made(Path(folder) / "lake", ROWS)
        rows = f"{ROWS:,} observations"
        took: list[tuple[float, float]] = []
        for name, question in QUERIES.items():
            first, _ = _timed(partial(_asked, lake, *question))
            yield _row(f"store: {name}, {rows}, first time", round(first, 1), "ms", None)
            took += [_timed(partial(_asked, lake, *question)) for _ in range(REPEATS)]
        wall, busy = (round(float(value), 1) for value in np.percentile(took, 95, axis=0))
        yield _row(f"store: overview queries, {rows}, p95", wall, "ms", TARGET_MS)
        yield _row(f"store: overview queries, {rows}, p95 of the processor's time", busy, "ms", None)
        yield from _page(lake, rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield _row("store: largest memory of the process", round(peak, 1), "MB", TARGET_MB)


def _page(lake: Lake, rows: str) -> Iterator[dict[str, object]]:
    """The overview, as a browser gets it by plain HTTP: everything that it loads, packed by gzip; and what that is
    unpacked."""
    with TestClient(application(Pages.of(lake.folder.parent, lake.folder))) as client:

        def view() -> tuple[int, int]:
            asked = ["/en/", *(f"/static/{name}" for name in STATIC)]
            answers = [client.get(each, headers={"Accept-Encoding": "gzip"}) for each in asked]
            return sum(int(each.headers["content-length"]) for each in answers), sum(len(a.content) for a in answers)

        sizes: list[tuple[int, int]] = []
        for which in ("first view", "view again"):
            wall, busy = _timed(lambda: sizes.append(view()))
            yield _row(f"store: overview page, {rows}, {which}", round(wall, 1), "ms", None)
            yield _row(f"store: overview page, {rows}, {which}, processor's time", round(busy, 1), "ms", None)
        yield _row(f"store: overview page, {rows}, transferred", round(sizes[-1][0] / 1000, 1), "kB", TARGET_KB)
        yield _row(f"store: overview page, {rows}, unpacked", round(sizes[-1][1] / 1000, 1), "kB", None)


def _asked(lake: Lake, by: list[str], selection: Selection, clustered: bool) -> None:
    """One question, put to the lake as the first one of a page."""
    Reading(lake).cells(by, selection, clustered=clustered)


def _timed(doing: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds that passed, and those that this process had a processor."""
    wall, busy = time.perf_counter(), time.process_time()
    doing()
    return (time.perf_counter() - wall) * 1000, (time.process_time() - busy) * 1000


def _row(name: str, value: float, unit: str, target: float | None) -> dict[str, object]:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "peer": None if target is None else "target (at most)",
        "peer_value": target,
        "ratio": None if target is None else round(value / target, 3),
    }
