"""Exit codes, and which one counts where several apply."""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Literal

from ringback.record import Measurement

FailOn = Literal["interference"]


class Exit(IntEnum):
    """0 does not mean that all is well: a verdict was reached, whatever it says."""

    VERDICT = 0
    FAULT = 1
    USAGE = 2
    INSUFFICIENT = 3
    NO_CONSENT = 4
    DEFERRED = 5
    INTERFERENCE = 10


PRECEDENCE = (
    Exit.USAGE,
    Exit.NO_CONSENT,
    Exit.FAULT,
    Exit.INTERFERENCE,
    Exit.DEFERRED,
    Exit.INSUFFICIENT,
    Exit.VERDICT,
)


def foremost(codes: Iterable[Exit]) -> Exit:
    """The one that a process ends with. Of no codes at all: VERDICT."""
    found = set(codes)
    return next((code for code in PRECEDENCE if code in found), Exit.VERDICT)


def of_measurements(measurements: Sequence[Measurement], fail_on: FailOn | None = None) -> Exit:
    """Interference is a verdict `restricted`; no measurement at all counts as none decided."""
    statuses = {measurement.verdict.status for measurement in measurements}
    codes = {Exit.VERDICT if statuses - {"insufficient"} else Exit.INSUFFICIENT}
    if fail_on == "interference" and "restricted" in statuses:
        codes.add(Exit.INTERFERENCE)
    return foremost(codes)
