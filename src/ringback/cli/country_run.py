"""A country's people measure, and their reports go to a collector by HTTP, as anybody's would."""

import json
import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path

import httpx
import msgspec

from ringback.cli.folders import MARK, PRIVATE_FOLDER, data_folder, invented, lake_folder, make_private
from ringback.cli.needs import observatory
from ringback.cli.progress import progress
from ringback.errors import BadInput, Unavailable
from ringback.lab import nation as countries
from ringback.lab import recordings
from ringback.lab.nation import Nation
from ringback.record import Report
from ringback.words import Phrases

BATCH = 100  # reports of one request
PATIENCE_S = 600.0  # within which the collector hands all to the lake
AGAIN_S = 0.5


def read(path_or_name: str | Path) -> Nation:
    """A country's file. Where the pages know the country's regions, each network is in one of them: another would be on
    no map. Raises BadInput with file, line and reason."""
    with observatory():
        from ringback.view.regions import regions
    return countries.load(path_or_name, regions)


def folder_of(data: Path | None, nation: Nation) -> Path:
    """An observatory of the country's own, marked as emulated: the folder that was named, else one in the user's.
    Raises BadInput where it holds other measurements: invented people never mix with real ones, nor with those of
    another country, nor with those of the same file before it was changed."""
    folder = data_folder() / f"demo-{nation.name}" if data is None else data
    mark, own = folder / MARK, f"{nation.name}\n{nation.digest}\n"
    if (lake_folder(folder) / "observations").exists():
        written = mark.read_text("utf-8") if mark.exists() else None
        if written != own:
            raise BadInput(f"holds {_holder(invented(folder), nation)}; name another folder", f"--data {folder}")
    if data is None:
        make_private(folder)
    else:
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    mark.write_text(own, "utf-8")
    names = {str(one.asn): one.name for one in nation.providers}
    (folder / "networks.json").write_text(json.dumps(names, ensure_ascii=False), "utf-8")
    return folder


def _holder(name: str | None, nation: Nation) -> str:
    if name is None:
        return "measurements of real networks"
    return f"{name} as it was before its file was changed" if name == nation.name else f"the emulated country {name}"


def send(nation: Nation, url: str, phrases: Phrases) -> int:
    """Sends every report of the country to the collector at `url` and waits until the lake has them; how many. What
    the collector has already changes nothing. Raises Unavailable where it refuses or takes too long."""
    known = recordings.shipped()
    if known.missing(nation):
        with progress(phrases.say("page.demo.recording")) as report:
            known = recordings.completed(known, nation, tell=partial(report, "") if report else None)
    total = sum(one.participants * one.sessions for one in nation.providers) * (nation.until - nation.since) / 86_400
    sent = 0
    with progress(phrases.say("page.demo.sending")) as report, httpx.Client(base_url=url, timeout=120) as client:
        for batch in _batches(chain(recordings.opened(nation), recordings.reports(nation, known))):
            _post(client, batch)
            sent += len(batch)
            if report:
                report("", sent, max(sent, round(total)))
        _landed(client)
    return sent


def _batches(reports: Iterator[Report]) -> Iterator[Sequence[Report]]:
    while batch := list(islice(reports, BATCH)):
        yield batch


def _post(client: httpx.Client, batch: Sequence[Report]) -> None:
    body = b"\n".join(msgspec.json.encode(one) for one in batch)
    end = time.monotonic() + PATIENCE_S
    while True:
        answer = client.post("/v1/reports", content=body, headers={"content-type": "application/x-ndjson"})
        if answer.status_code == 200:
            return
        if answer.status_code not in (429, 503) or time.monotonic() > end:
            raise Unavailable(f"the collector refuses: {answer.text[:200]}")
        time.sleep(AGAIN_S)


def _landed(client: httpx.Client) -> None:
    end = time.monotonic() + PATIENCE_S
    while client.get("/v1/collector").json()["waiting_bytes"]:
        if time.monotonic() > end:
            raise Unavailable("the collector does not hand its reports to the lake")
        time.sleep(AGAIN_S)
