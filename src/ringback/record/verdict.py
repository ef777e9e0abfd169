"""Conclusions and the records that carry them (contracts.md, "A measurement")."""

import msgspec

from ringback.record.names import Basis, Mechanism, NetworkState, Scope, Status, Trigger, Udp
from ringback.record.outcome import Round, Try

Interval = tuple[float, float]

RULES = "1"  # version of the verdict rule set


class ClearTo(msgspec.Struct, frozen=True):
    """How far no cut-off was seen in one exchange: packets both ways together, IP payload bytes, seconds."""

    packets: int
    bytes: int
    seconds: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    status: Status
    scope: Scope = "peer"
    basis: Basis = "randomised"
    mechanism: Mechanism = "none"
    trigger: Trigger | None = None
    after_packets: int | None = None
    after_packets_interval: Interval | None = None
    after_bytes: int | None = None
    after_bytes_interval: Interval | None = None
    rate_kbps: float | None = None
    rate_kbps_interval: Interval | None = None
    loss: float | None = None
    loss_interval: Interval | None = None
    delay_ms: float | None = None
    delay_ms_interval: Interval | None = None
    hop: int | None = None
    hop_asn: int | None = None
    mos: float | None = None
    control_mos: float | None = None
    e_value: float | None = None
    threshold: float | None = None
    e_working: float | None = None
    clear_to: ClearTo | None = None
    bypassed_by: list[str] = []
    spillover: bool = False  # controls fall silent after originals ran: reported beside a verdict, and accuses nobody
    reason: str | None = None  # one token from words' table, why this status (for people)
    rules: str = RULES


class Cost(msgspec.Struct, frozen=True):
    seconds: float
    bytes: int


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What a scenario makes true of a cell; lab output only."""

    status: Status
    mechanism: Mechanism = "none"
    trigger: Trigger | None = None
    hop: int | None = None
    hop_asn: int | None = None
    after_packets: int | None = None
    after_bytes: int | None = None
    rate_kbps: float | None = None
    loss: float | None = None
    delay_ms: float | None = None
    scored: bool = True


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    schema: str = "ringback/measurement/1"
    id: str
    started_at: str
    network: str
    participant: int
    asn: int | None
    region: str | None
    family: str = "ipv4"
    app: str
    function: str
    direction: str | None
    route: str | None
    path: str
    verdict: Verdict
    cost: Cost
    truth: Truth | msgspec.UnsetType = msgspec.UNSET


class NetworkRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Closes a participant's measurements."""

    schema: str = "ringback/network/1"
    network: str
    participant: int
    state: NetworkState
    udp: Udp


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One session's measurements with their raw outcomes, as stored in the results folder and uploaded.

    pseudonym: random, lives one UTC day, never reused. transcript: the peer's digests of what it saw, one a round,
    hex SHA-256; signature: the peer's Ed25519 signature over them, hex; peer_key: its public key, hex. open:
    the sender chose to publish rounds and tries as well.
    """

    schema: str = "ringback/report/1"
    id: str
    created_at: str
    software: str
    consent: str | None
    pseudonym: str | None
    network: NetworkRecord
    measurements: list[Measurement]
    rounds: list[Round] = []
    tries: list[Try] = []
    transcript: list[str] = []
    signature: str | None = None
    peer_key: str | None = None
    notes: list[str] = []
    open: bool = False
