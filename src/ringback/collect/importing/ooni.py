"""OONI measurements in JSON: one object, a list of them, or one a line (JSONL).

Source: OONI's specification, df-000 (base data format) and the test specifications named beside each test. OONI's
data is CC BY-NC-SA 4.0. Verdicts are this project's, from the raw keys.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import msgspec

from ringback.collect.importing import ooni_messengers as messengers
from ringback.collect.importing import ooni_web, scrubbing
from ringback.collect.importing.files import LINE, lines
from ringback.collect.importing.ooni_messengers import Tested
from ringback.collect.importing.ooni_shapes import Measurement, TestKeys
from ringback.collect.importing.outcome import Kept, Read, Refused
from ringback.collect.importing.ringback import again
from ringback.collect.importing.tries import Conclusion, Counts, conclude
from ringback.record import Observation, identified
from ringback.record.observation import NetworkKind

RULES = "import-1"  # version of these rules; raw files are kept, so that a later one can judge them again

TESTS = {
    "telegram": ("telegram", messengers.telegram),
    "whatsapp": ("whatsapp", messengers.whatsapp),
    "signal": ("signal", messengers.signal),
    "facebook_messenger": ("facebook-messenger", messengers.facebook_messenger),
}
"""Test name to (app, how its tries are counted)."""
_KINDS: dict[str, NetworkKind] = {"wifi": "wifi", "mobile": "mobile", "wired_ethernet": "fixed", "fixed": "fixed"}
OTHERS = frozenset({"web_connectivity", "stun_reachability", "ringback"})


class _Exported(msgspec.Struct):
    observation: Observation


_exported = msgspec.json.Decoder(_Exported)
_measurement = msgspec.json.Decoder(Measurement)
_test_keys = msgspec.json.Decoder(TestKeys)
_HALF_SURROGATES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def read(stream: IO[bytes], file: Path) -> Iterator[Read]:
    """Every measurement of a file, or why it is refused. file: for the place that a refusal names."""
    source = lines(stream)
    for number, line in source:
        where = f"{file}:{number}"
        if isinstance(line, str):
            yield Refused(line, where)
        elif number == 1 and not _complete(line):
            yield from _spread(line, source, file)
        elif line.startswith(b"["):
            yield from _listed(line, where)
        else:
            yield measurement(line, where)


def _complete(line: bytes) -> bool:
    """Is this a whole JSON value? A first line that is not may begin an object spread over many lines."""
    return not line.startswith((b"{", b"[")) or line.endswith((b"}", b"]"))


def _spread(first: bytes, rest: Iterator[tuple[int, bytes | str]], file: Path) -> Iterator[Read]:
    """A file of one value on many lines; where that is none, each line for itself. After a bracket alone on its line
    what is no record is a piece of that value, which is refused once."""
    pieces, size = [(1, first)], len(first)
    for number, line in rest:
        if isinstance(line, str):
            yield Refused(line, f"{file}:{number}")
            continue
        pieces.append((number, line))
        size += len(line)
        if size > LINE:
            break
    whole = b"\n".join(piece for _, piece in pieces)
    if size <= LINE and not (
        isinstance(found := measurement(whole, f"{file}:1"), Refused) and found.reason == "not-json"
    ):
        yield from _listed(whole, f"{file}:1") if whole.startswith(b"[") else [found]
        return
    alone = first in (b"{", b"[")
    for number, piece in pieces:
        found = measurement(piece, f"{file}:{number}")
        if number == 1 or not (alone and isinstance(found, Refused)):
            yield found
    for number, line in rest:
        yield Refused(line, f"{file}:{number}") if isinstance(line, str) else measurement(line, f"{file}:{number}")


def _listed(line: bytes, where: str) -> Iterator[Read]:
    try:
        records = msgspec.json.decode(_mended(line), type=list[msgspec.Raw])
    except RecursionError:
        yield Refused("too-deep", where)
    except msgspec.DecodeError:
        yield Refused("not-json", where)
    else:
        for index, record in enumerate(records):
            yield measurement(bytes(record), f"{where}[{index}]")


def measurement(line: bytes, where: str) -> Read:
    """One measurement from its JSON text."""
    try:
        return _from(_measurement.decode(line), where)
    except msgspec.ValidationError:
        return Refused("bad-shape" if line.lstrip()[:1] == b"{" else "not-an-object", where)
    except RecursionError:
        return Refused("too-deep", where)
    except (msgspec.DecodeError, UnicodeDecodeError):
        mended = _mended(line)
        return Refused("not-json", where) if mended == line else measurement(mended, where)


def _mended(line: bytes) -> bytes:
    """Half surrogates and bytes that are no UTF-8, which stand in the bodies of pages, become the replacement mark."""
    whole = _HALF_SURROGATES.sub(lambda found: rb"\ufffd" if found[1] else found[0], line)
    return whole.decode("utf-8", "replace").encode("utf-8")


def _from(record: Measurement, where: str) -> Read:
    name = record.test_name
    if not isinstance(name, str) or not name:
        return Refused("no-test-name", where)
    if name not in TESTS and name not in OTHERS:
        return Refused("other-test", where)
    time = scrubbing.time(record.measurement_start_time) or scrubbing.time(record.test_start_time)
    if time is None:
        return Refused("no-time", where)
    raw = bytes(record.test_keys)
    if raw.translate(None, b" \t\r\n") in (b"", b"null", b"{}"):
        return Refused("no-test-keys", where)
    if name == "ringback":  # what `export ooni` wrote
        return again(_exported.decode(raw).observation, where)
    keys = _test_keys.decode(raw)
    base = _base(record, time)
    if name == "web_connectivity":
        return Kept((_site(record, keys, base),))
    if name == "stun_reachability":
        app, tested = "stun", messengers.stun_reachability(keys, _target(record.input))
    else:
        app, count = TESTS[name]
        tested = count(keys)
    observations = tuple(
        observation(base, app, one, counts)
        for one in tested
        if (counts := one.tries.counts()).attempted or counts.unclear
    )
    return Kept(observations) if observations else Refused("nothing-tried", where)


def observation(base: Observation, app: str, tested: Tested, counts: Counts) -> Observation:
    """One function's tries as an observation. base: what the measurement's functions have in common."""
    said = conclude(counts, tested.need, tested.trigger)
    return _concluded(base, app, tested.function, tested.target, counts, said)


def _concluded(
    base: Observation, app: str, function: str, target: str | None, counts: Counts, said: Conclusion
) -> Observation:
    return identified(
        msgspec.structs.replace(
            base,
            app=app,
            function=function,
            target=target,
            attempted=counts.attempted,
            failed=counts.failed,
            unclear=counts.unclear,
            failure=counts.failure,
            status=said.status,
            mechanism=said.mechanism,
            trigger=said.trigger,
            reason=said.reason,
        )
    )


def _site(record: Measurement, keys: TestKeys, base: Observation) -> Observation:
    """A site is one try against its control: failed, or not, or unclear."""
    target = _target(record.input)
    said, failure = ooni_web.judge(keys, target)
    failed = said.status == "restricted" or said.reason == "few-tries"
    clear = failed or said.status == "working"
    counts = Counts(attempted=int(clear), failed=int(failed), unclear=int(not clear), failure=scrubbing.text(failure))
    return _concluded(base, "web", "web", target, counts, said)


def _target(url: object) -> str | None:
    """Host, and port where it is named, of a URL; nothing of its path, which may name a person."""
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url[:2048])
        named = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    except ValueError:
        return None
    return scrubbing.host(named)


def _base(record: Measurement, time: datetime) -> Observation:
    annotations = record.annotations if isinstance(record.annotations, dict) else {}
    software = [scrubbing.token(one) for one in (record.software_name, record.software_version)]
    return base(
        time=time,
        report=record.report_id,
        url=record.input,
        asn=record.probe_asn,
        country=record.probe_cc,
        network_type=annotations.get("network_type"),
        probe=record.probe_id,
        version=record.test_version,
        software=" ".join(one for one in software if one) or None,
    )


def base(
    *,
    time: datetime,
    report: object,
    url: object,
    asn: object,
    country: object,
    network_type: object,
    probe: object,
    version: object,
    software: str | None,
) -> Observation:
    """What one measurement's observations have in common, as JSON and tables alike give it.

    A probe whose traffic went through a VPN is not filed under its network: its path is `vpn`. Its cluster is the
    probe, where it names itself, else the report: one run of one probe.
    """
    key = scrubbing.token(report, scrubbing.KEY)
    if key is not None and isinstance(url, str):
        key += "." + (scrubbing.digest(url, "url") or "")
    return Observation(
        source="ooni",
        measurement=key,
        time=time,
        app="",
        function="",
        path="vpn" if network_type == "vpn" else "direct",
        asn=scrubbing.asn(asn),
        region=scrubbing.country(country),
        network_kind=_KINDS.get(network_type) if isinstance(network_type, str) else None,
        cluster=scrubbing.digest(probe, "probe") or scrubbing.digest(report, "report"),
        test_version=scrubbing.token(version),
        software=software,
        status="insufficient",
        rules=RULES,
    )
