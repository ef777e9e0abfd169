"""Whole sessions on links that bear little: what works there is called working, and what does not is not accused."""

import pytest

from ringback.lab.run import run_sim
from ringback.lab.scenario import parse
from ringback.record import Measurement, Verdict

NETWORK = """
name = "links"
apps = ["{app}"]
functions = ["{function}"]
[[network]]
name = "n"
asn = 64901
region = "RU-MOW"
hops = 4
link = {{ {link} }}
{rule}
"""


def verdicts(link: str, app: str = "whatsapp", function: str = "voice", rule: str = "", seed: int = 1) -> list[Verdict]:
    """Of the one app's cells on a network with this link."""
    scenario = parse(NETWORK.format(link=link, app=app, function=function, rule=rule), "links.toml")
    return [row.verdict for row in run_sim(scenario, seed) if isinstance(row, Measurement)]


@pytest.mark.parametrize("kbps", [128, 300, 800])
def test_calls_are_decided_on_a_thin_uplink(kbps: int) -> None:
    for verdict in verdicts(f"up_kbps = {kbps}"):
        assert verdict.status == "working"
        assert (verdict.mos or 0) > 3.8, "as of one call, which the link bears"


RULE = """
[[network.rule]]
hop = 1
match = {{ app = "whatsapp", function = "voice" }}
trigger = "payload"
action = {{ {action} }}
"""


@pytest.mark.parametrize(("action", "mechanism"), [('kind = "drop"', "drop"), ('kind = "loss", share = 0.2', "loss")])
@pytest.mark.parametrize("kbps", [128, 300])
def test_and_what_is_done_to_them_there_is_found(kbps: int, action: str, mechanism: str) -> None:
    for verdict in verdicts(f"up_kbps = {kbps}", rule=RULE.format(action=action)):
        assert (verdict.status, verdict.mechanism) == ("restricted", mechanism)


@pytest.mark.parametrize("link", ["cross_kbps = 200, queue_ms = 1000", "cross_kbps = 250, queue_ms = 1000"])
def test_what_the_sessions_own_calls_do_to_a_shared_link_is_not_blamed_on_it(link: str) -> None:
    for verdict in verdicts(f"up_kbps = 300, down_kbps = 400, {link}", "telegram"):
        assert verdict.status in ("working", "insufficient")
        assert (verdict.control_mos or 0) > 3


@pytest.mark.parametrize("link", ["loss = 0.45, loss_burst = 1", "loss = 0.3", "rtt_ms = 2000"])
def test_a_link_that_one_call_alone_cannot_use_is_impaired(link: str) -> None:
    for verdict in verdicts(link):
        assert (verdict.status, verdict.trigger) == ("impaired", None)
        assert (verdict.control_mos or 5) < 2.5


@pytest.mark.parametrize(("app", "jitter"), [("whatsapp", 30), ("telegram", 0), ("max", 30)])
def test_text_is_decided_over_a_satellite(app: str, jitter: int) -> None:
    assert [one.status for one in verdicts(f"rtt_ms = 600, jitter_ms = {jitter}", app, "text")] == ["working"]
