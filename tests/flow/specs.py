"""Every form that the catalogue has, as specs."""

from ringback import catalogue
from ringback.flow import forms_of
from ringback.record import Arm, ExchangeSpec

KNOWN = catalogue.load()
SEED = bytes(range(32))


def spec(
    app: str,
    function: str,
    form: str,
    *,
    number: int = 7,
    payload: str = "original",
    direction: str | None = None,
    seconds: float = 10.5,
    size: int = 60_000,
) -> ExchangeSpec:
    voice = function in ("voice", "outer")
    route = {"relay-call": "relay", "p2p-call": "p2p"}.get(form)
    plan = next(p for p in forms_of(KNOWN, app, function, route) if p.form == form)
    return ExchangeSpec(
        number=number,
        app=app,
        function=function,
        direction=direction or ("outgoing" if voice else None),
        route=route,
        form=form,
        arm=Arm(payload, "app"),  # type: ignore[arg-type]
        transport=plan.transport,
        port=plan.app_port,
        seconds=seconds,
        size=size if function == "media" else 0,
    )


def every_form() -> list[tuple[str, str, str]]:
    """(app, function, form) of all apps and VPN protocols."""
    found = [
        (app.name, f.name, form) for app in KNOWN.apps.values() for f in app.functions.values() for form in f.forms
    ]
    return found + [(vpn, "outer", "outer") for vpn in KNOWN.vpns]
