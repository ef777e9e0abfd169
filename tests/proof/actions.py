"""Each action in each direction by each trigger, alone on an ordinary network: does the verdict name it?"""

from collections.abc import Iterator

from ringback.lab.rules import Scenario
from ringback.lab.scenario import parse

APPS = ("whatsapp", "telegram")
DIRECTIONS = ("out", "in", "both")
STOPPING = ('kind = "drop"', 'kind = "icmp"')
CALL_KBPS = {"whatsapp": 15, "telegram": 30}
"""One way, IP packets."""

CALL = (
    *STOPPING,
    'kind = "corrupt"',
    'kind = "drop-after", packets = 25',
    'kind = "drop-after", packets = 150',
    'kind = "loss", share = 0.2',
    'kind = "loss", share = 0.4',
    'kind = "police", kbps = {third}, burst_kbytes = 2',
    'kind = "police", kbps = {more}, burst_kbytes = 2',
    'kind = "shape", kbps = {half}',
    'kind = "delay", ms = 200',
    'kind = "delay", ms = 400, jitter_ms = 10',
)
MEDIA = (
    *STOPPING,
    'kind = "corrupt"',
    'kind = "reset"',
    'kind = "drop-after", packets = 25',
    'kind = "drop-after", bytes = 32000',
    'kind = "loss", share = 0.2',
    'kind = "loss", share = 0.4',
    'kind = "police", kbps = 300',
    'kind = "police", kbps = 800',
    'kind = "shape", kbps = 300',
)
TEXT = (
    *STOPPING,
    'kind = "corrupt"',
    'kind = "reset"',
    'kind = "drop-after", packets = 10',
    'kind = "loss", share = 0.4',
)
NAMES = ('kind = "nxdomain"', 'kind = "forge"', *STOPPING)
RELAY = (
    *STOPPING,
    'kind = "drop-after", packets = 25',
    'kind = "drop-after", bytes = 9000',
    'kind = "loss", share = 0.4',
    'kind = "police", kbps = {third}, burst_kbytes = 2',
    'kind = "shape", kbps = {half}, queue_ms = 2000',
)
GRID = {
    ("voice", "payload"): CALL,
    ("voice", "port"): CALL,
    ("voice", "destination"): RELAY,
    ("media", "payload"): MEDIA,
    ("media", "sni"): MEDIA,
    ("media", "dns"): NAMES,
    ("text", "payload"): TEXT,
    ("text", "sni"): TEXT,
    ("text", "dns"): NAMES,
}
UNSEEN = {("voice", "destination", 'kind = "icmp"', "in")}
"""Told to a relay that reports to nobody (docs/decisions/0005)."""


def actions() -> Iterator[tuple[str, str, Scenario]]:
    """(name, text, scenario), each with one app, one function and one rule."""
    for app in APPS:
        rate = CALL_KBPS[app]
        for (function, trigger), kinds in GRID.items():
            for kind in kinds:
                for direction in DIRECTIONS:
                    if (function, trigger, kind, direction) in UNSEEN:
                        continue
                    act = kind.format(third=0.3 * rate, half=0.5 * rate, more=0.6 * rate)
                    text = _text(app, function, trigger, act, direction)
                    yield f"{app}-{function}-{trigger}-{act}-{direction}", text, parse(text, "actions.toml")


def _text(app: str, function: str, trigger: str, act: str, direction: str) -> str:
    return f"""
name = "actions"
apps = ["{app}"]
functions = ["{function}"]
[[network]]
name = "n"
asn = 64500
region = "RU-MOW"
hops = 3
[[network.rule]]
hop = 2
match = {{ app = "{app}", function = "{function}" }}
trigger = "{trigger}"
action = {{ {act} }}
direction = "{direction}"
"""
