"""Raw outcomes: what was sent and what arrived, with times, and nothing concluded.

All times are seconds as float. `Round.epoch` ties them to the session's clock; times in a lane are in the clock of
the end that took them (near end's `sent` of the outward lane, far end's `received`), relative to that end's session
epoch; the offset between the two clocks is unknown and common to a round.
"""

from typing import Literal

import msgspec

from ringback.record.names import Arm, Cell, Transport


class Lane(msgspec.Struct):
    """One direction of a datagram exchange, index-aligned with the script's packets of that direction.

    scheduled: seconds after the exchange's start at which the script wants each packet sent.
    sizes: UDP payload bytes. sent / received: sender's / receiver's clock, None where it never was.
    """

    scheduled: list[float] = []
    sizes: list[int] = []
    sent: list[float | None] = []
    received: list[float | None] = []
    duplicates: int = 0
    corrupted: int = 0  # arrived on this flow, but equal to no packet of the script


class IcmpError(msgspec.Struct, frozen=True):
    """An ICMP error tied to a flow: when (clock of the end that it came to), RFC 792 type and code, and who sent it."""

    at: float
    type: int
    code: int
    source: str | None = None


class DatagramOutcome(msgspec.Struct, tag="datagram"):
    """A UDP exchange: `outward` from the participant, `inward` towards the participant.

    `answers` holds inward packets that equal no packet of the script, first 512 bytes each, at most 4 (a forged DNS
    answer, say). icmp came to the near end, far_icmp to the far one: packets that are refused on their way in are
    answered to who sent them. `partner` is `lost` when the far half's record never came: then outward.received and
    inward.sent are unknown and all None.
    """

    outward: Lane
    inward: Lane
    icmp: list[IcmpError] = []
    answers: list[bytes] = []
    partner: Literal["reported", "lost"] = "reported"
    far_icmp: list[IcmpError] = []


class StreamOutcome(msgspec.Struct, tag="stream"):
    """A TCP exchange seen from the near end, with the far end's byte counts where it reported.

    Times are seconds after the exchange's start. `failure` is an OONI failure string (`connection_reset`,
    `connection_refused`, `generic_timeout_error`, `host_unreachable`, `eof_error`) or None when all bytes came.
    `arrivals` are (seconds, cumulative bytes delivered to the near application); `up_received` what the far
    application was given, and `up_arrivals` when: (seconds after its first byte, cumulative bytes), which came at
    `up_first` on the far end's clock. up_last, down_last: bytes of either end's last turn, in media the upload and then
    the download. icmp, far_icmp: errors that came to either end for it. One that comes while connecting ends the try;
    later ones end nothing (RFC 1122, 4.2.3.9).
    """

    connected: float | None = None
    failure: str | None = None
    failed_at: float | None = None
    finished: float | None = None
    up_expected: int = 0
    up_received: int | None = None
    down_expected: int = 0
    arrivals: list[tuple[float, int]] = []
    unexpected: bool = False  # delivered bytes that differ from the script's
    partner: Literal["reported", "lost"] = "reported"
    icmp: list[IcmpError] = []
    far_icmp: list[IcmpError] = []
    up_last: int = 0
    down_last: int = 0
    up_arrivals: list[tuple[float, int]] = []
    up_first: float | None = None

    @property
    def down_received(self) -> int:
        return self.arrivals[-1][1] if self.arrivals else 0


Outcome = DatagramOutcome | StreamOutcome


class ExchangeSpec(msgspec.Struct, frozen=True):
    """What an exchange is, before it is rendered to bytes. Both ends render the same script from it and the seed.

    form names the flow (catalogue's word: `relay-call`, `noise`, `tls`, `dns`, `obfuscated`, `replay`...).
    port is the peer's port. number is unique within a session. seconds bounds a call; size is the download in bytes,
    upload what is sent before it.
    """

    number: int
    app: str
    function: str
    direction: str | None
    route: str | None
    form: str
    arm: Arm
    transport: Transport
    port: int
    seconds: float
    size: int = 0
    replay: str | None = None  # digest of a replayed capture exchange
    upload: int = 0


class ExchangeRecord(msgspec.Struct):
    """An exchange as it ran: its label (revealed after the round), when it started, and its raw outcome."""

    spec: ExchangeSpec
    slot: int
    started_at: float
    outcome: Outcome
    local_port: int | None = None
    ttl: int | None = None


class Round(msgspec.Struct):
    """Originals and controls run together. `checkpoints`: seconds after each exchange's start at which it is read.

    drawn: within what the labels were drawn, and so may be exchanged: `arms`, payloads over all exchanges of a port and
    ports over all of a payload; `pairs`, both within each pair of exchanges (slots 0 and 1, 2 and 3, ...); `slot`, the
    one exchange that differs from all others, over all slots but so many first and last ones (`margins`).
    read_to: None when every checkpoint was reached; else the last checkpoint read before the round was stopped:
    later ones were never looked at and carry no evidence either way.
    """

    number: int
    cell: Cell
    form: str
    epoch: float
    exchanges: list[ExchangeRecord]
    checkpoints: list[float]
    kind: Literal["trial", "locate", "confirm"] = "trial"
    partner: Literal["reported", "lost"] = "reported"
    read_to: float | None = None
    drawn: Literal["arms", "pairs", "slot"] = "arms"
    margins: tuple[int, int] = (0, 0)


class Try(msgspec.Struct):
    """One attempt at a host that is not under our script (contrast): who tried what, and what came back.

    where: `here` (the participant) or `vantage`. kind: `neutral`, `app`, `peer`, `site`. step: how far it went.
    sent / answered count requests and answers (a ping train counts each ping; a connect counts one).
    answered_indices lists which pings of a train were answered, so that a cut-off shows; rtts_ms: their round trips,
    in the same order. every_ms: between two pings; size, least: IP bytes of the larger and of the smaller of ping and
    answer (least: 0 where none came). rtt_ms: the median, or how long a connect took. damaged: what came back and can't
    have been sent so. Of a stream: first_ms and flight_ms from connect to first byte and whole of the server's first
    flight; through: what was said after it was met by an end or an answer, end_ms later; received: bytes that came.
    """

    where: Literal["here", "vantage"]
    path: str
    kind: Literal["neutral", "app", "peer", "site"]
    target: str
    app: str | None
    function: str | None
    form: str
    transport: Transport
    port: int
    started_at: float
    sent: int
    answered: int
    failure: str | None = None
    rtt_ms: float | None = None
    answered_indices: list[int] = []
    icmp: list[IcmpError] = []
    rtts_ms: list[float] = []
    every_ms: float | None = None
    size: int = 0
    damaged: int = 0
    first_ms: float | None = None
    flight_ms: float | None = None
    end_ms: float | None = None
    through: bool = False
    received: int = 0
    least: int = 0
