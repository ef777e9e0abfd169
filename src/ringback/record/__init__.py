"""What one session saw and what was concluded: the only contract between rooms.

Raw facts (`outcome`) and conclusions (`verdict`) are separate: a stored outcome can be judged again under a
newer rule set. Nothing here computes anything, and nothing of ours is imported.
"""

from ringback.record.names import (
    App,
    Arm,
    Basis,
    Cell,
    Direction,
    Function,
    Mechanism,
    NetworkState,
    Route,
    Scope,
    Status,
    Transport,
    Trigger,
    Udp,
)
from ringback.record.observation import CellCount, Observation, Point, Said, identified
from ringback.record.outcome import (
    DatagramOutcome,
    ExchangeRecord,
    ExchangeSpec,
    IcmpError,
    Lane,
    Outcome,
    Round,
    StreamOutcome,
    Try,
)
from ringback.record.verdict import (
    ClearTo,
    Cost,
    Measurement,
    NetworkRecord,
    Report,
    Truth,
    Verdict,
)

__all__ = [
    "App",
    "Arm",
    "Basis",
    "Cell",
    "CellCount",
    "ClearTo",
    "Cost",
    "DatagramOutcome",
    "Direction",
    "ExchangeRecord",
    "ExchangeSpec",
    "Function",
    "IcmpError",
    "Lane",
    "Measurement",
    "Mechanism",
    "NetworkRecord",
    "NetworkState",
    "Observation",
    "Outcome",
    "Point",
    "Report",
    "Round",
    "Route",
    "Said",
    "Scope",
    "Status",
    "StreamOutcome",
    "Transport",
    "Trigger",
    "Truth",
    "Try",
    "Udp",
    "Verdict",
    "identified",
]
