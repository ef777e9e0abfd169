"""Short sessions on networks without rules, between real kernels: clocks, queues and sockets accuse nobody either."""

import pytest

from ringback.lab.kernel_run import run_namespaces
from ringback.lab.scenario import Scenario, parse
from ringback.record import Measurement, NetworkRecord

LINKS = (
    "rtt_ms = 20",
    "rtt_ms = 60, jitter_ms = 15, loss = 0.02, loss_burst = 4",
    "rtt_ms = 150, loss = 0.01",
    "rtt_ms = 40, loss = 0.10, loss_burst = 2",
    "rtt_ms = 30, up_kbps = 1500, down_kbps = 4000, queue_ms = 400",
    "rtt_ms = 50, cross_kbps = 6000, up_kbps = 8000",
)
APPS = ("whatsapp", "telegram", "signal", "max")
FIFTY, SIDE_BY_SIDE = 50, 4


def neutral(app: str, count: int) -> Scenario:
    text = f'name = "neutral-{app}"\napps = ["{app}"]\nfunctions = ["text", "voice"]\n'
    for number in range(count):
        text += f'[[network]]\nname = "{app}-{number}"\nasn = {64500 + number}\nregion = "RU-MOW"\nhops = 3\n'
        text += f"link = {{ {LINKS[number % len(LINKS)]} }}\n"
    return parse(text, f"neutral-{app}.toml")


def sessions(count: int) -> list[list[Measurement]]:
    """So many sessions' measurements, shared out over the apps."""
    found: list[list[Measurement]] = []
    for which, app in enumerate(APPS):
        share = len(range(which, count, len(APPS)))
        session: list[Measurement] = []
        rows = run_namespaces(neutral(app, share), 500 + which, parallel=SIDE_BY_SIDE, mode="quick") if share else ()
        for row in rows:
            if isinstance(row, Measurement):
                session.append(row)
            elif isinstance(row, NetworkRecord):
                found.append(session)
                session = []
    return found


@pytest.mark.validate
@pytest.mark.namespaces
def test_fifty_short_sessions_between_kernels_accuse_nobody() -> None:
    found = sessions(FIFTY)
    greatest = [max(m.verdict.e_value or 0.0 for m in session) for session in found]
    accused = [m for session in found for m in session if m.verdict.status == "restricted"]
    print(f"{len(found)} sessions, {len(accused)} accusations, greatest e {max(greatest):.3g}")
    assert len(found) == FIFTY
    assert not accused
