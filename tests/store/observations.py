"""Observations for the store's tests: a working voice call, but for what a test is about."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from ringback.record import Observation, identified

START = datetime(2025, 8, 13, 9, tzinfo=UTC)


def seen(number: int = 0, *, hours: float = 0.0, **more: Any) -> Observation:
    given: dict[str, Any] = {
        "source": "ringback",
        "measurement": f"m-{number}",
        "time": START + timedelta(hours=hours),
        "app": "whatsapp",
        "function": "voice",
        "direction": "outgoing",
        "route": "relay",
        "asn": 64500,
        "region": "RU-MOW",
        "attempted": 1,
        "failed": 0,
        "status": "working",
        "rules": "1",
    }
    return identified(msgspec.convert(given | more, Observation))
