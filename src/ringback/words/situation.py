"""Which of the tables' cases a measurement, and a whole session, falls under."""

from collections.abc import Mapping, Sequence

from ringback.record import Measurement, NetworkRecord

PARTNER_REASONS = ("partner-unreachable", "partner-lost", "no-partner")


def case(measurement: Measurement, network: NetworkRecord | None = None) -> str:
    """The key below `case` in the tables: status, and what its meaning hangs on."""
    verdict = measurement.verdict
    match verdict.status:
        case "working":
            return f"working-{verdict.scope}"
        case "restricted":
            if verdict.basis == "contrast":
                return "restricted-exit" if verdict.reason == "exit" else "restricted-contrast"
            if verdict.reason == "penalty":
                return "restricted-penalty"
            return "restricted-randomised" if verdict.hop_asn is None else "restricted-located"
        case "impaired":
            if verdict.reason == "offline" or (network is not None and network.state == "offline"):
                return "impaired-offline"
            return f"impaired-{verdict.trigger}" if verdict.trigger in ("transport", "not-listed") else "impaired-link"
        case "service-down":
            return "service-down"
        case "insufficient":
            if network is not None and network.state == "offline":
                return "insufficient-offline"
            if verdict.reason == "quick":
                return "insufficient-quick"
            if verdict.reason == "short-call":
                return "insufficient-short-call"
            return "insufficient-partner" if verdict.reason in PARTNER_REASONS else "insufficient"


LEADS: Mapping[str, tuple[str, ...]] = {
    "offline": ("impaired-offline", "insufficient-offline"),
    "not-listed": ("impaired-not-listed",),
    "restricted-located": ("restricted-located",),
    "restricted": ("restricted-randomised", "restricted-penalty"),
    "restricted-contrast": ("restricted-contrast",),
    "restricted-exit": ("restricted-exit",),
    "service-down": ("service-down",),
    "transport": ("impaired-transport",),
    "link": ("impaired-link",),
    "fine": ("working-peer", "working-app"),
}
"""What a session's summary is about: the first of these whose cases occur (but see `situation`)."""


def situation(measurements: Sequence[Measurement], network: NetworkRecord | None = None) -> str:
    """The key below `summary` in the tables."""
    if network is not None and network.state == "offline":
        return "offline"
    cases = [case(m, network) for m in measurements]
    for name, members in LEADS.items():
        if any(each in members for each in cases):
            return "fine-partly" if name == "fine" and any(c.startswith("insufficient") for c in cases) else name
    reasons = {m.verdict.reason for m in measurements}
    if reasons == {"no-partner"}:
        return "no-partner"
    if reasons in ({"quick"}, {"short-call"}):
        return str(*reasons)
    if "interrupted" in reasons:
        return "stopped"
    if "partner-lost" in reasons:
        return "partner-lost"
    return "partner" if reasons and reasons <= set(PARTNER_REASONS) else "undecided"


def leading(measurements: Sequence[Measurement], network: NetworkRecord | None = None) -> list[Measurement]:
    """The measurements that the summary's first sentence names."""
    name = situation(measurements, network)
    members = LEADS["fine"] if name == "fine-partly" else LEADS.get(name)
    if members is None:
        return list(measurements)
    return [m for m in measurements if case(m, network) in members]
