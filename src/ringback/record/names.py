"""The closed vocabularies of the glossary, and the cell: what one measurement is about."""

from typing import Literal

import msgspec

App = str  # open: an app is a catalogue file
Function = Literal["text", "media", "voice"]
Direction = Literal["outgoing", "incoming"]
Route = Literal["relay", "p2p"]
Transport = Literal["udp", "tcp"]
Status = Literal["working", "restricted", "impaired", "service-down", "insufficient"]
Mechanism = Literal[
    "none", "drop", "drop-after", "loss", "police", "shape", "delay", "reset", "icmp", "dns", "corrupt", "unknown"
]
Trigger = Literal["payload", "destination", "port", "sni", "dns", "transport", "not-listed"]
Scope = Literal["peer", "app"]
Basis = Literal["randomised", "contrast"]
NetworkState = Literal["normal", "whitelist", "offline"]
Udp = Literal["open", "limited", "blocked"]


class Arm(msgspec.Struct, frozen=True, order=True):
    """Which bytes and which port an exchange carries: the two factors varied in a round."""

    payload: Literal["original", "control"]
    port: Literal["app", "other"]


class Cell(msgspec.Struct, frozen=True, order=True):
    """One (app, function, call direction, route, path). Direction and route are None but for voice.

    The function `outer` stands for a VPN path's own outer protocol (app = protocol name, for example `wireguard`).
    """

    app: str
    function: str
    direction: Direction | None = None
    route: Route | None = None
    path: str = "direct"
