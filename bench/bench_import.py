"""OONI's measurements to observations, beside reading the same files with the standard library's JSON and no more.

With the real samples where they are (RINGBACK_REALDATA), else with made ones of the same size.
"""

import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ringback.collect.importing import Kept, ooni
from tests.collect.records import line, site, telegram
from tests.conftest import realdata_directory

SECONDS = 2.0
TARGET = 1 / 3


def samples() -> list[bytes]:
    """One measurement a line."""
    folder = realdata_directory() / "ooni"
    real = [one.read_bytes() for one in sorted(folder.glob("*/*.json"))] if folder.is_dir() else []
    whole = [json.dumps(json.loads(data)).encode() for data in real]
    kept = [data for data in whole if isinstance(ooni.measurement(data, "bench"), Kept)]
    page = "<title>A site</title>" + "x" * 20_000
    return kept or [line("telegram", telegram(n)) for n in range(13)] + [line("web_connectivity", site(page=page))]


def run() -> Iterator[dict[str, object]]:
    data = samples()
    whole = b"\n".join(data)

    def ours() -> int:
        return sum(isinstance(one, Kept) for one in ooni.read(io.BytesIO(whole), Path("bench")))

    def theirs() -> int:
        return len([json.loads(one) for one in whole.splitlines()])

    mine, other = _rate(ours), _rate(theirs)
    yield {
        "name": f"import: OONI measurements, {len(data)} files, one core (at least {TARGET:.2f} of the peer)",
        "value": round(mine, 1),
        "unit": "measurements/s",
        "peer": "json.loads alone",
        "peer_value": round(other, 1),
        "ratio": round(mine / other, 3),
    }


def _rate(work: Callable[[], int]) -> float:
    """Measurements a second, by the processor's time."""
    done, start = 0, time.process_time()
    while (spent := time.process_time() - start) < SECONDS:
        done += work()
    return done / spent
