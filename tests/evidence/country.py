"""Country files that differ from the shipped one by a rule or two, and what each of them makes true.

`python -m tests.evidence.country` records sessions of the situations that the shipped country has not; with `shipped`
those of the shipped country before them (eight minutes of one processor in all). To be run when the engine measures or
judges otherwise.
"""

import re
import sys
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

from ringback.lab import nation, recordings
from ringback.lab.nation import Nation
from ringback.lab.recordings import Recordings

EACH = 1  # session of each situation: what is tried here is whether the answers differ, not how sessions do
RECORDED = Path(__file__).with_name("country-recordings.json.gz")
SHIPPED = (files("ringback.lab") / "countries" / "ru-2025-08.toml").read_text("utf-8")
CALLS = 'rules = ["wa-'  # how the list of a network begins that restricts calls
TEXT_CUT = """
[rule.wa-text]
hop = 1
match = { app = "whatsapp", function = "text" }
trigger = "payload"
action = { kind = "drop" }
from = "2025-08-11T06:00:00Z"
"""
VPN_BLOCKED = """
[rule.no-vpn]
hop = 1
match = { vpn = "wireguard" }
trigger = "payload"
action = { kind = "drop" }
from = "2025-08-11T06:00:00Z"
"""


def _two_regions(text: str) -> str:
    """Moscow's surroundings and Krasnodar alone, and there before everybody."""
    head, *networks = text.split("[[network]]")
    kept = [
        re.sub(r"\nshare = .*", "", one)
        if '"RU-MOS"' in one or '"RU-KDA"' in one
        else re.sub(r'\nrules = \["wa-.*(\nshare = .*)?', "", one)
        for one in networks
    ]
    return "[[network]]".join([head, *kept])


EDITS: dict[str, Callable[[str], str]] = {
    "as shipped": lambda text: text,
    "two regions": _two_regions,
    "text cut as well": lambda text: text.replace(CALLS, 'rules = ["wa-text", "wa-') + TEXT_CUT,
    "VPN blocked too": lambda text: text.replace(CALLS, 'rules = ["no-vpn", "wa-') + VPN_BLOCKED,
    "nothing restricted": lambda text: re.sub(r'\nrules = \["wa-.*(\nshare = .*)?', "", text),
}


def country(name: str) -> Nation:
    return nation.parse(EDITS[name](SHIPPED), f"{name}.toml")


def recorded() -> Recordings:
    """Sessions of every situation in these countries, as long as the rules of verdicts are those of the recording."""
    return Recordings(recordings.load(RECORDED).by | recordings.shipped().by)


def _recorded(known: Recordings, name: str, each: int) -> Recordings:
    print(name, len(known.missing(country(name))), "situations to record", flush=True)
    return recordings.completed(known, country(name), each, lambda done, of: print(f"{done} of {of}", flush=True))


if __name__ == "__main__":
    if sys.argv[1:] == ["shipped"]:
        with as_file(files("ringback.lab") / "countries" / "recordings.json.gz") as place:
            recordings.save(_recorded(Recordings({}), "as shipped", recordings.SESSIONS), place)
    own = recordings.shipped()
    whole = own
    for name in EDITS:
        whole = _recorded(whole, name, EACH)
    recordings.save(Recordings({key: found for key, found in whole.by.items() if key not in own.by}), RECORDED)
