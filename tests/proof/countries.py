"""A second family of scenarios, unlike the generator's: other links, several rules a network, shares, dates, tunnels,
services that are down, white lists of several kinds. Nothing was tuned on its seeds."""

from collections.abc import Iterator
from random import Random

from ringback.errors import BadInput
from ringback.lab.rules import Scenario
from ringback.lab.scenario import parse

APPS = ("whatsapp", "telegram", "signal", "max")
LINKS = (
    "{ rtt_ms = 12, jitter_ms = 1, loss = 0.0, up_kbps = 40000, down_kbps = 90000 }",
    "{ rtt_ms = 35, jitter_ms = 8, loss = 0.02, loss_burst = 2 }",
    "{ rtt_ms = 90, jitter_ms = 12, loss = 0.01, loss_burst = 4, up_kbps = 6000, down_kbps = 20000 }",
    "{ rtt_ms = 180, jitter_ms = 4, loss = 0.005, loss_burst = 1, up_kbps = 10000, down_kbps = 10000 }",
    "{ rtt_ms = 55, jitter_ms = 5, loss = 0.01, cross_kbps = 5000 }",
    "{ rtt_ms = 70, jitter_ms = 10, loss = 0.05, loss_burst = 5 }",
)
ACTIONS = {
    "voice": (
        'kind = "drop"', 'kind = "drop-after", packets = 60', 'kind = "drop-after", bytes = 9000', 'kind = "icmp"',
        'kind = "loss", share = 0.2', 'kind = "loss", share = 0.55', 'kind = "delay", ms = 260, jitter_ms = 10',
        'kind = "police", kbps = 9, burst_kbytes = 1', 'kind = "shape", kbps = 9, queue_ms = 200', 'kind = "corrupt"',
        'kind = "loss", share = 0.02',
    ),
    "text": (
        'kind = "drop"', 'kind = "reset"', 'kind = "drop-after", packets = 8', 'kind = "loss", share = 0.45',
        'kind = "delay", ms = 2400', 'kind = "corrupt"', 'kind = "icmp"', 'kind = "delay", ms = 15',
    ),
    "media": (
        'kind = "drop"', 'kind = "reset"', 'kind = "drop-after", bytes = 40000', 'kind = "loss", share = 0.25',
        'kind = "police", kbps = 500, burst_kbytes = 24', 'kind = "shape", kbps = 600', 'kind = "corrupt"',
        'kind = "police", kbps = 30000, burst_kbytes = 100',
    ),
}  # fmt: skip
TRIGGERS = ("payload", "payload", "port", "sni", "destination", "dns")
LISTS = ('["max"]', '["max", "peer"]', '["max", "site:example.org"]', '["peer", "signal", "max"]', "[]")


def countries(count: int = 30, seed: int = 77) -> list[tuple[str, Scenario]]:
    """(text, read) of each."""
    draw = Random(seed)
    found: list[tuple[str, Scenario]] = []
    while len(found) < count:
        text = _country(draw, len(found))
        try:
            found.append((text, parse(text, f"country-{len(found)}.toml")))
        except BadInput:
            continue  # what was drawn could not act
    return found


def _country(draw: Random, number: int) -> str:
    apps = draw.sample(APPS, 2)
    paths = '["direct", "vpn"]' if number % 5 == 0 else '["direct"]'
    down = f'down = ["{apps[1]}"]' if number % 7 == 3 else ""
    head = f"""name = "country-{number}"
seed = {draw.randrange(1, 10_000)}
apps = {apps}
paths = {paths}
vpn = "{draw.choice(("wireguard", "openvpn"))}"
{down}
"""
    hops = draw.randrange(2, 8)
    network = f"""
[[network]]
name = "c{number}"
asn = {65000 + number}
region = "RU-{draw.choice(("KDA", "NVS", "DA", "PRI"))}"
kind = "{draw.choice(("fixed", "mobile"))}"
participants = {draw.choice((1, 1, 2))}
hops = {hops}
link = {draw.choice(LINKS)}
"""
    rules = list(_rules(draw, number, apps, hops, "vpn" in paths))
    return head.replace("'", '"') + network + "".join(rules)


def _rules(draw: Random, number: int, apps: list[str], hops: int, tunnel: bool) -> Iterator[str]:
    if number % 9 == 4:
        yield _rule(draw, hops, "all = true", "not-listed", 'kind = "drop"', f"listed = {draw.choice(LISTS)}")
        return
    if number % 11 == 5:
        action = draw.choice(('kind = "drop"', 'kind = "icmp"', 'kind = "loss", share = 0.5'))
        yield _rule(draw, hops, "all = true", "transport", action)
    if tunnel and draw.random() < 0.5:
        yield _rule(
            draw, hops, 'vpn = "wireguard"', "payload", draw.choice(('kind = "drop"', 'kind = "loss", share = 0.3'))
        )
    for _ in range(draw.randrange(1, 4)):
        function = draw.choice(tuple(ACTIONS))
        trigger = draw.choice(TRIGGERS)
        action = (
            draw.choice(('kind = "nxdomain"', 'kind = "forge"')) if trigger == "dns" else draw.choice(ACTIONS[function])
        )
        whole = "" if draw.random() < 0.2 and trigger != "dns" else f', function = "{function}"'
        more = draw.choice(
            (
                "", "", "", "share = 0.5", 'from = "2025-08-01T00:00:00Z"', 'until = "2025-08-12T00:00:00Z"',
                'from = "2025-09-01T00:00:00Z"', "residual_s = 5" if action == 'kind = "drop"' else "",
            )
        )  # fmt: skip
        way = draw.choice(("", "", 'direction = "in"', 'direction = "out"')) if trigger == "payload" else ""
        yield _rule(draw, hops, f'app = "{draw.choice(apps)}"{whole}', trigger, action, more, way)


def _rule(draw: Random, hops: int, match: str, trigger: str, action: str, *more: str) -> str:
    lines = "\n".join(line for line in more if line)
    return f"""
[[network.rule]]
hop = {draw.randrange(1, hops + 1)}
match = {{ {match} }}
trigger = "{trigger}"
action = {{ {action} }}
{lines}
"""
