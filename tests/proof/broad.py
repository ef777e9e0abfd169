"""A third family of scenarios: small ones, with every key that a link and a rule have, numbers from all over what is
scored, limits per host and per network, and rules that meet on one cell. Nothing was tuned on its seeds."""

from random import Random

from ringback.errors import BadInput
from ringback.lab.rules import Scenario
from ringback.lab.scenario import parse

APPS = ("whatsapp", "telegram", "signal", "max")
KINDS = {
    "voice": ("drop", "drop-after", "loss", "police", "shape", "delay", "icmp", "corrupt"),
    "text": ("drop", "drop-after", "loss", "police", "shape", "delay", "reset", "icmp", "corrupt"),
    "media": ("drop", "drop-after", "loss", "police", "shape", "reset", "icmp", "corrupt"),
}
LINK = {
    "rtt_ms": (10, 25, 40, 60, 90, 140),
    "jitter_ms": (0, 2, 5, 10),
    "loss": (0, 0.001, 0.005, 0.01, 0.02, 0.03),
    "loss_burst": (1, 3, 6),
    "up_kbps": (2500, 5000, 8000, 20_000),
    "down_kbps": (5000, 10_000, 30_000, 100_000),
    "queue_ms": (50, 100, 200, 400),
    "cross_kbps": (0, 0, 500, 1500),
}
LEAST_LOSS = {"voice": 0.15, "text": 0.3, "media": 0.15}
KBPS = {"voice": (4, 12), "text": (4, 15), "media": (60, 990)}
BURSTS = {"voice": (1, 2, 3), "text": (1, 2), "media": (4, 8, 16, 32)}
QUEUE_MS = {"voice": (500, 800, 1200), "text": (1100, 1400, 1800), "media": (100, 200, 400, 800)}
CUTS = {
    "voice": (("packets", 1, 200), ("bytes", 500, 30_000)),
    "text": (("packets", 2, 10), ("bytes", 300, 4_000)),
    "media": (("packets", 3, 30), ("bytes", 2_000, 64_000)),
}
DELAYS_MS = {"voice": (150, 900), "text": (2_000, 4_000)}
PER = ("", ', per = "flow"', ', per = "host"', ', per = "network"')
DATES = ('from = "2025-08-11T09:00:00Z"', 'until = "2025-09-01T00:00:00Z"', 'from = "2025-08-20T00:00:00Z"')


def broad(count: int = 30, seed: int = 1) -> list[tuple[str, Scenario]]:
    """(text, read) of each."""
    draw = Random(f"broad {seed}")
    found: list[tuple[str, Scenario]] = []
    while len(found) < count:
        text = _scenario(draw, len(found))
        try:
            found.append((text, parse(text, f"broad-{len(found)}.toml")))
        except BadInput:
            continue  # what was drawn could not act
    return found


def _scenario(draw: Random, number: int) -> str:
    apps, hops = draw.sample(APPS, draw.choice((1, 1, 2))), draw.randint(2, 7)
    named = ", ".join(f'"{app}"' for app in apps)
    lines = [f'name = "broad-{number}"', f"seed = {draw.randrange(1, 10_000)}", f"apps = [{named}]"]
    tunnel = draw.random() < 0.12
    lines += ['paths = ["direct", "vpn"]'] if tunnel else []
    lines += [f'down = ["{apps[0]}"]'] if draw.random() < 0.06 else []
    country, own = [], []
    for _ in range(draw.choice((0, 1, 1, 1, 2, 2, 3))):
        if draw.random() < 0.2:
            country.append("[[rule]]\n" + _rule(draw, draw.choice(apps)))
        else:
            own.append(f"[[network.rule]]\nhop = {draw.randint(1, hops)}\n" + _rule(draw, draw.choice(apps)))
    if draw.random() < 0.06:
        own.append(_transport(draw.choice(("drop", "icmp")), "all = true", "transport"))
    if tunnel and draw.random() < 0.4:
        own.append(_transport("drop", 'vpn = "wireguard"', "payload"))
    link = ", ".join(f"{key} = {draw.choice(values)}" for key, values in LINK.items())
    network = f'[[network]]\nname = "b{number}"\nasn = 64500\nregion = "RU-MOW"\nhops = {hops}\nlink = {{ {link} }}'
    return "\n".join([*lines, *country, network, *own]) + "\n"


def _transport(kind: str, match: str, trigger: str) -> str:
    return f'[[network.rule]]\nhop = 1\nmatch = {{ {match} }}\ntrigger = "{trigger}"\naction = {{ kind = "{kind}" }}'


def _rule(draw: Random, app: str) -> str:
    whole = draw.random() < 0.15
    function = draw.choice(("text", "media") if whole else ("voice", "voice", "text", "media"))
    match = f'app = "{app}"' if whole else f'app = "{app}", function = "{function}"'
    trigger = draw.choice(("payload", "payload", "payload", "destination", "port", "sni", "dns"))
    if function == "voice" and trigger in ("sni", "dns"):
        trigger = "payload"
    action = 'kind = "drop"' if whole and trigger != "dns" and draw.random() < 0.3 else _action(draw, function, trigger)
    lines = [f"match = {{ {match} }}", f'trigger = "{trigger}"', f"action = {{ {action} }}"]
    if trigger != "dns" and draw.random() < 0.4:
        lines.append(f'direction = "{draw.choice(("in", "out"))}"')
    if draw.random() < 0.2:
        lines.append(draw.choice(DATES))
    if draw.random() < 0.1:
        lines.append(f"share = {draw.choice((0.0001, 0.5, 1.0))}")
    return "\n".join(lines)


def _action(draw: Random, function: str, trigger: str) -> str:
    """A scored action, its number anywhere in what counts as a restriction."""
    if trigger == "dns":
        return f'kind = "{draw.choice(("nxdomain", "forge", "drop"))}"'
    kind = draw.choice(KINDS[function])
    named = f'kind = "{kind}"'
    if kind == "drop-after":
        unit, least, most = draw.choice(CUTS[function])
        return f"{named}, {unit} = {draw.randint(least, most)}"
    if kind == "loss":
        return f"{named}, share = {draw.uniform(LEAST_LOSS[function], 0.8):.2f}"
    if kind == "police":
        burst = draw.choice(BURSTS[function])
        return f"{named}, kbps = {draw.randint(*KBPS[function])}, burst_kbytes = {burst}{draw.choice(PER)}"
    if kind == "shape":
        queue = draw.choice(QUEUE_MS[function])
        return f"{named}, kbps = {draw.randint(*KBPS[function])}, queue_ms = {queue}{draw.choice(PER)}"
    if kind == "delay":
        return f"{named}, ms = {draw.randint(*DELAYS_MS[function])}, jitter_ms = {draw.choice((0, 5, 20, 60))}"
    return named
