"""What each messenger is, as data: functions, hosts, ports, prefixes, forms; and the lab's overlay of addresses."""

from ringback.catalogue.entries import (
    App,
    CallShape,
    Catalogue,
    Fact,
    FunctionEntry,
    NeutralHost,
    Overlay,
    PortRange,
    Quality,
    StreamShape,
    Vpn,
)
from ringback.catalogue.loading import load
from ringback.catalogue.matching import functions_on_port, functions_with_host, matches_host

__all__ = [
    "App",
    "CallShape",
    "Catalogue",
    "Fact",
    "FunctionEntry",
    "NeutralHost",
    "Overlay",
    "PortRange",
    "Quality",
    "StreamShape",
    "Vpn",
    "functions_on_port",
    "functions_with_host",
    "load",
    "matches_host",
]
