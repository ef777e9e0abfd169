"""A limit that all flows of a host or of a network share, told from one on each flow and from losses."""

import pytest

from ringback.lab.run import run_sim
from ringback.lab.scenario import parse
from ringback.record import Measurement, Verdict

RULE = """
name = "shared"
apps = ["{app}"]
functions = ["{function}"]
[link]
rtt_ms = 60
[[network]]
name = "n"
asn = 64500
region = "RU-MOW"
hops = 3
[[network.rule]]
hop = 2
match = {{ app = "{app}", function = "{function}" }}
trigger = "{trigger}"
direction = "{direction}"
action = {{ {action} }}
"""


def told(
    app: str, function: str, action: str, seed: int, direction: str = "both", trigger: str = "payload"
) -> list[Verdict]:
    text = RULE.format(app=app, function=function, action=action, direction=direction, trigger=trigger)
    scenario = parse(text, "shared.toml")
    return [row.verdict for row in run_sim(scenario, seed) if isinstance(row, Measurement)]


@pytest.mark.parametrize("per", ["host", "network"])
@pytest.mark.parametrize("kbps", [150, 250])
def test_a_policer_that_medias_connections_share_is_named_with_its_own_rate(per: str, kbps: int) -> None:
    action = f'kind = "police", kbps = {kbps}, burst_kbytes = 16, per = "{per}"'
    (verdict,) = told("whatsapp", "media", action, kbps)
    assert (verdict.status, verdict.mechanism) == ("restricted", "police")
    assert verdict.rate_kbps == pytest.approx(kbps, rel=0.15)
    assert verdict.rate_kbps_interval is not None
    assert verdict.rate_kbps_interval[0] <= kbps <= verdict.rate_kbps_interval[1]


@pytest.mark.parametrize("kbps", [120, 200])
def test_a_queue_that_medias_connections_share_is_named(kbps: int) -> None:
    (verdict,) = told("whatsapp", "media", f'kind = "shape", kbps = {kbps}, queue_ms = 300, per = "host"', 7)
    assert verdict.mechanism == "shape"
    assert verdict.rate_kbps == pytest.approx(kbps, rel=0.15)


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("police", 'kind = "police", kbps = 400, burst_kbytes = 16, per = "host"'),
        ("shape", 'kind = "shape", kbps = 400, queue_ms = 200, per = "network"'),
    ],
)
def test_a_limit_that_both_of_an_apps_transports_share_is_named(kind: str, action: str) -> None:
    """Telegram's obfuscated connections and its TLS ones fill the same bucket; those of one alone use half of it."""
    (verdict,) = told("telegram", "media", action, 1)
    assert verdict.mechanism == kind
    assert verdict.rate_kbps_interval is not None
    assert verdict.rate_kbps_interval[0] <= 400 <= verdict.rate_kbps_interval[1]


@pytest.mark.parametrize("action", ['kind = "loss", share = 0.25', 'kind = "loss", share = 0.3'])
def test_losses_are_no_shared_limit(action: str) -> None:
    for seed in (1, 2, 3):
        (verdict,) = told("whatsapp", "media", action, seed)
        assert verdict.mechanism == "loss"


@pytest.mark.parametrize(("share", "direction"), [(0.5, "both"), (0.6, "in"), (0.7, "in"), (0.7, "out")])
def test_heavy_losses_of_media_are_neither_a_limit_nor_a_block(share: float, direction: str) -> None:
    for app in ("whatsapp", "max"):
        (verdict,) = told(app, "media", f'kind = "loss", share = {share}', 1, direction)
        assert verdict.mechanism == "loss"


def test_a_policer_on_each_connection_keeps_its_rate() -> None:
    (verdict,) = told("whatsapp", "media", 'kind = "police", kbps = 250, burst_kbytes = 16', 3)
    assert verdict.mechanism == "police"
    assert verdict.rate_kbps == pytest.approx(250, rel=0.05)


def test_calls_that_share_a_policer_name_it_where_ports_seem_to_strike_as_well() -> None:
    """With this seed both payload and port are named: half of the calls that empty the bucket are then set aside."""
    for verdict in told("whatsapp", "voice", 'kind = "police", kbps = 8, burst_kbytes = 2, per = "host"', 1):
        assert verdict.mechanism == "police"
        assert verdict.rate_kbps == pytest.approx(8, rel=0.05)


@pytest.mark.parametrize("direction", ["both", "out", "in"])
@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("police", 'kind = "police", kbps = 10, burst_kbytes = 2, per = "host"'),
        ("shape", 'kind = "shape", kbps = 10, queue_ms = 800, per = "network"'),
    ],
)
def test_trains_to_an_apps_relays_that_share_a_limit_name_it(kind: str, action: str, direction: str) -> None:
    """Nine trains run at once, long and short: they are one bucket's. A long one that begins in a queue that the short
    ones have filled is late from its first ping on, and no less in a queue for that."""
    for verdict in told("whatsapp", "voice", action, 4, direction, "destination"):
        assert (verdict.status, verdict.mechanism, verdict.trigger) == ("restricted", kind, "destination")
        assert verdict.rate_kbps_interval is not None
        assert verdict.rate_kbps_interval[0] <= 10 <= verdict.rate_kbps_interval[1]
