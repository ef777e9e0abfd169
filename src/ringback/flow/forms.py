"""Which forms a cell is measured in, and which factors its rounds vary."""

from typing import Literal

import msgspec

from ringback.catalogue import Catalogue
from ringback.errors import BadInput
from ringback.record import Transport

Factor = Literal["payload", "port"]

TRANSPORT: dict[str, Transport] = {
    "relay-call": "udp", "p2p-call": "udp", "replay": "udp", "outer": "udp", "dns": "udp",
    "tls": "tcp", "noise": "tcp", "obfuscated": "tcp",
}  # fmt: skip
ROUTES = {"relay-call": "relay", "p2p-call": "p2p"}


class FormPlan(msgspec.Struct, frozen=True):
    """One way on the wire that a cell's rounds take: the port its app uses, and what is varied."""

    form: str
    transport: Transport
    app_port: int
    factors: tuple[Factor, ...]


def forms_of(catalogue: Catalogue, app: str, function: str, route: str | None = None) -> tuple[FormPlan, ...]:
    """The forms of a cell, in the catalogue's order. Voice has those of its route (default `relay`).

    `dns` varies the payload alone: a resolver is asked on port 53 or not at all. The function `outer` is a VPN's outer
    protocol. Raises BadInput for an app, function or route that the catalogue does not have.
    """
    if function == "outer":
        if app not in catalogue.vpns:
            raise BadInput(f"no VPN protocol `{app}`; there are {', '.join(catalogue.vpns)}", "app")
        vpn = catalogue.vpns[app]
        return (FormPlan("outer", vpn.transport, vpn.app_port, ("payload", "port")),)
    if app not in catalogue.apps:
        raise BadInput(f"no app `{app}`; there are {', '.join(catalogue.apps)}", "app")
    if function not in catalogue.apps[app].functions:
        raise BadInput(f"no function `{function}`; there are text, media, voice", "function")
    entry = catalogue.apps[app].functions[function]
    wanted = None if function != "voice" else route or "relay"
    plans = tuple(
        FormPlan(form, TRANSPORT[form], entry.app_port[form], ("payload",) if form == "dns" else ("payload", "port"))
        for form in entry.forms
        if ROUTES.get(form) == wanted
    )
    if not plans:
        raise BadInput(f"no route `{route}` of {app}", "route")
    return plans
