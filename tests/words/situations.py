"""Sessions on six kinds of network, as the records that a reader of the golden outputs would have measured."""

from collections.abc import Sequence

from ringback.record import ClearTo, Cost, Measurement, NetworkRecord, Verdict

APPS = ("whatsapp", "telegram", "signal", "max")
ROWS: tuple[tuple[str, str | None], ...] = (
    ("text", None),
    ("media", None),
    ("voice", "outgoing"),
    ("voice", "incoming"),
)
CLEAR = {
    "text": ClearTo(packets=24, bytes=6_200, seconds=0.4),
    "media": ClearTo(packets=310, bytes=212_000, seconds=1.1),
    "voice": ClearTo(packets=1_284, bytes=143_000, seconds=10.5),
}


def working(function: str, scope: str = "peer") -> Verdict:
    return Verdict(status="working", scope=scope, e_value=0.4, threshold=32_000.0, clear_to=CLEAR[function])  # type: ignore[arg-type]


CUT = Verdict(
    status="restricted",
    mechanism="drop-after",
    trigger="payload",
    after_packets=25,
    after_packets_interval=(24, 26),
    mos=1.0,
    control_mos=4.3,
    e_value=61_000.0,
    threshold=32_000.0,
    bypassed_by=["vpn"],
)
GURGLING = Verdict(
    status="restricted",
    mechanism="loss",
    trigger="payload",
    loss=0.346,
    loss_interval=(0.31, 0.38),
    mos=1.2,
    control_mos=4.2,
    e_value=90_000.0,
    threshold=32_000.0,
    bypassed_by=["vpn"],
)
POOR = Verdict(status="impaired", mos=1.4, control_mos=1.5)
UNLISTED = Verdict(status="impaired", trigger="not-listed", basis="contrast", mechanism="drop")
DOWN = Verdict(status="service-down", scope="app", basis="contrast")
ALONE = Verdict(status="insufficient", reason="partner-unreachable")


def measured(app: str, function: str, direction: str | None, verdict: Verdict, path: str = "direct") -> Measurement:
    return Measurement(
        id="-".join(filter(None, (app, function, direction, path))),
        started_at="2025-08-13T09:00:00Z",
        network="here",
        participant=0,
        asn=None,
        region=None,
        app=app,
        function=function,
        direction=direction,
        route="relay" if function == "voice" else None,
        path=path,
        verdict=verdict,
        cost=Cost(seconds=4.1, bytes=210_000),
    )


def session(*overrides: tuple[str, str, Verdict], apps: Sequence[str] = APPS) -> list[Measurement]:
    """Every cell working, but for the (app, function) given; `*` is any."""
    found = []
    for app in apps:
        for function, direction in ROWS:
            verdict = working(function)
            for which, what, other in overrides:
                if which in (app, "*") and what in (function, "*"):
                    verdict = other
            found.append(measured(app, function, direction, verdict))
    return found


NORMAL = NetworkRecord(network="here", participant=0, state="normal", udp="open")
WHITELIST = NetworkRecord(network="here", participant=0, state="whitelist", udp="limited")

CALLS_CUT = [
    *session(("whatsapp", "voice", CUT), ("telegram", "voice", GURGLING)),
    *[
        measured(app, "voice", direction, working("voice"), "vpn")
        for app in ("whatsapp", "telegram")
        for direction in ("outgoing", "incoming")
    ],
]

SITUATIONS: dict[str, tuple[list[Measurement], NetworkRecord]] = {
    "all-fine": (session(), NORMAL),
    "calls-cut": (CALLS_CUT, NORMAL),
    "poor-link": (session(("*", "voice", POOR), ("*", "media", POOR)), NORMAL),
    "white-list": (session(*[(app, "*", UNLISTED) for app in APPS if app != "max"]), WHITELIST),
    "service-down": (session(("signal", "*", DOWN)), NORMAL),
    "partner-unreachable": (session(("*", "*", ALONE)), NORMAL),
}
