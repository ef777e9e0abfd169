"""The lake's observations in formats that others read."""

from collections.abc import Callable, Iterator
from typing import IO, Any

import msgspec
import pyarrow.parquet as pq

from ringback import __version__
from ringback.record import Observation
from ringback.store import schema
from ringback.store.queries import EVERYTHING, Selection
from ringback.store.reading import Reading

_BATCH = 50_000
_OONI_TIME = "%Y-%m-%d %H:%M:%S"
_encode = msgspec.json.Encoder().encode


def ndjson(reading: Reading, out: IO[bytes], selection: Selection = EVERYTHING) -> int:
    """One observation a line, as `record.Observation` names its fields; how many."""
    return _lines(reading, out, selection, lambda one: one)


def ooni(reading: Reading, out: IO[bytes], selection: Selection = EVERYTHING) -> int:
    """One line an observation in OONI's base data format (df-000, 0.2.0): test `ringback`, with the observation as its
    only test key. Nothing that would name a probe's address is made up: `probe_ip` is OONI's own placeholder."""
    return _lines(reading, out, selection, _as_ooni)


def parquet(reading: Reading, out: IO[bytes], selection: Selection = EVERYTHING) -> int:
    """One file with the lake's own schema; how many rows."""
    written = 0
    with pq.ParquetWriter(out, schema.COLUMNS, compression="zstd") as writer:
        for batch in _batches(reading.observations(selection)):
            writer.write_table(schema.table(batch))
            written += len(batch)
    return written


FORMATS: dict[str, Callable[[Reading, IO[bytes], Selection], int]] = {
    "ndjson": ndjson,
    "ooni": ooni,
    "parquet": parquet,
}


def _lines(reading: Reading, out: IO[bytes], selection: Selection, form: Callable[[Observation], Any]) -> int:
    written = 0
    for one in reading.observations(selection):
        out.write(_encode(form(one)) + b"\n")
        written += 1
    return written


def _as_ooni(one: Observation) -> dict[str, Any]:
    time = one.time.strftime(_OONI_TIME)
    return {
        "annotations": {"network_type": one.network_kind} if one.network_kind else {},
        "data_format_version": "0.2.0",
        "input": one.target,
        "measurement_start_time": time,
        "probe_asn": f"AS{one.asn or 0}",
        "probe_cc": one.region[:2] if one.region else "ZZ",
        "probe_ip": "127.0.0.1",
        "report_id": one.id,
        "software_name": "ringback",
        "software_version": __version__,
        "test_keys": {"observation": one},
        "test_name": "ringback",
        "test_runtime": one.seconds or 0.0,
        "test_start_time": time,
        "test_version": one.test_version or "0.0.0",
    }


def _batches(observations: Iterator[Observation]) -> Iterator[list[Observation]]:
    batch: list[Observation] = []
    for one in observations:
        batch.append(one)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
