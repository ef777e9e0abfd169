"""Reports as participants send them."""

from datetime import UTC, datetime

import msgspec

from ringback.record import (
    Arm,
    Cell,
    DatagramOutcome,
    ExchangeRecord,
    ExchangeSpec,
    IcmpError,
    Lane,
    Report,
    Round,
    Try,
)
from tests.words.situations import NORMAL, measured, working

NOW = datetime(2025, 8, 13, 9, 41, 12, tzinfo=UTC)
ADDRESS = "192.0.2.77"


def report(number: int = 1, **changes: object) -> Report:
    """One that differs from those of other numbers."""
    made = Report(
        id=f"report-{number}",
        created_at="2025-08-13T09:40:00Z",
        software="ringback/0.1.0",
        consent="1",
        pseudonym="5f0c",
        network=NORMAL,
        measurements=[measured("signal", "voice", "outgoing", working("voice"))],
    )
    return msgspec.structs.replace(made, **changes)


def with_raw(**changes: object) -> Report:
    """With raw outcomes, in which the sender's address stands wherever it can."""
    refused = [IcmpError(0.1, 3, 3, ADDRESS)]
    cell = Cell("signal", "voice", "outgoing", "relay", "my employer's")
    spec = ExchangeSpec(
        1, "signal", "voice", "outgoing", "relay", "relay-call", Arm("original", "app"), "udp", 3478, 9.5
    )
    outcome = DatagramOutcome(Lane(), Lane(), icmp=refused, answers=[ADDRESS.encode()])
    exchange = ExchangeRecord(spec, 0, 0.0, outcome, local_port=40_404)
    one = Try("here", "direct", "neutral", ADDRESS, None, None, "dns", "udp", 53, 0.0, 1, 0, icmp=refused)
    raw = {"rounds": [Round(1, cell, "relay-call", 0.0, [exchange], [9.5])], "tries": [one], "notes": [ADDRESS]}
    return report(**{**raw, **changes})


def encoded(one: Report) -> bytes:
    return msgspec.json.encode(one)
