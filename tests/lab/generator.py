"""Random scenarios for end-to-end tests: seeded, each a file's text, together covering what a rule can be made of."""

from random import Random

from ringback.errors import BadInput
from ringback.lab.rules import Scenario
from ringback.lab.scenario import KINDS, TRIGGERS, parse

APPS = ("whatsapp", "telegram")
FUNCTIONS = ("voice", "voice", "text", "media")
DIRECTIONS = ("both", "out", "in")
STRENGTHS = ("strong", "weak")

NUMBERS = {
    ("drop-after", "strong"): {"voice": "packets = 30", "text": "packets = 6", "media": "bytes = 20000"},
    ("drop-after", "weak"): {"voice": "packets = 2000", "text": "packets = 4000", "media": "bytes = 9000000"},
    ("loss", "strong"): {"voice": "share = 0.4", "text": "share = 0.6", "media": "share = 0.3"},
    ("loss", "weak"): dict.fromkeys(("voice", "text", "media"), "share = 0.04"),
    ("police", "strong"): {
        "voice": "kbps = 7, burst_kbytes = 2",
        "text": "kbps = 8, burst_kbytes = 2",
        "media": "kbps = 200, burst_kbytes = 16",
    },
    ("police", "weak"): dict.fromkeys(("voice", "text", "media"), "kbps = 20000, burst_kbytes = 64"),
    ("shape", "strong"): {
        "voice": "kbps = 7, queue_ms = 300",
        "text": "kbps = 8, queue_ms = 400",
        "media": "kbps = 300, queue_ms = 300",
    },
    ("shape", "weak"): dict.fromkeys(("voice", "text", "media"), "kbps = 20000, queue_ms = 300"),
    ("delay", "strong"): {"voice": "ms = 400, jitter_ms = 20", "text": "ms = 2500", "media": "ms = 800"},
    ("delay", "weak"): dict.fromkeys(("voice", "text", "media"), "ms = 20, jitter_ms = 2"),
}


def scenarios(count: int = 30, seed: int = 1) -> list[tuple[str, Scenario]]:
    """(text, read) of each. Actions come in turn, so that each is there; the rest is drawn."""
    draw = Random(seed)
    found: list[tuple[str, Scenario]] = []
    turns = [(kind, strength) for kind in KINDS for strength in (STRENGTHS if kind in _numbered() else ("strong",))]
    while len(found) < count:
        kind, strength = turns[len(found) % len(turns)]
        text = _text(draw, len(found), kind, strength)
        if text is not None:
            found.append((text, parse(text, f"generated-{len(found)}.toml")))
    return found


def coverage(of: list[tuple[str, Scenario]]) -> set[tuple[str, str, str, str]]:
    """(action, trigger, direction, strength) of the rules in them."""
    seen = set()
    for text, scenario in of:
        rule = scenario.networks[0].rules[0]
        strength = text.partition("# ")[2].partition("\n")[0]
        seen.add((rule.action.kind, rule.trigger, rule.direction, strength))
    return seen


def _numbered() -> set[str]:
    return {kind for kind, _ in NUMBERS}


def _text(draw: Random, number: int, kind: str, strength: str) -> str | None:
    """None where what was drawn could not act: another is drawn in its place."""
    app, function = draw.choice(APPS), draw.choice(FUNCTIONS)
    trigger = "dns" if kind in ("nxdomain", "forge") else draw.choice([t for t in TRIGGERS if t != "dns"])
    direction = "both" if kind in ("nxdomain", "forge") else draw.choice(DIRECTIONS)
    numbers = NUMBERS.get((kind, strength), {}).get(function, "")
    everything = trigger in ("transport", "not-listed")
    if everything:
        function = "voice"  # of what is measured only calls are UDP
    numbers = NUMBERS.get((kind, strength), {}).get(function, "")
    match = "all = true" if everything else f'app = "{app}", function = "{function}"'
    hops = draw.randrange(3, 7)
    text = f"""# {strength}
name = "generated-{number}"
seed = {draw.randrange(1, 10_000)}


[[network]]
name = "n{number}"
asn = {64500 + number}
region = "{draw.choice(("RU-MOW", "RU-SPE", "RU-TA"))}"
hops = {hops}
link = {{ rtt_ms = {draw.randrange(20, 120)}, jitter_ms = {draw.randrange(9)}, loss = {draw.choice((0, 0.01, 0.02))} }}

[[network.rule]]
hop = {draw.randrange(1, hops + 1)}
match = {{ {match} }}
trigger = "{trigger}"
action = {{ kind = "{kind}"{", " + numbers if numbers else ""} }}
direction = "{direction}"
{'listed = ["max", "peer"]' if trigger == "not-listed" else ""}
"""
    try:
        parse(text, "drawn.toml")
    except BadInput:
        return None
    return text
