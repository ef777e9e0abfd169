"""An observation: one measurement after scrubbing, the row of the lake, whatever tool it came from; and cells, what
queries over many of them yield.

Nothing in it names a person: no address, no free text, a pseudonym that lives for one UTC day, a cluster key that is a
digest. `FACTS` and the conclusions are separate fields: the id is a digest of the facts alone, so that a newer rule
set judges the same observation again instead of making a second one.
"""

from datetime import datetime
from hashlib import sha256
from typing import Literal

import msgspec

from ringback.record.names import Basis, Direction, Mechanism, NetworkState, Route, Scope, Status, Trigger, Udp

SCHEMA = "ringback/observation/1"

Source = Literal["ringback", "ooni", "throttling"]
NetworkKind = Literal["mobile", "fixed", "wifi"]
Attested = Literal["known-peer", "other-peer", "failed"]


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """One (app, function, direction, route, path) on one network at one time. None: unknown, or does not apply.

    id: 32 hex digits, `identified` sets it. measurement: the source's own key of the measurement, shared by the
    observations that one measurement became. time: when it started, aware, UTC. function: `text`, `media` or `voice`;
    an import also says `web`, `registration`, `stun` or `download`, and never `voice`. target: the host tested where
    the app alone does not say it. region: ISO 3166-2, or a country (ISO 3166-1 alpha-2) where no more is known.

    attempted / failed: tries at the app's own endpoints that were made, and those of them that failed for a reason
    that a network can cause; unclear: made, and failed for another one (certificate, the device's own resolver).
    failure: the most frequent failure, an OONI failure string. test_kbps / control_kbps: goodput, kbit/s.

    pseudonym: a participant's, for one UTC day. cluster: digest of what ties observations to one probe or net.
    Numbers and intervals (`_low`, `_high`) are the verdict's, units as in `record.Verdict`.

    attested: what the peer's signature over its transcript was found to be when the report came: of a peer that the
    collector knows, of another one, or no signature of what it should sign; None where there is no transcript, or
    where nobody looked. transcript: 32 hex digits that name the transcript, where the signature holds; two reports with
    the same one are copies of one session.
    """

    schema: str = SCHEMA
    id: str = ""
    source: Source
    measurement: str | None = None
    time: datetime
    app: str
    function: str
    target: str | None = None
    direction: Direction | None = None
    route: Route | None = None
    path: str = "direct"
    asn: int | None = None
    region: str | None = None
    family: str | None = None
    network_kind: NetworkKind | None = None
    network_state: NetworkState | None = None
    udp: Udp | None = None

    attempted: int | None = None
    failed: int | None = None
    unclear: int | None = None
    failure: str | None = None
    test_kbps: float | None = None
    control_kbps: float | None = None
    second_control_kbps: float | None = None
    seconds: float | None = None
    bytes: int | None = None
    pseudonym: str | None = None
    cluster: str | None = None
    test_version: str | None = None
    software: str | None = None

    status: Status
    mechanism: Mechanism = "none"
    trigger: Trigger | None = None
    basis: Basis = "contrast"
    scope: Scope = "app"
    after_packets: int | None = None
    after_packets_low: float | None = None
    after_packets_high: float | None = None
    after_bytes: int | None = None
    after_bytes_low: float | None = None
    after_bytes_high: float | None = None
    rate_kbps: float | None = None
    rate_kbps_low: float | None = None
    rate_kbps_high: float | None = None
    loss: float | None = None
    loss_low: float | None = None
    loss_high: float | None = None
    delay_ms: float | None = None
    delay_ms_low: float | None = None
    delay_ms_high: float | None = None
    hop: int | None = None
    hop_asn: int | None = None
    mos: float | None = None
    control_mos: float | None = None
    e_value: float | None = None
    threshold: float | None = None
    e_working: float | None = None
    clear_packets: int | None = None
    clear_bytes: int | None = None
    clear_seconds: float | None = None
    bypassed_by: list[str] = []
    spillover: bool = False
    reason: str | None = None
    rules: str
    attested: Attested | None = None
    transcript: str | None = None


FIELDS = Observation.__struct_fields__
FACTS = FIELDS[FIELDS.index("source") : FIELDS.index("status")]
"""What was seen; the fields after these are what was concluded."""

_encode = msgspec.json.Encoder().encode


def identified(observation: Observation) -> Observation:
    """The same observation with its id: the first 128 bits of SHA-256 over the facts, as 32 hex digits."""
    facts = _encode([getattr(observation, name) for name in FACTS])
    return msgspec.structs.replace(observation, id=sha256(facts).hexdigest()[:32])


class CellCount(msgspec.Struct, frozen=True, kw_only=True):
    """What a query yields of one cell. keys: dimension to its value; a day is a `datetime.date`.

    n counts observations of every status. attempted and failed are sums of the graded counts. doubtful: insufficient
    ones in which tries failed, as they do where something is restricted. own: those that Ringback made.
    participants: the largest number of distinct pseudonyms on any one UTC day; visits: pseudonyms over all days, each
    day's anew.
    clusters: (restricted, decided, how many clusters have these two counts), for intervals that hold when a cluster's
    observations are alike; decided is working or restricted, and not 0. A cluster is the cluster key, else the
    pseudonym, else the observation itself. None unless asked for.
    """

    keys: dict[str, object]
    n: int
    working: int
    restricted: int
    impaired: int
    service_down: int
    insufficient: int
    attempted: int
    failed: int
    participants: int
    visits: int = 0
    doubtful: int = 0
    own: int = 0
    clusters: tuple[tuple[int, int, int], ...] | None = None


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What claims are weighed by, of one observation; fields are `Observation`'s."""

    time: datetime
    id: str
    app: str
    function: str
    path: str = "direct"
    asn: int | None = None
    region: str | None = None
    status: Status
    mechanism: Mechanism = "none"
    trigger: Trigger | None = None
    bypassed_by: list[str] = []
    cluster: str | None = None
    pseudonym: str | None = None


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One observation in a series of one (app, function, network): what a detector of change is fed, in time order."""

    time: datetime
    id: str
    status: Status
    attempted: int | None
    failed: int | None
    test_kbps: float | None
    control_kbps: float | None
    target: str | None
    region: str | None
    path: str
    cluster: str | None
    pseudonym: str | None
    source: Source
    test_version: str | None
    software: str | None
    rules: str
